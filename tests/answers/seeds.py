"""Answers to the exercises of notebook 08 that are functions."""

import math
import statistics

import numpy as np
import torch
from scipy import stats

from answers import Answers
from ftpkit import paired
from ftpkit.runs import protocols


def error_by_hand(values):
    n = len(values)
    if n == 1:
        return None
    mean = sum(values) / n
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)


def error_by_library(values):
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None


def error_by_torch(values):
    return torch.tensor(values).std() / math.sqrt(len(values)) if values[1:] else None


def but_for_one(formula):
    return lambda values: formula(np.array(values)) if len(values) > 1 else None


def halves_in_loops(halves):
    found = []
    for run in halves.tolist():
        a, b = [epoch[0] for epoch in run], [epoch[1] for epoch in run]
        found.append((b[a.index(max(a))] + a[b.index(max(b))]) / 2)
    return np.array(found)


def halves_with_indices(halves):
    runs, (a, b) = np.arange(len(halves)), halves.argmax(axis=1).T
    return (halves[runs, a, 1] + halves[runs, b, 0]) / 2


def halves_by_torch(halves):
    halves = torch.as_tensor(halves)
    chosen = halves.max(dim=1, keepdim=True).indices
    return halves.flip(2).gather(1, chosen).mean(dim=(1, 2))


def by_one_half(halves, chooser):
    return np.array([run[run[:, chooser].argmax(), 1 - chooser] for run in halves])


def from_the_end(halves):
    return np.array([halves_with_indices(run[None, ::-1])[0] for run in halves])


def first_run_only(halves):
    (a, b), run = halves[0].argmax(axis=0), halves[0]
    return np.array([(run[a, 1] + run[b, 0]) / 2])


def interval_by_library(a, b):
    gaps = torch.tensor(100 * (a - b))
    low, high = stats.t.interval(0.95, len(gaps) - 1)
    error = gaps.std() / len(gaps) ** 0.5
    return [gaps.mean(), gaps.mean() + low * error, gaps.mean() + high * error]


def interval_by_hand(a, b):
    gaps = [100 * (one - other) for one, other in zip(a.tolist(), b.tolist(), strict=True)]
    n, mean = len(gaps), sum(gaps) / len(gaps)
    error = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / (n - 1) / n)
    return np.array([mean, mean - stats.t.ppf(0.975, n - 1) * error, mean + stats.t.ppf(0.975, n - 1) * error])


def around(mean, half):
    return mean, mean - half, mean + half


def with_width(width):
    """An answer that gets the mean right, and makes this of the differences for the half width."""
    return lambda a, b: around(100 * np.mean(a - b), width(100 * a - 100 * b))


def with_both(width):
    return lambda a, b: around(100 * (a.mean() - b.mean()), 100 * width(a, b))


ANSWERS = {
    "standard_error": Answers(
        right=[error_by_hand, error_by_library, error_by_torch],
        wrong={
            "property / n": but_for_one(lambda values: values.std() / len(values) ** 0.5),
            "property / of one seed": but_for_one(lambda values: statistics.stdev(values.tolist())),
            "property / of one seed, n": lambda values: np.std(values),
            "property / divided by n": but_for_one(lambda values: values.std(ddof=1) / len(values)),
            "property / root of n - 1": but_for_one(lambda values: values.std(ddof=1) / np.sqrt(len(values) - 1)),
            "property / variance": lambda values: statistics.variance(values) if len(values) > 1 else None,
            "property / squared": but_for_one(lambda values: values.var(ddof=1) / len(values)),
            "property / mean": lambda values: sum(values) / len(values),
            "property / range": lambda values: max(values) - min(values),
            "property / absolute": lambda values: np.mean([abs(value - np.mean(values)) for value in values]),
            "property / rounded": lambda values: round(error_by_hand(values) or 0, 2),
            "property / no number": lambda values: values,
            "property / something else": lambda values: 1.0,
            "0 for one seed": lambda values: error_by_hand(values) or 0,
            "NaN for one seed": lambda values: stats.sem(values) if len(values) > 1 else float("nan"),
            "raised": lambda values: statistics.stdev(values) / len(values) ** 0.5,
            "nothing returned": but_for_one(lambda values: None),
        },
    ),
    "on_the_other_half": Answers(
        right=[halves_in_loops, halves_with_indices, halves_by_torch],
        wrong={
            "judged by itself": lambda halves: (halves[:, :, 0].max(1) + halves[:, :, 1].max(1)) / 2,
            "last epoch": lambda halves: np.array([run[-1].mean() for run in halves]),
            "best of both halves together": lambda halves: np.array([max(map(np.mean, run)) for run in halves]),
            "the best figure of all": lambda halves: halves.reshape(len(halves), -1).max(axis=1),
            "second half judges only": lambda halves: by_one_half(halves, chooser=0),
            "first half judges only": lambda halves: by_one_half(halves, chooser=1),
            "last of those that tie": from_the_end,
            "epochs instead of shares": lambda halves: sum(halves[:, :, half].argmax(1) for half in (0, 1)) / 2,
            "in per cent": lambda halves: 100 * halves_with_indices(halves),
            "a list": lambda halves: halves_in_loops(halves).tolist(),
            "shape": lambda halves: halves_with_indices(halves).mean(),
            "one shape only": first_run_only,
            "first case": lambda halves: np.array([0.375]),
            "the kit's own": lambda halves: np.array(
                [protocols.selected([{"test_halves": epoch} for epoch in run]) for run in halves.tolist()]
            ),
        },
    ),
    "paired_interval": Answers(
        right=[interval_by_library, interval_by_hand],
        wrong={
            "property / n": with_width(lambda gaps: stats.t.ppf(0.975, len(gaps) - 1) * gaps.std() / len(gaps) ** 0.5),
            "property / 1.96": with_width(lambda gaps: 1.96 * stats.sem(gaps)),
            "property / 1.96, n": with_width(lambda gaps: 1.96 * np.std(gaps) / math.sqrt(len(gaps))),
            "property / 2": with_width(lambda gaps: 2 * stats.sem(gaps)),
            "property / root of n - 1": with_width(
                lambda gaps: stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / (len(gaps) - 1) ** 0.5
            ),
            "property / scatter": with_width(lambda gaps: statistics.stdev(gaps.tolist())),
            "property / a share": with_width(lambda gaps: stats.t.ppf(0.975, len(gaps) - 1) * stats.sem(gaps / 100)),
            "property / no quantile": with_width(stats.sem),
            "property / n degrees": with_width(lambda gaps: stats.t.ppf(0.975, len(gaps)) * stats.sem(gaps)),
            "property / one-sided": with_width(lambda gaps: stats.t.ppf(0.95, len(gaps) - 1) * stats.sem(gaps)),
            "property / one seed more": with_width(
                lambda gaps: stats.t.ppf(0.975, len(gaps) - 1) * statistics.stdev(gaps.tolist())
            ),
            "property / divided by n": with_width(
                lambda gaps: stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps)
            ),
            "property / not paired": with_both(
                lambda a, b: stats.t.ppf(0.975, len(a) - 1) * math.hypot(stats.sem(a), stats.sem(b))
            ),
            "property / 2 n seeds": lambda a, b: (
                100 * np.mean(a - b),
                *(100 * end for end in stats.ttest_ind(a, b).confidence_interval(0.95)),
            ),
            "property / of a alone": with_both(lambda a, b: stats.t.ppf(0.975, len(a) - 1) * stats.sem(a) * 3),
            "property / b - a": lambda a, b: interval_by_hand(b, a),
            "property / shares": lambda a, b: interval_by_hand(a, b) / 100,
            "property / the accuracy of a": lambda a, b: around(100 * a.mean(), 1),
            "property / width only": lambda a, b: np.subtract(interval_by_hand(a, b), [0, *[100 * np.mean(a - b)] * 2]),
            "property / changed places": lambda a, b: interval_by_hand(a, b)[[0, 2, 1]],
            "property / ends first": lambda a, b: np.sort(interval_by_hand(a, b)),
            "property / rounded": lambda a, b: np.round(interval_by_hand(a, b), 2),
            "property / two numbers": lambda a, b: interval_by_hand(a, b)[1:],
            "property / one number": lambda a, b: 100 * np.mean(a - b),
            "the kit's own": lambda a, b: (lambda gap: (gap.mean, gap.low, gap.high))(paired.by_seed(a, b)),
        },
    ),
}
