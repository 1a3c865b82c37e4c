"""Local search over targets: hill climbing (Prop. 3), beam search, and guided random local search.

A neighbour is a setting that differs in one bit. Every start is the setting that a random network makes
(`random_network`). The trace of an outcome lists the settings that a search stood on, as pairs (evaluation at
which it was seen, value); the value rises only where the search starts anew.
"""

from collections.abc import Callable, Iterator

import numpy as np

from .problem import Evaluator, Outcome, Problem, Spent, State, affine, check_budget

BUDGET = 1000


def hill_climb(
    problem: Problem,
    *,
    objective: str = "loss",
    budget: int | None = BUDGET,
    seed: int = 0,
    callback: Callable[[State], None] | None = None,
    starts: int | None = None,
    start: list[np.ndarray] | None = None,
    on_front: Callable[[list[State]], None] | None = None,
) -> Outcome:
    """Flip the one target whose flip, with all units fitted again, lowers the objective most; until none does.

    Steepest descent: all flips are looked at before one is made, ties are broken at random. Each climb ends in a local
    minimum, which no single flip improves (Prop. 3). The next one has another random start, until the budget is spent,
    `starts` climbs are done, or the value is 0. start: the targets where the first climb begins. on_front: called with
    the setting that is stood on before its neighbours are looked at, as a list of one `State`; callback is called with
    every setting that is looked at. Raises ValueError for a budget below 1, for neither a budget nor a number of
    starts, and for a start that does not fit the problem.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> hill_climb(xor).errors
    0
    """
    options = dict(objective=objective, budget=budget, seed=seed, callback=callback, on_front=on_front)
    options |= dict(starts=starts, start=start)
    return _beam("hill climbing", problem, width=1, pruned=True, **options)


def beam(
    problem: Problem,
    *,
    objective: str = "loss",
    budget: int | None = BUDGET,
    seed: int = 0,
    callback: Callable[[State], None] | None = None,
    width: int | None = 8,
    pruned: bool = True,
    starts: int | None = None,
    start: list[np.ndarray] | None = None,
    on_front: Callable[[list[State]], None] | None = None,
) -> Outcome:
    """Hill climbing with several settings at a time: all their neighbours are looked at, the best `width` are kept.

    No setting is looked at twice from one start. pruned: a neighbour is kept only if it is better than the setting it
    was made from. With width 1 this is `hill_climb`; with width None (no limit) and not pruned it visits all
    2^(m * sum n) settings, nearest first, which proves the best of them optimal for the objective. on_front: called
    with the settings that were kept, best first, before their neighbours are looked at. The rest as `hill_climb`.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(1,))
    >>> outcome = beam(xor, width=None, pruned=False)
    >>> outcome.evaluations, outcome.value, outcome.proved
    (16, 2.0, True)
    """
    method = f"beam, width {'unlimited' if width is None else width}{'' if pruned else ', not pruned'}"
    options = dict(objective=objective, budget=budget, seed=seed, callback=callback, on_front=on_front)
    options |= dict(starts=starts, start=start)
    return _beam(method, problem, width=check_budget(width, "width"), pruned=pruned, **options)


def local_search(
    problem: Problem,
    *,
    objective: str = "loss",
    budget: int | None = BUDGET,
    seed: int = 0,
    callback: Callable[[State], None] | None = None,
    patience: int | None = None,
    temperature: float = 1.0,
    guided: bool = True,
    starts: int | None = None,
    start: list[np.ndarray] | None = None,
) -> Outcome:
    """Guided random local search, in the manner of Nabergall, Toth and Cousins (submitted to ICLR 2019).

    From the present targets, flip a few at random, fit all units again, and go there unless the objective rises. After
    `patience` draws in a row that did not lower it (default: the number of bits, at least 10) begin at another random
    start, until the budget is spent, `starts` are done, or the value is 0.

    Theirs: random perturbation of targets, guided by a heuristic instead of blind, inside a local search, to train
    small hard-threshold networks. Ours, since only their abstract is followed here: the heuristic and all numbers. A
    bit is drawn with probability proportional to exp(-change / temperature), where change is that of the total hinge
    loss if this bit were flipped and all weights kept: eq. 2 of FTPROP takes the sign of a gradient, this the step
    itself, and adds what the unit's own layer loss gains or loses. The number of bits is geometric with mean 2; no
    setting is looked at twice in a row of draws. guided=False draws all bits alike.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> local_search(xor).errors
    0
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be a positive number, not {temperature!r}")
    evaluator, rng = Evaluator(problem, objective, budget, callback, goal=0), np.random.default_rng(seed)
    patience, trace = max(10, problem.bits) if patience is None else check_budget(patience, "patience"), []
    try:
        for targets in _starts(problem, rng, budget, starts, start):
            value, idle, seen = evaluator(targets), 0, {_key(targets)}
            trace.append((evaluator.evaluations, value))
            scores = None
            while idle < patience:
                if scores is None:
                    scores = -change_by_flip(evaluator, targets) / temperature if guided else np.zeros(problem.bits)
                idle += 1
                noisy = scores + rng.gumbel(size=problem.bits)
                near = flipped(targets, np.argsort(-noisy)[: rng.geometric(0.5)])  # so drawn without replacement
                if _key(near) in seen:
                    continue
                seen.add(_key(near))
                reached = evaluator(near)
                if reached <= value:
                    trace.append((evaluator.evaluations, reached))
                    if reached < value:
                        idle, seen = 0, {_key(near)}
                    targets, value, scores = near, reached, None
    except Spent:
        pass
    return evaluator.outcome("local search" if guided else "local search, not guided", trace=tuple(trace))


def random_network(problem: Problem, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights of a network with standard normal weights and biases, the first layer on standardised inputs.

    Its hidden outputs are the usual start of a search: a setting that the hidden units can realise.
    """
    mean, std = problem.X.mean(axis=0), problem.X.std(axis=0)
    sizes = [problem.X.shape[1], *problem.hidden, 1]
    weights = [rng.standard_normal((width, inputs + 1)) for inputs, width in zip(sizes, sizes[1:], strict=False)]
    weights[0][:, :-1] /= np.where(std > 0, std, 1)
    weights[0][:, -1] -= weights[0][:, :-1] @ mean
    return weights


def change_by_flip(evaluator: Evaluator, targets: list[np.ndarray]) -> np.ndarray:
    """The change of the total hinge loss by the flip of each bit if no weight changed, (bits,): an upper bound."""
    inputs = [evaluator.problem.X, *targets]
    wanted = [*targets, evaluator.problem.y[:, None]]
    weights = [np.stack([evaluator.fit(h, t)[0] for t in T.T]) for h, T in zip(inputs, wanted, strict=True)]
    zs = [affine(h, W) for h, W in zip(inputs, weights, strict=True)]
    changes = []
    for d, T in enumerate(targets):
        own = _hinge(-T * zs[d]) - _hinge(T * zs[d])
        above, W = wanted[d + 1], weights[d + 1][:, :-1]
        z = zs[d + 1][:, None, :] - 2 * T[:, :, None] * W.T  # (m, unit flipped, unit above)
        changes.append(own + (_hinge(above[:, None, :] * z) - _hinge(above * zs[d + 1])[:, None, :]).sum(axis=2))
    return np.concatenate([change.ravel() for change in changes])


def flipped(targets: list[np.ndarray], bits) -> list[np.ndarray]:
    """Copies of the targets with these bits turned; bits are numbered through T_1, row by row, then T_2, and so on."""
    flat = np.concatenate([T.ravel() for T in targets])
    flat[bits] *= -1
    parts = np.split(flat, np.cumsum([T.size for T in targets])[:-1])
    return [part.reshape(T.shape) for part, T in zip(parts, targets, strict=True)]


def _beam(method, problem, *, objective, budget, seed, callback, on_front, width, pruned, starts, start) -> Outcome:
    evaluator, rng = Evaluator(problem, objective, budget, callback, goal=0), np.random.default_rng(seed)
    everything, trace, proved = width is None and not pruned, [], False
    try:
        for targets in _starts(problem, rng, budget, 1 if everything else starts, start):
            front, seen = [(evaluator(targets), evaluator.evaluations, targets)], {_key(targets)}
            while front:
                trace.append((front[0][1], front[0][0]))
                if on_front is not None:
                    on_front([State(n, [T.copy() for T in kept], value, evaluator.best) for value, n, kept in front])
                found = []
                for value, _, targets in front:
                    for bit in rng.permutation(problem.bits).tolist():
                        near = flipped(targets, [bit])
                        if _key(near) not in seen:
                            seen.add(_key(near))
                            reached = evaluator(near)
                            if reached < value or not pruned:
                                found.append((reached, evaluator.evaluations, near))
                front = sorted(found, key=lambda item: item[:2])[:width]  # ties stay in their random order
            proved = everything
    except Spent:
        if evaluator.best == 0 and trace[-1][1] > 0:
            trace.append((evaluator.evaluations, evaluator.best))
    return evaluator.outcome(method, proved=proved, trace=tuple(trace))


def _starts(problem, rng, budget, starts, start) -> Iterator[list[np.ndarray]]:
    """The given start, then random ones."""
    if check_budget(starts, "starts") is None and budget is None:
        raise ValueError("without a budget a search that starts anew never ends; give a budget, or a number of starts")
    done = 0
    while starts is None or done < starts:
        if done == 0 and start is not None:
            yield problem.check_targets(start)
        else:
            yield problem.forward(random_network(problem, rng))[0]
        done += 1


def _hinge(margin: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - margin)


def _key(targets: list[np.ndarray]) -> bytes:
    return b"".join(T.tobytes() for T in targets)
