"""Two classes, in floating point: weights that seem to separate them, or instances on which their hulls seem to meet.

Answers are fast and likely, never proven: `separability` proves them, or asks for the next.
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from scipy.optimize import linprog


def proposals(X: np.ndarray, t: np.ndarray, values) -> Iterator[tuple[list[Fraction], np.ndarray]]:
    """Pairs of weights (n,) and at most n + 2 instances, the fast before the thorough.

    X (m, n), t (m,) with both classes; values: that of `rational.IntegerPoints`. The first pair comes from the simplex
    method, with columns equal in size. The others come from an interior-point method, with rows equal in size as well,
    so instances may differ by a factor of 1e12. The last two correct the weights before them by the same program, which
    is given their errors, exact and magnified: it sees gaps far below the 1e-7 that it is solved to.
    """
    used = np.flatnonzero(t)
    X, signs = X[used], t[used]
    scaled, _, scale = standardised(X)
    w, support = _meeting(np.c_[scaled, np.ones(len(X))] * signs[:, None], "highs-ds")
    if step := _fractions(w, np.append(scale, 1)):
        yield step[:-1], used[support]

    V, rows, columns = _equal_in_size(X)
    weights, size, errors = [Fraction(0)] * len(columns), Fraction(1), np.zeros(len(X))
    for _ in range(3):
        w, support = _meeting(V * signs[:, None], "highs-ipm", errors)
        step = _fractions(w, columns)
        if not step:
            return
        weights = [a + size * b for a, b in zip(weights, step, strict=True)]
        yield weights[:-1], used[support]
        z, unit = values(weights)
        largest = max(abs(z[i]) for i in used) or 1
        z = np.array([z[i] / largest for i in used]) * signs
        errors, worst = _magnified(z, rows, far=4 * len(columns))  # a step changes none by more than len(columns)
        if not 0 < worst < np.inf:
            return
        size = Fraction(worst) * largest * unit


def standardised(X: np.ndarray):
    """X with every column in [-1, 1], its centre and scale; a constant column becomes 0."""
    low, high = X.min(axis=0) / 2, X.max(axis=0) / 2
    centre, scale = low + high, _nonzero(high - low)
    return (X - centre) / scale, centre, scale


@np.errstate(all="ignore")
def _equal_in_size(X: np.ndarray):
    """(X, 1) with every column, and every row of X, 1 at the largest, and the sizes of both that it was divided by."""
    columns = _nonzero(np.abs(X).max(axis=0))
    rows = _nonzero(np.abs(X / columns).max(axis=1))
    columns = np.append(columns, 1 / rows.min())
    return np.c_[X, np.ones(len(X))] / columns / rows[:, None], rows, columns


def _nonzero(sizes: np.ndarray) -> np.ndarray:
    return np.where(sizes > 0, sizes, 1.0)


@np.errstate(all="ignore")
def _fractions(w: np.ndarray, columns: np.ndarray) -> list[Fraction] | None:
    w = w / columns
    return [Fraction(v) for v in w.tolist()] if np.isfinite(w).all() else None


@np.errstate(all="ignore")
def _magnified(z: np.ndarray, rows: np.ndarray, far: float) -> tuple[np.ndarray, float]:
    """t_i z_i as the program scales them, in units of the worst error and at most `far` of them; and that error."""
    z = z / rows
    worst = max(-z.min(), 1e-12 * z.max())
    return np.minimum(z / worst, far), float(worst)


def _meeting(V: np.ndarray, method: str, errors: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The least sum_i errors_i c_i + ||sum_i c_i V_i||_1 over c >= 0 that add up to 1: dual variables, largest c.

    V (m, k): (x_i, 1) times t_i, scaled. It is 0 for no errors where the hulls meet; else the dual variables are
    weights (k,). They are not finite where the program was not solved: it may circle for ever, so pivots are limited.
    """
    m, k = V.shape
    slack = np.eye(k + 1, k)
    A = np.c_[np.r_[V.T, np.ones((1, m))], slack, -slack]
    cost = np.r_[np.broadcast_to(errors, m), np.ones(2 * k)]
    if not np.isfinite(A).all():
        return np.full(k, np.nan), np.arange(0)
    solved = linprog(cost, A_eq=A, b_eq=np.eye(k + 1)[k], method=method, options={"maxiter": 1000 + 20 * k})
    if solved.status != 0:
        return np.full(k, np.nan), np.arange(0)
    order = np.argsort(-solved.x[:m], kind="stable")[: k + 1]
    return -solved.eqlin.marginals[:k], order[solved.x[order] > 1e-11]
