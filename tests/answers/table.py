"""Answers to the exercises of notebook 08 that are values."""

import numpy as np

from answers import Answers


def plan(rules=("ftpsh", "sste"), seeds=(0, 1, 2), preset="cifar-resnet18-staircase", more=""):
    return [f"python -m ftpkit train {preset}-{rule} --seed {seed}{more}" for seed in seeds for rule in rules]


READ = {"a": True, "b": True, "c": False, "d": False}
OF_RULES = {rule: plan(rules=(rule,)) for rule in ("ftpsh", "sste")}

ANSWERS = {
    "table_says": Answers(
        right=[{"d": np.bool_(False), "c": np.bool_(False), "b": np.bool_(True), "a": np.bool_(True)}]
        + [{"a": 1, "b": 1, "c": 0, "d": 0}],
        wrong={
            "property / a": READ | {"a": False},
            "property / b": READ | {"b": False},
            "property / c": READ | {"c": True},
            "property / d": READ | {"d": True},
            "property / a text": {"a": "True", "b": "True", "c": "False", "d": "False"},
            "property / another form": [True, True, False, False],
        },
    ),
    "flattered_by": Answers(
        right=[{"here": 1.27, "paper": 1.01}, {"here": np.float32(0.85), "paper": "0.86"}, {"here": 1, "paper": 1}],
        wrong={
            "property / more epochs, much more": {"here": 0.8, "paper": 3},
            "property / precise, so little": {"here": 0.8, "paper": 0.1},
            "property / hardly anything": {"here": 0.1, "paper": 0.9},
            "property / a lot": {"here": 5.0, "paper": 0.9},
            "property / shares": {"here": 0.0084, "paper": 0.0085},
            "property / the accuracy": {"here": 90.84, "paper": 90.85},
            "property / one test": {"here": 0.671, "paper": 100 * (0.9 * 0.1 / 10_000) ** 0.5},
            "property / 2,000 images for both": {"here": 1.27, "paper": 0.671 * (2 * np.log(300)) ** 0.5},
            "property / no numbers": {"here": "a tenth", "paper": "half a point"},
            "property / another form": (0.8, 0.9),
        },
    ),
    "commands": Answers(
        right=[
            plan(seeds=(1, 2, 3)),
            [each.replace(" --seed 0", "") for each in plan()],
            tuple(plan(seeds=range(10), more=" --epochs 100 --device cuda")),
            [each.replace("python", ".venv/bin/python") + " --download" * (n == 0) for n, each in enumerate(plan())],
        ],
        wrong={
            "property / ImageNet": plan(preset="resnet18-staircase"),
            "property / signs": plan(preset="cifar-resnet18-sign"),
            "property / another network": plan(preset="bundled-resnet8-staircase"),
            "property / misspelt": plan(preset="cifar-resnet-18-staircase"),
            "property / one rule": OF_RULES["ftpsh"],
            "property / one seed": plan(seeds=[0]),
            "property / the same seed again": plan(seeds=[0, 0, 0]),
            "property / other seeds": OF_RULES["ftpsh"] + plan(rules=["sste"], seeds=(3, 4, 5)),
            "property / other settings": OF_RULES["ftpsh"] + plan(rules=["sste"], more=" --lr 0.01"),
            "property / a flag that is none": plan(more=" --gpu 0"),
            "property / presets only": [each.split()[4] for each in plan()],
            "property / one text": "\n".join(plan()),
        },
    ),
}
