"""Exhaustive search and the dichotomies it goes through, against counts that are known and the geometric oracle."""

from itertools import product
from math import comb

import numpy as np
import oracle
import pytest

from ftpkit.search import Problem, cover_count, dichotomies, exhaustive, settings
from ftpkit.search.exhaustive import _threshold_functions
from ftpkit.separability import hinge_fit, separate

SQUARE = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
XOR = Problem(SQUARE, [-1, 1, 1, -1], hidden=(2,))


def rows(array):
    return set(map(tuple, array.tolist()))


# --- dichotomies ----------------------------------------------------------------------------------------------------


def test_dichotomies_are_those_of_the_oracle():
    for X, _, _ in oracle.random_cases(seed=1, count=40):
        found = dichotomies(X)
        assert found.dtype == np.int8 and len(rows(found)) == len(found)
        assert rows(found) == oracle.dichotomies(X)


def test_dichotomies_come_with_their_negatives():
    found = dichotomies(np.random.default_rng(0).standard_normal((7, 2)))
    half = len(found) // 2
    assert (found[half:] == -found[:half]).all() and (found[:half, 0] == 1).all()


@pytest.mark.parametrize("m, n", [(1, 1), (5, 1), (4, 2), (9, 2), (8, 3), (5, 6)])
def test_covers_count_in_general_position(m, n):
    X = np.random.default_rng(m).standard_normal((m, n))
    assert len(dichotomies(X)) == cover_count(m, n) <= 2**m


def test_covers_count_is_a_bound_elsewhere():
    assert len(dichotomies(oracle.cube(3))) == 104 < cover_count(8, 3) == 128
    assert len(dichotomies([[0, 0], [1, 1], [2, 2], [3, 3]])) == 8 < cover_count(4, 2) == 14
    assert len(dichotomies([[1.0], [1.0], [1.0]])) == 2


def test_nearly_equal_points_are_told_apart():
    assert len(dichotomies([[0.0], [1.0], [1.0 + 2**-52], [2.0]])) == 8
    line = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
    assert len(dichotomies(line)) == 6 and len(dichotomies([*line[:2], [2.0, 2.0 + 2**-51]])) == 8


@pytest.mark.parametrize("n, count", [(1, 4), (2, 14), (3, 104), (4, 1882)])
def test_threshold_functions_are_the_dichotomies_of_the_cube(n, count):
    half = _threshold_functions(n)
    assert rows(np.r_[half, -half]) == oracle.dichotomies(oracle.cube(n)) and 2 * len(half) == count


def test_there_are_94572_threshold_functions_of_five_inputs():
    assert 2 * len(_threshold_functions(5)) == 94_572


@pytest.mark.parametrize("X, message", [([], "shape"), ([[np.nan]], "finite"), ([1.0, 2.0], "shape")])
def test_dichotomies_of_bad_data(X, message):
    with pytest.raises(ValueError, match=message):
        dichotomies(X)


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_fewest_errors_are_those_of_the_oracle(seed):
    for X, y, hidden in oracle.random_cases(seed, count=25):
        problem = Problem(X, y, hidden)
        outcome = exhaustive(problem)
        assert outcome.proved and outcome.bound == outcome.value == outcome.errors
        assert outcome.value == oracle.fewest_errors(X, y, hidden)
        assert outcome.errors == problem.errors(outcome.weights)
        outputs, _ = problem.forward(outcome.weights)
        assert all((H == T).all() for H, T in zip(outputs, outcome.targets, strict=True))
        assert outcome.feasible == (outcome.value == 0)


def test_every_setting_is_visited_once_and_can_be_realised():
    X = np.random.default_rng(3).standard_normal((6, 2))
    problem, states = Problem(X, [1, -1, 1, -1, 1, -1], hidden=(2, 1)), []
    outcome = exhaustive(problem, every=True, callback=states.append)
    assert outcome.evaluations == len(states) == len({b"".join(T.tobytes() for T in s.targets) for s in states})
    for state in states[::17]:
        h = X
        for T in state.targets:
            assert all(verdict.separable for verdict in separate(h, T))
            h = T
    firsts = {state.targets[0].tobytes() for state in states}
    assert len(firsts) == comb(cover_count(6, 2) // 2 - 1, 2)  # pairs of columns up to sign, without the constant one
    assert exhaustive(problem).evaluations <= outcome.evaluations


def test_nothing_is_lost_by_leaving_out_equal_and_constant_columns():
    rng = np.random.default_rng(1)
    for _ in range(4):
        X, y = rng.integers(0, 3, (5, 1)), rng.choice([-1, 1], 5)
        settings = product(dichotomies(X), repeat=2)  # with order, signs, repetitions and constants
        best = min((t != y).sum() for pair in settings for t in dichotomies(np.stack(pair, axis=1)))
        assert exhaustive(Problem(X, y, (2,))).value == best


@pytest.mark.parametrize("hidden", [(1,), (3,), (6,), (2, 6), (6, 2), (1, 1, 1)])
def test_widths_beyond_what_can_be_realised(hidden):
    outcome = exhaustive(Problem(SQUARE, [-1, 1, 1, -1], hidden))
    assert outcome.value == (1 if hidden[0] == 1 else 0) and outcome.proved
    assert [T.shape for T in outcome.targets] == [(4, width) for width in hidden]


def test_one_instance_and_equal_instances():
    assert exhaustive(Problem([[3.0]], [1], (2,))).value == 0
    outcome = exhaustive(Problem([[1.0], [1.0], [1.0], [2.0]], [1, -1, -1, 1], (2,)))
    assert outcome.value == 1 and outcome.proved and not outcome.feasible


def test_the_budget_cuts_the_search():
    full = exhaustive(XOR, every=True).evaluations
    for budget in range(1, full + 1):
        states = []
        outcome = exhaustive(XOR, every=True, budget=budget, callback=states.append)
        assert outcome.evaluations == len(states) == budget
        assert outcome.proved == (budget == full or outcome.value == 0)
        assert outcome.bound <= outcome.value and len(outcome.targets) == 1
    hard = Problem(SQUARE, [-1, 1, 1, -1], hidden=(1,))  # 6 columns, no solution
    assert not exhaustive(hard, budget=5).proved and exhaustive(hard, budget=6).proved


def test_a_large_problem_can_be_looked_into():
    rng = np.random.default_rng(0)
    outcome = exhaustive(Problem(rng.standard_normal((60, 8)), rng.choice([-1, 1], 60), (4, 3)), budget=20)
    assert outcome.evaluations == 20 and not outcome.proved and outcome.bound == 0


# --- loss -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(1,), (2,), (1, 1)])
def test_the_least_loss_is_that_of_all_settings(hidden):
    X, y = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])[: 4 if hidden != (2,) else 3], np.array([-1, 1, 1, -1])
    y = y[: len(X)]
    states = []
    outcome = exhaustive(Problem(X, y, hidden), objective="loss", every=True, callback=states.append)
    assert len(states) == 2 ** (len(X) * sum(hidden)) and outcome.proved
    assert len({b"".join(T.tobytes() for T in s.targets) for s in states}) == len(states)
    for state in states:
        layers = zip([X, *state.targets], [*state.targets, y[:, None]], strict=True)
        assert state.value == pytest.approx(sum(hinge_fit(h, t)[1] for h, T in layers for t in T.T), abs=1e-6)
    assert outcome.value == min(state.value for state in states)


def test_an_optimum_of_the_loss_may_use_a_column_that_no_unit_realises():
    states = []
    X = [[0.0, 0], [0, 0], [0, 1], [1, 1]]
    best = exhaustive(Problem(X, [1, -1, 1, -1], (1,)), objective="loss", every=True, callback=states.append).value
    optimal = [separate(X, state.targets[0][:, 0]).separable for state in states if state.value == best]
    assert best > 0 and set(optimal) == {True, False}


def test_proposition_2_the_optimum_is_found_if_a_feasible_setting_exists():
    for labels in product((-1, 1), repeat=4):
        for hidden in [(1,), (1, 1)]:
            solvable = oracle.fewest_errors(SQUARE, labels, hidden) == 0
            outcome = exhaustive(Problem(SQUARE, labels, hidden), objective="loss")
            assert (outcome.value == 0) == solvable == outcome.feasible
            assert outcome.proved and (outcome.errors == 0 or not solvable)


def test_the_settings_are_counted_before_they_are_visited():
    X, y = np.random.default_rng(3).standard_normal((6, 2)), [1, -1, 1, -1, 1, -1]
    for hidden in [(1,), (2,)]:
        assert exhaustive(Problem(X, y, hidden), every=True).evaluations == settings(Problem(X, y, hidden))
    for X, y, hidden in oracle.random_cases(seed=9, count=20):
        problem = Problem(X, y, hidden)
        assert exhaustive(problem, every=True).evaluations <= settings(problem)
    assert settings(XOR, "loss") == 2**XOR.bits


def test_bad_input():
    large = np.random.default_rng(0).standard_normal((20, 6))
    for objective, hidden in [("loss", (2,)), ("errors", (4,)), ("errors", (300,))]:
        with pytest.raises(ValueError, match=r"up to \d\.\de\+\d+ settings"):
            exhaustive(Problem(large, [1, -1] * 10, hidden), objective=objective)
        outcome = exhaustive(Problem(large[:, :1], [1, -1] * 10, hidden[:1]), objective=objective, budget=3)
        assert not outcome.proved or outcome.value == 0
    with pytest.raises(ValueError, match="budget must be"):
        exhaustive(XOR, budget=0)
    with pytest.raises(ValueError, match="objective"):
        exhaustive(XOR, objective="accuracy")
    with pytest.raises(ValueError, match="without hidden units"):
        exhaustive(Problem(SQUARE, XOR.y, ()))


@pytest.mark.parametrize("m, n", [(0, 2), (3, -1), (2.5, 2)])
def test_a_count_of_nothing(m, n):
    with pytest.raises(ValueError, match="Cover's count is of m >= 1 points"):
        cover_count(m, n)
