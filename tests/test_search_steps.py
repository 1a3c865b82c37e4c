"""A search step by step shows what the search did, and says of every unit what is so."""

from itertools import pairwise, product

import numpy as np
import pytest

from ftpkit.ftprop import ftprop
from ftpkit.plots.search import calls
from ftpkit.search import Evaluator, Problem, beam, case, dichotomies, hill_climb
from ftpkit.search.steps import BEAM, LOOKS, METHODS, course, flipped_by_hand, unit_names, units

SQUARE = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
LABELS = [-1, 1, 1, -1]
XOR, XOR_1, DEEP = (Problem(SQUARE, LABELS, hidden) for hidden in ((2,), (1,), (2, 2)))
MOONS = case("two moons m=20", 0).problem
TEACHER = case("teacher 3-layer n=4 h=2-2 m=12", 3).problem
LOCAL = METHODS[2:]


def by_itself(problem, method, seed, states):
    """The same search as its own function runs it."""
    options = dict(starts=1, budget=LOOKS, seed=seed, callback=states.append)
    if method == "Hill climbing":
        return hill_climb(problem, **options)
    return beam(problem, width=BEAM, pruned=False, **options)


@pytest.mark.parametrize("method", LOCAL)
@pytest.mark.parametrize("problem", [XOR, XOR_1, DEEP], ids=["XOR", "one unit", "deep"])
def test_local_searches_show_every_setting_in_order_and_every_decision(problem, method):
    for seed in range(3):
        states = []
        outcome, shown = by_itself(problem, method, seed, states), course(problem, method, seed)
        assert shown.losses == tuple(state.value for state in states) and shown.outcome.value == outcome.value
        start, *rest = shown.positions
        looks = [start, *(position for position in rest if not position.decision)]
        assert [position.evaluations for position in looks] == list(range(1, len(states) + 1))
        for position, state in zip(looks, states, strict=True):
            assert f"loss {state.value:g}" in position.said
            assert all((T == U).all() for T, U in zip(position.targets, state.targets, strict=True))
        for position in rest:
            if position.decision:
                assert all(1 <= number <= position.evaluations for number in position.kept)
                assert f"{shown.losses[position.kept[0] - 1]:g}" in position.said
            else:
                assert sum((T != B).sum() for T, B in zip(position.targets, position.before, strict=True)) == 1
        assert ("solved" in shown.positions[-1].said) == (outcome.value == 0)


def test_a_climb_keeps_the_lowest_and_says_where_it_is_stuck():
    shown = course(XOR, "Hill climbing", 2)
    assert [position.said for position in shown.positions if position.decision] == [
        "start: the outputs of a random network, loss 2",
        "stuck: none of all 8 flips lowers the loss 2",
    ]
    for seed in (0, 4, 5):
        shown = course(XOR, "Hill climbing", seed)
        kept = [shown.losses[position.kept[0] - 1] for position in shown.positions if position.decision]
        assert kept == [4, 2] and min(shown.losses) == 0


def test_a_round_of_looks_is_as_long_as_it_says():
    shown = course(XOR_1, "Beam of 4", 0).positions
    for earlier, later in pairwise(k for k, position in enumerate(shown) if position.decision):
        looks = [shown[k].said for k in range(earlier + 1, later)]
        assert [said.split(":")[0] for said in looks] == [f"look {k + 1} of {len(looks)}" for k in range(len(looks))]
    assert shown[-1].said == "all 16 settings have been looked at: the least loss is 2"


def test_the_budget_ends_a_search_and_the_best_is_shown():
    shown = course(TEACHER, "Beam of 4", 0)
    last = shown.positions[-1]
    assert last.said.startswith(f"the budget of {LOOKS} evaluations is spent")
    assert Evaluator(TEACHER, "loss", None).value(last.targets) == min(shown.losses) == shown.outcome.value


@pytest.mark.parametrize("problem", [XOR, DEEP, TEACHER], ids=["XOR", "deep", "teacher"])
@pytest.mark.parametrize("method", METHODS[:2])
def test_algorithm_1_is_shown_asking_and_settling(problem, method):
    shown = course(problem, method, 5)
    start, *rest = shown.positions
    assert start.trace == () and start.decision
    assert all((T == H).all() for T, H in zip(start.targets, problem.forward(start.weights)[0], strict=True))
    asked = [p for p in rest if not p.decision]
    assert [p.line for p in asked] == list(range(len(shown.outcome.trace)))
    for position in asked:
        proposed, d = position.trace[position.line], position.trace[position.line].layer
        assert (position.targets[d - 1] == proposed.targets).all() and f"asks layer {d}" in position.said
        assert f"{(proposed.targets == 0).sum()} of" in position.said
        assert (position.outputs[d - 1] != 0).all()
        wished = proposed.targets != 0
        assert (position.outputs[d - 1] == proposed.targets)[wished].all()
    for position in rest:
        if position.decision and "budget" not in position.said:
            settled = position.trace[position.line]
            assert ("undone" in position.said) == (not settled.kept)
            assert ("does not give" in position.said) == (not settled.reached)
    assert ("solved" in shown.positions[-1].said) == shown.outcome.feasible


def test_the_run_of_the_notebook():
    errors = [MOONS.errors(p.weights) for p in course(MOONS, "Algorithm 1", 8).positions if p.decision]
    assert errors == [3, 3, 3, 4, 2, 2, 1, 0]
    errors = [MOONS.errors(p.weights) for p in course(MOONS, "Algorithm 1, eq. 2", 8).positions if p.decision]
    assert errors == [3, *[8] * 41]
    recursion = ftprop(TEACHER, seed=5, budget=60)
    shown = course(TEACHER, "Algorithm 1", 5).positions[-1]
    assert [call[:2] for call in calls(shown.trace)] == [call[:2] for call in calls(recursion.trace)]


def test_a_start_that_needs_no_proposal_is_solved():
    alike = Problem(SQUARE, [1, 1, 1, 1], (2,))
    [only] = course(alike, "Algorithm 1", 0).positions
    assert only.said.endswith("solved") and alike.errors(only.weights) == 0


def test_unknown_methods_are_refused():
    with pytest.raises(ValueError, match="a search is one of 'Algorithm 1', .*not 'descent'"):
        course(XOR, "descent")


# --- units -----------------------------------------------------------------------------------------------------------


def test_units_of_every_setting_of_xor_against_an_enumeration():
    given = {tuple(column) for column in dichotomies(SQUARE)}
    evaluate = Evaluator(XOR, "loss", None)
    feasible = 0
    for bits in product((-1, 1), repeat=8):
        T = np.array(bits).reshape(4, 2)
        first, second, output = units(XOR, [T])
        assert (first.X == SQUARE).all() and (output.X == T).all() and (output.t == LABELS).all()
        for unit, column in zip((first, second), T.T, strict=True):
            assert (unit.t == column).all() and unit.verdict.separable == (tuple(column) in given)
        labels = {}
        for place, t in zip(map(tuple, T), LABELS, strict=True):
            labels.setdefault(place, set()).add(t)
        mixed = any(len(each) == 2 for each in labels.values())
        crossed = labels.keys() == {(-1, -1), (-1, 1), (1, -1), (1, 1)} and not mixed
        xor_like = crossed and labels[-1, -1] == labels[1, 1] != labels[-1, 1] == labels[1, -1]
        assert output.verdict.separable == (not mixed and not xor_like)
        for unit in (first, second, output):
            assert unit.verdict.separable == (not unit.wrong.any()) == (unit.loss < 1e-9)
        assert sum(unit.loss for unit in (first, second, output)) == pytest.approx(evaluate.value([T]))
        if all(unit.verdict.separable for unit in (first, second, output)):
            feasible += 1
            assert XOR.errors([np.stack([first.weights, second.weights]), output.weights[None]]) == 0
    assert feasible == 16


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("problem", [DEEP, TEACHER], ids=["deep", "teacher"])
def test_where_every_unit_is_feasible_and_nothing_is_free_the_network_is_right(problem, method):
    seen = 0
    for position in course(problem, method, 4).positions[-20:]:
        found = units(problem, position.targets, position.outputs, position.weights)
        assert [unit.name for unit in found] == [*unit_names(problem), "output"]
        assert [unit.layer for unit in found] == [1, 1, 2, 2, 3]
        for unit in found:
            wrong = (np.where(unit.X @ unit.weights[:-1] + unit.weights[-1] > 0, 1, -1) != unit.t) & (unit.t != 0)
            assert (unit.wrong == wrong).all() and unit.verdict.separable == (not wrong.any())
        if all(unit.verdict.separable for unit in found) and all((T != 0).all() for T in position.targets):
            weights = [np.stack([u.weights for u in found if u.layer == d]) for d in (1, 2, 3)]
            assert problem.errors(weights) == 0
            seen += 1
    assert seen == (method == "Algorithm 1" or (method == "Beam of 4" and problem is DEEP))


def test_a_unit_keeps_the_line_of_the_network_where_that_gives_its_targets():
    position = course(MOONS, "Algorithm 1", 8).positions[-1]
    W = [w for layer in position.weights for w in layer]
    for unit, w in zip(units(MOONS, position.targets, position.outputs, position.weights), W, strict=True):
        assert (unit.weights == w).all()


def test_flips_by_hand():
    position = course(MOONS, "Algorithm 1", 8).positions[1]
    free = next(zip(*np.nonzero(position.targets[0] == 0), strict=True))
    place = (int(free[1]) + 1, int(free[0]) + 1)
    T, H = flipped_by_hand(MOONS, position, [place])
    assert T[0][free] == H[0][free] == -position.outputs[0][free] and position.targets[0][free] == 0
    assert (T[0] != position.targets[0]).sum() == (H[0] != position.outputs[0]).sum() == 1
    position = course(DEEP, "Hill climbing", 0).positions[0]
    T, _ = flipped_by_hand(DEEP, position, [(3, 2), (1, 4)])
    assert [np.argwhere(a != b).tolist() for a, b in zip(T, position.targets, strict=True)] == [[[3, 0]], [[1, 0]]]
    for wrong in ((0, 1), (5, 1), (1, 0), (1, 5)):
        with pytest.raises(ValueError, match="units are 1 to 4, instances 1 to 4"):
            flipped_by_hand(DEEP, position, [wrong])
