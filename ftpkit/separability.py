"""Is (X, t) linearly separable? Weights that separate, or a certificate that none do, each proven without rounding.

A linear program in floating point only proposes. What it proposes is proven in rational arithmetic, where every float64
is the rational that it is: t_i (w . x_i + b) > 0 for all i, or a point that lies in both convex hulls. By Farkas' lemma
exactly one of the two exists. Instances with t_i = 0 are ignored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp, nnls

from .hulls import proposals, standardised


@dataclass(frozen=True, eq=False)
class Separation:
    """Weights that separate. ``exact``: n + 1 rationals (w, b) with t_i (w . x_i + b) > 0 for every t_i that is not 0.

    weights: the same rounded to float64, (n + 1,), the bias last. margin: min_i t_i (w . x_i + b) / ||w|| of the exact
    ones, the distance of the nearest instance from the hyperplane; infinite where only one class is there and w is 0.
    """

    weights: np.ndarray
    margin: float
    exact: tuple[Fraction, ...]
    separable = True


@dataclass(frozen=True, eq=False)
class Certificate:
    """A proof that nothing separates: a point in the convex hull of either class, on at most n + 2 instances.

    support: indices of the instances, ascending. coefficients: a positive rational for each; they add up to 1 over the
    instances with t = +1, and over those with t = -1, and both sums of c_i x_i are the same point, exactly.
    """

    support: np.ndarray
    coefficients: tuple[Fraction, ...]
    separable = False


@dataclass(frozen=True, eq=False)
class Undecided:
    """Neither could be proven within the pivots allowed."""

    reason: str
    separable = None


Verdict = Separation | Certificate | Undecided


def separate(X, t, *, pivots: int | None = None) -> Verdict | list[Verdict]:
    """Decide whether a hard-threshold unit exists that gives every instance its target.

    X: (m, n), finite numbers. t: (m,) in {-1, 0, +1}, or (m, k) for the k units of a layer, which returns a list of k
    verdicts. pivots: of the exact simplex method, which is called where floating point has not settled the matter; by
    default so many that they take seconds at most. Raises ValueError for other shapes and values, and for empty data.

    >>> square = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> both, xor = separate(square, [[-1, -1], [-1, 1], [-1, 1], [1, -1]])  # AND, XOR
    >>> both.separable, round(both.margin, 3)
    (True, 0.354)
    >>> xor.separable, xor.support.tolist(), [str(c) for c in xor.coefficients]
    (False, [0, 1, 2, 3], ['1/2', '1/2', '1/2', '1/2'])
    >>> separate([[0.0], [1.0], [1 + 1e-15], [2.0]], [-1, -1, 1, 1]).separable
    True
    """
    return Points(X, pivots=pivots).separate(t)


class Points:
    """Instances about which `separate` is asked many times: prepared once, and what was proven is remembered.

    A certificate also answers every later question with the same, or the opposite, targets on its support.
    """

    def __init__(self, X, *, pivots: int | None = None):
        self.X = as_points(X)
        m, n = self.X.shape
        if pivots is not None and pivots < 0:
            raise ValueError(f"pivots must be 0 or more, not {pivots}")
        self.pivots = 1_000_000 // (n + 2) ** 2 if pivots is None else pivots
        self._integer = None
        self._known: dict[bytes, Verdict] = {}
        self._certificates: list[Certificate] = []
        self._signs = np.zeros((0, m), np.int32)  # one row for each certificate: its targets on its support, else 0

    def separate(self, t) -> Verdict | list[Verdict]:
        """As the function `separate`."""
        t = as_targets(t, len(self.X))
        return self._one(t) if t.ndim == 1 else [self._one(np.ascontiguousarray(column)) for column in t.T]

    def _one(self, t: np.ndarray) -> Verdict:
        key = t.tobytes()
        if key not in self._known:
            self._known[key] = self._recall(t) or self._decide(t)
        return self._known[key]

    def _recall(self, t: np.ndarray) -> Certificate | None:
        agreement = np.abs(self._signs @ t)
        hits = np.flatnonzero(agreement == np.abs(self._signs).sum(axis=1))
        return self._certificates[hits[0]] if len(hits) else None

    def _decide(self, t: np.ndarray) -> Verdict:
        n = self.X.shape[1]
        if len(set(t.tolist()) - {0}) < 2:
            side = 1 if t.sum() >= 0 else -1
            return Separation(np.append(np.zeros(n), side), np.inf, (Fraction(0),) * n + (Fraction(side),))
        if self._integer is None:
            from .rational import IntegerPoints  # wants FLINT, which the rest of the core does without

            self._integer = IntegerPoints(self.X)
        for found in self._answers(t):
            if isinstance(found, dict):
                return self._certificate(found, t)
            if found and (separation := self._separation(found[:n], t)):
                return separation
        return Undecided(f"neither weights nor a hull point were proven within {self.pivots} exact pivots")

    def _answers(self, t: np.ndarray) -> Iterator:
        """Coefficients of a hull point (a dict), proven; or weights, yet to be proven; or None. The fast come first."""
        support = np.arange(0)
        if self.X.shape[1] <= 4:  # the exact simplex method takes less time than to set up a linear program
            yield self._integer.decide(support, t, min(self.pivots, 50))
        for w, support in proposals(self.X, t, self._integer.values):
            yield w
            yield self._integer.hull_point(support, t)
        yield self._integer.decide(support, t, self.pivots)

    def _separation(self, w: Sequence[Fraction], t: np.ndarray) -> Separation | None:
        """With these n weights, the largest made 1, rounded to float64 if they still separate; None if they do not."""
        largest = max(map(abs, w)) or 1
        w = [v / largest for v in w]
        exact = self._integer.separating([Fraction(float(v)) for v in w], t) or self._integer.separating(w, t)
        if not exact:
            return None
        if abs(exact[-1]) > 2**1000:  # and so that the bias is one as well
            exact = tuple(v / 2**1000 for v in exact)
        return Separation(np.array([float(v) for v in exact]), self._integer.margin(exact, t), exact)

    def _certificate(self, found: dict[int, Fraction], t: np.ndarray) -> Certificate:
        support = np.array(sorted(found))
        certificate = Certificate(support, tuple(2 * found[i] for i in support.tolist()))
        signs = np.zeros((1, len(t)), np.int32)
        signs[0, support] = t[support]
        self._signs = np.append(self._signs, signs, axis=0)
        self._certificates.append(certificate)
        return certificate


def max_margin(X, t) -> Separation:
    """The hyperplane with the largest margin, as far as floating point finds it; X (m, n), t (m,) as for `separate`.

    The least ||w|| with t_i (w . x_i + b) >= 1, posed as non-negative least squares (Lawson and Hanson, Solving Least
    Squares Problems, 1974, chapter 23): to 1e-6 of itself where the margin is not under 1e-4 of the spread of X. Never
    a smaller margin than that of `separate`. Raises ValueError where (X, t) is not separable, or that is undecided.

    >>> round(max_margin([[0, 0], [1, 0], [3, 4]], [-1, -1, 1]).margin, 3)
    2.236
    """
    points = Points(X)
    t = _targets_of_one(t, len(points.X))
    best = points.separate(t)
    if not best.separable:
        raise ValueError("no hyperplane is proven to separate these targets, so none has a margin: see separate(X, t)")
    if np.isinf(best.margin):
        return best
    X, signs = points.X[t != 0], t[t != 0, None]
    for _ in range(10):
        w, b = best.weights[:-1], best.weights[-1]
        with np.errstate(all="ignore"):
            centre = X.mean(axis=0)
            centre = centre - (w @ centre + b) / (w @ w) * w  # the best plane so far goes through it: there b costs 0
            V = (X - centre) / best.margin
            V = np.c_[V, np.full(len(V), np.abs(V).max())] * signs
        if not np.isfinite(V).all():
            break
        try:
            u, _ = nnls(np.r_[V.T, np.ones((1, len(V)))], np.eye(V.shape[1] + 1)[-1])
        except RuntimeError:  # too many iterations
            break
        better = points._separation([Fraction(v) for v in (u @ V[:, :-1]).tolist()], t)
        if better is None or better.margin <= best.margin:
            break
        best = better
    return best


def hinge_fit(X, t, cost=None) -> tuple[np.ndarray, float]:
    """Weights (n + 1,), bias last, with the least hinge loss sum_i cost_i max(0, 1 - t_i z_i), and that loss.

    X (m, n), t (m,) in {-1, 0, +1}, cost (m,), 0 or more, by default 1; instances with t_i or cost_i of 0 are ignored.
    A linear program in floating point: its loss is 0 where (X, t) is separable by a fair margin, but only `separate`
    proves that. Raises as `separate`, ValueError for costs that are negative or too few, and ArithmeticError where the
    program fails, as it may where instances differ in size by a factor of 1e9 or more.

    >>> weights, loss = hinge_fit([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1])
    >>> round(loss, 6)
    4.0
    """
    X = as_points(X)
    t = _targets_of_one(t, len(X))
    cost = np.ones(len(t)) if cost is None else np.asarray(cost, float)
    if cost.shape != t.shape or not (np.isfinite(cost) & (cost >= 0)).all():
        raise ValueError(f"hinge_fit takes one cost, a number of 0 or more, for each of the {len(X)} instances")
    used = (t != 0) & (cost > 0)
    X, t, cost = X[used], t[used].astype(float), cost[used]
    if len(set(t)) < 2:
        return np.append(np.zeros(X.shape[1]), t[0] if len(t) else 1.0), 0.0
    scaled, centre, scale = standardised(X)
    V = np.c_[scaled, np.ones(len(t))] * t[:, None]
    bounds, most = np.c_[np.zeros(len(t)), cost], {"maxiter": 1000 + 20 * len(t)}
    solved = linprog(-np.ones(len(t)), A_eq=V.T, b_eq=0 * V[0], bounds=bounds, method="highs-ds", options=most)
    if solved.status != 0:
        raise ArithmeticError(f"the linear program of the hinge loss failed: {solved.message}")
    with np.errstate(all="ignore"):
        w = -solved.eqlin.marginals[:-1] / scale
        weights = np.append(w, -solved.eqlin.marginals[-1] - w @ centre)
        loss = float(cost @ np.maximum(0, 1 - t * (X @ w + weights[-1])))
    if not np.isfinite([*weights, loss]).all():
        raise ArithmeticError("the weights of least hinge loss are too large for float64; multiply X by a constant")
    return weights, 0.0 if loss < 1e-9 * cost.sum() else loss


def fewest_errors(X, t) -> tuple[int, np.ndarray]:
    """The smallest number of mistakes that one hard-threshold unit can make, and weights (n + 1,) that make no more.

    Exact: instances are given up, as few as hit every certificate met so far (an integer program), until the others are
    separable. Every certificate costs at least one mistake, so no unit does better. The time grows steeply with the
    number of mistakes. X, t, errors as for `separate`; ArithmeticError where that is undecided.

    >>> fewest_errors([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1])[0]
    1
    """
    points = Points(X)
    t = _targets_of_one(t, len(points.X))
    conflicts: list[np.ndarray] = []
    given_up = np.zeros(len(t), bool)
    while True:
        verdict = points.separate(np.where(given_up, 0, t))
        if verdict.separable:
            return int(given_up.sum()), verdict.weights
        rest = given_up.copy()
        while verdict.separable is False:  # as many conflicts as have no instance in common
            conflicts.append(verdict.support)
            rest[verdict.support] = True
            verdict = points.separate(np.where(rest, 0, t))
        if verdict.separable is None:
            raise ArithmeticError(verdict.reason)
        hits = np.zeros((len(conflicts), len(t)))
        for row, support in zip(hits, conflicts, strict=True):
            row[support] = 1
        solved = milp(np.ones(len(t)), constraints=LinearConstraint(hits, lb=1), integrality=1, bounds=Bounds(0, 1))
        given_up = solved.x > 0.5


def as_points(X) -> np.ndarray:
    """X as float64 (m, n); ValueError unless it is a table of finite numbers, at least 1 x 1."""
    try:
        X = np.asarray(X, dtype=np.float64).copy()
    except (TypeError, ValueError, OverflowError):
        raise ValueError("X must be a table of numbers that float64 can hold, one row for each instance") from None
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X must have the shape (instances, inputs), at least one of each, not {X.shape}")
    if not np.isfinite(X).all():
        raise ValueError(f"X must be finite; instance {int(np.argwhere(~np.isfinite(X))[0, 0])} is not")
    return X


def as_targets(t, m: int) -> np.ndarray:
    """t as int8, (m,) or (m, k); ValueError for another shape and for values other than -1, 0 and +1."""
    try:
        t = np.asarray(t)
    except ValueError:
        raise ValueError("t must be an array of numbers; its rows differ in length") from None
    if t.ndim not in (1, 2) or len(t) != m:
        raise ValueError(f"t must have a target for each of the {m} instances, shape ({m},) or ({m}, k), not {t.shape}")
    if t.dtype.kind not in "iuf":
        raise ValueError(f"targets must be the numbers -1, 0 (ignored) or +1, not of type {t.dtype}")
    if not np.isin(t, (-1, 0, 1)).all():
        raise ValueError(f"targets must be -1, 0 (ignored) or +1; t has {np.setdiff1d(t, (-1, 0, 1))[:5].tolist()}")
    return t.astype(np.int8)


def _targets_of_one(t, m: int) -> np.ndarray:
    t = as_targets(t, m)
    if t.ndim != 1:
        raise ValueError(f"give the targets of one unit at a time, shape ({m},), not {t.shape}")
    return t
