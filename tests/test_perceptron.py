"""Rosenblatt's rule against the few lines that notebook 01 writes by hand, and Novikoff's theorem on random sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from ftpkit.perceptron import novikoff, perceptron
from ftpkit.separability import separate

SETS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5), st.sampled_from([-1, 1])), min_size=1, max_size=9)


def by_hand(X, t, most):
    w, erred = [np.zeros(X.shape[1])], []
    while True:
        before = len(erred)
        for i in range(len(X)):
            if t[i] * (w[-1] @ X[i]) <= 0:
                w.append(w[-1] + t[i] * X[i])
                erred.append(i)
                if len(erred) == most:
                    return w, erred
        if len(erred) == before:
            return w, erred


def arrays(triples):
    rows = np.array(triples, float)
    return np.c_[rows[:, :2], np.ones(len(rows))], rows[:, 2].astype(int)


@settings(max_examples=150)
@given(SETS)
def test_the_rule_and_the_theorem(triples):
    X, t = arrays(triples)
    course = perceptron(X, t, most=300)
    w, erred = by_hand(X, t, 600)
    k = len(course.erred)
    assert course.erred.tolist() == erred[:k] and np.array_equal(course.weights, w[: k + 1])
    assert sum(course.passes) == k
    if separate(X[:, :2], t).separable:
        theorem = novikoff(X, t)
        assert k <= theorem.bound + 1e-6 and course.cycle is None
        assert course.stopped or theorem.bound > 300
        assert np.linalg.norm(course.weights, axis=1)[-1] >= k * theorem.gamma - 1e-6
    else:
        assert not course.stopped
        with pytest.raises(ValueError, match="no hyperplane"):
            novikoff(X, t)
    if course.cycle:
        a, b = course.cycle
        assert b == k
        np.testing.assert_array_equal(np.array(w)[a : b + 1], np.array(w)[b : 2 * b - a + 1])


def test_gamma_is_the_largest_margin_through_0():
    rng = np.random.default_rng(0)
    for _ in range(20):
        angles = rng.uniform(-0.6, 0.6, 7) + rng.uniform(0, 7)
        X, t = np.c_[np.cos(angles), np.sin(angles)] * rng.uniform(0.5, 3, (7, 1)), rng.choice([-1, 1], 7)
        X *= t[:, None]
        best = minimize_scalar(
            lambda a, X=X, t=t: -(t * (X @ [np.cos(a), np.sin(a)])).min(),
            bounds=(angles.mean() - 1.2, angles.mean() + 1.2),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert novikoff(X, t).gamma == pytest.approx(-best.fun, rel=1e-5)


def test_one_hot_sets_reach_the_bound():
    for n in (4, 16):
        X, t = np.eye(n), (-1) ** np.arange(n)
        assert len(perceptron(X, t).erred) == n and novikoff(X, t).bound == pytest.approx(n)


def test_targets_of_0_are_ignored_and_most_ends_it():
    X, t = arrays([(1, 1, 1), (1, 1, -1), (-1, -1, -1)])
    assert not perceptron(X, t).stopped
    course = perceptron(X, [1, 0, -1])
    assert course.stopped and course.erred.tolist() == [0] and novikoff(X, [1, 0, -1]).R == pytest.approx(3**0.5)
    assert perceptron(X, [0, 0, 0]).weights.tolist() == [[0, 0, 0]]
    assert perceptron(X, t, most=1).erred.tolist() == [0]


def test_refused():
    X, t = arrays([(1, 1, 1), (-1, -1, -1)])
    for call, said in (
        (lambda: perceptron(X, t, most=0), "1 or more, not 0"),
        (lambda: perceptron(X, np.c_[t, t]), "one unit at a time"),
        (lambda: perceptron(X[:, 0], t), r"shape \(instances, inputs\)"),
        (lambda: novikoff(X, [0, 0]), "one instance or more"),
    ):
        with pytest.raises(ValueError, match=said):
            call()
