"""Look into one mini-batch: targets, what every rule sends down, and what the next layer's loss does after flips."""

from dataclasses import dataclass
from functools import lru_cache

import ipywidgets as W
import numpy as np
import torch
import torch.nn.functional as F
import traitlets as T
from matplotlib.figure import Figure
from torch import Tensor, nn

from .. import data
from ..activations import Sign, set_scale
from ..losses import UnknownName
from ..models import MLP
from ..plots.targets import target_panels
from ..rules import RULES, Rule
from ..targets import HEURISTICS, Effect, Hidden, disagreement, look
from .controls import buttons, choice, number, row, slider
from .shell import Demo, State, Try

UNITS, LAYERS, IMAGES = 20, 3, 32
TRAINED, BATCH, RATE = 100, 100, 0.05  # steps of plain SGD
ALWAYS = ("STE", "SSTE", "FTP-SH")


@lru_cache(maxsize=1)
def _images() -> data.DataSet:
    return data.load("fashion-mnist-12k")


@lru_cache(maxsize=1)
def mini_batch() -> tuple[Tensor, Tensor]:
    """The mini-batch that is looked at: the first 32 test images, float64, and their labels."""
    return next(iter(data.Batches(_images().test, IMAGES, dtype=torch.float64)))


@lru_cache(maxsize=64)
def network(rule: Rule, steps: int = 0) -> MLP:
    """A network of three hidden layers of 20 sign units, in float64, after so many steps of SGD on mini-batches of 100.

    In float64 a rounding error is so small that it hardly ever turns a sign: other machines get the same network.
    """
    with torch.random.fork_rng(devices=[]):
        model = MLP(lambda: Sign(rule), hidden=LAYERS * (UNITS,), batch_norm=False).double()
    parameters = _start(model)
    set_scale(model, 1 / BATCH)
    for _, (x, y) in zip(range(steps), data.Batches(_images().train, BATCH, dtype=torch.float64), strict=False):
        gradients = torch.autograd.grad(F.cross_entropy(model(x), y), parameters)
        with torch.no_grad():
            for weights, gradient in zip(parameters, gradients, strict=True):
                weights -= RATE * gradient
    return model


@torch.no_grad()
def _start(model: MLP) -> list[nn.Parameter]:
    """Draw the weights as torch's layers do, but the same ones whatever torch's default dtype is."""
    generator = torch.Generator().manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            for weights in layer.parameters():
                drawn = torch.rand(weights.shape, generator=generator, dtype=torch.float64)
                weights.copy_((2 * drawn - 1) / layer.in_features**0.5)
    return list(model.parameters())


@lru_cache(maxsize=64)
def layers(rule: Rule, steps: int) -> list[Hidden]:
    """The hidden layers of that network in the mini-batch."""
    return look(network(rule, steps), *mini_batch())


@lru_cache(maxsize=64)
def flips_alone(rule: Rule, steps: int, layer: int) -> tuple[Tensor, dict[str, Effect]]:
    """The changes after single flips, and what the heuristics do, in one layer; both depend on no unit."""
    hidden = layers(rule, steps)[layer - 1]
    return hidden.alone(), {name: hidden.effect(heuristic(hidden)) for name, heuristic in HEURISTICS.items()}


class TargetState(State):
    """What the demo shows: a network and its rule, a layer, unit and image of it, and two rules to compare.

    steps: 0 (not trained) or 100 of SGD. rule: the name in `RULES` of the rule with which the network learns, and by
    which gradients come down to the layer. layer: 1 to 3; unit: 1 to 20; image: 1 to 32. first, second: names of rules.
    Raises traitlets.TraitError for anything else.

    >>> TargetState(layer=3, unit=7)
    TargetState(steps=0, rule='FTP-SH', layer=3, unit=7, image=1, first='SSTE', second='FTP-SH')
    """

    steps = T.Enum((0, TRAINED), 0)
    rule = T.Unicode("FTP-SH")
    layer = T.Enum(tuple(range(1, LAYERS + 1)), 2)
    unit = T.Int(1, min=1, max=UNITS)
    image = T.Int(1, min=1, max=IMAGES)
    first = T.Unicode("SSTE")
    second = T.Unicode("FTP-SH")

    @T.validate("rule", "first", "second")
    def _known(self, proposal):
        try:
            return RULES[proposal["value"]].name and proposal["value"]
        except UnknownName as error:
            raise T.TraitError(str(error)) from None


@dataclass(frozen=True, eq=False)
class Passed:
    """What passes through a layer in the mini-batch, and what flips would do.

    steps, rule, layer, unit, image, first, second: as in the state. pixels: (28, 28) of the image, label: its class.
    hidden: the layer; its tensors are (32, 20). loss: the next layer's, over the batch. sent: rule -> what it sends to
    z, for STE, SSTE, FTP-SH and the two compared. differ: `targets.disagreement` of these two. alone: the change of
    the next loss when one output is flipped by itself. effects: flips -> what they do when they are made together.
    """

    steps: int
    rule: str
    layer: int
    unit: int
    image: int
    first: str
    second: str
    pixels: np.ndarray
    label: str
    hidden: Hidden
    loss: float
    sent: dict[str, Tensor]
    differ: Tensor
    alone: Tensor
    effects: dict[str, Effect]

    @property
    def asked(self) -> Tensor:
        """Where the targets ask for a flip."""
        return self.hidden.flips(self.hidden.t)

    @property
    def one_zero(self) -> float:
        """Share of units x images on which one of the two rules sends 0 and the other does not."""
        return (self.differ == 2).double().mean().item()

    @property
    def twice(self) -> float:
        """Share on which both send something, and one more than twice as much as the other."""
        return (self.differ == 1).double().mean().item()


class TargetExplorer(Demo):
    """The demo: one mini-batch of real images in a network of sign units, trained or not, unit by unit.

    Above: for the chosen unit, what each rule would send to z for every image, and the table of z, h, g, t, weight and
    what is sent. Below: the units and images on which two rules disagree; every output flipped by itself, the change of
    the next layer's loss as the gradient predicts it and as it really comes; the same for many flips at once. The flips
    made at once: "all targets" that ask for one; those of this unit; "largest \\|g\\|", one for each image; "all that
    help", each tried by itself before; "best flip", the best of each image. Keys: Tab goes from control to control;
    Space presses a button, and opens a list for the arrow keys and Enter; in the boxes and on the slider arrow keys
    count. A rule of your own can be chosen if it is in `RULES` when the demo is made.

    >>> demo = TargetExplorer(rule="STE", layer=1)
    >>> effect = demo.compute().effects["all targets"]
    >>> effect.flips, abs(effect.predicted - effect.real) < 1e-9
    (359, True)
    """

    State = TargetState
    TRIES = (
        Try(
            "all at once",
            "A trained network, last hidden layer. Five in six of the flips that the targets ask for lower the "
            "output loss when made alone. Make them all at once: how much of the predicted fall really comes?",
            {"steps": TRAINED, "rule": "FTP-SH", "layer": 3},
        ),
        Try(
            "the straight line",
            "The network's own rule is STE now. For layer 1, does the loss of layer 2 fall by less, by more, or by "
            "exactly as much as predicted when all targets are met?",
            {"steps": 0, "rule": "STE", "layer": 1},
        ),
        Try(
            "after training",
            "Before training SSTE and FTP-SH disagree on about a seventh of the units and images of layer 1. On which "
            "share after 100 steps?",
            {"steps": TRAINED, "rule": "FTP-SH", "layer": 1},
        ),
    )

    def controls(self) -> list[W.Widget]:
        state = self.state
        networks = [("not trained", 0), (f"after {TRAINED} steps", TRAINED)]
        rules = {"rule": "Its rule", "first": "Compare", "second": "with"}
        lists = [choice(state, name, said, RULES) for name, said in rules.items()]
        for each in lists:
            each.layout.width = "16em"
        unit = [number(state, "unit", "Unit"), slider(state, "unit", "Through all units")]
        return [
            buttons(state, "steps", "Network", networks),
            row(*lists),
            buttons(state, "layer", "Layer", (1, 2, 3)),
            row(*unit, number(state, "image", "Image")),
        ]

    def refresh(self) -> None:
        if self.state.steps and not self._known():
            self.say("Working …")
        super().refresh()

    def _known(self) -> bool:
        """Was this network trained before, by any demo? Remembers that it is now."""
        key = RULES[self.state.rule], self.state.steps
        known = key in _TRAINED
        _TRAINED.add(key)
        return known

    @staticmethod
    def compute_from(state: TargetState) -> Passed:
        """What passes through the layer; see `Passed`."""
        rule = RULES[state.rule]
        hidden = layers(rule, state.steps)[state.layer - 1]
        alone, effects = flips_alone(rule, state.steps, state.layer)
        this = torch.zeros_like(hidden.t)
        this[:, state.unit - 1] = hidden.t[:, state.unit - 1]
        whole, *others = effects.items()
        sent = {name: hidden.sent(RULES[name]) for name in dict.fromkeys((*ALWAYS, state.first, state.second))}
        images = _images()
        return Passed(
            **state.values(),
            pixels=images.test.images[state.image - 1, 0].numpy(),
            label=images.classes[images.test.labels[state.image - 1]],
            hidden=hidden,
            loss=hidden.above(hidden.h).sum().item(),
            sent=sent,
            differ=disagreement(sent[state.first], sent[state.second]),
            alone=alone,
            effects=dict([whole, (f"unit {state.unit}", hidden.effect(this)), *others]),
        )

    @staticmethod
    def draw(result: Passed) -> Figure:
        next_loss = _next(result)
        titles = {
            "all": f"{_network(result)}, layer {result.layer}, one mini-batch of {IMAGES} images",
            "sent": f"unit {result.unit}: what is sent to z, by z",
            "passed": f"unit {result.unit}, image by image (scale of each row)",
            "image": f"image {result.image}:\n{result.label}",
            "differ": f"{result.first} and {result.second} disagree: {_percent(result.one_zero + result.twice)}",
            "alone": f"each output flipped alone:\nchange of {next_loss}",
            "effects": f"flips made at once:\nchange of {next_loss}",
        }
        return target_panels(
            result.hidden,
            result.sent,
            result.differ,
            result.alone,
            result.effects,
            result.unit - 1,
            result.image - 1,
            result.pixels,
            titles,
        )

    @staticmethod
    def alt(result: Passed) -> str:
        """What is shown, the disagreement, and predicted and real change of the next loss."""
        said = TargetExplorer.numbers(result)
        effect, rules = result.effects["all targets"], f"{result.first} and {result.second}"
        sent = ", ".join(f"{name} {_signed(s[result.image - 1, result.unit - 1])}" for name, s in result.sent.items())
        return (
            f"{_network(result)}, layer {result.layer}, unit {result.unit}, {IMAGES} images: its targets ask for "
            f"{said[f'Unit {result.unit}']}. For image {result.image} the rules send {sent}. Of all units and images "
            f"{rules} disagree on {said[f'{rules} disagree']}. All {effect.flips} flips at once: {_next(result)} is "
            f"predicted to change by {_signed(effect.predicted)} and really changes by {_signed(effect.real)}; one by "
            f"one, {_percent(_helps(result, asked=True))} of them lower it."
        )

    @staticmethod
    def numbers(result: Passed) -> dict[str, str]:
        hidden, i, j = result.hidden, result.image - 1, result.unit - 1
        asked, others = int(result.asked.sum()), int((~result.asked).sum())
        letters = {"z": hidden.z, "h": hidden.h, "g": hidden.g, "t": hidden.t, "weight": hidden.weight}
        flips = int(result.asked[:, j].sum())
        made = [
            f"{name}: {effect.flips} flips, predicted {_signed(effect.predicted)}, real {_signed(effect.real)}"
            for name, effect in result.effects.items()
        ]
        return {
            f"Unit {result.unit}": f"{flips} flips, {IMAGES - flips} stay",
            f"Image {result.image} ({result.label})": ", ".join(f"{k} {_signed(v[i, j])}" for k, v in letters.items()),
            "Sent to z": ", ".join(f"{name} {_signed(sent[i, j])}" for name, sent in result.sent.items()),
            f"{result.first} and {result.second} disagree": f"{_percent(result.one_zero + result.twice)} "
            f"(one sends 0, the other not: {_percent(result.one_zero)}; one sends more than twice as much: "
            f"{_percent(result.twice)})",
            "Flipped one by one": f"{_percent(_helps(result, asked=True))} of the {asked} asked for lower "
            f"{_next(result)}; so do {_percent(_helps(result, asked=False))} of the {others} others",
            f"Flipped at once, {_next(result)} is {result.loss:.3g}": "; ".join(made),
        }


_TRAINED = set()


def _network(result: Passed) -> str:
    return f"{result.rule} network, " + (f"after {result.steps} steps" if result.steps else "not trained")


def _next(result: Passed) -> str:
    return "the output loss" if result.layer == LAYERS else f"layer {result.layer + 1}'s loss"


def _helps(result: Passed, asked: bool) -> float:
    """Share of the outputs that the targets ask to flip, or of the others, whose flip alone lowers the next loss."""
    these = result.asked if asked else ~result.asked
    return (result.alone[these] < 0).double().mean().item() if these.any() else 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _signed(value) -> str:
    return f"{float(value) + 0.0:+.3g}"
