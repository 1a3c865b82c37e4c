"""The staircase explorer in JupyterLab, by keyboard."""

import pytest
from playwright.sync_api import expect

START = (
    "A staircase with 3 steps over 0 to 1, on hidden layer 1, untrained. Its levels take 0: 50 %, 0.333: 19 %, "
    "0.667: 15 %, 1: 16 %; dead: none of 4. Error 0.0954 (root mean square), signal to noise 14.6 dB; with clipping "
    "0.29 (root mean square), signal to noise 7.8 dB. FTP-SH, single form, passes 33 % of a gradient."
)


@pytest.fixture(scope="module")
def demo(open_book):
    return open_book("06_quantized_activations.ipynb").demo("StaircaseExplorer")


@pytest.fixture(autouse=True)
def from_the_start(demo):
    demo.press(demo.button("Reset"), "Space")
    expect(demo.area.locator("img")).to_have_attribute("alt", START, timeout=20_000)
    yield


def test_by_keyboard(demo):
    slider = demo.area.get_by_role("slider", name="Rises over 0 to")
    assert "3 steps over 0 to 1.25" in demo.changes(lambda: demo.press(slider, "ArrowRight"))
    alt = demo.changes(lambda: demo.press(slider, "End"))
    assert "3 steps over 0 to 4," in alt and "4: under 1 %; dead: none of 4." in alt
    steps = demo.area.get_by_role("slider", name="Steps k")
    assert "4 steps over 0 to 4" in demo.changes(lambda: demo.press(steps, "ArrowRight"))
    assert "5 steps over 0 to 4" in demo.changes(lambda: demo.press(demo.control("Steps k"), "ArrowUp"))
    assert "FTP-SH, sum form" in demo.changes(lambda: demo.press(demo.button("sum"), "Space"))
    alt = demo.changes(lambda: demo.press(demo.control("Rule"), "Space", "ArrowDown", "Enter"))
    assert "FTP-SH" not in alt and "sum form" in alt
    for layer in ("hidden layer 2, untrained", "numbers spread evenly over 0 to 1", "hidden layer 1, trained"):
        alt = demo.changes(lambda: demo.press(demo.control("Layer"), "Space", "ArrowDown", "Enter"))
        assert f"on {layer}." in alt
    assert "Dead levels: " in demo.text and "Error with clipping: " in demo.text


def test_a_question_is_asked_first(demo):
    demo.press(demo.button("Try: spread evenly"), "Space")
    expect(demo.button("Look")).to_be_visible()
    assert "How many of its four levels are used?" in demo.text and demo.alt == START
    assert "dead: 2 of 4 (0, 1)" in demo.changes(lambda: demo.press(demo.button("Look"), "Space"))
    assert "Error of rounding: 0.167 (root mean square), signal to noise 10.8 dB" in demo.text


def test_axe_finds_nothing_serious(demo):
    assert demo.violations() == []
    demo.press(demo.button("Try: 17 steps"), "Space")
    expect(demo.button("Look")).to_be_visible()
    assert demo.violations() == []
