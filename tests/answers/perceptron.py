"""Answers to the exercises of notebook 01, first part."""

import numpy as np

from answers import Answers

COURSE = {"a": (3, 2, 1), "b": (4, 1, 0), "c": (4, 1, 0)}
LINES = {"a": (-1, -1, 3), "b": "no line", "c": (1, 1, -1), "d": "no line", "e": (0, 0, -1)}


def feature_by_distance(X):
    return np.array([abs(x1 - x2) for x1, x2, _ in X.tolist()])


def feature_in_place(X):
    X[:, :2] = np.where(X[:, :2] > 0, 1, 0)
    return X[:, 0] + X[:, 1] - 2 * X[:, 0] * X[:, 1]


def feature_by_place(X):
    return np.resize([-1.0, 1, 1, -1], len(X))


def feature_at_the_corners(X):
    return np.where(X[:, 0] == X[:, 1], 1.0, -1.0)


ANSWERS = {
    "weights_after": Answers(
        right=[
            {"c": [4.0, 1.0, 0.0], "b": [4.0, 1.0, 0.0], "a": [3.0, 2.0, 1.0]},
            {"a": np.array([3, 2, 1]), "b": np.array([4, 1, 0]), "c": np.array([4, 1, 0])},
        ],
        wrong={
            "property / not changed": COURSE | {"a": (1, -1, 0)},
            "property / subtracted": COURSE | {"a": (-1, -4, -1)},
            "property / bias left out": COURSE | {"a": (3, 2, 0)},
            "property / replaced": COURSE | {"a": (2, 3, 1)},
            "property / z instead": COURSE | {"a": -1},
            "property / miscounted": COURSE | {"a": (3, 3, 1)},
            "property / t z = 0 is right": COURSE | {"b": (3, 2, 1), "c": (4, 0, 2)},
            "property / t forgotten": COURSE | {"b": (2, 3, 2)},
            "property / from the first weights": COURSE | {"b": (2, -2, -1)},
            "property / bias left out in b": COURSE | {"b": (4, 1, 1)},
            "property / twice": COURSE | {"b": (5, 0, -1)},
            "property / added though right": COURSE | {"c": (5, -1, 1)},
            "property / taken away though right": COURSE | {"c": (3, 3, -1)},
            "property / b skipped after all": COURSE | {"c": (4, 0, 2)},
            "property / c miscounted": COURSE | {"c": (4, 1, 1)},
            "property / another form": [(3, 2, 1), (4, 1, 0), (4, 1, 0)],
        },
    ),
    "my_lines": Answers(
        right=[
            {"a": (-1, -0.5, 2), "b": "No line", "c": [0.5, 0.5, -0.1], "d": "no line ", "e": (1, -1, -9)},
            {"a": np.array([-3, -5, 9]), "b": "no line", "c": (2, 3, -1), "d": "NO LINE", "e": (0.1, 0.1, -1)},
        ],
        wrong={
            "property / a has a line": LINES | {"a": "no line"},
            "property / a on the line": LINES | {"a": (-1, -1, 2)},
            "property / a without a bias": LINES | {"a": (-1, -1)},
            "property / a turned over": LINES | {"a": (1, 1, -3)},
            "property / a with the bias first": LINES | {"a": (3, -1, -1)},
            "property / a misses a point": LINES | {"a": (-1, 1, 0.5)},
            "property / b tried": LINES | {"b": (1, -1, 0)},
            "property / c has a line": LINES | {"c": "no line"},
            "property / d tried": LINES | {"d": (1, 1, -2.5)},
            "property / e has a line": LINES | {"e": "no line"},
            "property / e with zeros": LINES | {"e": (0, 0, 0)},
            "property / other words": LINES | {"b": "not separable"},
            "property / another form": list(LINES.values()),
        },
    ),
    "feature": Answers(
        right=[
            feature_by_distance,
            feature_in_place,
            lambda X: np.sign(X[:, 0] * X[:, 1]),
            lambda X: (X.sum(1) - 1) ** 2,
            lambda X: (X[:, 0] > 0) & (X[:, 1] > 0),
        ],
        wrong={
            "property / a constant": lambda X: np.ones(len(X)),
            "property / a sum": lambda X: X[:, 0] + X[:, 1],
            "property / a difference": lambda X: 2.0 * X[:, 0] - X[:, 1] + 3,
            "property / by place": feature_by_place,
            "property / at the corners": feature_at_the_corners,
            "property / each input by itself": lambda X: np.maximum(X[:, 0], 0) ** 3 + X[:, 1] ** 5,
            "property / a column": lambda X: X[:, :1] * X[:, 1:2],
            "property / one number": lambda X: X[0, 0] * X[0, 1],
            "property / four columns": lambda X: np.c_[X, X[:, 0] * X[:, 1]],
            "property / divided by 0": lambda X: 1 / X[:, 0] + np.where(X[:, 0] == X[:, 1], np.inf, 0),
            "property / words": lambda X: ["odd"] * len(X),
            "nothing returned": lambda X: feature_by_distance(X) is None or None,
            "raised": lambda X: X[:, 0] * X[:, 3],
        },
    ),
}
