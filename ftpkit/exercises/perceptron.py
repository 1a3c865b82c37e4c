"""The exercises of notebook 01, first part: the rule by hand, what a line can do, and what a feature changes."""

from collections.abc import Mapping

import numpy as np

from ..separability import separate
from .card import Case, Exercise, Property

_COURSE = {"a": (3, 2, 1), "b": (4, 1, 0), "c": (4, 1, 0)}
_THREE = "Give three numbers for each letter, the bias last: (w1, w2, w3)."
_COURSE_SLIPS = {
    ("a", (1, -1, 0)): "After a the weights are still the old ones. z = 2 - 3 + 0: on which side of 0 is t z?",
    ("a", (-1, -4, -1)): "After a: that takes x away. For t = +1 the rule adds it, so that z grows.",
    ("a", (3, 2, 0)): "After a: the bias is a weight like the others, and its input is 1.",
    ("a", (2, 3, 1)): "After a: that is x itself. It is added to the weights, it does not replace them.",
    ("b", (3, 2, 1)): "After b: z is exactly 0. The output is right, but what does the rule say about t z = 0?",
    ("b", (2, 3, 2)): "After b: x was added. For t = -1 the rule adds t x, that is -x.",
    ("b", (2, -2, -1)): "After b: that goes on from the weights before a. Begin with those after a.",
    ("b", (4, 1, 1)): "After b: the bias is a weight like the others, and its input is 1.",
    ("c", (5, -1, 1)): "After c: t z = 4 - 2 + 0 is positive. Does the rule change anything then?",
    ("c", (3, 3, -1)): "After c: t is +1, and t z = 4 - 2 + 0 is positive. Is that a mistake?",
    ("c", (4, 0, 2)): "After c: this belongs to weights that skipped b. With those after b, z = 4 - 2 + 0.",
}
_COURSE_ELSE = {
    "a": "After a: first z = w . x, then t z, and only if that is 0 or less the sum w + t x.",
    "b": "After b: begin with (3, 2, 1), the weights after a. What is z, and what is t z?",
    "c": "After c: begin with (4, 1, 0), the weights after b. What is z, and what is t z?",
}


def _three_numbers(answer, letter: str) -> tuple[float, ...] | None:
    try:
        found = tuple(float(each) for each in answer[letter])
    except (TypeError, ValueError):
        return None
    return found if len(found) == 3 else None


def _after(letter: str) -> Property:
    def wrong(answer) -> str:
        if not isinstance(answer, Mapping) or set(answer) != set(_COURSE):
            return 'Keep the form of the stub: {"a": (w1, w2, w3), ...}, with the letters a, b and c.'
        found = _three_numbers(answer, letter)
        if found is None:
            return _THREE
        return "" if found == _COURSE[letter] else _COURSE_SLIPS.get((letter, found), _COURSE_ELSE[letter])

    return Property("the three weights after this example", wrong)


def _course_cases():
    for letter in _COURSE:
        yield Case(f"the weights after {letter}", expected=_after(letter))


_UPDATES = Exercise(
    notebook="01",
    title="three examples",
    goal="predict what the rule does.",
    difficulty="easy",
    minutes=5,
    reference=_COURSE,
    name="weights_after",
    blank='{"a": None, "b": None, "c": None}  # for each letter (w1, w2, w3)',
    cases=_course_cases,
    mistakes=(),
    hints=(
        "Three steps for each example: z = w . x, then t z, then the rule. The weights go on from example to example.",
        "For a z is -1, so x is added. What is z for b, with the new weights?",
        "For b t z is exactly 0, which counts as a mistake; for c it is positive, which does not.",
    ),
    explanation=(
        "a: z = -1, so x is added; z of the same example grows by the square of the length of x, 14, to 13. b: z = 0. "
        "The output sign(0) = -1 is right, but t z <= 0 holds, and x is taken away. Without that, an example with "
        "t = -1 could lie on the line for ever, and one with t = +1 could not. c: z = 2, nothing happens."
    ),
)

_SETS = {
    "a": ([[1, 1], [2, 2], [3, 1]], [1, -1, -1]),
    "b": ([[0, 1], [0, -1], [1, 0], [-1, 0]], [1, 1, -1, -1]),
    "c": ([[0, 0], [2, 0], [0, 2], [1, 1]], [-1, 1, 1, 1]),
    "d": ([[0, 0], [3, 0], [0, 3], [1, 1]], [1, 1, 1, -1]),
    "e": ([[1, 2], [-1, -2]], [-1, -1]),
}
_NO_LINE = "no line"
_LINES = {"a": (-2, -2, 6), "b": _NO_LINE, "c": (1, 1, -1), "d": _NO_LINE, "e": (0, 0, -1)}
_THERE_IS = {
    "a": "There is one for a: it need not go through (0, 0). Draw the three points first.",
    "c": "There is one for c: what is asked of (1, 1), between two points of class +1? Only (0, 0) is to be cut off.",
    "e": "There is one for e: the unit may say the same to everything. Which of the three weights does that?",
}
_THERE_IS_NONE = {
    "b": "And no other weights will do for b: what is in the middle of the two points of class +1, and of the others?",
    "d": "And no other weights will do for d: where does (1, 1) lie, seen from the three points of class +1?",
}


def _line_of(letter: str) -> Property:
    points, t = (np.array(each) for each in _SETS[letter])
    X = np.c_[points, np.ones(len(points))]

    def wrong(answer) -> str:
        if not isinstance(answer, Mapping) or set(answer) != set(_SETS):
            return 'Keep the form of the stub: {"a": (w1, w2, b) or "no line", ...}, with the five letters a to e.'
        if isinstance(answer[letter], str):
            if answer[letter].strip().lower() != _NO_LINE:
                return 'For each letter three weights, (w1, w2, b), or the text "no line".'
            return _THERE_IS.get(letter, "")
        w = _three_numbers(answer, letter)
        if w is None:
            return f'{letter}: three numbers (w1, w2, b), the bias last, or the text "no line".'
        return _missed(letter, points, t, X, np.array(w))

    return Property('weights (w1, w2, b) with t z > 0 for every point, or "no line" if there are none', wrong)


def _missed(letter: str, points, t, X, w) -> str:
    """Which point these weights miss, and what may be the matter; "" if none."""
    tz = t * (X @ w)
    if (tz > 0).all():
        return ""
    n = int(np.argmin(tz))
    point = f"({points[n, 0]}, {points[n, 1]}) of class {t[n]:+d}"
    if letter in _THERE_IS_NONE:
        return f"{letter}: {point} has t z = {tz[n]:g}. {_THERE_IS_NONE[letter]}"
    if not w.any():
        return f"{letter}: with weights of 0 every z is 0, so no t z is positive, though sign(0) = -1."
    if (tz < 0).all():
        return f"{letter}: every t z is negative. With all three signs turned it would be right."
    if (t * (X @ w[[1, 2, 0]]) > 0).all():
        return f"{letter}: these would be right with the bias first. It comes last, as in the examples above."
    if tz[n] == 0:
        return f"{letter}: {point} lies exactly on the line: t z is 0, and the rule asks for more than 0."
    return f"{letter}: {point} has t z = {tz[n]:g}, so it is on the wrong side of the line."


def _line_cases():
    for letter in _SETS:
        yield Case(f"the set {letter}", expected=_line_of(letter))


_BY_HAND = Exercise(
    notebook="01",
    title="separable by hand",
    goal="find a line, or see why there is none.",
    difficulty="easy",
    minutes=10,
    reference=_LINES,
    name="my_lines",
    blank='{"a": None, "b": None, "c": None, "d": None, "e": None}  # for each (w1, w2, b) or "no line"',
    cases=_line_cases,
    mistakes=(),
    hints=(
        "Draw the points. Is there a place that is a mixture of points of class +1 and of points of class -1?",
        "Every line w1 x1 + w2 x2 + b = 0 has the side z > 0. Choose w1 and w2 to point there, and then b.",
        "In two sets a point of one class lies amid the other class, or two middles coincide. The other three have a "
        "line; in one of them w1 and w2 may be 0.",
    ),
    explanation=(
        "a needs its bias: (2, 2) is twice (1, 1), so without it both lie on one side. b is XOR, turned by 45 degrees: "
        "both classes have their middle in (0, 0), and a line with both points of a class on one side has the middle "
        "there, too. c: x1 + x2 = 1 cuts off the corner. d: (1, 1) is a mixture of the other three, one third of each. "
        "e: the bias alone says -1 to everything. Weights of 0 would have that output as well, but t z = 0."
    ),
)


def feature(X: np.ndarray) -> np.ndarray:
    """One more input for every example, with which one unit solves XOR.

    X: examples, (m, 3), rows x1, x2, 1; x1 and x2 are at most 1/4 away from -1 or +1. Returns m numbers, one for each
    row.
    """
    return X[:, 0] * X[:, 1]


_CORNERS = np.array([[-1, -1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]], float)


def _wrong_feature(X: np.ndarray):
    t = np.where(X[:, 0] * X[:, 1] < 0, 1, -1)

    def wrong(found) -> str:
        try:
            f = np.asarray(found, float)
        except (TypeError, ValueError):
            return "It is to give one number for each row of X."
        if f.shape == (len(X), 1):
            return f"One number for each row: the shape is to be ({len(X)},), not ({len(X)}, 1)."
        if f.shape == (len(X), 4):
            return "The new input alone is wanted; it is put beside the others afterwards."
        if f.shape != (len(X),):
            return f"One number for each row: the shape is to be ({len(X)},), and it is {f.shape}."
        if not np.isfinite(f).all():
            return "There are infinite numbers or NaN: is something divided by 0?"
        if separate(np.c_[X[:, :2], f], t).separable:
            return ""
        return _why_not(X, f)

    return wrong


def _why_not(X, f) -> str:
    """Why the feature f leaves XOR unsolved."""
    if not np.isin(X, (-1, 1)).all():
        return "It works at the corners themselves, but not near them: does it need exact numbers, as == and != do?"
    if len(np.unique(f)) == 1:
        return (
            "It is the same for every example here, so it does no more than the bias. (Python takes -1 for true, too.)"
        )
    v = np.linalg.lstsq(X, f, rcond=None)[0].round(3) + 0.0
    if np.allclose(X @ v, f, atol=0.01):
        return f"At the corners it is {v[0]:g} x1 + {v[1]:g} x2 + {v[2]:g}. With such a sum a line is still a line."
    return "The same corners come in another order here: each number is to depend on its own row, not on the place."


def _feature_cases():
    def case(about, X):
        return Case(about, (X,), Property("numbers that make XOR separable", _wrong_feature(X)))

    yield case("the four corners", _CORNERS.copy())
    yield case("seven examples at the corners, in another order", _CORNERS[[1, 1, 3, 0, 2, 3, 0]])
    rng = np.random.default_rng(0)
    near = np.tile(_CORNERS, (5, 1))
    near[:, :2] += np.round(rng.uniform(-0.25, 0.25, (20, 2)) * 64) / 64
    yield case("twenty examples near the corners", near)
    yield case("a single example", near[7:8])


_FEATURE = Exercise(
    notebook="01",
    title="a feature that makes XOR separable",
    goal='see that "separable" is a property of the features.',
    difficulty="easy",
    minutes=10,
    reference=feature,
    cases=_feature_cases,
    mistakes=(),
    hints=(
        "Mark the four corners of the square with their targets. What have the two on each diagonal in common?",
        "A sum of the inputs is no help, a line stays a line. Which product is negative exactly where XOR is +1?",
    ),
    explanation=(
        "The weight -1 on this feature alone is enough. Any number that lifts one diagonal of the square above the "
        "other will do, |x1 + x2| for instance. XOR was not hard in itself: it was hard in these two inputs. A hidden "
        "layer is a way to find such features."
    ),
)

EXERCISES = (_UPDATES, _BY_HAND, _FEATURE)
