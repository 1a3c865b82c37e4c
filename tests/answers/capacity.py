"""Answers to the exercises of notebook 01, third part."""

import itertools
import math
from functools import lru_cache

import numpy as np
from scipy.special import comb
from scipy.stats import binom

from answers import Answers


def share_by_recursion(m, n):
    """Cover's own argument: one more example doubles those targets of which a separating line can go through it."""
    counts = [2] * n  # for 1, 2, ..., n weights
    for _ in range(m - 1):
        counts = [counts[k] + (counts[k - 1] if k else 0) for k in range(n)]
    return counts[-1] / 2**m


@lru_cache
def row(m):
    line = [1]
    for k in range(m - 1):
        line.append(line[-1] * (m - 1 - k) // (k + 1))
    return line


def share_with_floats(m, n):
    with np.errstate(over="ignore", invalid="ignore"):
        return 2 * comb(m - 1, np.arange(n)).sum() / np.exp2(m)


def targets_by_columns(X, t, separable):
    columns = [np.array(c) for c in itertools.product((1, -1), repeat=len(X)) if separable(X, np.array(c))]
    pairs = (np.stack(pair, axis=1) for pair in itertools.product(columns, columns))
    return [T for T in pairs if separable(np.hstack([T, np.ones((len(T), 1))]), t)]


def targets_as_tuples(X, t, separable):
    found = set()
    for bits in range(4 ** len(X)):
        T = np.array([1 - 2 * (bits >> k & 1) for k in range(2 * len(X))]).reshape(2, -1).T
        if all(separable(X, column) for column in T.T) and separable(np.column_stack([T, [1] * len(X)]), t):
            found.add(tuple(map(tuple, T.tolist())))
    return found


def every_choice(X):
    return [np.array(c).reshape(len(X), 2) for c in itertools.product((-1, 1), repeat=2 * len(X))]


def targets_for_hidden_units(X, t, separable):
    return [T for T in every_choice(X) if separable(X, T[:, 0]) and separable(X, T[:, 1])]


def targets_for_the_output(X, t, separable):
    return [T for T in every_choice(X) if separable(np.c_[T, np.ones(len(X))], t)]


def targets_without_constant(X, t, separable):
    return [T for T in targets_for_hidden_units(X, t, separable) if separable(T, t)]


def targets_seen_with_the_inputs(X, t, separable):
    return [T for T in targets_for_hidden_units(X, t, separable) if separable(np.c_[T, X], t)]


def targets_without_order(X, t, separable):
    right = targets_by_columns(X, t, separable)
    return [T for T in right if T[:, 0].tolist() <= T[:, 1].tolist()]


def targets_learnt_by_heart(X, t, separable):
    OR, AND = np.array([-1, 1, 1, 1]), np.array([-1, -1, -1, 1])
    pairs = [(OR, AND), (AND, OR)]
    return [np.c_[a * i, b * k] for a, b in pairs for i in (-1, 1) for k in (-1, 1)]


ANSWERS = {
    "my_theorem": Answers(
        right=[{"gamma": 1.414, "bound": 2.0}, {"bound": np.int64(2), "gamma": 2**0.5}],
        wrong={
            "property / the largest, not the smallest": {"gamma": 2.12, "bound": 1},
            "property / w not of length 1": {"gamma": 2, "bound": 1},
            "property / w not of length 1, first example": {"gamma": 3, "bound": 2},
            "property / not the shortest w": {"gamma": 0.707, "bound": 10},
            "property / along an example": {"gamma": 1.342, "bound": 2},
            "property / along an axis": {"gamma": 1, "bound": 5},
            "property / one decimal place": {"gamma": 1.4, "bound": 2},
            "property / too large": {"gamma": 5, "bound": 2},
            "property / too small": {"gamma": 0.5, "bound": 2},
            "property / not whole": {"gamma": 1.41, "bound": 2.5},
            "property / rounded up": {"gamma": 1.41, "bound": 3},
            "property / R of the shortest": {"gamma": 1.41, "bound": 1},
            "property / not squared": {"gamma": 1.41, "bound": 1.58},
            "property / R alone": {"gamma": 1.41, "bound": 5},
            "property / upside down": {"gamma": 1.41, "bound": 0.4},
            "property / many": {"gamma": 1.41, "bound": 50},
            "property / none": {"gamma": 1.41, "bound": 0},
            "property / no number": {"gamma": "sqrt(2)", "bound": 2},
            "property / another form": (1.41, 2),
        },
    ),
    "share_separable": Answers(
        right=[share_by_recursion, lambda m, n: binom.cdf(n - 1, m - 1, 0.5), lambda m, n: 2 * sum(row(m)[:n]) / 2**m],
        wrong={
            "one term too many": lambda m, n: binom.cdf(n, m - 1, 0.5),
            "one term too few": lambda m, n: sum(row(m)[: n - 1]) / 2 ** (m - 1),
            "begins with 1": lambda m, n: sum(row(m)[1:n]) / 2 ** (m - 1),
            "m instead of m - 1": lambda m, n: 2 * sum(math.comb(m, k) for k in range(n)) / 2**m,
            "2 forgotten": lambda m, n: sum(row(m)[:n]) / 2**m,
            "the number": lambda m, n: 2 * sum(row(m)[:n]),
            "per cent": lambda m, n: 100 * float(binom.cdf(n - 1, m - 1, 0.5)),
            "whole numbers": lambda m, n: sum(row(m)[:n]) // 2 ** (m - 1),
            "one term": lambda m, n: float(binom.pmf(n - 1, m - 1, 0.5)),
            "floats too large": share_with_floats,
            "raised": lambda m, n: 2 * sum(float(c) for c in row(m)[:n]) / 2.0**m,
            "first case": lambda m, n: 14 / 16,
            "input unchanged": lambda m, n: m,
            "nothing returned": lambda m, n: print(end=""),
        },
    ),
    "feasible_targets": Answers(
        right=[targets_by_columns, targets_as_tuples, lambda *given: np.array(targets_by_columns(*given))],
        wrong={
            "property / the hidden units alone": targets_for_hidden_units,
            "property / the output alone": targets_for_the_output,
            "property / no constant 1": targets_without_constant,
            "property / pairs without order": targets_without_order,
            "property / by heart": targets_learnt_by_heart,
            "property / twice": lambda *given: 2 * targets_by_columns(*given),
            "property / a number": lambda *given: len(targets_by_columns(*given)),
            "property / the wrong way round": lambda *given: [T.T for T in targets_by_columns(*given)],
            "property / 0 and 1": lambda *given: [(T + 1) // 2 for T in targets_by_columns(*given)],
            "property / 0 and 1 and so on": lambda *given: [T * 2 for T in targets_by_columns(*given)],
            "property / one choice": lambda *given: targets_by_columns(*given)[0],
            "property / seen with the inputs": targets_seen_with_the_inputs,
            "property / words": lambda *given: ["OR and AND", ["XOR"]],
            "raised": lambda X, t, separable: [T for T in every_choice(X) if separable(X, T)],
            "nothing returned": lambda *given: targets_by_columns(*given).clear(),
        },
    ),
}
