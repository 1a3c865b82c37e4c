"""The exercises of notebook 02, second part: flips that are tried, and a way out of a minimum."""

from collections.abc import Callable
from functools import cache

import numpy as np

from ..search.problem import Evaluator, Problem
from .card import Case, Exercise, Mistake, Property


def gain_of_flips(h: np.ndarray, W: np.ndarray, t: np.ndarray) -> np.ndarray:
    """How much the loss of layer d falls if one output of the layer below is flipped, all others as they are.

    h: outputs of the layer below, (m, n), -1 or +1. W: weights of layer d, (k, n + 1), the bias last. t: its targets,
    (m, k), -1 or +1, or 0 for no wish. The loss is the hinge loss max(0, 1 - t z), summed over the k units. Returns
    (m, n): the loss of instance i as it is, less its loss with h[i, j] flipped; positive where the flip helps.
    """

    def loss(h):
        z = h @ W[:, :-1].T + W[:, -1]
        return np.maximum(0, 1 - t * z).sum(axis=1)

    gain = np.zeros(h.shape)
    for j in range(h.shape[1]):
        flipped = h.copy()
        flipped[:, j] *= -1
        gain[:, j] = loss(h) - loss(flipped)
    return gain


def _gain_cases():
    def case(about, h, W, t):
        return Case(about, (np.array(h, np.int8), np.array(W, float), np.array(t, np.int8)))

    yield case("one instance, two outputs, one unit", [[1, -1]], [[1, 2, 0.5]], [[1]])
    yield case(
        "two instances right by a margin of exactly 1", [[1, 1], [1, -1], [-1, -1]], [[1, 1, -1]], [[1], [-1], [1]]
    )
    yield case("layer d makes no use of the first output", [[1, -1], [-1, -1]], [[0, -1.5, 0.25]], [[1], [-1]])
    yield case("two units, and targets of 0", [[1, -1], [-1, 1]], [[1, 1, 0], [-2, 1, 1]], [[1, 0], [-1, 1]])
    rng = np.random.default_rng(0)
    h, t = rng.choice([-1, 1], (5, 3)), rng.choice([-1, 0, 1], (5, 4))
    yield case("a mini-batch: 5 instances, 3 outputs, 4 units", h, rng.standard_normal((4, 4)).round(2), t)


def _hinge(z, t):
    return np.maximum(0, 1 - t * z)


def _fall(before, after, W, t, *, loss=_hinge, total=np.sum):
    was, becomes = (total(loss(h @ W[:, :-1].T + W[:, -1], t), axis=1) for h in (before, after))
    return was - becomes


def _falls(change, **how):
    """What `gain_of_flips` gives if an output is changed like this, and the loss is computed like that."""

    def gains(h, W, t):
        return np.stack([_fall(h, change(h.astype(float), j), W, t, **how) for j in range(h.shape[1])], axis=1)

    return gains


def _set(column):
    def change(h, j):
        h[:, j] = column(h[:, j])
        return h

    return change


_flip = _set(np.negative)


def _gradient(h, W, t):
    z = h @ W[:, :-1].T + W[:, -1]
    return (t * (t * z < 1)) @ W[:, :-1]


_GAINS = Exercise(
    notebook="02",
    title="try every flip",
    goal="see what a target really promises, where eq. 2 only looks at a slope.",
    difficulty="middling",
    minutes=15,
    reference=gain_of_flips,
    cases=_gain_cases,
    mistakes=(
        Mistake(
            "after less before",
            lambda h, W, t: -gain_of_flips(h, W, t),
            "Every sign is turned: a flip helps where the loss with it is the smaller one. Before less after.",
        ),
        Mistake(
            "bias forgotten",
            lambda h, W, t: gain_of_flips(h, np.c_[W[:, :-1], np.zeros(len(W))], t),
            "Compute z for the first case by hand: 1 - 2, and what comes last in W?",
        ),
        Mistake(
            "bias first",
            lambda h, W, t: gain_of_flips(h, np.roll(W, -1, axis=1), t),
            "The bias is taken from the first column of W: it is the last one.",
        ),
        Mistake(
            "half a flip",
            _falls(_set(np.zeros_like)),
            "A flip goes from -1 to +1, or back: z changes by twice the weight. Here the output only becomes 0.",
        ),
        Mistake(
            "away from the other side",
            _falls(_set(lambda column: 3 * column)),
            "z moves by the right amount to the wrong side: an output of +1 becomes -1, so 2 w is taken away.",
        ),
        Mistake(
            "the slope, all the way",
            lambda h, W, t: -2 * h * _gradient(h, W, t),
            "That is what the slope promises for a step of this length. On the way the hinge has a kink: try the flip.",
        ),
        Mistake(
            "the slope",
            _gradient,
            "That is the gradient of eq. 2. Here the output is flipped, and the loss is computed again.",
        ),
        Mistake(
            "the whole instance flipped",
            _falls(lambda h, j: -h),
            "All outputs of an instance are flipped together: only one is to change at a time.",
        ),
        Mistake(
            "not flipped back",
            _falls(lambda h, j: np.c_[-h[:, : j + 1], h[:, j + 1 :]]),
            "The first column is right: before the next output is flipped, the last one has to be flipped back.",
        ),
        Mistake(
            "set to +1",
            _falls(_set(np.ones_like)),
            "An output that is +1 is not changed by this. A flip makes it -1.",
        ),
        Mistake(
            "-1 against +1",
            lambda h, W, t: -h * gain_of_flips(h, W, t),
            "That compares -1 with +1, whatever the output is now. Asked for is: as it is, against flipped.",
        ),
        Mistake(
            "only what helps",
            lambda h, W, t: np.maximum(0, gain_of_flips(h, W, t)),
            "A flip that does harm has a negative gain: that is what tells bits to be held from those that are free.",
        ),
        Mistake(
            "mean over the units",
            _falls(_flip, total=np.mean),
            "The loss of a layer is the sum over its units, not their mean.",
        ),
        Mistake(
            "mean over everything",
            lambda h, W, t: gain_of_flips(h, W, t) / t.size,
            "The loss of an instance is a sum over the units: no mean, neither over units nor over the batch.",
        ),
        Mistake(
            "summed over the batch",
            lambda h, W, t: np.broadcast_to(gain_of_flips(h, W, t).sum(axis=0), h.shape),
            "All rows are the same: each instance has a loss of its own. Sum over the units only.",
        ),
        Mistake(
            "target of 0 treated as -1",
            lambda h, W, t: gain_of_flips(h, W, np.where(t == 0, -1, t)),
            "Where the target is 0 there is no wish, so no flip changes that unit's loss.",
        ),
        Mistake(
            "first unit only",
            lambda h, W, t: gain_of_flips(h, W[:1], t[:, :1]),
            "With one unit in layer d it is right; where there are more, all of them count.",
        ),
        Mistake(
            "no floor",
            _falls(_flip, loss=lambda z, t: -t * z),
            "The hinge is never negative: beyond a margin of 1 nothing more is gained.",
        ),
        Mistake(
            "no margin",
            _falls(_flip, loss=lambda z, t: np.maximum(0, -t * z)),
            "That is the perceptron's loss. The hinge asks for a margin of 1.",
        ),
        Mistake(
            "errors instead of losses",
            _falls(_flip, loss=lambda z, t: (t != 0) * (np.where(z > 0, 1, -1) != t)),
            "These are errors that come or go. The hinge loss also sees by how much.",
        ),
        Mistake(
            "whole numbers",
            lambda h, W, t: gain_of_flips(h, W, t).astype(h.dtype),
            "All behind the point is lost: an array made with `np.zeros_like(h)` holds whole numbers, as h does.",
        ),
    ),
    hints=(
        "What changes in z, and in whose, if one output of one instance is flipped?",
        "Flip the column of one unit j for all instances at once: each of them has a row of z and a loss of its own.",
        "`flipped = h.copy()`, `flipped[:, j] *= -1`; then z, the hinge, `.sum(axis=1)`; put the fall into column j.",
    ),
    explanation=(
        "A column can be flipped for all instances at once, because each instance has its own row of z. It costs n "
        "passes through layer d instead of one: that is the price of knowing. (Faster: z changes by -2 h W, so no "
        'product has to be computed again.) The kit\'s rules with "flips" in their name propose by these numbers.'
    ),
)

_CORNERS = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
_XOR = np.array([-1, 1, 1, -1])
_PROBLEMS = {
    "XOR": Problem(_CORNERS, _XOR, (2,)),
    "the line": Problem(np.arange(4)[:, None], -_XOR, (2,)),
    "the middle": Problem([*_CORNERS, [0, 0]], [*_XOR, 1], (2,)),
    "three units": Problem(_CORNERS, _XOR, (3,)),
}
_ALLOWED = 100


@cache
def _losses(name: str) -> Evaluator:
    return Evaluator(_PROBLEMS[name], "loss", None)


class _Limited:
    """The loss of a setting, for so many settings."""

    def __init__(self, name: str):
        self.name, self.left = name, _ALLOWED

    def __call__(self, targets):
        if self.left == 0:
            raise RuntimeError(f"all {_ALLOWED} evaluations are used up; does the search go round in circles?")
        self.left -= 1
        return _losses(self.name).value(_PROBLEMS[self.name].check_targets(targets))

    def __repr__(self):
        return f"the loss, for up to {_ALLOWED} settings"


def climb_out(T: np.ndarray, evaluate: Callable[[list[np.ndarray]], float]) -> np.ndarray:
    """Targets with the loss 0, found from T by flips, also where no flip lowers the loss.

    T: targets of the hidden units, (m, units), -1 or +1. evaluate: evaluate([T]) is the loss of the setting T; it
    answers 100 times. Returns targets of T's shape.
    """
    been = {T.tobytes()}
    while evaluate([T]) > 0:
        near = []
        for i, j in np.ndindex(T.shape):
            flipped = T.copy()
            flipped[i, j] *= -1
            if flipped.tobytes() not in been:
                near.append((evaluate([flipped]), flipped))
        T = min(near, key=lambda each: each[0])[1]
        been.add(T.tobytes())
    return T


def _solves(found: np.ndarray, name: str) -> bool:
    return found.shape == (_PROBLEMS[name].m, *_PROBLEMS[name].hidden) and _losses(name).value([found]) == 0


def _no_solution(T: np.ndarray, name: str):
    def wrong(found) -> str:
        if isinstance(found, tuple):
            return "Several things come back, as from `climb`: only the targets are wanted."
        try:
            found = np.asarray(found, np.int8)
        except (TypeError, ValueError):
            return "It is to give back targets: an array of -1 and +1."
        if found.shape == (1, *T.shape):
            return "Without the list around it: evaluate takes [T], what comes back is T."
        if found.shape != T.shape or not np.isin(found, (-1, 1)).all():
            return f"The targets are to have T's shape, {T.shape}, and to be -1 or +1."
        if _solves(found, name):
            return ""
        if np.array_equal(found, T):
            return (
                "It is still where it began. A minimum is left only by a flip that does not lower the loss: make one."
            )
        if any(_solves(found, other) for other in _PROBLEMS):
            return "These targets solve another case, not this one: ask `evaluate` for the way."
        loss = _losses(name).value([found])
        return f"This is a place with the loss {loss:g}. If no flip lowers it, go on all the same, but not back."

    return wrong


def _climb_cases():
    def case(about, name, *columns):
        T = np.array(columns, np.int8).T
        return Case(about, (T, _Limited(name)), Property("targets with the loss 0", _no_solution(T, name)))

    last, second, third = (-1, -1, -1, 1), (-1, 1, -1, -1), (-1, -1, 1, -1)
    yield case("a minimum of XOR: both units cut off the same corner", "XOR", last, last)
    yield case("XOR, where both units are asked for the label", "XOR", _XOR, _XOR)
    yield case("XOR, and a solution: nothing is to be done", "XOR", second, third)
    yield case("a minimum of four instances on a line, + - - +", "the line", third, second)
    yield case("a minimum of XOR with a point in the middle", "the middle", (*third, -1), (-1, 1, 1, 1, 1))
    yield case("a minimum of XOR with three units", "three units", last, last, (1, 1, 1, -1))


_CLIMB = Exercise(
    notebook="02",
    title="a climb that does not stay where it is",
    goal="get out of a minimum.",
    difficulty="middling",
    minutes=15,
    reference=climb_out,
    cases=_climb_cases,
    mistakes=(),
    hints=(
        "From a minimum every flip leads to something no better. Which of them would you make all the same?",
        "Make the best flip of all, better or not; but never go to a setting where you have been.",
        "Keep a set of the settings you were at, `T.tobytes()` of each; go to the best neighbour that is not in it.",
    ),
    explanation=(
        "Without the memory the best flip is often the one that leads straight back. This is the beam of width 1 that "
        "also keeps what is not better; elsewhere such a memory is called a taboo list. From each of the 48 minima of "
        "XOR a solution is two flips away, so that looking at all pairs of flips would do; on the line it is three. "
        "With 256 settings even going through them in order meets a solution early. Parity of three bits has 2^24."
    ),
    by_hand=False,
)

EXERCISES = (_GAINS, _CLIMB)
