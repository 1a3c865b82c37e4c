"""The exercises of notebook 04, last part: a rule without weights, and a layer that is used several times."""

from collections.abc import Callable

import torch
from torch import Tensor

from .card import Case, Exercise, Mistake
from .minibatch import hinge, soft_hinge


def matching_scale(z: Tensor, g: Tensor) -> float:
    """The scale with which the hinge without weights sends as much to z as the hinge with weights.

    z: pre-activations, any shape. g: the gradient that arrives at the outputs, of z's shape. The hinge has the
    derivative -t where t z <= 1, else 0; it is multiplied by abs(g) with weights, and by the scale without. Targets are
    those of eq. 2, with t = 0 where g is 0. Returns the number that makes the two sums alike, over all units and
    examples, of what is sent in absolute value. At least one unit sends something.
    """
    t = -torch.sign(g)
    sends = (t * z <= 1) & (t != 0)
    return g.abs()[sends].mean().item()


def _scale_cases():
    yield Case("four units, targets of +1", (torch.tensor([-2.0, -0.5, 0.5, 2.0]), -torch.tensor([1.0, 2.0, 3.0, 4.0])))
    yield Case("the same, targets of -1", (torch.tensor([-2.0, -0.5, 0.5, 2.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])))
    z, g = torch.tensor([0.5, -3.0, 3.0, 0.5, -3.0]), torch.tensor([0.0, 0.0, 0.0, 0.25, 0.75])
    yield Case("three gradients of 0", (z, g))
    yield Case("exactly at the kink", (torch.tensor([1.0, -1.0, 0.0]), torch.tensor([-3.0, 5.0, -1.0])))
    generator = torch.Generator().manual_seed(6)
    z, g = 2 * torch.randn(3, 5, generator=generator), 0.01 * torch.randn(3, 5, generator=generator)
    yield Case("a mini-batch of 3 examples and 5 units", (z, g * (torch.arange(5) != 2)))


def _mean_where(sends):
    """The mean of abs(g) where sends(z, g, t) says so."""
    return lambda z, g: g.abs()[sends(z, g, -torch.sign(g))].mean().item()


def _each(row):
    z, g = (part.reshape(-1) for part in row)
    sends = (-torch.sign(g) * z <= 1) & (g != 0)
    return g.abs()[sends].sum().item() / max(int(sends.sum()), 1)


def _sum_where(z, g):
    return g.abs()[(-torch.sign(g) * z <= 1)].sum()


_SCALE = Exercise(
    notebook="04",
    title="a rule without weights, and its scale",
    goal="understand what the weight of eq. 3 does.",
    difficulty="middling",
    minutes=10,
    reference=matching_scale,
    cases=_scale_cases,
    mistakes=(
        Mistake(
            "mask forgotten",
            _mean_where(lambda z, g, t: t * z <= 1),
            "Where g is 0 the target is 0, and t z = 0 is smaller than 1. Does such a unit send the scale?",
        ),
        Mistake(
            "target of 0 treated as -1",
            _mean_where(lambda z, g, t: torch.where(t == 0, -1, t) * z <= 1),
            "Where g is 0 the target is 0, not -1: such a unit sends nothing.",
        ),
        Mistake(
            "target of 0 treated as +1",
            _mean_where(lambda z, g, t: torch.where(t == 0, 1, t) * z <= 1),
            "Where g is 0 the target is 0, not +1: such a unit sends nothing.",
        ),
        Mistake(
            "mean over all",
            _mean_where(lambda z, g, t: t == t),
            "That is the mean over all units. Some of them send nothing, with weights and without.",
        ),
        Mistake(
            "mean over all that have a target",
            _mean_where(lambda z, g, t: t != 0),
            "Units with a target of 0 are left out, and rightly. Where else is the hinge's derivative 0?",
        ),
        Mistake(
            "sum over few, mean over all",
            lambda z, g: _sum_where(z, g).item() / z.numel(),
            "The sum is right. Of how many units is it the sum, and how many send the scale?",
        ),
        Mistake(
            "sum",
            lambda z, g: _sum_where(z, g).item(),
            "That is what all units send together, with weights. Without weights: how many send the scale?",
        ),
        Mistake(
            "target uphill",
            _mean_where(lambda z, g, t: (-t * z <= 1) & (t != 0)),
            "The wrong units send: look at the sign in eq. 2.",
        ),
        Mistake(
            "t forgotten",
            _mean_where(lambda z, g, t: (z <= 1) & (t != 0)),
            "Right for targets of +1. The hinge looks at the margin t z, not at z.",
        ),
        Mistake(
            "margin on the wrong side",
            _mean_where(lambda z, g, t: t * z >= 1),
            "These are the units that the hinge leaves alone, since their margin is large enough.",
        ),
        Mistake(
            "kink open",
            _mean_where(lambda z, g, t: (t * z < 1) & (t != 0)),
            "Only the kink is wrong: at t z = 1 the derivative of this hinge is -t.",
        ),
        Mistake(
            "window of SSTE",
            _mean_where(lambda z, g, t: (z.abs() <= 1) & (t != 0)),
            "That is the window of SSTE. The hinge does not give up a unit that is far on the wrong side.",
        ),
        Mistake(
            "flips only",
            _mean_where(lambda z, g, t: (t * z <= 0) & (t != 0)),
            "These are the units that are to flip. The hinge also moves those on the right side, up to a margin of 1.",
        ),
        Mistake(
            "mean of means",
            lambda z, g: torch.stack([torch.tensor(_each(row)) for row in zip(z, g, strict=True)]).mean().item(),
            "That is a mean for each example, and then the mean of those. All that send something count alike.",
        ),
        Mistake(
            "share",
            lambda z, g: ((-torch.sign(g) * z <= 1) & (g != 0)).float().mean().item(),
            "That is the share of units that send something. How much do they send with weights?",
        ),
        Mistake(
            "sign kept",
            lambda z, g: g[(-torch.sign(g) * z <= 1) & (g != 0)].mean().item(),
            "What is sent up and what is sent down cancel: the sums are over absolute values.",
        ),
        Mistake(
            "upside down",
            lambda z, g: 1 / matching_scale(z, g),
            "The fraction is upside down: which scale times the number of units gives the weighted sum?",
        ),
        Mistake(
            "one over the batch",
            lambda z, g: 1 / len(z),
            "That is the kit's default, 1 / batch. The matching scale depends on how large g is.",
        ),
        Mistake(
            "lengths alike",
            lambda z, g: g[(-torch.sign(g) * z <= 1) & (g != 0)].square().mean().sqrt().item(),
            "That makes the lengths alike, the roots of the sums of squares. Sums of absolute values are wanted.",
        ),
    ),
    hints=(
        "The hinge with weights sends abs(g) where t z <= 1 and t is not 0. What does the one without send there?",
        "With n units that send something: scale times n = sum of abs(g) over those units.",
        "`sends = (t * z <= 1) & (t != 0)`, and then a mean.",
    ),
    explanation=(
        "The scale is the mean weight of those units that send something. A target of 0 must be masked by hand as soon "
        "as the weight is gone: with it, abs(g) = 0 did that. With plain SGD a scale that is too large means steps "
        "that are too long; Adam, which divides by the size of the gradient, hardly notices a constant factor. What "
        "stays different is that a unit that matters little counts as much as one that matters much."
    ),
)


def tied_gradient(W: Tensor, h: Tensor, g: Tensor, uses: int, derivative: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The gradient of a layer of sign units that is used several times, by Algorithm 2.

    W: weights, (units, units), no bias. h: what the first use sees, (batch, units). Each use takes the outputs of the
    one before: z = h W^T, then h = sign(z), with sign(0) = -1. g: the gradient that arrives at the outputs of the last
    use, (batch, units). uses: how many, 1 or more. derivative: that of the layer loss, derivative(z, t). Returns dL/dW
    of all uses together, of W's shape.
    """
    H, Z = [h], []
    for _ in range(uses):
        Z.append(H[-1] @ W.T)
        H.append(torch.where(Z[-1] > 0, 1.0, -1.0))
    dW = torch.zeros_like(W)
    for k in reversed(range(uses)):
        dL_dz = derivative(Z[k], -torch.sign(g)) * g.abs()
        dW += dL_dz.T @ H[k]
        g = dL_dz @ W
    return dW


def _tied_cases():
    W, h, g = torch.tensor([[0.5, -0.25], [1.0, 0.75]]), torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, -2.0]])
    yield Case("one example, one use", (W, h, g, 1, hinge))
    yield Case("the same with two uses", (W, h, g, 2, hinge))
    W = torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    yield Case("z is 0 here and there", (W, torch.tensor([[1.0, 1.0]]), torch.tensor([[-0.5, 1.0]]), 3, soft_hinge))
    generator = torch.Generator().manual_seed(8)
    W, h = torch.randn(4, 4, generator=generator), torch.randn(5, 4, generator=generator).sign()
    g = torch.randn(5, 4, generator=generator)
    yield Case("a mini-batch of 5, four units, a gradient of 0", (W, h, g * (g.abs() > 0.1), 4, soft_hinge))


def _forward(W, h, uses, at_0=-1.0):
    H, Z = [h], []
    for _ in range(uses):
        Z.append(H[-1] @ W.T)
        H.append(torch.where(Z[-1] == 0, at_0, torch.sign(Z[-1])))
    return H, Z


def _of_each_use(
    W,
    h,
    g,
    uses,
    derivative,
    at_0=-1.0,
    goes_on=lambda g, dL_dz, W: dL_dz @ W,
    seen=lambda H, k: H[k],
    weight=torch.abs,
    target=lambda g, last: g,
    at=lambda Z, k: Z[k],
):
    """What each use adds to dL/dW, the last use first; with mistakes on the way, where the settings say so.

    at_0: sign(0). goes_on: the g of the use before. seen: what use k takes for its inputs. weight: that of eq. 3.
    target: the gradient whose sign makes the targets, from that of this use and of the last. at: where the derivative
    is taken.
    """
    H, Z = _forward(W, h, uses, at_0)
    parts, last = [], g
    for k in reversed(range(uses)):
        dL_dz = derivative(at(Z, k), -torch.sign(target(g, last))) * weight(g)
        parts.append(dL_dz.T @ seen(H, k))
        g = goes_on(g, dL_dz, W)
    return parts


def _front_to_back(W, h, g, uses, derivative):
    dW = torch.zeros_like(W)
    for seen, z in zip(*_forward(W, h, uses), strict=False):
        dL_dz = derivative(z, -torch.sign(g)) * g.abs()
        dW, g = dW + dL_dz.T @ seen, dL_dz @ W
    return dW


def _added(**mistakes):
    return lambda *inputs: sum(_of_each_use(*inputs, **mistakes))


def _picked(pick):
    return lambda *inputs: pick(_of_each_use(*inputs))


def _with_loss(changed):
    return lambda W, h, g, uses, derivative: sum(_of_each_use(W, h, g, uses, changed(derivative)))


_TIED = Exercise(
    notebook="04",
    title="one layer, used several times",
    goal="see why gradients are added, and write all of Algorithm 2 for it.",
    difficulty="harder",
    minutes=15,
    reference=tied_gradient,
    cases=_tied_cases,
    mistakes=(
        Mistake(
            "gradient overwritten",
            _picked(lambda parts: parts[-1]),
            "Only the first use is in it, which the backward loop reaches last: what became of the others?",
        ),
        Mistake(
            "last use only",
            _picked(lambda parts: parts[0]),
            "Only the last use is in it. The uses before it have the same W, and a say in the loss.",
        ),
        Mistake(
            "one use left out",
            _picked(lambda parts: sum(parts[:-1], torch.zeros_like(parts[0]))),
            "The first use is missing: how often does your backward loop run?",
        ),
        Mistake(
            "mean over the uses",
            _picked(lambda parts: sum(parts) / len(parts)),
            "That is the mean over the uses. Does one use count for less because there are others?",
        ),
        Mistake(
            "gradient not sent on",
            _added(goes_on=lambda g, dL_dz, W: g),
            "Each use gets the g of the last one. The gradient has to be sent down, through W, from use to use.",
        ),
        Mistake(
            "sent down by the transposed",
            _added(goes_on=lambda g, dL_dz, W: dL_dz @ W.T),
            "On the way down it takes the wrong W: forward it is h W^T, so what is the derivative with respect to h?",
        ),
        Mistake(
            "forward by the transposed",
            lambda W, *rest: sum(_of_each_use(W.T, *rest)).T,
            "The forward pass takes h W: for row examples and W of shape (units, inputs) it is h W^T.",
        ),
        Mistake(
            "past the layer loss",
            _added(goes_on=lambda g, dL_dz, W: g @ W),
            "g goes down past the layer loss, as in plain STE: send down what the derivative makes of it.",
        ),
        Mistake(
            "g added up",
            _added(goes_on=lambda g, dL_dz, W: g + dL_dz @ W),
            "g is added up from use to use. Only the next use reads these outputs: g is replaced, and dW is added up.",
        ),
        Mistake(
            "the last targets for all",
            _added(target=lambda g, last: last),
            "Each use takes the targets of the last one. Targets are made anew from the g that arrives.",
        ),
        Mistake(
            "the last z for all",
            _added(at=lambda Z, k: Z[-1]),
            "Each use takes the derivative at the z of the last one. Keep every z on the way forward.",
        ),
        Mistake(
            "front to back",
            _front_to_back,
            "The backward loop runs from the first use to the last. Where does g arrive?",
        ),
        Mistake(
            "transposed",
            lambda *inputs: tied_gradient(*inputs).T,
            "dL/dW is transposed: from z = h W^T it has the units in its rows and the inputs in its columns.",
        ),
        Mistake(
            "outputs instead of inputs",
            _added(seen=lambda H, k: H[k + 1]),
            "Each use multiplies by its own outputs: the gradient of W takes the inputs, what the use has seen.",
        ),
        Mistake(
            "the first input for all",
            _added(seen=lambda H, k: H[0]),
            "Each use multiplies by the first h. What has the second use seen?",
        ),
        Mistake(
            "sign(0) = 0",
            _added(at_0=0.0),
            "Where z is 0 it goes wrong: `torch.sign` gives 0 there, and a sign unit -1.",
        ),
        Mistake(
            "sign(0) = +1",
            _added(at_0=1.0),
            "Where z is 0 it goes wrong: a sign unit puts out -1 there, not +1.",
        ),
        Mistake(
            "weight forgotten",
            _added(weight=torch.ones_like),
            "Every unit counts the same: eq. 3 weights the layer loss by how much a unit matters.",
        ),
        Mistake(
            "layer loss forgotten",
            _with_loss(lambda derivative: lambda z, t: -t),
            "That is plain STE, whatever the layer loss: what does `derivative` say?",
        ),
        Mistake(
            "target uphill",
            _with_loss(lambda derivative: lambda z, t: derivative(z, -t)),
            "These targets make the loss larger: look at the sign in eq. 2.",
        ),
        Mistake(
            "averaged once more",
            lambda W, h, *rest: tied_gradient(W, h, *rest) / len(h),
            "Right for a batch of one: g comes from a loss that was divided by the batch already.",
        ),
    ),
    hints=(
        "First forward, and keep what each use has seen and its z. Then backward through the uses: exercise 4, again "
        "and again.",
        "Begin with `dW = torch.zeros_like(W)`. Which line needs `+=`, and which one a new value of g?",
        "For k from the last use to the first: dL_dz = derivative(Z[k], -sign(g)) * abs(g); "
        "dW += dL_dz.T @ H[k]; g = dL_dz @ W.",
    ),
    explanation=(
        "W has a say in the loss through each use, so its derivative is a sum, as in the product rule. That is why "
        "`backward()` adds to `.grad`, and why there is `zero_grad()`: two mini-batches before one step add up as "
        "well. g is another matter: it is replaced in each round, since only the next use reads these outputs."
    ),
)

EXERCISES = (_SCALE, _TIED)
