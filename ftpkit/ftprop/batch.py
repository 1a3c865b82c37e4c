"""FTPROP, the paper's Algorithm 1: targets for a whole training set, layer by layer from the last to the first.

The letters are the paper's: T_d are the targets of layer d, T_0 = X and T_l = y; W_d is fitted to (T_{d-1}, T_d); a
layer whose units all give their targets is separated. What the paper leaves open is decided in `ftprop`'s docstring.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..search.local import random_network
from ..search.problem import Outcome, Problem, Spent, State, affine, check_budget, sign
from ..separability import Points, hinge_fit
from .proposals import PROPOSALS, Proposal, View

SOLVERS = ("hinge", "exact")
FAILURES = ("outputs", "outputs always", "proposal", "restore")


@dataclass(frozen=True, eq=False)
class Proposed:
    """One line of the trace: what was proposed, and what came of it. Lines stand in the order of proposing.

    layer: the layer d whose targets were proposed. targets: (m, n_d) in {-1, 0, +1}. reached: the layers 1 ... d give
    them. loss: L_{d+1} after a fit to what T_d became. kept: whether that stayed. The last three are None where the
    budget ended in the recursion that was to reach them.
    """

    layer: int
    targets: np.ndarray
    reached: bool | None = None
    loss: float | None = None
    kept: bool | None = None


@dataclass(frozen=True, eq=False)
class Moment:
    """What a watcher of Algorithm 1 sees: the targets T_1 ... T_{l-1}, the weights W_1 ... W_l, and the trace so far.

    line: the entry of the trace that was just proposed (its `kept` is None), or whose outcome was just settled, undone
    included; None after a start, when W_l has been fitted to the outputs of a random network.
    """

    line: int | None
    trace: tuple[Proposed, ...]
    targets: list[np.ndarray]
    weights: list[np.ndarray]


def ftprop(
    problem: Problem,
    *,
    proposal: str | Proposal = "one-unit flips",
    solver: str = "hinge",
    failure: str = "outputs",
    noise: bool = True,
    tries: int = 2,
    patience: int = 60,
    budget: int = 1000,
    seed: int = 0,
    callback: Callable[[State], None] | None = None,
    watch: Callable[[Moment], None] | None = None,
) -> Outcome:
    """Algorithm 1 of Friesen and Domingos (2018): set targets by recursion until every layer is separated.

    proposal: a name in PROPOSALS or a function like those there; "gradient" is the paper's eq. 2. budget: proposals,
    one evaluation each. The outcome's targets are the hidden outputs of its network, so they are feasible if it makes
    no error; its trace holds every `Proposed`. A callback's value is the training errors of the network of the moment.
    watch: called with a `Moment` at every start, after every proposal, and when its outcome is settled.

    The pseudo-code is silent on these; the methods "A1: ..." of `python -m ftpkit search` measure the alternatives.

    * solver: "hinge" fits W_d by the least hinge loss, weighted by importance, and calls a layer separated if its
      outputs are its targets; "exact" asks `separability` as well before it believes that they cannot be.
    * failure: what T_{d-1} becomes when the recursion returns False. "outputs": the outputs of layer d - 1, unless L_d
      is larger for them, in which case the layers below d go back to what they were, weights and all. "outputs always":
      as the paper's text has it, without looking at L_d. "proposal": they stay as proposed. "restore": all goes back.
    * noise: the importance of every wish is multiplied by an exponential random number. Without it a rule that knows no
      chance proposes the same again, as long as it is refused; with it nothing need be remembered.
    * tries: proposals for a layer in one recursion below the last layer. patience: proposals without progress of L_l
      before the search starts again from other random weights. The network of every start counts, also of the last.
    * a unit that already gives its targets keeps its weights. Bits without a wish (t = 0) are ignored in the fit.

    Raises ValueError for unknown names, a budget below 1, and a network without hidden units.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> found = ftprop(xor)
    >>> found.feasible, xor.errors(found.weights)
    (True, 0)
    """
    if isinstance(proposal, str) and proposal not in PROPOSALS:
        raise ValueError(f"no proposal rule is called {proposal!r}; there are {', '.join(PROPOSALS)}")
    for name, value, known in (("solver", solver, SOLVERS), ("failure", failure, FAILURES)):
        if value not in known:
            raise ValueError(f"{name} is one of {', '.join(map(repr, known))}, not {value!r}")
    for name, value in (("budget", budget), ("tries", tries), ("patience", patience)):
        if check_budget(value, name) is None:
            raise ValueError(f"{name} must be a number of proposals, 1 or more: Algorithm 1 need not end by itself")
    if not problem.hidden:
        raise ValueError("a network without hidden units has no targets to set; use separability.fewest_errors")

    rule = PROPOSALS[proposal] if isinstance(proposal, str) else proposal
    rng = np.random.default_rng(seed)
    network = _Network(problem, rule, solver, failure, noise, tries, budget, rng, callback, watch)
    try:
        network.initialise()
        while not network.ftprop(network.l, patience):
            network.initialise()
    except Spent:
        pass
    return network.outcome()


class _Network:
    """Targets T_0 ... T_l, their importance C_d, weights W_d and layer losses L_d; index d is the paper's."""

    def __init__(self, problem, rule, solver, failure, noise, tries, budget, rng, callback, watch):
        self.problem, self.rule, self.solver, self.failure, self.noise = problem, rule, solver, failure, noise
        self.tries, self.budget, self.rng, self.callback, self.watch = tries, budget, rng, callback, watch
        self.l = len(problem.hidden) + 1
        self.points = Points(problem.X)
        self.trace: list[Proposed] = []
        self.settled = 0
        self.fewest, self.best = np.inf, None

    def initialise(self) -> None:
        """Random W; T_d are the outputs of the hidden units."""
        self.W = [None, *random_network(self.problem, self.rng)]
        self.T = [self.problem.X, *self.problem.forward(self.W[1:])[0], self.problem.y[:, None]]
        self.C = [None, *(np.ones(T.shape) for T in self.T[1:])]
        self.L = [0.0] * (self.l + 1)
        self.conflict = [np.zeros(self.problem.m, bool)] * (self.l + 1)

    def ftprop(self, d: int, tries: int) -> bool:
        """Algorithm 1: True if layers 1 ... d give T_d; then T_{d-1} ... T_1 are feasible and W_d ... W_1 give them."""
        separated = self.fit(d)
        if d == self.l:
            self.show(None)
        if separated:
            return True
        if d == 1:
            return False
        stalled = 0
        while stalled < tries:
            before = self.save(d)
            proposed = self.propose(d)
            line = len(self.trace) - 1
            self.show(line)
            reached = self.ftprop(d - 1, self.tries)
            outputs = sign(affine(self.T[d - 2], self.W[d - 1]))
            if reached or self.failure in ("outputs", "outputs always"):
                self.T[d - 1] = outputs
            elif self.failure == "proposal":
                self.T[d - 1] = np.where(proposed == 0, outputs, proposed)
            else:
                self.restore(d, before)
            separated = self.fit(d)
            risen = self.L[d] - before[-1]
            kept = self.failure != "outputs" or risen <= 1e-9
            self.note(line, reached=reached, loss=self.L[d], kept=kept)
            if not kept:
                self.restore(d, before)
            self.show(line)
            if separated and (reached or self.failure != "proposal"):
                return True
            stalled = 0 if d == self.l and risen < -1e-9 else stalled + 1
        return False

    def fit(self, d: int) -> bool:
        """Fit W_d to (T_{d-1}, T_d), and see whether sign(W_d T_{d-1}) is T_d wherever T_d has a wish."""
        h, W, separated = self.T[d - 1], self.W[d].copy(), True
        self.L[d], self.conflict[d] = 0.0, np.zeros(len(h), bool)
        points = self.points if d == 1 else Points(h)
        for k, (t, cost) in enumerate(zip(self.T[d].T, self.C[d].T, strict=True)):
            if d < self.l and _gives(W[k], h, t):
                continue
            W[k], loss = hinge_fit(h, t, cost)
            if _gives(W[k], h, t):
                continue
            if self.solver == "exact":
                verdict = points.separate(t)
                if verdict.separable and _gives(verdict.weights, h, t):
                    W[k] = verdict.weights
                    continue
                if verdict.separable is False:
                    self.conflict[d][verdict.support] = True
            else:
                self.conflict[d] |= t * affine(h, W[k : k + 1])[:, 0] < 1 - 1e-9
            self.L[d] += loss
            separated = False
        self.W[d] = W
        return separated

    def propose(self, d: int) -> np.ndarray:
        """T_{d-1} <- targets that reduce L_d(Z_d, T_d)."""
        if len(self.trace) >= self.budget:
            raise Spent
        view = View(
            h=self.T[d - 1],
            W=self.W[d],
            z=affine(self.T[d - 1], self.W[d]),
            t=self.T[d],
            importance=self.C[d],
            conflict=self.conflict[d],
            inputs=self.T[d - 2],
            W_below=self.W[d - 1],
            z_below=affine(self.T[d - 2], self.W[d - 1]),
        )
        T, C = self.checked(*self.rule(view, self.rng), view.h)
        largest = C.max(axis=0)
        C = C / np.where(largest > 0, largest, 1)
        if self.noise:
            C = C * self.rng.exponential(size=C.shape)
        self.T[d - 1], self.C[d - 1] = np.where(C > 1e-9, T, 0).astype(np.int8), C
        self.trace.append(Proposed(d - 1, self.T[d - 1]))
        return self.T[d - 1]

    @staticmethod
    def checked(T, C, h) -> tuple[np.ndarray, np.ndarray]:
        T, C = np.asarray(T), np.asarray(C, float)
        if T.shape != h.shape or C.shape != h.shape or not np.isin(T, (-1, 0, 1)).all() or not (C >= 0).all():
            raise ValueError(
                f"a proposal returned targets {T.shape} and importance {C.shape}; it must return -1, 0 or +1, and a "
                f"number of 0 or more, for each of the {h.shape} outputs of the layer below"
            )
        return T, C

    def save(self, d: int) -> tuple:
        """All that a proposal for layer d - 1 may change; arrays are replaced, never written into."""
        return self.T[:d], self.C[:d], self.W[: d + 1], self.conflict[: d + 1], self.L[d]

    def restore(self, d: int, saved: tuple) -> None:
        self.T[:d], self.C[:d], self.W[: d + 1], self.conflict[: d + 1], self.L[d] = saved

    def note(self, line: int, **what_came_of_it) -> None:
        self.trace[line] = replace(self.trace[line], **what_came_of_it)
        self.settled += 1
        errors = self.remember()
        if self.callback is not None:
            hidden = [T.copy() for T in self.T[1 : self.l]]
            self.callback(State(self.settled, hidden, errors, self.fewest))

    def show(self, line: int | None) -> None:
        if self.watch is not None:
            targets = [T.copy() for T in self.T[1 : self.l]]
            self.watch(Moment(line, tuple(self.trace), targets, [W.copy() for W in self.W[1:]]))

    def remember(self) -> int:
        """Training errors of the network as it is; keeps the weights that make the fewest."""
        errors = self.problem.errors(self.W[1:])
        if errors < self.fewest:
            self.fewest, self.best = errors, self.W[1:]
        return errors

    def outcome(self) -> Outcome:
        self.remember()
        return Outcome.of_network("Algorithm 1", self.problem, self.best, len(self.trace), trace=tuple(self.trace))


def _gives(w: np.ndarray, h: np.ndarray, t: np.ndarray) -> bool:
    return bool((sign(affine(h, w[None])[:, 0]) == t)[t != 0].all())
