"""What a staircase makes of a layer's numbers: how many take each level, what is rounded away, what is cut off."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from . import data, inside, models
from .activations import SaturatedReLU, quant_relu
from .losses import Table
from .rules import Rule


def staircase(z: Tensor, steps: int, rule: Rule | str = "SSTE", *, form: str = "single", range: float = 1.0) -> Tensor:
    """The paper's staircase, made to rise over [0, range]: h = range * QuantReLU(z / range).

    Its thresholds are range * i / (k - 1), i = 0 ... k - 1, its levels range * i / k, i = 0 ... k, for k = steps. Of a
    gradient that arrives, z gets the share that `QuantReLU` passes at z / range. Raises ValueError for a range that is
    not positive and finite, otherwise as `QuantReLU`.

    >>> z = torch.tensor([-1.0, 0.5, 1.5, 2.0, 2.5], requires_grad=True)
    >>> h = staircase(z, 2, range=2.0)
    >>> h.sum().backward()
    >>> h.tolist(), z.grad.tolist()
    ([0.0, 1.0, 1.0, 1.0, 2.0], [0.0, 1.0, 1.0, 1.0, 0.0])
    """
    if not (math.isfinite(range) and range > 0):
        raise ValueError(f"a staircase rises over [0, range], range a positive number, not {range!r}")
    return range * quant_relu(z / range, steps, rule, form=form)


@dataclass(frozen=True)
class Rounded:
    """What a staircase does to given numbers.

    levels: its k + 1 levels, shares: how many of the numbers take each, of 1. rounding: mean square of h - clamp(z, 0,
    range), which is 0 outside of [0, range]; clipping: mean square of clamp(z, 0, range) - max(z, 0), which is 0 below
    range, so that the two add up to that of h - max(z, 0). clamped, relu: mean squares of clamp(z, 0, range) and of
    max(z, 0), the signals to which these errors are noise.
    """

    levels: tuple[float, ...]
    shares: tuple[float, ...]
    rounding: float
    clipping: float
    clamped: float
    relu: float

    @property
    def dead(self) -> tuple[float, ...]:
        """The levels that none of the numbers takes."""
        return tuple(level for level, share in zip(self.levels, self.shares, strict=True) if share == 0)

    @property
    def rms(self) -> float:
        """Root of the mean squared error of rounding."""
        return math.sqrt(self.rounding)

    @property
    def rms_with_clipping(self) -> float:
        """Root of the mean square of h - max(z, 0)."""
        return math.sqrt(self.rounding + self.clipping)

    @property
    def decibels(self) -> float:
        """Signal to rounding noise: 10 log10(clamped / rounding)."""
        return decibels(self.clamped, self.rounding)

    @property
    def decibels_with_clipping(self) -> float:
        """Signal to the noise of rounding and clipping: 10 log10(relu / (rounding + clipping))."""
        return decibels(self.relu, self.rounding + self.clipping)


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise) of two mean squares: inf without noise, nan without either, -inf without a signal.

    >>> decibels(100.0, 1.0), decibels(1.0, 0.0), decibels(0.0, 1.0), decibels(0.0, 0.0)
    (20.0, inf, -inf, nan)
    """
    if not noise:
        return math.inf if signal else math.nan
    return 10 * math.log10(signal / noise) if signal else -math.inf


def rounded(z: Tensor, steps: int, range: float = 1.0) -> Rounded:
    """What `staircase` makes of the numbers z, any shape. Raises ValueError where they are none, or not all finite.

    Evenly spread over [0, range] the rounding error is range^2 / (6 k (k - 1)), and 10 log10(2 k (k - 1)) dB below:

    >>> even = rounded(LAYERS["numbers spread evenly over 0 to 1"](), steps=3)
    >>> round(even.rounding, 6), round(even.decibels, 3), [round(share, 3) for share in even.shares]
    (0.027778, 10.792, [0.0, 0.5, 0.5, 0.0])
    """
    if not z.numel() or not z.isfinite().all():
        raise ValueError("the pre-activations of a layer are at least one number, and all finite")
    z = z.detach().double().flatten()
    with torch.no_grad():
        h = staircase(z, steps, range=range)
    clamped, relu = z.clamp(0, range), z.clamp(min=0)
    counts = (h * (steps / range)).round().long().bincount(minlength=steps + 1)
    squares = (x.square().mean().item() for x in (h - clamped, clamped - relu, clamped, relu))
    levels = tuple(range * i / steps for i, _ in enumerate(counts))
    return Rounded(levels, tuple((counts.double() / z.numel()).tolist()), *squares)


# --- layers to try it on ---------------------------------------------------------------------------------------------


@lru_cache
def _untrained() -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.MLP(SaturatedReLU)
    x, _ = next(iter(data.Batches(data.load("fashion-mnist-12k").test, 500)))
    return {name: z for name, (z, _) in inside.before_and_after(model, x, training=True).items()}


def _layer(name: str) -> Tensor:
    return _untrained()[name]


@lru_cache
def _even() -> Tensor:
    return (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000


LAYERS: dict[str, Callable[[], Tensor]] = Table(
    {
        "hidden layer 1, untrained": partial(_layer, "act1"),
        "hidden layer 2, untrained": partial(_layer, "act2"),
        "numbers spread evenly over 0 to 1": _even,
    },
    kind="layer",
)
"""Name -> a function that returns pre-activations; add yours: ``LAYERS["my layer"] = lambda: z``.

The untrained ones: an `MLP` of saturated ReLUs, seed 0, on one batch of 500 bundled test images, normalised by batch
norm as in training; shape (500, 256).
"""
