"""The exercises of notebook 04, second half: Algorithm 2, piece by piece."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .card import Case, Exercise, Mistake


def output_gradient(z: Tensor, y: Tensor) -> Tensor:
    """The gradient of the output loss, the mean cross-entropy of a mini-batch, with respect to the last layer's z.

    z: scores of the last layer, (batch, classes). y: the labels, (batch,), whole numbers from 0 to classes - 1. Returns
    a tensor of z's shape. Example i contributes -log(softmax(z_i)[y_i]) / batch to the loss. Scores may be large.
    """
    probability = torch.softmax(z, dim=1)
    wanted = F.one_hot(y, z.shape[1])
    return (probability - wanted) / len(z)


def _output_cases():
    z = torch.tensor([[1.0, 2.0, 1.0], [1.0, 1.0, 2.0]]).log()
    yield Case("two examples, shares of 1/4, 1/2 and 1/4", (z, torch.tensor([0, 2])))
    yield Case("one example, all scores alike", (torch.zeros(1, 4), torch.tensor([3])))
    generator = torch.Generator().manual_seed(4)
    yield Case("three examples of one class", (torch.randn(3, 5, generator=generator), torch.tensor([1, 1, 1])))
    yield Case("as many examples as classes", (torch.randn(4, 4, generator=generator), torch.tensor([3, 0, 2, 0])))
    yield Case("a large score", (torch.tensor([[0.0, 1000.0], [1.0, 0.0]]), torch.tensor([1, 0])))


def _less_one_hot(shares, y):
    return shares - F.one_hot(y, shares.shape[1])


_OUTPUT = Exercise(
    notebook="04",
    title="where the gradient begins",
    goal="do without automatic differentiation in the last layer, too.",
    difficulty="easy",
    minutes=10,
    reference=output_gradient,
    cases=_output_cases,
    mistakes=(
        Mistake(
            "batch mean lost",
            lambda z, y: _less_one_hot(torch.softmax(z, 1), y),
            "Right for a batch of one. With more examples the loss is their mean: each counts for less.",
        ),
        Mistake(
            "mean over the classes, too",
            lambda z, y: _less_one_hot(torch.softmax(z, 1), y) / z.numel(),
            "Too small: the loss is a mean over the examples, not over all entries of z.",
        ),
        Mistake(
            "divided by the classes",
            lambda z, y: _less_one_hot(torch.softmax(z, 1), y) / z.shape[1],
            "It is divided by the number of classes. Over what is the loss a mean?",
        ),
        Mistake(
            "uphill",
            lambda z, y: -_less_one_hot(torch.softmax(z, 1), y) / len(z),
            "The sign: if the score of the label grows, the loss falls, so its gradient is negative there.",
        ),
        Mistake(
            "label forgotten",
            lambda z, y: torch.softmax(z, 1) / len(z),
            "These are shares, the same for every label: where does y come in?",
        ),
        Mistake(
            "softmax over the batch",
            lambda z, y: _less_one_hot(torch.softmax(z, 0), y) / len(z),
            "Shares are to add up to 1 for each example. Over which dimension does your softmax run?",
        ),
        Mistake(
            "softmax over everything",
            lambda z, y: _less_one_hot(torch.softmax(z.flatten(), 0).view_as(z), y) / len(z),
            "Shares are to add up to 1 for each example, and yours add up to 1 for the whole mini-batch.",
        ),
        Mistake(
            "columns of the labels",
            lambda z, y: (torch.softmax(z, 1) - F.one_hot(y, z.shape[1]).amax(0)) / len(z),
            "Each row has lost 1 in the columns of all labels: `[:, y]` takes whole columns. One entry "
            "for each example is wanted.",
        ),
        Mistake(
            "number of the label",
            lambda z, y: (torch.softmax(z, 1) - y[:, None]) / len(z),
            "That takes off the label's number. A label says at which class 1 is to be taken off.",
        ),
        Mistake(
            "shares forgotten",
            lambda z, y: -F.one_hot(y, z.shape[1]) / len(z),
            "That is the derivative of -z[y] alone. Behind it stands log(sum of exp(z)), which depends on every score.",
        ),
        Mistake(
            "softmax forgotten",
            lambda z, y: _less_one_hot(z, y) / len(z),
            "That is the gradient of a squared error: the cross-entropy compares shares with the label, not scores.",
        ),
        Mistake(
            "labels only",
            lambda z, y: _less_one_hot(torch.softmax(z, 1), y) * F.one_hot(y, z.shape[1]) / len(z),
            "Right at the label. The other classes have a share too, and the loss falls when it gets smaller.",
        ),
        Mistake(
            "log of the shares",
            lambda z, y: _less_one_hot(torch.log_softmax(z, 1), y) / len(z),
            "These are logarithms of shares. The derivative of the loss holds the shares themselves.",
        ),
        Mistake(
            "the loss itself",
            lambda z, y: F.cross_entropy(z, y),
            "That is the loss, one number. Its derivative has an entry for every score.",
        ),
        Mistake(
            "large scores",
            lambda z, y: _less_one_hot(z.exp() / z.exp().sum(1, keepdim=True), y) / len(z),
            "Only the large score goes wrong: exp(1000) is infinite. A softmax stays the same when the largest score "
            "is taken off all of them first.",
        ),
    ),
    hints=(
        "For one example the loss is -z[y] + log(sum of exp(z)). What is its derivative by a score, if that is the "
        "label's, and if it is not?",
        "`torch.softmax(z, dim=1)` has the shares, `F.one_hot(y, z.shape[1])` a 1 at each label.",
        "Shares minus ones, divided by the number of examples.",
    ),
    explanation=(
        "The derivative of log(sum of exp) is the softmax, that of -z[y] is -1 at the label. Each row adds up to 0. "
        "The 1 / batch stays in everything that is sent down, so no layer below has to divide again. Numerically "
        "safe: `torch.softmax` takes off the largest score first."
    ),
)


def inner_loop(
    z: Tensor, h_below: Tensor, W: Tensor, g: Tensor, derivative: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """What Algorithm 2 does in one hidden layer on its way down.

    z: pre-activations, (batch, units), from z = h_below W^T + b. h_below: the layer's inputs, (batch, inputs).
    W: weights, (units, inputs). g: the gradient dL_{d+1}/dh that arrives at the outputs, (batch, units).
    derivative: that of the layer loss, derivative(z, t), for t in {-1, 0, +1}. Returns three tensors: dL_d/dW, of W's
    shape; dL_d/db, (units,); dL_d/dh_below, of h_below's shape. L_d is the sum over units and examples.
    """
    t = -torch.sign(g)
    dL_dz = derivative(z, t) * g.abs()
    return dL_dz.T @ h_below, dL_dz.sum(0), dL_dz @ W


def hinge(z: Tensor, t: Tensor) -> Tensor:
    """Its derivative, for answers to be called with."""
    return -t * (t * z <= 1).to(z.dtype)


def soft_hinge(z: Tensor, t: Tensor) -> Tensor:
    """Its derivative, for answers to be called with."""
    return -t * (1 - torch.tanh(z) ** 2)


def _inner_cases():
    h = torch.tensor([[1.0, -1.0, 1.0]])
    W = torch.tensor([[0.5, -1.0, 0.25], [0.0, 1.0, 0.25]])
    yield Case("one example, two units", (h @ W.T, h, W, torch.tensor([[0.5, 2.0]]), hinge))
    h = torch.tensor([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])
    yield Case("two examples, a gradient of 0", (h @ W.T, h, W, torch.tensor([[-0.5, -2.0], [-1.0, 0.0]]), hinge))
    generator = torch.Generator().manual_seed(5)
    for about, batch, inputs, units, loss in (
        ("a mini-batch of 6, soft hinge", 6, 4, 3, soft_hinge),
        ("a square layer, a batch as large as the layer", 3, 3, 3, soft_hinge),
    ):
        h, W = torch.randn(batch, inputs, generator=generator).sign(), torch.randn(units, inputs, generator=generator)
        b, g = torch.randn(units, generator=generator), torch.randn(batch, units, generator=generator)
        yield Case(about, (h @ W.T + b, h, W, g, loss))


def _sent_down(dL_dz, h_below, W):
    return dL_dz.T @ h_below, dL_dz.sum(0), dL_dz @ W


def _changed(change):
    """The right three tensors, changed: change(dW, db, down, batch)."""

    def does(z, h_below, W, g, derivative):
        return change(*inner_loop(z, h_below, W, g, derivative), len(z))

    return does


def _last_example(sums_bias):
    def does(z, h_below, W, g, derivative):
        dW, db, down = inner_loop(z, h_below, W, g, derivative)
        last, db_last, _ = inner_loop(z[-1:], h_below[-1:], W, g[-1:], derivative)
        return last, db if sums_bias else db_last, down

    return does


def _targets_as_inputs(z, h_below, W, g, derivative):
    dL_dz = derivative(z, -torch.sign(g)) * g.abs()
    return dL_dz.T @ -torch.sign(dL_dz @ W), dL_dz.sum(0), dL_dz @ W


def _sending(sent):
    """An answer that sends something else to z: sent(z, t, weight, derivative)."""

    def does(z, h_below, W, g, derivative):
        return _sent_down(sent(z, -torch.sign(g), g.abs(), derivative), h_below, W)

    return does


_OVERWRITTEN = "Only the last example is in dL/dW: each example is to be added to those before it."
_ONCE_MORE = "Right, but for a factor: L_d is a sum, and g comes from a loss that was divided by the batch already."


_INNER = Exercise(
    notebook="04",
    title="the inner loop",
    goal="write the heart of Algorithm 2 from memory.",
    difficulty="middling",
    minutes=10,
    reference=inner_loop,
    cases=_inner_cases,
    mistakes=(
        Mistake("gradient overwritten", _last_example(sums_bias=False), _OVERWRITTEN),
        Mistake("gradient overwritten", _last_example(sums_bias=True), _OVERWRITTEN),
        Mistake(
            "weight forgotten",
            lambda z, h, W, g, derivative: _sent_down(derivative(z, -torch.sign(g)), h, W),
            "Every unit counts the same: eq. 3 weights the layer loss by how much a unit matters.",
        ),
        Mistake(
            "target uphill",
            lambda z, h, W, g, derivative: _sent_down(derivative(z, torch.sign(g)) * g.abs(), h, W),
            "These targets make the next layer's loss larger: look at the sign in eq. 2.",
        ),
        Mistake(
            "weight with a sign",
            lambda z, h, W, g, derivative: _sent_down(derivative(z, -torch.sign(g)) * g, h, W),
            "The sign of g is in the target already; the weight says only how much, not to which side.",
        ),
        Mistake(
            "target not a sign",
            lambda z, h, W, g, derivative: _sent_down(derivative(z, -g), h, W),
            "A target is -1, 0 or +1. How large g is belongs into the weight.",
        ),
        Mistake(
            "layer loss forgotten",
            lambda z, h, W, g, derivative: _sent_down(g, h, W),
            "That is plain STE, whatever the layer loss: what does `derivative` say?",
        ),
        Mistake(
            "arguments swapped",
            _sending(lambda z, t, weight, derivative: derivative(t, z) * weight),
            "`derivative` takes z first, and then the target.",
        ),
        Mistake(
            "derivative at h",
            _sending(lambda z, t, weight, derivative: derivative(torch.where(z > 0, 1.0, -1.0), t) * weight),
            "The layer loss looks at z, not at its sign: how far z is from 0 is what the rules differ in.",
        ),
        Mistake(
            "outputs as targets",
            _sending(lambda z, t, weight, derivative: derivative(z, torch.where(z > 0, 1.0, -1.0)) * weight),
            "These targets are the outputs that are there. What does eq. 2 ask for?",
        ),
        Mistake(
            "past the layer loss",
            lambda z, h, W, g, derivative: (*inner_loop(z, h, W, g, derivative)[:2], g @ W),
            "dL/dh_below is that of plain STE: what goes down is L_d's own gradient, through the derivative.",
        ),
        Mistake(
            "weights without the layer loss",
            lambda z, h, W, g, derivative: (g.T @ h, *inner_loop(z, h, W, g, derivative)[1:]),
            "dL/dW is that of plain STE: it takes what the layer loss sends to z, not g.",
        ),
        Mistake(
            "the step",
            _changed(lambda dW, db, down, n: (-dW, -db, down)),
            "That is the direction of the step. The gradient is wanted; the optimiser turns it round.",
        ),
        Mistake("averaged once more", _changed(lambda dW, db, down, n: (dW / n, db / n, down)), _ONCE_MORE),
        Mistake("averaged once more", _changed(lambda dW, db, down, n: (dW / n, db / n, down / n)), _ONCE_MORE),
        Mistake(
            "bias not summed",
            lambda z, h, W, g, derivative: (lambda d: (d.T @ h, d, d @ W))(derivative(z, -torch.sign(g)) * g.abs()),
            "dL/db still has a row for every example: the bias is the same for all of them.",
        ),
        Mistake(
            "bias in a row",
            _changed(lambda dW, db, down, n: (dW, db[None], down)),
            "dL/db has the shape (1, units): the bias is a vector, (units,).",
        ),
        Mistake(
            "bias averaged",
            _changed(lambda dW, db, down, n: (dW, db / n, down)),
            "Only dL/db is too small: like dL/dW, it is a sum over the examples.",
        ),
        Mistake(
            "bias forgotten",
            _changed(lambda dW, db, down, n: (dW, down)),
            "Two tensors instead of three: the bias b has a gradient as well.",
        ),
        Mistake(
            "targets as inputs",
            _targets_as_inputs,
            "The layer's inputs are the outputs h_below that are there, not the new targets of the layer below.",
        ),
        Mistake(
            "transposed",
            _changed(lambda dW, db, down, n: (dW.T, db, down)),
            "dL/dW is transposed: it must have W's shape, (units, inputs).",
        ),
        Mistake(
            "another order",
            _changed(lambda dW, db, down, n: (dW, down, db)),
            "All three are right, but they are wanted in another order: for W, for b, for h_below.",
        ),
    ),
    hints=(
        "Target and weight come from g alone. What does the layer loss then send to z?",
        "dL/dz is the derivative times the weight, of z's shape. The rest is one linear layer, z = h_below W^T + b.",
        "Three products: (units, batch) @ (batch, inputs); a sum over the batch; (batch, units) @ (units, inputs).",
    ),
    explanation=(
        "Only dL/dz knows of the rule; the three lines behind it are those of any linear layer. The product of "
        "dL_dz.T and h_below adds up the examples by itself: a loop over them would need `+=`. A unit whose g is 0 has "
        "t = 0 and weight 0, so it changes nothing."
    ),
)

EXERCISES = (_OUTPUT, _INNER)
