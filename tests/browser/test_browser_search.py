"""The search stepper in JupyterLab, by keyboard."""

import re

import pytest
from playwright.sync_api import expect

START = (
    "Algorithm 1 on XOR, 2 units, random start 0, step 0 of 6: start: random hidden units, targets are their outputs. "
    "By now 1 of 3 units infeasible: output (instances 1 and 3); loss 4, training errors 2. By hand: no target flipped."
)
TWO_MOONS = re.compile("^Hill climbing on two moons, 3 units, random start 1, step 0 of 121: ")


@pytest.fixture(scope="module")
def demo(open_book):
    return open_book("02_targets_by_search.ipynb").demo("SearchStepper")


@pytest.fixture(autouse=True)
def from_the_start(demo):
    demo.press(demo.button("Reset"), "Space")
    expect(demo.area.locator("img")).to_have_attribute("alt", START, timeout=20_000)
    yield


def test_step_by_step_by_keyboard(demo):
    assert "step 1 of 6: layer 2 asks" in demo.changes(lambda: demo.press(demo.button("Next step"), "Space"))
    assert "step 2 of 6: layer 1 does not give" in demo.changes(lambda: demo.press(demo.button("Next step"), "Enter"))
    assert "step 1 of 6" in demo.changes(lambda: demo.press(demo.button("Previous step"), "Space"))
    assert "step 2 of 6" in demo.changes(lambda: demo.press(demo.button("Next decision"), "Space"))
    assert "Step: 2 of 6" in demo.text
    assert "step 3 of 6" in demo.changes(lambda: demo.press(demo.control("Through all steps"), "ArrowRight"))
    alt = demo.changes(lambda: demo.press(demo.control("Through all steps"), "End"))
    assert "solved. By now all 3 units are feasible; loss 0, training errors 0" in alt
    assert "Infeasible: no unit" in demo.text
    assert "step 5 of 6" in demo.changes(lambda: demo.press(demo.control("Step"), "ArrowDown"))


def test_a_target_flipped_by_hand(demo):
    demo.changes(lambda: demo.press(demo.control("Through all steps"), "End"))
    alt = demo.changes(lambda: demo.press(demo.button("Flip this target"), "Space"))
    assert "flipped unit 1, instance 1: output becomes infeasible" in alt
    assert "output becomes infeasible" in demo.text
    demo.press(demo.control("Unit"), "ArrowUp")
    demo.press(demo.control("Instance"), "ArrowUp")
    alt = demo.changes(lambda: demo.press(demo.button("Flip this target"), "Space"))
    assert "flipped unit 1, instance 1; unit 2, instance 2:" in alt
    assert "no target flipped" in demo.changes(lambda: demo.press(demo.button("Take back flips"), "Space"))


def test_another_search_and_another_problem(demo):
    alt = demo.changes(lambda: demo.press(demo.button("Hill climbing"), "Space"))
    assert "Hill climbing on XOR, 2 units, random start 0, step 0 of 14" in alt
    alt = demo.changes(lambda: demo.press(demo.control("Random start"), "ArrowUp"))
    assert "random start 1, step 0 of 4" in alt
    demo.control("Problem").select_option("two moons, 3 units")
    expect(demo.area.locator("img")).to_have_attribute("alt", TWO_MOONS, timeout=20_000)
    assert demo.control("Instance").get_attribute("max") == "20"


def test_a_question_is_asked_first(demo):
    before = demo.alt
    demo.press(demo.button("Try: a layer more"), "Space")
    expect(demo.button("Look")).to_be_visible()
    assert "Does hill climbing get further with them?" in demo.text and demo.alt == before
    alt = demo.changes(lambda: demo.press(demo.button("Look"), "Space"))
    assert "stuck: none of all 16 flips lowers the loss 4" in alt


def test_axe_finds_nothing_serious(demo):
    assert demo.violations() == []
    demo.changes(lambda: demo.press(demo.button("Flip this target"), "Space"))
    assert demo.violations() == []
