"""Many questions about the same points, what may be asked, and what is refused."""

from itertools import product

import numpy as np
import pytest
import torch
from verdicts import facet, labelled, proven

from ftpkit.separability import Points, Undecided, separate

CORNERS = [[-1, -1], [-1, 1], [1, -1], [1, 1]]


# --- many questions ----------------------------------------------------------------------------------------------


def test_a_layer_in_one_call_equals_its_units_one_by_one():
    X, _ = labelled(40, 6, seed=1)
    T = np.random.default_rng(1).choice([-1, 0, 1], (40, 7))
    T[:, 0] = np.where(X[:, 0] > 0, 1, -1)
    layer = separate(X, T)
    assert isinstance(layer, list) and len(layer) == 7
    assert [proven(X, t, v) for t, v in zip(T.T, layer, strict=True)] == [separate(X, t).separable for t in T.T]
    assert separate(X, T[:, :0]) == []


def test_points_remember_and_what_they_recall_is_valid_for_the_later_question():
    X = np.random.default_rng(2).integers(-1, 2, (6, 2))
    points, certificates = Points(X), set()
    for t in product((-1, 0, 1), repeat=6):
        found = points.separate(t)
        assert proven(X, t, found) is separate(X, t).separable
        assert points.separate(np.array(t)) is found
        if not found.separable:
            certificates.add(id(found))
    assert 0 < len(certificates) < 100  # of more than 300 questions that they answer


def test_a_certificate_answers_for_opposite_targets_and_for_more_of_them():
    points = Points([*CORNERS, [5, 5]])
    first = points.separate([-1, 1, 1, -1, 0])
    assert points.separate([1, -1, -1, 1, 0]) is first and points.separate([1, -1, -1, 1, -1]) is first
    assert proven(points.X, [1, -1, -1, 1, -1], first) is False
    assert points.separate([0, -1, -1, 1, -1]) is not first


def test_no_pivots_may_leave_it_undecided_but_never_wrong():
    found = separate([[0.0], [5e-324], [1e-323]], [-1, -1, 1], pivots=0)
    assert isinstance(found, Undecided) and found.separable is None and "0 exact pivots" in found.reason
    for n, gap in product((1, 2, 5, 10), (1e-6, 1e-9, 1e-12, 1e-15)):
        for factor, separable in [(1 + gap, True), (1 - gap, False)]:
            X, t = facet(n, factor)
            assert proven(X, t, separate(X, t, pivots=0)) in (separable, None)


def test_the_same_every_time():
    for n in (3, 8):
        X, t = labelled(60, n, seed=n, wrong=3)
        for labels in (t, np.where(X[:, 0] > 0, 1, -1)):
            a, b = separate(X, labels), separate(X, labels)
            assert getattr(a, "exact", None) == getattr(b, "exact", None)
            assert getattr(a, "coefficients", None) == getattr(b, "coefficients", None)


def test_neither_points_nor_targets_are_changed_and_points_are_no_window_on_the_array():
    X, t = labelled(20, 3, seed=3)
    copies = X.copy(), t.copy()
    points = Points(X)
    separate(X, t)
    assert (X == copies[0]).all() and (t == copies[1]).all()
    X.fill(0)
    assert proven(copies[0], t, points.separate(t)) is True
    fixed = copies[0].copy()
    fixed.setflags(write=False)
    assert separate(fixed, t).separable


def test_lists_integers_and_tensors():
    X, t = [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, 1]
    exact = separate(X, t).exact
    for as_given in (np.array(X, np.int8), torch.tensor(X, dtype=torch.float32), tuple(map(tuple, X))):
        for targets in (np.array(t, float), torch.tensor(t), torch.tensor(t, dtype=torch.int8), tuple(t)):
            assert separate(as_given, targets).exact == exact


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "t", "says"),
    [
        ([[1.0], [2.0]], [1, 2], r"targets must be -1, 0 \(ignored\) or \+1; t has \[2\]"),
        ([[1.0], [2.0]], [1, np.nan], r"t has \[nan\]"),
        ([[1.0], [2.0]], [0.5, -1], r"t has \[0.5\]"),
        ([[1.0], [2.0]], [True, False], "not of type bool"),
        ([[1.0], [2.0]], ["1", "-1"], "not of type <U2"),
        ([[1.0], [2.0]], [None, 1], "not of type object"),
        ([[1.0], [2.0]], [[1], [1, -1]], "rows differ in length"),
        ([[1.0], [2.0]], [1, -1, 1], r"each of the 2 instances, shape \(2,\) or \(2, k\), not \(3,\)"),
        ([[1.0], [2.0]], 1, r"not \(\)"),
        ([[1.0], [2.0]], [[[1]], [[1]]], r"not \(2, 1, 1\)"),
        ([[1.0], [np.nan]], [1, -1], "X must be finite; instance 1 is not"),
        ([[1.0], [-np.inf]], [1, -1], "X must be finite; instance 1 is not"),
        ([[1], [10**400]], [1, -1], "float64 can hold"),
        ([["a"], ["b"]], [1, -1], "table of numbers"),
        ([[1], [1, 2]], [1, -1], "table of numbers"),
        ([1.0, 2.0], [1, -1], r"shape \(instances, inputs\), at least one of each, not \(2,\)"),
        (np.zeros((0, 3)), [], r"not \(0, 3\)"),
        (np.zeros((2, 0)), [1, -1], r"not \(2, 0\)"),
        ([], [], r"not \(0,\)"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(X, t, says):
    with pytest.raises(ValueError, match=says):
        separate(X, t)


def test_pivots_below_zero_are_refused():
    with pytest.raises(ValueError, match="pivots must be 0 or more, not -1"):
        separate([[1.0]], [1], pivots=-1)
