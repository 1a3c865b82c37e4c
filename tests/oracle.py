"""Small cases solved a second time, exactly and by geometry: nothing here is imported from ftpkit or solves a program.

A point x with its bias is the vector (x, 1), and weights w give it the sign of w . (x, 1). The weights that give it 0
form a plane through the origin; the planes of all points cut the space of weights into cells, one per dichotomy.
All arithmetic is on Python's integers: a vector may be multiplied by any positive number.
"""

from functools import lru_cache
from itertools import combinations_with_replacement, product
from math import comb, gcd, lcm

import numpy as np


def homogeneous(X):
    """Integer vectors, tuples of length n + 1, in the directions of (x, 1); X (m, n) taken exactly as it is stored."""
    vectors = []
    for row in np.asarray(X, dtype=np.float64).tolist():
        ratios = [x.as_integer_ratio() for x in [*row, 1.0]]
        scale = lcm(*(q for _, q in ratios))
        vectors.append(_shortest([p * (scale // q) for p, q in ratios]))
    return vectors


def dichotomies(X):
    """The set of all strictly realisable dichotomies of the rows of X (m, n): tuples of m signs, -1 or +1.

    >>> len(dichotomies([[-1, -1], [-1, 1], [1, -1], [1, 1]]))  # 16 without the two of XOR
    14
    """
    return set(_cells(homogeneous(X)))


def witness(X, t):
    """Integers w, bias last, with ``t_i (w . (x_i, 1)) > 0`` for every t_i in {-1, +1}, None if there are none.

    Targets of 0 are ignored. For one t this is much faster than all dichotomies.
    """
    rows = [tuple(int(s) * a for a in v) for v, s in zip(homogeneous(X), t, strict=True) if s]
    return _positive(rows) if rows else (0,) * (np.shape(X)[1] + 1)


def separable(X, t):
    """Is there such a w?

    >>> X = [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    >>> separable(X, [-1, 1, 1, -1]), separable(X, [-1, 1, 0, -1])
    (False, True)
    """
    return witness(X, t) is not None


def cover(m, n):
    """Cover's count: the dichotomies of m points in general position in n dimensions."""
    return 2 * sum(comb(m - 1, k) for k in range(n + 1))


def cube(n):
    """The corners of {-1, +1}^n, shape (2^n, n); the first unit is the highest bit of a corner's number."""
    return np.array(list(product((-1, 1), repeat=n)), dtype=np.int8).reshape(2**n, n)


def fewest_errors(X, y, hidden):
    """The smallest number of training errors of any hard-threshold network with these hidden widths and one output.

    X (m, n); y (m,) in {-1, +1}; hidden: a tuple of widths, the first hidden layer first, () for a single perceptron.
    Every setting of a hidden layer by realisable columns is tried. A column and its negative serve the next layer
    alike, and so do the orders of the units.

    >>> X, y = [[-1, -1], [-1, 1], [1, -1], [1, 1]], [-1, 1, 1, -1]
    >>> [fewest_errors(X, y, hidden) for hidden in [(), (1,), (2,), (1, 1)]]
    [1, 1, 0, 1]
    """
    y = np.asarray(y, dtype=np.int8)
    found = {}  # (columns, widths left) -> errors; many settings of a layer offer the next one the same columns

    def best(columns, widths):
        key = columns.tobytes(), len(widths)
        if key not in found:
            found[key] = _least(columns, widths)
        return found[key]

    def _least(columns, widths):
        if not widths:
            wrong = np.count_nonzero(columns != y, axis=1)
            return int(min(wrong.min(), len(y) - wrong.max()))  # a column or its negative
        least = len(y)
        functions = _threshold_functions(widths[0])
        for numbers in _corner_numbers(columns, widths[0]):
            if len(widths) == 1:
                errors = int(np.count_nonzero(functions[:, numbers] != y, axis=2).min())
            else:
                errors = min(best(_half(functions[:, row]), widths[1:]) for row in numbers)
            least = min(least, errors)
            if not least:
                break
        return least

    return best(_half(np.array(sorted(dichotomies(X)), dtype=np.int8)), tuple(hidden))


def random_cases(seed, count, bits=24):
    """A list of (X, y, hidden) for `fewest_errors`, at most 10 instances and 24 target bits; the same at every call.

    Points of small grids (collinear, duplicated, also with different labels), corners of cubes, Gaussian points; 1 to 3
    dimensions; every other case has two hidden layers; labels are random.
    """
    rng = np.random.default_rng(seed)
    shapes = [[(1,), (2,), (2,), (3,)], [(1, 1), (2, 1), (1, 2), (2, 2), (3, 1), (2, 1), (1, 3), (3, 2)]]
    cases = []
    for i in range(count):
        hidden = shapes[i % 2][rng.integers(len(shapes[i % 2]))]
        most = min(10, bits // sum(hidden))
        m, n = int(rng.integers(max(most - 3, 3), most + 1)), int(rng.integers(1, 4))
        kind = rng.choice(["grid", "cube", "gauss"], p=[0.45, 0.2, 0.35])
        X = {
            "grid": lambda m, n: rng.integers(0, 4 if n == 1 else 3, (m, n)).astype(np.float64),
            "cube": lambda m, n: 2.0 * rng.integers(0, 2, (m, n)) - 1,
            "gauss": lambda m, n: rng.standard_normal((m, n)),
        }[kind](m, n)
        cases.append((X, 2 * rng.integers(0, 2, m) - 1, hidden))
    return cases


def _cells(vectors):
    """{signs: weights}: every cell of the planes ``w . v = 0`` and an integer point in it; no vector may be 0.

    One plane at a time. A new plane splits a cell just when it meets it, and what meets it are the cells that the
    older planes cut out of the new plane itself, one dimension lower.
    """
    lines = {}  # parallel vectors have the same plane
    for v in vectors:
        lines.setdefault(max(v, _times(v, -1)), len(lines))
    place = [(lines[max(v, _times(v, -1))], 1 if v >= _times(v, -1) else -1) for v in vectors]
    planes = list(lines)
    cells = {(1,): planes[0], (-1,): _times(planes[0], -1)}
    for k, v in enumerate(planes[1:], start=1):
        older, grown = planes[:k], {}
        within, lift = _plane(v)
        met = _cells([within(u) for u in older])
        for signs, w in cells.items():
            if signs in met:
                w = lift(met[signs])
                grown[*signs, 1] = _beside(w, v, older)
                grown[*signs, -1] = _beside(w, _times(v, -1), older)
            else:
                grown[*signs, 1 if _dot(w, v) > 0 else -1] = w
        cells = grown
    return {tuple(s * signs[k] for k, s in place): w for signs, w in cells.items()}


def _positive(vectors):
    """An integer w with ``w . v > 0`` for all v, None if there is none.

    One vector at a time. If w fails for the next v, the weights that suit the older vectors reach beyond v's plane
    just when they meet it: look there, one dimension lower.
    """
    w = vectors[0]
    for k, v in enumerate(vectors):
        if _dot(w, v) > 0:
            continue
        if len(v) == 1 or not any(v):
            return None
        within, lift = _plane(v)
        w = _positive([within(u) for u in vectors[:k]])
        if w is None:
            return None
        w = _beside(lift(w), v, vectors[:k])
    return w


def _plane(v):
    """The plane ``w . v = 0`` by all coordinates but one: (u as it acts there, w from there back into the space)."""
    p = max(range(len(v)), key=lambda q: (v[q] != 0, -abs(v[q])))
    size, side, rest = abs(v[p]), (1 if v[p] > 0 else -1), v[:p] + v[p + 1 :]

    def within(u):
        return _shortest([size * a - side * u[p] * b for a, b in zip(u[:p] + u[p + 1 :], rest, strict=True)])

    def lift(w):
        w = [size * a for a in w[:p]] + [-side * _dot(w, rest)] + [size * a for a in w[p:]]
        return _shortest(w)

    return within, lift


def _beside(w, v, others):
    """A point a little off w towards v, on w's side of all others; w . u is an integer and not 0 for each of them."""
    far = 1 + max(abs(_dot(v, u)) for u in others)
    return _shortest([far * a + b for a, b in zip(w, v, strict=True)])


def _dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def _times(v, s):
    return tuple(s * a for a in v)


def _shortest(v):
    """The shortest integer vector in the same direction."""
    d = gcd(*v)
    return tuple(a // d for a in v) if d > 1 else tuple(v)


@lru_cache
def _threshold_functions(n):
    """All threshold functions of n units, shape (functions, 2^n). Restricted to some corners of the cube these are
    all dichotomies of those corners: weights that separate them can be moved a little until no corner gives 0."""
    return np.array(sorted(dichotomies(cube(n))), dtype=np.int8)


def _half(columns):
    """One of every column and its negative, without repetitions, in a fixed order."""
    return np.array(sorted({*map(tuple, (columns * columns[:, :1]).tolist())}), dtype=np.int8)


def _corner_numbers(columns, width, chunk=4096):
    """All ways to give these columns to `width` units, as arrays (ways, m): the corner of the cube of each instance."""
    bits = (columns > 0).astype(np.intp)
    ways = np.array(list(combinations_with_replacement(range(len(bits)), width)))
    numbers = sum(bits[ways[:, j]] << (width - 1 - j) for j in range(width))
    for start in range(0, len(numbers), chunk):
        yield numbers[start : start + chunk]
