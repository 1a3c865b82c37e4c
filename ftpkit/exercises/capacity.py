"""The exercises of notebook 01, third part: a bound on paper, and how many targets one unit and three can give."""

import math
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from ..separability import separate
from .card import Case, Exercise, Mistake, Property

_THEOREM = {"gamma": math.sqrt(2), "bound": 2}
_SLIPS = {
    ("gamma", 3 / math.sqrt(2)): "gamma: that is t w* . x of the first two examples. The smallest of the three counts.",
    ("gamma", 1.4): "gamma: nearly. Two decimal places are asked for.",
    ("gamma", 2): "gamma: that is t w . x of the third example for w = (1, 1), whose length is not 1.",
    ("gamma", 3): "gamma: that is t w . x of the first example for w = (1, 1), whose length is not 1. And the third?",
    ("gamma", 1 / math.sqrt(2)): "gamma is 1 / length of the shortest w with t w . x >= 1 everywhere. Is it (1, 1)?",
    ("gamma", 3 / math.sqrt(5)): "gamma: that is the margin along (2, 1) or (1, 2). Between them one is better.",
    ("gamma", 1): "gamma: that is the margin along one of the axes. Which direction treats the first two alike?",
    ("bound", 2.5): "bound: (R / gamma)^2 is right, but mistakes come in whole numbers. Which one is the last allowed?",
    ("bound", 3): "bound: rounded up? 3 mistakes are more than (R / gamma)^2 allows.",
    ("bound", 1): "bound: is R the longest of the three examples, and is R / gamma squared?",
    ("bound", math.sqrt(2.5)): "bound: the square is missing, (R / gamma)^2.",
    ("bound", 5): "bound: that is R^2. It is divided by gamma^2.",
    ("bound", 0.4): "bound: that is (gamma / R)^2, upside down.",
}
_OTHERWISE = {
    ("gamma", True): "gamma: too large. For a w* of length 1, how large can t w* . x get for the shortest example?",
    ("gamma", False): "gamma: another direction has a larger margin. Try one that treats the first two examples alike.",
    ("bound", True): "bound: R is the length of the longest example. More than (R / gamma)^2 mistakes are impossible.",
    ("bound", False): "bound: R is the length of the longest example. As many as (R / gamma)^2 allows, not fewer.",
}


def _wrong_theorem(key: str):
    def wrong(answer) -> str:
        if not isinstance(answer, Mapping) or set(answer) != set(_THEOREM):
            return 'Keep the form of the stub: {"gamma": a number, "bound": a whole number}.'
        try:
            found, right = float(answer[key]), _THEOREM[key]
        except (TypeError, ValueError):
            return f"{key} is to be a number."
        if found == right or (key == "gamma" and math.isclose(found, right, abs_tol=0.01)):
            return ""
        known = [hint for (name, value), hint in _SLIPS.items() if name == key and abs(found - value) < 0.01]
        return known[0] if known else _OTHERWISE[key, found > right]

    return wrong


def _theorem_cases():
    yield Case("the largest margin", expected=Property("gamma, to two decimal places", _wrong_theorem("gamma")))
    yield Case("Novikoff's bound", expected=Property("the most mistakes that (2) allows", _wrong_theorem("bound")))


_NOVIKOFF = Exercise(
    notebook="01",
    title="a margin and a bound",
    goal="compute a margin and Novikoff's bound on paper.",
    difficulty="middling",
    minutes=10,
    reference=_THEOREM,
    name="my_theorem",
    code='my_theorem = {"gamma": np.sqrt(2), "bound": 2}',
    blank='{"gamma": None, "bound": None}  # a number and a whole number',
    cases=_theorem_cases,
    mistakes=(),
    hints=(
        "Only the vectors t x matter: (2, 1), (1, 2), (1, 1). Which w* of length 1 would you try by symmetry?",
        "Can another w* do better on (1, 1), whose length is the root of 2?",
        "gamma is the root of 2, reached in the direction of (1, 1). R is the root of 5. Round (R / gamma)^2 down.",
    ),
    explanation=(
        "For w* = (1, 1) / √2 the numbers t w* . x are 3/√2, 3/√2 and 2/√2 = √2, so its margin is √2. No w* of length "
        "1 gives (1, 1) more than its length, √2. The longest example has R = √5, so (R / γ)² = 5/2: at most 2 "
        "mistakes. The rule really makes 1: after the first example w = (2, 1), which is right for all three."
    ),
)


def share_separable(m: int, n: int) -> float:
    """The share of all 2^m targets that one unit can give to m examples in general position.

    m: number of examples, at least 1, up to a few thousand. n: number of weights, the bias counted, at least 1. By
    Cover (1965) the number of targets is 2 (B(m - 1, 0) + B(m - 1, 1) + ... + B(m - 1, n - 1)), with B the binomial
    coefficient, which is 0 where its lower number is the larger one. Returns a share, from 0 to 1.
    """
    return 2 * sum(math.comb(m - 1, k) for k in range(n)) / 2**m


def _share_cases():
    yield Case("the four corners of a square, two weights and a bias", (4, 3))
    yield Case("three points on a line, a weight and a bias", (3, 2))
    yield Case("ten examples, a weight and no bias", (10, 1))
    yield Case("fewer examples than weights", (2, 3))
    yield Case("a single example", (1, 1))
    yield Case("twice as many examples as weights", (1570, 785))
    yield Case("a few more", (1600, 785))


def _count(m, n, low=1):
    return 2 * sum(math.comb(m - low, k) for k in range(n))


_COVER = Exercise(
    notebook="01",
    title="how many targets can a unit give?",
    goal="see how little it means that many weights separate few examples.",
    difficulty="middling",
    minutes=15,
    reference=share_separable,
    cases=_share_cases,
    mistakes=(
        Mistake(
            "one term too many",
            lambda m, n: _count(m, n + 1) / 2**m,
            "One term too many: the sum has n terms, from 0 to n - 1. (The bias is among the n weights already.)",
        ),
        Mistake(
            "one term too few",
            lambda m, n: _count(m, n - 1) / 2**m,
            "One term too few: the sum has n terms, and `range(n)` ends with n - 1 by itself.",
        ),
        Mistake(
            "begins with 1",
            lambda m, n: (_count(m, n) - 2) / 2**m,
            "The term with k = 0 is missing: `range(1, n)` begins with 1.",
        ),
        Mistake(
            "m instead of m - 1",
            lambda m, n: _count(m, n, low=0) / 2**m,
            "The upper number of the binomial coefficients is m - 1.",
        ),
        Mistake(
            "2 forgotten",
            lambda m, n: _count(m, n) / 2 / 2**m if m < 1000 else _count(m, n) // 2 / 2**m,
            "Half of it is missing: targets come in pairs, turn all their signs and the unit turns its weights.",
        ),
        Mistake(
            "the number",
            lambda m, n: _count(m, n),
            "That is the number of targets that the unit can give. Of how many?",
        ),
        Mistake(
            "per cent",
            lambda m, n: 100 * _count(m, n) / 2**m,
            "A share goes from 0 to 1: this is in per cent.",
        ),
        Mistake(
            "whole numbers",
            lambda m, n: _count(m, n) // 2**m,
            "Only 0 and 1 come out: `//` drops what is behind the point, `/` keeps it.",
        ),
        Mistake(
            "one term",
            lambda m, n: 2 * math.comb(m - 1, n - 1) / 2**m,
            "That is the last term only: all terms from k = 0 on are summed.",
        ),
        Mistake(
            "floats too large",
            lambda m, n: _count(m, n) / 2**m if m < 1000 else math.nan,
            "With many examples the numbers are too large for floats: Python's own whole numbers are not, `math.comb`.",
        ),
    ),
    hints=(
        "How many targets are there in all for m examples? The formula gives how many of them the unit can give.",
        "`math.comb(m - 1, k)` is B(m - 1, k), a whole number of any size, and 0 where k is larger than m - 1.",
        "`2 * sum(math.comb(m - 1, k) for k in range(n))`, divided by `2**m`: whole numbers up to the last division.",
    ),
    explanation=(
        "Of the 16 targets of the four corners a unit gives 14: XOR and its opposite are missing. Up to as many "
        "examples as weights the share is 1, with twice as many it is exactly 1/2, and for many weights it falls from "
        "nearly 1 to nearly 0 in a short stretch around that. Before it, no mistake in training proves little."
    ),
)


class _Separable:
    """The notebook's function of this name, exact and with a memory."""

    def __call__(self, X, t):
        X, t = np.asarray(X, float), np.asarray(t, float)
        if X.ndim != 2 or t.shape != (len(X),):
            raise ValueError(f"X of shape (m, n) and t of shape (m,) are wanted, not {X.shape} and {t.shape}")
        return _through_0(frozenset(zip(map(tuple, X.tolist()), t.tolist(), strict=True)))

    def __repr__(self):
        return "separable"


@cache
def _through_0(examples: frozenset) -> bool:
    X, t = (np.array(each) for each in zip(*examples, strict=True))
    return separate(np.r_[X, -X], np.r_[t, -t]).separable  # with the mirror images the bias is 0 by symmetry


_SEPARABLE = _Separable()


def feasible_targets(
    X: np.ndarray, t: np.ndarray, separable: Callable[[np.ndarray, np.ndarray], bool]
) -> list[np.ndarray]:
    """All feasible targets of two hidden units.

    X: examples, (m, n), with the constant 1 for the bias. t: the targets of the output unit, (m,), -1 or +1.
    separable: as above; separable(X, t) says whether one unit can give the targets t, (m,), to the examples X. Returns
    a list of arrays (m, 2), -1 or +1: a column for each hidden unit, such that both hidden units and the output unit,
    which sees the two columns and a constant 1, have separable sets. Any order will do.
    """
    found = []
    for choice in np.ndindex((2,) * (2 * len(X))):
        T = 2 * np.array(choice).reshape(len(X), 2) - 1
        hidden = separable(X, T[:, 0]) and separable(X, T[:, 1])
        if hidden and separable(np.c_[T, np.ones(len(X))], t):
            found.append(T)
    return found


def _wrong_targets(X: np.ndarray, t: np.ndarray):
    def wrong(found) -> str:
        if isinstance(found, int | float | np.number):
            return "That is a number: give the targets themselves, how many they are `len` can tell."
        try:
            if np.shape(found) == (len(t), 2):
                return "That is a single choice: a list of all that are feasible is wanted."
            found = [np.asarray(each, float) for each in found]
        except (TypeError, ValueError):
            return "It is to be a list of arrays."
        return _wrong_form(found, len(t)) or _wrong_set(X, t, [tuple(map(tuple, T)) for T in found])

    return wrong


def _wrong_form(found: list[np.ndarray], m: int) -> str:
    for T in found:
        if T.shape in ((2, m), (2 * m,)) and T.shape != (m, 2):
            return (
                f"Each array is to have the shape ({m}, 2), a column for each hidden unit; there is one of {T.shape}."
            )
        if T.shape != (m, 2):
            return f"Each array is to have the shape ({m}, 2): targets of two hidden units, and nothing else."
        if np.isin(T, (0, 1)).all() and (T == 0).any():
            return "Targets are -1 or +1: there is an array of 0 and 1."
        if not np.isin(T, (-1, 1)).all():
            return "Targets are -1 or +1: there are other numbers."
    return ""


def _wrong_set(X, t, found: list[tuple]) -> str:
    right = {tuple(map(tuple, T)) for T in feasible_targets(X, t, _SEPARABLE)}
    for T in found:
        if T not in right:
            return _not_feasible(X, np.array(T))
    missing = sorted(right - set(found))
    if not missing:
        return "" if len(found) == len(right) else "Some targets stand in the list twice."
    if not found:
        return (
            "None at all? There are some. What does the output unit see, has it a constant 1, and what are its targets?"
        )
    if all(tuple(row[::-1] for row in T) in found for T in missing):
        return "Exchange the two units: that is another choice of targets, and it counts as well."
    return f"{_columns(missing[0])} is missing, one of {len(missing)}: why did it fall through?"


def _not_feasible(X, T) -> str:
    for unit in (0, 1):
        if not _SEPARABLE(X, T[:, unit]):
            return (
                f"{_columns(T)} is in it, but hidden unit {unit + 1} cannot give its column: its set is not separable."
            )
    return f"{_columns(T)} is in it. The hidden units can give that, but the output unit sees only these two: can it?"


def _columns(T) -> str:
    return " and ".join(str([int(each) for each in column]) for column in zip(*T, strict=True))


def _target_cases():
    def case(about, X, t):
        X, t = np.c_[np.array(X, float), np.ones(len(t))], np.array(t)
        feasible = Property("all feasible targets, (m, 2) each, in any order", _wrong_targets(X, t))
        return Case(about, (X, t, _SEPARABLE), feasible)

    square = [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    yield case("XOR", square, [-1, 1, 1, -1])
    yield case("three examples on a line", [[0], [1], [2]], [1, -1, 1])
    yield case("AND, which is separable itself", square, [-1, -1, -1, 1])
    yield case("a single example", [[2, 3]], [1])


_FEASIBLE = Exercise(
    notebook="01",
    title="feasible targets for XOR",
    goal="see the combinatorial half of the problem.",
    difficulty="harder",
    minutes=20,
    reference=feasible_targets,
    cases=_target_cases,
    mistakes=(),
    hints=(
        "Two hidden units and m examples: how many choices are there? For each of them ask three questions.",
        "`np.ndindex((2,) * (2 * m))` runs through all rows of 2 m zeros and ones: make -1 and +1 of them, reshape.",
        "Ask `separable(X, T[:, 0])`, `separable(X, T[:, 1])`, and `separable(np.c_[T, np.ones(len(X))], t)`.",
    ),
    explanation=(
        "For XOR 16 of the 256 choices are feasible. OR and AND, with units exchanged or signs turned, are 8 of them; "
        '"the first input but not the second" and "the second but not the first" give the other 8. One choice in '
        "sixteen is right, so here guessing would do. But each further example makes four times as many choices."
    ),
    by_hand=False,
)

EXERCISES = (_NOVIKOFF, _COVER, _FEASIBLE)
