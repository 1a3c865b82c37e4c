"""A search step by step: what it looks at and what it decides, and what every unit is asked for there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..ftprop.batch import Moment, Proposed, ftprop
from ..separability import Points, Verdict, hinge_fit
from .local import beam, flipped
from .problem import Outcome, Problem, State, affine, sign

BEAM = 4
LOOKS = 400  # evaluations of a climb or a beam
PROPOSALS = 40
TO_THE_LETTER = dict(proposal="gradient", failure="outputs always", noise=False)

METHODS = ("Algorithm 1", "Algorithm 1, eq. 2", "Hill climbing", f"Beam of {BEAM}")


@dataclass(frozen=True, eq=False)
class Position:
    """Where a search stands: a setting that it looks at or asks for, or one that it has decided for.

    said: what happens here, in a clause. decision: was something decided? targets: T_1 ... T_{l-1}, (m, n_d) in
    {-1, 0, +1}, 0 where a unit has no wish. outputs: the same, and where there is no wish the unit's output: what the
    layer above goes by. before: what `outputs` is to be compared with, the setting that this one came from. weights:
    W_1 ... W_l of the network of the moment, None where the search has no network. evaluations: so far. trace: of
    Algorithm 1, so far. line: the entry of the trace that this is about. kept: the evaluations of the settings that
    the search stands on.
    """

    said: str
    decision: bool
    targets: list[np.ndarray]
    outputs: list[np.ndarray]
    before: list[np.ndarray]
    weights: list[np.ndarray] | None
    evaluations: int
    trace: tuple[Proposed, ...] = ()
    line: int | None = None
    kept: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Course:
    """A whole search: its positions in order, the loss at every evaluation (none for Algorithm 1), and its outcome."""

    method: str
    positions: tuple[Position, ...]
    losses: tuple[float, ...]
    outcome: Outcome


@dataclass(frozen=True, eq=False)
class Unit:
    """One unit as a perceptron of its own, and whether a line gives it what it is asked for.

    layer, number: counted from 1, hidden units numbered through all layers; name: "unit 1", ..., "output". X (m, n),
    t (m,) in {-1, 0, +1}: its training set. verdict: of `separability.separate`, exact. weights (n + 1,): those of the
    network if they give t, else those of the least hinge loss; wrong: instances that they do not give their target.
    loss: the least hinge loss.
    """

    layer: int
    number: int
    name: str
    X: np.ndarray
    t: np.ndarray
    verdict: Verdict
    weights: np.ndarray
    wrong: np.ndarray
    loss: float


def course(problem: Problem, method: str, seed: int = 0) -> Course:
    """A search from one random start, to its end: solved, stuck, or out of budget.

    method: one of METHODS. Algorithm 1 has PROPOSALS proposals, with the kit's rule or with eq. 2 to the letter of the
    paper; every proposal is two positions, what is asked for and what comes of it. Hill climbing and the beam, which
    also keeps what is not better, minimise the total hinge loss with LOOKS evaluations; every evaluation is a
    position, and every decision is one. Raises ValueError for another method, and as the searches do.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> climb = course(xor, "Hill climbing", seed=3)
    >>> for position in climb.positions:
    ...     print(position.said)
    start: the outputs of a random network, loss 2
    look 1 of 8: unit 1, instance 3 flipped: loss 2, not lower
    look 2 of 8: unit 1, instance 2 flipped: loss 0: solved
    """
    if method not in METHODS:
        raise ValueError(f"a search is one of {', '.join(map(repr, METHODS))}, not {method!r}")
    if method.startswith("Algorithm 1"):
        return _algorithm_1(problem, method, seed)
    return _local(problem, method, seed)


def units(problem: Problem, targets: list[np.ndarray], outputs=None, weights=None) -> tuple[Unit, ...]:
    """Every unit of the network with its own training set, cut out at the targets; the output unit is the last.

    targets, outputs, weights: as of a `Position`; outputs may be left out where every target is -1 or +1.

    >>> xor = Problem([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1], hidden=(2,))
    >>> [(unit.name, unit.verdict.separable) for unit in units(xor, [[[-1, -1], [1, 1], [1, -1], [-1, 1]]])]
    [('unit 1', False), ('unit 2', True), ('output', True)]
    """
    targets = [np.asarray(T) for T in targets]
    outputs = targets if outputs is None else outputs
    found, names = [], [*unit_names(problem), "output"]
    for d, (h, T) in enumerate(zip([problem.X, *outputs], [*targets, problem.y[:, None]], strict=True)):
        points = Points(h)
        for k, t in enumerate(np.ascontiguousarray(T.T)):
            fitted, loss = hinge_fit(h, t)
            w = fitted if weights is None else weights[d][k]
            if _misses(w, h, t).any():
                w = fitted
            number = len(found)
            found.append(Unit(d + 1, number + 1, names[number], h, t, points.separate(t), w, _misses(w, h, t), loss))
    return tuple(found)


def unit_names(problem: Problem) -> list[str]:
    """The hidden units, numbered through all layers."""
    return [f"unit {k + 1}" for k in range(sum(problem.hidden))]


def flipped_by_hand(problem: Problem, position: Position, flips: Sequence[tuple[int, int]]) -> tuple[list, list]:
    """The targets and outputs of a position with some turned: flips are pairs (unit, instance), counted from 1.

    A target that is turned is a wish, also where there was none. Raises ValueError for a pair that is not there.
    """
    targets, outputs = ([T.copy() for T in tables] for tables in (position.targets, position.outputs))
    place = [(d, k) for d, width in enumerate(problem.hidden) for k in range(width)]
    for unit, instance in flips:
        if not (1 <= unit <= len(place) and 1 <= instance <= problem.m):
            raise ValueError(
                f"there is no target for unit {unit}, instance {instance}: units are 1 to {len(place)}, instances 1 to "
                f"{problem.m}"
            )
        d, k = place[unit - 1]
        outputs[d][instance - 1, k] *= -1
        targets[d][instance - 1, k] = outputs[d][instance - 1, k]
    return targets, outputs


def _misses(w: np.ndarray, h: np.ndarray, t: np.ndarray) -> np.ndarray:
    return (sign(affine(h, w[None])[:, 0]) != t) & (t != 0)


# --- hill climbing and beam -----------------------------------------------------------------------------------------


def _local(problem: Problem, method: str, seed: int) -> Course:
    pruned = method == "Hill climbing"
    looks: list[State] = []
    fronts: list[tuple[int, list[State]]] = []
    options = dict(callback=looks.append, on_front=lambda front: fronts.append((len(looks), front)))
    outcome = beam(problem, width=1 if pruned else BEAM, pruned=pruned, starts=1, budget=LOOKS, seed=seed, **options)

    positions = []

    def add(said, state, before, kept, decision=False, evaluations=None):
        T, done = state.targets, state.evaluations if evaluations is None else evaluations
        ends = ": solved" if state.value == 0 else ""
        numbers = tuple(s.evaluations for s in kept)
        positions.append(Position(said + ends, decision, T, T, before.targets, None, done, kept=numbers))

    start = looks[0]
    add(f"start: the outputs of a random network, loss {start.value:g}", start, start, [start], decision=True)
    for (first, front), (end, following) in zip(fronts, [*fronts[1:], (len(looks), [])], strict=True):
        several = _unseen(problem, front, looks[:first])
        for count, look in enumerate(looks[first:end], start=1):
            parent = next(s for s in front if _differing(s, look) == 1)
            than = "" if not pruned or look.value == 0 else ", lower" if look.value < parent.value else ", not lower"
            said = f"look {count} of {several}: {_turned(problem, parent, look)} flipped: loss {look.value:g}{than}"
            add(said, look, parent, front)
        before = front[0]
        if following and pruned:
            said = f"the best of these {end - first} flips is kept: loss {before.value:g} to {following[0].value:g}"
        elif following:
            losses = ", ".join(f"{s.value:g}" for s in following)
            said = f"the best {len(following)} of {end - first} settings are kept, losses {losses}"
        elif outcome.value == 0:
            break
        elif outcome.evaluations == LOOKS:
            said = f"the budget of {LOOKS} evaluations is spent: the least loss was {outcome.value:g}"
            following = [min(looks, key=lambda s: (s.value, s.evaluations))]
        elif pruned:
            said, following = f"stuck: none of all {problem.bits} flips lowers the loss {before.value:g}", front
        else:
            said = f"all {len(looks)} settings have been looked at: the least loss is {outcome.value:g}"
            following = [min(looks, key=lambda s: (s.value, s.evaluations))]
        add(said, following[0], before, following, decision=True, evaluations=end)
    return Course(method, tuple(positions), tuple(look.value for look in looks), outcome)


def _unseen(problem: Problem, front: list[State], looks: list[State]) -> int:
    """How many settings one flip away from these have not been looked at."""
    near = {_key(flipped(s.targets, [bit])) for s in front for bit in range(problem.bits)}
    return len(near - {_key(s.targets) for s in looks})


def _key(targets: list[np.ndarray]) -> bytes:
    return b"".join(T.tobytes() for T in targets)


def _differing(a: State, b: State) -> int:
    return sum(int((T != U).sum()) for T, U in zip(a.targets, b.targets, strict=True))


def _turned(problem: Problem, a: State, b: State) -> str:
    """The name of the one bit in which two settings differ."""
    differ = np.hstack([T != U for T, U in zip(a.targets, b.targets, strict=True)])
    [(instance, unit)] = np.argwhere(differ)
    return f"{unit_names(problem)[unit]}, instance {instance + 1}"


# --- Algorithm 1 ----------------------------------------------------------------------------------------------------


def _algorithm_1(problem: Problem, method: str, seed: int) -> Course:
    moments: list[Moment] = []
    rule = {} if method == "Algorithm 1" else TO_THE_LETTER
    options = dict(budget=PROPOSALS, patience=PROPOSALS + 1, seed=seed, watch=moments.append)  # so it has one start
    outcome = ftprop(problem, **rule, **options)

    positions, asked = [], {}
    for moment in moments:
        outputs = _filled(problem, moment)
        latest = positions[-1].outputs if positions else outputs
        if moment.line is None:
            said, before = "start: random hidden units, targets are their outputs", outputs
        elif moment.trace[moment.line].kept is None:
            said, before = _asks(moment, outputs, latest), latest
            asked[moment.line] = latest
        else:
            said, before = _settles(moment.trace[moment.line]), asked[moment.line]
        decision = moment.line is None or moment.trace[moment.line].kept is not None
        done = (moment.targets, outputs, before, moment.weights, len(moment.trace), moment.trace, moment.line)
        positions.append(Position(said, decision, *done))
    last = positions[-1]
    if outcome.feasible:
        positions[-1] = replace(last, said=f"{last.said}: solved")
    else:
        said = f"the budget of {PROPOSALS} proposals is spent: the fewest errors were {outcome.errors}"
        positions.append(replace(last, said=said, decision=True, before=last.outputs))
    return Course(method, tuple(positions), (), outcome)


def _filled(problem: Problem, moment: Moment) -> list[np.ndarray]:
    """The targets, and where there is no wish what the layer puts out for the inputs that it is given."""
    h, filled = problem.X, []
    for T, W in zip(moment.targets, moment.weights, strict=False):
        h = np.where(T == 0, sign(affine(h, W)), T).astype(np.int8)
        filled.append(h)
    return filled


def _asks(moment: Moment, outputs: list[np.ndarray], before: list[np.ndarray]) -> str:
    proposed = moment.trace[moment.line]
    d = proposed.layer
    flips = int((outputs[d - 1] != before[d - 1]).sum())
    free = int((proposed.targets == 0).sum())
    return (
        f"layer {d + 1} asks layer {d} for {flips} flip{'s' * (flips != 1)}, {free} of {outputs[d - 1].size} bits free"
    )


def _settles(proposed: Proposed) -> str:
    d = proposed.layer
    reached = f"layer {d} {'gives' if proposed.reached else 'does not give'} its targets"
    if not proposed.kept:
        return f"{reached}; L_{d + 1} would be {proposed.loss:.2g}: undone"
    stays = "" if proposed.reached else ", its outputs stay"
    return f"{reached}{stays}: L_{d + 1} is {proposed.loss:.2g}"
