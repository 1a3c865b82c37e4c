"""The exercises of notebook 03: layer losses and targets."""

import math

import torch
from torch import Tensor

from ..losses import Loss
from .card import Case, Exercise, Mistake, Property


def hinge_derivative(z: Tensor, t: Tensor | int) -> Tensor:
    """The derivative of the hinge loss max(0, 1 - t z) with respect to z.

    z: pre-activations, any shape. t: targets, -1 or +1, of z's shape or a single number. Returns z's shape.
    At the kink, where t z = 1 exactly, take the value from the side of smaller t z.
    """
    return -t * (t * z <= 1).to(z.dtype)


def _hinge_cases():
    z = torch.tensor([-2.0, -0.5, 0.5, 2.0])
    yield Case("four pre-activations, t = +1", (z, 1))
    yield Case("the same with t = -1", (z, -1))
    yield Case("exactly at the kink", (torch.tensor([1.0, -1.0]), torch.tensor([1, -1])))
    yield Case("at the mirror image of the kink", (torch.tensor([-1.0, 1.0]), torch.tensor([1, -1])))
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(3, 5, generator=generator)
    yield Case("a mini-batch of 3 examples and 5 units", (batch, torch.sign(torch.randn(3, 5, generator=generator))))


def _inside(z, t):
    return (t * z <= 1).to(z.dtype)


_HINGE = Exercise(
    notebook="03",
    title="the derivative of the hinge",
    goal="turn a formula into code.",
    difficulty="easy",
    minutes=5,
    reference=hinge_derivative,
    cases=_hinge_cases,
    mistakes=(
        Mistake(
            "kink open",
            lambda z, t: -t * (t * z < 1).to(z.dtype),
            "Only the kink is wrong: at t z = 1 the side of smaller t z has the slope -t, not 0.",
        ),
        Mistake(
            "t forgotten in the slope",
            lambda z, t: -_inside(z, t),
            "The right units are moved, but always downwards: the slope of 1 - t z in z is -t, not -1.",
        ),
        Mistake(
            "t forgotten in the condition",
            lambda z, t: -t * (z <= 1).to(z.dtype),
            "For t = -1 the wrong units are moved: the condition is about the margin t z, not about z.",
        ),
        Mistake(
            "margin on the wrong side",
            lambda z, t: -t * (t * z >= 1).to(z.dtype),
            "The units that are left alone are those that should be moved: the hinge costs something where t z < 1.",
        ),
        Mistake(
            "the loss instead of its derivative",
            lambda z, t: (1 - t * z).clamp(min=0),
            "That is the loss itself. Its slope in z is a step: constant on each side of the kink.",
        ),
        Mistake(
            "perceptron loss",
            lambda z, t: -t * (t * z <= 0).to(z.dtype),
            "That is the perceptron's loss max(0, -t z): the hinge asks for a margin of 1.",
        ),
    ),
    hints=(
        "Where t z < 1 the loss is 1 - t z, elsewhere it is 0. What is the slope of each piece in z?",
        "A comparison such as `t * z <= 1` is a tensor of true and false; multiplied by a number it becomes 1 and 0.",
        "Multiply the slope -t by the comparison that says where it holds.",
    ),
    explanation="Where t z < 1 the loss falls with slope -t; then it is flat. `<=` gives the kink to the left.",
)


def target_of(g: Tensor) -> Tensor:
    """The target that eq. 2 gives to every unit of a layer.

    g: the gradient of the next layer's loss with respect to the outputs h, shape (batch, units) or any other. Returns
    targets of that shape: -1, 0 or +1; 0 where the gradient is 0.
    """
    return -torch.sign(g)


def _target_cases():
    yield Case("one unit of each kind", (torch.tensor([0.3, -2.0, 0.0]),))
    generator = torch.Generator().manual_seed(3)
    yield Case("a mini-batch of 3 examples and 4 units", (torch.randn(3, 4, generator=generator),))
    yield Case("gradients that are tiny", (torch.tensor([[1e-30, -1e-30, 0.0]]),))


_TARGET = Exercise(
    notebook="03",
    title="the target heuristic",
    goal="write eq. 2 as a line of code.",
    difficulty="easy",
    minutes=5,
    reference=target_of,
    cases=_target_cases,
    mistakes=(
        Mistake(
            "target of 0 treated as -1",
            lambda g: torch.where(g < 0, 1.0, -1.0),
            "Where the gradient is 0 the next layer does not care: the target is 0, not -1.",
        ),
        Mistake(
            "target of 0 treated as +1",
            lambda g: torch.where(g > 0, -1.0, 1.0),
            "Where the gradient is 0 the next layer does not care: the target is 0, not +1.",
        ),
        Mistake(
            "uphill",
            lambda g: torch.sign(g),
            "These targets make the next layer's loss larger: it falls against the gradient.",
        ),
        Mistake(
            "size kept",
            lambda g: -g,
            "The direction is right; a target is only -1, 0 or +1. The size of g is for eq. 3, the weight.",
        ),
        Mistake(
            "small gradients dropped",
            lambda g: -torch.sign(g) * (g.abs() > 1e-8),
            "A tiny gradient has a sign too: only exactly 0 gives the target 0.",
        ),
    ),
    hints=(
        "If the gradient is positive, does the next layer's loss fall when h goes up, or when it goes down?",
        "`torch.sign` gives -1, 0 and +1.",
    ),
    explanation="The loss falls against its gradient, so t = -sign(g), and sign(0) = 0 says: leave this unit alone.",
)


def from_saturated_hinge(z: Tensor, g: Tensor) -> Tensor:
    """What a unit with the saturated hinge max(0, 1 - max(t z, -1)) sends down to its pre-activation.

    z: pre-activations. g: the gradient that arrives at the output h, of z's shape. Returns z's shape: the derivative of
    the layer loss for the target of eq. 2, times the weight of eq. 3. The slope is -t on the window -1 < t z <= 1.
    """
    t = -torch.sign(g)
    weight = g.abs()
    derivative = -t * ((t * z > -1) & (t * z <= 1))
    return derivative * weight


def _saturated_cases():
    yield Case("inside and outside of the window", (torch.tensor([-2.0, -0.5, 0.5, 2.0]), torch.full((4,), -0.5)))
    yield Case("a gradient of the other sign", (torch.tensor([-2.0, -0.5, 0.5, 2.0]), torch.full((4,), 2.0)))
    yield Case("gradients of 0: the target is 0", (torch.tensor([-0.5, 0.0, 0.5]), torch.zeros(3)))
    yield Case("the borders, t = +1", (torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, -1.0])))
    yield Case("the borders, t = -1", (torch.tensor([-1.0, 1.0]), torch.tensor([3.0, 3.0])))
    generator = torch.Generator().manual_seed(1)
    batch = torch.randn(4, 6, generator=generator), torch.randn(4, 6, generator=generator)
    yield Case("a mini-batch of 4 examples and 6 units", batch)


_SATURATED = Exercise(
    notebook="03",
    title="SSTE from the saturated hinge",
    goal="go from a layer loss to a gradient, through eq. 2 and eq. 3.",
    difficulty="middling",
    minutes=10,
    reference=from_saturated_hinge,
    cases=_saturated_cases,
    mistakes=(
        Mistake(
            "closed window",
            lambda z, g: g * (z.abs() <= 1),
            "That is SSTE with its closed window: at one of the two borders the saturated hinge is already flat.",
        ),
        Mistake(
            "open window",
            lambda z, g: g * (z.abs() < 1),
            "At t z = 1 the window is closed: one of the two borders still passes the gradient.",
        ),
        Mistake(
            "weight forgotten",
            lambda z, g: torch.sign(g) * ((-torch.sign(g) * z > -1) & (-torch.sign(g) * z <= 1)),
            "All numbers are -1, 0 or +1: eq. 3 multiplies the loss of a unit by the size of its gradient.",
        ),
        Mistake(
            "target of the wrong sign",
            lambda z, g: -g * ((torch.sign(g) * z > -1) & (torch.sign(g) * z <= 1)),
            "The sign is wrong: eq. 2 asks for t = -sign(g), the side to which the next layer's loss falls.",
        ),
        Mistake(
            "target of 0 treated as -1",
            lambda z, g: torch.where(g == 0, -1.0, g) * ((-torch.sign(g) * z > -1) & (-torch.sign(g) * z <= 1)),
            "A gradient of exactly 0 gives the target 0: such a unit is left alone and sends 0.",
        ),
        Mistake(
            "window forgotten",
            lambda z, g: g.clone(),
            "That is the plain STE: the saturated hinge is flat where t z > 1 and where t z <= -1.",
        ),
        Mistake(
            "hinge not saturated",
            lambda z, g: g * (-torch.sign(g) * z <= 1),
            "That is the plain hinge: the saturated one gives up where t z <= -1.",
        ),
    ),
    hints=(
        "Three lines: the target t from eq. 2, the weight from eq. 3, the derivative on its window.",
        "`torch.sign(torch.tensor(0.0))` is 0, so a target of 0 takes care of itself.",
        "The window is `(t * z > -1) & (t * z <= 1)`; on it the slope is -t.",
    ),
    explanation="-t |g| = g, so inside the window the gradient passes unchanged: SSTE, but for one of the two borders.",
)


def smooth_value(z, t):
    u = t * z
    return (-u).clamp(min=0) + (1 - u.clamp(0, 2) / 2) ** 2


def smooth_derivative(z, t):
    return -t * (1 - t * z / 2).clamp(0, 1)


_MY_LOSS = """def smooth_value(z, t):
    u = t * z
    return (-u).clamp(min=0) + (1 - u.clamp(0, 2) / 2) ** 2


def smooth_derivative(z, t):
    return -t * (1 - t * z / 2).clamp(0, 1)


my_loss = Loss("SmoothHinge", smooth_value, smooth_derivative)"""


def _wrong_with(loss) -> str:
    """What is wrong with a layer loss that is to be convex, patient and smooth; "" if nothing."""
    if not isinstance(loss, Loss):
        return 'It is to be a Loss: my_loss = Loss("name", value, derivative), with two functions of z and t.'
    z = torch.linspace(-4, 4, 8001, dtype=torch.float64) + 1e-5
    for t in (-1, 1):
        phi = loss.surrogate(z, t)
        slope = (loss.value(z + 1e-6, t) - loss.value(z - 1e-6, t)) / 2e-6
        if (slope - loss.derivative(z, t)).abs().max() > 1e-3:
            return "The derivative is not the slope of the value: check one of them at a point, by hand."
        if phi.min() < 0:
            return "phi is negative somewhere: there the loss pushes a unit away from its target."
        if phi.max() > 1:
            return "phi grows beyond 1: the loss must not be steeper than the line -t z."
        if (phi[t * z <= -1] < 0.1).any():
            return "phi gives up on the wrong side: where t z <= -1 the loss still has to fall."
        if (phi[t * z >= 2] != 0).any():
            return "phi is not 0 where t z >= 2: the loss must be flat there."
        if phi.diff().abs().max() > 0.02:
            return "phi jumps: the loss has a kink. Let its slope fall along a line."
        if (phi.diff() * t > 1e-9).any():
            return "It is not convex: phi must not rise with the margin t z."
    return ""


def _own_loss_cases():
    yield Case("everything that is asked for", expected=Property("a Loss with the three properties", _wrong_with))


_OWN_LOSS = Exercise(
    notebook="03",
    title="your own layer loss",
    goal="design a loss and get its derivative right.",
    difficulty="middling",
    minutes=15,
    reference=Loss("SmoothHinge", smooth_value, smooth_derivative),
    name="my_loss",
    code=_MY_LOSS,
    cases=_own_loss_cases,
    mistakes=(),
    hints=(
        "Begin with phi as a function of the margin u = t z, and with nothing else.",
        "phi = 1 for u <= 0, a straight line down to 0 at u = 2, then 0: convex, patient, without jumps.",
        "The loss is the integral of phi from u to 2: a parabola (1 - u/2)^2 between 0 and 2, a line below.",
    ),
    explanation="The derivative is -t phi(t z); integrating phi gives the value. It is a Huber-like hinge.",
    by_hand=False,
)


def area_of_steep_soft_hinge(a: float) -> float:
    """The area under the surrogate of the steeper soft hinge tanh(-a t z) + 1 on a sign unit.

    a: steepness, a number > 0. Returns the integral over all z of phi(z), as a number; integrate it numerically with
    cells of width 0.001 over [-40, 40].
    """
    z = torch.arange(-40, 40, 0.001, dtype=torch.float64) + 0.0005
    return (a * (1 - torch.tanh(a * z) ** 2)).sum().item() * 0.001


def _area_cases():
    for a in (3.0, 1.0, 0.5):  # 3 first: the known mistakes give different numbers there
        yield Case(f"a = {a:g}", (a,), Property("2 (the area, to three decimal places)", _area_of(a)))


def _area_of(a):
    def wrong(area) -> str:
        try:
            area = float(area)
        except (TypeError, ValueError):
            return "It is to be one number: sum over the cells, times the width of a cell."
        if math.isclose(area, 2, abs_tol=1e-3):
            return ""
        known = {
            2 / a: "The factor a of the chain rule is missing: phi(z) = a (1 - tanh(a z)^2).",
            2 * a: "One factor a is too many, or the a inside of tanh is missing.",
            2000.0: "That is the sum over the cells: multiply it by the width of a cell.",
            1.0: "That is half of it: integrate over both sides of the threshold.",
            -2.0: "The sign: phi is what multiplies the gradient g, -dL/dz for t = +1.",
        }
        near = [hint for value, hint in known.items() if math.isclose(area, value, rel_tol=1e-3)]
        return near[0] if near else "phi(z) is -dL/dz for t = +1: write it down before you integrate it."

    return wrong


_AREA = Exercise(
    notebook="03",
    title="the area under a surrogate",
    goal="see what fixes the area.",
    difficulty="middling",
    minutes=10,
    reference=area_of_steep_soft_hinge,
    cases=_area_cases,
    mistakes=(),
    hints=(
        "By the chain rule phi(z) = a (1 - tanh(a z)^2).",
        "The integral is a sum over the middles of the cells, times the width of a cell.",
    ),
    explanation="It is 2 for every a: the area is what the loss falls by from t z = -inf to +inf. Steeper is narrower.",
)


def only_flips(g: Tensor, z: Tensor, h: Tensor) -> Tensor:
    """A target heuristic that leaves a unit alone when eq. 2 asks it to stay as it is.

    g: the gradient that arrives at the output. z: pre-activations. h: outputs, -1 or +1. All of one shape. Returns
    targets of that shape: 0 where -sign(g) equals h or g is 0, else -sign(g).
    """
    t = -torch.sign(g)
    return torch.where(t == h, 0.0, t)


def _flip_cases():
    def case(about, g, z):
        g, z = torch.as_tensor(g), torch.as_tensor(z)
        return Case(about, (g, z, torch.where(z > 0, 1.0, -1.0)))

    yield case("one unit of each kind", [-1.0, -1.0, 1.0, 1.0], [2.0, -2.0, 2.0, -2.0])
    yield case("gradients of 0", [0.0, 0.0], [1.0, -1.0])
    yield case("z = 0, where the output is -1", [-0.5, 0.5], [0.0, 0.0])
    generator = torch.Generator().manual_seed(2)
    yield case(
        "a mini-batch of 4 examples and 3 units",
        torch.randn(4, 3, generator=generator),
        torch.randn(4, 3, generator=generator),
    )


_FLIPS = Exercise(
    notebook="03",
    title="targets of 0",
    goal="write a target heuristic.",
    difficulty="harder",
    minutes=15,
    reference=only_flips,
    cases=_flip_cases,
    mistakes=(
        Mistake(
            "eq. 2 unchanged",
            lambda g, z, h: -torch.sign(g),
            "That is eq. 2 as it stands: units whose target is their present output are to get 0.",
        ),
        Mistake(
            "the other way round",
            lambda g, z, h: torch.where(-torch.sign(g) == h, -torch.sign(g), 0.0),
            "Those that should stay got a target, and those that should flip got 0.",
        ),
        Mistake(
            "always flips",
            lambda g, z, h: -h,
            "Every unit is asked to flip, whatever the next layer wants: where does g come in?",
        ),
        Mistake(
            "sign of eq. 2 forgotten",
            lambda g, z, h: torch.where(torch.sign(g) == h, 0.0, torch.sign(g)),
            "The targets point uphill: eq. 2 is t = -sign(g).",
        ),
        Mistake(
            "target of 0 treated as a flip",
            lambda g, z, h: torch.where(-torch.sign(g) == h, 0.0, torch.where(g == 0, -h, -torch.sign(g))),
            "Where g is 0 the next layer does not care: the target is 0 there too.",
        ),
        Mistake(
            "sign(0) of z",
            lambda g, z, h: torch.where(-torch.sign(g) == torch.sign(z), 0.0, -torch.sign(g)),
            "At z = 0 it goes wrong: compare with the output h, which is -1 there, not with sign(z), which is 0.",
        ),
    ),
    hints=(
        "First the target of eq. 2, as a line of its own.",
        "`torch.where(condition, a, b)` takes a where the condition holds, else b.",
    ),
    explanation=(
        "Use it as `Sign(Rule('SoftHinge', targets=only_flips))`. That is no straight-through estimator although the "
        "soft hinge is symmetric: its targets do not come from eq. 2 alone."
    ),
)

EXERCISES = (_HINGE, _TARGET, _SATURATED, _OWN_LOSS, _AREA, _FLIPS)
