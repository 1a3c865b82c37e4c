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
from ..plots import show
from ..rules import Rule

STAIRCASES = ("Staircase, single", "Staircase, sum")
ACTIVATIONS = ("Sign", "Step", *STAIRCASES)

_FAR = 1000.0  # a surrogate that still passes gradients at this distance is taken to pass them for ever
_REACH = 20  # the surrogates that end are integrated over [-20, 20]; tanh' leaves 1e-16 outside
_CELLS = 400  # integration cells per unit of z, at least


class LossState(T.HasTraits):
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

    def __repr__(self):
        return f"LossState({', '.join(f'{name}={getattr(self, name)!r}' for name in _CONTROLS)})"


_CONTROLS = ("loss", "activation", "steps", "t")


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


class LossExplorer:
    """The demo: choose a layer loss, an activation and a target, and see the surrogate that comes out.

    In a notebook, end a cell with it. Anywhere else ``demo.state`` holds the choices, ``demo.compute()`` gives the
    numbers and ``demo.figure()`` the figure. Keyword arguments are the state to begin with. Keys: Tab goes from control
    to control; Space presses a button, and opens the list of losses for the arrow keys and Enter (on the closed list
    JupyterLab takes the arrow keys for itself); in the box of steps the arrow keys count.

    >>> demo = LossExplorer(loss="Hinge")
    >>> demo.state.t = -1
    >>> demo.compute().same
    False
    """

    def __init__(self, **start):
        self.state = LossState(**start)
        self._start = {name: getattr(self.state, name) for name in _CONTROLS}
        self._drawn = None
        label = {"style": {"description_width": "initial"}}
        self.loss = W.Dropdown(options=list(LOSSES), description="Layer loss", **label)
        self.activation = W.ToggleButtons(options=ACTIVATIONS, description="Activation", **label)
        self.t = W.ToggleButtons(options=[("t = -1", -1), ("t = +1", 1)], description="Target", **label)
        self.steps = W.BoundedIntText(min=2, max=17, description="Steps k", layout={"width": "10em"}, **label)
        self.slider = W.IntSlider(min=2, max=17, readout=False, layout={"width": "12em"})
        self.reset = W.Button(description="Reset", tooltip="Back to the state that the demo began with")
        self.picture, self.text = W.HTML(), W.HTML()
        self.view = W.VBox(
            [
                W.HBox([self.loss, self.reset]),
                self.activation,
                self.t,
                W.HBox([self.steps, self.slider]),
                self.picture,
                self.text,
            ]
        )
        self.view.add_class("ftpkit-demo").add_class("ftpkit-LossExplorer")
        for name in _CONTROLS:
            T.link((self.state, name), (getattr(self, name), "value"))
        T.link((self.state, "steps"), (self.slider, "value"))
        self.state.observe(self._draw)
        self.reset.on_click(self._reset)
        self._draw()

    def compute(self) -> Surrogate:
        return compute(self.state)

    def figure(self) -> Figure:
        return figure(self.compute())

    def _draw(self, change=None):
        state = repr(self.state)
        if state == self._drawn:
            return
        self._drawn = state
        self.steps.disabled = self.slider.disabled = self.state.activation not in STAIRCASES
        result = self.compute()
        self.picture.value = show(figure(result), alt(result))._repr_mimebundle_()["text/html"]
        self.text.value = "<br>".join(f"{key}: <b>{value}</b>" for key, value in numbers(result).items())

    def _reset(self, button):
        with self.state.hold_trait_notifications():
            for name, value in self._start.items():
                setattr(self.state, name, value)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {**self.view._repr_mimebundle_(), "text/plain": "LossExplorer: run this cell to use the demo"}
