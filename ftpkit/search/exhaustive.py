"""Exhaustive search (Prop. 2), and the dichotomies that hidden units can realise, which it goes through."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import combinations, islice, product
from math import comb

import numpy as np

from ..separability import Points, as_points, fewest_errors
from .problem import Evaluator, Outcome, Problem, Spent, State

_WIDEST_TABLE = 5  # inputs of a unit, up to which all its threshold functions are listed; there are 94,572 of 5
_CHUNK = 4096


def cover_count(m: int, n: int) -> int:
    """Cover's count 2 sum_{k <= n} C(m - 1, k): how many dichotomies of m points in n dimensions a unit can realise.

    Exactly so many in general position (no n + 1 points, k + 2 in k dimensions, on one hyperplane), else at most.

    >>> cover_count(4, 2), len(dichotomies([[0, 0], [0, 1], [1, 0], [1, 1]]))
    (14, 14)
    >>> cover_count(3, 2), len(dichotomies([[0, 0], [1, 1], [2, 2]]))
    (8, 6)
    """
    if not all(isinstance(count, int | np.integer) for count in (m, n)) or m < 1 or n < 0:
        raise ValueError(f"Cover's count is of m >= 1 points in n >= 0 dimensions, integers, not of {m} in {n}")
    return 2 * sum(comb(m - 1, k) for k in range(n + 1))


def dichotomies(X) -> np.ndarray:
    """All targets of the instances that one hard-threshold unit can realise, (count, m) in {-1, +1}, as int8.

    X: (m, n), finite. Row count/2 + i is the negative of row i. Exact, as `separability.separate`. The count, and with
    it the time, grows like m ** n. Raises ValueError as `separate`, and ArithmeticError where that is undecided.

    >>> dichotomies([[0.0], [1.0], [5.0]]).tolist()
    [[1, 1, 1], [1, 1, -1], [1, -1, -1], [-1, -1, -1], [-1, -1, 1], [-1, 1, 1]]
    """
    half = np.array(list(_half(as_points(X))))
    return np.concatenate([half, -half])


def settings(problem: Problem, objective: str = "errors") -> int:
    """How many target settings `exhaustive` may have to visit: for "errors" at most, by Cover's count, else exactly.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> settings(xor), settings(xor, "loss")
    (15, 256)
    """
    if objective == "loss":
        return 2**problem.bits
    rows, inputs, count = len(np.unique(problem.X, axis=0)), problem.X.shape[1], 1
    for width in problem.hidden:
        columns = cover_count(rows, inputs) // 2 - 1  # without sign and without the constant one
        count *= max(1, comb(columns, width))
        rows, inputs = min(rows, 2**width), width
    return count


def exhaustive(
    problem: Problem,
    *,
    objective: str = "errors",
    budget: int | None = None,
    seed: int = 0,
    callback: Callable[[State], None] | None = None,
    every: bool = False,
) -> Outcome:
    """Look at all target settings and return the best: the global optimum, proved, if the budget lasts.

    "errors": the settings that a network can realise, T_1 from the dichotomies of X, T_2 from those of the rows of T_1,
    and so on; the value is the fewest mistakes of an output unit on T_{l-1}. Exact. Units are taken without order and
    without sign, no two of them equal and none constant unless too few dichotomies exist: whatever a network does, one
    of these does as well, since the next unit may give any input the weight 0, or turn its sign.

    "loss": all 2^(m * sum n) settings, since an optimum may have columns that no unit realises. The loss of each comes
    from linear programs in floating point, and so does the proof.

    Stops at the first setting that is as good as any can be (0, or the instances that contradict each other), or with
    ``every`` visits all of them. seed: not used, there is no chance in it. Raises ValueError as `Evaluator`, and
    without a budget where `settings` counts more than 10^9, or 10^7 for "loss", which would take hours.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> outcome = exhaustive(xor, every=True)
    >>> outcome.errors, outcome.proved, outcome.evaluations  # 6 columns up to sign that are not constant, 2 of them
    (0, True, 15)
    >>> outcome.targets[0].T.tolist()
    [[1, 1, -1, 1], [1, -1, 1, 1]]
    """
    goal = -np.inf if every else _contradictions(problem) if objective == "errors" else 0
    evaluator = Evaluator(problem, objective, budget, callback, goal)
    if budget is None and (count := settings(problem, objective)) > (10**9 if objective == "errors" else 10**7):
        raise ValueError(f"there are up to {Decimal(count):.1e} settings to visit; give a budget to look at the first")
    if objective == "errors":
        return _fewest_errors(evaluator)
    proved = False
    try:
        for targets in _all_targets(problem):
            evaluator(targets)
        proved = True
    except Spent:
        pass
    return evaluator.outcome("exhaustive", proved=proved)


def _all_targets(problem: Problem) -> Iterator[list[np.ndarray]]:
    ends = np.cumsum([problem.m * width for width in problem.hidden])
    for bits in product((-1, 1), repeat=problem.bits):
        parts = np.split(np.array(bits, np.int8), ends[:-1])
        yield [part.reshape(problem.m, width) for part, width in zip(parts, problem.hidden, strict=True)]


def _fewest_errors(evaluator: Evaluator) -> Outcome:
    problem, bound = evaluator.problem, _contradictions(evaluator.problem)
    try:
        for targets, errors in _settings(problem.X, problem.hidden, problem.y):
            evaluator.see(targets, errors)
        proved = True
    except Spent:
        proved = evaluator.best == bound
    weights, h = [], problem.X
    for T in [*evaluator.targets, _output(evaluator.targets[-1], problem.y)[:, None]]:
        weights.append(np.stack([verdict.weights for verdict in Points(h).separate(T)]))
        h = T
    return evaluator.outcome("exhaustive", proved=proved, bound=bound, weights=weights)


def _settings(h: np.ndarray, widths: tuple[int, ...], y: np.ndarray) -> Iterator[tuple[list[np.ndarray], int]]:
    """All settings of the hidden layers of these widths, with h as input, and the mistakes of the best output unit."""
    for stack in _choices(_columns(h), widths[0]):
        if len(widths) == 1:
            for T, errors in zip(stack, _mistakes(stack, y).tolist(), strict=True):
                yield [T], errors
        else:
            for T in stack:
                for targets, errors in _settings(T, widths[1:], y):
                    yield [T, *targets], errors


def _choices(columns: Iterable[np.ndarray], width: int) -> Iterator[np.ndarray]:
    """All sets of `width` different columns that are not constant, as arrays (many, m, width), while columns come in.

    Where there are too few, the only choice is all of them, the last one repeated, or a constant if there is none.
    """
    kept = []
    for column in columns:
        constant = column
        if (column == column[0]).all():
            continue
        kept.append(column)
        known = np.array(kept)
        chosen = combinations(range(len(kept) - 1), width - 1)
        while some := list(islice(chosen, _CHUNK)):
            index = np.c_[np.array(some, int).reshape(len(some), width - 1), np.full(len(some), len(kept) - 1)]
            yield known[index].transpose(0, 2, 1)
    if len(kept) < width:
        kept = kept or [constant]
        yield np.stack(kept + kept[-1:] * (width - len(kept)), axis=1)[None]


def _columns(h: np.ndarray) -> Iterable[np.ndarray]:
    """One of each dichotomy of these inputs and its negative; h: X itself, or targets of a layer."""
    if h.dtype != np.int8 or h.shape[1] > _WIDEST_TABLE:
        return _half(h)
    return np.unique(_signed(_threshold_functions(h.shape[1])[:, _corners(h)]), axis=0)


def _signed(columns: np.ndarray) -> np.ndarray:
    return columns * columns[:, :1]


def _half(X: np.ndarray) -> Iterator[np.ndarray]:
    """Every realisable dichotomy that is +1 at the first instance, by a tree search, one instance a level.

    The separating weights of the instances above give the next one a side, so that child needs no question; the other
    child is realisable, or has a certificate, and that answers most of the later questions.
    """
    _, first, inverse = np.unique(X, axis=0, return_index=True, return_inverse=True)
    order = np.sort(first)  # without repetitions, in the order of X
    place = np.argsort(np.argsort(first))[inverse.ravel()]
    points = Points(X[order])
    rows = [[*map(Fraction, row), Fraction(1)] for row in points.X.tolist()]
    t = np.zeros(len(rows), np.int8)

    def grow(k: int, w: tuple[Fraction, ...]) -> Iterator[np.ndarray]:
        if k == len(rows):
            yield t[place]
            return
        z = sum(a * b for a, b in zip(w, rows[k], strict=True))
        for side in (1, -1):
            t[k] = side
            if side * z > 0:
                yield from grow(k + 1, w)
                continue
            verdict = points.separate(t)
            if verdict.separable is None:
                raise ArithmeticError(verdict.reason)
            if verdict.separable:
                yield from grow(k + 1, verdict.exact)
        t[k] = 0

    t[0] = 1
    yield from grow(1, (Fraction(0),) * X.shape[1] + (Fraction(1),))


@cache
def _threshold_functions(n: int) -> np.ndarray:
    """One of each dichotomy of the corners of the cube {-1, +1}^n and its negative, (count, 2^n), n <= 5.

    Restricted to some of the corners they are all dichotomies of those. Weights that are integers up to 1, 1, 2, 3, 5
    in size for n = 1 to 5 give all of them (Muroga 1971), as their number, 2, 7, 52, 941, 47286, shows.
    """
    most, corners = (1, 1, 2, 3, 5)[n - 1], np.array(list(product((-1, 1), repeat=n)))
    z = np.array(list(product(range(-most, most + 1), repeat=n))) @ corners.T
    place = 1 << np.arange(2**n)
    codes = np.unique(np.concatenate([np.unique((z > b) @ place) for b in range(-1, n * most)]))
    return np.unique(_signed(np.where(codes[:, None] & place, 1, -1).astype(np.int8)), axis=0)


def _corners(T: np.ndarray) -> np.ndarray:
    """The number of each instance's corner; T (..., n) in {-1, +1}, the first unit the highest bit."""
    return (T > 0) @ (1 << np.arange(T.shape[-1])[::-1])


def _mistakes(stack: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The fewest mistakes of a unit with these inputs, (many, m, n): what it says of a corner, it says of its votes."""
    many, m, n = stack.shape
    if n > _WIDEST_TABLE:
        return np.array([fewest_errors(T, y)[0] for T in stack])
    cells = _corners(stack) + (np.arange(many) << n)[:, None]
    votes = np.bincount(cells.ravel(), np.tile(y, many), many << n).reshape(many, 1 << n)
    agreement = np.abs(votes @ _threshold_functions(n).T).max(axis=1)
    return ((m - agreement) / 2).astype(int)


def _output(T: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The realisable dichotomy of T with the fewest mistakes."""
    if T.shape[1] > _WIDEST_TABLE:
        w = fewest_errors(T, y)[1]
        return np.where(T @ w[:-1] + w[-1] > 0, 1, -1)
    candidates = _threshold_functions(T.shape[1])[:, _corners(T)]
    agreement = candidates @ y.astype(int)
    best = np.abs(agreement).argmax()
    return candidates[best] * (1 if agreement[best] >= 0 else -1)


def _contradictions(problem: Problem) -> int:
    """Mistakes that every network makes: the smaller side of the labels of equal instances."""
    _, inverse = np.unique(problem.X, axis=0, return_inverse=True)
    votes = np.abs(np.bincount(inverse.ravel(), problem.y))
    return int((problem.m - votes.sum()) // 2)
