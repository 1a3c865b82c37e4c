"""All seven demos on one page: reached by Tab, named, whole in a narrow window, readable in the dark.

The page holds the demos and nothing else, so that it is there in seconds; what each does is tested in its notebook.
"""

import re

import pytest
from playwright.sync_api import expect

from browser import lab

STOPS = "button, input, select, [tabindex]"  # what Tab may stop at


@pytest.fixture(scope="module")
def book(browser, server):
    server.write_demos()
    book = lab.Book(browser, server, "demos.ipynb").run_all()
    yield book
    assert book.abroad == [], "everything comes from the server"
    book.close()


@pytest.fixture(scope="module")
def dark(book):
    yield book.theme("Dark")
    book.theme("Light")


each = pytest.mark.parametrize("name", lab.DEMOS)


@each
def test_tab_goes_through_every_control_and_shows_where_it_is(book, name):
    demo = book.demo(name)
    stops = [
        stop
        for stop in demo.area.locator(STOPS).all()
        if stop.is_visible() and stop.is_enabled() and stop.evaluate("e => e.tabIndex") >= 0
    ]
    assert len(stops) > 8
    stops[0].focus()
    for number, stop in enumerate(stops):
        here = "e => e === document.activeElement"
        assert stop.evaluate(here), f"{name}: stop {number} is {demo.page.evaluate('document.activeElement.outerHTML')}"
        marked = "e => getComputedStyle(e).outlineStyle !== 'none' || e.querySelector('.halo') !== null"
        assert stop.evaluate(marked), f"{name}: nobody sees the keyboard at {stop.evaluate('e => e.outerHTML')}"
        demo.page.keyboard.press("Tab")
    assert not demo.area.evaluate("e => e.contains(document.activeElement)"), "and on to what comes behind"


@each
def test_rows_of_buttons_say_their_name_and_which_is_pressed(book, name):
    for group in book.demo(name).area.locator(".ftpkit-buttons [role=group]").all():
        assert group.get_attribute("aria-label")
        pressed = [button.get_attribute("aria-pressed") for button in group.get_by_role("button").all()]
        assert sorted(pressed) == [*["false"] * (len(pressed) - 1), "true"]


def test_a_button_that_is_pressed_says_so(book):
    demo = book.demo("StaircaseExplorer")
    form = demo.area.get_by_role("group", name="Form", exact=True)
    demo.changes(lambda: demo.press(form.get_by_role("button", name="sum"), "Space"))
    expect(form.get_by_role("button", name="sum")).to_have_attribute("aria-pressed", "true")
    expect(form.get_by_role("button", name="single")).to_have_attribute("aria-pressed", "false")
    demo.changes(lambda: demo.press(demo.button("Reset"), "Space"))
    expect(form.get_by_role("button", name="single")).to_have_attribute("aria-pressed", "true")


def test_the_arrow_keys_choose_from_a_closed_list_and_leave_the_notebook_alone(book):
    demo = book.demo("StaircaseExplorer")
    rules = demo.control("Rule")
    assert "FTP-SH" not in demo.changes(lambda: demo.press(rules, "ArrowDown"))
    assert "FTP-SH" in demo.changes(lambda: demo.press(rules, "ArrowUp"))
    assert rules.evaluate("e => e === document.activeElement")


@each
def test_readable_in_the_dark(dark, name):
    demo = dark.demo(name)
    assert demo.violations() == []
    demo.press(demo.area.get_by_role("button", name="Try: ").first, "Space")
    expect(demo.button("Look")).to_be_visible()
    assert demo.violations() == [], "with its question"


def test_a_formula_that_is_refused_is_readable_in_the_dark(dark):
    demo = dark.demo("LossExplorer")
    demo.press(demo.control("Own formula L(z, t)"), *"tz", "Enter")
    expect(demo.area).to_contain_text("is not known")
    assert demo.violations() == []


def test_a_race_is_readable_in_the_dark(dark):
    demo = dark.demo("RaceDemo")
    demo.control("Images").select_option("500")
    demo.press(demo.button("Start"), "Space")
    expect(demo.area.locator("img")).to_have_attribute("alt", re.compile("finished"), timeout=60_000)
    expect(demo.area.locator("table")).to_have_count(2)
    assert demo.violations() == []


@each
def test_nothing_is_cut_off_in_a_narrow_window(book, name):
    book.width(1000)
    demo = book.demo(name)
    assert demo.area.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    right = demo.area.evaluate("e => e.getBoundingClientRect().right")
    for thing in demo.area.locator("img, button, input, select, svg, table").all():
        if thing.is_visible():
            assert thing.evaluate("e => e.getBoundingClientRect().right") <= right + 1, thing.evaluate(
                "e => e.outerHTML.slice(0, 200)"
            )
