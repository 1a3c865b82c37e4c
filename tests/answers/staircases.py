"""Answers to the exercises of notebook 05, first half."""

import numpy as np
import torch
from torch import nn

from answers import Answers
from ftpkit import QuantReLU, SaturatedReLU


def quantise_by_comparing(z, k):
    h = torch.zeros_like(z)
    for i in range(k):
        h = h + (z > torch.tensor(i / (k - 1)))
    return h / k


def quantise_by_searching(z, k):
    thresholds = torch.linspace(0, 1, k)
    return torch.searchsorted(thresholds, z.contiguous(), right=False) / k


def quantise_from_above(z, k):
    return 1 - torch.clamp(torch.floor((1 - z) * (k - 1)) + 1, 0, k) / k


def quantise_numbers(z, k):
    numbers = [sum(float(value) > i / (k - 1) for i in range(k)) / k for value in z.flatten()]
    return torch.tensor(numbers).reshape(z.shape)


def quantise_for_three(z, k):
    return ((z > 0).float() + (z > 0.5).float() + (z > 1).float()) / 3


def areas(single, sum, more):
    return {"single": single, "sum": sum, "more steps": more}


def five(thresholds=(0, 0.25, 0.5, 0.75, 1), levels=(0, 0.2, 0.4, 0.6, 0.8, 1), outputs=(0, 0.4, 0.8, 1)):
    return {"thresholds": thresholds, "levels": levels, "outputs": outputs}


def staircase_of(backward, forward=lambda z: sum((z > i / 2).float() for i in range(3)) / 3):
    """A module of one's own, from what it gives and what it sends back."""

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return forward(z)

        @staticmethod
        def backward(ctx, g):
            return backward(*ctx.saved_tensors, g)

    class Module(nn.Module):
        def forward(self, z):
            return Function.apply(z)

    return lambda: Module()


def open_windows(z):
    return ((z > -1) & (z < 1)).float() + ((z > -0.5) & (z < 1.5)).float() + ((z > 0) & (z < 2)).float()


def narrow_windows(z):
    return ((z > -0.5) & (z < 0.5)).float() + ((z > 0) & (z < 1)).float() + ((z > 0.5) & (z < 1.5)).float()


class Comparing(nn.Module):
    def forward(self, z):
        return torch.stack([z > 0, z > 0.5, z > 1]).float().mean(0)


class Replacing(nn.Module):
    """The staircase forward, three clamps backward: autograd does the rest."""

    def forward(self, z):
        soft = sum((z - i / 2).clamp(-1, 1) for i in range(3)) / 3
        hard = sum((z > i / 2).to(z.dtype) for i in range(3)) / 3
        return soft + (hard - soft).detach()


class Flattening(nn.Module):
    def forward(self, z):
        return QuantReLU(3, "SaturatedHinge", form="sum")(z).flatten()


ANSWERS = {
    "five_steps": Answers(
        right=[
            five(np.linspace(0, 1, 5), np.arange(6) / 5, np.array([0, 2, 4, 5]) / 5),
            five({1, 0.75, 0.5, 0.25, 0}, [i / 5 for i in range(6)], torch.tensor([0, 0.4, 0.8, 1])),
            five(outputs={0: 0, 0.3: 2 / 5, 1: 4 / 5, 1.01: 1}),
        ],
        wrong={
            "property / divided by k": five(thresholds=[i / 5 for i in range(5)]),
            "property / as many thresholds as levels": five(thresholds=np.linspace(0, 1, 6)),
            "property / last threshold missing": five(thresholds=[i / 4 for i in range(4)]),
            "property / counted from 1": five(thresholds=[i / 4 for i in range(1, 5)]),
            "property / counted from 1, divided by k": five(thresholds=[i / 5 for i in range(1, 6)]),
            "property / other thresholds": five(thresholds=[-1, -0.5, 0, 0.5, 1]),
            "property / levels are thresholds": five(levels=[i / 4 for i in range(5)]),
            "property / level 0 missing": five(levels=[i / 5 for i in range(1, 6)]),
            "property / top level missing": five(levels=[i / 5 for i in range(5)]),
            "property / levels not divided": five(levels=range(6)),
            "property / other levels": five(levels=[i / 6 for i in range(7)]),
            "property / step(0) = 1": five(outputs=[0.2, 0.4, 1, 1]),
            "property / closed at 1": five(outputs=[0, 0.4, 1.0, 1.0]),
            "property / closed at 0": five(outputs=[0.2, 0.4, 0.8, 1]),
            "property / first threshold not counted": five(outputs=[0, 0.2, 0.8, 1]),
            "property / not rounded": five(outputs=[0, 0.3, 1, 1]),
            "property / outputs not divided": five(outputs=[0, 2, 4, 5]),
            "property / divided by k - 1": five(outputs=[0, 0.5, 1, 1]),
            "property / other outputs": five(outputs=[0, 0, 0, 1]),
            "property / no list": five(thresholds=5),
            "property / no dict": [0, 0.25, 0.5, 0.75, 1],
        },
    ),
    "quantise": Answers(
        right=[quantise_by_comparing, quantise_by_searching, quantise_from_above, quantise_numbers],
        wrong={
            "threshold closed": lambda z, k: sum((z >= i / (k - 1)).float() for i in range(k)) / k,
            "k instead of k - 1": lambda z, k: sum((z > i / k).float() for i in range(k)) / k,
            "top level missing / k - 1 steps": lambda z, k: sum((z > i / (k - 1)).float() for i in range(k - 1)) / k,
            "top level missing, and divided by k - 1": lambda z, k: (
                sum((z > i / (k - 1)).float() for i in range(k - 1)) / (k - 1)
            ),
            "divided by k - 1": lambda z, k: sum((z > i / (k - 1)).float() for i in range(k)) / (k - 1),
            "not divided": lambda z, k: sum((z > i / (k - 1)).float() for i in range(k)),
            "rounded to the nearest level": lambda z, k: torch.round(k * torch.clamp(z, 0, 1)).div(k),
            "rounded to the nearest threshold": lambda z, k: torch.clamp((z * (k - 1)).round(), min=0, max=k) / k,
            "one half added": lambda z, k: (0.5 + (k - 1) * z).round().clamp(min=0, max=k) / k,
            "rounded down": lambda z, k: ((z * (k - 1)) // 1).clamp(0, k) / k,
            "not clamped": lambda z, k: -torch.floor(-z * (k - 1)) / k,
            "not clamped above": lambda z, k: torch.relu(torch.ceil(z * (k - 1))) / k,
            "top level missing / z cut to 1": lambda z, k: (
                sum((torch.relu(z).clamp(max=1) > i / (k - 1)).float() for i in range(k)) / k
            ),
            "saturated ReLU": lambda z, k: torch.relu(z) - torch.relu(z - 1),
            "opposite sign": lambda z, k: torch.clamp(torch.floor(-z * (k - 1)), -k, 0) / k,
            "first case": lambda z, k: torch.tensor([0, 1 / 3, 2 / 3, 1]),
            "always three steps": quantise_for_three,
            "input unchanged": lambda z, k: z,
            "shape": lambda z, k: quantise_by_comparing(z, k).unique(),
            "the kit's own": lambda z, k: QuantReLU(k, "SSTE")(z),
            "nothing returned": lambda z, k: print(end=""),
        },
    ),
    "ramp_areas": Answers(
        right=[areas(3 / 2, 3, "stays"), areas(torch.tensor(1.499), np.float64(3.001), " Stays")],
        wrong={
            "property / single not squeezed": areas(3, 3, "stays"),
            "property / single stretched": areas(6, 3, "stays"),
            "property / single as SSTE": areas(1, 3, "stays"),
            "property / single halved twice": areas(0.75, 3, "stays"),
            "property / single with rectangles": areas(2, 3, "stays"),
            "property / single, otherwise": areas(1.2, 3, "stays"),
            "property / sum not divided": areas(1.5, 9, "stays"),
            "property / sum squeezed": areas(1.5, 1.5, "stays"),
            "property / a third": areas(1.5, 1, "stays"),
            "property / sum as saturated hinges": areas(1.5, 2, "stays"),
            "property / sum with rectangles": areas(1.5, 4, "stays"),
            "property / sum, two areas": areas(1.5, 6, "stays"),
            "property / sum, otherwise": areas(1.5, 2.5, "stays"),
            "property / grows": areas(1.5, 3, "grows"),
            "property / falls": areas(1.5, 3, "falls"),
            "property / another word": areas(1.5, 3, "nothing"),
            "property / no number": areas(1.5, "three", "stays"),
            "property / no dict": (1.5, 3, "stays"),
        },
    ),
    "sum_staircase": Answers(
        right=[
            lambda: QuantReLU(3, "SSTE", form="sum"),
            staircase_of(lambda z, g: g * open_windows(z) / 3),
            Replacing,
        ],
        wrong={
            "property / the class": lambda: QuantReLU,
            "property / no module": lambda: "SaturatedHinge",
            "property / five steps": lambda: QuantReLU(5, "SaturatedHinge", form="sum"),
            "property / not rounded": SaturatedReLU,
            "property / step(0) = 1": staircase_of(
                lambda z, g: g * open_windows(z) / 3, lambda z: sum((z >= i / 2).float() for i in range(3)) / 3
            ),
            "property / thresholds i / k": staircase_of(
                lambda z, g: g * open_windows(z) / 3, lambda z: sum((z > i / 3).float() for i in range(3)) / 3
            ),
            "property / flattened": Flattening,
            "property / no gradient": Comparing,
            "property / single": lambda: QuantReLU(3, "SaturatedHinge"),
            "property / single soft hinge": lambda: QuantReLU(3, "FTP-SH", form="single"),
            "property / sum of soft hinges": lambda: QuantReLU(3, "FTP-SH", form="sum"),
            "property / 1/k forgotten": staircase_of(lambda z, g: g * open_windows(z)),
            "property / plain hinge": lambda: QuantReLU(3, "Hinge", form="sum"),
            "property / STE": lambda: QuantReLU(3, "STE"),
            "property / weight forgotten": staircase_of(lambda z, g: torch.sign(g) * open_windows(z) / 3),
            "property / wrong sign": staircase_of(lambda z, g: -g * open_windows(z) / 3),
            "property / narrow": staircase_of(lambda z, g: g * narrow_windows(z) / 3),
            "property / as on a sign": staircase_of(lambda z, g: torch.where(z.abs() <= 1, g, 0.0)),
            "property / otherwise": lambda: QuantReLU(3, "Ramp", form="sum"),
            "nothing returned": lambda: print(end=""),
            "not a function": "SaturatedHinge",
        },
    ),
}
