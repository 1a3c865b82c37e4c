"""The exercises of notebook 03: every printed solution passes its check, and plausible wrong answers do not."""

import exercises
import pandas as pd
import pytest
import torch

BOOK = exercises.Book("03_layer_losses_and_targets")

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
        for kind, source in BOOK.before:
            if kind == "code":
                exec(source, names)
        yield BOOK.begin(names)
    finally:
        torch.set_default_dtype(dtype)
        pd.set_option("display.max_colwidth", width)


def test_there_are_enough_and_each_has_goal_time_hint_and_solution():
    BOOK.assert_well_formed(WRONG)


@pytest.mark.parametrize("number", WRONG)
def test_the_solution_is_right_and_the_stub_unsolved(namespace, number):
    exercise = BOOK.exercises[number]
    assert exercise.attempt(namespace, exercise.stub) == "not solved yet\n"
    assert exercise.attempt(namespace, exercise.solution).startswith("right")


@pytest.mark.parametrize(("number", "answer"), [(n, a) for n, answers in WRONG.items() for a in answers])
def test_wrong_answers_are_found_out(namespace, number, answer):
    with pytest.raises(AssertionError):
        BOOK.exercises[number].attempt(namespace, answer)
