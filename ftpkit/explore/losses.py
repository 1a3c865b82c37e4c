"""Look at one layer loss on one activation, and at the surrogate that it sends back."""

import math
from dataclasses import dataclass

import ipywidgets as W
import torch
import traitlets as T
from matplotlib.figure import Figure
from torch import Tensor, nn

from ..activations import QuantReLU, Sign, Step
from ..losses import LOSSES, UnknownName
from ..plots import losses as plots
from ..rules import Rule
from . import controls
from .shell import Demo, State, Try

STAIRCASES = ("Staircase, single", "Staircase, sum")
ACTIVATIONS = ("Sign", "Step", *STAIRCASES)

_FAR = 1000.0  # a surrogate that still passes gradients at this distance is taken to pass them for ever
_REACH = 20  # the surrogates that end are integrated over [-20, 20]; tanh' leaves 1e-16 outside
_CELLS = 400  # integration cells per unit of z, at least


class LossState(State):
    """What the demo shows: a layer loss (a name in `LOSSES`), an activation, its steps (staircases), a target t.

    Raises traitlets.TraitError for a value that is none of the choices.

    >>> state = LossState(loss="Hinge", t=-1)
    >>> state.activation = "Staircase, sum"
    >>> state
    LossState(loss='Hinge', activation='Staircase, sum', steps=3, t=-1)
    """

    loss = T.Unicode("SoftHinge")
    activation = T.Enum(ACTIVATIONS, "Sign")
    steps = T.Int(3, min=2, max=17)
    t = T.Enum((-1, 1), 1)

    @T.validate("loss")
    def _known(self, proposal):
        try:
            return LOSSES[proposal["value"]].name and proposal["value"]
        except UnknownName as error:
            raise T.TraitError(str(error)) from None


@dataclass(frozen=True)
class Surrogate:
    """What a layer loss is on an activation: numbers only.

    name, activation, t: as in the state, the activation with its steps. z: where the curves are drawn, shape (n,). h:
    the activation's output, value: the layer loss L(z, t), phi: the factor by which a gradient that asks for target t
    is scaled, phi_other: the same for -t; all of z's shape. area: the integral of phi over all z; width: the length of
    z on which phi exceeds half its maximum; both inf where phi never ends. same: does phi not depend on t (borders
    apart)? same_at_borders: also where the loss has a kink?
    """

    name: str
    activation: str
    t: int
    z: Tensor
    h: Tensor
    value: Tensor
    phi: Tensor
    phi_other: Tensor
    area: float
    width: float
    same: bool
    same_at_borders: bool


def compute(state: LossState) -> Surrogate:
    """The curves and the numbers of one state; phi is what comes back through the activation from autograd.

    Area and width by the midpoint rule, in cells whose edges lie on every threshold and every whole number away from
    one: the steps of phi fall between the midpoints, so its borders do not matter and straight pieces are exact.

    >>> compute(LossState(loss="ClosedSaturatedHinge")).area
    2.0
    >>> compute(LossState(loss="ClosedSaturatedHinge", activation="Staircase, single")).area
    1.0
    """
    rule = Rule(LOSSES[state.loss])
    staircase = state.activation in STAIRCASES
    activation = _activation(state.activation, state.steps, rule)
    between = state.steps - 1 if staircase else 1
    cells = between * math.ceil(_CELLS / between)
    edges = torch.arange(-_REACH * cells, _REACH * cells + 1, dtype=torch.float64) / cells
    z = (edges[1:] + edges[:-1]) / 2
    phi, other = _surrogate(activation, z, state.t), _surrogate(activation, z, -state.t)

    far = torch.tensor([-_FAR, _FAR], dtype=z.dtype)
    if _surrogate(activation, far, state.t).abs().max() > 1e-3:
        area = width = math.inf
    else:
        area = round(phi.sum().item() / cells, 9)
        width = (phi > (0.5 + 1e-9) * phi.max()).sum().item() / cells
    borders = torch.tensor([c + s * w for c, w, _ in activation.unit.windows for s in (-2, -1, 0, 1, 2)], dtype=z.dtype)
    at_borders = [_surrogate(activation, borders, t) for t in (-1, 1)]

    seen = z.abs() < 3.5
    return Surrogate(
        name=state.loss,
        activation=f"{state.activation}, {state.steps} steps" if staircase else state.activation,
        t=state.t,
        z=z[seen],
        h=activation(z[seen]),
        value=activation.unit.loss_value(rule, z, torch.full_like(z, state.t))[seen],
        phi=phi[seen],
        phi_other=other[seen],
        area=area,
        width=width,
        same=torch.equal(phi, other),
        same_at_borders=torch.equal(*at_borders),
    )


def _activation(name: str, steps: int, rule: Rule) -> nn.Module:
    if name in STAIRCASES:
        return QuantReLU(steps, rule, form="single" if name == STAIRCASES[0] else "sum")
    return {"Sign": Sign, "Step": Step}[name](rule)


def _surrogate(activation: nn.Module, z: Tensor, t: int) -> Tensor:
    """phi(z, t): what of a gradient g = -t, which asks every unit for the target t, reaches z, as a share of g."""
    z = z.clone().requires_grad_()
    g = torch.full_like(z, -t)
    activation(z).backward(g)
    return z.grad / g


def figure(result: Surrogate) -> Figure:
    """Three panels: the activation, the layer loss, the surrogate with its area."""
    return plots.surrogate_strip([result])


def numbers(result: Surrogate) -> dict[str, str]:
    """The key numbers as text.

    >>> numbers(compute(LossState(loss="Hinge")))
    {'Area under φ': 'infinite', 'Width of φ': 'infinite', 'Same for both targets': 'no'}
    """
    same = "no" if not result.same else "yes" if result.same_at_borders else "yes, but for single points"
    return {
        "Area under φ": f"{result.area:.2f}" if math.isfinite(result.area) else "infinite",
        "Width of φ": f"{result.width:.2f}" if math.isfinite(result.width) else "infinite",
        "Same for both targets": same,
    }


def alt(result: Surrogate) -> str:
    """What the figure of this result shows, in one sentence with its numbers."""
    said = numbers(result)
    passes = (
        "passes gradients however far z is from the threshold"
        if math.isinf(result.area)
        else f"has area {said['Area under φ']} and width {said['Width of φ']}"
    )
    targets = "the same for both targets" if result.same else "another for the target of the opposite sign"
    return (
        f"Layer loss {result.name} on {result.activation}, target t = {result.t:+d}: "
        f"its surrogate phi {passes}, largest drawn value {result.phi.max().item():.2f}, {targets}."
    )


class LossExplorer(Demo):
    """The demo: choose a layer loss, an activation and a target, and see the surrogate that comes out.

    In a notebook, end a cell with it. Anywhere else ``demo.state`` holds the choices, ``demo.compute()`` gives the
    numbers and ``demo.figure()`` the figure. Keyword arguments are the state to begin with. Keys: Tab goes from control
    to control; Space presses a button, and opens the list of losses for the arrow keys and Enter (on the closed list
    JupyterLab takes the arrow keys for itself); in the box and on the slider of steps the arrow keys count.

    >>> demo = LossExplorer(loss="Hinge")
    >>> demo.state.t = -1
    >>> demo.compute().same
    False
    """

    State = LossState
    TRIES = (
        Try(
            "more steps",
            "One soft hinge for a whole staircase: does the area under its surrogate grow with 17 steps in place of 3?",
            {"loss": "SoftHinge", "activation": "Staircase, single", "steps": 17},
        ),
        Try(
            "one loss per step",
            "And with one soft hinge at each of the 17 thresholds: half the area, the same, or twice as much?",
            {"loss": "SoftHinge", "activation": "Staircase, sum", "steps": 17},
        ),
        Try(
            "the hinge",
            "Is the hinge a straight-through estimator: does its surrogate look alike for both targets?",
            {"loss": "Hinge", "activation": "Sign"},
        ),
    )

    compute_from, draw, alt, numbers = map(staticmethod, (compute, figure, alt, numbers))

    def controls(self) -> list[W.Widget]:
        state = self.state
        self.loss = controls.choice(state, "loss", "Layer loss", LOSSES)
        self.activation = controls.buttons(state, "activation", "Activation", ACTIVATIONS)
        self.t = controls.buttons(state, "t", "Target", [("t = -1", -1), ("t = +1", 1)])
        self.steps = controls.number(state, "steps", "Steps k")
        self.slider = controls.slider(state, "steps", "Steps k")
        return [self.loss, self.activation, self.t, W.HBox([self.steps, self.slider])]

    def refresh(self) -> None:
        self.steps.disabled = self.slider.disabled = self.state.activation not in STAIRCASES
        super().refresh()
