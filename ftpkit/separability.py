"""Is (X, t) linearly separable? Weights that separate, or a certificate that none do, each proven without rounding.

A linear program in floating point only proposes. What it proposes is proven in rational arithmetic, where every float64
is the rational that it is: t_i (w . x_i + b) > 0 for all i, or a point that lies in both convex hulls. By Farkas' lemma
exactly one of the two exists. Instances with t_i = 0 are ignored.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp


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
    default so many that it takes seconds at most. Raises ValueError for other shapes and values, and for empty data.

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
        self.pivots = max(40, 400_000 // (n + 2) ** 2) if pivots is None else pivots
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
        w, support = _propose(self.X, t)
        if w is not None and np.isfinite(w).all():
            exact = self._integer.separating([Fraction(v) for v in w.tolist()], t)
            if exact is not None:
                return self._separation(exact, t)
        found = self._integer.hull_point(support, t) if len(support) else None
        if found is None:
            found = self._integer.decide(support, t, self.pivots)
        if isinstance(found, dict):
            return self._certificate(found, t)
        if found is not None:
            return self._separation(found, t)
        return Undecided(f"neither weights nor a hull point were proven within {self.pivots} exact pivots")

    def _separation(self, exact: tuple[Fraction, ...], t: np.ndarray) -> Separation:
        largest = max(abs(v) for v in exact)
        if not 1e-100 < largest < 1e100:  # a positive factor changes nothing but what a float64 can hold
            exact = tuple(v / largest for v in exact)
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
    """The hyperplane with the largest margin (scikit-learn's linear SVC with a hard margin); X, t as for `separate`.

    Raises ValueError where (X, t) is not separable. Where the SVC's result, in floats, does not separate, or has a
    smaller margin than the linear program's, the latter's is returned.

    >>> round(max_margin([[0, 0], [1, 0], [3, 4]], [-1, -1, 1]).margin, 3)
    2.236
    """
    from sklearn.svm import SVC

    points = Points(X)
    t = as_targets(t, len(points.X))
    if t.ndim != 1:
        raise ValueError(f"max_margin takes the targets of one unit, shape ({len(t)},), not {t.shape}")
    first = points.separate(t)
    if not first.separable:
        raise ValueError("no hyperplane separates these targets, so none has a margin: see separate(X, t)")
    if np.isinf(first.margin):
        return first
    used = t != 0
    centre = points.X[used].mean(axis=0)
    svc = SVC(kernel="linear", C=1e10, tol=1e-7).fit((points.X[used] - centre) / first.margin, t[used])
    exact = points._integer.separating([Fraction(v) for v in (svc.coef_[0] / first.margin).tolist()], t)
    best = first if exact is None else points._separation(exact, t)
    return max(first, best, key=lambda separation: separation.margin)


def hinge_fit(X, t, cost=None) -> tuple[np.ndarray, float]:
    """Weights (n + 1,), bias last, with the least hinge loss sum_i cost_i max(0, 1 - t_i z_i), and that loss.

    X (m, n), t (m,) in {-1, 0, +1}, cost (m,), 0 or more, by default 1; instances with t_i or cost_i of 0 are ignored.
    A linear program in floating point: its loss is 0 where (X, t) is separable by a fair margin, but only `separate`
    proves that. Raises as `separate`, and ValueError for costs that are negative or too few.

    >>> weights, loss = hinge_fit([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1])
    >>> round(loss, 6)
    4.0
    """
    X = as_points(X)
    t = as_targets(t, len(X))
    cost = np.ones(len(t)) if cost is None else np.asarray(cost, float)
    if t.ndim != 1 or cost.shape != t.shape or not (np.isfinite(cost) & (cost >= 0)).all():
        raise ValueError(f"hinge_fit takes one target and one cost, 0 or more, for each of the {len(X)} instances")
    used = (t != 0) & (cost > 0)
    X, t, cost = X[used], t[used].astype(float), cost[used]
    if len(set(t)) < 2:
        return np.append(np.zeros(X.shape[1]), t[0] if len(t) else 1.0), 0.0
    scaled, centre, scale = _standardised(X)
    V = np.c_[scaled, np.ones(len(t))] * t[:, None]
    bounds = np.c_[np.zeros(len(t)), cost]
    solved = linprog(-np.ones(len(t)), A_eq=V.T, b_eq=np.zeros(V.shape[1]), bounds=bounds, method="highs-ds")
    if solved.status != 0:
        raise ArithmeticError(f"the linear program of the hinge loss failed: {solved.message}")
    w = -solved.eqlin.marginals[:-1] / scale
    weights = np.append(w, -solved.eqlin.marginals[-1] - w @ centre)
    loss = float(cost @ np.maximum(0, 1 - t * (X @ w + weights[-1])))
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
    t = as_targets(t, len(points.X))
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
        X = np.array(X, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("X must be a table of numbers, one row for each instance") from None
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X must have the shape (instances, inputs), at least one of each, not {X.shape}")
    if not np.isfinite(X).all():
        raise ValueError(f"X must be finite; instance {int(np.argwhere(~np.isfinite(X))[0, 0])} is not")
    return X


def as_targets(t, m: int) -> np.ndarray:
    """t as int8, (m,) or (m, k); ValueError for another shape and for values other than -1, 0 and +1."""
    t = np.asarray(t)
    if t.ndim not in (1, 2) or len(t) != m:
        raise ValueError(f"t must have a target for each of the {m} instances, shape ({m},) or ({m}, k), not {t.shape}")
    if not np.isin(t, (-1, 0, 1)).all():
        raise ValueError(f"targets must be -1, 0 (ignored) or +1; t has {np.setdiff1d(t, (-1, 0, 1))[:5].tolist()}")
    return t.astype(np.int8)


def _standardised(X: np.ndarray):
    """X with every column in [-1, 1], its centre and scale; a constant column becomes 0."""
    low, high = X.min(axis=0) / 2, X.max(axis=0) / 2
    centre, scale = low + high, high - low
    scale = np.where(scale > 0, scale, 1.0)
    return (X - centre) / scale, centre, scale


def _propose(X: np.ndarray, t: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Weights (n,) and the support of a hull point, one of them right if the linear program's rounding allows.

    It minimises the 1-norm of sum_i c_i t_i (x_i, 1) over c >= 0 that add up to 1; the dual variables are weights.
    """
    used = np.flatnonzero(t)
    scaled, _, scale = _standardised(X[used])
    V = np.c_[scaled, np.ones(len(used))] * t[used, None]
    m, k = V.shape
    slack = np.eye(k + 1, k)
    A = np.c_[np.r_[V.T, np.ones((1, m))], slack, -slack]
    cost = np.r_[np.zeros(m), np.ones(2 * k)]
    solved = linprog(cost, A_eq=A, b_eq=np.r_[np.zeros(k), 1], method="highs-ds")
    if solved.status != 0:
        return None, used[:0]
    weights = -solved.eqlin.marginals[: k - 1] / scale
    order = np.argsort(-solved.x[:m], kind="stable")[: k + 1]
    return weights, used[order[solved.x[order] > 1e-11]]
