"""The exercises of notebook 06, first half: the levels of a staircase, what they cost and how often they are taken."""

import math

import torch
from torch import Tensor

from .card import Case, Exercise, Mistake, Property

_EFFECTS = {
    "more steps": {"rounding": "falls", "clipping": "stays", "gradient": "stays"},
    "wider range": {"rounding": "grows", "clipping": "falls", "gradient": "grows"},
}
_EFFECTS_CODE = """effects = {
    "more steps": {"rounding": "falls", "clipping": "stays", "gradient": "stays"},
    "wider range": {"rounding": "grows", "clipping": "falls", "gradient": "grows"},
}"""
_EFFECTS_BLANK = """{
    "more steps": {"rounding": None, "clipping": None, "gradient": None},
    "wider range": {"rounding": None, "clipping": None, "gradient": None},
}  # "falls", "grows" or "stays"\
"""
_WHY_NOT = {
    ("more steps", "rounding", "grows"): "More levels between the same two ends: is the nearest one further off now?",
    ("more steps", "rounding", "stays"): "How far apart are neighbouring levels with 3 steps, and with 6?",
    ("more steps", "clipping", "falls"): "Clipping is about z beyond the range. Where is the top level with 6 steps?",
    (
        "more steps",
        "clipping",
        "grows",
    ): "Do more numbers lie beyond the range than before, or is one cut off earlier?",
    ("more steps", "gradient", "falls"): "Look for k in the single form's formula, loss'(2 z - 1, t) |g|.",
    ("more steps", "gradient", "grows"): "A gradient for each step would be the sum form; SSTE here has one window.",
    ("wider range", "rounding", "falls"): "As many levels over twice the range: are they closer together now?",
    ("wider range", "rounding", "stays"): "The distance of two levels is r / k: it changes with r as well.",
    ("wider range", "clipping", "grows"): "The numbers that are cut off lie above r. Are there more of them for r = 2?",
    (
        "wider range",
        "clipping",
        "stays",
    ): "At z = 1.8 a ReLU gives 1.8. And the staircase, for r = 1 and r = 2?",
    (
        "wider range",
        "gradient",
        "falls",
    ): "SSTE passes it where z / r is in the window: is that wider in z, or not?",
    (
        "wider range",
        "gradient",
        "stays",
    ): "Some numbers lie between 1 and 2: did they get a gradient before?",
}


def _effect(move: str, what: str, right: str) -> Property:
    def wrong(effects) -> str:
        try:
            said = str(effects[move][what]).strip().lower()
        except (KeyError, IndexError, TypeError):
            return "Keep the form of the cell: two changes with three words each."
        if said == right:
            return ""
        return _WHY_NOT.get((move, what, said), 'Three words are possible: "falls", "grows" and "stays".')

    return Property(f'the right one of "falls", "grows" and "stays" for {move}, {what}', wrong)


def _effect_cases():
    measured = {"rounding": "the error of rounding", "clipping": "the error of clipping", "gradient": "SSTE's share"}
    changed = {"more steps": "6 steps instead of 3", "wider range": "the range 2 instead of 1"}
    for move, found in _EFFECTS.items():
        for what, right in found.items():
            yield Case(f"{changed[move]}: {measured[what]}", expected=_effect(move, what, right))


_EFFECT = Exercise(
    notebook="06",
    title="more steps, or a wider range?",
    goal="predict which of the two helps against which error.",
    difficulty="easy",
    minutes=5,
    reference=_EFFECTS,
    name="effects",
    code=_EFFECTS_CODE,
    blank=_EFFECTS_BLANK,
    cases=_effect_cases,
    mistakes=(),
    hints=(
        "Draw the staircase with 3 steps over [0, 1], then with 6, then with 3 steps over [0, 2].",
        "Three questions each time: how far apart are the levels, where is the top one, how wide is SSTE's window?",
        "Move the sliders of the demo above, one at a time; clipping is where the staircase leaves the ReLU for good.",
    ),
    explanation=(
        "Steps make the levels finer, the range says where they end. On this layer the root mean square error of "
        "rounding is 0.095; 6 steps make it 0.043, the range 2 makes it 0.226. That of clipping is 0.27, with 6 steps "
        "as well, and 0.08 for the range 2. SSTE passes 34 % of the gradients for both numbers of steps, because its "
        "window is the whole range, and 48 % for the range 2. So a wider range pays with rounding for what it cuts off "
        "less, and more steps pay that back."
    ),
)


def level_shares(z: Tensor, k: int) -> Tensor:
    """How often a layer's outputs take each level of the paper's staircase.

    z: pre-activations, any shape. k: the number of steps, 2 or more. Returns a tensor of shape (k + 1,): the shares of
    the levels 0, 1/k, ..., 1 in this order, which add up to 1; 0 for a level that no output takes.
    """
    level = torch.ceil(z * (k - 1)).clamp(0, k).long().flatten()
    return torch.bincount(level, minlength=k + 1) / z.numel()


def _share_cases():
    yield Case("five numbers, 3 steps", (torch.tensor([-1.0, 0.2, 0.4, 0.7, 1.5]), 3))
    yield Case("exactly on the thresholds", (torch.tensor([0.0, 0.5, 1.0]), 3))
    yield Case("most levels are taken by none", (torch.tensor([0.3, 0.3, 0.3]), 5))
    yield Case("a single number", (torch.tensor([[2.0]]), 2))
    batch = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    yield Case("a mini-batch of 4 examples and 6 units, 5 steps", (batch, 5))


def _count(level, k):
    return torch.bincount(level.long().flatten(), minlength=k + 1)


def _passed(z, k):
    return torch.ceil(z * (k - 1)).clamp(0, k)


_SHARES = Exercise(
    notebook="06",
    title="how often each level is taken",
    goal="count levels, the unused ones too.",
    difficulty="easy",
    minutes=10,
    reference=level_shares,
    cases=_share_cases,
    mistakes=(
        Mistake(
            "counts",
            lambda z, k: _count(_passed(z, k), k),
            "You have counted them; which share of all outputs is that?",
        ),
        Mistake(
            "percent",
            lambda z, k: 100 * level_shares(z, k),
            "These are per cent. Shares of 1 add up to 1.",
        ),
        Mistake(
            "divided by the batch only",
            lambda z, k: _count(_passed(z, k), k) / len(z),
            "With a mini-batch they no longer add up to 1: how many outputs does a tensor with two dimensions hold?",
        ),
        Mistake(
            "dead levels left out",
            lambda z, k: torch.unique(_passed(z, k), return_counts=True)[1] / z.numel(),
            "Levels that no output takes are missing: there are always k + 1 entries, some of them 0.",
        ),
        Mistake(
            "as long as the highest level taken",
            lambda z, k: _passed(z, k).long().flatten().bincount() / z.numel(),
            "Where no output takes the top levels it is too short: there are always k + 1 entries, some of them 0.",
        ),
        Mistake(
            "top level left out",
            lambda z, k: level_shares(z, k)[:-1],
            "k steps have one level more than there are steps: the top one, for z > 1, is missing.",
        ),
        Mistake(
            "no upper end",
            lambda z, k: _count(torch.ceil(z * (k - 1)).clamp(min=0), k) / z.numel(),
            "Numbers far above 1 get levels of their own. No more than all k thresholds can lie below z.",
        ),
        Mistake(
            "shares beyond the thresholds",
            lambda z, k: 1 - level_shares(z, k).cumsum(0)[:-1],
            "These are the shares beyond each threshold, and those beyond the next one are counted again.",
        ),
        Mistake(
            "the outputs themselves",
            lambda z, k: _passed(z, k) / k,
            "These are the outputs. How often does each level occur among them?",
        ),
        Mistake(
            "a threshold is passed on it",
            lambda z, k: _count((torch.floor(z * (k - 1)) + 1).clamp(0, k), k) / z.numel(),
            "Only numbers exactly on a threshold are wrong: step(0) = 0, so the threshold must lie strictly below z.",
        ),
        Mistake(
            "rounding",
            lambda z, k: _count((z.clamp(0, 1) * k).round(), k) / z.numel(),
            "That is the rounding quantiser: it takes the nearest level, the staircase counts thresholds below z.",
        ),
        Mistake(
            "thresholds 1/k apart",
            lambda z, k: _count(torch.ceil(z * k).clamp(0, k), k) / z.numel(),
            "The levels are 1/k apart; the thresholds are not: k of them lie from 0 to 1, both ends included.",
        ),
        Mistake(
            "k + 1 equal boxes for z",
            lambda z, k: _count(torch.floor(z * (k + 1)).clamp(0, k), k) / z.numel(),
            "You sort z into k + 1 equal boxes. First comes the staircase: count the outputs h, not z.",
        ),
        Mistake(
            "top level first",
            lambda z, k: level_shares(z, k).flip(0),
            "The shares are right and stand the wrong way round: the level 0 comes first.",
        ),
    ),
    hints=(
        "How many thresholds lie strictly below z? That whole number, 0 to k, says which level the output takes.",
        "`torch.ceil(z * (k - 1)).clamp(0, k)` is that number; then count how often each occurs, in all of z.",
        "`torch.bincount(number.long().flatten(), minlength=k + 1)` counts unused levels too; divide by `z.numel()`.",
    ),
    explanation=(
        "The number of thresholds below z is the number of the level. `minlength` keeps the levels that nobody takes: "
        "without it the shape depends on the data. k + 1 levels need as many bits as the number k has in binary: two "
        "for k = 3, which uses all four codes; three for the paper's k = 5, which uses six of eight."
    ),
)


def steps_for(r: int) -> int:
    """The fewest steps with which the staircase has at most the mean squared error of rounding with r steps.

    r: the number of steps of the rounding quantiser, 1 or more. Returns the smallest whole k, 2 or more, for which the
    staircase's error 1 / (6 k (k - 1)) is no larger than the rounding quantiser's, 1 / (12 r^2).
    """
    k = 2
    while k * (k - 1) < 2 * r**2:
        k += 1
    return k


def _step_cases():
    yield Case("4 levels of rounding", (3,))
    yield Case("3 levels of rounding", (2,))
    yield Case("the two errors can be equal", (6,))
    yield Case("18 levels of rounding", (17,))
    yield Case("many levels", (100,))
    yield Case("2 levels of rounding", (1,))


def _exactly(r):
    """The positive solution k of k (k - 1) = 2 r^2."""
    return 0.5 + math.sqrt(0.25 + 2 * r**2)


_STEPS = Exercise(
    notebook="06",
    title="how many steps for the same precision",
    goal="turn the two errors round: from a precision to a number of steps.",
    difficulty="middling",
    minutes=5,
    reference=steps_for,
    cases=_step_cases,
    mistakes=(
        Mistake(
            "strictly smaller",
            lambda r: math.floor(_exactly(r)) + 1,
            "Right but for one border: where the two errors are equal, the staircase has *at most* that error.",
        ),
        Mistake(
            "rounded down",
            lambda r: math.floor(_exactly(r)),
            "Nearly: with that many steps the staircase's error is still a little larger. To which side is k rounded?",
        ),
        Mistake("no whole number", _exactly, "There are no parts of steps: to which side is this to be rounded?"),
        Mistake(
            "one too many",
            lambda r: steps_for(r) + 1,
            "One step fewer will do: is k tested before or after it is counted up?",
        ),
        Mistake(
            "k instead of k - 1",
            lambda r: math.ceil(math.sqrt(2) * r),
            "Its error has the product k (k - 1), not k^2: one factor is the distance of the thresholds, 1 / (k - 1).",
        ),
        Mistake(
            "largest errors",
            lambda r: 2 * r,
            "Twice as many steps make the *largest* errors equal, 1/k and 1/(2 r). Here it is about mean squares.",
        ),
        Mistake("one step more", lambda r: r + 1, "One step more is not enough: compare the two errors for r = 17."),
        Mistake(
            "the two exchanged",
            lambda r: max(2, math.ceil(math.sqrt(r * (r - 1) / 2))),
            "That is fewer than r: which of the two quantisers has the larger error for the same number of steps?",
        ),
    ),
    hints=(
        "Compute both errors for some k, and for one step fewer: the first must be small enough, the second not.",
        "It is k (k - 1) >= 2 r^2. Which is the first k, from 2 on, for which it holds?",
        "`k = 2`, then `while k * (k - 1) < 2 * r**2: k += 1`.",
    ),
    explanation=(
        "k (k - 1) >= 2 r^2 means about 1.41 r + 0.5, so the staircase needs the square root of 2 as many steps: 5 for "
        "rounding with 3, 25 for 17. At r = 6 and k = 9 the two errors are equal. The largest error, "
        "1/k just above 0 against 1/(2 r), would ask for twice as many steps."
    ),
)

EXERCISES = (_EFFECT, _SHARES, _STEPS)
