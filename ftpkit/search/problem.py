"""A training set with a small network to be trained on it, the two objectives of target search, and its result.

Targets are a list of arrays T_1 ... T_{l-1}, T_d of shape (m, n_d) in {-1, +1}: one bit for every instance and hidden
unit. Weights are a list of arrays W_1 ... W_l, W_d of shape (n_d, n_{d-1} + 1), the bias last.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..separability import as_points, hinge_fit

OBJECTIVES = {
    "errors": "training errors of the real network, whose layers are fitted one after the other",
    "loss": "sum over all units of their least total hinge loss, targets taken as given",
}


@dataclass(frozen=True, eq=False)
class Problem:
    """m instances, their labels, and a network with hidden layers of the given widths and one output unit.

    X: (m, n), finite. y: (m,) in {-1, +1}. hidden: widths n_1, ..., n_{l-1}; () is a single perceptron. Raises
    ValueError for anything else.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> xor.m, xor.bits, xor.errors([[[1, 1, -0.5], [-1, -1, 1.5]], [[1, 1, -1]]])
    (4, 8, 0)
    """

    X: np.ndarray
    y: np.ndarray
    hidden: tuple[int, ...]

    def __post_init__(self):
        X = as_points(self.X)
        y = np.asarray(self.y)
        if y.shape != (len(X),) or not np.isin(y, (-1, 1)).all():
            raise ValueError(f"y must hold one label -1 or +1 for each of the {len(X)} instances, not {_brief(y)}")
        hidden = tuple(self.hidden) if np.iterable(self.hidden) else (None,)
        if any(not isinstance(width, int | np.integer) or width < 1 for width in hidden):
            raise ValueError(
                f"hidden must be a tuple of widths, integers of 1 or more such as (3, 2), not {self.hidden}"
            )
        for name, value in (("X", X), ("y", y.astype(np.int8)), ("hidden", tuple(map(int, hidden)))):
            object.__setattr__(self, name, value)

    @property
    def m(self) -> int:
        """Number of instances."""
        return len(self.X)

    @property
    def bits(self) -> int:
        """Number of target bits: m times the number of hidden units; there are 2 ** bits settings."""
        return self.m * sum(self.hidden)

    def forward(self, weights) -> tuple[list[np.ndarray], np.ndarray]:
        """The hidden outputs H_1 ... H_{l-1}, (m, n_d) in {-1, +1} with sign(0) = -1, and the last z, (m,)."""
        outputs, h = [], self.X
        for W in weights[:-1]:
            h = sign(affine(h, W))
            outputs.append(h)
        return outputs, affine(h, weights[-1])[:, 0]

    def errors(self, weights) -> int:
        """Number of instances that the network with these weights puts on the wrong side."""
        return int((sign(self.forward(weights)[1]) != self.y).sum())

    def check_targets(self, targets) -> list[np.ndarray]:
        """The targets as int8 arrays; ValueError where they do not fit the network or are not -1 or +1."""
        targets = [np.asarray(T) for T in targets]
        wanted = [(self.m, width) for width in self.hidden]
        if [T.shape for T in targets] != wanted:
            raise ValueError(f"targets must have the shapes {wanted}, not {[T.shape for T in targets]}")
        if any(not np.isin(T, (-1, 1)).all() for T in targets):
            raise ValueError("targets of hidden units must be -1 or +1 for every instance")
        return [T.astype(np.int8) for T in targets]


def affine(h: np.ndarray, W: np.ndarray) -> np.ndarray:
    """z = W (h, 1), of shape (m, units); the bias is the last column of W."""
    W = np.asarray(W, float)
    return h @ W[:, :-1].T + W[:, -1]


def sign(z: np.ndarray) -> np.ndarray:
    """+1 where z > 0, else -1, as int8: sign(0) is -1, as in the paper."""
    return np.where(z > 0, 1, -1).astype(np.int8)


@dataclass(frozen=True)
class State:
    """What a callback sees: the setting just evaluated, its value, and the best value so far."""

    evaluations: int
    targets: list[np.ndarray]
    value: float
    best: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a search found.

    value: of the objective, at `targets`; None where it saw none. weights: of a network fitted to the targets, and
    errors: what that network gets wrong. feasible: its errors are 0 and its hidden outputs are the targets. proved:
    value is the optimum. bound: what is proved of the optimum at least (0 if nothing is). proof: see `exact`.
    """

    method: str
    objective: str
    value: float
    targets: list[np.ndarray] | None
    weights: list[np.ndarray]
    errors: int
    feasible: bool
    evaluations: int
    proved: bool = False
    bound: float = 0
    trace: tuple = ()
    proof: dict | None = None

    @classmethod
    def of_network(cls, method: str, problem: Problem, weights: list[np.ndarray], evaluations: int, **more):
        """Of a search among real networks: its value is the training errors, its targets are the hidden outputs.

        No error proves the optimum, unless `more`, which holds further fields, says otherwise.
        """
        errors = problem.errors(weights)
        return cls(
            method=method,
            objective="errors",
            value=errors,
            targets=problem.forward(weights)[0],
            weights=weights,
            errors=errors,
            feasible=errors == 0,
            evaluations=evaluations,
            **{"proved": errors == 0} | more,
        )

    def __str__(self):
        standing = "optimal, proved" if self.proved else f"not proved, at least {self.bound:g}"
        return f"{self.method}: {self.objective} {self.value:g} after {self.evaluations} evaluations ({standing})"


class Spent(Exception):
    """The budget of a search is used up; raised by `Evaluator`, caught by the search."""


class Evaluator:
    """The objective as a function of targets. It counts what it is asked, keeps the best, and stops at the budget.

    budget: evaluations, one for each setting of all targets, also one seen before. callback: called with each `State`.
    goal: a value at which to stop as well; 0 is the least there is. A fit is a linear program, done once for each data
    set of a unit and kept.
    """

    def __init__(
        self,
        problem: Problem,
        objective: str,
        budget: int | None,
        callback: Callable[[State], None] | None = None,
        goal: float = -np.inf,
    ):
        if objective not in OBJECTIVES:
            raise ValueError(f"the objective is {' or '.join(map(repr, OBJECTIVES))}, not {objective!r}")
        if not problem.hidden:
            raise ValueError("a network without hidden units has no targets to set; use separability.fewest_errors")
        self.problem, self.objective, self.budget = problem, objective, check_budget(budget)
        self.callback, self.goal = callback, goal
        self.evaluations, self.best, self.targets = 0, np.inf, None
        self._fits = {}

    def __call__(self, targets: list[np.ndarray]) -> float:
        self.check()
        return self.see(targets, self.value(targets))

    def check(self) -> None:
        """Raise Spent if no further evaluation is allowed, or none is needed."""
        if self.best <= self.goal or (self.budget is not None and self.evaluations >= self.budget):
            raise Spent

    def see(self, targets: list[np.ndarray], value: float) -> float:
        """Count a setting whose value is known by other means; as if it had been called, `Spent` included."""
        self.check()
        self.evaluations += 1
        if value < self.best:
            self.best, self.targets = value, [T.copy() for T in targets]
        if self.callback is not None:
            self.callback(State(self.evaluations, [T.copy() for T in targets], value, self.best))
        return value

    def value(self, targets: list[np.ndarray]) -> float:
        """The objective, not counted."""
        if self.objective == "errors":
            return self.problem.errors(self.weights(targets))
        inputs = [self.problem.X, *targets]
        wanted = [*targets, self.problem.y[:, None]]
        losses = (self.fit(h, t)[1] for h, T in zip(inputs, wanted, strict=True) for t in T.T)
        return round(sum(losses), 9)  # what a linear program is good for; equal settings have equal values

    def weights(self, targets: list[np.ndarray]) -> list[np.ndarray]:
        """Weights of the real network: every layer is fitted to its targets on the outputs of the layer below."""
        weights, h = [], self.problem.X
        for T in [*targets, self.problem.y[:, None]]:
            W = np.stack([self.fit(h, t)[0] for t in T.T])
            weights.append(W)
            h = sign(affine(h, W))
        return weights

    def fit(self, h: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, float]:
        """`separability.hinge_fit`, remembered; of hidden outputs h it does not matter in which order they come."""
        cost = None
        if h is self.problem.X:
            key = t.tobytes()
        else:
            rows, cost = np.unique(np.c_[h, t].astype(np.int8), axis=0, return_counts=True)
            h, t, key = rows[:, :-1], rows[:, -1], (rows.shape, rows.tobytes(), cost.tobytes())
        if key not in self._fits:
            weights, loss = hinge_fit(h, t, cost)
            self._fits[key] = _on_a_grid(weights, h, t), loss
        return self._fits[key]

    def outcome(
        self, method: str, *, proved: bool = False, bound: float = 0, trace: tuple = (), weights=None
    ) -> Outcome:
        """The best that was seen. weights: of a network for its targets, fitted if not given.

        A network without an error proves that its hidden outputs are feasible targets: with "errors" it returns those.
        """
        weights = self.weights(self.targets) if weights is None else weights
        outputs, _ = self.problem.forward(weights)
        errors = self.problem.errors(weights)
        if self.objective == "errors" and errors == 0:
            self.targets = outputs
        proved = proved or self.best == 0
        feasible = errors == 0 and all((H == T).all() for H, T in zip(outputs, self.targets, strict=True))
        return Outcome(
            method=method,
            objective=self.objective,
            value=self.best,
            targets=self.targets,
            weights=weights,
            errors=errors,
            feasible=feasible,
            evaluations=self.evaluations,
            proved=proved,
            bound=self.best if proved else bound,
            trace=trace,
        )


def check_budget(budget: int | None, what: str = "budget") -> int | None:
    """The budget itself; ValueError unless it is a positive integer or None, which means no limit."""
    if budget is not None and (not isinstance(budget, int | np.integer) or budget < 1):
        raise ValueError(f"{what} must be an integer of 1 or more, or None for no limit, not {budget!r}")
    return budget


def _on_a_grid(weights: np.ndarray, X: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The weights rounded to 30 binary places below the largest, unless that would add a mistake.

    Sums of few such numbers are exact, so that z = 0 is 0 on every machine and not a rounding error with a sign.
    """
    step = 2.0 ** (np.frexp(np.abs(weights).max())[1] - 30)
    rounded = np.round(weights / step) * step
    before, after = (t * affine(X, w[None])[:, 0] > 0 for w in (weights, rounded))
    return rounded if (after >= before).all() else weights


def _brief(y: np.ndarray) -> str:
    return f"shape {y.shape} with values {np.unique(y)[:5].tolist()}"
