"""The exact arithmetic below the verdicts, and the proposals that it is given."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from verdicts import dot, facet, labelled, rows

from ftpkit import hulls
from ftpkit.hulls import proposals
from ftpkit.rational import IntegerPoints, _root

NONE = np.arange(0)
floats = st.floats(allow_nan=False, allow_infinity=False)


def answer(X, t, found):
    """Is (X, t) separable, by what `decide` found? It is verified; None stays None."""
    if isinstance(found, tuple):
        assert all(s * dot(row, found) > 0 for row, s in zip(rows(X), np.asarray(t).tolist(), strict=True) if s)
        return True
    if isinstance(found, dict):
        assert all(c > 0 for c in found.values()) and sum(found.values()) == 1 and len(found) <= np.shape(X)[1] + 2
        signed = [[c * int(t[i]) * v for v in rows(X)[i]] for i, c in found.items()]
        assert not any(map(sum, zip(*signed, strict=True)))
        return False
    assert found is None


@given(arrays(np.float64, (4, 3), elements=floats), st.lists(st.fractions(), min_size=4, max_size=4))
@settings(max_examples=60)
def test_points_are_integers_without_a_common_factor_and_values_are_exact(X, weights):
    points = IntegerPoints(X)
    z, unit = points.values(weights)
    assert all(isinstance(v, int) for v in z) and unit > 0
    assert [v * unit for v in z] == [dot(row, weights) for row in rows(X)]
    for column, scale, given_ in zip(
        zip(*points.rows, strict=True), points.scales, zip(*rows(X), strict=True), strict=True
    ):
        assert math.gcd(*column) in (0, 1) and [v / scale for v in column] == list(given_)


@given(floats.map(abs), st.integers(-3000, 3000))
def test_roots_of_what_no_float_can_hold(value, k):
    square = Fraction(value) ** 2 * Fraction(4) ** k
    try:
        expected = math.ldexp(value, k)
    except OverflowError:
        expected = np.finfo(float).max
    assert _root(square) == pytest.approx(expected, rel=1e-15, abs=1e-323)


def test_the_bias_is_in_the_middle_and_a_float_if_one_serves():
    t = np.array([-1, -1, 1, 1])
    assert IntegerPoints(np.array([[0.0], [1.0], [2.0], [9.0]])).separating([Fraction(1)], t) == (1, Fraction(-3, 2))
    thirds = IntegerPoints(np.array([[0.0], [1 / 3], [2.0], [9.0]])).separating([Fraction(1)], t)
    assert thirds[1] == Fraction(float(thirds[1]))
    close = IntegerPoints(np.array([[0.0], [1.0], [1 + 2**-52], [9.0]])).separating([Fraction(1)], t)
    assert close[1] == -1 - Fraction(1, 2**53)  # the nearest float is 1 itself
    huge = IntegerPoints(np.array([[1.7e308] * 2, [1.6e308] * 2])).separating([Fraction(1)] * 2, np.array([1, -1]))
    assert huge[2] < -(2**1024)
    for w in (0, -1):
        assert IntegerPoints(np.array([[0.0], [1.0], [2.0], [9.0]])).separating([Fraction(w)], t) is None


def test_a_hull_point_is_found_on_the_right_support_only():
    X, t = np.r_[oracle.cube(2), [[9, 9]]].astype(float), np.array([1, -1, -1, 1, 1])
    points = IntegerPoints(X)
    assert answer(X, t, points.hull_point(np.arange(4), t)) is False
    assert answer(X, t, points.hull_point(np.array([4, 1, 0, 2]), t)) is False
    for support in ([], [0], [0, 3], [0, 1, 2], [4, 3, 1, 2], [4, 0, 1]):
        assert points.hull_point(np.array(support, int), t) is None


def test_a_coefficient_just_below_zero_is_below_zero():
    for n, gap in product((1, 5, 10), (1e-6, 1e-12, 1e-15)):
        for factor in (1 + gap, 1 - gap):
            X, t = facet(n, factor)
            found = IntegerPoints(X).hull_point(np.arange(n + 2), t)
            assert found is None if factor > 1 else answer(X, t, found) is False


@given(st.data())
@settings(max_examples=80)
def test_the_exact_simplex_method_from_any_support(data):
    m, n = data.draw(st.integers(2, 9)), data.draw(st.integers(1, 5))
    X = data.draw(arrays(np.float64, (m, n), elements=st.integers(-2, 2).map(float)))
    t = data.draw(arrays(np.int8, m, elements=st.sampled_from([-1, 0, 1])))
    t[:2] = 1, -1
    used = np.flatnonzero(t).tolist()
    support = np.array(data.draw(st.lists(st.sampled_from(used), unique=True, max_size=n + 2)), int)
    points = IntegerPoints(X)
    assert answer(X, t, points.decide(support, t, 1000)) is oracle.separable(X, t)
    assert answer(X, t, points.decide(support, t, 1)) in (None, oracle.separable(X, t))
    assert points.decide(support, t, 0) is None


def test_the_exact_simplex_method_ends_where_everything_is_a_tie():
    for n in (3, 4, 5):
        corners = oracle.cube(n)
        points = IntegerPoints(corners.astype(float))
        for t in (corners.prod(axis=1), np.where(corners.sum(axis=1) > 0, 1, -1), corners[:, 0] * corners[:, 1]):
            assert answer(corners, t, points.decide(NONE, t, 300)) is not None


@pytest.mark.parametrize("gap", [1e-3, 1e-9, 1e-12, 1e-15])
def test_corrections_see_gaps_that_no_plain_program_sees(gap):
    rng = np.random.default_rng(0)
    w = rng.normal(size=30)
    w /= np.linalg.norm(w)
    X, t = rng.normal(size=(600, 30)), rng.choice([-1, 1], 600)
    z = X @ w
    X += np.outer(np.where(np.arange(600) < 60, gap, np.abs(z)) * t - z, w)  # 60 of them at the edge of the gap
    points = IntegerPoints(X)
    made = list(proposals(X, t, points.values))
    assert len(made) <= 4 and all(len(w) == 30 and len(support) <= 32 for w, support in made)
    assert any(points.separating(w, t) for w, _ in made)


def test_proposals_for_common_data_are_right_at_once():
    for seed, wrong in product(range(5), (0, 3)):
        X, t = labelled(100, 6, seed, wrong)
        points = IntegerPoints(X)
        w, support = next(proposals(X, t, points.values))
        assert (points.separating(w, t) or points.hull_point(support, t)) is not None


def test_every_program_has_a_limit_and_a_failed_one_proposes_nothing(monkeypatch):
    X, t = labelled(30, 3, seed=0)

    class Failed:
        status = 4

    def fails(*_, options, **__):
        assert options["maxiter"] < 2000
        return Failed

    monkeypatch.setattr(hulls, "linprog", fails)
    assert list(proposals(X, t, IntegerPoints(X).values)) == []
