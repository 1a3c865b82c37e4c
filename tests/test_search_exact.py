"""The exact search: optima that are known, proofs that are checked, limits that are kept."""

import json
from itertools import product

import numpy as np
import pytest
from check_proof import check

from ftpkit.search.bigm import big_m
from ftpkit.search.cuts import Cube
from ftpkit.search.exact import exact
from ftpkit.search.problem import Problem

SQUARE, XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1]
CUBE = np.array(list(product((-1, 1), repeat=3)), float)


def random_case(m, n, hidden, seed):
    rng = np.random.default_rng(seed)
    return Problem(rng.standard_normal((m, n)), rng.choice([-1, 1], m), hidden)


@pytest.mark.parametrize(
    ("X", "y", "hidden", "errors"),
    [
        (SQUARE, XOR, (), 1),
        (SQUARE, XOR, (1,), 1),
        (SQUARE, XOR, (2,), 0),
        (SQUARE, XOR, (2, 2), 0),
        (SQUARE, XOR, (1, 2), 1),
        (CUBE, CUBE.prod(axis=1), (), 2),
        (CUBE, CUBE.prod(axis=1), (2,), 1),
        (CUBE, CUBE.prod(axis=1), (3,), 0),
        (CUBE, CUBE.prod(axis=1), (2, 2), 1),
        ([[float(i)] for i in range(8)], [1, -1] * 4, (3,), 2),  # a threshold on the line for each change of label
        ([[1.0], [1.0], [1.0], [2.0], [2.0]], [1, 1, -1, -1, 1], (2,), 2),  # labels that contradict each other
        ([[3.0, 4.0]], [-1], (2, 1), 0),
        ([[3.0, 4.0]] * 3, [-1, 1, 1], (), 1),
    ],
)
def test_known_optima_with_proofs(X, y, hidden, errors):
    problem = Problem(X, y, hidden)
    outcome = exact(problem)
    assert outcome.proved and outcome.value == outcome.bound == outcome.errors == errors
    assert problem.errors(outcome.weights) == errors and outcome.feasible == (errors == 0)
    for H, T in zip(problem.forward(outcome.weights)[0], outcome.targets, strict=True):
        assert (H == T).all()
    proof = json.loads(json.dumps(outcome.proof))
    assert proof == outcome.proof and f"{errors} errors are the optimum" in check(proof)


@pytest.mark.parametrize("seed", range(12))
def test_proofs_of_random_cases_hold(seed):
    m, n, hidden = [(8, 2, (2,)), (10, 1, (2,)), (10, 1, (2, 2)), (9, 2, ()), (8, 1, (3,)), (10, 2, (1, 2))][seed % 6]
    outcome = exact(random_case(m, n, hidden, seed))
    assert outcome.proved and "are the optimum" in check(outcome.proof)


def test_a_bound_that_the_cuts_do_not_prove_is_refused():
    proof = exact(Problem(CUBE, CUBE.prod(axis=1), (2,))).proof
    for d in (1, 2):
        with pytest.raises(ValueError, match="cuts allow"):
            raise_as_value_error(proof | {"cuts": [cut for cut in proof["cuts"] if cut["layer"] != d]})


def raise_as_value_error(proof):
    try:
        check(proof)
    except Exception as error:
        raise ValueError(str(error)) from error


def test_points_that_float64_can_hardly_tell_apart():
    problem = Problem([[0.0], [1.0], [1 + 1e-15], [2.0]], [-1, -1, 1, 1], ())
    outcome = exact(problem)
    assert outcome.value == 0 and outcome.proved
    check(outcome.proof)


def test_limits_give_a_bound_and_a_network():
    problem = random_case(40, 2, (3,), 0)
    for limits in ({"budget": 1}, {"budget": 4}, {"time_limit": 1e-9}, {"time_limit": 0.05}):
        outcome = exact(problem, **limits)
        assert not outcome.proved and 0 <= outcome.bound < outcome.value == problem.errors(outcome.weights) <= 20
        assert outcome.evaluations <= limits.get("budget", 1000) and not outcome.proof["proved"]


def test_same_seed_same_result():
    problem = random_case(14, 2, (2,), 1)
    first, second = exact(problem), exact(problem)
    assert first.proof == second.proof and first.trace == second.trace
    assert exact(problem, seed=1).value == first.value


def test_every_round_is_seen():
    states, problem = [], random_case(12, 2, (2,), 3)
    outcome = exact(problem, callback=states.append)
    assert len(outcome.trace) == outcome.evaluations >= len(states) > 0
    bounds, bests, cuts = map(list, zip(*outcome.trace, strict=True))
    assert bounds == sorted(bounds) and bests == sorted(bests, reverse=True) and cuts == sorted(cuts)
    assert states[-1].best == outcome.value and all(state.value >= outcome.value for state in states)


def test_bad_input():
    problem = Problem(SQUARE, XOR, (2,))
    for wrong in ({"budget": 0}, {"budget": 1.5}, {"time_limit": 0}, {"time_limit": -1}, {"time_limit": np.nan}):
        with pytest.raises(ValueError, match="must be a"):
            exact(problem, **wrong)
    with pytest.raises(ValueError, match="not 'loss'"):
        exact(problem, objective="loss")
    with pytest.raises(ValueError, match="at most 6"):
        exact(Problem(SQUARE, XOR, (7,)))


def test_big_m_agrees_where_margins_are_wide_and_proves_nothing():
    for hidden, errors in (((), 1), ((1,), 1), ((2,), 0), ((2, 2), 0)):
        problem = Problem(SQUARE, XOR, hidden)
        outcome = big_m(problem, margin=0.1)
        assert outcome.value == outcome.errors == problem.errors(outcome.weights) == errors
        assert outcome.trace == ((errors, errors),) and not outcome.proved and outcome.bound == 0


def test_big_m_does_not_see_what_needs_a_smaller_margin():
    problem = Problem([[0.0], [1.0], [1.0001], [2.0]], [-1, -1, 1, 1], ())
    assert big_m(problem).trace == ((1, 1),) and exact(problem).value == 0


def test_big_m_at_a_time_limit_and_bad_input():
    problem = random_case(40, 2, (3,), 0)
    outcome = big_m(problem, time_limit=0.01)
    assert not outcome.proved and 0 < outcome.value == problem.errors(outcome.weights) <= 40
    for wrong in ({"margin": 0}, {"margin": 2}, {"margin": np.nan}, {"time_limit": 0}, {"time_limit": -1.0}):
        with pytest.raises(ValueError, match="must be"):
            big_m(problem, **wrong)


@pytest.mark.parametrize("n, count", [(1, 4), (2, 14), (3, 104), (4, 1882)])
def test_four_corners_say_all_about_threshold_functions(n, count):
    """Muroga's theorem, on which the cuts of deeper layers stand, by enumeration as far as that goes."""
    tables = (np.arange(2**2**n)[:, None] >> np.arange(2**n) & 1) * 2 - 1
    broken = np.zeros(len(tables), bool)
    for a, b, c, d in Cube(2, n)._quadruples:
        broken |= np.abs(tables[:, a] + tables[:, b] - tables[:, c] - tables[:, d]) == 4
    assert (~broken).sum() == count
