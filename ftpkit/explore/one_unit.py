"""What is known of a few points in the plane: the perceptron's course, verdict, bound, better lines; sets of them."""

import warnings
from fractions import Fraction
from functools import lru_cache

import numpy as np

from ..perceptron import Course, Novikoff, novikoff, perceptron
from ..separability import Certificate, Verdict, max_margin, separate
from .points import GRID, as_points

MOST_STEPS, ENDLESS = 1000, 200  # mistakes that are looked at; of sets that no line separates


def _labelled(plus, minus):
    """Both classes in turn, as long as there are both."""
    rows = [[(*spot, label) for spot in spots] for spots, label in ((plus, 1), (minus, -1))]
    both = min(map(len, rows))
    return [p for pair in zip(*rows, strict=False) for p in pair] + rows[0][both:] + rows[1][both:]


_APART = _labelled(
    [(1.2, 0.6), (0.4, 1.4), (1.6, -0.2), (0.8, 0.8)], [(0.2, 0.2), (-0.6, 0.8), (0.6, -0.6), (-1.0, -1.0)]
)
_NARROW = _labelled(
    [(-1.8, -0.7), (1.1, 0.8), (-0.5, -0.05), (-0.9, -0.15), (1.4, 0.9)],
    [(1.7, 0.85), (-1.2, -0.65), (0.6, 0.3), (0.2, 0.0), (-1.5, -0.75)],
)
_OVERLAP = _labelled(
    [(0.9, 0.6), (0.2, 0.9), (1.3, 1.1), (-0.4, 0.3), (0.6, -0.3), (1.1, 0.1), (-0.2, -0.5)],
    [(-0.8, -0.4), (-0.1, -1.1), (-1.3, -0.9), (0.5, -0.1), (-0.6, 0.6), (-1.2, 0.2), (0.3, 0.4)],
)
_DRAWN = {
    "separable": _APART,
    "narrow margin": _NARROW,
    "XOR": [(-1, -1, -1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)],
    "one stray point": [*_APART, (1.0, 1.0, -1)],
    "overlapping": _OVERLAP,
    "all on one line": [(-1.2, -0.6, -1), (-0.4, -0.2, 1), (0.4, 0.2, -1), (1.2, 0.6, 1)],
    "two equal points": [(-1, 0.5, -1), (0.4, -0.2, 1), (0.4, -0.2, -1), (1.2, 0.8, 1)],
    "one class only": [(-0.8, 0.6, 1), (0.4, 1.0, 1), (1.0, -0.4, 1)],
    "no points": [],
}
DRAWN = {name: as_points(points) for name, points in _DRAWN.items()}


@lru_cache
def sets() -> dict[str, tuple]:
    """The sets to begin with, name -> points: those of DRAWN, and two of scikit-learn's."""
    from sklearn.datasets import make_circles, make_moons

    moons, circles = make_moons(16, shuffle=False), make_circles(16, factor=0.4, shuffle=False)
    made = dict(DRAWN)
    for name, (X, y), scale, centre in (
        ("two moons", moons, (1.1, 1.3), (-0.55, -0.3)),
        ("two circles", circles, (1.5, 1.5), (0, 0)),
    ):
        X = np.round(X * scale + centre, 3)
        made[name] = as_points(_labelled(X[y == 1].tolist(), X[y == 0].tolist()))
    return made


def arrays(points: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in whole numbers, 20 to the unit, so that everything below is exact, and labels."""
    rows = np.array(points, float).reshape(-1, 3)
    return np.rint(rows[:, :2] * GRID), rows[:, 2].astype(int)


def with_bias(X: np.ndarray) -> np.ndarray:
    return np.c_[X, np.full(len(X), float(GRID))]


@lru_cache(maxsize=300)
def verdict_of(points: tuple) -> Verdict | None:
    """Separable or not, proven; None where there is no point."""
    return separate(*arrays(points)) if points else None


@lru_cache(maxsize=300)
def course_of(points: tuple) -> Course:
    """All mistakes of the perceptron in whole numbers: x, y and the bias's 1 are taken 20 times, and so are weights."""
    if not points:
        return Course(np.zeros((1, 3)), np.zeros(0, int), (), True, None)
    X, t = arrays(points)
    return perceptron(with_bias(X), t, MOST_STEPS if verdict_of(points).separable else ENDLESS)


@lru_cache(maxsize=300)
def theorem_of(points: tuple) -> Novikoff | None:
    """R and gamma, or None where Novikoff's theorem does not speak."""
    if not points or not verdict_of(points).separable:
        return None
    X, t = arrays(points)
    theorem = novikoff(with_bias(X), t)
    return Novikoff(theorem.R / GRID, theorem.gamma / GRID)


@lru_cache(maxsize=300)
def widest_of(points: tuple) -> np.ndarray | None:
    """Weights (3,) of the line of largest margin, t z = 1 at the closest points; None without two separable classes."""
    if not (_two_classes(points) and verdict_of(points).separable):
        return None
    X, t = arrays(points)
    found = max_margin(X, t)
    w = found.weights * [GRID, GRID, 1]
    return w / (found.margin / GRID * np.linalg.norm(w[:2]))


@lru_cache(maxsize=300)
def hinge_of(points: tuple, C: float) -> np.ndarray | None:
    """Weights (3,) of scikit-learn's linear SVM; None where one class is missing."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC

    if not _two_classes(points):
        return None
    X, t = arrays(points)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # at a million steps it is as near as can be seen
        machine = SVC(kernel="linear", C=C, tol=1e-4, max_iter=1_000_000).fit(X / GRID, t)
    w = np.append(machine.coef_[0], machine.intercept_)
    return w if np.linalg.norm(w[:2]) > 1e-3 else np.append([0.0, 0.0], w[2])


def _two_classes(points: tuple) -> bool:
    return len({label for _, _, label in points}) == 2


def points_in_words(X: np.ndarray, t: np.ndarray) -> str:
    """How many of which class, and whether they lie on one line."""
    m, plus = len(t), int((t > 0).sum())
    if not m:
        return "none yet"
    one_line = m > 2 and np.linalg.matrix_rank(np.rint((X - X[0]) * GRID)) < 2
    if plus in (0, m):
        said = f"{m}, all of class {'+1' if plus else '−1'}"
    else:
        said = f"{m}, of which {plus} of class +1 and {m - plus} of class −1"
    return f"{said}; all on one line" if one_line else said


def verdict_in_words(X: np.ndarray, t: np.ndarray, verdict: Verdict | None) -> str:
    """Yes; or no, with the mixtures of both classes that are one and the same place."""
    if verdict is None:
        return "yes: there is nothing to separate"
    if isinstance(verdict, Certificate):
        pairs = list(zip(verdict.support.tolist(), verdict.coefficients, strict=True))
        mixtures = [
            " + ".join(f"{'' if c == 1 else f'{_share(c)} of '}point {i + 1}" for i, c in pairs if t[i] == side)
            for side in (1, -1)
        ]
        place = (float(sum(c * round(x[i] * GRID) for i, c in pairs if t[i] == 1) / GRID) for x in X.T)
        return f"no: {' = '.join(mixtures)} = ({', '.join(f'{v:.3g}' for v in place)})"
    if verdict.separable is None:
        return f"undecided: {verdict.reason}"
    return "yes" if np.isfinite(verdict.margin) else "yes: a bias alone will do, as one class is missing"


def _share(c: Fraction) -> str:
    return str(c) if c.denominator < 100 else f"{float(c):.3f}"
