"""Answers to the exercises of notebook 02, first part."""

import itertools
import math
from fractions import Fraction

import numpy as np

from answers import Answers
from ftpkit.separability import separate

LABELS = (1, -1, -1, 1)
SETTINGS = {"a": "+--- ---+", "b": "+--+ ----", "c": "-+++ +++-", "d": "+--- ++++", "e": "-+-+ ++--"}


def who_fails_by_separate():
    fails = {}
    for letter, text in SETTINGS.items():
        T = np.array([[1 if sign == "+" else -1 for sign in column] for column in text.split()]).T
        hidden = all(verdict.separable for verdict in separate(np.arange(4)[:, None], T))
        output = separate(T, LABELS).separable
        fails[letter] = {(1, 1): "nobody", (0, 1): "hidden", (1, 0): "output", (0, 0): "both"}[hidden, output]
    return fails


def said(**letters):
    return who_fails_by_separate() | letters


def largest_by_list(settings, limit):
    return next(m for m in itertools.count() if settings(m + 1) > limit)


def largest_by_bisection(settings, limit):
    low, high = 0, 1
    while settings(high) <= limit:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if settings(middle) <= limit else (low, middle)
    return low


def first_beyond(settings, limit):
    m = 1
    while settings(m) <= limit:
        m += 1
    return m


def largest_from(m, go_on):
    def answer(settings, limit):
        n = m
        while go_on(settings(n + 1), limit):
            n += 1
        return n

    return answer


def largest_settings(settings, limit):
    found = 0
    for m in range(1, 4000):
        if settings(m) > limit:
            break
        found = settings(m)
    return found or settings(0)


def certificate_side_by_side(X, t, support, coefficients):
    points = {1: [Fraction(0)] * X.shape[1], -1: [Fraction(0)] * X.shape[1]}
    sums = {1: Fraction(0), -1: Fraction(0)}
    for i, c in zip(support, coefficients):  # noqa: B905
        if c < 0:
            return False
        sums[t[i]] += c
        points[t[i]] = [p + c * Fraction(x) for p, x in zip(points[t[i]], X[i])]  # noqa: B905
    return sums == {1: 1, -1: 1} and points[1] == points[-1]


def certificate_in_object_arrays(X, t, support, coefficients):
    exact = np.array([[Fraction(x) for x in row] for row in X[support].tolist()], dtype=object)
    signed = np.array(coefficients, dtype=object) * t[support].tolist()
    sums = signed[t[support] == 1].sum(), signed[t[support] == -1].sum()
    return np.bool_((signed @ exact == 0).all() and sums == (1, -1) and min(coefficients) >= 0)


def mixture(X, t, support, coefficients, side):
    total = 0
    for i, c in zip(support, coefficients):  # noqa: B905
        if t[i] == side:
            total = total + np.array([c * Fraction(x) for x in X[i].tolist()], dtype=object)
    return total


def sums(t, support, coefficients):
    return [sum(c for i, c in zip(support, coefficients) if t[i] == side) for side in (1, -1)]  # noqa: B905


def certificate_with(condition):
    """The mixtures are compared rightly, and the rest of (1) is this."""

    def answer(X, t, support, coefficients):
        same = np.all(mixture(X, t, support, coefficients, 1) == mixture(X, t, support, coefficients, -1))
        return bool(same and condition(coefficients, *sums(t, support, coefficients)))

    return answer


def certificate_in_floats(X, t, support, coefficients, close=False):
    c, sides, rows = np.array([float(c) for c in coefficients]), np.array(t)[support], X[support]
    plus, minus = ((c[sides == s, None] * rows[sides == s]).sum(axis=0) for s in (1, -1))
    if (c < 0).any() or not all(math.isclose(c[sides == s].sum(), 1) for s in (1, -1)):
        return False
    return bool(np.abs(plus - minus).max() < 1e-9 if close else (plus == minus).all())


def certificate_of_first_rows(X, t, support, coefficients):
    m = len(coefficients)
    return certificate_side_by_side(X[:m], t[:m], range(m), coefficients)


def certificate_of_first_input(X, t, support, coefficients):
    return certificate_side_by_side(X[:, [0]], t, support, coefficients)


def certificate_of_decimals(X, t, support, coefficients):
    return certificate_side_by_side(
        np.array([[Fraction(repr(x)) for x in row] for row in X.tolist()]), t, support, coefficients
    )


def certificate_of_simple_fractions(X, t, support, coefficients):
    simple = [[Fraction(x).limit_denominator() for x in row] for row in X.tolist()]
    return certificate_side_by_side(np.array(simple), t, support, coefficients)


def certificate_without_signs(X, t, support, coefficients):
    """The mixture of all rows is to be 0."""
    total = sum(np.array([c * Fraction(x) for x in X[i].tolist()]) for i, c in zip(support, coefficients))  # noqa: B905
    return not any(total) and sums(t, support, coefficients) == [1, 1] and min(coefficients) >= 0


ANSWERS = {
    "who_fails": Answers(
        right=[
            dict(reversed(who_fails_by_separate().items())),
            {letter: f" {word.title()}" for letter, word in who_fails_by_separate().items()},
        ],
        wrong={
            "property / a hidden": said(a="hidden"),
            "property / a output": said(a="output"),
            "property / the label is best": said(b="nobody"),
            "property / b output": said(b="both"),
            "property / c hidden": said(c="hidden"),
            "property / c output": said(c="output"),
            "property / a constant unit": said(d="both"),
            "property / d nobody": said(d="nobody"),
            "property / e hidden": said(e="hidden"),
            "property / e output": said(e="output"),
            "property / another word": said(a="none"),
            "property / another form": list(said().values()),
        },
    ),
    "largest_m": Answers(
        right=[largest_by_list, largest_by_bisection],
        wrong={
            "strictly smaller": largest_from(0, lambda number, limit: number < limit),
            "one too many": first_beyond,
            "never 0": largest_from(1, lambda number, limit: number <= limit),
            "the number of settings": largest_settings,
            "limit ignored": largest_from(0, lambda number, limit: number <= 1_000_000_000),
            "8 ** m every time": lambda settings, limit: int(math.log(limit) / math.log(8)),
            "first case": lambda settings, limit: 9,
            "nothing returned": lambda settings, limit: None if settings(1) else 0,
            "raised": lambda settings, limit: max(m for m in range(1, 4000) if settings(m) <= limit),
        },
    ),
    "is_certificate": Answers(
        right=[certificate_side_by_side, certificate_in_object_arrays],
        wrong={
            "tolerance": lambda *given: certificate_in_floats(*given, close=True),
            "computed in floats": certificate_in_floats,
            "tolerance / small denominators": certificate_of_simple_fractions,
            "decimals": certificate_of_decimals,
            "sums forgotten": certificate_with(lambda c, plus, minus: min(c) >= 0),
            "sums only equal": certificate_with(lambda c, plus, minus: min(c) >= 0 and plus - minus == 0),
            "one sum forgotten": certificate_with(lambda c, plus, minus: min(c) >= 0 and plus == 1),
            "1 in all": certificate_with(lambda c, plus, minus: min(c) >= 0 and sum(c) == 1),
            "2 in all": certificate_with(lambda c, plus, minus: sum(c) == 2 and all(0 <= x <= 1 for x in c)),
            "negative coefficients": certificate_with(lambda c, plus, minus: (plus, minus) == (1, 1)),
            "no coefficient may be 0": certificate_with(lambda c, plus, minus: min(c) > 0 and plus == minus == 1),
            "support ignored": certificate_of_first_rows,
            "first input only": certificate_of_first_input,
            "never True": certificate_without_signs,
            "first case": lambda X, t, support, coefficients: len(support) > 0,
            "the kit's own": lambda X, t, support, coefficients: not separate(X[support], t[support]).separable,
        },
    ),
}
