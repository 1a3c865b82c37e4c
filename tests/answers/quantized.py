"""Answers to the exercises of notebook 06, first half."""

import math

import numpy as np
import torch

from answers import Answers


def effects(steps=("falls", "stays", "stays"), width=("grows", "falls", "grows")):
    whats = ("rounding", "clipping", "gradient")
    return {
        "more steps": dict(zip(whats, steps, strict=True)),
        "wider range": dict(zip(whats, width, strict=True)),
    }


def staircase(z, k):
    return sum((z > i / (k - 1)).to(z.dtype) for i in range(k)) / k


def shares_level_by_level(z, k):
    passed = sum((z > i / (k - 1)).long() for i in range(k))
    return torch.stack([(passed == level).double().mean() for level in range(k + 1)])


def shares_with_histogram(z, k):
    h = staircase(z, k).numpy().ravel()
    return np.histogram(h * k, bins=np.arange(k + 2) - 0.5)[0] / h.size


def shares_one_by_one(z, k):
    shares = [0.0] * (k + 1)
    for number in z.flatten().tolist():
        shares[sum(number > i / (k - 1) for i in range(k))] += 1 / z.numel()
    return torch.tensor(shares)


def shares_of_unique_levels(z, k):
    h = staircase(z, k)
    return torch.tensor([(h == level).double().mean() for level in h.unique()])


def shares_without_the_top(z, k):
    passed = sum((z > i / (k - 1)).long() for i in range(k))
    return torch.stack([(passed == level).double().mean() for level in range(k)])


def shares_as_far_as_they_go(z, k):
    passed = sum((z > i / (k - 1)).long() for i in range(k))
    return torch.stack([(passed == level).double().mean() for level in range(int(passed.max()) + 1)])


def shares_without_an_end(z, k):
    level = torch.ceil(z.clamp(min=0) * (k - 1))
    return torch.stack([(level == n).double().mean() for n in range(max(k, int(level.max())) + 1)])


def shares_beyond(z, k):
    return torch.stack([(z > i / (k - 1)).double().mean() for i in range(k)])


def shares_with_closed_thresholds(z, k):
    passed = sum((z >= i / (k - 1)).long() for i in range(k))
    return torch.stack([(passed == level).double().mean() for level in range(k + 1)])


def shares_of_rounding(z, k):
    nearest = torch.floor(k * z.clamp(0, 1) + 0.5)
    return torch.stack([(nearest == level).double().mean() for level in range(k + 1)])


def shares_with_thresholds_of_levels(z, k):
    passed = sum((z > i / k).long() for i in range(k))
    return torch.stack([(passed == level).double().mean() for level in range(k + 1)])


def shares_of_boxes(z, k):
    edges = torch.linspace(0, 1, k + 2)[1:-1]
    return torch.bincount(torch.bucketize(z.flatten(), edges, right=True), minlength=k + 1) / z.numel()


def shares_of_each_unit(z, k):
    passed = sum((z > i / (k - 1)).long() for i in range(k))
    return torch.stack([(passed == level).double().mean(0) for level in range(k + 1)])


def steps_by_formula(r):
    return max(2, math.ceil((1 + math.sqrt(1 + 8 * r**2)) / 2))


def steps_by_errors(r):
    k = 2
    while 1 / (6 * k * (k - 1)) > 1 / (12 * r**2):
        k += 1
    return k


def steps_by_list(r):
    return next(k for k in range(2, 10 * r + 2) if k * (k - 1) >= 2 * r * r)


def steps_while(r, go_on, k=2):
    while go_on(k):
        k += 1
    return k


ANSWERS = {
    "effects": Answers(
        right=[
            dict(reversed(effects().items())),
            {move: {what: f" {said.title()}" for what, said in told.items()} for move, told in effects().items()},
        ],
        wrong={
            "property / rounding grows with the steps": effects(steps=("grows", "stays", "stays")),
            "property / rounding stays with the steps": effects(steps=("stays", "stays", "stays")),
            "property / clipping falls with the steps": effects(steps=("falls", "falls", "stays")),
            "property / clipping grows with the steps": effects(steps=("falls", "grows", "stays")),
            "property / gradient falls with the steps": effects(steps=("falls", "stays", "falls")),
            "property / gradient grows with the steps": effects(steps=("falls", "stays", "grows")),
            "property / rounding falls with the range": effects(width=("falls", "falls", "grows")),
            "property / rounding stays with the range": effects(width=("stays", "falls", "grows")),
            "property / clipping grows with the range": effects(width=("grows", "grows", "grows")),
            "property / clipping stays with the range": effects(width=("grows", "stays", "grows")),
            "property / gradient falls with the range": effects(width=("grows", "falls", "falls")),
            "property / gradient stays with the range": effects(width=("grows", "falls", "stays")),
            "property / another word": effects(steps=("smaller", "stays", "stays")),
            "property / another form": ["falls", "stays", "stays", "grows", "falls", "grows"],
        },
    ),
    "level_shares": Answers(
        right=[shares_level_by_level, shares_with_histogram, shares_one_by_one],
        wrong={
            "counts": lambda z, k: shares_one_by_one(z, k) * z.numel(),
            "percent": lambda z, k: 100 * shares_level_by_level(z, k),
            "divided by the batch only": lambda z, k: shares_level_by_level(z, k) * z.numel() / z.shape[0],
            "dead levels left out": shares_of_unique_levels,
            "as long as the highest level taken": shares_as_far_as_they_go,
            "top level left out": shares_without_the_top,
            "no upper end": shares_without_an_end,
            "shares beyond the thresholds": shares_beyond,
            "the outputs themselves": staircase,
            "a threshold is passed on it": shares_with_closed_thresholds,
            "rounding": shares_of_rounding,
            "thresholds 1/k apart": shares_with_thresholds_of_levels,
            "k + 1 equal boxes for z": shares_of_boxes,
            "top level first": lambda z, k: torch.tensor(shares_one_by_one(z, k).tolist()[::-1]),
            "shape / of each unit": shares_of_each_unit,
            "one shape only": lambda z, k: shares_level_by_level(z, 3),
            "first case": lambda z, k: torch.tensor([0.2, 0.4, 0.2, 0.2]),
            "nothing returned": lambda z, k: print(end=""),
        },
    ),
    "steps_for": Answers(
        right=[steps_by_formula, steps_by_errors, steps_by_list],
        wrong={
            "strictly smaller": lambda r: steps_while(r, lambda k: 1 / (6 * k * (k - 1)) >= 1 / (12 * r**2)),
            "rounded down": lambda r: int((1 + math.sqrt(1 + 8 * r**2)) / 2),
            "no whole number": lambda r: (1 + math.sqrt(1 + 8 * r**2)) / 2,
            "one too many": lambda r: 1 + steps_by_errors(r),
            "k instead of k - 1": lambda r: steps_while(r, lambda k: 1 / (6 * k**2) > 1 / (12 * r**2)),
            "largest errors": lambda r: steps_while(r, lambda k: 1 / k > 1 / (2 * r)),
            "one step more": lambda r: 1 + r,
            "the two exchanged": lambda r: steps_while(r, lambda k: 12 * k**2 < 6 * r * (r - 1)),
            "input unchanged": lambda r: r,
            "first case": lambda r: 5,
            "raised": lambda r: steps_while(r, lambda k: 1 / (6 * k * (k - 1)) > 1 / (12 * r**2), k=1),
        },
    ),
}
