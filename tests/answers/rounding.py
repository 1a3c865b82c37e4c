"""Answers to the exercises of notebook 06, second half."""

import numpy as np
import torch

from answers import Answers
from ftpkit import LOSSES, Loss, QuantReLU
from ftpkit.rounding import staircase

HINGE = LOSSES["SaturatedHinge"]


def shift_by_equations(k):
    jumps = np.array([0.5, k - 0.5]) / k
    return np.linalg.solve(np.stack([jumps, np.ones(2)], axis=1), np.array([0.0, 1.0]))


def shift_in_steps(k):
    a = 1 / (1 - 1 / k)
    return [a, -a * 0.5 / k]


def sum_from_the_kit(k):
    def mean(part, u, t):
        return torch.stack([part(u / 2 + 0.5 - i / (k - 1), t) for i in range(k)]).mean(0)

    return Loss("mean", lambda u, t: 2 * mean(HINGE.value, u, t), lambda u, t: mean(HINGE.derivative, u, t))


def sum_with_windows(k):
    """Counts the windows that hold u; the value lies lower by a constant."""
    centers = [2 * i / (k - 1) - 1 for i in range(k)]

    def value(u, t):
        return sum(-t * (u - c).clamp(-2, 2) for c in centers) / k

    def derivative(u, t):
        return -t * sum(((u - c).abs() <= 2).to(u.dtype) for c in centers) / k

    return Loss("windows", value, derivative)


def loss_of(derivative, value=None):
    """A function of k that gives a loss with this derivative, a function of u, t and k."""

    def make(k):
        unchanged = sum_from_the_kit(k).value
        return Loss("wrong", (lambda u, t: value(u, t, k)) if value else unchanged, lambda u, t: derivative(u, t, k))

    return make


def mean_over(k, term):
    return sum(term(i) for i in range(k)) / k


def right_slope(u, t, k):
    return mean_over(k, lambda i: HINGE.derivative((u + 1) / 2 - i / (k - 1), t))


def rounding(z, k):
    return torch.floor(z.clamp(0, 1) * k + 0.5) / k


def forward(x, layers, k, *, unit=rounding, last=lambda z, k: z, first=lambda x, k: x):
    h = first(x, k)
    for W, b in layers[:-1]:
        h = unit(torch.nn.functional.linear(h, W, b), k)
    return last(torch.nn.functional.linear(h, *layers[-1]), k)


def scores_by_recursion(x, layers, k):
    if len(layers) == 1:
        return x @ layers[0][0].T + layers[0][1]
    return scores_by_recursion(rounding(x @ layers[0][0].T + layers[0][1], k), layers[1:], k)


def scores_with_nearest_levels(x, layers, k):
    h, levels = x.double().numpy(), np.arange(k + 1) / k
    for n, (W, b) in enumerate(layers):
        h = h @ W.double().numpy().T + b.double().numpy()
        if n < len(layers) - 1:
            h = levels[np.abs(np.clip(h, 0, 1)[..., None] - levels).argmin(-1)]
    return h


def scores_in_place(x, layers, k):
    for W, b in layers[:-1]:
        x = (x @ W.T).add_(b).clamp_(0, 1).mul_(k).round_().div_(k)
    W, b = layers[-1]
    return x @ W.T + b


def scores_without_bias(x, layers, k):
    h = x
    for W, _ in layers[:-1]:
        h = rounding(h @ W.T, k)
    return h @ layers[-1][0].T


def scores_of_the_last_hidden_layer(x, layers, k):
    for W, b in layers[:-1]:
        x = rounding(x @ W.T + b, k)
    return x


def scores_of_two_layers(x, layers, k):
    (W, b), (V, c) = layers
    return rounding(x @ W.T + b, k) @ V.T + c


ANSWERS = {
    "shift_and_stretch": Answers(
        right=[shift_by_equations, shift_in_steps],
        wrong={
            "the other way round": lambda k: (1 - 1 / k, 0.5 / k),
            "sign of b": lambda k: (k / (k - 1), 0.5 / (k - 1)),
            "shifted before it is stretched": lambda k: (k / (k - 1), -0.5 / k),
            "shifted twice as far": lambda k: (1 / (1 - 1 / k), 1 / (1 - k)),
            "not shifted": lambda k: (1 / (1 - 1 / k), 0.0),
            "not stretched": lambda k: (1.0, -0.5 / k),
            "levels counted as thresholds": lambda k: (1 + 1 / k, -0.5 / k),
            "(b, a)": lambda k: tuple(shift_by_equations(k)[::-1]),
            "nothing changed": lambda k: (1.0, 0.0),
            "first case": lambda k: (1.5, -0.25),
            "other / a alone": lambda k: k / (k - 1),
        },
    ),
    "sum_as_one_loss": Answers(
        right=[sum_from_the_kit, sum_with_windows],
        wrong={
            "property / no loss": lambda k: QuantReLU(k, "SaturatedHinge", form="sum"),
            "property / z not undone": loss_of(
                lambda u, t, k: mean_over(k, lambda i: HINGE.derivative(u - i / (k - 1), t))
            ),
            "property / brackets": loss_of(
                lambda u, t, k: mean_over(k, lambda i: HINGE.derivative(u + 1 / 2 - i / (k - 1), t))
            ),
            "property / u - 1": loss_of(
                lambda u, t, k: mean_over(k, lambda i: HINGE.derivative((u - 1) / 2 - i / (k - 1), t))
            ),
            "property / mean lost": loss_of(lambda u, t, k: k * right_slope(u, t, k)),
            "property / half": loss_of(lambda u, t, k: right_slope(u, t, k) / 2),
            "property / twice": loss_of(lambda u, t, k: 2 * right_slope(u, t, k)),
            "property / thresholds i / k": loss_of(
                lambda u, t, k: mean_over(k, lambda i: HINGE.derivative((u + 1) / 2 - i / k, t))
            ),
            "property / one hinge": lambda k: HINGE,
            "property / half as wide": loss_of(
                lambda u, t, k: mean_over(k, lambda i: HINGE.derivative(u + 1 - 2 * i / (k - 1), t))
            ),
            "property / plain hinge": loss_of(
                lambda u, t, k: mean_over(k, lambda i: LOSSES["Hinge"].derivative((u + 1) / 2 - i / (k - 1), t))
            ),
            "property / soft hinge": loss_of(
                lambda u, t, k: mean_over(k, lambda i: LOSSES["SoftHinge"].derivative((u + 1) / 2 - i / (k - 1), t))
            ),
            "property / t forgotten": loss_of(lambda u, t, k: right_slope(u, 1, k) * torch.ones_like(u)),
            "property / uphill": loss_of(lambda u, t, k: right_slope(u, -t, k)),
            "property / 3 steps only": lambda k: sum_from_the_kit(3),
            "property / something else": loss_of(lambda u, t, k: -t * torch.exp(-(u**2))),
            "property / value half": loss_of(
                right_slope, lambda u, t, k: mean_over(k, lambda i: HINGE.value((u + 1) / 2 - i / (k - 1), t))
            ),
            "property / another value": loss_of(right_slope, lambda u, t, k: HINGE.value(u, t)),
            "raised": lambda k: Loss("counts", lambda u, t: 1.0, lambda u, t: -1.0),
            "nothing returned": lambda k: sum_from_the_kit(k) and None,
        },
    ),
    "rounded_scores": Answers(
        right=[scores_by_recursion, scores_with_nearest_levels, scores_in_place],
        wrong={
            "scores rounded": lambda x, layers, k: forward(x, layers, k, last=rounding),
            "last layer left out": scores_of_the_last_hidden_layer,
            "images rounded": lambda x, layers, k: forward(x, layers, k, first=rounding),
            "bias forgotten": scores_without_bias,
            "not rounded": lambda x, layers, k: forward(x, layers, k, unit=lambda z, k: torch.clip(z, 0, 1)),
            "clamp forgotten": lambda x, layers, k: forward(
                x, layers, k, unit=lambda z, k: torch.floor(k * z + 0.5) / k
            ),
            "no upper end": lambda x, layers, k: forward(
                x, layers, k, unit=lambda z, k: torch.floor(k * torch.relu(z) + 0.5) / k
            ),
            "levels 0 to k": lambda x, layers, k: forward(x, layers, k, unit=lambda z, k: k * rounding(z, k)),
            "staircase": lambda x, layers, k: forward(
                x, layers, k, unit=lambda z, k: sum((z > i / (k - 1)).to(z.dtype) for i in range(k)) / k
            ),
            "the kit's own": lambda x, layers, k: forward(x, layers, k, unit=staircase),
            "rounded down": lambda x, layers, k: forward(
                x, layers, k, unit=lambda z, k: torch.floor(k * torch.clip(z, 0, 1)) / k
            ),
            "k levels": lambda x, layers, k: forward(x, layers, k - 1),
            "k + 2 levels": lambda x, layers, k: forward(x, layers, k + 1),
            "classes instead of scores": lambda x, layers, k: scores_by_recursion(x, layers, k).max(1).indices,
            "one shape only / two classes": lambda x, layers, k: scores_in_place(x[:1], layers[:1] + layers[-1:], k)[
                :, :2
            ],
            "one shape only / two layers": scores_of_two_layers,
            "raised / W not transposed": lambda x, layers, k: rounding(x @ layers[0][0] + layers[0][1], k),
        },
    ),
}
