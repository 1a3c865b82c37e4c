"""The exact search against the oracle, which shares no code with it, and its proofs against their checker."""

import json

import check_proof
import oracle
import pytest

from ftpkit.search import CELLS, Problem, cases
from ftpkit.search.exact import exact

CASES = oracle.random_cases(seed=0, count=500)
LARGE = [case for case in oracle.random_cases(seed=1, count=120, bits=30) if len(case[0]) * sum(case[2]) == 30]


def assert_agree(case):
    X, y, hidden = case
    outcome = exact(Problem(X, y, hidden))
    assert outcome.proved is True
    assert outcome.value == outcome.bound == outcome.errors == oracle.fewest_errors(X, y, hidden)
    assert outcome.feasible == (outcome.value == 0)
    proof = json.loads(json.dumps(outcome.proof))
    assert (proof["X"], proof["y"], proof["hidden"]) == (X.tolist(), y.tolist(), list(hidden))
    assert (proof["value"], proof["bound"], proof["proved"]) == (outcome.value, outcome.bound, True)
    check_proof.check(proof)


class Half:
    """A class is what one worker of pytest takes: two halves keep two of them busy."""

    @pytest.mark.parametrize("chunk", range(10))
    def test_the_optimum_is_the_oracles(self, chunk):
        for case in CASES[self.first + 25 * chunk :][:25]:
            assert_agree(case)


class TestFirstHalf(Half):
    first = 0


class TestSecondHalf(Half):
    first = 250


class TestTenInstancesByThreeUnits:
    def test_the_optimum_is_the_oracles(self):
        assert len(LARGE) >= 5
        for case in LARGE:
            assert_agree(case)


class TestCellsOfTheComparison:
    @pytest.mark.parametrize("cell", [cell for cell in CELLS if cases.case(cell, 0).problem.bits <= 24])
    def test_the_optimum_is_the_oracles(self, cell):
        """Brute force on all cases of the comparison with up to 24 target bits."""
        for seed in range(1 if CELLS[cell].fixed else 20):
            problem = cases.case(cell, seed).problem
            assert_agree((problem.X, problem.y, problem.hidden))
