"""What a layer loss sends back through an activation, and what can be said of a loss: measured, not looked up."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from .activations import QuantReLU, Sign, Step
from .losses import Loss
from .rules import Rule

STAIRCASES = ("Staircase, single", "Staircase, sum")
ACTIVATIONS = ("Sign", "Step", *STAIRCASES)

_FAR = 1e6  # a surrogate that still passes gradients at this distance is taken to pass them for ever
_REACH = 20  # the surrogate is looked at on [-20, 20]; the area beyond is what the loss falls by there
_CELLS = 400  # integration cells per unit of z, at least
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Surrogate:
    """What a layer loss is on an activation: numbers only.

    name: of the loss. activation: with its steps. t: the target, -1 or +1. z: where the curves are drawn, shape (n,).
    h: the activation's output; value: the layer loss L(z, t); phi: the factor by which a gradient that asks for target
    t is scaled; value_other, phi_other: the same for -t; all of z's shape. area: the integral of phi over all z, inf
    where phi never ends; width: the length of z on which phi exceeds half its maximum, inf where phi never ends, NaN
    where it is still that high at the ends of [-20, 20]. same: does phi not depend on t (borders apart)?
    same_at_borders: also where the loss has a kink?
    """

    name: str
    activation: str
    t: int
    z: Tensor
    h: Tensor
    value: Tensor
    value_other: Tensor
    phi: Tensor
    phi_other: Tensor
    area: float
    width: float
    same: bool
    same_at_borders: bool

    @property
    def derivative(self) -> Tensor:
        """dL(z, t)/dz = -t phi(z, t)."""
        return -self.t * self.phi

    @property
    def derivative_other(self) -> Tensor:
        """dL(z, -t)/dz."""
        return self.t * self.phi_other


def surrogate(loss: Loss, activation: str = "Sign", steps: int = 3, t: int = 1) -> Surrogate:
    """The curves and the numbers; phi is what comes back through the activation from autograd.

    activation: a name in ACTIVATIONS; steps: of a staircase, 2 or more; t: -1 or +1. Area and width by the midpoint
    rule, in cells whose edges lie on every threshold and every whole number away from one: the steps of phi fall
    between the midpoints, so its borders do not matter and straight pieces are exact.

    >>> from ftpkit import LOSSES
    >>> surrogate(LOSSES["ClosedSaturatedHinge"]).area
    2.0
    >>> surrogate(LOSSES["ClosedSaturatedHinge"], "Staircase, single").area
    1.0
    """
    rule = Rule(loss)
    staircase = activation in STAIRCASES
    unit = _activation(activation, steps, rule)
    between = steps - 1 if staircase else 1
    cells = between * math.ceil(_CELLS / between)
    edges = torch.arange(-_REACH * cells, _REACH * cells + 1, dtype=torch.float64) / cells
    z = (edges[1:] + edges[:-1]) / 2
    phi, other = _sent(unit, z, t), _sent(unit, z, -t)

    def value(z, t):
        return unit.unit.loss_value(rule, z, torch.full_like(z, t))

    far = torch.tensor([-_FAR, -_REACH, _REACH, _FAR], dtype=z.dtype)
    if _sent(unit, far[[0, 3]], t).nan_to_num(0).abs().max() > _ROUNDING:
        area = width = math.inf
    else:
        rises = value(far, t).diff()[[0, 2]].nan_to_num(0)
        area = round(phi.sum().item() / cells - t * rises.sum().item(), 9) + 0.0  # no -0.0
        high = phi > (0.5 + _ROUNDING) * phi.max()
        width = math.nan if high[0] or high[-1] else high.sum().item() / cells
    borders = torch.tensor([c + s * w for c, w, _ in unit.unit.windows for s in (-2, -1, 0, 1, 2)], dtype=z.dtype)

    seen = z.abs() < 3.5
    return Surrogate(
        name=loss.name,
        activation=f"{activation}, {steps} steps" if staircase else activation,
        t=t,
        z=z[seen],
        h=unit(z[seen]),
        value=value(z[seen], t),
        value_other=value(z[seen], -t),
        phi=phi[seen],
        phi_other=other[seen],
        area=area,
        width=width,
        same=_equal(phi, other),
        same_at_borders=_equal(_sent(unit, borders, -1), _sent(unit, borders, 1)),
    )


def _activation(name: str, steps: int, rule: Rule) -> nn.Module:
    if name in STAIRCASES:
        return QuantReLU(steps, rule, form="single" if name == STAIRCASES[0] else "sum")
    return {"Sign": Sign, "Step": Step}[name](rule)


def _sent(activation: nn.Module, z: Tensor, t: int) -> Tensor:
    """phi(z, t): what of a gradient g = -t, which asks every unit for the target t, reaches z, as a share of g."""
    z = z.clone().requires_grad_()
    g = torch.full_like(z, -t)
    activation(z).backward(g)
    return z.grad / g


def _equal(a: Tensor, b: Tensor) -> bool:
    """But for rounding."""
    return bool((a - b).abs().max() <= _ROUNDING * a.abs().max().clamp(min=1))


# --- what can be said of a loss ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Properties:
    """What was found out about a layer loss on -20 <= z <= 20, for t = -1 and t = +1.

    error: the largest difference between its derivative and the slope of its value, kinks and jumps left out, as a
    share of the largest slope or of 1. jumps: the places (t, z) at which the value jumps, which no derivative sees.
    away: triples (t, low, high), where phi is negative, so that a step by the gradient moves z away from the target.
    silent: is the derivative 0 wherever it was looked at? convex: is the loss convex in z for both targets? finite: the
    largest abs(z) among 20, 100, 1000 and 10000 up to which value and derivative are finite in float32, or 0.
    straight: does phi not depend on t, so that with eqs. 2 and 3 the loss is a straight-through estimator?
    """

    error: float
    jumps: tuple[tuple[int, float], ...]
    away: tuple[tuple[int, float, float], ...]
    silent: bool
    convex: bool
    finite: float
    straight: bool


@lru_cache(maxsize=200)
def properties(loss: Loss) -> Properties:
    """Look at a layer loss; see `Properties`.

    >>> from ftpkit.formula import as_loss
    >>> squares = properties(as_loss("formula:(1 - t*z)**2"))
    >>> squares.convex, squares.away
    (True, ((-1, -20.0, -1.0), (1, 1.0, 20.0)))
    """
    cells = 200  # per unit of z
    edges = torch.arange(-_REACH * cells, _REACH * cells + 1, dtype=torch.float64) / cells
    middle = (edges[1:] + edges[:-1]) / 2
    jumps, away, errors, phis, convex = [], [], [], [], True
    for t in (-1, 1):
        value, slope, inside = loss.value(edges, t), loss.derivative(edges, t), loss.derivative(middle, t)
        steepest = inside.abs().max().clamp(min=1)
        bound = torch.stack([slope[1:].abs(), slope[:-1].abs(), inside.abs()]).amax(0)
        jump = value.diff().abs() > 2 * bound / cells + _ROUNDING * value.abs().max().clamp(min=1)
        jumps += [(t, round(place, 2) + 0.0) for place in middle[jump].tolist()]

        step = 1e-5
        left, here, right = (loss.value(middle + k * step, t) for k in (-1, 0, 1))
        smooth = ~jump & ((right - 2 * here + left).abs() <= 1e-4 * step * steepest)  # no kink within a step
        gap = ((right - left) / (2 * step) - inside).abs()[smooth]
        errors.append(gap.max().item() / steepest.item() if len(gap) else 0.0)

        phi = -t * inside
        away += [(t, *ends) for ends in _stretches(phi < -_ROUNDING * steepest, edges)]
        convex &= not jump.any() and bool((inside.diff() >= -_ROUNDING * steepest).all())
        phis.append(phi)
    return Properties(
        error=max(errors),
        jumps=tuple(jumps),
        away=tuple(away),
        silent=not any(phi.any() for phi in phis),
        convex=convex,
        finite=_finite(loss),
        straight=_equal(*phis),
    )


def _stretches(where: Tensor, edges: Tensor) -> list[tuple[float, float]]:
    """Beginning and end of every run of cells for which `where` holds."""
    turns = torch.nn.functional.pad(where.int(), (1, 1)).diff()
    return list(zip(edges[turns == 1].tolist(), edges[turns == -1].tolist(), strict=True))


def _finite(loss: Loss) -> float:
    good = 0
    for far in (20, 100, 1000, 10_000):
        z = torch.tensor([-far, far], dtype=torch.float32)
        if not all(part(z, t).isfinite().all() for part in (loss.value, loss.derivative) for t in (-1, 1)):
            break
        good = far
    return good
