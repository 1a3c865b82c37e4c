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
    assert "Area under φ: 2.00" in demo.text
    alt = demo.changes(lambda: demo.press(demo.control("Layer loss"), "Space", "ArrowDown", "Enter"))
    assert "Layer loss SoftHinge" not in alt
    alt = demo.changes(lambda: demo.press(demo.button("Reset"), "Enter"))
    assert "Layer loss SoftHinge on Staircase, sum, 3 steps, target t = +1" in alt


def test_a_question_is_answered_by_look(demo):
    before = demo.alt
    demo.press(demo.button("Try: the hinge"), "Space")
    demo.area.get_by_text("Is the hinge a straight-through estimator").wait_for()
    assert demo.alt == before
    assert "Layer loss Hinge on Sign" in demo.changes(lambda: demo.press(demo.button("Look"), "Space"))


def test_axe_finds_nothing_serious(demo):
    assert demo.violations() == []
