"""MADALINE Rule II: flips of hidden outputs in a real network, the least certain first."""

from collections.abc import Callable
from itertools import chain, combinations

import numpy as np

from .local import random_network
from .problem import Evaluator, Outcome, Problem, Spent, State, affine, check_budget, sign

BUDGET = 20_000


def madaline(
    problem: Problem,
    *,
    objective: str = "errors",
    budget: int | None = BUDGET,
    seed: int = 0,
    callback: Callable[[State], None] | None = None,
    rate: float = 1.0,
    together: int = 2,
    patience: int = 10,
) -> Outcome:
    """MADALINE Rule II (Winter and Widrow 1988): correct one wrong instance at a time with the least disturbance.

    For an instance that the network gets wrong, take the hidden layers from the first to the last, and in each of them
    single units in the order of abs(z), then pairs, up to `together` at once: turn their outputs for this instance, by
    alpha-LMS, w += rate (t - z) x / ||x||^2 with the bias in x and t = -sign(z). If the network is then right about
    this instance, the change stays, else it is undone; if none helps, the output unit is changed in the same way. An
    evaluation is one such trial, a real network; its value is its training errors, its targets its hidden outputs.

    Ours: inputs of the first layer are standardised; the best network is kept, since a corrected instance may spoil
    others; after `patience` passes over the data without a new best since the start, another random network. Winter and
    Widrow's usage counts, which spread the trials over the units, are left out. rate: in (0, 2); 1 gives z = t at once,
    below 0.5 a trial may not turn the output. Raises ValueError for the objective "loss", which has no meaning here.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> madaline(xor).errors
    0
    """
    if objective != "errors":
        raise ValueError(f"madaline adapts a real network, so its objective is 'errors', not {objective!r}")
    if not 0 < rate < 2:
        raise ValueError(f"rate must lie between 0 and 2, where alpha-LMS is stable, not {rate!r}")
    check_budget(together, "together")
    check_budget(patience, "patience")
    run = _Run(Evaluator(problem, objective, budget, callback, goal=0), rate)
    if budget is None:
        raise ValueError("madaline needs a budget of trials, since it may never succeed")
    rng, trace = np.random.default_rng(seed), []
    try:
        while True:
            run.begin(rng)
            least, idle = run.errors, 0
            trace.append((run.evaluator.evaluations, least))
            while idle < patience:
                idle += 1
                for i in rng.permutation(problem.m).tolist():
                    if run.wrong[i] and run.correct(i, together):
                        trace.append((run.evaluator.evaluations, run.errors))
                        if run.errors < least:
                            least, idle = run.errors, 0
    except Spent:
        pass
    return run.evaluator.outcome("madaline rule II", weights=run.best, trace=tuple(trace))


class _Run:
    """The present network, on standardised inputs, and the best one."""

    def __init__(self, evaluator: Evaluator, rate: float):
        self.evaluator, self.rate, self.problem = evaluator, rate, evaluator.problem
        X = self.problem.X
        std = X.std(axis=0)
        self.mean, self.std = X.mean(axis=0), np.where(std > 0, std, 1)
        self.X = (X - self.mean) / self.std

    def begin(self, rng: np.random.Generator) -> None:
        weights = random_network(self.problem, rng)
        weights[0][:, -1] += weights[0][:, :-1] @ self.mean
        weights[0][:, :-1] *= self.std
        self._stand(weights, *self._look(weights))

    def correct(self, i: int, together: int) -> bool:
        """Change the network so that it is right about instance i; whether the last trial did it."""
        inputs = [self.X[i], *(H[i] for H in self.outputs)]
        for d, (x, W) in enumerate(zip(inputs, self.weights, strict=True)):
            z = affine(x, W)
            last = d == len(self.weights) - 1
            groups = chain.from_iterable(combinations(range(len(z)), k) for k in range(1, min(together, len(z)) + 1))
            for units in sorted(groups, key=lambda units: (len(units), np.abs(z[list(units)]).sum())):
                changed = W.copy()
                for j in units:
                    t = self.problem.y[i] if last else -sign(z[j])
                    changed[j] += self.rate * (t - z[j]) / (x @ x + 1) * np.append(x, 1)
                weights = [*self.weights[:d], changed, *self.weights[d + 1 :]]
                outputs, wrong = self._look(weights)
                if not wrong[i] or last:
                    self._stand(weights, outputs, wrong)
                    return not wrong[i]
        return False

    def _look(self, weights: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
        first = weights[0][:, :-1] / self.std
        weights = [np.c_[first, weights[0][:, -1] - first @ self.mean], *weights[1:]]
        outputs, z = self.problem.forward(weights)
        wrong = sign(z) != self.problem.y
        before = self.evaluator.best
        if self.evaluator.see(outputs, int(wrong.sum())) < before:
            self.best = weights
        return outputs, wrong

    def _stand(self, weights: list[np.ndarray], outputs: list[np.ndarray], wrong: np.ndarray) -> None:
        self.weights, self.outputs, self.wrong, self.errors = weights, outputs, wrong, int(wrong.sum())
