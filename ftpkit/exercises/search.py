"""The exercises of notebook 02, first part: who cannot give its targets, how far counting carries, what a proof is."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .card import Case, Exercise, Mistake, Property

_FAILS = {"a": "nobody", "b": "hidden", "c": "nobody", "d": "output", "e": "both"}
_HIDDEN = {
    "a": "Look again at a, unit 1: its targets change once along the line. Where would its threshold stand?",
    "b": "Look again at b, unit 1: it is asked for the label itself. How many thresholds would that take on the line?",
    "c": "Look again at c: the targets of both units change once along the line. Does it matter to which side?",
    "d": "Look again at d, unit 2: every target is +. Is there no weight and bias for that?",
    "e": "Look again at e, unit 1: how often do its targets change along the line?",
}
_OUTPUT = {
    "a": "Look again at a: draw the targets of the four instances as corners of a square, with the labels beside them.",
    "b": "Look again at b: the output unit sees the targets, as if they were reached. Can it tell the labels by them?",
    "c": "Look again at c: the output unit may have negative weights. Which corners of the square are to be cut off?",
    "d": "Look again at d: what does the output unit see of instance 2, and what of instance 4?",
    "e": "Look again at e: draw the four corners that the output unit sees, with the labels. Do you know the picture?",
}
_WORDS = ("nobody", "hidden", "output", "both")


def _failing(letter: str) -> Property:
    def wrong(answer) -> str:
        if not isinstance(answer, Mapping) or set(answer) != set(_FAILS):
            return 'Keep the form of the stub: {"a": "nobody", ...}, with the five letters a to e.'
        said, truth = str(answer[letter]).strip().lower(), _FAILS[letter]
        if said not in _WORDS:
            return f"Four words are possible: {', '.join(_WORDS)}."
        if (said in ("hidden", "both")) != (truth in ("hidden", "both")):
            return _HIDDEN[letter]
        return "" if said == truth else _OUTPUT[letter]

    return Property("the one of the two layers that cannot give its targets, or both, or nobody", wrong)


def _failing_cases():
    for letter in _FAILS:
        yield Case(f"the setting {letter}", expected=_failing(letter))


_WHO = Exercise(
    notebook="02",
    title="who cannot do it?",
    goal="see at a glance whether a setting is feasible.",
    difficulty="easy",
    minutes=5,
    reference=_FAILS,
    name="who_fails",
    blank='{"a": None, "b": None, "c": None, "d": None, "e": None}  # "nobody", "hidden", "output" or "both"',
    cases=_failing_cases,
    mistakes=(),
    hints=(
        "Two questions for each setting: is every column given by a unit on the line, and is the label given by a unit "
        "that sees the two columns?",
        "On a line a unit has one threshold, so its targets change at most once from left to right.",
        "For the output unit draw a square: each instance stands on the corner of its two targets, with its label.",
    ),
    explanation=(
        "a is OR of two units that cut off the two ends; c is the same with all signs turned, which the output unit "
        "turns back. In b the output unit could not have it easier, but unit 1 is asked for what no unit on a line "
        "does: the problem is handed down, not solved. In d the hidden units are content, and instances 2 and 4 look "
        "alike to the output unit, though their labels differ. In e unit 1 would need three thresholds, and the output "
        "unit sees XOR. Of the 256 settings, 64 suit the hidden units, 76 suit the output unit, and 8 suit both."
    ),
)


def largest_m(settings: Callable[[int], int], limit: int) -> int:
    """How many instances a search can have if it looks at every setting.

    settings: a function; settings(m) is the number of settings for m = 1, 2, 3, ... instances, and grows with m. limit:
    so many settings can be looked at. Returns the largest m for which settings(m) is at most limit; 0 if even one
    instance has too many.
    """
    m = 0
    while settings(m + 1) <= limit:
        m += 1
    return m


@dataclass(frozen=True)
class _Count:
    """A function of m that shows its formula."""

    formula: str
    count: Callable[[int], int]

    def __call__(self, m):
        return self.count(m)

    def __repr__(self):
        return f"lambda m: {self.formula}"


def _growth_cases():
    yield Case("all settings of three hidden units", (_Count("8**m", lambda m: 8**m), 10**9))
    yield Case("exactly as many as can be looked at", (_Count("2**m", lambda m: 2**m), 1024))
    triples = _Count("comb(1 + comb(m, 2), 3)", lambda m: math.comb(1 + math.comb(m, 2), 3))
    yield Case("three columns that a line gives, in the plane", (triples, 10**9))
    pairs = _Count("comb(3 * m, 2)", lambda m: math.comb(3 * m, 2))
    yield Case("all pairs of flips, three hidden units", (pairs, 10**6))
    yield Case("too many for a single instance", (_Count("2 ** (40 * m)", lambda m: 2 ** (40 * m)), 10**9))


_GROWTH = Exercise(
    notebook="02",
    title="how far does counting carry?",
    goal="feel the growth.",
    difficulty="easy",
    minutes=10,
    reference=largest_m,
    cases=_growth_cases,
    mistakes=(
        Mistake(
            "strictly smaller",
            lambda settings, limit: largest_m(settings, limit - 1),
            "Right but for one border: exactly as many settings as the limit can still be looked at.",
        ),
        Mistake(
            "one too many",
            lambda settings, limit: largest_m(settings, limit) + 1,
            "That is the first m that is too large: the one before it is wanted.",
        ),
        Mistake(
            "never 0",
            lambda settings, limit: max(1, largest_m(settings, limit)),
            "It never says 0: is m = 1 tested, or only what comes after it?",
        ),
        Mistake(
            "the number of settings",
            lambda settings, limit: settings(largest_m(settings, limit)),
            "That is the number of settings. Of how many instances?",
        ),
        Mistake(
            "limit ignored",
            lambda settings, limit: largest_m(settings, 10**9),
            "A thousand million is the limit of the first case: the function is told its own.",
        ),
        Mistake(
            "8 ** m every time",
            lambda settings, limit: largest_m(lambda m: 8**m, limit),
            "That formula belongs to the first case: ask `settings` how many there are.",
        ),
    ),
    hints=(
        "Count m up as long as the next one is still allowed. With which m do you begin, if 0 is a possible answer?",
        "A `while` loop will do; its condition is about m + 1.",
        "`m = 0`, then `while settings(m + 1) <= limit: m += 1`.",
    ),
    explanation=(
        "If all settings of three hidden units are looked at, a thousand million evaluations are enough for 9 "
        "instances: each further one makes eight times as many. If only columns that a line gives are looked at, they "
        "are enough for 60, because their number is a power of m. A step of hill climbing looks at 3 m settings; what "
        "it gives up for that is the proof."
    ),
)


def is_certificate(X: np.ndarray, t: np.ndarray, support: list[int], coefficients: list[Fraction]) -> bool:
    """Is this a proof, by equation (1), that no unit gives these targets?

    X: inputs, (m, n), floats. t: targets, (m,), -1 or +1. support: numbers of some rows of X, none of them twice.
    coefficients: a fraction for each of these rows, in the same order; they may be anything. Returns True if (1) holds
    for these rows, without any rounding, else False. A float is a fraction as well: Fraction(x).
    """
    signed = [int(t[i]) * c for i, c in zip(support, coefficients, strict=True)]
    if any(c < 0 for c in coefficients) or sum(v for v in signed if v > 0) != 1 or sum(signed) != 0:
        return False
    mixture = [sum(v * Fraction(X[i, k]) for i, v in zip(support, signed, strict=True)) for k in range(X.shape[1])]
    return not any(mixture)


_SQUARE, _XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1]


def _certificate_cases():
    def case(about, X, t, support, coefficients):
        return Case(about, (np.array(X, float), np.array(t), support, list(map(Fraction, coefficients))))

    half, third = Fraction(1, 2), Fraction(1, 3)
    yield case("XOR: the middle of both diagonals", _SQUARE, _XOR, [0, 1, 2, 3], [half] * 4)
    yield case("XOR with thirds", _SQUARE, _XOR, [0, 1, 2, 3], [third] * 4)
    yield case("two instances", _SQUARE, _XOR, [0, 1], [1, 1])
    six = [[9, 9], [5, 0], [2, 2], [9, 0], [0, 1], [1, 5]]
    yield case(
        "a point in a triangle, with thirds that no float holds",
        six,
        [1, 1, -1, -1, 1, 1],
        [4, 1, 5, 2],
        [third] * 3 + [1],
    )
    rows = [[9, 9, 9], [0.1, 0.2, 0.7], [7, 7, 7], [0.1, 0.2, 0.7]]
    yield case("one point with both targets, three inputs", rows, [1, -1, -1, 1], [3, 1], [1, 1])
    yield case("0.1 + 0.2 is not 0.3", [[0.1 + 0.2], [0.3]], [1, -1], [0, 1], [1, 1])
    middle = "as floats, 0.2 is not in the middle of 0.1 and 0.3"
    yield case(middle, [[0.1], [0.2], [0.3]], [1, -1, 1], [0, 2, 1], [half, half, 1])
    yield case("targets that a unit gives", [[0], [1], [2]], [1, 1, -1], [0, 1, 2], [-1, 2, 1])
    yield case("a row that counts for nothing", [*_SQUARE, [5, 5]], [*_XOR, 1], [0, 1, 2, 3, 4], [half] * 4 + [0])
    yield case("2 in all, and a unit there is", [[3], [1], [0], [1]], [1, -1, -1, -1], [0, 1, 3], [half, 1, half])
    yield case("rows of one side only", [[-1, 0], [1, 0], [5, 5]], [1, 1, -1], [0, 1], [half] * 2)


def _checked(X, t, support, coefficients, *, sums=lambda plus, minus: plus == minus == 1, least=0, number=Fraction):
    """A check of the two sides that can be made wrong."""
    sides = [[(number(c), X[i]) for i, c in zip(support, coefficients, strict=True) if t[i] == s] for s in (1, -1)]
    plus, minus = ([sum(c * number(x[k]) for c, x in side) for k in range(X.shape[1])] for side in sides)
    return plus == minus and min(coefficients) >= least and sums(*(sum(c for c, _ in side) for side in sides))


def _nearly(X, t, support, coefficients):
    c, X, plus = np.array(coefficients, float), X[support], t[support] == 1
    near = np.allclose(c[plus] @ X[plus], c[~plus] @ X[~plus]) and np.allclose([c[plus].sum(), c[~plus].sum()], 1)
    return near and c.min() >= 0


_CERTIFICATE = Exercise(
    notebook="02",
    title="is it a certificate?",
    goal="check a proof in exact arithmetic.",
    difficulty="easy",
    minutes=10,
    reference=is_certificate,
    cases=_certificate_cases,
    mistakes=(
        Mistake(
            "tolerance",
            _nearly,
            "Points that nearly coincide prove nothing: there may be a line between them. Compare fractions, with ==.",
        ),
        Mistake(
            "computed in floats",
            lambda X, t, support, coefficients: _checked(X, t, support, coefficients, number=float),
            "Somewhere a fraction became a float, and was rounded: turn every input into a Fraction first.",
        ),
        Mistake(
            "decimals",
            lambda *given: _checked(*given, number=lambda x: Fraction(str(x))),
            "The float `0.1` is not 1/10: `Fraction(x)` is what x is, `Fraction(str(x))` what is printed of it.",
        ),
        Mistake(
            "sums forgotten",
            lambda *given: _checked(*given, sums=lambda plus, minus: True),
            "The mixtures are compared. What else does (1) ask of the coefficients?",
        ),
        Mistake(
            "sums only equal",
            lambda *given: _checked(*given, sums=lambda plus, minus: plus == minus),
            "The two sums agree, but (1) says what they are.",
        ),
        Mistake(
            "one sum forgotten",
            lambda *given: _checked(*given, sums=lambda plus, minus: plus == 1),
            "(1) speaks of two sums, one for each side. What if a side has no row at all?",
        ),
        Mistake(
            "1 in all",
            lambda *given: _checked(*given, sums=lambda plus, minus: plus + minus == 1),
            "The coefficients of each side add up to 1, not those of both together.",
        ),
        Mistake(
            "2 in all",
            lambda *given: _checked(*given, sums=lambda plus, minus: plus + minus == 2),
            "That the coefficients add up to 2 in all is not enough: (1) speaks of each side.",
        ),
        Mistake(
            "negative coefficients",
            lambda *given: _checked(*given, least=-math.inf),
            "A mixture with a negative coefficient can lie outside of the hull of its points: see (1) again.",
        ),
        Mistake(
            "no coefficient may be 0",
            lambda *given: _checked(*given) and min(given[-1]) > 0,
            "(1) allows coefficients of 0: such a row is superfluous, and the proof holds.",
        ),
        Mistake(
            "support ignored",
            lambda X, t, support, coefficients: _checked(X, t, range(len(support)), coefficients),
            "The coefficients belong to the rows in `support`, in that order, not to the first rows of X.",
        ),
        Mistake(
            "first input only",
            lambda X, *given: _checked(X[:, :1], *given),
            "Two points are the same if all of their inputs are: only the first is compared.",
        ),
        Mistake(
            "never True",
            lambda *given: False,
            "It never says True. Work out both mixtures for XOR on paper: where does your function leave that way?",
        ),
    ),
    hints=(
        "Three conditions: on the sign of the coefficients, on their sum on each side, on the two mixtures.",
        "Multiply each coefficient by its target. What must the signed ones add up to, and their mixture of the rows?",
        "For each input k: `sum(int(t[i]) * c * Fraction(X[i, k]) for i, c in zip(support, coefficients)) == 0`.",
    ),
    explanation=(
        "With targets as signs the two mixtures are one sum that must be 0. Nothing here is rounded, so whoever "
        "doubts a claim that no unit exists can check it in a moment, without trust in the solver that found it. A "
        "coefficient of 1/3 as a float is no third, and `0.1 + 0.2` is not `0.3`: a threshold fits between the two."
    ),
)

EXERCISES = (_WHO, _GROWTH, _CERTIFICATE)
