"""Problems: what they refuse, how their networks calculate, what their objectives say."""

import numpy as np
import pytest

from ftpkit.search import Evaluator, Problem

SQUARE, XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [-1, 1, 1, -1]


@pytest.mark.parametrize(
    "X, y, hidden, says",
    [
        (SQUARE, [0, 1, 1, 0], (2,), "one label -1 or \\+1 for each of the 4 instances"),
        (SQUARE, [1, 1, 1], (2,), "not shape \\(3,\\)"),
        (SQUARE, [np.nan, 1, 1, 1], (2,), "one label"),
        ([], [], (2,), "at least one of each"),
        ([[], []], [1, -1], (2,), "at least one of each"),
        ([[0, np.nan], [1, 1]], [1, -1], (2,), "instance 0 is not"),
        ([[0, 1], [1, np.inf]], [1, -1], (2,), "instance 1 is not"),
        (SQUARE, XOR, (2, 0), "integers of 1 or more such as"),
        (SQUARE, XOR, (2.0,), "not \\(2.0,\\)"),
        (SQUARE, XOR, 2, "a tuple of widths"),
    ],
)
def test_what_is_refused(X, y, hidden, says):
    with pytest.raises(ValueError, match=says):
        Problem(X, y, hidden)


def test_targets_are_checked():
    problem = Problem(SQUARE, XOR, (2, 1))
    assert [T.dtype for T in problem.check_targets([np.ones((4, 2)), np.ones((4, 1))])] == [np.int8, np.int8]
    with pytest.raises(ValueError, match="shapes \\[\\(4, 2\\), \\(4, 1\\)\\], not \\[\\(4, 2\\)\\]"):
        problem.check_targets([np.ones((4, 2))])
    with pytest.raises(ValueError, match="-1 or \\+1 for every instance"):
        problem.check_targets([np.zeros((4, 2)), np.ones((4, 1))])


def test_sign_of_zero_is_minus_one():
    problem = Problem(SQUARE, XOR, (1,))
    (h,), z = problem.forward([np.zeros((1, 3)), np.array([[1.0, 0.0]])])
    assert (h == -1).all() and (z == -1).all()


def test_loss_is_what_the_units_cost_one_by_one():
    """A column that no unit gives costs the XOR unit 4, and makes the output unit's task easy."""
    problem = Problem(SQUARE, XOR, (2,))
    T = np.c_[XOR, np.ones(4)].astype(np.int8)
    loss, errors = (Evaluator(problem, objective, budget=None) for objective in ("loss", "errors"))
    assert loss([T]) == pytest.approx(4) and errors([T]) >= 1
    solved = np.array([[-1, -1], [1, -1], [1, -1], [1, 1]], np.int8)  # OR and AND
    assert loss([solved]) == errors([solved]) == 0
    assert loss.evaluations == 2 and loss.best == 0 and (loss.targets[0] == solved).all()


def test_a_problem_does_not_change_with_what_it_was_made_from():
    X = np.array(SQUARE, float)
    problem = Problem(X, XOR, [2])
    X[0, 0] = 9
    assert problem.X[0, 0] == 0 and problem.hidden == (2,)
