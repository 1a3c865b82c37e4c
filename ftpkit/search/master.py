"""The master problem of the exact search: which bits could a network of hard-threshold units have, as far as is known?

Clauses over bits, solved by OR-Tools CP-SAT with one worker and a fixed seed. T_1[i, j] is what unit j of the first
layer gives instance i. Every deeper unit has a truth table over the 2^n outputs of the n units before it. What bits a
unit can have is not said here; cuts that say it are added when they are broken.
"""

from collections.abc import Iterable

import numpy as np

from .cuts import Cut, corners


class Master:
    """Bits of a network with layers of the given widths, whose output unit is to give the instances their labels.

    labels: (m,) in {-1, 0, +1}, 0 for an instance that may have either. cost: (m,), of a label missed, integers.

    Networks that compute the same are many; of each such class one is kept. The units of a layer may be exchanged, and
    turned, which changes the signs of the weights that the next layer gives them. So let the first unit of the next
    layer have weights w_1 >= w_2 >= ... >= 0: its table f grows with every input, and is at p at least what it is at p
    with an input +1 and a later -1 exchanged. Where that exchange changes nothing in f, the columns are in order.
    """

    def __init__(self, labels: np.ndarray, cost: np.ndarray, widths: tuple[int, ...], seed: int):
        try:
            from ortools.sat.python import cp_model
        except ImportError as error:  # pragma: no cover
            raise ImportError("the exact search needs OR-Tools: pip install ortools") from error

        self._cp, self._model, self._solver = cp_model, cp_model.CpModel(), cp_model.CpSolver()
        parameters = self._solver.parameters
        parameters.num_workers, parameters.random_seed = 1, seed
        parameters.linearization_level = parameters.symmetry_level = 0
        self.widths, m = widths, len(labels)
        self._bits = [self._new(m, width) for width in widths]
        self._tables = [self._new(width, 2**n) for n, width in zip(widths, widths[1:], strict=False)]
        for layer in range(len(self._tables)):
            self._evaluate(layer, labels if layer == len(widths) - 2 else None)
            self._normalise(layer)
        missed = [self._is(self._bits[-1][i][0], -labels[i]) for i in np.flatnonzero(labels)]
        self._errors = self._model.add_linear_constraint(
            sum(int(c) * e for c, e in zip(cost[labels != 0], missed, strict=True)), 0, 0
        )

    def add(self, cuts: Iterable[Cut]) -> None:
        """A cut holds for every unit of its layer, with its signs and with the opposite ones."""
        for cut in cuts:
            units = self._tables[cut.layer - 2] if cut.layer > 1 else zip(*self._bits[0], strict=True)
            for unit in units:
                for side in (1, -1):
                    self._clause(*(self._is(unit[i], -side * s) for i, s in zip(cut.places, cut.signs, strict=True)))

    def solve(self, errors: int, seconds: float | None) -> tuple[np.ndarray, list[np.ndarray]] | None:
        """Bits with at most so many errors: T_1 (m, n_1), tables [(n_d, 2^n_{d-1}), ...]; None if there are none.

        Raises TimeoutError when neither is known after so many seconds.
        """
        domain = self._model.proto.constraints[self._errors.index].linear.domain
        domain[1] = domain[0] + errors
        self._solver.parameters.max_time_in_seconds = np.inf if seconds is None else max(seconds, 0)
        status = self._solver.solve(self._model)
        if status == self._cp.INFEASIBLE:
            return None
        if status not in (self._cp.OPTIMAL, self._cp.FEASIBLE):
            raise TimeoutError(f"not solved within {seconds} seconds")
        return self._values(self._bits[0]), [self._values(table) for table in self._tables]

    def _evaluate(self, layer: int, labels: np.ndarray | None) -> None:
        """Outputs of the next layer are what its tables say: inputs T = p and table f[p] = s imply the output s.

        The first table grows, so that T <= p is enough for an output +1, and T >= p for -1. Of the last layer
        (`labels` are given) only what makes an error an error is needed.
        """
        inputs, outputs, P = self._bits[layer], self._bits[layer + 1], corners(self.widths[layer])
        for k, table in enumerate(self._tables[layer]):
            for i, T in enumerate(inputs):
                for f, p in zip(table, P.tolist(), strict=True):
                    for s in (1, -1):  # output s, and T = p, imply f[p] = s
                        if labels is None or labels[i] == s:
                            differs = [self._is(bit, -v) for bit, v in zip(T, p, strict=True) if k or v != s]
                            self._clause(*differs, self._is(outputs[i][k], -s), self._is(f, s))

    def _normalise(self, layer: int) -> None:
        n, f = self.widths[layer], self._tables[layer][0]
        number = {tuple(p): k for k, p in enumerate(corners(n).tolist())}
        for j in range(n):
            for p, k in number.items():
                if p[j] < 0:
                    self._implies(f[k], f[number[p[:j] + (1,) + p[j + 1 :]]])
        for j in range(n - 1):
            exchanges = [
                (f[k], f[number[p[:j] + (-1, 1) + p[j + 2 :]]]) for p, k in number.items() if p[j : j + 2] == (1, -1)
            ]
            for before, after in exchanges:
                self._implies(after, before)
            self._in_order(layer, j, exchanges)

    def _in_order(self, layer: int, j: int, exchanges: list[tuple]) -> None:
        """Some exchange of inputs j and j + 1 makes a difference, or column j is not before column j + 1."""
        some, (equal,) = self._new(1, len(exchanges))[0], self._new(1, 1)[0]
        for makes, (before, after) in zip(some, exchanges, strict=True):
            self._implies(makes, before)
            self._implies(makes, ~after)
        self._clause(*some, equal)
        for row in self._bits[layer]:  # equal: no difference of the columns so far
            a, b, ((still,),) = row[j], row[j + 1], self._new(1, 1)
            self._clause(~equal, a, ~b)
            self._clause(~equal, still, a, b)
            self._clause(~equal, still, ~a, ~b)
            equal = still

    def _new(self, rows: int, columns: int) -> list[list]:
        return [[self._model.new_bool_var("") for _ in range(columns)] for _ in range(rows)]

    def _values(self, bits: list[list]) -> np.ndarray:
        return np.array([[1 if self._solver.boolean_value(bit) else -1 for bit in row] for row in bits], np.int8)

    def _clause(self, *literals) -> None:
        self._model.add_bool_or(literals)

    def _implies(self, a, b) -> None:
        self._model.add_implication(a, b)

    @staticmethod
    def _is(bit, sign: int):
        return bit if sign > 0 else ~bit
