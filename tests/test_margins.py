"""The largest margin, the least hinge loss and the fewest errors of one unit, against second ways to find them."""

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import oracle
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog
from sklearn.svm import SVC
from verdicts import dot, errors, labelled, proven

from ftpkit.separability import fewest_errors, hinge_fit, max_margin, separate

XOR = [[-1, -1], [-1, 1], [1, -1], [1, 1]], [-1, 1, 1, -1]


# --- the largest margin ------------------------------------------------------------------------------------------


def hulls_apart(X, t):
    """Half the distance of two convex hulls in the plane, squared, as a fraction: of a point and a segment, always."""
    points = [[Fraction(v) for v in row] for row in np.asarray(X, float).tolist()]
    sides = [[p for p, s in zip(points, t, strict=True) if s == side] for side in (1, -1)]
    pairs = [(p, a, b) for one, other in (sides, sides[::-1]) for p in one for a, b in product(other, repeat=2)]
    return min(_squared_distance(*pair) for pair in pairs) / 4


def _squared_distance(p, a, b):
    along, across = [y - x for x, y in zip(a, b, strict=True)], [y - x for x, y in zip(a, p, strict=True)]
    place = min(max(dot(along, across) / dot(along, along), 0), 1) if any(along) else 0
    rest = [y - place * x for x, y in zip(along, across, strict=True)]
    return dot(rest, rest)


def shortfall(X, t):
    """How much smaller than the largest the margin of max_margin is, as a share of it; its verdict is verified."""
    best = max_margin(X, t)
    assert proven(X, t, best) is True and best.margin >= separate(X, t).margin
    return 1 - best.margin / float(hulls_apart(X, t)) ** 0.5


@pytest.mark.parametrize(
    ("X", "t", "margin", "weights"),
    [
        ([[0, 0], [1, 0], [3, 4]], [-1, -1, 1], 5**0.5, [0.5, 1, -3]),
        ([[-3], [-1], [2], [7]], [-1, -1, 1, 1], 1.5, [1, -0.5]),
        ([[0, 0], [0, 1], [1, 0], [1, 1]], [-1, -1, -1, 1], 8**-0.5, [1, 1, -1.5]),
        ([[0, 0], [2, 0]], [1, -1], 1, [-1, 0, 1]),
        ([[0, 0], [2, 0], [1, 0.5]], [1, -1, 0], 1, [-1, 0, 1]),
        (np.r_[np.eye(4), -np.eye(4)], [1] * 4 + [-1] * 4, 0.5, [1, 1, 1, 1, 0]),
        (oracle.cube(5), oracle.cube(5)[:, 2], 1, [0, 0, 1, 0, 0, 0]),
    ],
)
def test_closed_forms(X, t, margin, weights):
    found = max_margin(X, t)
    assert proven(X, t, found) is True
    assert found.margin == pytest.approx(margin, rel=1e-12)
    assert found.weights / np.abs(found.weights[:-1]).max() == pytest.approx(weights, abs=1e-7)


def test_random_points_in_the_plane_against_the_distance_of_their_hulls():
    for seed in range(30):
        X, t = labelled(12, 2, seed)
        if len(set(t)) == 2:
            assert abs(shortfall(X, t)) < 1e-12


@pytest.mark.parametrize("gap", [1e-1, 1e-2, 1e-3, 1e-4])
def test_small_margins_to_the_accuracy_that_is_promised(gap):
    rng = np.random.default_rng(0)
    for _ in range(20):
        X, t, angle = rng.normal(size=(10, 2)), rng.choice([-1, 1], 10), rng.uniform(0, 7)
        w = np.array([np.cos(angle), np.sin(angle)])
        X -= np.outer(X @ w - gap * t * rng.integers(1, 4, 10), w)
        if len(set(t)) == 2:
            assert -1e-12 < shortfall(X, t) < 1e-6


@pytest.mark.parametrize("scale", [1e-300, 1e-6, 1e6, 1e300, (1, 1e-2), (1e2, 1)])
def test_scaled_points(scale):
    for seed in range(10):
        X, t = labelled(12, 2, seed)
        X = X * scale
        size = 2.0 ** -np.round(np.log2(np.abs(X).max()))  # the distance of the hulls is squared: bring it near to 1
        if len(set(t)) == 2:
            assert max_margin(X, t).margin * size == pytest.approx(float(hulls_apart(X * size, t)) ** 0.5, rel=1e-6)


@pytest.mark.parametrize("scale", [(1e6, 1e-6), (1e-300, 1e300)])
def test_the_worst_scaled_points_still_have_a_proven_margin_of_at_least_the_first(scale):
    for seed in range(10):
        X, t = labelled(12, 2, seed)
        found = max_margin(X * scale, t)
        assert proven(X * scale, t, found) is True and found.margin >= separate(X * scale, t).margin


@pytest.mark.parametrize(("m", "n"), [(100, 5), (300, 10), (1000, 30)])
def test_no_smaller_than_that_of_scikit_learn(m, n):
    X, t = labelled(m, n, seed=m)
    found = max_margin(X, t)
    assert proven(X, t, found) is True
    svc = SVC(kernel="linear", C=1e10, tol=1e-6).fit(X / found.margin, t)
    w = svc.coef_[0]
    z = X @ w
    margin = (z[t > 0].min() - z[t < 0].max()) / 2 / np.linalg.norm(w)
    assert margin * (1 - 1e-12) < found.margin < margin * (1 + 1e-3)


def test_no_margin_without_separation_and_none_too_large_for_one_class():
    with pytest.raises(ValueError, match="no hyperplane is proven to separate"):
        max_margin(*XOR)
    assert max_margin([[1.0], [2.0]], [1, 1]).margin == max_margin([[1.0], [2.0]], [0, 0]).margin == np.inf


# --- hinge loss --------------------------------------------------------------------------------------------------


def least_hinge_loss(X, t, cost):
    """By the program in w, b and one slack for each instance, which the library does not solve."""
    used = np.flatnonzero(t)
    V, cost = np.c_[X, np.ones(len(X))][used] * np.asarray(t)[used, None], np.asarray(cost)[used]
    free = [(None, None)] * V.shape[1] + [(0, None)] * len(used)
    solved = linprog(
        np.r_[np.zeros(V.shape[1]), cost], A_ub=-np.c_[V, np.eye(len(used))], b_ub=-np.ones(len(used)), bounds=free
    )
    assert solved.status == 0
    return solved.fun


def hinge_loss(X, t, weights, cost):
    return float(
        np.asarray(cost) @ np.maximum(0, 1 - t * (X @ weights[:-1] + weights[-1])) - np.asarray(cost)[t == 0].sum()
    )


def hinge_loss_by_corners(x, t):
    """In one dimension, with two or more different x: the least at a corner, where two instances have t_i z_i = 1."""
    losses = [sum(max(0, 1 - s * b) for s in t) for b in (Fraction(-1), Fraction(1))]
    for (p, r), (q, s) in combinations(zip(x, t, strict=True), 2):
        if p != q:
            w = Fraction(int(r - s), int(p - q))
            losses.append(sum(max(0, 1 - v * (w * (int(a) - int(p)) + int(r))) for a, v in zip(x, t, strict=True)))
    return min(losses)


@given(st.lists(st.tuples(st.integers(-9, 9), st.sampled_from([-1, 1])), min_size=1, max_size=8))
@settings(max_examples=60)
def test_hinge_loss_in_one_dimension_by_hand(points):
    x, t = zip(*points, strict=True)
    weights, loss = hinge_fit(np.array(x)[:, None], t)
    assert loss == pytest.approx(float(hinge_loss_by_corners(x, t)), abs=1e-9)


@pytest.mark.parametrize("kind", ["grid", "gauss", "cube", "columns"])
def test_hinge_loss_against_the_other_program(kind):
    rng = np.random.default_rng(0)
    for _ in range(25):
        m, n = rng.integers(2, 30), rng.integers(1, 5)
        X = {"grid": rng.integers(-2, 3, (m, n)), "cube": rng.choice([-1, 1], (m, n))}.get(
            kind, rng.normal(size=(m, n))
        )
        t, cost = rng.choice([-1, 0, 1], m, p=[0.4, 0.2, 0.4]), rng.integers(0, 4, m) / 2
        least = least_hinge_loss(X, t, cost)
        if kind == "columns":
            X = X * 10.0 ** rng.integers(-6, 7, n)
        weights, loss = hinge_fit(X, t, cost)
        assert loss == pytest.approx(least, abs=1e-6)
        assert hinge_loss(X, t, weights, cost) == pytest.approx(loss, abs=1e-6)


@given(arrays(np.int8, (8, 2), elements=st.integers(-3, 3)), arrays(np.int8, 8, elements=st.sampled_from([-1, 0, 1])))
@settings(max_examples=60)
def test_no_hinge_loss_if_and_only_if_separable_where_the_margin_is_fair(X, t):
    assert (hinge_fit(X, t)[1] == 0) == separate(X, t).separable


def test_a_cost_counts_an_instance_as_often():
    rng = np.random.default_rng(0)
    X, t, times = rng.normal(size=(15, 3)), rng.choice([-1, 1], 15), rng.integers(0, 4, 15)
    assert hinge_fit(X, t, times)[1] == pytest.approx(hinge_fit(X.repeat(times, axis=0), t.repeat(times))[1])
    assert hinge_fit(X, t)[1] == hinge_fit(X, t, np.ones(15))[1] > 0


def test_one_class_has_no_hinge_loss():
    for t in ([1, 1, 1], [-1, -1, -1], [0, -1, 0], [0, 0, 0]):
        weights, loss = hinge_fit([[1.0], [2.0], [3.0]], t)
        assert loss == 0 and errors([[1.0], [2.0], [3.0]], t, weights) == 0
    assert hinge_fit([[1.0], [2.0], [1.0]], [1, -1, -1], [0, 1, 1])[1] == 0


def test_weights_that_float64_cannot_hold_are_an_error_and_not_infinite():
    with pytest.raises(ArithmeticError, match="too large for float64"):
        hinge_fit([[0.0], [1e-320]], [-1, 1])


# --- fewest errors -----------------------------------------------------------------------------------------------


def test_fewest_errors_by_hand():
    assert fewest_errors(*XOR)[0] == 1
    assert fewest_errors([[0.0]] * 5, [1, 1, -1, -1, -1])[0] == 2
    assert fewest_errors([[0.0]] * 5, [1, 1, 0, 0, -1])[0] == 1
    assert fewest_errors([[1.0], [2.0]], [0, 0])[0] == fewest_errors([[1.0], [2.0]], [1, 1])[0] == 0
    assert fewest_errors(np.arange(9)[:, None], [1, -1] * 4 + [1])[0] == 4
    corners = oracle.cube(4)
    assert (
        fewest_errors(corners, corners.prod(axis=1))[0] == oracle.fewest_errors(corners, corners.prod(axis=1), ()) == 5
    )


@pytest.mark.parametrize("kind", ["grid", "gauss", "cube", "line"])
def test_fewest_errors_against_all_dichotomies(kind):
    rng = np.random.default_rng(1)
    for _ in range(12):
        X = {
            "grid": rng.integers(0, 3, (9, 2)),
            "gauss": rng.normal(size=(9, 2)),
            "cube": rng.choice([-1, 1], (9, 3)),
            "line": rng.normal(size=(9, 1)).round(1),
        }[kind]
        t = rng.choice([-1, 0, 1], 9, p=[0.45, 0.1, 0.45])
        found, weights = fewest_errors(X, t)
        used = t != 0
        best = max(sum(a == b for a, b in zip(s, t[used], strict=True)) for s in oracle.dichotomies(X[used]))
        assert found == used.sum() - best
        assert errors(X, t, weights) == found


@given(arrays(np.int8, (7, 2), elements=st.integers(-2, 2)), arrays(np.int8, 7, elements=st.sampled_from([-1, 1])))
@settings(max_examples=40)
def test_no_fewer_errors_on_any_part(X, t):
    """Leaving out that many instances can make it separable, leaving out one fewer cannot."""
    found, weights = fewest_errors(X, t)
    assert errors(X, t, weights) == found
    assume(found > 0)
    for left_out in combinations(range(7), found - 1):
        assert not oracle.separable(X, np.where(np.isin(np.arange(7), left_out), 0, t))


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [max_margin, hinge_fit, fewest_errors])
def test_bad_input(function):
    with pytest.raises(ValueError, match=r"one unit at a time, shape \(2,\), not \(2, 3\)"):
        function([[1.0], [2.0]], np.ones((2, 3)))
    with pytest.raises(ValueError, match="targets must be"):
        function([[1.0], [2.0]], [1, 2])
    with pytest.raises(ValueError, match="not of type bool"):
        function([[1.0], [2.0]], [True, False])
    with pytest.raises(ValueError, match="X must be finite"):
        function([[1.0], [np.nan]], [1, -1])
    with pytest.raises(ValueError, match="at least one of each"):
        function(np.zeros((0, 2)), [])


@pytest.mark.parametrize("cost", [[1], [1, -1], [1, np.nan], [1, np.inf], [[1, 1]]])
def test_bad_costs(cost):
    with pytest.raises(ValueError, match="one cost, a number of 0 or more, for each of the 2 instances"):
        hinge_fit([[1.0], [2.0]], [1, -1], cost)
