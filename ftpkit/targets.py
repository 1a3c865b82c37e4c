"""Targets of one mini-batch, tried out: what every rule sends down, and what flips do to the next layer's loss.

The letters are the paper's: z_d = W_d h_{d-1}, h_d = sign(z_d), g_d = dL_{d+1}/dh_d, target t_d, weight |g_d|.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .activations import Unit
from .ftprop import split
from .losses import Table
from .rules import Rule, as_rule


@dataclass(frozen=True, eq=False)
class Hidden:
    """One hidden layer d in one mini-batch of B examples, with n units; its tensors are (B, n), of the model's dtype.

    z, h: pre-activation and output. g: gradient of the next layer's loss with respect to h. t, weight: the targets and
    weights that the layer's own rule makes of it (eqs. 2 and 3). unit: what the layer does forward; its two levels are
    the outputs between which a target chooses. above: outputs (B, n) -> the next layer's loss of every example, (B,),
    its targets and weights, or the labels, held; summed over the batch it is L_{d+1}, and g is its gradient.
    """

    z: Tensor
    h: Tensor
    g: Tensor
    t: Tensor
    weight: Tensor
    unit: Unit
    above: Callable[[Tensor], Tensor]

    def sent(self, rule: Rule | str) -> Tensor:
        """What a rule would send to z if this g arrived at this layer, (B, n); an unweighted rule with scale 1 / B."""
        return self.unit.backward(as_rule(rule), self.g, self.z, 1 / len(self.z))

    def outputs(self, t: Tensor) -> Tensor:
        """The outputs that targets ask for: the upper level where t = +1, the lower where t = -1, h where t = 0."""
        low, high = self.unit.levels
        return torch.where(t > 0, high, torch.where(t < 0, low, self.h)).to(self.h.dtype)

    def flips(self, t: Tensor) -> Tensor:
        """Where targets ask for another output than h: bool, (B, n)."""
        return self.outputs(t) != self.h

    def predicted(self, t: Tensor) -> Tensor:
        """The first-order change of every example's next loss if its outputs were set to the targets, (B,)."""
        return (self.g * (self.outputs(t) - self.h)).sum(1)

    @torch.no_grad()
    def change(self, t: Tensor) -> Tensor:
        """The change of every example's next loss when its outputs are set to the targets, (B,)."""
        return self.above(self.outputs(t)) - self.above(self.h)

    def effect(self, t: Tensor) -> "Effect":
        """What flips do, summed over the batch: to first order, and when they are really made, all at once."""
        flips = int(self.flips(t).sum())
        return Effect(flips, self.predicted(t).sum().item() + 0.0, self.change(t).sum().item() + 0.0)

    def alone(self) -> Tensor:
        """The change of an example's next loss when this one of its outputs is flipped and no other, (B, n)."""
        t, columns = self.other(), torch.eye(self.h.shape[1], dtype=torch.long, device=self.h.device)
        return torch.stack([self.change(t * column) for column in columns], dim=1)

    def other(self) -> Tensor:
        """The target that asks for the flip of each output: int64, (B, n)."""
        return torch.where(self.h == max(self.unit.levels), -1, 1)


@dataclass(frozen=True)
class Effect:
    """How many outputs flip, and the change of the next layer's loss: predicted to first order, and real."""

    flips: int
    predicted: float
    real: float


def look(model: nn.Module, x: Tensor, y: Tensor) -> list[Hidden]:
    """What passes through every hidden layer of a network in one mini-batch, the first layer first.

    model: a chain of layers as for `ftprop.split`, its thresholds `Sign` or `Step` on vectors. It is left alone, and
    looked at in evaluation mode, so that no example depends on another. x: (B, ...); y: labels, (B,). The output loss
    is the mean cross-entropy. Raises as `split`, and ValueError for staircases, for feature maps, and for a batch that
    is empty or has not as many labels.

    >>> from ftpkit import Sign
    >>> net = nn.Sequential(nn.Linear(1, 2, bias=False), Sign("STE"), nn.Linear(2, 2, bias=False))
    >>> for layer, W in ((0, [[1.0], [-0.5]]), (2, [[1.0, 1.0], [0.0, 1.0]])):
    ...     net[layer].weight.data = torch.tensor(W)
    >>> [hidden] = look(net, torch.tensor([[2.0]]), torch.tensor([1]))
    >>> hidden.h.tolist(), hidden.t.tolist()
    ([[1.0, -1.0]], [[-1.0, 0.0]])
    >>> round(hidden.predicted(hidden.t).item(), 2), round(hidden.change(hidden.t).item(), 2)
    (-1.46, -1.0)
    """
    if len(x) == 0 or len(x) != len(y):
        raise ValueError(f"a mini-batch has at least one example and as many labels, not {len(x)} and {len(y)}")
    *hidden, last = split(copy.deepcopy(model).eval())
    Z, H = [], [x.detach()]
    for transform, activation in ((layer.transform, layer.activation) for layer in hidden):
        if len(activation.unit.levels) != 2:
            raise ValueError(f"flips need thresholds with two outputs, Sign or Step, not {activation}")
        with torch.no_grad():
            Z.append(transform(H[-1]))
        if Z[-1].ndim != 2:
            raise ValueError(f"{activation} stands behind a feature map, {tuple(Z[-1].shape)}; vectors are looked at")
        H.append(activation.unit.forward(Z[-1]))

    above = partial(_output_loss, last.transform, y)
    g = _gradient(lambda h: above(h).sum(), H[-1])
    found = []
    for layer, below, z, h in list(zip(hidden, H, Z, H[1:], strict=False))[::-1]:
        unit, rule = layer.activation.unit, layer.activation.rule
        t = rule.targets(g, z, h)
        weight = g.abs() if rule.weighted else torch.full_like(g, layer.activation.scale or 1 / len(x))
        found.append(Hidden(z, h, g, t, weight, unit, above))
        if layer is not hidden[0]:
            sent = unit.loss_derivative(rule, z, t) * weight
            above = partial(_layer_loss, layer, t, weight)
            g = _gradient(layer.transform, below, sent)
    return found[::-1]


def _output_loss(transform: nn.Module, y: Tensor, h: Tensor) -> Tensor:
    return F.cross_entropy(transform(h), y, reduction="none") / len(y)


def _layer_loss(layer, t: Tensor, weight: Tensor, h: Tensor) -> Tensor:
    return (layer.activation.unit.loss_value(layer.activation.rule, layer.transform(h), t) * weight).sum(1)


@torch.enable_grad()
def _gradient(function: Callable[[Tensor], Tensor], h: Tensor, arriving: Tensor | None = None) -> Tensor:
    h = h.detach().requires_grad_()
    return torch.autograd.grad(function(h), h, arriving)[0]


def disagreement(first: Tensor, second: Tensor) -> Tensor:
    """How far two rules differ in what they send down: 2, 1 or 0, for each unit and example.

    2: one sends 0 and the other does not. 1: both send something, and one more than twice as much as the other, or with
    the other sign. 0: neither. first, second: of one shape, from `Hidden.sent`.

    >>> disagreement(torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.tensor([0.0, 0.0, 0.5, 0.4])).tolist()
    [2, 0, 0, 1]
    """
    small, large = torch.minimum(first.abs(), second.abs()), torch.maximum(first.abs(), second.abs())
    rounding = 8 * torch.finfo(first.dtype).eps
    unlike = (large > 2 * (1 + rounding) * small) | (torch.sign(first) * torch.sign(second) < 0)
    return torch.where((small == 0) & (large > 0), 2, unlike.long())


# --- heuristics: which outputs to ask for ---------------------------------------------------------------------------


def all_targets(hidden: Hidden) -> Tensor:
    """The targets of the layer's own rule, all at once: eq. 2 for the paper's rules."""
    return hidden.t


def largest_gradient(hidden: Hidden) -> Tensor:
    """In every example only one of the flips that the rule asks for, the one with the largest |g|."""
    asked = hidden.flips(hidden.t)
    return hidden.t * asked * _one(hidden.g.abs().masked_fill(~asked, -1))


def all_that_help(hidden: Hidden) -> Tensor:
    """Every output that is better flipped when no other is: flips that were tried one by one, made all at once."""
    return hidden.other() * (hidden.alone() < 0)


def best_flip(hidden: Hidden) -> Tensor:
    """In every example the one flip that lowers the next layer's loss most."""
    alone = hidden.alone()
    return hidden.other() * (alone < 0) * _one(-alone)


HEURISTICS: dict[str, Callable[[Hidden], Tensor]] = Table(
    {
        "all targets": all_targets,
        "largest |g|": largest_gradient,
        "all that help": all_that_help,
        "best flip": best_flip,
    },
    kind="target heuristic",
)
"""Target heuristic by name: a function of a `Hidden` that returns targets in {-1, 0, +1}, 0 for no wish."""


def _one(score: Tensor) -> Tensor:
    """1 at the first largest of each row, else 0."""
    return torch.zeros_like(score, dtype=torch.long).scatter(1, score.argmax(1, keepdim=True), 1)
