"""The exercises of notebook 06, second half: the sum form as one loss, and networks that round."""

import torch
from torch import Tensor

from ..losses import Loss
from .card import Case, Exercise, Mistake, Property


def shift_and_stretch(k: int) -> tuple[float, float]:
    """The numbers a and b that make a rounding quantiser of the staircase: staircase(a z + b) = rounding(z).

    k: the number of steps of both, 2 or more. Returns (a, b). It holds for every z but those right at a threshold.
    """
    return k / (k - 1), -1 / (2 * (k - 1))


def _shift_cases():
    for k in (3, 2, 5, 4, 17):
        yield Case(f"k = {k}: a and b", (k,))


_SHIFT = Exercise(
    notebook="06",
    title="rounding is a staircase",
    goal="see that the two quantisers differ only by a shift and a stretch of z.",
    difficulty="middling",
    minutes=10,
    reference=shift_and_stretch,
    cases=_shift_cases,
    mistakes=(
        Mistake(
            "the other way round",
            lambda k: ((k - 1) / k, 1 / (2 * k)),
            "These make a staircase of rounding: rounding(a z + b) = staircase(z). The other direction is asked for.",
        ),
        Mistake(
            "sign of b",
            lambda k: (k / (k - 1), 1 / (2 * (k - 1))),
            "a is right. Rounding jumps first at z = 1/(2k), the staircase at 0: to which side must a z be moved?",
        ),
        Mistake(
            "shifted before it is stretched",
            lambda k: (k / (k - 1), -1 / (2 * k)),
            "a is right. b stands outside: z - 1/(2k) is stretched as a whole, so what is left of it behind a z?",
        ),
        Mistake(
            "shifted twice as far",
            lambda k: (k / (k - 1), -1 / (k - 1)),
            "a is right, b twice too large: rounding jumps first at *half* a level.",
        ),
        Mistake(
            "not shifted",
            lambda k: (k / (k - 1), 0),
            "a is right. But a z + 0 is 0 for z = 0, where rounding does not jump: what is missing?",
        ),
        Mistake(
            "not stretched",
            lambda k: (1, -1 / (2 * k)),
            "That fits the first jump alone: thresholds of the staircase are 1/(k - 1) apart, those of rounding 1/k.",
        ),
        Mistake(
            "levels counted as thresholds",
            lambda k: ((k + 1) / k, -1 / (2 * k)),
            "There are k + 1 levels, but k thresholds from 0 to 1, and so k - 1 gaps between them.",
        ),
        Mistake("(b, a)", lambda k: (-1 / (2 * (k - 1)), k / (k - 1)), "Both numbers are right: a comes first."),
        Mistake("nothing changed", lambda k: (1, 0), "With a = 1 and b = 0 the staircase stays as it is."),
    ),
    hints=(
        "At which z does rounding jump first, and at which last? To which thresholds must these two be mapped?",
        "Rounding jumps at (i + 1/2)/k, the staircase at i/(k - 1): i = 0 and i = k - 1 give two equations.",
        "a / (2k) + b = 0 and a (1 - 1/(2k)) + b = 1; subtract the first from the second.",
    ),
    explanation=(
        "The difference of the two equations is a (1 - 1/k) = 1, so a = k/(k - 1), and b = -a/(2k) = -1/(2 (k - 1)). "
        "Both have evenly spaced thresholds; two of them fix the rest. A bias, or the batch norm in front of a unit, "
        "can learn a and b, so a network of staircases can be whatever one of rounding quantisers can. They start "
        "differently, and SSTE's window [0, 1] becomes that from 1/(2k) to 1 - 1/(2k)."
    ),
)


def sum_as_one_loss(k: int) -> Loss:
    """The layer loss whose *single* form on a staircase of k steps is the *sum* of k saturated hinges.

    k: the number of steps, 2 or more. Returns a Loss("a name", value, derivative); both are functions of u = 2z - 1,
    any shape, and of the target t, -1 or +1. The single form sends derivative(2z - 1, t) |g| to z; it is to be the mean
    over i of s(z - i/(k - 1), t), times |g|, where s(v, t) is -t for -1 < t v <= 1, else 0. Borders do not matter, and
    a constant in the value does not either.
    """

    def margins(u, t):
        return [t * ((u + 1) / 2 - i / (k - 1)) for i in range(k)]

    def value(u, t):
        return 2 * sum(1 - m.clamp(-1, 1) for m in margins(u, t)) / k

    def derivative(u, t):
        return -t * sum(((m > -1) & (m <= 1)).to(u.dtype) for m in margins(u, t)) / k

    return Loss(f"{k} saturated hinges", value, derivative)


def _hinge(v, t):
    return -t * (v.abs() < 1).double()


def _sum_of(z, t, k, slope=_hinge, gap=None):
    return sum(slope(z - i / (gap or k - 1), t) for i in range(k)) / k


_NOT_THE_SUM = (  # other derivatives, as functions of z, t and k, and what is to be said to them
    (
        lambda z, t, k: _sum_of(2 * z - 1, t, k),
        "The loss is given u = 2z - 1, and the thresholds lie at i/(k - 1) in z: which z belongs to u?",
    ),
    (
        lambda z, t, k: _sum_of(2 * z - 0.5, t, k),
        "Half of 1 is added where half of u + 1 was meant: (u + 1)/2.",
    ),
    (
        lambda z, t, k: _sum_of(z - 1, t, k),
        "It is too far to the right: solve u = 2z - 1 for z once more, and try it at u = 1, where z is 1.",
    ),
    (
        lambda z, t, k: k * _sum_of(z, t, k),
        "It is the sum of the k hinges, and should be their mean: its area would grow with k.",
    ),
    (
        lambda z, t, k: _sum_of(z, t, k) / 2,
        "Half of it: the single form is already l(2z - 1, t) / 2, so its derivative in z has no factor 1/2 left.",
    ),
    (
        lambda z, t, k: 2 * _sum_of(z, t, k),
        "Twice of it: the factor 2 of the chain rule is already in the single form; it belongs to the value in u.",
    ),
    (
        lambda z, t, k: _sum_of(z, t, k, gap=k),
        "The thresholds are too close: k of them lie from 0 to 1, both ends included.",
    ),
    (
        lambda z, t, k: _hinge(2 * z - 1, t),
        "That is one saturated hinge over the whole staircase, which is SSTE. There is to be one at each threshold.",
    ),
    (
        lambda z, t, k: sum(_hinge(2 * (z - i / (k - 1)), t) for i in range(k)) / k,
        "The windows lie at the right places and are half as wide as they should be: 2 wide in z, so 4 in u.",
    ),
    (
        lambda z, t, k: _sum_of(z, t, k, lambda v, t: -t * (t * v < 1).double()),
        "That is a sum of plain hinges: the saturated one gives up where t v <= -1.",
    ),
    (
        lambda z, t, k: _sum_of(z, t, k, lambda v, t: -t * (1 - torch.tanh(v) ** 2)),
        "That is a sum of soft hinges; saturated ones are asked for.",
    ),
    (
        lambda z, t, k: -_sum_of(z, t, k).abs(),
        "For t = -1 it pushes the wrong way: the slope of each hinge is -t.",
    ),
    (lambda z, t, k: -_sum_of(z, t, k), "It has the opposite sign: the loss falls towards the target."),
    (
        lambda z, t, k: _sum_of(z, t, 3),
        "It is right for 3 steps, and here there are others: k is missing somewhere.",
    ),
)


def _sends_the_sum(k: int) -> Property:
    """The derivative must be that of the sum, and the value fit it, at points away from the borders of the windows."""
    z = (torch.linspace(-1.9, 2.9, 961, dtype=torch.float64) + 1.25e-3).repeat(2)
    t = torch.ones(961, dtype=torch.float64).repeat(2)
    t[961:] = -1
    u = 2 * z - 1

    def wrong(loss) -> str:
        if not isinstance(loss, Loss):
            return 'It is to return a Loss: Loss("a name", value, derivative), with two functions of u and t.'
        derivative = loss.derivative(u, t)
        if not _close(derivative, _sum_of(z, t, k)):
            hints = (hint for does, hint in _NOT_THE_SUM if _close(derivative, does(z, t, k)))
            return next(hints, "It is not the derivative of the sum: compute that by hand at u = 0, for k = 3, t = 1.")
        slope = (loss.value(u + 1e-3, t) - loss.value(u - 1e-3, t)) / 2e-3
        if _close(2 * slope, derivative):
            return "The derivative is right. The value's slope in u is half of it: z = (u + 1)/2 moves half as fast."
        return "" if _close(slope, derivative) else "The derivative is right, but the value has another slope in u."

    return Property("a Loss whose single form sends back what the sum sends back", wrong)


def _close(a, b) -> bool:
    return torch.allclose(a.double(), b.double(), atol=1e-4)


def _sum_cases():
    for k in (3, 2, 5):
        yield Case(f"{k} steps, both targets, z from -1.9 to 2.9", (k,), _sends_the_sum(k))


_SUM = Exercise(
    notebook="06",
    title="the sum is one loss, too",
    goal="write the sum form as a layer loss of your own.",
    difficulty="harder",
    minutes=15,
    reference=sum_as_one_loss,
    cases=_sum_cases,
    mistakes=(),
    hints=(
        "Begin with the derivative. Its argument is u, the thresholds lie in z: what is z, written with u?",
        'z = (u + 1)/2. `ftpkit.LOSSES["SaturatedHinge"]` has `value(v, t)` and `derivative(v, t)`: v = z - i/(k - 1).',
        "`derivative` is the mean of the hinges' derivatives; `value` is twice the mean of their values.",
    ),
    explanation=(
        "The single form is l(2z - 1, t)/2, with the derivative l'(2z - 1, t): so l' is the sum form's mean, written "
        "with z = (u + 1)/2. Its integral over u is twice that over z, hence the 2 in the value. A sum over steps is "
        "nothing new, then: one more layer loss, but one that knows k."
    ),
    by_hand=False,
)


def rounded_scores(x: Tensor, layers: list[tuple[Tensor, Tensor]], k: int) -> Tensor:
    """The class scores of a trained network whose hidden units are rounded, each to the nearest of k + 1 levels.

    x: images, shape (batch, inputs). layers: pairs (W, b) from the first to the last, W of shape (outputs, inputs of
    this layer), b of shape (outputs,); any number of them. k: steps, so the levels are 0, 1/k, ..., 1. A hidden unit
    gives the level that is nearest to clamp(z, 0, 1); images, weights and the last layer's scores are not rounded.
    Returns the scores, shape (batch, classes).
    """
    *hidden, (W, b) = layers
    h = x
    for V, c in hidden:
        z = h @ V.T + c
        h = (z.clamp(0, 1) * k).round() / k
    return h @ W.T + b


def _score_cases():
    W, b = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 2.0]]), torch.tensor([0.0, 0.1, 0.55])
    V, c = torch.tensor([[1.0, 1.0, 0.0], [0.0, -1.0, 2.0]]), torch.tensor([0.05, -0.4])
    yield Case("one image, one hidden layer, 3 steps", (torch.tensor([[0.2, 0.3]]), [(W, b), (V, c)], 3))
    yield Case("hidden units beyond 0 and 1", (torch.tensor([[-0.8, 1.9], [1.3, -0.4]]), [(W, b), (V, c)], 2))
    generator = torch.Generator().manual_seed(0)
    sizes = (5, 7, 6, 4)
    deep = [
        (torch.randn(n, m, generator=generator) / 2, torch.randn(n, generator=generator) / 2)
        for m, n in zip(sizes, sizes[1:], strict=False)
    ]
    x = torch.rand(3, 5, generator=generator)
    yield Case("three images, two hidden layers, 5 steps", (x, deep, 5))
    yield Case("the last layer alone: nothing is hidden", (x[:, :3], [(V, c)], 3))


def _round(z, k):
    return (z.clamp(0, 1) * k).round() / k


def _scores(x, layers, unit, last=lambda z: z, bias=1):
    for n, (W, b) in enumerate(layers, start=1):
        z = x @ W.T + bias * b
        x = last(z) if n == len(layers) else unit(z)
    return x


_ROUNDED = Exercise(
    notebook="06",
    title="round a network that is trained",
    goal="tell rounding a finished network from training a coarse one.",
    difficulty="harder",
    minutes=15,
    reference=rounded_scores,
    cases=_score_cases,
    mistakes=(
        Mistake(
            "scores rounded",
            lambda x, layers, k: _scores(x, layers, lambda z: _round(z, k), last=lambda z: _round(z, k)),
            "The last layer has no units to round: its scores stay as they are.",
        ),
        Mistake(
            "last layer left out",
            lambda x, layers, k: _scores(x, layers[:-1], lambda z: _round(z, k), last=lambda z: _round(z, k)),
            "These are the outputs of the last hidden layer: the scores need one more layer, without rounding.",
        ),
        Mistake(
            "images rounded",
            lambda x, layers, k: _scores(_round(x, k), layers, lambda z: _round(z, k)),
            "The images are rounded as well: rounding comes behind a hidden layer, not before it.",
        ),
        Mistake(
            "bias forgotten",
            lambda x, layers, k: _scores(x, layers, lambda z: _round(z, k), bias=0),
            "Each layer is a pair (W, b): where does b come in?",
        ),
        Mistake(
            "not rounded",
            lambda x, layers, k: _scores(x, layers, lambda z: z.clamp(0, 1)),
            "That is the network as it was trained, with saturated ReLUs: nothing is rounded yet.",
        ),
        Mistake(
            "clamp forgotten",
            lambda x, layers, k: _scores(x, layers, lambda z: (z * k).round() / k),
            "Some units give less than 0 or more than 1: there are only k + 1 levels.",
        ),
        Mistake(
            "no upper end",
            lambda x, layers, k: _scores(x, layers, lambda z: (z.clamp(min=0) * k).round() / k),
            "Some units give more than 1: these units are saturated ReLUs, not ReLUs.",
        ),
        Mistake(
            "levels 0 to k",
            lambda x, layers, k: _scores(x, layers, lambda z: (z.clamp(0, 1) * k).round()),
            "The units give whole numbers from 0 to k: the top level is to be 1.",
        ),
        Mistake(
            "staircase",
            lambda x, layers, k: _scores(x, layers, lambda z: (z * (k - 1)).ceil().clamp(0, k) / k),
            "That is the paper's staircase: its output is not the nearest level.",
        ),
        Mistake(
            "rounded down",
            lambda x, layers, k: _scores(x, layers, lambda z: (z.clamp(0, 1) * k).floor() / k),
            "Your units take the next level below: the nearest one may lie above.",
        ),
        Mistake(
            "k levels",
            lambda x, layers, k: _scores(x, layers, lambda z: _round(z, k - 1)),
            "These are k levels: k steps have k + 1, which are 1/k apart.",
        ),
        Mistake(
            "k + 2 levels",
            lambda x, layers, k: _scores(x, layers, lambda z: _round(z, k + 1)),
            "These are k + 2 levels: k is the number of steps already, and the levels are 1/k apart.",
        ),
        Mistake(
            "classes instead of scores",
            lambda x, layers, k: _scores(x, layers, lambda z: _round(z, k)).argmax(dim=1),
            "The classes come from the scores; the scores themselves are asked for.",
        ),
    ),
    hints=(
        "One hidden layer at a time: z from W and b, then the rounding, then the next. What is different in the last?",
        "`h @ W.T + b` is z for a whole batch. Rounding to the nearest level: clamp, times k, `round`, divided by k.",
        "`for W, b in layers[:-1]: h = ((h @ W.T + b).clamp(0, 1) * k).round() / k`; the last layer without rounding.",
    ),
    explanation=(
        "Only what hidden units pass on is rounded. Between two levels, right in the middle, either is as near; that "
        "concerns single numbers. This is quantising *after* training: the weights do not know of it. The table "
        "below shows what it costs."
    ),
)

EXERCISES = (_SHIFT, _SUM, _ROUNDED)
