"""The weights of a network as one mixed-integer program, for comparison: what `exact` does without a margin."""

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from ..hulls import standardised
from .problem import Outcome, Problem


def big_m(problem: Problem, *, margin: float = 0.01, time_limit: float | None = None) -> Outcome:
    """Few training errors by a big-M mixed-integer program over weights. It proves nothing: use `exact` for that.

    Inputs are scaled to [-1, 1] and weights bounded by 1, so that abs(z) <= M = inputs + 1. A bit t says on which side
    z is: ``margin - M (1 - t) <= z <= -margin + M t``. From layer 2 on z is a sum of weights times signs, each product
    a variable with four more such inequalities. A network that needs a smaller margin, or larger weights, is not seen,
    and HiGHS takes a bit for 0 or 1, and an inequality for kept, within 1e-6: an M of thousands, or a margin of that
    size, and it may report what no network does. Hence proved is False and bound 0, whatever it says.

    value and errors: of the network with the weights found, in float64. evaluations: nodes of the search tree. trace:
    one pair, the errors and the lower bound that HiGHS reports, both for this margin. margin: in (0, 1]. time_limit:
    seconds. Raises ValueError for others.

    >>> outcome = big_m(Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,)))
    >>> outcome.value, outcome.proved, outcome.trace
    (0, False, ((0, 0),))
    """
    if not 0 < margin <= 1:
        raise ValueError(f"margin must be in (0, 1], with inputs in [-1, 1] and weights of at most 1, not {margin!r}")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be a positive number of seconds, or None for no limit, not {time_limit!r}")
    X, centre, scale = standardised(problem.X)
    program = _Program()
    h, weights = X, []
    for width in problem.hidden:
        weights.append(program.new((width, h.shape[1] + 1), -1, 1))
        bits = program.new((problem.m, width), 0, 1, whole=True)
        h = _layer(program, h, weights[-1], bits, margin)
    weights.append(program.new((1, h.shape[1] + 1), -1, 1))
    missed = program.new((problem.m, 1), 0, 1, whole=True)
    _output(program, h, weights[-1], missed, problem.y, margin)
    found = program.minimise(missed.ravel(), time_limit)
    W = [np.zeros(w.shape) if found.x is None else found.x[w] for w in weights]
    if found.x is None:
        W[-1][:, -1] = 1 if problem.y.sum() > 0 else -1
    W[0] = np.c_[W[0][:, :-1] / scale, W[0][:, -1] - (W[0][:, :-1] / scale) @ centre]
    reported = () if found.x is None else ((round(found.fun), int(np.ceil(found.mip_dual_bound - 1e-6))),)
    nodes = int(found.mip_node_count or 0)
    return Outcome.of_network("big-M", problem, W, nodes, proved=False, trace=reported)


class _Program:
    """Variables by number, and rows sum_k a_k v_k >= low."""

    def __init__(self):
        self.low, self.high, self.whole, self.rows, self.least = [], [], [], [], []

    def new(self, shape: tuple[int, int], low: float, high: float, whole: bool = False) -> np.ndarray:
        first, count = len(self.low), shape[0] * shape[1]
        self.low += [low] * count
        self.high += [high] * count
        self.whole += [whole] * count
        return np.arange(first, first + count).reshape(shape)

    def at_least(self, low: float, *terms: tuple[float, int]) -> None:
        self.rows.append(terms)
        self.least.append(low)

    def minimise(self, variables: np.ndarray, time_limit: float | None):
        cost = np.zeros(len(self.low))
        cost[variables] = 1
        r, a, v = np.array([(r, a, v) for r, terms in enumerate(self.rows) for a, v in terms]).T
        A = csr_array((a, (r.astype(int), v.astype(int))), shape=(len(self.rows), len(cost)))
        return milp(
            cost,
            integrality=np.array(self.whole, int),
            bounds=Bounds(self.low, self.high),
            constraints=LinearConstraint(A, lb=self.least),
            options={} if time_limit is None else {"time_limit": time_limit},
        )


def _layer(program: _Program, h: np.ndarray, w: np.ndarray, bits: np.ndarray, margin: float):
    """Outputs of a layer, as bits that say which are +1. h: inputs, floats in the first layer and then bits."""
    large = w.shape[1] + margin
    for i, row in enumerate(bits.tolist()):
        for unit, t in zip(w, row, strict=True):
            z = _sum(program, h[i], unit)
            program.at_least(margin - large, *z, (-large, t))
            program.at_least(margin, *((-a, v) for a, v in z), (large, t))
    return bits


def _output(program: _Program, h: np.ndarray, w: np.ndarray, missed: np.ndarray, y: np.ndarray, margin: float) -> None:
    large = w.shape[1] + margin
    for i, (label, e) in enumerate(zip(y.tolist(), missed[:, 0].tolist(), strict=True)):
        program.at_least(margin, *((label * a, v) for a, v in _sum(program, h[i], w[0])), (large, e))


def _sum(program: _Program, h: np.ndarray, unit: np.ndarray) -> list[tuple[float, int]]:
    """Terms of z = w . h + b. Of a bit h, the product w (2 h - 1) is a variable p: p = w if h = 1, else p = -w."""
    *w, bias = unit.tolist()
    if h.dtype.kind == "f":
        return [*zip(h.tolist(), w, strict=True), (1, bias)]
    products = program.new((1, len(w)), -1, 1)[0].tolist()
    for p, v, t in zip(products, w, h.tolist(), strict=True):
        for side in (1, -1):
            program.at_least(-2, (side, p), (-side, v), (-2, t))
            program.at_least(0, (side, p), (side, v), (2, t))
    return [*((1, p) for p in products), (1, bias)]
