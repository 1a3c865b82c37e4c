"""The exercises of notebook 04: every printed solution passes its check, and plausible wrong answers do not."""

import contextlib
import re
from pathlib import Path

import hygiene
import pytest

NOTEBOOK = hygiene.read(Path(__file__).parents[1] / "notebooks" / "04_minibatch_ftprop.ipynb")
CELLS = [(cell["cell_type"], "".join(cell["source"])) for cell in NOTEBOOK["cells"]]
EXERCISES = [i for i, (kind, text) in enumerate(CELLS) if kind == "markdown" and "### Exercise" in text]

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
    live = set(hygiene.excused(NOTEBOOK))
    code = [i for i, (kind, _) in enumerate(CELLS) if kind == "code"]
    live |= {code[code.index(i) + 1] for i in live}
    names = {"__name__": "__main__"}
    for i in code:
        if i < EXERCISES[0] and i not in live:
            with contextlib.suppress(NameError):  # a cell that goes on with what a live cell found
                exec(CELLS[i][1], names)
    return names


def solution(i):
    return re.search(r"Solution</summary>.*?```python\n(.*?)```", CELLS[i][1], re.DOTALL)[1]


def check(i, names):
    exec(CELLS[i + 2][1], names)


def test_there_are_enough_and_each_has_goal_hint_and_solution():
    assert len(EXERCISES) >= 4
    for i in EXERCISES:
        assert re.search(r"\*Goal: .* minute", CELLS[i][1]) and "Hint</summary>" in CELLS[i][1] and solution(i)


@pytest.mark.parametrize("number", range(1, len(EXERCISES) + 1))
def test_the_solution_is_right_and_wrong_answers_are_not(number, namespace, capsys):
    i = EXERCISES[number - 1]
    exec(CELLS[i + 1][1], namespace)
    check(i, namespace)
    assert capsys.readouterr().out == "not solved yet\n"
    exec(solution(i), namespace)
    check(i, namespace)
    assert capsys.readouterr().out.startswith("MyRule - STE: " if number == 3 else "right\n")
    for wrong in WRONG[number]:
        exec(wrong, namespace)
        with pytest.raises((AssertionError, AttributeError)):
            check(i, namespace)
