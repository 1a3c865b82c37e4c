"""The cases that searches are compared on: logic, planted teachers, and real data, each made from a name and a seed.

Real-valued inputs lie on a grid of 2^-10: their rationals are short, and sums agree to the last bit between machines.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from itertools import product

import numpy as np

from ..losses import Table, UnknownName
from ..separability import separate
from .problem import Problem, affine, sign

MINORITY = 0.25
_GRID = 1024
_MOST_DRAWS = 10_000

Draw = tuple[np.ndarray, np.ndarray, list[np.ndarray] | None]  # X, y, and weights without an error where known


@dataclass(frozen=True)
class Cell:
    """A kind of case: the function that draws one, its size, the network for it, and the group it is told with.

    make: called as ``make(rng, hidden=hidden, **size)``. fixed: there is nothing to draw, every seed has the same case.
    """

    group: str
    make: Callable[..., Draw]
    hidden: tuple[int, ...]
    size: dict = field(default_factory=dict)
    fixed: bool = False

    @property
    def settings(self) -> dict:
        """All that decides the cell's cases, as plain data."""
        return {"group": self.group, "kind": self.make.__name__, "hidden": list(self.hidden), **self.size}


@dataclass(frozen=True, eq=False)
class Case:
    """A problem, and how it came about: its cell and seed, the draws that were thrown away, weights that solve it."""

    cell: str
    seed: int
    problem: Problem
    redraws: int
    teacher: list[np.ndarray] | None

    @property
    def minority(self) -> float:
        """Share of the rarer label."""
        return _minority(self.problem.y)

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that change with any input or label."""
        return f"{zlib.crc32(self.problem.y.tobytes(), zlib.crc32(self.problem.X.tobytes())):08x}"


def case(cell: str, seed: int = 0) -> Case:
    """The case of this cell and seed; the same one on every call.

    A draw whose labels one perceptron separates, or where the rarer label has a share under 25 %, is thrown away and
    made again, from the seed and the number of the draw. Raises UnknownName (a ValueError) for an unknown cell and
    ValueError for a negative seed.

    >>> c = case("teacher 2-layer n=4 h=2 m=12", seed=1)
    >>> c.problem.X.shape, c.problem.hidden, c.problem.errors(c.teacher), c.redraws
    ((12, 4), (2,), 0, 31)
    """
    kind = CELLS[cell]
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"a seed is an integer of 0 or more, not {seed!r}")
    for redraws in range(_MOST_DRAWS):
        X, y, teacher = kind.make(np.random.default_rng([seed, redraws]), hidden=kind.hidden, **kind.size)
        if _minority(y) >= MINORITY and separate(X, y).separable is False:
            return Case(cell, int(seed), Problem(X, y, kind.hidden), redraws, teacher)
    raise ValueError(f"{_MOST_DRAWS} draws of {cell!r} were all separable or lopsided: this cell has no cases")


def named(patterns: Sequence[str] | None = None) -> list[str]:
    """The cells that a list of names, groups and patterns with * stands for, in the order of CELLS; None: all.

    Raises UnknownName (a ValueError) for one that fits nothing.

    >>> named(["XOR", "parity *"])
    ['XOR', 'parity 3', 'parity 4', 'parity 5', 'parity 6']
    """
    if patterns is None:
        return list(CELLS)
    found = {p: [n for n, c in CELLS.items() if c.group == p or n == p or fnmatchcase(n, p)] for p in patterns}
    for pattern, names in found.items():
        if not names and "*" in pattern:
            raise UnknownName(f"no cell fits {pattern!r}; the cells are: {', '.join(CELLS)}.")
        if not names:
            CELLS[pattern]
    wanted = {name for names in found.values() for name in names}
    return [name for name in CELLS if name in wanted]


# --- how cases are drawn: make(rng, *, hidden, ...) -> X, y, weights ------------------------------------------------


def parity(rng, *, hidden, bits: int) -> Draw:
    """All vertices of the cube; +1 where an odd number of bits is +1. Unit j of k counts whether more than j are."""
    X = _cube(bits)
    ones = (X > 0).sum(axis=1)
    counts = np.hstack([np.ones((bits, bits)), bits - 1 - 2.0 * np.arange(bits)[:, None]])  # sum of x > 2 j + 1 - k
    output = [*(-1.0) ** np.arange(bits), bits % 2 - 1.0]  # alternating signs: pairs of units cancel
    return X, np.where(ones % 2, 1, -1), [counts, np.array([output])]


def and_of_ors(rng, *, hidden, bits: int, literals: int, m: int | None = None) -> Draw:
    """Conjunction of random clauses, one a hidden unit, each an OR of literals; on all vertices, or on m of them."""
    X = _cube(bits)
    if m is not None:
        X = X[np.sort(rng.choice(len(X), m, replace=False))]
    clauses = np.zeros((hidden[0], bits + 1))
    for clause in clauses:
        clause[rng.choice(bits, literals, replace=False)] = rng.choice([-1.0, 1.0], literals)
    clauses[:, -1] = literals - 1
    conjunction = np.array([[1.0] * hidden[0] + [1.0 - hidden[0]]])
    return X, _labels(X, [clauses, conjunction]), [clauses, conjunction]


def teacher(rng, *, hidden, n: int, m: int) -> Draw:
    """Gaussian inputs, labelled by a random network with hard thresholds, as wide as the student.

    Weights are Gaussian. Each bias puts its unit's threshold at a quantile, drawn from 0.25 to 0.75, of the unit's z on
    1000 other inputs: no unit is constant. m inputs of a seed begin more inputs of that seed, so cells that differ in m
    alone have the same teacher where they have the same number of redraws.
    """
    widths = (n, *hidden, 1)
    weights, h = [], rng.standard_normal((1000, n))
    for inputs, units in zip(widths, widths[1:], strict=False):
        W = rng.standard_normal((units, inputs))
        z = np.sort(h @ W.T, axis=0)
        at = (len(z) * rng.uniform(0.25, 0.75, units)).astype(int)
        low = z[at, np.arange(units)]
        above = np.where(z > low + 1e-9, z, np.inf).min(axis=0)  # the next value: z of units behind units are discrete
        bias = -np.where(np.isfinite(above), (low + above) / 2, low - 0.5)
        weights.append(np.hstack([W, bias[:, None]]))
        h = sign(affine(h, weights[-1]))
    X = _on_grid(rng.standard_normal((m, n)))
    return X, _labels(X, weights), weights


def two_moons(rng, *, hidden, m: int, noise: float) -> Draw:
    """scikit-learn's two interleaving half circles with Gaussian noise."""
    from sklearn.datasets import make_moons

    X, y = make_moons(m, noise=noise, random_state=int(rng.integers(2**31)))
    return _on_grid(X), 2 * y - 1, None


def images(rng, *, hidden, classes: tuple[str, str], features: int, m: int) -> Draw:
    """m of the bundled training images of two classes, by their first principal components, each of variance 1."""
    X, y = _projected(*classes, features)
    chosen = rng.choice(len(X), m, replace=False)
    return X[chosen], y[chosen], None


@cache
def _projected(a: str, b: str, features: int) -> tuple[np.ndarray, np.ndarray]:
    from .. import data

    split = data.two_classes(data.load("fashion-mnist-12k"), a, b).train
    pixels = split.images.flatten(1).double().numpy()
    pixels -= pixels.mean(axis=0)
    _, _, axes = np.linalg.svd(pixels, full_matrices=False)
    axes = axes[:features]
    largest = np.abs(axes).argmax(axis=1)
    axes *= np.sign(axes[np.arange(features), largest])[:, None]  # a component's sign is free: its largest entry is +
    scores = pixels @ axes.T
    return _on_grid(scores / scores.std(axis=0)), 2 * split.labels.numpy() - 1


def _cube(bits: int) -> np.ndarray:
    return np.array(list(product((-1.0, 1.0), repeat=bits)))


def _on_grid(X: np.ndarray) -> np.ndarray:
    return np.round(X * _GRID) / _GRID


def _labels(X: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    for W in weights:
        X = sign(affine(X, W))
    return X[:, 0]


def _minority(y: np.ndarray) -> float:
    positive = int((y > 0).sum())
    return min(positive, len(y) - positive) / len(y)


# --- the cells ------------------------------------------------------------------------------------------------------


def _teachers(*sizes: tuple[int, tuple[int, ...], int], group: str) -> dict[str, Cell]:
    """Cells of planted teachers from (n, hidden, m)."""
    return {
        f"teacher {len(hidden) + 1}-layer n={n} h={'-'.join(map(str, hidden))} m={m}": Cell(
            group, teacher, hidden, {"n": n, "m": m}
        )
        for n, hidden, m in sizes
    }


def _images(a: str, b: str, m: int) -> dict[str, Cell]:
    size = {"classes": (a, b), "features": 10, "m": m}
    return {f"{a} or {b} m={m}": Cell("real", images, (4,), size)}


CELLS: dict[str, Cell] = Table(
    {
        "XOR": Cell("logic", parity, (2,), {"bits": 2}, fixed=True),
        **{f"parity {k}": Cell("logic", parity, (k,), {"bits": k}, fixed=True) for k in (3, 4, 5, 6)},
        "AND of 3 ORs, all 32": Cell("logic", and_of_ors, (3,), {"bits": 5, "literals": 2}),
        "AND of 4 ORs, 50 of 256": Cell("logic", and_of_ors, (4,), {"bits": 8, "literals": 3, "m": 50}),
        **_teachers(
            (4, (2,), 12), (4, (3,), 25), (6, (3,), 25), (4, (3,), 50), (6, (3,), 50), (8, (4,), 50), (10, (6,), 50),
            (4, (4,), 100), (10, (4,), 100),
            group="teachers 2-layer",
        ),
        **_teachers(
            (4, (2, 2), 12), (4, (3, 2), 25), (6, (4, 2), 50), (10, (6, 4), 100),
            group="teachers 3-layer",
        ),
        "two moons m=20": Cell("real", two_moons, (3,), {"m": 20, "noise": 0.1}),
        "two moons m=50": Cell("real", two_moons, (4,), {"m": 50, "noise": 0.1}),
        **_images("Pullover", "Coat", 50),
        **_images("Pullover", "Coat", 100),
        **_images("T-shirt/top", "Shirt", 50),
        **_images("T-shirt/top", "Shirt", 100),
        **_teachers(*((5, (3,), m) for m in (12, 25, 50, 100, 200)), group="growth with m"),
        **_teachers(*((5, (3,) * depth, 50) for depth in (2, 3, 4)), group="growth with depth"),
    },
    kind="cell",
)  # fmt: skip

GROWTH = {
    "growth with m": named(["growth with m"]),
    "growth with depth": ["teacher 2-layer n=5 h=3 m=50", *named(["growth with depth"])],
}
