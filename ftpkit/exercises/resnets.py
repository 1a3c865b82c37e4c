"""The exercises of notebook 07 about the theory: where thresholds stand, what a block does to a gradient."""

import math
from statistics import NormalDist

import numpy as np
import torch

from .card import Case, Exercise, Mistake, Property

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
_CONVOLUTIONS = {18: 2, 34: 2, 50: 3}


def _counted(depth: int) -> tuple[int, int]:
    blocks = sum(_BLOCKS[depth])
    return 1 + _CONVOLUTIONS[depth] * blocks, 1 + blocks


def _miscounted(depth: int, pair) -> str:
    """What is wrong with the two numbers of a depth; "" if nothing."""
    (all_of_them, on_skip_path), blocks = _counted(depth), sum(_BLOCKS[depth])
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return "Two numbers are wanted for each depth: (all, on the skip path)."
    if tuple(pair) == (on_skip_path, all_of_them):
        return "The two numbers stand in the other order: first all, then those on the skip path."
    found = {
        all_of_them - 1: "The stem has a threshold, too, before the first block.",
        depth: "There is no threshold behind the last layer: what comes out of it are the scores of the classes.",
        1 + 2 * blocks: "A block of this depth is a bottleneck: it has three convolutions.",
        all_of_them + (4 if depth == 50 else 3): "The 1 x 1 convolutions on the skip path have batch norm and no ReLU.",
        all_of_them: "",
    }
    amiss = {
        4: "Every block has a sum with a threshold behind it, not only every stage.",
        5: "Every block has a sum with a threshold behind it, not only every stage.",
        all_of_them: "Not all of them cut the stream: those between two convolutions of a block stand in its branch.",
        all_of_them - on_skip_path: "Those are the thresholds in the branches: the others cut the skip path.",
        on_skip_path - 1: "The stem's threshold counts: all that is on the stream has passed it.",
        on_skip_path: "",
    }
    return found.get(pair[0], "How many convolutions has a block, and how many blocks are there in all stages?") or (
        amiss.get(pair[1], "How many sums are there, and what stands behind each?")
    )


def _wrong_count(counted) -> str:
    if not isinstance(counted, dict) or set(counted) != set(_BLOCKS):
        return "It is to be a dictionary with the keys 18, 34 and 50."
    given = {depth: pair[1] for depth, pair in counted.items() if isinstance(pair, tuple | list) and len(pair) == 2}
    if given == {depth: _counted(depth)[0] - _counted(depth)[1] for depth in _BLOCKS}:
        return "The second numbers are the thresholds in the branches: count those that cut the stream."
    hints = ((depth, _miscounted(depth, pair)) for depth, pair in counted.items())
    return next((f"Depth {depth}: {hint}" for depth, hint in hints if hint), "")


def _count_cases():
    yield Case("three depths", expected=Property("for each depth (all, on the skip path)", _wrong_count))


_COUNT = Exercise(
    notebook="07",
    title="count the thresholds",
    goal="know where the thresholds of a residual network stand.",
    difficulty="easy",
    minutes=5,
    reference={depth: _counted(depth) for depth in _BLOCKS},
    name="thresholds_counted",
    code="""blocks = {18: 2 + 2 + 2 + 2, 34: 3 + 4 + 6 + 3, 50: 3 + 4 + 6 + 3}
in_a_block = {18: 2, 34: 2, 50: 3}
thresholds_counted = {depth: (1 + in_a_block[depth] * blocks[depth], 1 + blocks[depth]) for depth in blocks}""",
    blank="{18: None, 34: None, 50: None}  # depth: (all, on the skip path)",
    cases=_count_cases,
    mistakes=(),
    hints=(
        "What stands behind each convolution of a block in the left-hand figure, and which of these cuts the stream?",
        "A block has as many thresholds as convolutions, the last of them behind the sum. The stem has one more.",
    ),
    explanation=(
        "All are 17, 33 and 49: the depth minus 1, one for each layer with weights but the last (and but the 1 x 1 "
        "convolutions on the skip path, which the depth does not count). On the skip path are 9, 17 and 17."
    ),
)


_BECOMES = {
    "no skip path": "smaller",
    "no threshold behind the sum": "larger",
    "window |z| <= 2 instead of 1": "larger",
    "weights of both convolutions 10 times as large": "the same",
    "32 maps instead of 16": "the same",
}
_NOT_SO = {
    ("no skip path", "larger"): "The skip path only adds: at the sum the gradient goes both ways.",
    ("no skip path", "the same"): "The branch alone multiplies by a; with the skip path it is 1 + a.",
    ("no threshold behind the sum", "smaller"): "A threshold with a window never sends back more than it was given.",
    ("no threshold behind the sum", "the same"): "This threshold shuts out about half of the mean square.",
    ("window |z| <= 2 instead of 1", "smaller"): "A wider window lets more pre-activations pass their gradient.",
    (
        "window |z| <= 2 instead of 1",
        "the same",
    ): "Normal variables between 1 and 2 in size are not rare, and pass now.",
    ("weights of both convolutions 10 times as large", "larger"): (
        "On its way back the gradient meets batch norm before the large weights: what is it divided by there?"
    ),
    ("weights of both convolutions 10 times as large", "smaller"): (
        "Batch norm divides by a standard deviation 10 times as large; what does the gradient meet next?"
    ),
    ("32 maps instead of 16", "larger"): (
        "Twice as many maps send gradient, but batch norm makes the sum of all have variance 1: each weighs less."
    ),
    ("32 maps instead of 16", "smaller"): "Where does the number of maps stand in the rules of the theory?",
}


def _wrong_becomes(answer) -> str:
    if not isinstance(answer, dict) or set(answer) != set(_BECOMES):
        return "Leave the keys as they are, and put one of the three answers behind each."
    for change, truth in _BECOMES.items():
        said = " ".join(str(answer[change]).lower().split())
        said = "the same" if said == "same" else said
        if said != truth:
            return f"{change}: {_NOT_SO.get((change, said), 'one of smaller, the same and larger, please.')}"
    return ""


def _becomes_cases():
    yield Case("five changes", expected=Property("what the rules of the theory say of each change", _wrong_becomes))


_PREDICTED = Exercise(
    notebook="07",
    title="predict what the factor becomes",
    goal="use the rules of the theory before you measure.",
    difficulty="easy",
    minutes=5,
    reference=_BECOMES,
    name="factor_becomes",
    code="factor_becomes = {\n" + "".join(f'    "{key}": "{value}",\n' for key, value in _BECOMES.items()) + "}",
    blank="{\n" + "".join(f'    "{key}": None,\n' for key in _BECOMES) + '}  # "smaller", "the same" or "larger"',
    cases=_becomes_cases,
    mistakes=(),
    hints=(
        "Which letters of the rule P(|x + B| <= 1) (1 + a) does each change touch?",
        "For the last two: batch norm divides its input by a standard deviation, and the gradient on its way back.",
    ),
    explanation=(
        "Without a skip path the 1 of 1 + a is gone; without the threshold behind the sum P(|x + B| <= 1), which "
        "made everything smaller, is gone; a wider window lets more through in both places. Batch norm divides by the "
        "standard deviation of the sums, forward and backward, and so takes back every factor that all weights have in "
        "common. And the number of maps stands in no rule."
    ),
)


def factor_per_block(sizes: np.ndarray, first: int, last: int) -> float:
    """The factor by which one block multiplies the size of the gradient on its way down.

    sizes: of the gradient, shape (seeds, places), all > 0; place 0 is behind the stem, place b behind block b.
    first, last: two places, first < last. Returns the geometric mean over the blocks between them and over the seeds.
    """
    logs = np.log(sizes[:, first]) - np.log(sizes[:, last])
    return float(np.exp(logs.mean() / (last - first)))


def _factor_cases():
    halved = np.array([[0.125, 0.25, 0.5, 1.0]])
    yield Case("each block halves it", (halved, 0, 3))
    yield Case("a single block", (halved, 1, 2))
    yield Case("another factor outside of the stretch", (np.array([[9.0, 0.09, 0.3, 1.0, 7.0]]), 1, 3))
    yield Case("it grows on its way down", (np.array([[27.0, 9.0, 3.0, 1.0]]), 0, 3))
    yield Case("two seeds, factors 1/2 and 1/8", (np.array([[0.25, 0.5, 1.0], [1 / 64, 1 / 8, 1.0]]), 0, 2))
    sizes = np.exp(np.random.default_rng(0).normal(size=(5, 9)))
    yield Case("five seeds, nine places", (sizes, 2, 7))


def _factors(sizes, first, last):
    return (sizes[:, first] / sizes[:, last]) ** (1 / (last - first))


def _fitted(sizes, first, last):
    places = np.arange(first, last + 1)
    return np.exp(-np.polyfit(places, np.log(sizes[:, first : last + 1]).T, 1)[0].mean())


_FACTOR = Exercise(
    notebook="07",
    title="read the factor off a curve",
    goal="get one number per block out of a curve on a logarithmic scale.",
    difficulty="easy",
    minutes=10,
    reference=factor_per_block,
    cases=_factor_cases,
    mistakes=(
        Mistake(
            "upside down",
            lambda sizes, first, last: 1 / np.exp(np.log(_factors(sizes, first, last)).mean()),
            "The gradient travels from the last place to the first: which of the two sizes is the later one?",
        ),
        Mistake(
            "places counted instead of blocks",
            lambda sizes, first, last: np.exp(np.log(sizes[:, first] / sizes[:, last]).mean() / (last - first + 1)),
            "Off by one: between place 1 and place 2 there is one block.",
        ),
        Mistake(
            "last place cut off",
            lambda sizes, first, last: (
                np.exp(np.log(_factors(sizes, first, last - 1)).mean()) if last - first > 1 else np.nan
            ),
            "A slice [first:last] ends before `last`, so that the uppermost block is missing.",
        ),
        Mistake(
            "divided by all places",
            lambda sizes, first, last: np.exp(np.log(sizes[:, first] / sizes[:, last]).mean() / sizes.shape[1]),
            "That is divided by the number of all places: only the blocks between `first` and `last` count.",
        ),
        Mistake(
            "divided by all blocks",
            lambda sizes, first, last: np.exp(np.log(sizes[:, first] / sizes[:, last]).mean() / (sizes.shape[1] - 1)),
            "That is divided by the number of all blocks: only those between `first` and `last` count.",
        ),
        Mistake(
            "root forgotten",
            lambda sizes, first, last: np.exp(np.log(sizes[:, first] / sizes[:, last]).mean()),
            "That is what all blocks between the two places do together; n equal factors f make f ** n.",
        ),
        Mistake(
            "divided instead of a root",
            lambda sizes, first, last: (sizes[:, first] / sizes[:, last]).mean() / (last - first),
            "The factors of n blocks are multiplied, not added: take the n-th root, do not divide by n.",
        ),
        Mistake(
            "last size taken for 1",
            lambda sizes, first, last: np.exp(np.log(sizes[:, first]).mean() / (last - first)),
            "The size at `last` need not be 1: divide by it.",
        ),
        Mistake(
            "whole chain",
            lambda sizes, first, last: np.exp(np.log(_factors(sizes, 0, sizes.shape[1] - 1)).mean()),
            "That is the whole chain, from the first place to the last: use `first` and `last`.",
        ),
        Mistake(
            "arithmetic mean over seeds",
            lambda sizes, first, last: _factors(sizes, first, last).mean(),
            "One seed's factor is right; over seeds, too, the geometric mean is wanted: multiply, then take the root.",
        ),
        Mistake(
            "sizes averaged over seeds",
            lambda sizes, first, last: _factors(sizes.mean(axis=0, keepdims=True), first, last)[0],
            "The sizes were averaged before anything else, so that the largest seeds count most: average logarithms.",
        ),
        Mistake(
            "ratios averaged over seeds",
            lambda sizes, first, last: (sizes[:, first] / sizes[:, last]).mean() ** (1 / (last - first)),
            "The ratios were averaged over the seeds before the root was taken: average their logarithms.",
        ),
        Mistake(
            "seeds multiplied",
            lambda sizes, first, last: np.exp(np.log(_factors(sizes, first, last)).sum()),
            "One seed is right; of several seeds the factors were multiplied, and the root is missing.",
        ),
        Mistake(
            "arithmetic mean over blocks",
            lambda sizes, first, last: (sizes[:, first:last] / sizes[:, first + 1 : last + 1]).mean(),
            "An arithmetic mean of the single factors is no factor of the whole: 1/2 and 2 make 1 together, not 1.25.",
        ),
        Mistake(
            "logarithm not undone",
            lambda sizes, first, last: np.log(_factors(sizes, first, last)).mean(),
            "That is the logarithm of the factor.",
        ),
        Mistake(
            "logarithm to base 10 not undone",
            lambda sizes, first, last: np.log10(_factors(sizes, first, last)).mean(),
            "That is the factor's logarithm to base 10.",
        ),
        Mistake(
            "two logarithms mixed",
            lambda sizes, first, last: np.exp(np.log10(_factors(sizes, first, last)).mean()),
            "np.exp undoes np.log; np.log10 is undone by 10 ** x.",
        ),
        Mistake(
            "first seed only",
            lambda sizes, first, last: _factors(sizes, first, last)[0],
            "That is the first seed alone.",
        ),
        Mistake(
            "one factor for each seed",
            _factors,
            "These are the factors of the single seeds: take their geometric mean.",
        ),
        Mistake(
            "a fitted line",
            _fitted,
            "A fitted line weighs the places between. Multiply the single factors: all sizes but two cancel.",
        ),
    ),
    hints=(
        "From place `last` down to place `first` the gradient passes how many blocks?",
        "With n blocks and one seed it is (size at first / size at last) ** (1 / n).",
        "A geometric mean is the exponential of the mean of the logarithms.",
    ),
    explanation=(
        "The single factors multiply to sizes[first] / sizes[last]; everything between cancels. For signs with SSTE "
        "and thresholds on the skip path, places 4 to 20, it is 0.908 (the theory says 0.896), so that less than a "
        "thousandth of the gradient is left after 72 blocks. What makes it small is the threshold behind the sum: the "
        "branch only ever adds."
    ),
)


def window_factor(w: float) -> float:
    """The factor by which the paper's block with signs multiplies the size of a gradient, for the window |z| <= w.

    w: half the width of the window, a number >= 0: a sign sends back g where |z| <= w, else 0. Its branch holds one
    threshold, which sees a normal z with mean 0 and variance 1. The one behind the sum sees x + B: x is -1 or +1, B is
    normal like z. Returns the root of what multiplies the mean square, a number, right to two decimal places.
    """
    below = torch.special.ndtr(torch.tensor([w, -w, w - 1, -w - 1]))  # P(z <= each of them)
    branch = below[0] - below[1]
    behind_the_sum = below[2] - below[3]
    return torch.sqrt(behind_the_sum * (1 + branch)).item()


def _normal(w, mean=0.0, sigma=1.0):
    """P(|z| <= w) of a normal z."""
    z = NormalDist(mean, sigma)
    return z.cdf(w) - z.cdf(-w)


_WINDOWS = {
    "That is the factor of the mean square: the size is its root.": lambda w: _normal(w, 1) * (1 + _normal(w)),
    "That is the branch alone: at the sum the gradient also goes down the skip path.": lambda w: math.sqrt(_normal(w)),
    "The branch and the threshold behind the sum: what goes down the skip path is missing.": lambda w: math.sqrt(
        _normal(w) * _normal(w, 1)
    ),
    "That is a real skip path: the threshold behind the sum stands in front of all of it.": lambda w: math.sqrt(
        1 + _normal(w)
    ),
    "The threshold behind the sum is right; the branch adds to what goes down the skip path.": lambda w: math.sqrt(
        _normal(w, 1)
    ),
    "x + B has variance 2, but is not normal: x is -1 or +1. Take both cases apart.": lambda w: math.sqrt(
        _normal(w, 0, 2**0.5) * (1 + _normal(w))
    ),
    "A variance of 2 is a standard deviation of 1.41. But x + B is not normal: x is -1 or +1.": lambda w: math.sqrt(
        _normal(w, 0, 2) * (1 + _normal(w))
    ),
    "The threshold behind the sum does not see B alone: there is x, too.": lambda w: math.sqrt(
        _normal(w) * (1 + _normal(w))
    ),
    "The branch holds one threshold only: the other one stands behind the sum.": lambda w: math.sqrt(
        _normal(w, 1) * (1 + _normal(w) ** 2)
    ),
    "The threshold in the branch sees a normal z, without x.": lambda w: math.sqrt(_normal(w, 1) * (1 + _normal(w, 1))),
    "At the sum mean squares add, not sizes: take the root at the very end.": lambda w: (
        math.sqrt(_normal(w, 1)) * (1 + math.sqrt(_normal(w)))
    ),
    "A window has two sides: P(z <= w) also counts everything below -w.": lambda w: math.sqrt(
        NormalDist().cdf(w - 1) * (1 + NormalDist().cdf(w))
    ),
    "A window has two sides, behind the sum, too: P(B <= w - 1) also counts B below -w - 1.": lambda w: math.sqrt(
        NormalDist().cdf(w - 1) * (1 + _normal(w))
    ),
    "A window has two sides, in the branch, too: P(z <= w) also counts z below -w.": lambda w: math.sqrt(
        _normal(w, 1) * (1 + NormalDist().cdf(w))
    ),
    "x is -1 or +1 with probability 1/2 each: take the mean of the two cases, not their sum.": lambda w: math.sqrt(
        2 * _normal(w, 1) * (1 + _normal(w))
    ),
    "With x = 1, |x + B| <= w is no window around 0 for B: it reaches from -w - 1 to w - 1.": lambda w: math.sqrt(
        max(0, _normal(w - 1)) * (1 + _normal(w))
    ),
    "The root is to be taken of the whole product, not of one factor.": lambda w: (
        _normal(w, 1) * math.sqrt(1 + _normal(w))
    ),
    "The threshold behind the sum stands in front of the skip path, too, not only of the branch.": lambda w: math.sqrt(
        1 + _normal(w, 1) * _normal(w)
    ),
    "That is the number for w = 1: put w into both integrals.": lambda w: math.sqrt(_normal(1, 1) * (1 + _normal(1))),
    "The threshold behind the sum has the window w, too.": lambda w: math.sqrt(_normal(1, 1) * (1 + _normal(w))),
    "The threshold in the branch has the window w, too.": lambda w: math.sqrt(_normal(w, 1) * (1 + _normal(1))),
}


def _wrong_factor(w: float):
    def wrong(factor) -> str:
        try:
            factor = float(factor)
        except (TypeError, ValueError):
            return "It is to be one number."
        if math.isclose(factor, window_factor(w), abs_tol=4e-3):
            return ""
        hint, does = min(_WINDOWS.items(), key=lambda known: abs(factor - known[1](w)))
        if math.isclose(factor, does(w), abs_tol=1e-3):
            return hint
        return "Write down two probabilities first: that of the branch's window, and that behind the sum."

    return wrong


def _window_cases():
    for w, about in ((1.0, "SSTE"), (0.5, "a narrow window"), (2.0, "a wide one"), (1000.0, "all passes, as with STE")):
        text = f"{window_factor(w):.3f}, to two decimal places"
        yield Case(f"w = {w:g}: {about}", (w,), Property(text, _wrong_factor(w)))
    yield Case("w = 0: nothing passes", (0.0,), Property("0", _wrong_factor(0.0)))


_WINDOW = Exercise(
    notebook="07",
    title="a block's factor for any window",
    goal="turn the rules of the theory into a function.",
    difficulty="middling",
    minutes=15,
    reference=window_factor,
    cases=_window_cases,
    mistakes=(),
    hints=(
        "Follow a gradient down: first the threshold behind the sum, then skip path and branch side by side.",
        "`torch.special.ndtr(a)` is P(z <= a) for a tensor a. P(|z| <= w) is that for w minus that for -w.",
        "Behind the sum, say x = +1: |1 + B| <= w means -w - 1 <= B <= w - 1. For x = -1 it is as probable.",
    ),
    explanation=(
        "The mean square is multiplied by P(|x + B| <= w) first, and then by 1 + P(|z| <= w): skip path and branch. "
        "For SSTE that is 0.477 (1 + 0.683), with the root 0.896; for STE it is 2, with the root 1.414: the gradient "
        "explodes. Both signs of x give the same integral, so one will do."
    ),
)

EXERCISES = (_COUNT, _PREDICTED, _FACTOR, _WINDOW)
