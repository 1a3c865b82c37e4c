"""Rosenblatt's rule on one hard-threshold unit: every mistake it makes, whether it ends, and Novikoff's bound."""

from dataclasses import dataclass

import numpy as np

from .separability import as_points, as_targets, max_margin


@dataclass(frozen=True, eq=False)
class Course:
    """All that the rule does. weights (k + 1, n): after 0, 1, ... k mistakes; erred (k,): the instances erred on.

    passes: mistakes of each pass through the instances. stopped: did the last pass bring none? cycle: (a, b) where the
    rule is after b mistakes just as it was after a, so that it goes round for ever; None where that was not met.
    """

    weights: np.ndarray
    erred: np.ndarray
    passes: tuple[int, ...]
    stopped: bool
    cycle: tuple[int, int] | None


def perceptron(X, t, most: int = 1000) -> Course:
    """w = 0; then, instance by instance and pass by pass, w <- w + t x wherever t (w . x) <= 0, until none is left.

    X (m, n): a bias is a column of ones. t (m,) in {-1, 0, +1}; instances with 0 are ignored. Ends after a pass without
    a mistake, after a pass that ends on weights which another has ended on, or after `most` mistakes. Sums of float64
    are exact where X holds whole numbers. Raises ValueError as `separability.separate`, and where most is below 1.

    >>> course = perceptron([[-1, -1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]], [-1, 1, 1, -1])
    >>> course.stopped, course.cycle, course.weights.astype(int).tolist()
    (False, (0, 4), [[0, 0, 0], [1, 1, -1], [0, 2, 0], [1, 1, 1], [0, 0, 0]])
    """
    X = as_points(X)
    t = _of_one(t, len(X))
    if most < 1:
        raise ValueError(f"most is the number of mistakes after which the rule is left alone, 1 or more, not {most}")
    used = np.flatnonzero(t)
    signed = X[used] * t[used, None]
    w = np.zeros(X.shape[1])
    weights, erred, passes, ends = [w], [], [], {tuple(w): 0}
    while len(erred) < most:
        before, start = len(erred), 0
        while len(erred) < most and len(wrong := np.flatnonzero(signed[start:] @ w <= 0)):
            i = start + wrong[0]
            w = w + signed[i]
            weights.append(w)
            erred.append(used[i])
            start = i + 1
        passes.append(len(erred) - before)
        if passes[-1] == 0 or len(erred) == most:
            break
        if tuple(w) in ends:
            return Course(np.array(weights), np.array(erred), tuple(passes), False, (ends[tuple(w)], len(erred)))
        ends[tuple(w)] = len(erred)
    return Course(np.array(weights), np.array(erred, int), tuple(passes), passes[-1] == 0, None)


@dataclass(frozen=True)
class Novikoff:
    """R: the longest x. gamma: the largest least t (w . x) that a w of length 1 gives."""

    R: float
    gamma: float

    @property
    def bound(self) -> float:
        """(R / gamma)^2: no more mistakes than this, in whatever order the instances come."""
        return (self.R / self.gamma) ** 2


def novikoff(X, t) -> Novikoff:
    """R and gamma of Novikoff's theorem (1962) for `perceptron`; gamma is the largest margin of a plane through 0.

    X (m, n), with its column of ones where there is a bias; t (m,) as for `perceptron`. With the mirror image of every
    instance the plane of largest margin goes through 0 by itself. Raises ValueError where no w gives t (w . x) > 0.

    >>> theorem = novikoff([[2, 1], [1, 2], [-1, -1]], [1, 1, -1])
    >>> round(theorem.R**2, 9), round(theorem.gamma**2, 6), round(theorem.bound, 6)
    (5.0, 2.0, 2.5)
    """
    X = as_points(X)
    t = _of_one(t, len(X))
    signed = X[t != 0] * t[t != 0, None]
    if not len(signed):
        raise ValueError("novikoff takes one instance or more with a target of -1 or +1")
    sides = np.repeat([1, -1], len(signed))
    return Novikoff(float(np.linalg.norm(signed, axis=1).max()), max_margin(np.r_[signed, -signed], sides).margin)


def _of_one(t, m: int) -> np.ndarray:
    t = as_targets(t, m)
    if t.ndim != 1:
        raise ValueError(f"give the targets of one unit at a time, shape ({m},), not {t.shape}")
    return t
