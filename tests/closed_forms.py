"""The layer losses and thresholds once more, in plain numpy float64: what the library is compared with.

Nothing here is imported from ftpkit. `t` is -1 or +1, `u` a pre-activation as the layer loss sees it.
"""

import numpy as np

VALUE = {
    "Linear": lambda u, t: -t * u,
    "ClosedSaturatedHinge": lambda u, t: np.maximum(0, 1 - np.maximum(t * u, -1)),
    "SaturatedHinge": lambda u, t: np.maximum(0, 1 - np.maximum(t * u, -1)),
    "SoftHinge": lambda u, t: 1 - np.tanh(t * u),
    "Sigmoid": lambda u, t: (1 - np.tanh(t * u)) / 2,
    "Trapezoid": lambda u, t: np.interp(t * u, *_TRAPEZOID),
    "Hinge": lambda u, t: np.maximum(0, 1 - t * u),
    "Perceptron": lambda u, t: np.maximum(0, -t * u),
    "LogLoss": lambda u, t: np.logaddexp(0, -t * u),
    "SquaredHinge": lambda u, t: np.maximum(0, 1 - t * u) ** 2,
}

DERIVATIVE = {
    "Linear": lambda u, t: -t * np.ones_like(u),
    "ClosedSaturatedHinge": lambda u, t: -t * (np.abs(u) <= 1),
    "SaturatedHinge": lambda u, t: -t * ((-1 < t * u) & (t * u <= 1)),
    "SoftHinge": lambda u, t: -t / np.cosh(np.clip(u, -300, 300)) ** 2,
    "Sigmoid": lambda u, t: -t / 2 / np.cosh(np.clip(u, -300, 300)) ** 2,
    "Trapezoid": lambda u, t: -t * np.interp(np.abs(u), [1, 2], [1, 0]),
    "Hinge": lambda u, t: -t * (t * u <= 1),
    "Perceptron": lambda u, t: -t * (t * u <= 0),
    "LogLoss": lambda u, t: -t * np.exp(-np.logaddexp(0, t * u)),
    "SquaredHinge": lambda u, t: -2 * t * np.maximum(0, 1 - t * u),
}

# The points t u where a loss has no derivative or its derivative has none, and t * derivative exactly there.
AT_KINKS = {
    "Linear": {},
    "ClosedSaturatedHinge": {-1: -1, 1: -1},  # SSTE's window is closed
    "SaturatedHinge": {-1: 0, 1: -1},  # half-open
    "SoftHinge": {},
    "Sigmoid": {},
    "Trapezoid": {-2: 0, -1: -1, 1: -1, 2: 0},
    "Hinge": {1: -1},
    "Perceptron": {0: -1},
    "LogLoss": {},
    "SquaredHinge": {1: 0},
}

CONVEX = {"Linear", "Hinge", "Perceptron", "LogLoss", "SquaredHinge"}
STRAIGHT_THROUGH = {"STE", "SSTE", "FTP-SH", "Ramp", "Sigmoid"}  # rules whose phi does not depend on t

LOSS_OF_RULE = {
    "STE": "Linear",
    "SSTE": "ClosedSaturatedHinge",
    "FTP-SH": "SoftHinge",
    "Ramp": "Trapezoid",
    "Sigmoid": "Sigmoid",
    "SaturatedHinge": "SaturatedHinge",
    "Hinge": "Hinge",
    "Perceptron": "Perceptron",
    "LogLoss": "LogLoss",
    "SquaredHinge": "SquaredHinge",
}


def sign(z):
    return np.where(z > 0, 1.0, -1.0)


def step(z):
    return np.where(z > 0, 1.0, 0.0)


def staircase(z, k):
    """The mean of k steps, at i / (k - 1)."""
    return np.mean([step(z - i / (k - 1)) for i in range(k)], axis=0)


def windows(activation, k=None):
    """Pairs (u, factor): the layer loss of a unit has the derivative sum of factor * DERIVATIVE(u(z), t)."""
    return {
        "sign": [(lambda z: z, 1.0)],
        "step": [(lambda z: z, 0.5)],
        "single": [(lambda z: 2 * z - 1, 1.0)],
        "sum": [(lambda z, i=i: z - i / (k - 1), 1 / k) for i in range(k or 0)],
    }[activation]


def gradient(loss, activation, k, z, t, weight):
    """The gradient that a rule with this layer loss sends to z, for targets t and weights abs(g) or scale."""
    total = sum(factor * DERIVATIVE[loss](u(z), t) for u, factor in windows(activation, k))
    return np.where(t == 0, 0.0, total * weight)


def _trapezoid_table():
    m = np.linspace(-2, 2, 40_001)
    phi = np.interp(np.abs(m), [1, 2], [1, 0])
    area = np.concatenate([[0], np.cumsum((phi[1:] + phi[:-1]) / 2 * np.diff(m))])  # trapezium rule: exact enough
    return m, area[-1] - area


_TRAPEZOID = _trapezoid_table()
