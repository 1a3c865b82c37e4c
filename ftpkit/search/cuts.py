"""Cuts: signs that no hard-threshold unit gives to some points, as small as can be, and how to find broken ones.

A cut stands on an affine dependency sum_i c_i s_i (x_i, 1) = 0 with all c_i > 0: the mean of the points with s_i = +1
is the mean of those with s_i = -1, so no unit gives each point its s_i. The opposite signs are ruled out as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations, product
from math import lcm

import numpy as np
from scipy.linalg import qr

from ..hulls import standardised
from ..separability import Points, Separation


@dataclass(frozen=True)
class Cut:
    """No unit of this layer gives the points at `places` these signs (1, ...), nor the opposite ones.

    layer: 1 for rows of X; deeper, places are corners of the cube, in the order of `corners`. multiples: positive
    integers c_i of the dependency. The first sign is +1, so that equal cuts compare equal.
    """

    layer: int
    places: tuple[int, ...]
    signs: tuple[int, ...]
    multiples: tuple[int, ...]

    @property
    def coefficients(self) -> list[Fraction]:
        """The multiples, divided so that those of either sign add up to 1."""
        total = sum(c for c, s in zip(self.multiples, self.signs, strict=True) if s > 0)
        return [Fraction(c, total) for c in self.multiples]


class Instances:
    """The rows of X, no two equal, and the cuts of the first layer."""

    def __init__(self, X: np.ndarray, seed: int):
        from ..rational import IntegerPoints  # wants FLINT

        self.points = Points(X)
        self._integer = IntegerPoints(X)
        left, values, _ = np.linalg.svd(np.c_[standardised(X)[0], np.ones(len(X))], full_matrices=False)
        self._space = left[:, values > 1e-9 * values[0]]  # coordinates in which (x, 1) are independent, of equal size
        self._rng = np.random.default_rng(seed)

    def separate(self, t: np.ndarray) -> Separation | None:
        """Weights that give the instances these signs, or None."""
        verdict = self.points.separate(t)
        if verdict.separable is None:
            raise ArithmeticError(verdict.reason)
        return verdict if verdict.separable else None

    def outputs(self, unit: Separation) -> np.ndarray:
        """What this unit gives the instances."""
        return np.where(np.array(self._integer.values(unit.exact)[0]) > 0, 1, -1).astype(np.int8)

    def nearest(self, t: np.ndarray) -> np.ndarray:
        """Signs that a unit gives, near to t where that is not 0: those of its least-squares fit."""
        used = t != 0
        w = np.linalg.lstsq(self._space[used], t[used].astype(float), rcond=None)[0]
        return np.where(self._space @ w > 0, 1, -1).astype(np.int8)

    def broken(self, t: np.ndarray, most: int) -> list[Cut]:
        """Cuts that the column t, 0 where any sign will do, breaks, at most `most`; none if and only if t is separable.

        The first are certificates with no instance in common. Each of the others is a pivot of the simplex method away
        from one found before: an instance enters the support and the ratio test says which one leaves. Of those the
        shortest are taken.
        """
        cuts, bases, rest = {}, {}, t.copy()
        while (verdict := self.points.separate(rest)).separable is False:
            support, coefficients = verdict.support.tolist(), verdict.coefficients
            unit = lcm(*(c.denominator for c in coefficients))
            values = [int(c * unit * t[i]) for i, c in zip(support, coefficients, strict=True)]
            cuts[_from_dependency(1, support, values)] = None
            bases[tuple(support)] = None
            rest[support] = 0
        if verdict.separable is None and not cuts:
            raise ArithmeticError(verdict.reason)
        todo = list(bases)
        while todo and len(bases) < 2 * most:
            basis = todo.pop(self._rng.integers(len(todo)))
            others = [other for other in self._pivots(t, basis) if other not in bases]
            bases |= dict.fromkeys(others)
            todo += others
        pivots = list(bases)[len(cuts) :]
        self._rng.shuffle(pivots)
        more = dict.fromkeys(cut for cut in map(self._cut, pivots) if cut is not None and cut not in cuts)
        return [*cuts, *sorted(more, key=lambda cut: len(cut.places))[: max(0, most - len(cuts))]]

    def _pivots(self, t: np.ndarray, support: tuple[int, ...]) -> list[tuple[int, ...]]:
        """In floating point; what rounding spoils, `_cut` puts right. support: of a broken cut, or such a basis."""
        columns = np.c_[self._space * t[:, None], t != 0].T
        size = len(columns)
        if len(support) > size:
            return []
        basis = list(support)
        if len(basis) < size:  # with a coefficient of 0, what the support does not span
            beyond = np.linalg.qr(columns[:, basis], mode="complete")[0][:, len(basis) :].T
            basis += qr(beyond @ columns, mode="r", pivoting=True)[1][: size - len(basis)].tolist()
        try:
            reduced = np.linalg.solve(columns[:, basis], np.c_[columns, np.eye(size)[:, -1]])
        except np.linalg.LinAlgError:
            return []
        direction, values = reduced[:, :-1], reduced[:, -1:]
        ratios = np.where(direction > 1e-9, values / np.where(direction > 1e-9, direction, 1), np.inf)
        leaves, least = ratios.argmin(axis=0), ratios.min(axis=0)
        others = []
        for enters in np.flatnonzero(np.isfinite(least) & (least > 1e-9)).tolist():
            if enters not in basis:
                others.append(tuple(sorted({*basis, enters} - {basis[leaves[enters]]})))
        return others

    def _cut(self, support: tuple[int, ...]) -> Cut | None:
        """The cut on these instances, whatever the signs; None if they have no dependency, or more than one."""
        from flint import fmpz_mat

        null, nullity = fmpz_mat([self._integer.rows[i] for i in support]).transpose().nullspace()
        if nullity != 1:
            return None
        return _from_dependency(1, support, [int(null[i, 0]) for i in range(len(support))])


class Cube:
    """The corners of {-1, +1}^n, inputs of layer 2 and deeper, and the cuts of functions on them.

    A function of at most 8 variables is a threshold function if no two of its true corners have the sum of two false
    ones (Muroga, Threshold Logic and Its Applications, 1971), so all cuts have four corners, and they are listed.
    """

    def __init__(self, layer: int, n: int):
        self.layer, self.n = layer, n
        self._quadruples = _quadruples(n)

    def separate(self, f: np.ndarray) -> Separation | None:
        """Weights of a unit that computes the truth table f, (2^n,), or None."""
        verdict = Points(corners(self.n)).separate(f)
        return verdict if verdict.separable else None

    def broken(self, f: np.ndarray) -> list[Cut]:
        """Cuts that the truth table f breaks; none if and only if f is a threshold function."""
        if not len(self._quadruples):
            return []
        hits = np.abs(f[self._quadruples] @ [1, 1, -1, -1]) == 4
        return [Cut(self.layer, tuple(q), (1, 1, -1, -1), (1, 1, 1, 1)) for q in self._quadruples[hits].tolist()]

    def basis(self) -> list[Cut]:
        """Cuts that, with their mirror images (coordinates exchanged, or turned), say what a threshold function is."""
        kinds = {}
        for q in self._quadruples.tolist():
            a, b, c, _ = corners(self.n)[q]
            apart, between = int((a != b).sum()), int((a != c).sum())
            kinds.setdefault((apart, min(between, apart - between)), q)
        chosen = kinds.values() if self.n < 5 else self._quadruples.tolist()
        return [Cut(self.layer, tuple(q), (1, 1, -1, -1), (1, 1, 1, 1)) for q in chosen]


@cache
def corners(n: int) -> np.ndarray:
    """All of {-1, +1}^n, (2^n, n) as int8; corner number k has the binary digits of k, the highest first, 0 for -1."""
    return np.array(list(product((-1, 1), repeat=n)), np.int8)


@cache
def _quadruples(n: int) -> np.ndarray:
    """All (a, b, c, d), a + b = c + d, of different corners, (count, 4)."""
    pairs = {}
    cube = corners(n).astype(int)
    for a, b in combinations(range(len(cube)), 2):
        pairs.setdefault(tuple(cube[a] + cube[b]), []).append((a, b))
    return np.array([p + q for same in pairs.values() for p, q in combinations(same, 2)], int).reshape(-1, 4)


def _from_dependency(layer: int, places: Sequence[int], values: list[int]) -> Cut:
    used = [(i, v) for i, v in zip(places, values, strict=True) if v]
    side = 1 if used[0][1] > 0 else -1
    return Cut(
        layer,
        tuple(i for i, _ in used),
        tuple(side if v > 0 else -side for _, v in used),
        tuple(abs(v) for _, v in used),
    )
