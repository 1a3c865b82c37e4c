"""The target explorer in JupyterLab, by keyboard."""

import re

import pytest
from playwright.sync_api import expect

START = re.compile("^FTP-SH network, not trained, layer 2, unit 1, .* For image 1 .* SSTE and FTP-SH disagree on ")


@pytest.fixture(scope="module")
def demo(open_book):
    return open_book("04_minibatch_ftprop.ipynb").demo("TargetExplorer")


@pytest.fixture(autouse=True)
def from_the_start(demo):
    demo.press(demo.button("Reset"), "Space")
    expect(demo.area.locator("img")).to_have_attribute("alt", START, timeout=20_000)
    yield


def says(demo, *texts):
    for text in texts:
        expect(demo.area).to_contain_text(text, timeout=20_000)


def test_network_layer_and_unit_by_keyboard(demo):
    assert "layer 3, unit 1" in demo.changes(lambda: demo.press(demo.button("3"), "Space"))
    alt = demo.changes(lambda: demo.press(demo.button("after 100 steps"), "Space"))
    assert alt.startswith("FTP-SH network, after 100 steps, layer 3, unit 1") and "the output loss is predicted" in alt
    assert "layer 3, unit 2" in demo.changes(lambda: demo.press(demo.control("Through all units"), "ArrowRight"))
    assert "layer 3, unit 20" in demo.changes(lambda: demo.press(demo.control("Through all units"), "End"))
    assert "layer 3, unit 19" in demo.changes(lambda: demo.press(demo.control("Unit"), "ArrowDown"))
    says(demo, "Unit 19:", "unit 19: ")
    assert "For image 2 the rules send" in demo.changes(lambda: demo.press(demo.control("Image"), "ArrowUp"))
    says(demo, "Image 2 (")


def test_a_straight_loss_changes_as_predicted(demo):
    demo.changes(lambda: demo.control("Its rule").select_option("STE"))
    alt = demo.changes(lambda: demo.press(demo.button("1"), "Space"))
    predicted, real = re.search(r"predicted to change by (\S+) and really changes by (\S+);", alt).groups()
    assert predicted == real and float(real) < 0


def test_two_other_rules_compared(demo):
    alt = demo.changes(lambda: demo.control("Compare").select_option("STE"))
    assert "STE and FTP-SH disagree on" in alt and "(one sends 0, the other not: 0.0 %;" in alt
    demo.press(demo.control("with"), "Space", "End", "Enter")  # the list opens, its last rule, chosen
    expect(demo.area.locator("img")).to_have_attribute("alt", re.compile("STE and SquaredHinge disagree on"))
    says(demo, "STE and SquaredHinge disagree:")


def test_a_question_is_asked_first(demo):
    before = demo.alt
    demo.press(demo.button("Try: all at once"), "Space")
    expect(demo.button("Look")).to_be_visible()
    says(demo, "how much of the predicted fall really comes?")
    assert demo.alt == before
    alt = demo.changes(lambda: demo.press(demo.button("Look"), "Space"))
    assert "after 100 steps, layer 3" in alt


def test_axe_finds_nothing_serious(demo):
    assert demo.violations() == []
    demo.changes(lambda: demo.press(demo.button("after 100 steps"), "Space"))
    assert demo.violations() == []
