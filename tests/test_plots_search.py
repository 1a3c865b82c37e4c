"""The figures of searches draw what they are given: lines, stars, maps and trees are read back and compared."""

from fractions import Fraction

import numpy as np
import pytest

from ftpkit import plots
from ftpkit.ftprop import Proposed, ftprop
from ftpkit.plots import planes
from ftpkit.plots import search as pictures
from ftpkit.search import Problem, case, exact
from ftpkit.separability import max_margin, separate

SQUARE = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
XOR, AND, OR = (np.array(t) for t in ([-1, 1, 1, -1], [-1, -1, -1, 1], [-1, 1, 1, 1]))
T = np.c_[AND, OR]
W = [np.stack([max_margin(SQUARE, t).weights for t in T.T]), max_margin(T, XOR).weights[None]]
COLUMNS = [np.array(bits) * 2 - 1 for bits in np.ndindex(2, 2, 2, 2)]


def stars(ax):
    return [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "*"]


def rings(ax):
    return [tuple(p) for line in ax.lines if line.get_markersize() == 13 for p in line.get_xydata()]


def straight(ax, w):
    """The lines in ax whose ends both fulfil w . (x1, x2, 1) = 0."""
    ends = [line.get_xydata() for line in ax.lines if len(line.get_xydata()) == 2]
    return [xy for xy in ends if np.allclose(xy @ w[:2] + w[2], 0) and not np.allclose(*xy)]


def words(ax):
    return [text.get_text() for text in ax.texts]


def test_dichotomies_have_their_line_or_both_hulls_and_their_common_point():
    verdicts = separate(SQUARE, np.c_[AND, XOR])
    w = max_margin(SQUARE, AND).weights
    line, certificate = planes.dichotomies(SQUARE, np.array([AND, XOR]), verdicts, [w, None], ["and", "xor"]).axes
    assert len(straight(line, w)) == 1 and not stars(line) and len(line.images) == 1
    np.testing.assert_array_equal(stars(certificate), [[0, 0]])
    assert not certificate.images and [ax.get_title() for ax in (line, certificate)] == ["and", "xor"]


def test_a_common_point_is_that_of_the_coefficients():
    X, t = np.array([[0.0, 0], [4, 0], [0, 4], [1, 2]]), np.array([1, 1, 1, -1])
    cut = {
        "points": X.tolist(),
        "signs": t.tolist(),
        "coefficients": ["1/4", "1/4", "1/2", "1"],
        "title": "3 against 1",
    }
    (ax,) = planes.cuts(X, [cut]).axes
    (star,) = stars(ax)
    np.testing.assert_allclose(star, X[3] - [2, 2])  # the picture is centred
    assert Fraction(cut["coefficients"][2]) == Fraction(1, 2)


def test_solutions_have_the_lines_of_both_units_and_their_numbers():
    (ax,) = [ax for ax in planes.solutions(SQUARE, XOR, [W], ["0"]).axes if ax.axison]
    assert all(len(straight(ax, w)) == 1 for w in W[0]) and words(ax)[-1] == "2" and "1" in words(ax)


def test_a_network_falls_apart_into_three_training_sets():
    network, first, second, output = planes.falls_apart(SQUARE, T, W, XOR).axes
    for ax, inputs, t, w in ((first, SQUARE, AND, W[0][0]), (second, SQUARE, OR, W[0][1]), (output, T, XOR, W[1][0])):
        drawn = {line.get_label(): line.get_xydata() for line in ax.lines}
        np.testing.assert_array_equal(drawn["t = +1"], inputs[t > 0])
        np.testing.assert_array_equal(drawn["t = -1"], inputs[t < 0])
        assert len(straight(ax, w)) == 1
    assert "2 instances" in words(output) and {"inputs X", "targets T", "labels y"} <= set(words(network))


def test_frames_ring_errors_and_draw_a_moved_line_with_its_old_place():
    before = W[0].copy()
    before[1] = [1, -1, 0.5]
    steps = [{"W": [before, W[1]], "title": "start"}, {"W": W, "before": before, "title": "1"}]
    start, after = planes.frames(SQUARE, XOR, steps, columns=2).axes
    assert len(straight(after, before[1])) == 1 and len(straight(after, W[0][1])) == 1
    (moved,) = [line for line in after.lines if line.get_linestyle() != "None" and line.get_color() == "black"]
    np.testing.assert_allclose(moved.get_xydata() @ W[0][1, :2] + W[0][1, 2], 0, atol=1e-9)
    wrong = Problem(SQUARE, XOR, (2,)).errors([before, W[1]])
    assert len(rings(start)) == wrong > 0 and rings(after) == []


def test_networks_are_centred_with_their_data():
    X = SQUARE + [10, -3]
    moved = [np.c_[W[0][:, :2], W[0][:, 2] - W[0][:, :2] @ [10, -3]], W[1]]
    (ax,) = planes.networks(X, XOR, {"a": moved}).axes
    assert rings(ax) == [] and all(len(straight(ax, w)) == 1 for w in W[0])


@pytest.mark.parametrize("value", [0, 2, 4])
def test_landscape_writes_every_value_and_a_star_for_zero(value):
    values = np.full((16, 16), 8.0)
    values[3, 5] = value
    (ax,) = pictures.landscape({"loss": values}, COLUMNS).axes
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert len(written) == 256 and written[5, 3] == ("★" if value == 0 else f"{value}")
    assert ax.get_title() == "loss"


def test_climb_marks_the_way_and_draws_the_neighbours():
    values = np.arange(256.0).reshape(16, 16)
    left, right = pictures.climb(values, COLUMNS, [(2, 3), (1, 3), (1, 2)], {"a": (1, 4), "b": (5, 2)}).axes
    assert [bar.get_width() for bar in right.patches] == [values[1, 2], values[1, 4], values[5, 2]]
    assert [text.get_text() for text in right.get_yticklabels()] == ["stuck here", "a", "b"]
    squares = [tuple(line.get_xydata()[0]) for line in left.lines if line.get_marker() == "s"]
    assert squares == [(2, 1), (4, 1), (2, 5)]


def test_visits_are_numbered():
    values = np.ones((16, 16))
    values[0, 0] = 0
    (ax,) = pictures.visits(values, COLUMNS, {"way": [(1, 2), (3, 4)]}).axes
    assert {text.get_position(): text.get_text() for text in ax.texts} == {(2, 1): "1", (4, 3): "2", (0, 0): "★"}


def test_descents_are_the_best_so_far():
    ax = pictures.descents({"a": [4, 6, 4]}, {"b": [4, 2, 3, 0]}).axes[0]
    drawn = {line.get_label(): line.get_ydata().tolist() for line in ax.lines}
    assert drawn["a"] == [4, 4, 4] and drawn["b"] == [4, 2, 2, 0]
    assert [line.get_marker() for line in ax.lines if len(line.get_xydata()) == 1] == ["X", "o"]


def entry(layer, reached=True, loss=0.0, kept=True):
    return Proposed(layer, np.zeros((1, 1)), reached, loss, kept)


def test_calls_are_the_recursion():
    trace = [entry(2), entry(1), entry(1), entry(2), entry(2), entry(1)]
    assert [(layer, caller) for layer, caller, _ in pictures.calls(trace)] == [
        (3, None),
        (2, 0),
        (1, 1),
        (1, 1),
        (2, 0),
        (2, 0),
        (1, 5),
    ]


def test_calls_of_a_real_run_fit_its_loss():
    deep = case("teacher 3-layer n=4 h=2-2 m=12", 0).problem
    outcome = ftprop(deep, budget=30)
    tree = pictures.calls(outcome.trace)
    assert len(tree) == len(outcome.trace) + 1 and {layer for layer, _, _ in tree} == {1, 2, 3}
    for layer, caller, proposed in tree[1:]:
        assert tree[caller][0] == layer + 1 and proposed.layer == layer


def test_call_tree_says_what_each_call_returned():
    trace = [entry(1, False, 2.5, False), entry(1, True, 0.0)]
    (ax,) = pictures.call_tree(trace, True).axes
    assert words(ax)[0] == "ftprop(2)\nTrue" and "ftprop(1)\nFalse" in words(ax) and "$L_2$ = 2.5, undone" in words(ax)
    looks = {text.get_text(): text.get_bbox_patch().get_linestyle() for text in ax.texts if "ftprop" in text.get_text()}
    assert looks["ftprop(1)\nFalse"] != looks["ftprop(1)\nTrue"]


def test_wishes_mark_what_changes_what_is_free_and_what_is_spoilt():
    before = np.array([[1, -1], [1, 1], [-1, 1]])
    rule = {"before": before, "wish": np.array([[-1, 1], [0, 0], [0, 1]]), "after": before * [[1, 1], [1, -1], [1, 1]]}
    rule |= {"right": np.array([False, True, True]), "wrong_after": np.array([False, True, False])}
    first, wish, after = pictures.wishes({"eq. 2": rule}).axes

    def marks(ax, marker):
        return [tuple(line.get_xydata()[0].tolist()) for line in ax.lines if line.get_marker() == marker]

    assert marks(first, "x") == [] and marks(wish, "x") == [(0, 0), (0, 1)] and marks(after, "x") == [(1, 1)]
    assert marks(wish, ".") == [(1, 0), (2, 0), (1, 1)]
    assert [x for x, _ in marks(after, "^")] == [1]
    assert after.get_xlabel() == "1 instances that cost something, 2 that do not"


def test_bounds_are_those_of_the_trace():
    outcome = exact(Problem(SQUARE, XOR, (1,)))
    (ax,) = pictures.bounds({"XOR": outcome.trace}).axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in ax.lines}
    assert drawn["proved bound"] == [row[0] for row in outcome.trace]
    assert drawn["best network"] == [row[1] for row in outcome.trace]


def test_cost_draws_logarithms_and_measurements():
    (ax,) = pictures.cost({"all": [(10, 9.0), (20, 18.0)]}, {"exact": [(10, 100)]}).axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in ax.lines}
    assert drawn == {"all": [9, 18], "exact": [2]}


def test_all_of_them_become_pictures():
    alt = "A picture of the square and its targets, drawn by a test."
    for fig in (planes.falls_apart(SQUARE, T, W, XOR), pictures.landscape({"loss": np.zeros((16, 16))}, COLUMNS)):
        assert plots.show(fig, alt).png.startswith(b"\x89PNG")
