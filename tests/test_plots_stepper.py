"""The figure of a search at one step: points, lines, certificates, table, tree and losses are read back."""

import numpy as np
import pytest

from ftpkit.plots import stepper as pictures
from ftpkit.plots.planes import WRONG
from ftpkit.search import Problem, case
from ftpkit.search.steps import course, flipped_by_hand, units

SQUARE = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
XOR = Problem(SQUARE, [-1, 1, 1, -1], (2,))
PARITY = case("parity 3").problem
TEACHER = case("teacher 3-layer n=4 h=2-2 m=12", 3).problem


def shown(problem, method, seed, step, flips=()):
    """The axes: one for each unit, the table, the way so far; with what they were made from."""
    whole = course(problem, method, seed)
    position = whole.positions[step]
    targets, outputs = flipped_by_hand(problem, position, flips)
    found = units(problem, targets, outputs, position.weights)
    *planes, table, way = pictures.stepper(found, position, whole, flips, "a title").axes
    return found, planes, table, way, position


def drawn(ax, marker, size=None):
    lines = [line for line in ax.lines if line.get_marker() == marker and size in (None, line.get_markersize())]
    return [tuple(place) for line in lines for place in line.get_xydata()]


def labelled(ax, label):
    return next(line.get_xydata() for line in ax.lines if line.get_label() == label)


@pytest.mark.parametrize(
    ("problem", "method"), [(XOR, "Hill climbing"), (PARITY, "Beam of 4"), (TEACHER, "Algorithm 1")]
)
def test_every_unit_has_its_plane_its_verdict_and_points_on_the_side_of_their_targets(problem, method):
    for step in (0, 1, -1):
        found, planes, *_ = shown(problem, method, 5, step)
        for unit, ax in zip(found, planes, strict=True):
            verdict = "feasible ✓" if unit.verdict.separable else "INFEASIBLE ✗"
            assert ax.get_title() == f"{unit.name}: {verdict}"
            assert (len(drawn(ax, "*")) == 1) == (unit.verdict.separable is False)
            for label, t in (("t = +1", 1), ("t = -1", -1), ("no wish", 0)):
                assert len(labelled(ax, label)) == (unit.t == t).sum()
            assert len(labelled(ax, "wrong side")) == unit.wrong.sum()
            low, high = ax.get_xlim()
            for line in ax.lines:
                if line.get_marker() in ("o", "s"):
                    assert (np.abs(line.get_xydata()) < high).all() and low == -high


def test_two_inputs_are_drawn_as_they_are_and_the_line_is_that_of_the_weights():
    found, (first, *_), *_ = shown(XOR, "Hill climbing", 2, 0)
    w = found[0].weights
    np.testing.assert_array_equal(labelled(first, "t = +1"), SQUARE[found[0].t > 0])
    lines = [line.get_xydata() for line in first.lines if len(line.get_xydata()) == 2 and line.get_marker() == "None"]
    assert any(np.allclose(xy @ w[:2] + w[2], 0) and not np.allclose(*xy) for xy in lines)


def test_many_inputs_are_seen_edge_on():
    """The first axis is the distance from the unit's plane, but for the spread of points that coincide."""
    found, planes, *_ = shown(PARITY, "Algorithm 1", 0, -1)
    for unit, ax in zip(found[:3], planes, strict=False):  # the corners of a cube do not coincide
        distance = (unit.X @ unit.weights[:-1] + unit.weights[-1]) / np.linalg.norm(unit.weights[:-1])
        [border] = {float(x) for line in ax.lines if line.get_linewidth() == 2 for x in np.round(line.get_xdata(), 6)}
        x = np.sort(np.r_[labelled(ax, "t = +1")[:, 0], labelled(ax, "t = -1")[:, 0]])
        np.testing.assert_allclose(x - border, np.sort(distance), atol=1e-5)
        assert ax.get_xlabel() == "inputs, edge-on"


def test_instances_that_coincide_are_moved_apart_and_nobody_else():
    X = np.array([[1.0, 1], [1, 1], [-1, 1], [1, 1], [-1, -1]])
    moved, limit = pictures._apart(X)
    np.testing.assert_array_equal(moved[[2, 4]], X[[2, 4]])
    np.testing.assert_allclose(moved[[0, 1, 3]].mean(axis=0), [1, 1])
    gaps = [np.linalg.norm(moved[a] - moved[b]) for a, b in ((0, 1), (0, 3), (1, 3))]
    assert min(gaps) > 0.1 * limit and np.abs(moved).max() < limit


def test_the_table_has_every_target_what_differs_what_is_free_and_what_hand_has_turned():
    found, _, table, _, position = shown(TEACHER, "Algorithm 1", 5, 2, flips=((1, 3), (4, 12)))
    [image] = table.images
    np.testing.assert_array_equal(image.get_array(), [unit.t for unit in found])
    rows, columns = np.nonzero(np.array([unit.t for unit in found]) == 0)
    assert sorted(drawn(table, ".")) == sorted(zip(columns, rows, strict=True)) and len(rows) > 0
    _, outputs = flipped_by_hand(TEACHER, position, ((1, 3), (4, 12)))
    differ = np.argwhere(np.hstack(outputs) != np.hstack(position.before))
    assert sorted(drawn(table, "x")) == sorted(map(tuple, differ.tolist())) and len(differ) > 1
    frames = [p.get_xy() for p in table.patches if p.get_linewidth() == 3]
    assert frames == [(1.5, -0.5), (10.5, 2.5)]
    marks = [label.get_text() for label in table.get_yticklabels()]
    assert marks == [f"{unit.name} {'✓' if unit.verdict.separable else '✗'}" for unit in found]
    assert "frame: by hand" in table.get_xlabel()


def test_the_tree_grows_call_by_call():
    sizes, undone = [], []
    for step in (0, 1, 2, 12, 17, 22):
        *_, way, position = shown(TEACHER, "Algorithm 1", 5, step)
        calls = drawn(way, "s")
        assert len(calls) == 1 + len(position.trace)
        [ring] = drawn(way, "o", 17)
        assert ring[1] == (3 if position.line is None else position.trace[position.line].layer) and ring in calls
        assert len(drawn(way, "x")) == sum(p.kept is False for p in position.trace)
        sizes.append(len(calls))
        undone.append(len(drawn(way, "x")))
    assert sizes[-1] == 12 and undone[-1] == 2
    faces = [line.get_markerfacecolor() for line in way.lines if line.get_marker() == "s"]
    assert faces[0] == "black" and faces.count("black") == 1 + sum(p.reached for p in position.trace)


def test_losses_are_those_looked_at_so_far():
    *_, way, position = shown(XOR, "Hill climbing", 0, 12)
    whole = course(XOR, "Hill climbing", 0)
    assert drawn(way, ".") == list(enumerate(whole.losses[:12], start=1))
    assert drawn(way, "s") == [(position.kept[0], whole.losses[position.kept[0] - 1])]
    assert drawn(way, "o") == [(12, whole.losses[11])]
    *_, way, position = shown(XOR, "Hill climbing", 0, 9)
    assert position.decision and drawn(way, "o") == drawn(way, "s")


def test_a_ring_around_what_the_line_gets_wrong_has_the_colour_of_errors():
    _, planes, *_ = shown(XOR, "Hill climbing", 2, -1)
    [ring] = [line for line in planes[-1].lines if line.get_label() == "wrong side"]
    assert len(ring.get_xydata()) == 1 and ring.get_color() == WRONG
