"""Differences of two rules, paired by seed and by test image, with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Difference:
    """A difference of two accuracies, in percentage points, with its 95 % interval; `shown` if that excludes 0."""

    mean: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        return self.low > 0 or self.high < 0

    def __str__(self):
        mean, low, high = (round(value, 4) for value in (self.mean, self.low, self.high))  # as bands keep them: a tie
        verdict = "" if self.shown else ", no difference shown"  # of hundredths is then broken alike everywhere
        return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]{verdict}"


def difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """Mean accuracy of a minus that of b in percentage points, paired by seed and by test image.

    a, b: bool, shape (seeds, images), the same seeds and images in the same order, as `correct` returns them. Seeds and
    images are both samples, so both make the mean uncertain. With the gap of each seed (its mean over images) and of
    each image (its mean over seeds), the 95 % interval is mean +- h with ``h^2 = h_seeds^2 + h_images^2``, where h_n is
    the half-width of Student's interval for the mean of n gaps, ``t(n - 1) * sd / sqrt(n)``. What is particular to one
    image under one seed is counted in both, so h errs on the wide side. Raises ValueError when the shapes differ and
    when there are fewer than two seeds, which say nothing about others, or two images.

    >>> rng = np.random.default_rng(0)
    >>> a = rng.random((10, 2000)) < 0.9
    >>> difference(a, a).shown, difference(a, a & (rng.random((10, 2000)) < 0.9)).shown
    (False, True)
    """
    if a.shape != b.shape:
        raise ValueError(f"paired runs need the same seeds and images, but the shapes are {a.shape} and {b.shape}")
    if a.ndim != 2 or min(a.shape) < 2:
        raise ValueError(f"an interval needs at least two seeds and two images, shape (seeds, images), not {a.shape}")
    gap = 100.0 * (a.astype(np.float64) - b.astype(np.float64))
    mean = float(gap.mean())
    half = float(np.hypot(_half_width(gap.mean(axis=1)), _half_width(gap.mean(axis=0))))
    return Difference(mean, mean - half, mean + half)


def by_seed(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Mean of a minus b in percentage points, paired by seed alone, with Student's 95 % interval for n seeds.

    a, b: shares in [0, 1] of the same seeds in the same order. It speaks of other seeds on these test images, not of
    other images: `difference` does both, and needs to know which images were classified correctly. Raises ValueError
    for different lengths and for fewer than two seeds.

    >>> print(by_seed([0.90, 0.92, 0.91], [0.89, 0.90, 0.88]))
    +2.00 [-0.48, +4.48], no difference shown
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"pairs of the same two seeds or more are needed, not {len(a)} and {len(b)} figures")
    gaps = 100.0 * (np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64))
    half = _half_width(gaps)
    return Difference(float(gaps.mean()), float(gaps.mean() - half), float(gaps.mean() + half))


def _half_width(values: np.ndarray) -> float:
    return stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / len(values) ** 0.5
