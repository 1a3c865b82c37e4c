"""Two demos from end to end in Notebook 7, by keyboard: the playground with its pad, and the loss explorer."""

import pytest
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def playground(open_book):
    return open_book("01_one_perceptron.ipynb", classic=True).demo("PerceptronPlayground")


@pytest.fixture(scope="module")
def explorer(open_book):
    return open_book("03_layer_losses_and_targets.ipynb", classic=True).demo("LossExplorer")


def asked(demo, name, question):
    """Press a Try button, see its question and no answer, press Look; return the alt text of what is shown."""
    before = demo.alt
    demo.press(demo.button(f"Try: {name}"), "Space")
    expect(demo.area).to_contain_text(question)
    expect(demo.button("Look")).to_be_visible()
    assert demo.alt == before
    return demo.changes(lambda: demo.press(demo.button("Look"), "Space"))


def test_this_is_notebook_7(playground):
    assert "/notebooks/" in playground.page.url and playground.page.locator("#jp-main-statusbar").count() == 0
    assert playground.page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').count() == 1


def test_the_playground(playground):
    demo = playground
    first, text = demo.alt, demo.text
    assert first.startswith(
        "Points: 8, of which 4 of class +1 and 4 of class −1. Separable: yes. Perceptron: after 0 of 5"
    )
    assert "after 1 of 5 mistakes" in demo.changes(lambda: demo.press(demo.button("Next mistake"), "Space"))
    assert "after 2 of 5" in demo.changes(lambda: demo.press(demo.control("Through all mistakes"), "ArrowRight"))
    assert "after 3 of 5" in demo.changes(lambda: demo.press(demo.control("Mistakes so far"), "ArrowUp"))
    assert "C = 10)" in demo.changes(lambda: demo.press(demo.button("10"), "Enter"))
    assert "not drawn" in demo.changes(lambda: demo.press(demo.control("Hinge line (SVM)"), "Space"))
    pad = demo.area.get_by_role("group", name="Points of two classes, by hand")
    cells = demo.page.locator(".jp-Notebook .jp-Cell").count()
    pad.locator('[tabindex="0"]').focus()
    demo.page.keyboard.press("Home")
    demo.changes(lambda: demo.page.keyboard.press("Shift+ArrowLeft"))
    assert pad.get_by_role("button").first.get_attribute("aria-label") == "point 1 of 8, class +1, at 0.7, 0.6"
    assert demo.changes(lambda: demo.page.keyboard.press("Space")).startswith("Points: 8, of which 3 of class +1")
    assert demo.changes(lambda: demo.page.keyboard.press("a")).startswith("Points: 9")
    assert demo.changes(lambda: demo.page.keyboard.press("Delete")).startswith("Points: 8")
    assert demo.page.locator(".jp-Notebook .jp-Cell").count() == cells, "no key goes on to the notebook"
    assert demo.text != text
    assert demo.changes(lambda: demo.press(demo.button("Reset"), "Space")) == first and demo.text == text
    assert demo.book.abroad == [], "everything comes from the server"
    assert "at most 76 mistakes" in asked(demo, "a far point", "Which of them do?")
    assert demo.violations() == []
    assert demo.changes(lambda: demo.press(demo.button("Reset"), "Enter")) == first


def test_the_loss_explorer(explorer):
    demo = explorer
    first, text = demo.alt, demo.text
    assert first.startswith("Layer loss SoftHinge on Staircase, sum, 3 steps, target t = +1")
    assert "target t = -1" in demo.changes(lambda: demo.press(demo.button("t = -1"), "Space"))
    slider = demo.area.get_by_role("slider", name="Steps k")
    assert "sum, 4 steps" in demo.changes(lambda: demo.press(slider, "ArrowRight"))
    assert "sum, 5 steps" in demo.changes(lambda: demo.press(demo.control("Steps k"), "ArrowUp"))
    alt = demo.changes(lambda: demo.press(demo.control("Layer loss"), "ArrowDown"))
    assert "SoftHinge" not in alt
    assert "on Sign, target" in demo.changes(lambda: demo.press(demo.button("Sign"), "Enter"))
    line = demo.control("Own formula L(z, t)")
    alt = demo.changes(lambda: demo.press(line, *"max(0, 1 - t*z)**2", "Enter"))
    assert alt.startswith("Layer loss max(0, 1 - t*z)**2 on Sign") and "Convex: yes" in demo.text != text
    assert demo.changes(lambda: demo.press(demo.button("Reset"), "Space")) == first and demo.text == text
    assert "Layer loss Hinge on Sign" in asked(demo, "the hinge", "Is the hinge a straight-through estimator")
    assert demo.violations() == []
    assert demo.changes(lambda: demo.press(demo.button("Reset"), "Enter")) == first
