"""Exact answers about a few points and their labels, in rational arithmetic: `separability` asks, FLINT calculates.

Every float64 is a rational number. Column j of the points is multiplied by a rational that makes its entries integers
without a common factor, which changes neither what is separable nor the coefficients of a common hull point; a last
column of ones carries the bias.
"""

import math
import sys
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

try:
    from flint import fmpz_mat, nmod_mat
except ImportError as error:  # pragma: no cover
    raise ImportError("exact separability needs FLINT: pip install python-flint") from error

_PRIME = 2**61 - 1


class IntegerPoints:
    """The points (m, n) as integers (m, n + 1), and what can be said about labels of them without rounding."""

    def __init__(self, X: np.ndarray):
        columns, self.scales = [], []
        for column in X.T.tolist():
            ratios = [value.as_integer_ratio() for value in column]
            denominator = max(q for _, q in ratios)  # all are powers of 2
            integers = [p * (denominator // q) for p, q in ratios]
            divisor = math.gcd(*integers) or 1
            columns.append([value // divisor for value in integers])
            self.scales.append(Fraction(denominator, divisor))
        self.rows = [list(row) for row in zip(*columns, [1] * len(X), strict=True)]
        self.scales.append(Fraction(1))
        self.matrix = fmpz_mat(self.rows)
        self._right = [0] * len(self.scales) + [1]  # what sum_i c_i (t_i (x_i, 1), 1) is to be

    def values(self, weights: Sequence[Fraction]) -> tuple[list[int], Fraction]:
        """Integers z_i and a positive unit with z_i * unit = w . x_i + b; weights: (w, b) of the points as given."""
        integers, unit = _integers([a / s for a, s in zip(weights, self.scales, strict=True)])
        return _times(self.matrix, integers), unit

    def separating(self, w: Sequence[Fraction], t: np.ndarray) -> tuple[Fraction, ...] | None:
        """(w, b) with t_i (w . x_i + b) > 0 wherever t_i is not 0, or None if these w allow no such b.

        w: n weights of the points as given. b is in the middle, or the float64 nearest to that if it serves.
        """
        z, unit = self.values([*w, Fraction(0)])
        above = min(z[i] for i in np.flatnonzero(t > 0))
        below = max(z[i] for i in np.flatnonzero(t < 0))
        if below >= above:
            return None
        b = Fraction(-(above + below), 2) * unit
        try:
            rounded = Fraction(float(b))
        except OverflowError:
            return (*w, b)
        return (*w, rounded if below * unit < -rounded < above * unit else b)

    def margin(self, weights: tuple[Fraction, ...], t: np.ndarray) -> float:
        """The least t_i (w . x_i + b) / ||w||, not negative, over the t_i that are not 0; w is not 0."""
        z, unit = self.values(weights)
        least = min(int(t[i]) * z[i] for i in np.flatnonzero(t)) * unit
        return _root(least * least / sum(w * w for w in weights[:-1]))

    def hull_point(self, support: np.ndarray, t: np.ndarray) -> dict[int, Fraction] | None:
        """Coefficients c_i > 0 on some of the support, with sum_i c_i t_i (x_i, 1) = 0 and sum_i c_i = 1; or None."""
        columns = [self._column(("point", int(i)), t) for i in support]
        reduced, denominator, rank = fmpz_mat([*columns, self._right]).transpose().rref()
        pivots = _pivots(reduced, rank)
        if len(columns) in pivots:  # the right-hand side is no combination of the others
            return None
        values = {
            int(support[j]): Fraction(int(reduced[r, len(columns)]), int(denominator)) for r, j in enumerate(pivots)
        }
        return {i: c for i, c in values.items() if c} if min(values.values()) >= 0 else None

    def decide(self, support: np.ndarray, t: np.ndarray, pivots: int):
        """Weights (a tuple of n + 1 Fractions) or hull coefficients (a dict as above), by the exact simplex method.

        It minimises the 1-norm of sum_i c_i t_i (x_i, 1) over c >= 0 with sum_i c_i = 1, one column for each point and
        two slack columns for each coordinate, starting from the given support, and stops as soon as the dual variables
        separate or the minimum 0 is reached. Exact throughout, so no tolerance. None when the pivots are used up.
        """
        basis, stalled, lowest = self._start(support, t), 0, None
        active = [(i, int(t[i])) for i in np.flatnonzero(t).tolist()]
        for _ in range(pivots):
            columns = [self._column(entry, t) for entry in basis]
            B = fmpz_mat(columns).transpose()
            cost = [0 if kind == "point" else 1 for kind, _ in basis]
            values = _entries(B.solve(_standing(self._right)))
            dual = _entries(B.transpose().solve(_standing(cost)))

            objective = sum(v for v, c in zip(values, cost, strict=True) if c)
            if objective == 0:
                return {i: v for (kind, i), v in zip(basis, values, strict=True) if kind == "point" and v}
            *w, offset, one = _integers([*dual, Fraction(1)])[0]  # the dual variables, and 1 in the same unit
            z = _times(self.matrix, w)
            below = {("point", i): price for i, sign in active if (price := -sign * z[i] - offset) < 0}
            if max(sign * z[i] for i, sign in active) < 0:
                return tuple(-v * s for v, s in zip(dual[:-1], self.scales, strict=True))
            for j, v in enumerate(w):
                if abs(v) > one:
                    below["+" if v > 0 else "-", j] = one - abs(v)

            # Dantzig's rule is fast, Bland's never cycles: the second where the first does not get on.
            stalled = 0 if lowest is None or objective < lowest else stalled + 1
            lowest = objective
            entering = min(below) if stalled > 5 else min(below, key=below.get)
            direction = _entries(B.solve(_standing(self._column(entering, t))))
            ratios = [(v / d, basis[k], k) for k, (v, d) in enumerate(zip(values, direction, strict=True)) if d > 0]
            basis[min(ratios)[2]] = entering
        return None

    def _start(self, support: np.ndarray, t: np.ndarray) -> list[tuple]:
        """A feasible basis with as much of the support in it as can be had.

        Columns are chosen modulo a prime, which is fast: those that are independent there are independent.
        """
        points = [int(i) for i in support] or [int(np.flatnonzero(t)[0])]
        while True:
            entries = [("point", i) for i in points] + [("+", j) for j in range(len(self.scales))]
            columns = [self._column(entry, t) for entry in entries]
            chosen = _pivots(*nmod_mat(fmpz_mat(columns).transpose(), _PRIME).rref())
            basis = [entries[j] for j in chosen]
            values = _entries(fmpz_mat([columns[j] for j in chosen]).transpose().solve(_standing(self._right)))
            points = [i for (kind, i), v in zip(basis, values, strict=True) if kind == "point" and v >= 0]
            if len(points) == sum(kind == "point" for kind, _ in basis):
                return [("-" if v < 0 else k, i) for (k, i), v in zip(basis, values, strict=True)]

    def _column(self, entry: tuple, t: np.ndarray) -> list[int]:
        kind, i = entry
        if kind == "point":
            return [int(t[i]) * v for v in self.rows[i]] + [1]
        column = [0] * (len(self.scales) + 1)
        column[i] = 1 if kind == "+" else -1
        return column


def _pivots(reduced, rank: int) -> list[int]:
    """The pivot columns of a matrix in row echelon form."""
    pivots, j = [], 0
    for r in range(rank):
        while reduced[r, j] == 0:
            j += 1
        pivots.append(j)
    return pivots


def _root(square: Fraction) -> float:
    """A square root, also where no float64 can hold the square; the largest float64 where none can hold the root."""
    half = (square.numerator.bit_length() - square.denominator.bit_length()) // 2
    try:
        return math.ldexp(math.sqrt(square / Fraction(4) ** half), half)
    except OverflowError:
        return sys.float_info.max


def _standing(column: list[int]) -> fmpz_mat:
    return fmpz_mat(len(column), 1, column)


def _entries(solution) -> list[Fraction]:
    numerators, denominator = solution.numer_denom()
    return [Fraction(int(p), int(denominator)) for p in numerators.entries()]


def _integers(values: list[Fraction]) -> tuple[list[int], Fraction]:
    """Integers and a positive unit with integers * unit == values."""
    denominator = math.lcm(*(v.denominator for v in values))
    return [v.numerator * (denominator // v.denominator) for v in values], Fraction(1, denominator)


def _times(matrix: fmpz_mat, column: list[int]) -> list[int]:
    return [int(v) for v in (matrix * _standing(column)).entries()]
