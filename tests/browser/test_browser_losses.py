"""The loss explorer in JupyterLab, by keyboard."""

import pytest


@pytest.fixture(scope="module")
def demo(open_book):
    return open_book("03_layer_losses_and_targets.ipynb").demo("LossExplorer")


def test_by_keyboard(demo):
    assert "Layer loss SoftHinge on Staircase, sum, 3 steps, target t = +1" in demo.alt
    assert "target t = -1" in demo.changes(lambda: demo.press(demo.button("t = -1"), "Space"))
    slider = demo.area.get_by_role("slider", name="Steps k")
    assert "sum, 4 steps" in demo.changes(lambda: demo.press(slider, "ArrowRight"))
    demo.area.get_by_text("Area under φ: 2.00").wait_for()
    alt = demo.changes(lambda: demo.press(demo.control("Layer loss"), "Space", "ArrowDown", "Enter"))
    assert "Layer loss SoftHinge" not in alt
    alt = demo.changes(lambda: demo.press(demo.button("Reset"), "Enter"))
    assert "Layer loss SoftHinge on Staircase, sum, 3 steps, target t = +1" in alt


def test_a_formula_typed_by_keyboard(demo):
    line = demo.control("Own formula L(z, t)")

    def write(text):
        demo.press(line, "Control+a", *text, "Enter")

    alt = demo.changes(lambda: write("max(0, 1 - t*z)**2"))
    assert "Layer loss max(0, 1 - t*z)**2 on Staircase, sum, 3 steps" in alt and "Convex; it moves z never away" in alt
    demo.area.get_by_text("demo.rule, or by its name 'formula:max(0, 1 - t*z)**2'").wait_for()
    write("max(0, 1 - tz)**2")
    demo.area.get_by_text("'tz' at character 12 of 'max(0, 1 - tz)**2' is not known (did you mean 't*z'?)").wait_for()
    assert demo.alt == alt and line.input_value() == "max(0, 1 - tz)**2"
    assert demo.violations() == []
    assert "Layer loss tanh(-1*t*z) + 1" in demo.changes(lambda: write("tanh(-a*t*z) + 1"))
    assert "is not known" not in demo.text
    parameter = demo.area.get_by_role("slider", name="Parameter a")
    assert "Layer loss tanh(-1.25*t*z) + 1" in demo.changes(lambda: demo.press(parameter, "ArrowRight"))
    alt = demo.changes(lambda: demo.press(demo.button("Reset"), "Enter"))
    assert "Layer loss SoftHinge" in alt and line.input_value() == ""


def test_a_question_is_answered_by_look(demo):
    before = demo.alt
    demo.press(demo.button("Try: the hinge"), "Space")
    demo.area.get_by_text("Is the hinge a straight-through estimator").wait_for()
    assert demo.alt == before
    assert "Layer loss Hinge on Sign" in demo.changes(lambda: demo.press(demo.button("Look"), "Space"))


def test_axe_finds_nothing_serious(demo):
    assert demo.violations() == []
