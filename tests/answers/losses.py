"""Answers to the exercises of notebook 03."""

import numpy as np
import torch

from answers import Answers
from ftpkit import LOSSES, RULES, Loss


def hinge_with_where(z, t):
    return torch.where(t * z > 1, torch.zeros_like(z), -t * torch.ones_like(z))


def hinge_in_loops(z, t):
    flat, t = z.flatten(), torch.as_tensor(t).expand(z.shape).flatten()
    slopes = [0.0 if t[i] * flat[i] > 1 else -float(t[i]) for i in range(len(flat))]
    return torch.tensor(slopes).reshape(z.shape)


def hinge_first_row_only(z, t):
    slopes = torch.zeros(4)
    for i in range(4):
        slopes[i] = -t if t * z[i] <= 1 else 0
    return slopes


def hinge_changes_its_input(z, t):
    z *= t
    return -t * (1 - z >= 0)


def target_by_division(g):
    size = g.abs()
    return torch.where(size > 0, -g / size, size)


def saturated_with_where(z, g):
    t = torch.where(g > 0, -1.0, torch.where(g < 0, 1.0, 0.0))
    moved = torch.logical_and(t * z > -1, t * z <= 1)
    return torch.where(moved, g, 0.0)


def saturated_piece_by_piece(z, g):
    up, down = g < 0, g > 0  # the output is to go up, or down
    passes = (up & (z > -1) & (z <= 1)) | (down & (z >= -1) & (z < 1))
    return g * passes


def saturated_uphill(z, g):
    margin = torch.sign(g) * z
    return torch.where((margin <= 1) & (margin > -1), -g, 0.0)


def my_value(z, t):
    u = t * z
    return torch.where(u < 0, 1 - u, torch.where(u < 2, (2 - u) ** 2 / 4, 0.0))


def my_derivative(z, t):
    return -t * torch.clamp((2 - t * z) / 2, min=0, max=1)


def later_value(z, t):
    u = t * z
    return torch.where(u < -0.5, 0.5 - u, torch.where(u < 1.5, (1.5 - u) ** 2 / 4, 0.0)) * 1.0


def later_derivative(z, t):
    return -t * ((1.5 - t * z) / 2).clamp(0, 1)


def area_in_closed_form(a):
    return float(np.tanh(40 * a) - np.tanh(-40 * a))


def area_by_trapezoids(a):
    z = np.linspace(-40, 40, 80_001)
    return np.trapezoid(a / np.cosh(np.clip(a * z, -300, 300)) ** 2, z) if hasattr(np, "trapezoid") else np.trapz(
        a / np.cosh(np.clip(a * z, -300, 300)) ** 2, z
    )  # fmt: skip


def grid_sum(function):
    z = np.arange(-40, 40, 0.001) + 0.0005
    return float(function(z).sum() * 0.001)


def flips_by_masks(g, z, h):
    return -torch.sign(g) * (torch.sign(g) == h)


def flips_from_h(g, z, h):
    return torch.where(g * h > 0, -h, torch.zeros_like(h))


ANSWERS = {
    "hinge_derivative": Answers(
        right=[hinge_with_where, hinge_in_loops, hinge_changes_its_input],
        wrong={
            "kink open": lambda z, t: torch.where(t * z < 1, -t + 0 * z, 0 * z),
            "t forgotten in the slope": lambda z, t: torch.where(t * z > 1, 0.0, -1.0),
            "t forgotten in the condition": lambda z, t: torch.where(z > 1, 0.0, -1.0) * t,
            "margin on the wrong side": lambda z, t: torch.where(1 - t * z <= 0, -t + 0 * z, 0 * z),
            "the loss instead of its derivative": lambda z, t: torch.relu(1 - t * z),
            "perceptron loss": lambda z, t: torch.where(t * z > 0, 0.0, 1.0) * -t,
            "opposite sign": lambda z, t: t * (t * z <= 1),
            "shape": lambda z, t: (-t * (t * z <= 1)).sum(),
            "one shape only": hinge_first_row_only,
            "input unchanged": lambda z, t: z,
            "first case": lambda z, t: torch.tensor([-1.0, -1.0, -1.0, 0.0]),
            "the kit's own": LOSSES["Hinge"].derivative,
            "the kit's own / called": lambda z, t: LOSSES["Hinge"].derivative(z, t),
            "nothing returned": lambda z, t: print(end=""),
            "raised": lambda z, t: -t * (t * z <= 1) * undefined,  # noqa: F821
            "not a function": -1,
        },
    ),
    "target_of": Answers(
        right=[lambda g: (g < 0) * 1.0 - (g > 0) * 1.0, target_by_division],
        wrong={
            "target of 0 treated as -1": lambda g: (g < 0) * 2.0 - 1,
            "target of 0 treated as +1": lambda g: 1 - (g > 0) * 2.0,
            "uphill": lambda g: torch.where(g > 0, 1.0, torch.where(g < 0, -1.0, 0.0)),
            "size kept": lambda g: 0 - g,
            "small gradients dropped": lambda g: torch.where(g > 1e-6, -1.0, torch.where(g < -1e-6, 1.0, 0.0)),
            "not finite": lambda g: -g / g.abs(),
            "shape": lambda g: -torch.sign(g.sum(0)),
            "first case": lambda g: torch.tensor([-1.0, 1.0, 0.0]),
            "the kit's own": lambda g: RULES["STE"].targets(g, None, None),
        },
    ),
    "from_saturated_hinge": Answers(
        right=[saturated_with_where, saturated_piece_by_piece],
        wrong={
            "closed window": lambda z, g: torch.where(z.abs() > 1, 0.0, g),
            "open window": lambda z, g: torch.where(z.abs() >= 1, 0.0, g),
            "weight forgotten": lambda z, g: torch.sign(saturated_with_where(z, g)),
            "target of the wrong sign": saturated_uphill,
            "target of 0 treated as -1": lambda z, g: torch.where(
                g == 0, -1.0 * (z.abs() <= 1), saturated_with_where(z, g)
            ),
            "window forgotten": lambda z, g: g * 1,
            "hinge not saturated": lambda z, g: torch.where(-torch.sign(g) * z > 1, 0.0, g),
            "shape": lambda z, g: saturated_with_where(z, g).mean(0),
        },
    ),
    "my_loss": Answers(
        right=[Loss("parabola", my_value, my_derivative), Loss("earlier", later_value, later_derivative)],
        wrong={
            "property / no loss": my_value,
            "property / slope": Loss("x", my_value, lambda z, t: -t * (1 - t * z).clamp(0, 1)),
            "property / pushes away": Loss("x", lambda z, t: -my_value(z, t), lambda z, t: -my_derivative(z, t)),
            "property / steep": LOSSES["SquaredHinge"],
            "property / gives up": LOSSES["SoftHinge"],
            "property / never flat": LOSSES["LogLoss"],
            "property / jumps": LOSSES["Hinge"],
        },
    ),
    "area_of_steep_soft_hinge": Answers(
        right=[area_in_closed_form, area_by_trapezoids],
        wrong={
            "property / chain rule": lambda a: grid_sum(lambda z: 1 - np.tanh(a * z) ** 2),
            "property / a inside forgotten": lambda a: grid_sum(lambda z: a * (1 - np.tanh(z) ** 2)),
            "property / width forgotten": lambda a: area_in_closed_form(a) * 1000,
            "property / half": lambda a: area_in_closed_form(a) / 2,
            "property / sign": lambda a: -area_in_closed_form(a),
            "property / no number": lambda a: np.linspace(-40, 40, 11),
            "nothing returned": lambda a: area_in_closed_form(a) and None,
        },
    ),
    "only_flips": Answers(
        right=[flips_by_masks, flips_from_h],
        wrong={
            "eq. 2 unchanged": lambda g, z, h: torch.where(g > 0, -1.0, 1.0) * (g != 0),
            "the other way round": lambda g, z, h: torch.where(g * h > 0, 0.0, -torch.sign(g)),
            "always flips": lambda g, z, h: torch.where(h > 0, -1.0, 1.0),
            "sign of eq. 2 forgotten": lambda g, z, h: torch.sign(g) * (torch.sign(g) != h),
            "target of 0 treated as a flip": lambda g, z, h: torch.where(g * h >= 0, -h, 0 * h),
            "sign(0) of z": lambda g, z, h: -torch.sign(g) * (-torch.sign(g) != torch.sign(z)),
            "first case": lambda g, z, h: torch.tensor([0.0, 1.0, -1.0, 0.0]),
        },
    ),
}
