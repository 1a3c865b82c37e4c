"""The fewest training errors that any network of a given shape can make, with a proof: clauses are learnt as needed."""

import time
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import numpy as np

from .cuts import Cube, Cut, Instances, corners
from .master import Master
from .problem import Outcome, Problem, State, check_budget

_WIDEST = 6  # units of a layer that feeds another: the next has truth tables of 2^6 bits
_CUTS = 20  # for each column and round


def exact(
    problem: Problem,
    *,
    objective: str = "errors",
    budget: int | None = None,
    time_limit: float | None = None,
    seed: int = 0,
    callback: Callable[[State], None] | None = None,
) -> Outcome:
    """The fewest training errors, and a network that makes no more: proved, or bounded when a limit is reached.

    A master problem asks for target bits and truth tables of a network with at most `bound` errors, knowing only some
    facts about what a unit can do (`master.Master`). Of its answer only the bits that force the right labels matter:
    where no unit has these, certificates of that are added as clauses (`cuts`), and it is asked again. When there is no
    such answer, the bound goes up by one; an answer that real units can have is an optimum. In each round, columns that
    no unit has are also replaced by near ones, and the errors of that real network are an upper bound.

    objective: "errors" only. budget: rounds, at most. time_limit: seconds; without one the result is deterministic.
    callback: gets the real network of every round that has one, as a `State`. The outcome's trace has one (bound, best
    value, cuts) for each round. Its proof is a dict of plain JSON values: X, y, hidden; value, bound, proved; targets
    and weights (float64, or "p/q" where that is no float64) of the network; and cuts: {layer, points, signs,
    coefficients ("p/q"), instances (None from layer 2 on)}, from which the bound follows. The cuts of layers before 5
    units or fewer are given up to mirror images of the cube.

    value is the number of errors of that network without rounding; `errors`, in float64, differs if a margin is too
    small for that. Raises ValueError for limits that are not positive, and for layers of more than 6 units before
    another; ArithmeticError where a column is undecided (`separability.Undecided`).

    >>> xor = [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1]
    >>> for hidden in (), (1,), (2,):
    ...     print(exact(Problem(*xor, hidden)))
    exact: errors 1 after 3 evaluations (optimal, proved)
    exact: errors 1 after 3 evaluations (optimal, proved)
    exact: errors 0 after 2 evaluations (optimal, proved)
    """
    if objective != "errors":
        raise ValueError(f"exact counts training errors, objective 'errors', not {objective!r}")
    check_budget(budget)
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be a positive number of seconds, or None for no limit, not {time_limit!r}")
    if max(problem.hidden, default=0) > _WIDEST:
        raise ValueError(f"exact takes layers of at most {_WIDEST} hidden units, not {problem.hidden}")
    return _Search(problem, seed).run(budget, time_limit, callback)


class _Search:
    def __init__(self, problem: Problem, seed: int):
        self.problem = problem
        # Equal instances have equal bits; where their labels contradict each other, errors cannot be avoided.
        self.rows, self.first, self.row_of = np.unique(problem.X, axis=0, return_index=True, return_inverse=True)
        balance = np.bincount(self.row_of, weights=problem.y).astype(int)
        self.labels, self.cost = np.sign(balance), np.abs(balance)
        self.unavoidable = (problem.m - int(self.cost.sum())) // 2
        self.widths = (*problem.hidden, 1)
        self.master = Master(self.labels, self.cost, self.widths, seed)
        self.instances = Instances(self.rows, seed)
        self.cubes = [Cube(layer, n) for layer, n in enumerate(problem.hidden, start=2)]
        self.cuts: dict[Cut, None] = {}
        self.rounds, self.extra, self.trace = 0, 0, []
        # The best so far: columns of layer 1 and tables. At first all units are constant.
        side = 1 if balance.sum() > 0 else -1
        self.columns = np.full((len(self.rows), self.widths[0]), side, np.int8)
        self.tables = [
            np.full((width, 2**n), side, np.int8) for n, width in zip(self.widths, self.widths[1:], strict=False)
        ]
        self.best = self._missed(self.columns, self.tables)

    def run(self, budget, time_limit, callback) -> Outcome:
        end = None if time_limit is None else time.monotonic() + time_limit
        while self.best > self.extra and (budget is None or self.rounds < budget):
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.rounds += 1
            try:
                answer = self.master.solve(self.extra, left)
            except TimeoutError:
                break
            if answer is None:
                self.extra += 1
            else:
                self._learn(*answer, callback)
            self.trace.append((self.extra + self.unavoidable, self.best + self.unavoidable, len(self.cuts)))
        return self._outcome()

    def _learn(self, columns: np.ndarray, tables: list[np.ndarray], callback) -> None:
        """Add the cuts that these bits break, and see how good a network is near to them."""
        cuts, real = [], columns.copy()
        for j, column in enumerate((columns * self._matters(columns, tables)).T):
            unit = self.instances.separate(column)
            real[:, j] = self.instances.outputs(unit) if unit else self.instances.nearest(column)
            cuts += [] if unit else self.instances.broken(column, _CUTS)
        below = [cut for cube, table in zip(self.cubes, tables, strict=True) for f in table for cut in cube.broken(f)]
        cuts = dict.fromkeys([*cuts, *below])
        self.master.add(cut for cut in cuts if cut not in self.cuts)
        self.cuts |= cuts
        if below:
            return
        value = self._missed(real, tables)
        if value < self.best and all(self.instances.separate(t) for t in real.T):
            self.best, self.columns, self.tables = value, real, tables
        if callback is not None:
            targets = [T[self.row_of] for T in _outputs(real, tables)[:-1]]
            callback(State(self.rounds, targets, value + self.unavoidable, self.best + self.unavoidable))

    def _matters(self, columns: np.ndarray, tables: list[np.ndarray]) -> np.ndarray:
        """Bits of T_1 that force the labels which these get right, whatever the other bits are; (m, n_1) bool.

        Where there is a choice, bits that a unit near to the column has, too; and once more, for units near to those.
        """
        outputs = _outputs(columns, tables)
        right = (outputs[-1] == self.labels[:, None]) & (self.labels != 0)[:, None]
        matters = np.ones_like(columns, bool)
        for _ in range(2):
            near = np.stack([self.instances.nearest(t) for t in (columns * matters).T], axis=1)
            matters = right
            for T, N, table in zip(outputs[-2::-1], _outputs(near, tables)[-2::-1], tables[::-1], strict=True):
                matters = _forcing(T, table, matters, np.where(T == N, 1, T.shape[1] + 1))
        return matters

    def _missed(self, columns: np.ndarray, tables: list[np.ndarray]) -> int:
        """Errors beyond the unavoidable ones."""
        return int(self.cost[_outputs(columns, tables)[-1][:, 0] == -self.labels].sum())

    def _outcome(self) -> Outcome:
        units = [[self.instances.separate(t) for t in self.columns.T]]
        units += [[cube.separate(f) for f in table] for cube, table in zip(self.cubes, self.tables, strict=True)]
        weights = [np.stack([unit.weights for unit in layer]) for layer in units]
        targets = [T[self.row_of] for T in _outputs(self.columns, self.tables)[:-1]]
        value, bound = self.best + self.unavoidable, min(self.extra, self.best) + self.unavoidable
        outputs, errors = self.problem.forward(weights)[0], self.problem.errors(weights)
        proof = {
            "X": self.problem.X.tolist(),
            "y": self.problem.y.tolist(),
            "hidden": list(self.problem.hidden),
            "value": value,
            "bound": bound,
            "proved": value == bound,
            "targets": [T.tolist() for T in targets],
            "weights": [[[_plain_number(w) for w in unit.exact] for unit in layer] for layer in units],
            "cuts": self._plain_cuts(),
        }
        return Outcome(
            method="exact",
            objective="errors",
            value=value,
            targets=targets,
            weights=weights,
            errors=errors,
            feasible=errors == 0 and all((H == T).all() for H, T in zip(outputs, targets, strict=True)),
            evaluations=self.rounds,
            proved=value == bound,
            bound=bound,
            trace=tuple(self.trace),
            proof=proof,
        )

    def _plain_cuts(self) -> list[dict]:
        """All that the bound rests on, also what `Master` has by its form: equal bits, threshold functions."""
        twins = [(int(self.first[row]), i) for i, row in enumerate(self.row_of) if i != self.first[row]]
        plain = [self._plain(1, pair, (1, -1), (1, 1)) for pair in twins]
        for cut in [*self.cuts, *(cut for cube in self.cubes for cut in cube.basis() if cut not in self.cuts)]:
            places = self.first[list(cut.places)].tolist() if cut.layer == 1 else cut.places
            plain.append(self._plain(cut.layer, places, cut.signs, cut.coefficients))
        return plain

    def _plain(self, layer, places, signs, coefficients) -> dict:
        points = self.problem.X if layer == 1 else corners(self.problem.hidden[layer - 2])
        return {
            "layer": layer,
            "points": points[list(places)].tolist(),
            "signs": list(signs),
            "coefficients": [str(c) for c in coefficients],
            "instances": list(places) if layer == 1 else None,
        }


def _outputs(columns: np.ndarray, tables: list[np.ndarray]) -> list[np.ndarray]:
    """T_1, ..., T_l of units with these columns and tables."""
    outputs = [columns]
    for table in tables:
        outputs.append(table.T[_number_of(outputs[-1])])
    return outputs


def _forcing(T: np.ndarray, table: np.ndarray, needed: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Cheap sets of inputs that force the needed outputs of a layer, (m, n) bool.

    T: (m, n), its inputs. table: (units, 2^n). needed: (m, units) bool. price: (m, n), of an input.
    """
    sets, alike = _subsets(T.shape[1])
    taken = np.zeros(T.shape, bool)
    for f, wanted in zip(table, needed.T, strict=True):
        forces = ((f[:, None] == f) | ~alike).all(axis=2)  # (sets, corners)
        cost = np.where(forces[:, _number_of(T)].T, np.where(taken, 0, price) @ sets.T, np.inf)
        taken |= sets[cost.argmin(axis=1)] & wanted[:, None]
    return taken


@cache
def _subsets(n: int) -> tuple[np.ndarray, np.ndarray]:
    """All sets of n inputs, (2^n, n) bool; and for each which corners have these inputs alike, (2^n, 2^n, 2^n) bool."""
    cube, sets = corners(n), corners(n) > 0
    return sets, np.array([((cube[:, None] == cube) | ~chosen).all(axis=2) for chosen in sets])


def _number_of(T: np.ndarray) -> np.ndarray:
    """The number of the corner of each row, as in `corners`."""
    return (T > 0) @ (1 << np.arange(T.shape[1])[::-1])


def _plain_number(value: Fraction) -> float | str:
    return float(value) if Fraction(float(value)) == value else str(value)
