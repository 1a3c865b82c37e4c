"""Verdicts on separability, each verified from the outside in fractions, also where floating point would be wrong."""

import time
from fractions import Fraction
from itertools import product

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from verdicts import facet, labelled, margin, proven

from ftpkit import separability
from ftpkit.separability import Points, separate

GAPS = [1e-6, 1e-8, 1e-10, 1e-12, 1e-13, 1e-14, 1e-15]


def verdict(X, t, **options):
    """Is (X, t) separable, by a verdict that was verified?"""
    return proven(X, t, separate(X, t, **options))


# --- gaps that floating point does not see -----------------------------------------------------------------------


def test_the_case_where_the_linear_program_alone_is_wrong():
    assert verdict([[0], [1], [1 + 1e-10], [2]], [-1, -1, 1, 1]) is True
    assert verdict([[0], [1 + 1e-10], [1], [2]], [-1, -1, 1, 1]) is False


@pytest.mark.parametrize("n", [1, 2, 5, 10])
@pytest.mark.parametrize("gap", GAPS)
def test_gaps_and_overlaps_as_small(gap, n):
    for factor, separable in [(1 + gap, True), (1 - gap, False), (1.0, False)]:
        X, t = facet(n, factor)
        assert verdict(X, t) is separable
        assert verdict(X[::-1] * 2.0 ** np.arange(n), -t[::-1]) is separable


@pytest.mark.parametrize("n", [2, 5, 10, 30])
@pytest.mark.parametrize("gap", GAPS[::2])
def test_gaps_in_any_direction_with_many_points_at_the_edge(gap, n):
    """Rounding moves the points by more than some of these gaps, so only the proof says which verdict is right."""
    rng = np.random.default_rng(n)
    w = rng.normal(size=n)
    w /= np.linalg.norm(w)
    X, t = rng.normal(size=(10 * n, n)), rng.choice([-1, 1], 10 * n)
    X -= np.outer(X @ w - gap * t, w)
    assert verdict(X, t) is not None
    t[0] *= -1
    assert verdict(X, t) is not None


def test_adjacent_floats():
    for x in (0.0, 1.0, -1.0, 0.1, 1e16, 1e300, 5e-324, 1e-308):
        above = np.nextafter(x, np.inf)
        assert verdict([[x], [above]], [-1, 1]) is True
        assert verdict([[x], [above], [x]], [-1, 1, 1]) is False
        assert verdict([[x, 7], [above, 7], [np.nextafter(above, np.inf), 7]], [1, -1, 1]) is False


def test_thin_slabs_of_adjacent_floats_against_the_oracle():
    rng = np.random.default_rng(0)
    answers = []
    for _ in range(60):
        n = int(rng.integers(1, 5))
        X = 1 + rng.integers(0, 4, (7, n)) * 2.0**-52
        t = rng.choice([-1, 0, 1], 7)
        answers.append(verdict(X, t))
        assert answers[-1] is oracle.separable(X, t)
    assert 10 < sum(answers) < 50


# --- size and scale ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0, 1, 20])
def test_two_thousand_instances_of_a_hundred_inputs(wrong):
    X, t = labelled(2000, 100, seed=wrong, wrong=wrong)
    start = time.process_time()
    found = separate(X, t)
    assert time.process_time() - start < 5  # 0.4 s on an idle core
    assert proven(X, t, found) is (wrong == 0)


@pytest.mark.parametrize(("m", "n"), [(60, 3), (300, 10), (1000, 30)])
@pytest.mark.parametrize("wrong", [0, 1, 20])
def test_columns_from_a_millionth_to_a_million(m, n, wrong):
    X, t = labelled(m, n, seed=m, wrong=wrong)
    X = X * 10.0 ** np.random.default_rng(n).integers(-6, 7, n)
    assert verdict(X, t) is (wrong == 0)


@pytest.mark.parametrize(("m", "n"), [(60, 3), (300, 10), (1000, 30), (2000, 100)])
def test_instances_from_a_millionth_to_a_million(m, n):
    rng = np.random.default_rng(m)
    X = rng.normal(size=(m, n)) * 10.0 ** rng.integers(-6, 7, (m, 1))
    start = time.process_time()
    found = separate(X, np.sign(X[:, 0]))
    assert time.process_time() - start < 10  # 1 s on an idle core for the largest
    assert proven(X, np.sign(X[:, 0]), found) is True
    if m < 2000:
        assert verdict(X, rng.choice([-1, 1], m)) is False


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-300, 1e-150, 1e150, 1e300, 4e307])
def test_sizes_at_the_ends_of_float64(size):
    X, t = np.array([[0, 0], [1, 0], [0, 1], [3, 4]]) * size, [-1, -1, -1, 1]
    found = separate(X, t)
    assert proven(X, t, found) is True
    right = Fraction(found.margin) ** 2 / margin(X, t, found.exact)
    assert abs(right - 1) < Fraction(1, 10**14) or size < 1e-308
    assert verdict(X, [-1, 1, -1, 1]) is True
    assert verdict(X, [-1, 1, 1, -1]) is False


def test_a_margin_that_no_float_can_hold_is_the_largest_float():
    top = np.finfo(float).max
    assert separate([[top, top], [-top, -top]], [1, -1]).margin == top
    assert verdict([[top, top], [top / 2, top / 2]], [1, -1]) is True  # the bias is larger still


def test_wild_magnitudes_in_one_table():
    rng = np.random.default_rng(1)
    answers = []
    for _ in range(60):
        m, n = rng.integers(2, 9, 2)
        X = rng.uniform(-1, 1, (m, n)) * 10.0 ** rng.integers(-320, 308, (m, n))
        t = rng.choice([-1, 1], m)
        answers.append(verdict(X, t))
        assert answers[-1] is oracle.separable(X, t)
    assert 20 < sum(answers) < 60


# --- degenerate data ---------------------------------------------------------------------------------------------


def test_one_class_has_an_infinite_margin_and_no_target_is_one_class_too():
    X = [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]
    for t in ([1, 1, 1], [-1, -1, -1], [0, 1, 0], [0, 0, 0], [-1, 0, -1]):
        found = separate(X, t)
        assert proven(X, t, found) is True and found.margin == np.inf
        assert not found.weights[:-1].any()
    assert separate([[5.0]], [-1]).margin == np.inf


def test_constant_columns():
    assert verdict([[3, 0], [3, 1]], [-1, 1]) is True
    assert verdict([[0.1, 0], [0.1, 1], [0.1, 2]], [-1, 1, -1]) is False
    for t, separable in [([1, 1, 1], True), ([1, -1, 0], False), ([1, 0, 1], True)]:
        assert verdict(np.full((3, 2), 0.1), t) is separable


def test_duplicates_with_the_same_and_with_another_label():
    X, t = labelled(40, 4, seed=0)
    assert verdict(np.r_[X, X], np.r_[t, t]) is True
    found = separate(np.r_[X, X[7:8]], np.r_[t, -t[7]])
    assert proven(np.r_[X, X[7:8]], np.r_[t, -t[7]], found) is False
    assert verdict(np.r_[X, X[7:8]], np.r_[t, 0]) is True


def test_more_columns_than_instances():
    X = np.random.default_rng(0).integers(-9, 10, (8, 30))
    for t in product((-1, 1), repeat=3):
        assert verdict(X, [*t, 1, -1, 1, -1, -1]) is True
    X = np.r_[2 * X, [X[0] + X[1]]]  # the last is in the middle of the first two
    assert verdict(X, [1, 1, -1, 1, -1, 1, -1, -1, 1]) is True
    assert verdict(X, [1, 1, -1, 1, -1, 1, -1, -1, -1]) is False


def test_points_on_a_line_in_space_and_corners_of_cubes():
    line = np.arange(6)[:, None] * [1, -2, 3]
    assert verdict(line, [1, 1, -1, -1, -1, -1]) is True and verdict(line, [1, 1, -1, -1, 1, 1]) is False
    for n in range(2, 7):
        corners = oracle.cube(n)
        assert verdict(corners, corners.prod(axis=1)) is False  # parity
        assert verdict(corners, np.where(corners.sum(axis=1) > 0, 1, -1)) is True  # majority


def test_the_dichotomies_of_the_cube_are_the_threshold_functions():
    corners = oracle.cube(3)
    points = Points(corners)
    found = {t for t in product((-1, 1), repeat=8) if proven(corners, t, points.separate(t))}
    assert found == oracle.dichotomies(corners) and len(found) == 104


# --- any input: exactly one answer, and the right one ----------------------------------------------------------------


def cases(elements, most=7):
    shapes = st.tuples(st.integers(1, most), st.integers(1, 6))
    return shapes.flatmap(
        lambda shape: st.tuples(
            arrays(np.float64, shape, elements=elements),
            arrays(np.int8, shape[0], elements=st.sampled_from([-1, 0, 1])),
        )
    )


@given(cases(st.integers(-2, 2).map(float), most=9))
@settings(max_examples=60)
def test_grids(case):
    assert verdict(*case) is oracle.separable(*case)


@given(cases(st.sampled_from([-1.0, 1.0]), most=12))
@settings(max_examples=60)
def test_corners(case):
    assert verdict(*case) is oracle.separable(*case)


@given(cases(st.floats(allow_nan=False, allow_infinity=False)))
@settings(max_examples=100)
def test_floats_of_all_magnitudes(case):
    X, t = case
    found = verdict(X, t)
    assert found is oracle.separable(X, t)
    assert verdict(X, -t) is found
    assert verdict(X, t, pivots=0) in (found, None)


@given(cases(st.integers(-3, 3).map(float), most=9), st.data())
@settings(max_examples=60)
def test_whatever_floating_point_proposes(case, data):
    """Lies about weights and supports change no verdict; they only cost pivots."""
    X, t = case
    X = np.c_[X, X**2]
    m, n = X.shape
    lies = st.tuples(
        st.lists(st.fractions(), min_size=n, max_size=n),
        st.lists(st.sampled_from(range(m)), unique=True, max_size=n + 2),
    )
    drawn = data.draw(st.lists(lies, max_size=3))
    used = [(w, np.array([i for i in support if t[i]], int)) for w, support in drawn]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separability, "proposals", lambda *_: iter(used))
        assert verdict(X, t) is oracle.separable(X, t)
