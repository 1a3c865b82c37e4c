"""Answers to the exercises of notebook 01, second part."""

import numpy as np

from answers import Answers
from ftpkit.perceptron import perceptron


def update_by_loop(w, X, t):
    z = [sum(a * b for a, b in zip(w, x, strict=True)) for x in X]
    new = w.copy()
    for i, x in enumerate(X):
        if t[i] * z[i] <= 0:
            new += t[i] * x
    return new


def update_by_signs(w, X, t):
    signed = X * t[:, None]
    w += signed[np.flatnonzero(~(signed @ w > 0))].sum(0)
    return w


def update_in_a_list(w, X, t):
    return [w[j] + sum(t[i] * X[i, j] for i in range(len(X)) if np.sign(X[i] @ w) != t[i]) for j in range(len(w))]


def update_while_judging(w, X, t):
    for i in range(len(X)):
        w = w + t[i] * X[i] * (t[i] * np.dot(w, X[i]) <= 0)
    return w


def update_by(judge):
    def update(w, X, t):
        new = w.copy()
        for x, target in zip(X, t, strict=True):
            if judge(x @ w, target):
                new = new + target * x
        return new

    return update


def update_and_return_early(w, X, t):
    for x, target in zip(X, t, strict=True):
        if target * (x @ w) <= 0:
            return w + target * x
    return w


def update_from_the_old_weights(w, X, t):
    new = w
    for x, target in zip(X, t, strict=True):
        if target * (x @ w) <= 0:
            new = w + target * x
    return new


def update_overwritten(w, X, t):
    z = X @ w
    for i in range(len(X)):
        if t[i] * z[i] <= 0:
            w = t[i] * X[i]
    return w


def update_without_bias(w, X, t):
    new = update_by_loop(w, X, t)
    new[-1] = w[-1]
    return new


def update_by_mean(w, X, t):
    changes = [target * x for x, target in zip(X, t, strict=True) if target * (x @ w) <= 0]
    return w + np.mean(changes, axis=0) if changes else w


def update_of_two(w, X, t):
    return w + sum(t[i] * X[i] * (t[i] * (X[i] @ w) <= 0) for i in range(2))


def mean_of_a_list(X, t, passes):
    w, seen = np.zeros(X.shape[1]), []
    for i in list(range(len(X))) * passes:
        if not t[i] * np.dot(X[i], w) > 0:
            w = w + t[i] * X[i]
        seen.append(w)
    return np.mean(seen, axis=0)


def mean_from_changes(X, t, passes):
    """Each change counts as often as it is still there."""
    m, n = X.shape
    w, mean = np.zeros(n), np.zeros(n)
    for k in range(passes * m):
        if t[k % m] * (X[k % m] @ w) <= 0:
            w += t[k % m] * X[k % m]
            mean += t[k % m] * X[k % m] * (passes * m - k) / (passes * m)
    return mean


def mean_of_one_array(X, t, passes):
    w, seen = np.zeros(X.shape[1]), []
    for _ in range(passes):
        for x, target in zip(X, t, strict=True):
            if target * (x @ w) <= 0:
                w += target * x
            seen.append(w)
    return np.mean(seen, axis=0)


def walk(X, t, passes, wrong=lambda z, target: target * z <= 0):
    """The weights after each example, and whether it was a mistake, as lists."""
    w, weights, mistakes = [0.0] * X.shape[1], [], []
    for _ in range(passes):
        for x, target in zip(X.tolist(), t.tolist(), strict=True):
            mistakes.append(wrong(sum(a * b for a, b in zip(w, x, strict=True)), target))
            w = [a + target * b for a, b in zip(w, x, strict=True)] if mistakes[-1] else w
            weights.append(w)
    return weights, mistakes


def mean_after_mistakes(X, t, passes):
    weights, mistakes = walk(X, t, passes)
    return np.mean([w for w, mistake in zip(weights, mistakes, strict=True) if mistake], axis=0)


def mean_indented_too_far(X, t, passes):
    w, total = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for _ in range(passes):
        for i in range(len(X)):
            if t[i] * (w @ X[i]) <= 0:
                w = w + t[i] * X[i]
                total += w
    return total / (passes * len(X))


def mean_summed_first(X, t, passes):
    w, total = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for _ in range(passes):
        for i in range(len(X)):
            total += w
            if t[i] * (w @ X[i]) <= 0:
                w = w + t[i] * X[i]
    return total / (passes * len(X))


def mean_per_pass(X, t, passes):
    weights, _ = walk(X, t, passes)
    return np.mean([weights[len(X) * (k + 1) - 1] for k in range(passes)], axis=0)


def mean_begun_anew(X, t, passes):
    for _ in range(passes):
        if _ == 0:
            w = np.zeros(X.shape[1])
        total = np.zeros(X.shape[1])
        for i in range(len(X)):
            w = w + t[i] * X[i] * (t[i] * (w @ X[i]) <= 0)
            total = total + w
    return total / len(X)


def mean_with_weights_of_0_in_every_pass(X, t, passes):
    total = np.zeros(X.shape[1])
    for _ in range(passes):
        w = np.zeros(X.shape[1])
        for i in range(len(X)):
            w = w + t[i] * X[i] * (t[i] * (w @ X[i]) <= 0)
            total = total + w
    return total / passes / len(X)


def mean_until_rest(X, t, passes, of_all=False):
    w, seen = np.zeros(X.shape[1]), []
    for _ in range(passes):
        before = w
        for x, target in zip(X, t, strict=True):
            w = w + target * x if target * (x @ w) <= 0 else w
            seen.append(w)
        if w is before:
            break
    return np.sum(seen, axis=0) / (passes * len(X) if of_all else len(seen))


def mean_named_twice(X, t, passes):
    w = np.zeros(X.shape[1])
    total = w
    for _ in range(passes):
        for i in range(len(X)):
            if t[i] * (w @ X[i]) <= 0:
                w += t[i] * X[i]
            total += w
    return total / passes / len(X)


def mean_in_the_else(X, t, passes):
    w, total, count = np.zeros(X.shape[1]), np.zeros(X.shape[1]), 0
    for _ in range(passes):
        for i in range(len(X)):
            if t[i] * (w @ X[i]) <= 0:
                w = w + t[i] * X[i]
            else:
                total, count = total + w, count + 1
    return total / count if count else total


def mean_by_halves(X, t, passes):
    mean = np.zeros(X.shape[1])
    for w in walk(X, t, passes)[0]:
        mean = 0.5 * mean + 0.5 * np.array(w)
    return mean


def mean_of_sums_of_x(X, t, passes):
    w, total = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for _ in range(passes):
        for i in range(len(X)):
            w = w + X[i] if t[i] * (w @ X[i]) <= 0 else w
            total += w
    return total / passes / len(X)


def mean_of_changes(X, t, passes):
    _, mistakes = walk(X, t, passes)
    return np.tile(t, passes)[mistakes] @ np.tile(X, (passes, 1))[mistakes] / (passes * len(X))


ANSWERS = {
    "batch_update": Answers(
        right=[update_by_loop, update_by_signs, lambda w, X, t: np.array(update_in_a_list(w, X, t))],
        wrong={
            "one after the other": update_while_judging,
            "z = 0 left out": update_by(lambda z, target: z * target < 0),
            "z = 0 left out / by np.sign": update_by(lambda z, target: np.sign(z) == -target),
            "the output judged": update_by(lambda z, target: (z > 0) != (target > 0)),
            "margin on the wrong side": update_by(lambda z, target: z * target > 0),
            "mask forgotten": lambda w, X, t: w + X.T @ t,
            "t forgotten in the condition": update_by(lambda z, target: not z > 0),
            "t forgotten in the sum": lambda w, X, t: w + X.T @ (t * (X @ w) <= 0),
            "away from the target": lambda w, X, t: 2 * w - update_by_loop(w, X, t),
            "weights overwritten": lambda w, X, t: update_by_loop(w, X, t) - w,
            "mean over the batch": lambda w, X, t: w + np.mean((t * (t * (X @ w) <= 0))[:, None] * X, axis=0),
            "mean over the mistakes": update_by_mean,
            "one mistake only": update_and_return_early,
            "the last mistake only": update_from_the_old_weights,
            "margin of 1": update_by(lambda z, target: 1 - z * target >= 0),
            "bias forgotten": update_without_bias,
            "overwritten by the last mistake": update_overwritten,
            "t - h": lambda w, X, t: w + X.T @ (t - (2 * (X @ w > 0) - 1)),
            "summed over everything": lambda w, X, t: w + (X[t * (X @ w) <= 0] * t[t * (X @ w) <= 0, None]).sum(),
            "a list": update_in_a_list,
            "input unchanged": lambda w, X, t: w,
            "first case": lambda w, X, t: np.array([-1.0, 1, -1]),
            "shape": lambda w, X, t: w + t[:, None] * X,
            "one shape only": update_of_two,
            "raised": lambda w, X, t: w + (t * X)[t * (X @ w) <= 0].sum(axis=0),
            "nothing returned": lambda w, X, t: update_by_loop(w, X, t) is None or None,
        },
    ),
    "averaged_perceptron": Answers(
        right=[mean_of_a_list, mean_from_changes],
        wrong={
            "the last weights": lambda X, t, passes: np.array(walk(X, t, passes)[0][-1]),
            "the last weights / one array in a list": mean_of_one_array,
            "the sum": lambda X, t, passes: sum(map(np.array, walk(X, t, passes)[0])),
            "divided by one pass": lambda X, t, passes: mean_of_a_list(X, t, passes) * passes,
            "divided by the number of passes": lambda X, t, passes: mean_of_a_list(X, t, passes) * len(X),
            "after mistakes only": mean_after_mistakes,
            "after mistakes only, divided by all": mean_indented_too_far,
            "before each example": mean_summed_first,
            "with the start": lambda X, t, passes: np.mean([np.zeros(X.shape[1]), *walk(X, t, passes)[0]], axis=0),
            "after each pass": mean_per_pass,
            "last pass only": mean_begun_anew,
            "first pass only": lambda X, t, passes: mean_of_a_list(X, t, 1),
            "first pass only / zeros in every pass": mean_with_weights_of_0_in_every_pass,
            "stops when at rest": mean_until_rest,
            "stops when at rest, divided by all": lambda X, t, passes: mean_until_rest(X, t, passes, of_all=True),
            "never begins": lambda X, t, passes: np.mean(
                walk(X, t, passes, lambda z, target: z * target < 0)[0], axis=0
            ),
            "the output judged": lambda X, t, passes: np.mean(
                walk(X, t, passes, lambda z, target: (z > 0) != (target > 0))[0], axis=0
            ),
            "t forgotten": mean_of_sums_of_x,
            "one array, two names": mean_named_twice,
            "where it was right": mean_in_the_else,
            "half of the last": mean_by_halves,
            "sums of mistakes": mean_of_changes,
            "a list": lambda X, t, passes: mean_of_a_list(X, t, passes).tolist(),
            "shape": lambda X, t, passes: np.array(walk(X, t, passes)[0]),
            "first case": lambda X, t, passes: np.array([1, -0.75]),
            "the kit's own": lambda X, t, passes: perceptron(X, t).weights.mean(axis=0),
            "nothing returned": lambda X, t, passes: mean_of_a_list(X, t, passes) is None or None,
        },
    ),
}
