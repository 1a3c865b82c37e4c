"""Data on the edge of separability, and what a verdict says, worked out again in fractions, without ftpkit."""

from fractions import Fraction
from math import lcm

import numpy as np


def rows(X):
    """The rows of X with a 1 for the bias, as the rationals that the float64s are."""
    return [[*map(Fraction, row), Fraction(1)] for row in np.asarray(X, dtype=np.float64).tolist()]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def whole(values):
    """Numbers of any kind times the least positive integer that makes them all integers."""
    ratios = [v.as_integer_ratio() for v in values]
    common = lcm(*(q for _, q in ratios))
    return [p * (common // q) for p, q in ratios]


def errors(X, t, w):
    """How many instances with a target of -1 or +1 weights (n + 1,), numbers of any kind, do not put on its side."""
    X, w = np.asarray(X, dtype=np.float64).tolist(), whole(w)
    return sum(int(s) * dot(whole([*row, 1]), w) <= 0 for row, s in zip(X, t, strict=True) if s)


def proven(X, t, verdict):
    """verdict.separable, after everything that the verdict claims about (X, t) was found to be true."""
    n = np.shape(X)[1]
    if verdict.separable is None:
        assert verdict.reason
        assert not hasattr(verdict, "exact") and not hasattr(verdict, "coefficients")
    elif verdict.separable:
        assert len(verdict.exact) == n + 1 and all(isinstance(v, Fraction) for v in verdict.exact)
        assert errors(X, t, verdict.exact) == 0
        assert verdict.weights.shape == (n + 1,) and verdict.weights.dtype == np.float64
        assert np.isfinite(verdict.weights).all()
        both = {-1, 1} <= {int(s) for s in t}
        assert verdict.margin >= 0 and np.isfinite(verdict.margin) == both
    else:
        support = [int(i) for i in verdict.support]
        assert support == sorted(set(support)) and len(support) <= n + 2
        assert len(verdict.coefficients) == len(support)
        assert all(isinstance(c, Fraction) and c > 0 for c in verdict.coefficients)
        hull = {-1: [Fraction(0)] * (n + 1), 1: [Fraction(0)] * (n + 1)}
        for i, point, c in zip(support, rows(np.asarray(X)[support]), verdict.coefficients, strict=True):
            side = hull[int(t[i])]  # a KeyError where the target is 0
            side[:] = [a + c * b for a, b in zip(side, point, strict=True)]
        assert hull[1] == hull[-1] and hull[1][n] == 1
    return verdict.separable


def margin(X, t, w):
    """min_i t_i (w . x_i + b) / ||w||, squared, as a fraction."""
    least = min(int(s) * dot(row, w) for row, s in zip(rows(X), t, strict=True) if s)
    return least * abs(least) / dot(w[:-1], w[:-1])


def facet(n, factor):
    """The corners of a simplex against a point inside its facet sum_j x_j = 1, moved out of it exactly by the factor.

    Separable if and only if the factor is more than 1. All shares are powers of 2, so no coordinate is rounded.
    """
    shares = np.array([2.0**-k for k in range(1, n)] + [2.0 ** -(n - 1)])
    X = np.r_[np.zeros((1, n)), np.eye(n), shares[None] * factor]
    return X, np.r_[np.ones(n + 1, int), -1]


def labelled(m, n, seed, wrong=0):
    """Gaussian points, labelled by a hyperplane; the `wrong` ones that are farthest from it have the other label."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, n))
    z = X @ rng.normal(size=n) + rng.normal() / 2
    t = np.where(z > 0, 1, -1)
    t[np.argsort(-np.abs(z))[:wrong]] *= -1
    return X, t
