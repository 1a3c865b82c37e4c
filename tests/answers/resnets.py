"""Answers to the exercises of notebook 07 about the theory."""

import math

import numpy as np
import torch

from answers import Answers
from ftpkit import skips

COUNTED = {18: (17, 9), 34: (33, 17), 50: (49, 17)}


def becomes(**changed):
    """A prediction that is right but for what is changed; keys by their first word."""
    right = {
        "no skip path": "smaller",
        "no threshold behind the sum": "larger",
        "window |z| <= 2 instead of 1": "larger",
        "weights of both convolutions 10 times as large": "the same",
        "32 maps instead of 16": "the same",
    }
    words = {"skip": 0, "behind": 1, "window": 2, "weights": 3, "maps": 4}
    keys = list(right)
    return right | {keys[words[word]]: value for word, value in changed.items()}


def step_by_step(sizes, first, last):
    product, number = 1.0, 0
    for seed in sizes:
        for place in range(first, last):
            product *= seed[place] / seed[place + 1]
            number += 1
    return product ** (1 / number)


def by_seed(sizes, first, last):
    factors = (torch.as_tensor(sizes)[:, first] / torch.as_tensor(sizes)[:, last]) ** (1 / (last - first))
    return factors.log10().mean().mul(math.log(10)).exp()


def steps_of(sizes, first, last):
    return sizes[:, first:last] / sizes[:, first + 1 : last + 1]


def last_place_cut_off(sizes, first, last):
    logs = np.log(sizes[:, first:last])
    steps = logs[:, :-1] - logs[:, 1:]
    return np.exp(steps.sum() / steps.size if steps.size else np.float64("nan"))


def line_by_least_squares(sizes, first, last):
    x = np.arange(first, last + 1) - (first + last) / 2
    return float(np.exp(-(np.log(sizes[:, first : last + 1]).mean(axis=0) * x).sum() / (x * x).sum()))


def erf_cdf(a):
    return 0.5 * (1 + math.erf(a / math.sqrt(2)))


def p_branch(w):
    return math.erf(w / math.sqrt(2))


def p_sum(w):
    return sum(0.5 * (erf_cdf(w - x) - erf_cdf(-w - x)) for x in (-1, 1))


def factor_by_erf(w):
    return math.sqrt(p_sum(w) + p_sum(w) * p_branch(w))


def factor_by_grid(w):
    z = (torch.arange(-8000, 8000, dtype=torch.float64) + 0.5) / 1000
    density = torch.exp(-z * z / 2) / (2 * torch.pi) ** 0.5 / 1000
    branch = density[z.abs() <= w].sum()
    return torch.sqrt(density[(z - 1).abs() <= w].sum() * (1 + branch))


def factor_by_draws(w):
    generator = np.random.default_rng(1)
    z, b = generator.normal(size=(2, 400_000))
    x = generator.choice([-1.0, 1.0], size=400_000)
    return np.sqrt(np.mean(np.abs(x + b) <= w) * (1 + np.mean(np.abs(z) <= w)))


def one_sided(w):
    return (erf_cdf(w - 1) * (1 + erf_cdf(w))) ** 0.5


ANSWERS = {
    "thresholds_counted": Answers(
        right=[
            {depth: [depth - 1, 9 if depth == 18 else 17] for depth in (18, 34, 50)},
            dict(reversed(COUNTED.items())),
        ],
        wrong={
            "property / bottleneck taken for a basic block": COUNTED | {50: (33, 17)},
            "property / last layer counted": {18: (18, 9), 34: (34, 17), 50: (50, 17)},
            "property / stem forgotten": {18: (16, 8), 34: (32, 16), 50: (48, 16)},
            "property / stem not on the stream": {18: (17, 8), 34: (33, 16), 50: (49, 16)},
            "property / convolutions of the skip path counted": {18: (20, 9), 34: (36, 17), 50: (53, 17)},
            "property / order": {depth: pair[::-1] for depth, pair in COUNTED.items()},
            "property / all on the skip path": {18: (17, 17), 34: (33, 33), 50: (49, 49)},
            "property / those in the branches": COUNTED | {50: (49, 32)},
            "property / those in the branches everywhere": {18: (17, 8), 34: (33, 16), 50: (49, 32)},
            "property / one a stage": {18: (17, 5), 34: (33, 5), 50: (49, 5)},
            "property / one number": {18: 17, 34: 33, 50: 49},
            "property / another number": COUNTED | {34: (35, 17)},
            "property / another number on the skip path": COUNTED | {34: (33, 20)},
            "property / no dictionary": [(17, 9), (33, 17), (49, 17)],
        },
    ),
    "factor_becomes": Answers(
        right=[
            dict(reversed(becomes().items())),
            dict(zip(becomes(), ["Smaller", " larger ", "larger", "same", "The same"], strict=True)),
        ],
        wrong={
            "property / without a skip path larger": becomes(skip="larger"),
            "property / without a skip path the same": becomes(skip="the same"),
            "property / without the threshold smaller": becomes(behind="smaller"),
            "property / without the threshold the same": becomes(behind="the same"),
            "property / wide window smaller": becomes(window="smaller"),
            "property / wide window the same": becomes(window="the same"),
            "property / large weights, larger": becomes(weights="larger"),
            "property / large weights, smaller": becomes(weights="smaller"),
            "property / more maps, larger": becomes(maps="larger"),
            "property / more maps, smaller": becomes(maps="smaller"),
            "property / another word": becomes(maps="equal"),
            "property / another key": {"skip": "smaller"},
        },
    ),
    "factor_per_block": Answers(
        right=[step_by_step, by_seed],
        wrong={
            "upside down": lambda s, a, b: np.exp(np.log(s[:, b] / s[:, a]).mean() / (b - a)),
            "places counted instead of blocks": lambda s, a, b: (
                np.prod(s[:, a] / s[:, b]) ** (1 / len(s) / len(range(a, b + 1)))
            ),
            "last place cut off": last_place_cut_off,
            "divided by all places": lambda s, a, b: np.prod(s[:, a] / s[:, b]) ** (1 / s.size),
            "divided by all blocks": lambda s, a, b: np.prod(s[:, a] / s[:, b]) ** (1 / len(s) / (len(s[0]) - 1)),
            "root forgotten": lambda s, a, b: np.prod(s[:, a] / s[:, b]) ** (1 / len(s)),
            "divided instead of a root": lambda s, a, b: np.mean(s[:, a] / s[:, b]) / (b - a),
            "last size taken for 1": lambda s, a, b: math.prod(s[:, a]) ** (1 / len(s) / (b - a)),
            "ratios averaged over seeds": lambda s, a, b: np.mean(s[:, a] / s[:, b]) ** (1 / (b - a)),
            "seeds multiplied": lambda s, a, b: math.prod(s[:, a] / s[:, b]) ** (1 / (b - a)),
            "logarithm to base 10 not undone": lambda s, a, b: math.log10(step_by_step(s, a, b)),
            "whole chain": lambda s, a, b: step_by_step(s, 0, s.shape[1] - 1),
            "arithmetic mean over seeds": lambda s, a, b: sum(step_by_step(row[None], a, b) for row in s) / len(s),
            "sizes averaged over seeds": lambda s, a, b: step_by_step(s.mean(axis=0)[None], a, b),
            "arithmetic mean over blocks": lambda s, a, b: steps_of(s, a, b).mean(),
            "logarithm not undone": lambda s, a, b: math.log(step_by_step(s, a, b)),
            "two logarithms mixed": lambda s, a, b: math.exp(math.log10(step_by_step(s, a, b))),
            "first seed only": lambda s, a, b: step_by_step(s[:1], a, b),
            "one factor for each seed": lambda s, a, b: np.array([step_by_step(row[None], a, b) for row in s]),
            "a fitted line": line_by_least_squares,
            "first case": lambda s, a, b: 0.5,
            "nothing returned": lambda s, a, b: print(end=""),
            "the kit's own": lambda s, a, b: skips._centred(torch.rand(1, 1, 2, 2)).sum() + step_by_step(s, a, b),
        },
    ),
    "window_factor": Answers(
        right=[factor_by_erf, factor_by_grid, factor_by_draws],
        wrong={
            "property / mean square": lambda w: p_sum(w) * (1 + p_branch(w)),
            "property / branch alone": lambda w: p_branch(w) ** 0.5,
            "property / skip path missing": lambda w: (p_sum(w) * p_branch(w)) ** 0.5,
            "property / real skip path": lambda w: (1 + p_branch(w)) ** 0.5,
            "property / branch missing": lambda w: p_sum(w) ** 0.5,
            "property / x + B taken for normal": lambda w: (math.erf(w / 2) * (1 + p_branch(w))) ** 0.5,
            "property / variance taken for deviation": lambda w: (math.erf(w / 8**0.5) * (1 + p_branch(w))) ** 0.5,
            "property / x forgotten": lambda w: (p_branch(w) + p_branch(w) ** 2) ** 0.5,
            "property / two thresholds in the branch": lambda w: (p_sum(w) * (1 + p_branch(w) ** 2)) ** 0.5,
            "property / x in the branch": lambda w: (p_sum(w) + p_sum(w) ** 2) ** 0.5,
            "property / sizes added": lambda w: p_sum(w) ** 0.5 + (p_sum(w) * p_branch(w)) ** 0.5,
            "property / one side": one_sided,
            "property / one side behind the sum": lambda w: (erf_cdf(w - 1) * (1 + p_branch(w))) ** 0.5,
            "property / one side in the branch": lambda w: (p_sum(w) * (1 + erf_cdf(w))) ** 0.5,
            "property / both cases added": lambda w: (2 * p_sum(w) * (1 + p_branch(w))) ** 0.5,
            "property / window moved to one side": lambda w: abs(p_branch(w - 1) * (1 + p_branch(w))) ** 0.5,
            "property / root of one factor": lambda w: p_sum(w) * (1 + p_branch(w)) ** 0.5,
            "property / behind the sum in the branch only": lambda w: (1 + p_sum(w) * p_branch(w)) ** 0.5,
            "property / w = 1 only": lambda w: factor_by_erf(1),
            "property / w = 1 behind the sum": lambda w: (p_sum(1) * (1 + p_branch(w))) ** 0.5,
            "property / w = 1 in the branch": lambda w: (p_sum(w) * (1 + p_branch(1))) ** 0.5,
            "property / no number": lambda w: (p_branch(w), p_sum(w)),
            "property / something else": lambda w: w,
            "nothing returned": lambda w: print(end=""),
        },
    ),
}
