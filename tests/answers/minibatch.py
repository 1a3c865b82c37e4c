"""Answers to the exercises of notebook 04: Algorithm 2, piece by piece."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from answers import Answers
from ftpkit import sign


def output_by_autograd(z, y):
    scores = z.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(scores, y), scores)
    return gradient


def output_in_numpy(z, y):
    z = z.numpy().astype(np.float64)
    shares = np.exp(z - z.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(len(y)), y.numpy()] -= 1
    return shares / len(y)


def output_row_by_row(z, y):
    rows = []
    for scores, label in zip(z, y, strict=True):
        row = torch.exp(scores - torch.logsumexp(scores, 0))
        row[label] -= 1
        rows.append(row)
    return torch.stack(rows) * (1 / z.shape[0])


def output_with(shares, divided_by=lambda z: z.shape[0], sign=1):
    """An answer that takes other shares, or divides them by something else."""

    def answer(z, y):
        gradient = shares(z)
        gradient[range(len(y)), y] -= 1
        return sign * gradient / divided_by(z)

    return answer


def soft(z):
    return F.softmax(z, dim=-1)


def naive(z):
    powers = math.e**z
    return powers / powers.sum(dim=1)[:, None]


def one_label(z, y):
    """Works for three classes only."""
    wanted = torch.zeros(len(y), 3)
    for i in range(len(y)):
        wanted[i, y[i]] = 1
    return (soft(z) - wanted) / len(y)


def whole_columns(z, y):
    gradient = soft(z)
    gradient[:, y] -= 1
    return gradient / len(y)


def over_everything(z):
    powers = torch.exp(z - z.max())
    return powers / powers.sum()


def output_of_labels(z, y):
    gradient = torch.zeros_like(z)
    for i, label in enumerate(y):
        gradient[i, label] = (soft(z)[i, label] - 1) / len(y)
    return gradient


def through_autograd(z, h_below, W, g, derivative):
    t = torch.where(g > 0, -1.0, torch.where(g < 0, 1.0, 0.0))
    sent = (derivative(z, t) * abs(g)).detach()
    leaf, bias, below = W.clone().requires_grad_(), torch.zeros(len(W), requires_grad=True), h_below.clone()
    below.requires_grad_()
    return torch.autograd.grad(F.linear(below, leaf, bias), [leaf, bias, below], sent)


def with_einsum(z, h_below, W, g, derivative):
    sent = g.abs() * derivative(z, -g.sign())
    dW = torch.einsum("bu,bi->ui", sent, h_below)
    return [dW, torch.einsum("bu->u", sent), torch.einsum("bu,ui->bi", sent, W)]


def example_by_example(z, h_below, W, g, derivative):
    dW, db, down = torch.zeros_like(W), torch.zeros(W.shape[0]), torch.zeros_like(h_below)
    for i in range(z.shape[0]):
        sent = derivative(z[i], -torch.sign(g[i])) * torch.abs(g[i])
        dW += torch.outer(sent, h_below[i])
        db += sent
        down[i] = W.T @ sent
    return dW, db, down


def overwritten(z, h_below, W, g, derivative, bias=None):
    down = []
    for z_i, h_i, g_i in zip(z, h_below, g, strict=True):
        sent = derivative(z_i, -torch.sign(g_i)) * torch.abs(g_i)
        dW = sent[:, None] * h_i
        bias = sent
        down.append(sent @ W)
    return dW, bias, torch.stack(down)


def weights_overwritten(z, h_below, W, g, derivative):
    dW, _, down = overwritten(z, h_below, W, g, derivative)
    return dW, with_einsum(z, h_below, W, g, derivative)[1], down


def inner_with(sent, inputs=lambda h_below, down: h_below):
    """An answer that sends something else to z, or takes other inputs: sent(z, g, derivative)."""

    def answer(z, h_below, W, g, derivative):
        dL_dz = sent(z, g, derivative)
        down = torch.mm(dL_dz, W)
        return torch.mm(dL_dz.t(), inputs(h_below, down)), torch.sum(dL_dz, dim=0), down

    return answer


def right(z, g, derivative):
    return derivative(z, g.sign().neg()).mul(g.abs())


def inner_then(change):
    return lambda z, h_below, *rest: change(*example_by_example(z, h_below, *rest), z.shape[0])


def rows_of_bias(z, h_below, W, g, derivative):
    sent = right(z, g, derivative)
    return sent.T.matmul(h_below), sent, sent.matmul(W)


def sent_past(z, h_below, W, g, derivative):
    dW, db, _ = with_einsum(z, h_below, W, g, derivative)
    return dW, db, torch.mm(g, W)


def weights_past(z, h_below, W, g, derivative):
    _, db, down = with_einsum(z, h_below, W, g, derivative)
    return torch.einsum("bu,bi->ui", g, h_below), db, down


def by_the_kit(z, h_below, W, g, derivative):
    leaf, below = W.clone().requires_grad_(), h_below.clone().requires_grad_()
    dW, down = torch.autograd.grad(sign(F.linear(below, leaf), "Hinge"), [leaf, below], g)
    return dW, right(z, g, derivative).sum(0), down


def without_return(z, h_below, W, g, derivative):
    W.grad, _, h_below.grad = with_einsum(z, h_below, W, g, derivative)


ANSWERS = {
    "output_gradient": Answers(
        right=[output_by_autograd, output_in_numpy, output_row_by_row],
        wrong={
            "batch mean lost": output_with(soft, divided_by=lambda z: 1),
            "batch mean lost / by autograd": lambda z, y: output_by_autograd(z, y) * len(y),
            "mean over the classes, too": output_with(soft, divided_by=lambda z: z.shape[0] * z.shape[1]),
            "divided by the classes": output_with(soft, divided_by=lambda z: z.shape[1]),
            "uphill": output_with(soft, sign=-1),
            "label forgotten": lambda z, y: soft(z).div(z.shape[0]),
            "softmax over the batch": output_with(lambda z: F.softmax(z, dim=0)),
            "softmax forgotten": output_with(lambda z: z.clone()),
            "labels only": output_of_labels,
            "log of the shares": output_with(lambda z: z - z.logsumexp(1, keepdim=True)),
            "the loss itself": lambda z, y: -sum(F.log_softmax(a, 0)[b] for a, b in zip(z, y, strict=True)) / len(y),
            "softmax over everything": output_with(over_everything),
            "columns of the labels": whole_columns,
            "number of the label": lambda z, y: (soft(z) - y.unsqueeze(1)) / z.shape[0],
            "shares forgotten": output_with(torch.zeros_like),
            "large scores": output_with(naive),
            "one shape only": one_label,
            "a list": lambda z, y: output_in_numpy(z, y).tolist(),
            "shape": lambda z, y: output_by_autograd(z, y).sum(0),
            "first case": lambda z, y: torch.tensor([[-0.375, 0.25, 0.125], [0.125, 0.125, -0.25]]),
            "input unchanged": lambda z, y: z,
        },
    ),
    "inner_loop": Answers(
        right=[through_autograd, with_einsum, example_by_example],
        wrong={
            "gradient overwritten": overwritten,
            "gradient overwritten / in W only": weights_overwritten,
            "weight forgotten": inner_with(lambda z, g, derivative: derivative(z, -g.sign())),
            "target uphill": inner_with(lambda z, g, derivative: derivative(z, g.sign()) * g.abs()),
            "weight with a sign": inner_with(lambda z, g, derivative: derivative(z, -g.sign()).mul(g)),
            "target not a sign": inner_with(lambda z, g, derivative: derivative(z, -1 * g)),
            "layer loss forgotten": inner_with(lambda z, g, derivative: g.clone()),
            "arguments swapped": inner_with(lambda z, g, derivative: derivative(-g.sign(), z) * g.abs()),
            "derivative at h": inner_with(lambda z, g, derivative: right(2.0 * (z > 0) - 1, g, derivative)),
            "outputs as targets": inner_with(lambda z, g, derivative: derivative(z, (z > 0) * 2.0 - 1) * g.abs()),
            "past the layer loss": sent_past,
            "weights without the layer loss": weights_past,
            "the step": inner_then(lambda dW, db, down, n: (dW.neg(), db.neg(), down)),
            "averaged once more": inner_then(lambda dW, db, down, n: (dW.div(n), db.div(n), down)),
            "averaged once more / from z on": inner_with(lambda z, g, derivative: right(z, g, derivative) / z.shape[0]),
            "bias not summed": rows_of_bias,
            "bias in a row": inner_then(lambda dW, db, down, n: (dW, db.unsqueeze(0), down)),
            "bias averaged": inner_then(lambda dW, db, down, n: (dW, db.mul(1 / n), down)),
            "bias forgotten": lambda *inputs: tuple(example_by_example(*inputs)[i] for i in (0, 2)),
            "targets as inputs": inner_with(right, lambda h_below, down: -down.sign()),
            "transposed": inner_then(lambda dW, db, down, n: (dW.t(), db, down)),
            "another order": inner_then(lambda dW, db, down, n: (dW, down, db)),
            "the kit's own": by_the_kit,
            "nothing returned": without_return,
        },
    ),
}
