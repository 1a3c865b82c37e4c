"""The exercises of notebook 03: every printed solution passes its check, and plausible wrong answers do not."""

import re
from pathlib import Path

import hygiene
import pandas as pd
import pytest
import torch

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "03_layer_losses_and_targets.ipynb"
CELLS = [(cell["cell_type"], "".join(cell["source"])) for cell in hygiene.read(NOTEBOOK)["cells"]]
EXERCISES = [i for i, (kind, text) in enumerate(CELLS) if kind == "markdown" and text.startswith("### Exercise")]

WRONG = {
    1: [
        "def hinge_derivative(z, t):\n    return -t * (t * z < 1)",
        "def hinge_derivative(z, t):\n    return -t * (z <= 1)",
        "def hinge_derivative(z, t):\n    return -1.0 * (t * z <= 1)",
    ],
    2: [
        "def from_saturated_hinge(z, g):\n    return g * (z.abs() <= 1)",  # a closed window: SSTE itself
        "def from_saturated_hinge(z, g):\n    return -torch.sign(g) * (z.abs() < 1)",
        "def from_saturated_hinge(z, g):\n    t = torch.sign(g)\n    return -t * ((t*z > -1) & (t*z <= 1)) * g.abs()",
    ],
    3: [f"my_loss = LOSSES[{name!r}]" for name in ("Linear", "SoftHinge", "Trapezoid", "Hinge", "LogLoss")]
    + [f"my_loss = LOSSES[{name!r}]" for name in ("ClosedSaturatedHinge", "Sigmoid", "Perceptron", "SquaredHinge")]
    + ["my_loss = LOSSES['SaturatedHinge']"]
    + ["my_loss = Loss('x', LOSSES['LogLoss'].value, lambda z, t: -t * (1 - t * z / 2).clamp(0, 1))"],
    4: [
        "def area_of_steep_soft_hinge(a):\n    return 2.0 * a",
        "def area_of_steep_soft_hinge(a):\n    return (1 - torch.tanh(a * middle) ** 2).sum().item() * dz",
    ],
    5: [
        "def only_flips(g, z, h):\n    return -torch.sign(g)",
        "def only_flips(g, z, h):\n    t = -torch.sign(g)\n    return torch.where(t != h, 0.0, t)",
        "def only_flips(g, z, h):\n    return -h",
    ],
}


@pytest.fixture(scope="module")
def namespace():
    """What a reader has defined when the exercises begin."""
    dtype, width = torch.get_default_dtype(), pd.get_option("display.max_colwidth")
    names = {"__name__": "__main__"}
    try:
        for kind, source in CELLS[: EXERCISES[0]]:
            if kind == "code":
                exec(source, names)
        for i in EXERCISES:
            exec(CELLS[i + 1][1], names)
            exec(CELLS[i + 2][1], names)  # as committed: not solved yet
        yield names
    finally:
        torch.set_default_dtype(dtype)
        pd.set_option("display.max_colwidth", width)


def test_there_are_enough_and_each_has_goal_time_hint_and_solution():
    assert len(EXERCISES) >= 4 and set(WRONG) == set(range(1, len(EXERCISES) + 1))
    for i in EXERCISES:
        text = CELLS[i][1]
        assert re.search(r"\*Goal: .+ (Easy|Middling|Harder), \d+ minutes\.\*", text), text
        assert "<summary>Hint</summary>" in text and "<summary>Solution</summary>" in text


@pytest.mark.parametrize("number", WRONG)
def test_the_solution_is_right_and_the_stub_unsolved(namespace, number, capsys):
    i = EXERCISES[number - 1]
    (solution,) = re.findall(r"<summary>Solution</summary>\s+```python\n(.*?)```", CELLS[i][1], re.DOTALL)
    for answer, said in ((CELLS[i + 1][1], "not solved yet\n"), (solution, "right\n")):
        names = dict(namespace)
        exec(answer, names)
        exec(CELLS[i + 2][1], names)
        assert capsys.readouterr().out == said


@pytest.mark.parametrize(("number", "answer"), [(n, a) for n, answers in WRONG.items() for a in answers])
def test_wrong_answers_are_found_out(namespace, number, answer):
    names = dict(namespace)
    exec(answer, names)
    with pytest.raises(AssertionError):
        exec(CELLS[EXERCISES[number - 1] + 2][1], names)
