"""The exercises of notebook 05, first half: the paper's staircase, its thresholds and what comes back through it."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..activations import QuantReLU
from .card import Case, Exercise, Mistake, Property
from .values import show

_FIVE = {"thresholds": [0, 0.25, 0.5, 0.75, 1], "levels": [0, 0.2, 0.4, 0.6, 0.8, 1], "outputs": [0, 0.4, 0.8, 1]}
_FIVE_BLANK = """{
    "thresholds": None,  # a list
    "levels": None,  # a list
    "outputs": None,  # a list: at z = 0, 0.3, 1 and 1.01
}"""
_MISREAD = {
    "thresholds": {
        (0, 0.2, 0.4, 0.6, 0.8): "The last threshold lies at 1. By what is i divided in the formula?",
        (0, 0.2, 0.4, 0.6, 0.8, 1): "These are six numbers. Thresholds and levels: of which is there one more?",
        (0, 0.25, 0.5, 0.75): "One is missing: i runs to k - 1, and that is included.",
        (0.25, 0.5, 0.75, 1): "One is missing: i begins at 0.",
        (0.2, 0.4, 0.6, 0.8, 1): "i begins at 0. And by what is it divided?",
    },
    "levels": {
        (0, 0.25, 0.5, 0.75, 1): "These are the thresholds. How high is one step, if five of them make 1?",
        (0.2, 0.4, 0.6, 0.8, 1): "One is missing: what comes out where no threshold lies below z?",
        (0, 0.2, 0.4, 0.6, 0.8): "One is missing: what comes out where all five thresholds lie below z?",
        (0, 1, 2, 3, 4, 5): "A number of steps is no level yet: what stands before the sum?",
    },
    "outputs": {
        (0.2, 0.4, 1, 1): "z = 0 and z = 1 lie exactly on a threshold. What is step(0)?",
        (0, 0.4, 1, 1): "z = 1 lies exactly on the last threshold. Does it lie below z?",
        (0.2, 0.4, 0.8, 1): "z = 0 lies exactly on the first threshold. Does it lie below z?",
        (0, 0.2, 0.8, 1): "At z = 0.3: which thresholds are smaller than that? The first one, 0, counts too.",
        (0, 0.3, 1, 1): "That is the saturated ReLU: only the levels can come out.",
        (0, 2, 4, 5): "So many steps lie below z. What does the formula do with their number?",
        (0, 0.5, 1, 1): "These are thresholds, not levels: count those below z, and divide their number by k.",
    },
}
_LOOK_AGAIN = {
    "thresholds": "Put i = 0, 1, 2, 3 and 4 into the formula of the thresholds, with k = 5.",
    "levels": "How many of the five steps can lie below z? Divide each of these numbers by k.",
    "outputs": "For each of the four z count the thresholds that are smaller, and divide by k.",
}


def _numbers(value) -> list[float] | None:
    value = value.values() if isinstance(value, Mapping) else value  # {0: ..., 0.3: ...} is as good
    try:
        return [float(each) for each in value]
    except (TypeError, ValueError):
        return None


def _wrong_list(key: str):
    wanted = _FIVE[key]

    def wrong(answer) -> str:
        if not isinstance(answer, Mapping) or not set(_FIVE) <= set(answer):
            return 'Keep the form of the stub: {"thresholds": [...], "levels": [...], "outputs": [...]}.'
        found = _numbers(answer[key])
        if found is None:
            return f'A list of numbers is wanted for "{key}".'
        if key != "outputs":
            found = sorted(found)
        if _close(found, wanted):
            return ""
        return next((hint for misread, hint in _MISREAD[key].items() if _close(found, misread)), _LOOK_AGAIN[key])

    return wrong


def _close(a, b) -> bool:
    return len(a) == len(b) and np.allclose(a, b, atol=1e-3)


def _five_cases():
    yield Case('"thresholds"', expected=Property("the five of them", _wrong_list("thresholds")))
    yield Case('"levels"', expected=Property("all that can come out", _wrong_list("levels")))
    yield Case('"outputs"', expected=Property("h at z = 0, 0.3, 1 and 1.01", _wrong_list("outputs")))


_READ = Exercise(
    notebook="05",
    title="thresholds and levels",
    goal="read the staircase off its formula.",
    difficulty="easy",
    minutes=5,
    reference=_FIVE,
    name="five_steps",
    blank=_FIVE_BLANK,
    cases=_five_cases,
    mistakes=(),
    hints=(
        "The formula stands in the theory above: k steps, each at its threshold i / (k - 1). What is i, from where to "
        "where?",
        "The output is the number of thresholds that lie *strictly* below z, divided by k.",
    ),
    explanation=(
        "Five thresholds, 1/4 apart, and six levels, 1/5 apart. At z = 0 no threshold lies strictly below, so 0 comes "
        "out; at z = 1 the last one does not, so the top level needs z > 1."
    ),
)


def quantise(z: Tensor, k: int) -> Tensor:
    """The paper's staircase with k steps, without a loop over its thresholds.

    z: pre-activations, any shape. k: the number of steps, 2 or more. Returns h of z's shape: levels 0, 1/k, ..., 1. A z
    exactly on a threshold has not passed it yet.
    """
    passed = torch.ceil(z * (k - 1)).clamp(0, k)
    return passed / k


def _quantise_cases():
    yield Case("k = 3, between the thresholds", (torch.tensor([-0.5, 0.3, 0.8, 1.5]), 3))
    yield Case("k = 3, exactly on its thresholds", (torch.tensor([0.0, 0.5, 1.0]), 3))
    yield Case("far out", (torch.tensor([-7.0, 7.0]), 3))
    yield Case("k = 5, on a threshold and beside it", (torch.tensor([0.25, 0.26, 0.74, 0.75]), 5))
    yield Case("k = 2, the fewest", (torch.tensor([-1.0, 0.0, 0.01, 1.0, 1.01]), 2))
    generator = torch.Generator().manual_seed(5)
    yield Case("k = 9, two maps of 2 x 3 places", (torch.randn(1, 2, 2, 3, generator=generator), 9))


_QUANTISE = Exercise(
    notebook="05",
    title="the staircase without a loop",
    goal="count the thresholds below z by rounding once.",
    difficulty="easy",
    minutes=10,
    reference=quantise,
    cases=_quantise_cases,
    mistakes=(
        Mistake(
            "threshold closed",
            lambda z, k: (torch.floor(z * (k - 1)) + 1).clamp(0, k) / k,
            "Right, but for z exactly on a threshold: step(0) is 0, so it is not passed yet.",
        ),
        Mistake(
            "k instead of k - 1",
            lambda z, k: torch.ceil(z * k).clamp(0, k) / k,
            "The steps are as high as they should be, but too narrow: the thresholds lie 1 / (k - 1) apart.",
        ),
        Mistake(
            "top level missing",
            lambda z, k: torch.ceil(z * (k - 1)).clamp(0, k - 1) / k,
            "The top level never comes: how many thresholds lie below z = 7?",
        ),
        Mistake(
            "top level missing, and divided by k - 1",
            lambda z, k: torch.ceil(z * (k - 1)).clamp(0, k - 1) / (k - 1),
            "That has k levels, and the top one comes too early: k thresholds make k + 1 levels.",
        ),
        Mistake(
            "divided by k - 1",
            lambda z, k: torch.ceil(z * (k - 1)).clamp(0, k) / (k - 1),
            "The top level is larger than 1. How high is one step, if k of them make 1?",
        ),
        Mistake(
            "not divided",
            lambda z, k: torch.ceil(z * (k - 1)).clamp(0, k),
            "That is the number of thresholds below z. A step is 1/k high.",
        ),
        Mistake(
            "rounded to the nearest level",
            lambda z, k: torch.round(z.clamp(0, 1) * k) / k,
            "That is rounding to the nearest level. The staircase's thresholds lie elsewhere: the first at 0.",
        ),
        Mistake(
            "rounded to the nearest threshold",
            lambda z, k: torch.round(z * (k - 1)).clamp(0, k) / k,
            "Just above a threshold the step is passed already: to which side must z (k - 1) be rounded?",
        ),
        Mistake(
            "one half added",
            lambda z, k: torch.round(z * (k - 1) + 0.5).clamp(0, k) / k,
            "`torch.round` takes a half to the nearest *even* number. Which function rounds up?",
        ),
        Mistake(
            "rounded down",
            lambda z, k: torch.floor(z * (k - 1)).clamp(0, k) / k,
            "One step too few: the first threshold is 0, so z = 0.3 has passed one with k = 3.",
        ),
        Mistake(
            "not clamped",
            lambda z, k: torch.ceil(z * (k - 1)) / k,
            "It goes on climbing and falling outside: no fewer than 0 thresholds can lie below z, and no more than k.",
        ),
        Mistake(
            "not clamped above",
            lambda z, k: torch.ceil(z * (k - 1)).clamp(min=0) / k,
            "It goes on climbing: no more than k thresholds can lie below z.",
        ),
        Mistake("always three steps", lambda z, k: quantise(z, 3), "Right for k = 3 only: where does k come in?"),
        Mistake("saturated ReLU", lambda z, k: z.clamp(0, 1), "That is the saturated ReLU: nothing is rounded."),
    ),
    hints=(
        "How many thresholds lie strictly below z? First look at k = 3, with thresholds at 0, 1/2 and 1, and z = 0.3.",
        "On the scale of z (k - 1) the thresholds are the whole numbers 0, 1, ..., k - 1. `torch.ceil` rounds up.",
        "Round z (k - 1) up, clamp the number to what can be, and make it a level.",
    ),
    explanation=(
        "z (k - 1) turns the thresholds into whole numbers, and rounding up counts those strictly below: the first is "
        "0, so 0.3 counts one and 0 counts none. So the authors write it, and so does the kit. With k = 1 it says 0 "
        'for every z, and the sum divides 0 by 0: `QuantReLU(1, "SSTE")` refuses and points to `ftpkit.Step`.'
    ),
)


_AREAS = {"single": 1.5, "sum": 3.0, "more steps": "stays"}
_NO_AREA = {
    "single": {
        3.0: "That is its area on a sign. The single form looks at 2 z - 1: what does that do to a width?",
        6.0: "Wider or narrower? While z runs from 0 to 1, 2 z - 1 runs from -1 to +1.",
        1.0: "That is SSTE's, the window alone. The ramp has two sides as well.",
        0.75: "Halved once too often: the 1/2 before the loss and the 2 that comes out of 2 z - 1 make 1.",
        2.0: "Is a side a rectangle? It falls from 1 to 0.",
    },
    "sum": {
        9.0: "That is three ramps. What stands before the sum?",
        1.5: "In the single form, yes. In the sum, is the ramp at each threshold squeezed?",
        1.0: "That is a third of one ramp. How many of them are added up?",
        2.0: "That is what the saturated hinges let through. The ramp has two sides as well.",
        6.0: "Two sides and a window: draw the ramp on a sign first, and add up its area.",
        4.0: "That would be right if the sides were rectangles: each falls from 1 to 0.",
    },
}
_DRAW = {
    "single": "Draw the ramp on a sign first: its window, and its two sides. The single form makes it narrower.",
    "sum": "Draw the ramp on a sign first: its window, and its two sides. Which factor do the three of them get?",
}
_WHY_NOT = {
    "grows": "There are more ramps for a larger k. But what is each of them multiplied by?",
    "falls": "Each ramp is multiplied by less for a larger k. But how many of them are there?",
}


def _wrong_area(form: str):
    def wrong(answer) -> str:
        if not isinstance(answer, Mapping) or not set(_AREAS) <= set(answer):
            return 'Keep the form of the stub: {"single": a number, "sum": a number, "more steps": a word}.'
        try:
            area = float(answer[form])
        except (TypeError, ValueError):
            return f'A number is wanted for "{form}".'
        if abs(area - _AREAS[form]) < 0.02:
            return ""
        return next((hint for value, hint in _NO_AREA[form].items() if abs(area - value) < 0.02), _DRAW[form])

    return wrong


def _wrong_word(answer) -> str:
    word = str(answer["more steps"]).strip().lower()
    return "" if word == "stays" else _WHY_NOT.get(word, 'One of "grows", "falls" and "stays", please.')


def _area_cases():
    yield Case('"single"', expected=Property("the area with k = 3, to two decimal places", _wrong_area("single")))
    yield Case('"sum"', expected=Property("the area with k = 3, to two decimal places", _wrong_area("sum")))
    yield Case('"more steps"', expected=Property("what the sum's area does when k grows", _wrong_word))


_RAMP = Exercise(
    notebook="05",
    title="the area on a staircase",
    goal="predict what fixes the area under a surrogate.",
    difficulty="middling",
    minutes=5,
    reference=_AREAS,
    name="ramp_areas",
    blank='{"single": None, "sum": None, "more steps": None}  # two numbers; "grows", "falls" or "stays"',
    cases=_area_cases,
    mistakes=(),
    hints=(
        "What is the area of the ramp on a sign? A window from -1 to 1, and two sides that are triangles.",
        "The single form squeezes the z-axis by a factor of 2 and leaves the height. The sum form is a mean of ramps.",
        "Copies that are shifted keep their area, and a mean of k equal numbers is that number.",
    ),
    explanation=(
        "On a sign the ramp has 2 + 1/2 + 1/2 = 3. Squeezed by 2 that is 1.5. A mean of shifted ramps has the area of "
        "one, for every k, so the sum form lets through twice as much as the single form, whatever the loss: 2 and 1 "
        'for the saturated hinge. `area(3, "Ramp", "single")` and `area(9, "Ramp", "sum")` say so too.'
    ),
)


def sum_staircase() -> nn.Module:
    """A staircase with 3 steps that learns by the sum of three saturated hinges, one at each threshold.

    Returns a new module at each call, to stand where a network has an activation. Forward, for z of any shape: the
    levels 0, 1/3, 2/3, 1. Backward, when g arrives at h: (1/3) sum_i g [abs(z - theta_i) <= 1], for the three
    thresholds theta_i. (At the borders of these windows anything goes.)
    """
    return QuantReLU(3, "SaturatedHinge", form="sum")


def _windows(z: Tensor, half_width: float = 1.0) -> Tensor:
    return sum(((z - i / 2).abs() <= half_width).double() for i in range(3))


def _hinges(z: Tensor, g: Tensor) -> Tensor:
    return g * sum((-g.sign() * (z - i / 2) <= 1).double() for i in range(3)) / 3


def _bells(z: Tensor) -> Tensor:
    return sum(1 - torch.tanh(z - i / 2) ** 2 for i in range(3)) / 3


_SENT = (
    (lambda z, g: 0 * g, "Nothing comes back: a comparison alone has no gradient. It takes a rule, or a backward()."),
    (lambda z, g: g * ((z >= 0) & (z <= 1)), "One window from 0 to 1: that is SSTE, or the single form."),
    (lambda z, g: g * _windows(z), "Three times too much: a factor 1/k stands before the sum."),
    (lambda z, g: g * (1 - torch.tanh(2 * z - 1) ** 2), "One bell: that is the single form of the soft hinge."),
    (lambda z, g: g * _bells(z), "The sum form, but of soft hinges: a bell at each threshold instead of a window."),
    (_hinges, "On the wrong side it never ends: that is the plain hinge, and the saturated one gives up there."),
    (lambda z, g: g, "Everything comes back, everywhere: that is plain STE."),
    (lambda z, g: g.sign() * _windows(z) / 3, "Only the sign of g comes back: eq. 3 weights the loss with abs(g)."),
    (lambda z, g: -g * _windows(z) / 3, "The wrong sign: with t = -sign(g), the slope -t times abs(g) is g."),
    (lambda z, g: g * _windows(z, 0.5) / 3, "Three windows, but too narrow: a saturated hinge reaches 1 to each side."),
    (lambda z, g: g * (z.abs() <= 1), "One window from -1 to 1, as on a sign: where are the other two thresholds?"),
)


def _not_a_module(made) -> str:
    if isinstance(made, type):
        return "That is the class itself: call it, with what it needs, and give back what it makes."
    if not isinstance(made, nn.Module):
        return "It is to be an nn.Module, or it cannot stand in a network."
    return ""


def _wrong_forward(made) -> str:
    if hint := _not_a_module(made):
        return hint
    z = torch.tensor([[-1.0, 0.0, 0.2], [0.5, 0.6, 0.9], [1.0, 1.01, 4.0]])
    wanted = torch.tensor([[0, 0, 1], [1, 2, 2], [2, 3, 3]]) / 3
    h = made(z).detach()
    if h.shape != z.shape:
        return "h is to have the shape of z."
    if torch.allclose(h, wanted, atol=1e-5):
        return ""
    if torch.allclose(h, z.clamp(0, 1)):
        return "Nothing is rounded: that is the saturated ReLU."
    off = z[torch.isclose(h, wanted, atol=1e-5).logical_not()]
    if set(off.tolist()) <= {0.0, 0.5, 1.0}:
        return "Only on the thresholds it goes wrong: there step(0) is 0."
    if torch.isclose(h.unique()[:, None], wanted.unique(), atol=1e-5).any(dim=1).all():
        return f"The levels are right. It goes wrong at z = {off[0]:.3g}: which of the thresholds lie below it?"
    return f"Three steps have the levels 0, 1/3, 2/3 and 1. What came out: {show(h.unique())}."


def _wrong_backward(made) -> str:
    if hint := _not_a_module(made):
        return hint
    z = torch.linspace(-2.03, 3.04, 60).reshape(15, 4).T.clone().requires_grad_()
    g = torch.linspace(1, 3, 60).reshape(4, 15) * torch.tensor([[1], [-1], [1], [-1]])
    h = made(z)
    if h.requires_grad:
        h.backward(g)
    z, sent = z.detach().double(), torch.zeros_like(g) if z.grad is None else z.grad
    if torch.allclose(sent.double(), g * _windows(z) / 3, atol=1e-5):
        return ""
    known = (hint for does, hint in _SENT if torch.allclose(sent.double(), does(z, g).double(), atol=1e-5))
    return next(known, "At z = 0.2 all three windows are open, at z = 1.2 two, at z = 1.8 one: what comes back there?")


def _sum_cases():
    yield Case("forward", (), Property("a module that gives 0, 1/3, 2/3, 1", _wrong_forward))
    yield Case("backward", (), Property("g times the mean of three windows", _wrong_backward))


_SUM = Exercise(
    notebook="05",
    title="a contestant of your own",
    goal="make a variant that can take part in a race.",
    difficulty="middling",
    minutes=10,
    reference=sum_staircase,
    cases=_sum_cases,
    mistakes=(),
    hints=(
        "There is no need to write a backward pass: which class of the kit is a staircase, and what does it take?",
        "`help(QuantReLU)`: steps, a rule and a form. The rule with saturated hinges is called SaturatedHinge.",
        '`QuantReLU(3, ..., form="sum")`, with the rule\'s name in the gap.',
    ),
    explanation=(
        "A function that makes one anew for each layer, a factory, is all that a network or a race wants. Before you "
        "conclude anything from a race: the two let through different amounts of gradient, to different units, so the "
        "best learning rates may differ. Choose each from one common grid, on held-out training images; and take "
        "longer than 40 updates, or you measure who starts fastest."
    ),
    by_hand=False,
)

EXERCISES = (_READ, _QUANTISE, _RAMP, _SUM)
