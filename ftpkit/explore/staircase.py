"""Look at a staircase beside the numbers of a real layer: what is rounded away, what is cut off, what comes back."""

import math
from dataclasses import dataclass

import ipywidgets as W
import torch
import traitlets as T
from matplotlib.figure import Figure
from torch import Tensor

from ..losses import UnknownName
from ..plots import staircase as plots
from ..rounding import LAYERS, Rounded, rounded, staircase
from ..rules import RULES
from . import controls
from .shell import Demo, State, Try

FORMS = ("single", "sum")
_FEW = 6  # so many levels are named one by one


class StaircaseState(State):
    """What the demo shows: a staircase, what it sends back, and the layer that it is laid over.

    steps: k thresholds, so k + 1 levels. range: the staircase rises over [0, range]: h = range * QuantReLU(z / range).
    rule: a name in `RULES`; form: "single" or "sum", see `QuantReLU`. layer: a name in `rounding.LAYERS`. Raises
    traitlets.TraitError for anything else.

    >>> StaircaseState(steps=5, range=2.0)
    StaircaseState(steps=5, range=2.0, rule='FTP-SH', form='single', layer='hidden layer 1, untrained')
    """

    steps = T.Int(3, min=2, max=17)
    range = T.Float(1.0, min=0.25, max=4.0)
    rule = T.Unicode("FTP-SH")
    form = T.Enum(FORMS, "single")
    layer = T.Unicode("hidden layer 1, untrained")

    @T.validate("rule", "layer")
    def _known(self, proposal):
        table = {"rule": RULES, "layer": LAYERS}[proposal["trait"].name]
        try:
            return table[proposal["value"]] and proposal["value"]
        except UnknownName as error:
            raise T.TraitError(str(error)) from None


@dataclass(frozen=True, eq=False)
class Laid:
    """A staircase laid over a layer.

    steps, range, rule, form, layer: as in the state. z: where the curves are drawn, shape (n,), and of z's shape: h,
    the staircase; phi, the share of a gradient at h that is passed to z, for the targets +1 and -1. values: the layer's
    pre-activations, flat. found: what the staircase makes of them. passed: the mean of phi over them, for +1 and -1.
    inside: the share of values in (0, range].
    """

    steps: int
    range: float
    rule: str
    form: str
    layer: str
    z: Tensor
    h: Tensor
    phi: tuple[Tensor, Tensor]
    values: Tensor
    found: Rounded
    passed: tuple[float, float]
    inside: float


class StaircaseExplorer(Demo):
    """The demo: choose steps, range, rule and form of a staircase, and a layer, and see what becomes of its numbers.

    Left, one above the other over the same pre-activations z: the staircase, how often the layer has each z, the share
    of the gradient that comes back. Right: how many of the layer's numbers take each level. A layer of your own:
    ``rounding.LAYERS["my layer"] = lambda: z`` before the demo is made. Keys: Tab goes from control to control; Space
    presses a button, and opens a list for the arrow keys and Enter; on the sliders and in the box the arrow keys count.

    >>> demo = StaircaseExplorer(layer="numbers spread evenly over 0 to 1")
    >>> demo.state.steps = 5
    >>> round(demo.compute().found.rounding * 6 * 5 * 4, 6)
    1.0
    """

    State = StaircaseState
    TRIES = (
        Try(
            "spread evenly",
            "Numbers spread evenly over 0 to 1, and a staircase with 3 steps and 4 levels over the same 0 to 1. How "
            "many of its four levels are used?",
            {"steps": 3, "range": 1.0, "layer": "numbers spread evenly over 0 to 1"},
        ),
        Try(
            "17 steps",
            "A real layer, and 17 steps in place of 3: the rounding error becomes several times smaller. And the error "
            "with clipping, against the ReLU: several times smaller too, half, or hardly?",
            {"steps": 17, "range": 1.0, "layer": "hidden layer 1, untrained"},
        ),
        Try(
            "twice the range",
            "The same layer and 3 steps over 0 to 2 in place of 0 to 1: each step is twice as coarse. Is the layer "
            "written down worse or better, all in all?",
            {"steps": 3, "range": 2.0, "layer": "hidden layer 1, untrained"},
        ),
    )

    def controls(self) -> list[W.Widget]:
        state = self.state
        self.steps = [controls.number(state, "steps", "Steps k"), controls.slider(state, "steps", "Steps k")]
        self.range = controls.slider(state, "range", "Rises over 0 to", step=0.25)
        self.rule = controls.choice(state, "rule", "Rule", RULES)
        self.form = controls.buttons(state, "form", "Form", FORMS)
        self.layer = controls.choice(state, "layer", "Layer", LAYERS)
        self.layer.layout.width = "25em"
        return [controls.row(*self.steps), self.range, self.rule, self.form, self.layer]

    @staticmethod
    def compute_from(state: StaircaseState) -> Laid:
        values = LAYERS[state.layer]().detach().flatten()
        found = rounded(values, state.steps, state.range)
        most = StaircaseState.range.max
        low, high = values.double().quantile(torch.tensor([0.002, 0.998], dtype=torch.float64)).tolist()
        z = torch.linspace(min(low, -1.5), max(high, most + 0.5), 1501, dtype=torch.float64)
        shares = [_passed(state, torch.cat([z, values.to(z)]), t) for t in (1, -1)]
        return Laid(
            **state.values(),
            z=z,
            h=staircase(z, state.steps, range=state.range),
            phi=tuple(share[: len(z)] for share in shares),
            values=values,
            found=found,
            passed=tuple(share[len(z) :].mean().item() for share in shares),
            inside=((values > 0) & (values <= state.range)).double().mean().item(),
        )

    @staticmethod
    def draw(result: Laid) -> Figure:
        return plots.laid(result)

    @staticmethod
    def alt(result: Laid) -> str:
        """The staircase, the layer, how its values fall on the levels, the errors, and what comes back."""
        said = StaircaseExplorer.numbers(result)
        passed = said["Gradient passed to this layer, mean"]
        return (
            f"A staircase with {result.steps} steps over 0 to {result.range:g}, on {result.layer}. Its levels take "
            f"{_shares(result.found, _FEW)}; dead: {said['Dead levels']}. Error {said['Error of rounding']}; with "
            f"clipping {said['Error with clipping']}. {result.rule}, {result.form} form, passes {passed} of a gradient."
        )

    @staticmethod
    def numbers(result: Laid) -> dict[str, str]:
        found = result.found
        return {
            "Share of the values on each level": _shares(found),
            "Dead levels": _dead(found),
            "Between the outer thresholds": f"{_percent(result.inside)} of the layer's values",
            "Error of rounding": _error(found.rms, found.decibels),
            "Error with clipping": _error(found.rms_with_clipping, found.decibels_with_clipping),
            "Gradient passed to this layer, mean": _both(result.passed),
        }


def _passed(state: StaircaseState, z: Tensor, t: int) -> Tensor:
    """The share of a gradient g = -t, which asks every unit for the target t, that reaches z."""
    z = z.clone().requires_grad_()
    g = torch.full_like(z, -t)
    staircase(z, state.steps, state.rule, form=state.form, range=state.range).backward(g)
    return z.grad / g


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.005 else "under 1 %"


def _shares(found: Rounded, most: int = 100) -> str:
    """Level: share; with more levels than `most` those between the ends together."""
    ends = [f"{level:.3g}: {_percent(share)}" for level, share in zip(found.levels, found.shares, strict=True)]
    if len(ends) > most:
        ends[1:-1] = [f"the {len(ends) - 2} between: {_percent(sum(found.shares[1:-1]))}"]
    return ", ".join(ends)


def _dead(found: Rounded) -> str:
    names = ", ".join(f"{level:.3g}" for level in found.dead)
    return f"{len(found.dead)} of {len(found.levels)} ({names})" if names else f"none of {len(found.levels)}"


def _error(rms: float, decibels: float) -> str:
    """Root mean square, and signal to noise where both are there."""
    noise = f"signal to noise {decibels:.1f} dB" if math.isfinite(decibels) else "no signal to noise"
    return f"{rms:.3g} (root mean square), {noise}"


def _both(passed: tuple[float, float]) -> str:
    plus, minus = map(_percent, passed)
    return plus if plus == minus else f"{plus} for target +1 and {minus} for -1"
