"""The perceptron playground in JupyterLab: points by keyboard and by mouse."""

import pytest
from playwright.sync_api import expect

START = "Points: 8, of which 4 of class +1 and 4 of class −1. Separable: yes. Perceptron: after 0 of 5 mistakes"


@pytest.fixture(scope="module")
def demo(open_book):
    return open_book("01_one_perceptron.ipynb").demo("PerceptronPlayground")


@pytest.fixture(autouse=True)
def from_the_start(demo):
    demo.press(demo.button("Reset"), "Space")
    demo.area.locator(f'img[alt^="{START}"]').wait_for(timeout=20_000)
    yield


def pad(demo):
    return demo.area.get_by_role("group", name="Points of two classes, by hand")


def names(demo):
    return [mark.get_attribute("aria-label") for mark in pad(demo).get_by_role("button").all()]


def point(demo, number):
    return pad(demo).locator(".mark").nth(number - 1)


def chosen(demo):
    """What has the focus; on the pad a point's name."""
    return demo.page.evaluate("document.activeElement.getAttribute('aria-label')")


def cells(demo):
    return demo.page.locator(".jp-Notebook .jp-Cell").count()


def test_points_by_keyboard(demo):
    before = cells(demo)
    assert names(demo)[0] == "point 1 of 8, class +1, at 1.2, 0.6" and len(names(demo)) == 8
    inside = pad(demo).locator('[tabindex="0"]')
    expect(inside).to_have_count(1)
    inside.focus()
    demo.page.keyboard.press("Home")
    assert chosen(demo) == "point 1 of 8, class +1, at 1.2, 0.6"
    demo.page.keyboard.press("]")
    assert chosen(demo) == "point 2 of 8, class -1, at 0.2, 0.2"
    for key in ("ArrowRight", "ArrowUp", "Shift+ArrowUp"):
        demo.page.keyboard.press(key)
    assert chosen(demo) == "point 2 of 8, class -1, at 0.3, 0.8"
    demo.page.keyboard.press("Shift+ArrowRight")
    demo.area.locator('img[alt*="Separable: no: point 7 = point 2 = (0.8, 0.8)"]').wait_for(timeout=20_000)
    assert "Separable: no: point 7 = point 2 = (0.8, 0.8)" in demo.text

    alt = demo.changes(lambda: demo.page.keyboard.press("Space"))
    assert alt.startswith("Points: 8, of which 5 of class +1 and 3 of class −1. Separable: yes")
    assert chosen(demo) == "point 2 of 8, class +1, at 0.8, 0.8"
    assert demo.changes(lambda: demo.page.keyboard.press("Delete")).startswith("Points: 7, of which 4 of class +1")
    assert chosen(demo).startswith("point 2 of 7") and len(names(demo)) == 7
    assert demo.changes(lambda: demo.page.keyboard.press("a")).startswith("Points: 8, of which 5 of class +1")
    assert chosen(demo).startswith("point 8 of 8")
    assert demo.area.get_by_text("point 8 of 8, class").count() == 1, "said to screen readers"
    for key in ("d", "d", "b", "y", "x", "Escape"):
        demo.page.keyboard.press(key)
    demo.page.wait_for_timeout(300)
    assert cells(demo) == before and len(names(demo)) == 8, "no key goes on to the notebook"
    demo.page.keyboard.press("Tab")
    assert chosen(demo) is None, "one Tab leads out of the pad"


def test_a_point_is_dragged(demo):
    box = point(demo, 2).bounding_box()
    target = point(demo, 7).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    to = target["x"] + target["width"] / 2, target["y"] + target["height"] / 2
    mouse = demo.page.mouse

    def drag():
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + 20, y - 10, steps=3)
        mouse.move(*to, steps=8)
        mouse.up()

    demo.changes(drag)
    assert names(demo)[1] == "point 2 of 8, class -1, at 0.8, 0.8"
    demo.area.locator('img[alt*="Separable: no: point 7 = point 2 = (0.8, 0.8)"]').wait_for(timeout=20_000)
    assert "Separable: no: point 7 = point 2 = (0.8, 0.8)" in demo.text
    assert demo.control("Begin with").input_value() == "own points"


def test_points_by_mouse(demo):
    plane = pad(demo).bounding_box()
    point(demo, 1).click()  # a new point has the class of the chosen one
    alt = demo.changes(lambda: demo.page.mouse.click(plane["x"] + 20, plane["y"] + 20))
    assert alt.startswith("Points: 9, of which 5 of class +1") and chosen(demo).startswith("point 9 of 9, class +1")
    demo.page.wait_for_timeout(600)
    box = point(demo, 9).bounding_box()
    spot = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert demo.changes(lambda: demo.page.mouse.dblclick(*spot)).startswith("Points: 9, of which 4 of class +1")
    assert demo.changes(lambda: demo.button("Change class").click()).startswith("Points: 9, of which 5 of class +1")
    assert demo.changes(lambda: demo.button("Delete point").click()).startswith("Points: 8, of which 4 of class +1")
    assert demo.changes(lambda: demo.button("Add a point").click()).startswith("Points: 9")


def test_all_points_go_and_come_by_keyboard(demo):
    demo.control("Begin with").select_option("no points")
    demo.area.locator('img[alt^="Points: none yet. Separable: yes: there is nothing"]').wait_for(timeout=20_000)
    assert names(demo) == []
    alt = demo.changes(lambda: demo.press(demo.button("Add a point"), "Space"))
    assert alt.startswith("Points: 1, all of class +1") and chosen(demo) == "point 1 of 1, class +1, at 0, 0"
    assert demo.changes(lambda: demo.page.keyboard.press("Delete")).startswith("Points: none yet")
    demo.page.keyboard.press("Space")
    demo.area.locator('img[alt^="Points: 1, all"]').wait_for(timeout=20_000)


def test_the_perceptron_by_keyboard(demo):
    assert "after 1 of 5 mistakes" in demo.changes(lambda: demo.press(demo.button("Next mistake"), "Space"))
    assert "after 2 of 5" in demo.changes(lambda: demo.press(demo.control("Through all mistakes"), "ArrowRight"))
    assert "after 5 of 5" in demo.changes(lambda: demo.press(demo.button("To the end"), "Enter"))
    assert "after 4 of 5" in demo.changes(lambda: demo.press(demo.control("Mistakes so far"), "ArrowDown"))
    alt = demo.changes(lambda: demo.press(demo.control("Hinge line (SVM)"), "Space"))
    assert "Hinge (SVM, C = 1): not drawn" in alt and "Hinge (SVM, C = 1): not drawn" in demo.text
    assert "Hinge (SVM, C = 10)" in demo.changes(lambda: demo.press(demo.button("10"), "Space"))
    assert "at most 30 mistakes" in demo.text


def test_a_question_is_asked_first(demo):
    before = demo.alt
    demo.press(demo.button("Try: the other way round"), "Space")
    expect(demo.button("Look")).to_be_visible()
    assert demo.alt == before
    assert "stops after 1 mistake in 2 passes" in demo.changes(lambda: demo.press(demo.button("Look"), "Space"))
    assert names(demo)[-1] == "point 8 of 8, class +1, at 1.2, 0.6"


def test_axe_finds_nothing_serious(demo):
    assert demo.violations() == []
    demo.control("Begin with").select_option("no points")
    demo.area.locator('img[alt^="Points: none yet"]').wait_for(timeout=20_000)
    assert demo.violations() == []
