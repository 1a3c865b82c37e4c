"""Answers to the exercises of notebook 02, second part."""

import heapq
from itertools import product

import numpy as np

from answers import Answers


def gain_by_loops(h, W, t):
    gain = np.zeros(h.shape)
    for i in range(len(h)):
        for j in range(h.shape[1]):
            row = [float(value) for value in h[i]]
            before = sum(max(0, 1 - t[i, k] * (W[k, :-1] @ row + W[k, -1])) for k in range(len(W)))
            row[j] = -row[j]
            after = sum(max(0, 1 - t[i, k] * (W[k, :-1] @ row + W[k, -1])) for k in range(len(W)))
            gain[i, j] = before - after
    return gain


def gain_without_a_loop(h, W, t):
    inputs = np.hstack([h, np.ones((len(h), 1))])
    z = np.einsum("in,kn->ik", inputs, W)
    flipped = z[:, None, :] - 2.0 * h[:, :, None] * W[:, :-1].T[None]
    return np.clip(1 - t * z, 0, None).sum(1)[:, None] - np.clip(1 - t[:, None] * flipped, 0, None).sum(2)


def gain_with(change=lambda h, j: [-row[n] if n == j else row[n] for row in [h] for n in range(len(h))], cost=None):
    """Row by row, with another change of the row or another cost of an instance."""

    def hinge(z, t):
        return np.where(t * z < 1, 1 - t * z, 0).sum()

    def answer(h, W, t):
        cost_of = cost or hinge
        gain = np.empty(h.shape)
        for (i, j), _ in np.ndenumerate(h):
            before, after = list(map(float, h[i])), change(list(map(float, h[i])), j)
            now, then = (W @ np.array([*row, 1.0]) for row in (before, after))
            gain[i, j] = cost_of(now, t[i]) - cost_of(then, t[i])
        return gain

    return answer


def one_changed(value):
    return lambda row, j: row[:j] + [value] + row[j + 1 :]


def gain_by_the_slope(h, W, t, step=None):
    gain = np.zeros(h.shape)
    for i, k in np.ndindex(t.shape):
        if t[i, k] * (W[k, :-1] @ h[i] + W[k, -1]) < 1:
            gain[i] += t[i, k] * W[k, :-1]
    return gain if step is None else gain * step(h)


def gain_never_flipped_back(h, W, t):
    h = h.copy()
    gain = np.zeros(h.shape)
    z = h @ W[:, :-1].T + W[:, -1]
    before = np.maximum(0, 1 - t * z).sum(1)
    for j in range(h.shape[1]):
        h[:, j] = -h[:, j]
        z = h @ W[:, :-1].T + W[:, -1]
        gain[:, j] = before - np.maximum(0, 1 - t * z).sum(1)
    return gain


def gain_in_an_array_like_h(h, W, t):
    gain = np.zeros_like(h)
    gain[:] = gain_without_a_loop(h, W, t)
    return gain


def gain_of_the_batch(h, W, t):
    return gain_without_a_loop(h, W, t).sum(axis=0)


def one_flip_away(T):
    for i, j in product(range(T.shape[0]), range(T.shape[1])):
        near = T.copy()
        near[i, j] = -near[i, j]
        yield near


def climb_by_pairs(T, evaluate):
    pairs = (far for near in one_flip_away(T) for far in one_flip_away(near))
    return next(far for far in pairs if evaluate([far]) == 0)


def climb_breadth_first(T, evaluate):
    line, seen = [T], set()
    while line:
        T = line.pop(0)
        if tuple(T.flatten()) in seen:
            continue
        seen.add(tuple(T.flatten()))
        if evaluate([T]) == 0:
            return T
        line += one_flip_away(T)


def climb_best_first(T, evaluate):
    heap, seen = [(evaluate([T]), 0, T)], {str(T)}
    while heap[0][0] > 0:
        _, _, T = heapq.heappop(heap)
        for near in one_flip_away(T):
            if str(near) not in seen:
                seen.add(str(near))
                heapq.heappush(heap, (evaluate([near]), len(seen), near))
    return heap[0][2].tolist()


def climb_that_stays(T, evaluate):
    value = evaluate([T])
    for near in one_flip_away(T):
        if evaluate([near]) < value:
            return climb_that_stays(near, evaluate)
    return T


def climb_back_and_forth(T, evaluate):
    while evaluate([T]) > 0:
        T = min(one_flip_away(T), key=lambda near: evaluate([near]))
    return T


def climb_one_step_sideways(T, evaluate):
    return min(one_flip_away(T), key=lambda near: evaluate([near])) if evaluate([T]) > 0 else T


def learnt_by_heart(T, evaluate):
    return np.array([[-1, 1, -1, -1], [-1, -1, 1, -1], [-1, -1, 1, -1]][: T.shape[1]]).T


ANSWERS = {
    "gain_of_flips": Answers(
        right=[gain_by_loops, gain_without_a_loop],
        wrong={
            "after less before": lambda h, W, t: 0 - gain_without_a_loop(h, W, t),
            "bias forgotten": lambda h, W, t: gain_by_loops(h, W * np.r_[np.ones(W.shape[1] - 1), 0], t),
            "bias first": lambda h, W, t: gain_by_loops(h, np.c_[W[:, 1:], W[:, 0]], t),
            "away from the other side": gain_with(lambda row, j: [3 * x if n == j else x for n, x in enumerate(row)]),
            "half a flip": gain_with(one_changed(0.0)),
            "the slope, all the way": lambda h, W, t: gain_by_the_slope(h, W, t, step=lambda h: -h - h),
            "the slope": gain_by_the_slope,
            "the whole instance flipped": gain_with(lambda row, j: [-value for value in row]),
            "not flipped back": gain_never_flipped_back,
            "set to +1": gain_with(one_changed(1.0)),
            "-1 against +1": lambda h, W, t: np.where(h > 0, -1, 1) * gain_by_loops(h, W, t),
            "only what helps": lambda h, W, t: gain_by_loops(h, W, t).clip(min=0),
            "mean over the units": lambda h, W, t: gain_by_loops(h, W, t) / t.shape[1],
            "mean over everything": lambda h, W, t: gain_by_loops(h, W, t) / len(t) / len(W),
            "summed over the batch": lambda h, W, t: np.ones(h.shape) * gain_by_loops(h, W, t).sum(axis=0),
            "target of 0 treated as -1": lambda h, W, t: gain_by_loops(h, W, (t > 0) * 2 - 1),
            "first unit only": lambda h, W, t: gain_by_loops(h, W[[0]], t[:, [0]]),
            "no floor": gain_with(cost=lambda z, t: (1 - t * z).sum()),
            "no margin": gain_with(cost=lambda z, t: np.where(t * z < 0, -t * z, 0).sum()),
            "errors instead of losses": gain_with(
                cost=lambda z, t: np.sum((t == 1) & (z <= 0) | (t == -1) & (z > 0)) * 1.0
            ),
            "whole numbers": gain_in_an_array_like_h,
            "shape": gain_of_the_batch,
            "first case": lambda h, W, t: np.array([[-2.0, 1.5]]),
            "input unchanged": lambda h, W, t: h,
        },
    ),
    "climb_out": Answers(
        right=[climb_breadth_first, climb_best_first],
        wrong={
            "property / stays": climb_that_stays,
            "property / one step": climb_one_step_sideways,
            "property / three things": lambda T, evaluate: (T, evaluate([T]), [T]),
            "property / a list around it": lambda T, evaluate: [climb_breadth_first(T, evaluate)],
            "property / one unit": lambda T, evaluate: T[:, 0],
            "property / learnt by heart": learnt_by_heart,
            "property / words": lambda T, evaluate: "solved",
            "raised": climb_back_and_forth,
            "raised / pairs of flips only": climb_by_pairs,
            "raised / without the list": lambda T, evaluate: T if evaluate(T) == 0 else -T,
            "nothing returned": lambda T, evaluate: climb_breadth_first(T, evaluate) is None or None,
        },
    ),
}
