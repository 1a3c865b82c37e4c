"""Answers to the exercises of notebook 04 that are values."""

import numpy as np

from answers import Answers

READ = {"a": True, "b": False, "c": True, "d": False, "e": False, "f": False}
LEFT = {"first epoch": "nine tenths", "sixth epoch": "three quarters"}

ANSWERS = {
    "race_says": Answers(
        right=[
            {letter: letter in "ac" for letter in "fedcba"},
            {letter: np.bool_(truth) for letter, truth in READ.items()},
            dict(zip("abcdef", (1, 0, 1, 0, 0, 0), strict=True)),
        ],
        wrong={
            "property / a": READ | {"a": False},
            "property / b": READ | {"b": True},
            "property / c": READ | {"c": False},
            "property / d": READ | {"d": True},
            "property / e": READ | {"e": True},
            "property / f": READ | {"f": True},
            "property / texts": {letter: str(truth) for letter, truth in READ.items()},
            "property / a list": list(READ.values()),
        },
    ),
    "flips_left": Answers(
        right=[
            {"sixth epoch": "three quarters", "first epoch": "nine tenths"},
            {"first epoch": "Nine tenths", "sixth epoch": " Three  quarters "},
        ],
        wrong={
            "property / half at once": LEFT | {"first epoch": "half"},
            "property / three quarters at once": {"first epoch": "three quarters", "sixth epoch": "nine tenths"},
            "property / all at once": LEFT | {"first epoch": "all"},
            "property / half in the end": LEFT | {"sixth epoch": "half"},
            "property / nine tenths in the end": dict.fromkeys(LEFT, "nine tenths"),
            "property / all in the end": LEFT | {"sixth epoch": "all"},
            "property / a number": LEFT | {"sixth epoch": 0.75},
            "property / fractions": {"first epoch": "9/10", "sixth epoch": "3/4"},
            "property / one word": "three quarters",
        },
    ),
}
