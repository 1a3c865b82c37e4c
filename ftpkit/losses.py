"""Layer losses: what a layer pays for pre-activations ``z`` that miss their targets ``t``.

A layer loss L(z, t) is elementwise; t is -1 or +1, and a unit with t = 0 is left alone (its loss is not counted).
With targets t = -sign(g) and weights abs(g), where g is the gradient that arrives from the next layer, a loss
whose derivative is -t * phi(z) sends back phi(z) * g: it *is* straight-through with surrogate phi. A loss whose
phi depends on t as well is no straight-through estimator. `LOSSES` holds both kinds.
"""

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


class Table(dict):
    """A dict of named things whose missing names are answered with the nearest ones.

    >>> Table({"SSTE": 1}, kind="rule")["SSTTE"]
    Traceback (most recent call last):
    ...
    ftpkit.losses.UnknownName: there is no rule 'SSTTE'; did you mean 'SSTE'? The names are: SSTE.
    """

    def __init__(self, items, *, kind: str):
        super().__init__(items)
        self.kind = kind

    def __missing__(self, name):
        near = difflib.get_close_matches(str(name).lower(), [key.lower() for key in self], n=1)
        near = [key for key in self if key.lower() in near]
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise UnknownName(f"there is no {self.kind} {name!r}{hint} The names are: {', '.join(self)}.")


class UnknownName(KeyError, ValueError):
    """A name that is in no table; both a KeyError and a ValueError."""

    def __str__(self):
        return self.args[0]


@dataclass(frozen=True)
class Loss:
    """A layer loss: ``value(z, t)`` and its ``derivative(z, t)`` with respect to z, both elementwise.

    z: pre-activations, any shape, any floating dtype. t: targets in {-1, +1}, broadcast to z (a number will do).
    Both functions return z's shape and dtype. The derivative at t = 0 is never used: such units are left alone.

    ``fused(g, z, center, half_width)`` is optional: the weighted gradient under t = -sign(g), equal to
    ``derivative((z - center) / half_width, -sign(g)) * abs(g)`` in fewer passes over memory. ``borders`` is optional:
    the numbers between which the derivative does not change with z, so that `ftpkit.packed` need not keep z itself. A
    loss without these two is merely slower and takes more memory. Raises TypeError when a function does not return a
    floating tensor of z's shape.

    >>> cubic = Loss("cubic hinge", lambda z, t: (1 - t * z).clamp(min=0) ** 3,
    ...              lambda z, t: -3 * t * (1 - t * z).clamp(min=0) ** 2)
    >>> cubic.derivative(torch.tensor([0.0, 0.5, -1.0]), 1).tolist()
    [-3.0, -0.75, -12.0]
    """

    name: str
    value: Callable[[Tensor, Tensor], Tensor]
    derivative: Callable[[Tensor, Tensor], Tensor]
    formula: str = ""
    source: str = ""
    fused: Callable[[Tensor, Tensor, float, float], Tensor] | None = None
    borders: tuple[float, ...] | None = None

    def __post_init__(self):
        if self.borders is not None:
            object.__setattr__(self, "borders", tuple(self.borders))
        z, t = torch.tensor([[-2.0, 0.0, 0.5]]), torch.tensor([[1.0, -1.0, 1.0]])
        for part in ("value", "derivative"):
            out = getattr(self, part)(z, t)
            if not isinstance(out, Tensor) or not out.is_floating_point() or out.shape != z.shape:
                got = f"{out.dtype} of shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
                raise TypeError(
                    f"{part}(z, t) of loss {self.name!r} must work elementwise and return floats of z's shape, "
                    f"but for z of shape (1, 3) it returned {got}"
                )

    def surrogate(self, z: Tensor, t: float | Tensor) -> Tensor:
        """phi(z, t) = -t * derivative(z, t): the factor by which this loss scales the gradient that passes.

        >>> LOSSES["Hinge"].surrogate(torch.tensor([-3.0, 0.0, 3.0]), 1).tolist()
        [1.0, 1.0, 0.0]
        """
        return -t * self.derivative(z, t)


# --- straight-through: phi does not depend on t --------------------------------------------------------------


def _linear_value(z, t):
    return -t * z


def _linear_derivative(z, t):
    return -t * torch.ones_like(z)


def _linear_fused(g, z, center, half_width):
    return g


def _saturated_hinge_value(z, t):
    return 1 - (t * z).clamp(-1, 1)


def _closed_saturated_hinge_derivative(z, t):
    return -t * (z.abs() <= 1).to(z.dtype)


def _next_outside(bound: float, dtype: torch.dtype) -> float:
    """How far the nearest number of `dtype` lies beyond `bound`, away from the window it closes."""
    info = torch.finfo(dtype)
    return info.eps * (2.0 ** (math.frexp(bound)[1] - 1) if bound else info.tiny)


def _closed_saturated_hinge_fused(g, z, center, half_width):
    # hardtanh_backward passes g strictly inside its bounds; one ulp further out, the window is closed.
    low, high = center - half_width, center + half_width
    low, high = low - _next_outside(low, z.dtype), high + _next_outside(high, z.dtype)
    return torch.ops.aten.hardtanh_backward(g, z, low, high)


def _saturated_hinge_derivative(z, t):
    return -t * ((t * z > -1) & (t * z <= 1)).to(z.dtype)


def _soft_hinge_value(z, t):
    return torch.tanh(-t * z) + 1


def _soft_hinge_derivative(z, t):
    return -t * (1 - torch.tanh(z) ** 2)


def _soft_hinge_fused(g, z, center, half_width):
    if center != 0 or half_width != 1:
        z = torch.add(-center / half_width, z, alpha=1 / half_width)
    return torch.ops.aten.tanh_backward(g, torch.tanh(z))


def _sigmoid_value(z, t):
    return torch.sigmoid(-2 * t * z)


def _sigmoid_derivative(z, t):
    return -0.5 * t * (1 - torch.tanh(z) ** 2)


def _trapezoid_value(z, t):
    m = (t * z).clamp(-2, 2)
    ramp = (m.abs() - 1).clamp(min=0) ** 2 / 2  # what the slopes between 1 and 2 take away from the straight line
    return 1.5 - m + torch.sign(m) * ramp


def _trapezoid_derivative(z, t):
    return -t * (2 - z.abs()).clamp(0, 1)


# --- not straight-through: phi depends on t ------------------------------------------------------------------


def _hinge_value(z, t):
    return (1 - t * z).clamp(min=0)


def _hinge_derivative(z, t):
    return -t * (t * z <= 1).to(z.dtype)


def _perceptron_value(z, t):
    return (-t * z).clamp(min=0)


def _perceptron_derivative(z, t):
    return -t * (t * z <= 0).to(z.dtype)


def _log_loss_value(z, t):
    return F.softplus(-t * z)


def _log_loss_derivative(z, t):
    return -t * torch.sigmoid(-t * z)


def _squared_hinge_value(z, t):
    return (1 - t * z).clamp(min=0) ** 2


def _squared_hinge_derivative(z, t):
    return -2 * t * (1 - t * z).clamp(min=0)


_PAPER = "Friesen and Domingos 2018, arXiv:1710.11573"
_CODE = "code of Friesen and Domingos 2018"

LOSSES: dict[str, Loss] = Table(
    {
        loss.name: loss
        for loss in [
            Loss(
                "Linear",
                _linear_value,
                _linear_derivative,
                "-t z",
                "Bengio et al. 2013, arXiv:1308.3432 (the straight-through estimator, as a layer loss)",
                _linear_fused,
                borders=(),
            ),
            Loss(
                "ClosedSaturatedHinge",
                _saturated_hinge_value,
                _closed_saturated_hinge_derivative,
                "max(0, 1 - max(t z, -1)), derivative -t where abs(z) <= 1",
                "Courbariaux et al. 2016, arXiv:1602.02830 (the saturated straight-through estimator, as a layer loss)",
                _closed_saturated_hinge_fused,
                borders=(-1.0, 1.0),
            ),
            Loss(
                "SaturatedHinge",
                _saturated_hinge_value,
                _saturated_hinge_derivative,
                "max(0, 1 - max(t z, -1)), derivative -t where -1 < t z <= 1",
                _PAPER,
                borders=(-1.0, 1.0),
            ),
            Loss(
                "SoftHinge",
                _soft_hinge_value,
                _soft_hinge_derivative,
                "tanh(-t z) + 1",
                _PAPER + " (the paper's proposal)",
                _soft_hinge_fused,
            ),
            Loss("Sigmoid", _sigmoid_value, _sigmoid_derivative, "sigmoid(-2 t z)", _CODE),
            Loss(
                "Trapezoid",
                _trapezoid_value,
                _trapezoid_derivative,
                "derivative -t clamp(2 - abs(z), 0, 1), value 0 for t z >= 2",
                _CODE,
            ),
            Loss(
                "Hinge",
                _hinge_value,
                _hinge_derivative,
                "max(0, 1 - t z)",
                "Cortes and Vapnik 1995",
                borders=(-1.0, 1.0),
            ),
            Loss(
                "Perceptron",
                _perceptron_value,
                _perceptron_derivative,
                "max(0, -t z)",
                "Rosenblatt 1958",
                borders=(0.0,),
            ),
            Loss(
                "LogLoss",
                _log_loss_value,
                _log_loss_derivative,
                "log(1 + exp(-t z))",
                "logistic regression, Cox 1958",
            ),
            Loss(
                "SquaredHinge",
                _squared_hinge_value,
                _squared_hinge_derivative,
                "max(0, 1 - t z)^2",
                "Chang et al. 2008",
            ),
        ]
    },
    kind="layer loss",
)
