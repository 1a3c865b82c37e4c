"""The exercises of notebook 04: every printed solution passes its check, and plausible wrong answers do not."""

import contextlib

import exercises
import hygiene
import pytest

BOOK = exercises.Book("04_minibatch_ftprop")

WRONG = {
    1: [
        "def inner_loop(z, h, W, g, derivative):\n    d = derivative(z, g.sign()) * abs(g)\n    return d.T @ h, d @ W",
        "def inner_loop(z, h, W, g, derivative):\n    d = derivative(z, -torch.sign(g))\n    return d.T @ h, d @ W",
        "def inner_loop(z, h, W, g, derivative):\n    return g.T @ h, g @ W",
    ],
    2: ["my_scale = 1 / 128", "my_scale = seen['g'].abs().mean().item()"],
    3: [
        "my_rules = 'from ftpkit import Rule\\nMyRule = Rule(\"Linear\")'",
        "my_rules = 'from ftpkit import Rule\\nHers = Rule(\"Hinge\")'",
    ],
    4: [
        'answers = {"a": True, "b": True, "c": True, "d": False}',
        'answers = {"a": True, "b": False, "c": True, "d": True}',
        'answers = {"a": False, "b": False, "c": False, "d": False}',
    ],
    5: ['my_guess = "halves"', 'my_guess = "does not fall"', 'my_guess = "falls"'],
}


@pytest.fixture(scope="module")
def namespace():
    """What a reader has defined when the exercises begin, without the cells that train and those that check them."""
    live = set(hygiene.excused(BOOK.notebook))
    code = [i for i, (kind, _) in enumerate(BOOK.cells) if kind == "code"]
    live |= {code[code.index(i) + 1] for i in live}
    names = {"__name__": "__main__"}
    for i in code:
        if i < len(BOOK.before) and i not in live:
            with contextlib.suppress(NameError):  # a cell that goes on with what a live cell found
                exec(BOOK.cells[i][1], names)
    return names


def test_there_are_enough_and_each_has_goal_time_hint_and_solution():
    BOOK.assert_well_formed(WRONG)


@pytest.mark.parametrize("number", WRONG)
def test_the_solution_is_right_and_wrong_answers_are_not(number, namespace):
    exercise = BOOK.exercises[number]
    assert exercise.attempt(namespace, exercise.stub) == "not solved yet\n"
    said = exercise.attempt(namespace, exercise.solution)
    assert said.startswith("MyRule - STE: " if number == 3 else "right\n")
    for wrong in WRONG[number]:
        with pytest.raises((AssertionError, AttributeError)):
            exercise.attempt(namespace, wrong)
