"""Look at one layer loss on one activation, and at the surrogate that it sends back."""

import math
import re

import ipywidgets as W
import traitlets as T
from matplotlib.figure import Figure

from ..formula import PREFIX, Formula, as_loss
from ..grammar import FormulaError
from ..losses import LOSSES, Loss, UnknownName
from ..plots import losses as plots
from ..rules import Rule
from ..surrogate import ACTIVATIONS, STAIRCASES, Properties, Surrogate, properties, surrogate
from . import controls
from .shell import Demo, State, Try

OWN = "Own formula"


class LossState(State):
    """What the demo shows: a layer loss, an activation, its steps (staircases), a target t, and an own formula.

    loss: a name in `LOSSES`, or "Own formula"; formula: then the loss, as text (see `ftpkit.formula`); a: the value of
    the parameter a in it, 0.25 to 5. Raises traitlets.TraitError for a value that is none of the choices, and for a
    text that is no formula, with one sentence that says where.

    >>> LossState(loss="Own formula", formula="max(0, 1 - t*z)**2", t=-1)
    LossState(loss='Own formula', activation='Sign', steps=3, t=-1, formula='max(0, 1 - t*z)**2', a=1.0)
    """

    loss = T.Unicode("SoftHinge")
    activation = T.Enum(ACTIVATIONS, "Sign")
    steps = T.Int(3, min=2, max=17)
    t = T.Enum((-1, 1), 1)
    formula = T.Unicode("log(1 + exp(-a*t*z)) / a")
    a = T.Float(1.0, min=0.25, max=5.0)

    @T.validate("loss")
    def _known(self, proposal):
        name = proposal["value"]
        try:
            return name if name == OWN else LOSSES[name].name
        except UnknownName as error:
            raise T.TraitError(f"{error} Or {OWN!r}.") from None

    @T.validate("formula")
    def _readable(self, proposal):
        text = " ".join(proposal["value"].split())
        try:
            Formula(text, a=self.a)
        except FormulaError as error:
            raise T.TraitError(str(error)) from None
        return text


def loss_of(state: LossState) -> Loss:
    """The layer loss that a state names."""
    return Formula(state.formula, a=state.a).loss() if state.loss == OWN else LOSSES[state.loss]


def compute(state: LossState) -> Surrogate:
    """The curves and the numbers of one state; see `ftpkit.surrogate`.

    >>> compute(LossState(loss="ClosedSaturatedHinge")).area
    2.0
    """
    return surrogate(loss_of(state), state.activation, state.steps, state.t)


def figure(result: Surrogate) -> Figure:
    """Four panels: the activation, the layer loss, its derivative, the surrogate with its area."""
    return plots.surrogate_strip([result])


def numbers(result: Surrogate) -> dict[str, str]:
    """The key numbers as text, and what was found out about the loss itself on -20 <= z <= 20.

    >>> for name, said in numbers(compute(LossState(loss="Hinge"))).items():
    ...     print(f"{name}: {said}")
    Area under φ: infinite
    Width of φ: infinite
    Same for both targets: no
    Moves z: never away from its target
    Convex: yes
    Derivative: the slope of the loss, as measured by small differences
    Finite in float32: up to abs(z) = 10000, the largest tried
    """
    same = "no" if not result.same else "yes" if result.same_at_borders else "yes, but for single points"
    width = "more than half its height at the ends of [-20, 20]" if math.isnan(result.width) else f"{result.width:.2f}"
    found = properties(as_loss(result.name))
    own = {"Rule": f"demo.rule, or by its name {result.name!r}"} if result.name.startswith(PREFIX) else {}
    return {
        "Area under φ": f"{result.area:.2f}" if math.isfinite(result.area) else "infinite",
        "Width of φ": width if not math.isinf(result.width) else "infinite",
        "Same for both targets": same,
        "Moves z": _moves(found),
        "Convex": "yes" if found.convex else "no",
        "Derivative": _derivative(found),
        "Finite in float32": f"up to abs(z) = {found.finite}, the largest tried"
        if found.finite == 10_000
        else f"not beyond abs(z) = {found.finite}: an update with a larger z would be lost",
        **own,
    }


def _moves(found: Properties) -> str:
    if found.silent:
        return "never, because the derivative is 0"
    places = [f"t = {t:+d} and {_between(low, high)}" for t, low, high in found.away]
    more = f" and in {len(places) - 4} more places" if len(places) > 4 else ""
    return f"away from its target where {'; '.join(places[:4])}{more}" if places else "never away from its target"


def _between(low: float, high: float) -> str:
    if (low, high) == (-20, 20):
        return "z is anything"
    return f"z > {low:g}" if high == 20 else f"z < {high:g}" if low == -20 else f"{low:g} < z < {high:g}"


def _derivative(found: Properties) -> str:
    said = "the slope of the loss, as measured by small differences"
    if found.error > 1e-6:
        said = f"not the slope of the loss: they differ by up to {found.error:.1g} of the largest slope"
    if found.jumps:
        where = "; ".join(f"z = {z:g} for t = {t:+d}" for t, z in found.jumps[:4])
        said += f"; it does not see the jump{'s' * (len(found.jumps) > 1)} of the loss at {where}"
    return said


def alt(result: Surrogate) -> str:
    """What the figure of this result shows, in two sentences with its numbers."""
    said = numbers(result)
    passes = f"has area {said['Area under φ']} and width {said['Width of φ']}"
    if math.isinf(result.area):
        passes = "passes gradients however far z is from the threshold"
    targets = "the same for both targets" if result.same else "another for the target of the opposite sign"
    return (
        f"Layer loss {result.name.removeprefix(PREFIX)} on {result.activation}, target t = {result.t:+d}: "
        f"its surrogate phi {passes}, largest drawn value {result.phi.max().item():.2f}, {targets}. "
        f"{'Convex' if said['Convex'] == 'yes' else 'Not convex'}; it moves z {said['Moves z']}."
    )


class LossExplorer(Demo):
    """The demo: choose a layer loss or type one, an activation and a target, and see the surrogate that comes out.

    In a notebook, end a cell with it. Anywhere else ``demo.state`` holds the choices, ``demo.compute()`` gives the
    numbers, ``demo.figure()`` the figure and ``demo.rule`` the `Rule` of the loss that is shown, ready for
    ``Sign(demo.rule)``; its name is also a contestant's, ``f"sign:{demo.rule.name}"``. Keyword arguments are the state
    to begin with. Keys: Tab goes from control to control; in the line for an own formula Enter draws it; Space presses
    a button, and opens the list of losses; in the list, in the boxes and on the sliders the arrow keys count.

    >>> demo = LossExplorer(loss="Hinge")
    >>> demo.state.t = -1
    >>> demo.compute().same
    False
    >>> demo.state.set({"loss": "Own formula", "formula": "max(0, 1 - a*t*z)", "a": 2})
    >>> demo.rule
    Rule('formula:max(0, 1 - 2*t*z)')
    """

    State = LossState
    TRIES = (
        Try(
            "one loss per step",
            "One soft hinge for a whole staircase has a surrogate of area 1. With one soft hinge at each of 17 "
            "thresholds: half the area, the same, or twice as much?",
            {"loss": "SoftHinge", "activation": "Staircase, sum", "steps": 17},
        ),
        Try(
            "the hinge",
            "Is the hinge a straight-through estimator: does its surrogate look alike for both targets?",
            {"loss": "Hinge", "activation": "Sign"},
        ),
        Try(
            "squares",
            "(1 - t*z)**2 is smooth, convex and 0 where the margin is 1. Does it always move z towards its target?",
            {"loss": OWN, "formula": "(1 - t*z)**2", "activation": "Sign"},
        ),
    )

    compute_from, draw, alt, numbers = map(staticmethod, (compute, figure, alt, numbers))

    @property
    def rule(self) -> Rule:
        """The rule with the loss that is shown, targets by eq. 2, weighted."""
        return Rule(loss_of(self.state))

    def controls(self) -> list[W.Widget]:
        state = self.state
        self.loss = controls.choice(state, "loss", "Layer loss", [*LOSSES, OWN])
        self.formula = W.Text(
            self._shown(),
            description="Own formula L(z, t)",
            placeholder="max(0, 1 - t*z)**2, then Enter",
            continuous_update=False,
            style={"description_width": "initial"},
            layout={"width": "30em"},
        )
        self.formula.observe(self._typed, "value")
        self.a = [controls.number(state, "a", "Parameter a"), controls.slider(state, "a", "Parameter a", step=0.25)]
        self.activation = controls.buttons(state, "activation", "Activation", ACTIVATIONS)
        self.t = controls.buttons(state, "t", "Target", [("t = -1", -1), ("t = +1", 1)])
        self.steps = controls.number(state, "steps", "Steps k")
        self.slider = controls.slider(state, "steps", "Steps k")
        return [
            self.loss,
            controls.row(self.formula, *self.a),
            self.activation,
            self.t,
            controls.row(self.steps, self.slider),
        ]

    def refresh(self) -> None:
        state = self.state
        self.steps.disabled = self.slider.disabled = state.activation not in STAIRCASES
        for control in self.a:
            control.disabled = state.loss != OWN or not re.search(r"\ba\b", state.formula)
        self.formula.value = self._shown()  # what was mistyped goes when something else is shown
        super().refresh()

    def _shown(self) -> str:
        return self.state.formula if self.state.loss == OWN else ""

    def _typed(self, change) -> None:
        """Draw the formula; one that is none is named, and what was drawn stays."""
        self.say("")
        if change["new"] != self._shown():
            try:
                self.state.set({"loss": OWN, "formula": change["new"]})
            except T.TraitError as error:
                self.say(str(error))

    def _reset(self) -> None:
        super()._reset()
        self.formula.value = self._shown()
