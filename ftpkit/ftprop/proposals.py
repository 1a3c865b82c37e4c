"""Rules that propose targets for the layer below, for Algorithm 1.

A proposal is a function of a `View` of layer d and a random generator. It returns T_{d-1}, of shape (m, n_{d-1}) in
{-1, 0, +1} with 0 for no wish, and the importance of every wish, of the same shape, 0 or more: the loss weights of
eq. 3. It looks at layer d only through its loss L_d, the hinge loss of all its units, weighted by importance.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class View:
    """Layer d and the layer below it, as a proposal sees them.

    h: (m, n_{d-1}) in {-1, +1}, the inputs of layer d. W: (n_d, n_{d-1} + 1). z: (m, n_d). t, importance: (m, n_d), the
    targets of layer d. conflict: (m,), whether the instance is in a certificate that a unit of layer d cannot give its
    targets, or, where the solver proves nothing, whether it has a loss. inputs: (m, n_{d-2}), of the layer below;
    W_below: (n_{d-1}, n_{d-2} + 1); z_below: (m, n_{d-1}).
    """

    h: np.ndarray
    W: np.ndarray
    z: np.ndarray
    t: np.ndarray
    importance: np.ndarray
    conflict: np.ndarray
    inputs: np.ndarray
    W_below: np.ndarray
    z_below: np.ndarray

    def gradient(self) -> np.ndarray:
        """-dL_d/dh, (m, n_{d-1}): positive where a larger h_ij makes the loss smaller, for small steps."""
        active = self.t * self.z < 1
        return (self.t * active * self.importance) @ self.W[:, :-1]

    def gain(self) -> np.ndarray:
        """(m, n_{d-1}): L_d with h_ij = -1 less L_d with h_ij = +1, every other output as it is. Evaluated flips."""
        flipped = self.z[:, :, None] - 2 * self.h[:, None, :] * self.W[None, :, :-1]
        now, then = (np.maximum(0, 1 - t * z) for t, z in ((self.t, self.z), (self.t[:, :, None], flipped)))
        return self.h * np.einsum("ik,ikj->ij", self.importance, then - now[:, :, None])


Proposal = Callable[[View, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def gradient(view: View, rng: np.random.Generator):
    """The paper's rule: t = sign(-dL_d/dh) for all units at once (eq. 2), as important as abs(dL_d/dh) (eq. 3).

    No wish where the gradient is 0, as in the authors' code: outputs for an instance without a loss are not held, and
    a unit of which layer d makes no use is never asked for anything. The other rules hold the one and wake the other.
    """
    return _wish(view.gradient())


def held_gradient(view: View, rng: np.random.Generator):
    """`gradient`, and where it has no wish the present output, as important as a flip would cost; idle units woken."""
    return _wish(_woken(view, _held(view)))


def one_unit_gradient(view: View, rng: np.random.Generator):
    """`held_gradient` for one random unit; the other units stay as they are."""
    return _one_unit(view, rng, _held(view))


def flips(view: View, rng: np.random.Generator):
    """For all units at once: the output with which L_d is smaller, all others as they are, and by how much."""
    return _wish(_woken(view, view.gain()))


def one_unit_flips(view: View, rng: np.random.Generator):
    """`flips` for one random unit; the other units stay as they are."""
    return _one_unit(view, rng, view.gain())


def pooled(view: View, rng: np.random.Generator, neighbours: int = 4):
    """`flips` for one random unit, summed over each instance and its nearest ones in the inputs of the layer below."""
    square = (view.inputs**2).sum(axis=1)
    distance = square[:, None] + square - 2 * view.inputs @ view.inputs.T
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :neighbours]
    return _one_unit(view, rng, view.gain()[nearest].sum(axis=1))


def realisable(view: View, rng: np.random.Generator, candidates: int = 16):
    """The best of some dichotomies of one random unit that weights near its own can give, by the sum of their gains."""
    j = rng.integers(view.h.shape[1])
    size = np.abs(view.z_below[:, j]).mean() * 10 ** rng.uniform(-1.5, 0.5, size=(candidates, 1))
    noise = rng.standard_normal((candidates, view.W_below.shape[1]))
    moved = view.z_below[:, j] + size * (noise[:, :-1] @ _whitened(view.inputs).T + noise[:, -1:])
    columns = np.where(moved > 0, 1, -1)
    T, importance = _stay(view)
    T[:, j] = columns[np.argmax(columns @ view.gain()[:, j])]
    importance[:, j] = 1
    return T, importance


def conflict(view: View, rng: np.random.Generator):
    """One flip in an instance of a conflict: the output nearest to its threshold among those that lower L_d.

    It is as important as all other outputs of its unit, which are to stay, together.
    """
    T, importance = _stay(view)
    helps = view.h * view.gain() < 0
    candidates = np.flatnonzero(view.conflict & helps.any(axis=1))
    if len(candidates) == 0:
        return one_unit_flips(view, rng)
    i = rng.choice(candidates)
    j = np.argmin(np.where(helps[i], np.abs(view.z_below[i]), np.inf))
    T[i, j] *= -1
    importance[i, j] = max(1.0, importance[:, j].sum())
    return T, importance


PROPOSALS: dict[str, Proposal] = {
    "gradient": gradient,
    "held gradient": held_gradient,
    "one-unit gradient": one_unit_gradient,
    "flips": flips,
    "one-unit flips": one_unit_flips,
    "pooled flips": pooled,
    "realisable": realisable,
    "conflict": conflict,
}


def _wish(benefit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.sign(benefit).astype(np.int8), np.abs(benefit)


def _stay(view: View) -> tuple[np.ndarray, np.ndarray]:
    """The present outputs, each as important as a flip would cost."""
    return view.h.astype(np.int8), np.maximum(0, view.h * view.gain())


def _held(view: View) -> np.ndarray:
    g = view.gradient()
    return np.where(g == 0, view.h * np.maximum(0, view.h * view.gain()), g)


def _woken(view: View, benefit: np.ndarray) -> np.ndarray:
    """A unit of which layer d makes no use shall tell instances with a loss by their targets."""
    use = np.where(view.t * view.z < 1, view.t, 0.05 * view.t).sum(axis=1, keepdims=True)
    return np.where(benefit.any(axis=0), benefit, use)


def _one_unit(view: View, rng: np.random.Generator, benefit: np.ndarray):
    T, importance = _stay(view)
    j = rng.integers(view.h.shape[1])
    T[:, j], importance[:, j] = _wish(_woken(view, benefit)[:, j])
    return T, importance


def _whitened(inputs: np.ndarray) -> np.ndarray:
    scale = inputs.std(axis=0) * len(inputs[0]) ** 0.5
    return (inputs - inputs.mean(axis=0)) / np.where(scale > 0, scale, 1)
