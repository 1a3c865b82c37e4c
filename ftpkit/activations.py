"""Hard-threshold activations that learn by a `Rule`: `Sign`, `Step`, `QuantReLU`, and `SaturatedReLU` beside them.

One autograd function serves all. Its forward pass is the hard threshold; its backward pass is the derivative of the
rule's layer loss at the rule's targets.
"""

import math
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .rules import RULES, Rule, as_rule, gradient_sign


@dataclass(frozen=True)
class Unit:
    """What an activation does forward, and where its layer loss looks.

    forward: z -> h, elementwise. windows: triples (center, half_width, factor). The layer loss of one unit has the
    derivative ``sum over windows of factor * loss.derivative((z - center) / half_width, t)``, times the weight.
    levels: when h takes only few values, these: two, or ``i / steps`` for i = 0 ... steps.
    """

    forward: Callable[[Tensor], Tensor]
    windows: tuple[tuple[float, float, float], ...]
    levels: tuple[float, ...] = ()

    def loss_derivative(self, rule: Rule, z: Tensor, t: Tensor) -> Tensor:
        """dL(z, t)/dz before weighting; 0 where t = 0. z, t and the result have one shape."""
        total = _sum((f, rule.loss.derivative(_seen(z, c, w), t)) for c, w, f in self.windows)
        return torch.where(t == 0, 0.0, total).to(z.dtype)

    def loss_value(self, rule: Rule, z: Tensor, t: Tensor) -> Tensor:
        """L(z, t) before weighting, the function whose derivative is `loss_derivative`; 0 where t = 0."""
        total = _sum((f * w, rule.loss.value(_seen(z, c, w), t)) for c, w, f in self.windows)
        return torch.where(t == 0, 0.0, total).to(z.dtype)

    def backward(self, rule: Rule, g: Tensor, z: Tensor, scale: float | None) -> Tensor:
        """The gradient sent to z when g arrives at h."""
        if rule.fused:
            return _sum((f, rule.fused(g, z, c, w)) for c, w, f in self.windows)
        t = rule.targets(g, z, None if rule.targets is gradient_sign else self.forward(z))
        return self.loss_derivative(rule, z, t) * (g.abs() if rule.weighted else scale)


def _seen(z: Tensor, center: float, half_width: float) -> Tensor:
    return z if (center, half_width) == (0, 1) else (z - center) / half_width  # spares Sign and Step two passes


def _sum(terms: Iterable[tuple[float, Tensor]]) -> Tensor:
    return reduce(torch.add, (x if factor == 1 else factor * x for factor, x in terms))


class _Threshold(torch.autograd.Function):
    """Forward: the unit's threshold. Backward: the derivative of its rule's layer loss. Saves z and nothing else."""

    @staticmethod
    def forward(z, unit, rule, scale):
        return unit.forward(z)

    @staticmethod
    def setup_context(ctx, inputs, output):
        z, ctx.unit, ctx.rule, ctx.scale = inputs
        ctx.save_for_backward(z)

    @staticmethod
    def backward(ctx, g):
        (z,) = ctx.saved_tensors
        with torch.no_grad():
            grad = ctx.unit.backward(ctx.rule, g, z, ctx.scale)
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            grad = _OnceDifferentiable.apply(grad, z)
        return grad, None, None, None


# How a threshold is applied in this thread: ftpkit.packed puts its own way here while a model runs forward.
APPLY = ContextVar("apply", default=_Threshold.apply)


class _OnceDifferentiable(torch.autograd.Function):
    """Ties a surrogate gradient to z, so that differentiating it again raises instead of leaving a term out.

    torch's own `once_differentiable` looks at g alone: when g is a constant and the loss uses z elsewhere as well, it
    returns a second derivative from which this path is silently missing.
    """

    @staticmethod
    def forward(grad, z):
        return grad.view_as(grad)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass  # a function of its own, or torch.func.grad refuses

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            "a hard threshold has no second derivative: its backward pass is the gradient of a layer loss with targets "
            "held fixed, not of a smooth function; take first derivatives only (no create_graph through a threshold)"
        )


def _apply(unit: Unit, z: Tensor, rule: Rule, scale: float | None, who: str) -> Tensor:
    if not isinstance(z, Tensor) or not z.is_floating_point():
        got = str(z.dtype) if isinstance(z, Tensor) else type(z).__name__
        raise TypeError(f"{who} takes a tensor of floating-point numbers, not {got}; convert it with .float()")
    _check_scale(scale)
    if not rule.weighted and scale is None and torch.is_grad_enabled() and z.requires_grad:
        raise ValueError(
            f"rule {rule.name!r} is unweighted and has no scale: pass scale=1/batch, "
            f"or call ftpkit.set_scale(model, 1/batch) before the step (ftpkit.train.fit does)"
        )
    apply = _Threshold.apply if torch.compiler.is_compiling() else APPLY.get()
    return apply(z, unit, rule, scale)


def _check_scale(scale: float | None) -> None:
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale is a positive number, usually 1 / (global batch), not {scale!r}")


# --- the four units --------------------------------------------------------------------------------------------


# Where torch.compile traces, nothing is changed in place: torch 2.11 would send back zeros, without a word.


def _sign_forward(z):
    # a seventh of the time of torch.where(z > 0, 1., -1.)
    return F.threshold(torch.sign(z), 0, -1, inplace=not torch.compiler.is_compiling())


def _step_forward(z):
    return F.relu(torch.sign(z), inplace=not torch.compiler.is_compiling())


def _staircase_forward(z, steps):
    # ceil after clamp: the same levels as clamp after ceil; 0 + before both: no -0.0 among them
    h = torch.add(0.0, z, alpha=steps - 1)
    if torch.compiler.is_compiling():
        return h.clamp(0, steps).ceil().div(steps)
    return h.clamp_(0, steps).ceil_().div_(steps)


def _clamp_forward(z):
    return torch.clamp(z, 0, 1)


_SIGN = Unit(_sign_forward, ((0.0, 1.0, 1.0),), levels=(-1.0, 1.0))
_STEP = Unit(_step_forward, ((0.0, 1.0, 0.5),), levels=(0.0, 1.0))
_SATURATED_RELU = Unit(_clamp_forward, ((0.5, 0.5, 1.0),))


def _staircase(steps: int, form: str) -> Unit:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ValueError(f"a staircase needs steps >= 2, an integer, not {steps!r}; for a single step use ftpkit.Step")
    if form == "single":
        windows = ((0.5, 0.5, 1.0),)
    elif form == "sum":
        windows = tuple((i / (steps - 1), 1.0, 1 / steps) for i in range(steps))
    else:
        raise ValueError(f"form is 'single' (one layer loss over [0, 1]) or 'sum' (one at each step), not {form!r}")
    levels = tuple(i / steps for i in range(steps + 1))
    return Unit(partial(_staircase_forward, steps=steps), windows, levels)


class Activation(nn.Module):
    """What `Sign`, `Step`, `QuantReLU` and `SaturatedReLU` share: a unit, a rule, and a scale for unweighted rules."""

    def __init__(self, unit: Unit, rule: Rule | str, scale: float | None = None):
        super().__init__()
        _check_scale(scale)
        self.unit, self.rule, self.scale = unit, as_rule(rule), scale

    def forward(self, z: Tensor) -> Tensor:
        return _apply(self.unit, z, self.rule, self.scale, type(self).__name__)

    def extra_repr(self) -> str:
        return repr(self.rule.name)


class Sign(Activation):
    """The hard threshold h = +1 if z > 0 else -1, so sign(0) = -1, as the paper defines it; a NaN gives -1 too.

    z: any shape, any floating dtype. h: z's shape and dtype, values in {-1, +1}. Backward, for g = dL/dh: t =
    targets(g, z, h), then loss.derivative(z, t) * abs(g), or * scale for an unweighted rule; 0 where t = 0 (eqs. 2, 3
    of Friesen and Domingos 2018). rule: a `Rule`, a name in `RULES`, or "my_rules.py:MyRule".
    Raises TypeError for integer or complex z, ValueError for an unknown rule or an unweighted rule without a scale;
    differentiating twice raises RuntimeError. (At z = 0 Brevitas and larq give +1, snnTorch's {0, 1} spike 0.
    At a NaN no gradient is defined: what comes back differs between machines, even between places in a tensor.)

    >>> z = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0], requires_grad=True)
    >>> h = Sign("SSTE")(z)
    >>> h.tolist()
    [-1.0, -1.0, -1.0, 1.0, 1.0]
    >>> h.backward(torch.full_like(h, 3.0))
    >>> z.grad.tolist()
    [0.0, 3.0, 3.0, 3.0, 0.0]
    """

    def __init__(self, rule: Rule | str, *, scale: float | None = None):
        super().__init__(_SIGN, rule, scale)


class Step(Activation):
    """The {0, 1} threshold h = 1 if z > 0 else 0 = (Sign + 1) / 2; step(0) = 0.

    As `Sign` otherwise; a NaN gives 0. Because h moves half as far as Sign's output does, the gradient is
    loss.derivative(z, t) * abs(g) / 2. (The authors' {0, 1} SSTE instead passes g on 0 <= z <= 1, one-sided: that
    window belongs to a saturated ReLU, whose slope it is, not to a step at 0. It is what ``QuantReLU(steps, "SSTE")``
    does.)

    >>> z = torch.tensor([-2.0, 0.0, 0.5], requires_grad=True)
    >>> h = Step("SSTE")(z)
    >>> h.tolist()
    [0.0, 0.0, 1.0]
    >>> h.sum().backward()
    >>> z.grad.tolist()
    [0.0, 0.5, 0.5]
    """

    def __init__(self, rule: Rule | str, *, scale: float | None = None):
        super().__init__(_STEP, rule, scale)


class QuantReLU(Activation):
    """The paper's staircase: h = clamp(ceil(z (k - 1)), 0, k) / k with k = steps thresholds and k + 1 levels.

    z: any shape, any floating dtype; h: levels 0, 1/k, ..., 1. The thresholds are i / (k - 1), i = 0 ... k-1: z = 0
    gives 0, z = 1 gives (k - 1) / k, the top level needs z > 1; a NaN stays a NaN. Equal to the mean of k steps at
    those thresholds, exactly when k - 1 is a power of two, else within an ulp of a threshold.
    Backward, form="single" (the paper's): loss.derivative(2z - 1, t) * abs(g), so SSTE passes g on 0 <= z <= 1 and
    FTP-SH sends g (1 - tanh(2z - 1)^2), the same for every k. form="sum": (1/k) sum_i loss.derivative(z - i/(k-1), t) *
    abs(g). Raises ValueError for steps < 2 or another form; otherwise as `Sign`.

    >>> z = torch.tensor([-0.1, 0.0, 0.2, 0.7, 1.0, 1.1], requires_grad=True)
    >>> h = QuantReLU(2, "SSTE")(z)
    >>> h.tolist()
    [0.0, 0.0, 0.5, 0.5, 0.5, 1.0]
    >>> h.sum().backward()
    >>> z.grad.tolist()
    [0.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    """

    def __init__(self, steps: int, rule: Rule | str, *, form: str = "single", scale: float | None = None):
        super().__init__(_staircase(steps, form), rule, scale)
        self.steps, self.form = steps, form

    def extra_repr(self) -> str:
        return f"{self.steps}, {self.rule.name!r}" + ("" if self.form == "single" else f", form={self.form!r}")


class SaturatedReLU(Activation):
    """h = clamp(z, 0, 1), not a threshold but the staircase's limit for many steps; a baseline of the paper.

    Backward: g on 0 <= z <= 1, borders included, else 0: what ``QuantReLU(k, "SSTE")`` sends back, for every k.

    >>> z = torch.tensor([-1.0, 0.0, 0.25, 1.0, 2.0], requires_grad=True)
    >>> h = SaturatedReLU()(z)
    >>> h.sum().backward()
    >>> h.tolist(), z.grad.tolist()
    ([0.0, 0.0, 0.25, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0, 0.0])
    """

    def __init__(self):
        super().__init__(_SATURATED_RELU, RULES["SSTE"])

    def extra_repr(self) -> str:
        return ""


def sign(z: Tensor, rule: Rule | str, *, scale: float | None = None) -> Tensor:
    """`Sign` as a function.

    >>> sign(torch.tensor([-0.5, 0.0, 0.5]), "STE").tolist()
    [-1.0, -1.0, 1.0]
    """
    return _apply(_SIGN, z, as_rule(rule), scale, "sign")


def step(z: Tensor, rule: Rule | str, *, scale: float | None = None) -> Tensor:
    """`Step` as a function.

    >>> step(torch.tensor([-0.5, 0.0, 0.5]), "STE").tolist()
    [0.0, 0.0, 1.0]
    """
    return _apply(_STEP, z, as_rule(rule), scale, "step")


def quant_relu(z: Tensor, steps: int, rule: Rule | str, *, form: str = "single", scale: float | None = None) -> Tensor:
    """`QuantReLU` as a function.

    >>> quant_relu(torch.tensor([0.0, 0.5, 2.0]), 5, "FTP-SH").tolist()
    [0.0, 0.4000000059604645, 1.0]
    """
    return _apply(_staircase(steps, form), z, as_rule(rule), scale, "quant_relu")


def saturated_relu(z: Tensor) -> Tensor:
    """`SaturatedReLU` as a function.

    >>> saturated_relu(torch.tensor([-1.0, 0.5, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return _apply(_SATURATED_RELU, z, RULES["SSTE"], None, "saturated_relu")


def set_scale(model: nn.Module, scale: float) -> None:
    """Give every activation in `model` the scale of its unweighted rule, usually 1 / (global batch).

    >>> set_scale(nn.Sequential(Sign(Rule("Hinge", weighted=False))), 1 / 100)
    """
    _check_scale(scale)
    for module in model.modules():
        if isinstance(module, Activation):
            module.scale = scale
