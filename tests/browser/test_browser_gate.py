"""The browser's gate shown to close: what a demo must not do is planted, and found by what the tests of demos use."""

import os
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from browser import lab

PICTURE = 'src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" width=9 height=9>'
PLANTED = {  # class in the page -> its widgets
    "Nameless": "W.IntSlider(description='Steps'), W.HTML('<p>Words.</p><img alt=\"A grey square.\" {picture}')",
    "Mute": "Slider(description='Steps'), W.HTML('<p>Words.</p><img {picture}')",
    "Faint": 'W.HTML(\'<p style="color: #444">Grey on black in the dark.</p><img alt="A grey square." {picture}\')',
    "Right": "Slider(description='Steps'), W.HTML('<p>Words.</p><img alt=\"A grey square.\" {picture}')",
}
SHOWN = """
import ipywidgets as W
from ftpkit.explore.controls import Slider

W.VBox([{widgets}]).add_class("ftpkit-{name}")
"""
BROKEN = """
import time

import traitlets as T

from ftpkit import plots
from ftpkit.explore import controls
from ftpkit.explore.shell import Demo, State


class BrokenState(State):
    place = T.Int(0, min=0, max=9)


class Broken(Demo):
    State = BrokenState

    def controls(self):
        return [controls.slider(self.state, "place", "Place")]

    @staticmethod
    def compute_from(state):
        if state.place >= 5:
            time.sleep(2)
        return 12 / (state.place - 2)

    draw = staticmethod(lambda result: plots.figure(width=2, height=1)[0])
    alt = staticmethod(lambda result: f"An empty figure, and the number {result:.1f}.")
    numbers = staticmethod(lambda result: {"Number": f"{result:.1f}"})


Broken()
"""


@pytest.fixture(scope="module")
def book(browser, server):
    cells = [SHOWN.format(name=name, widgets=what.format(picture=PICTURE)) for name, what in PLANTED.items()]
    server.write("planted.ipynb", *cells, BROKEN)
    book = lab.Book(browser, server, "planted.ipynb").run_all()
    yield book
    book.close()


@pytest.mark.parametrize("name, found", [("Nameless", "aria-input-field-name"), ("Mute", "image-alt")])
def test_what_a_screen_reader_cannot_name_is_found(book, name, found):
    assert any(found in each for each in book.demo(name).violations())
    assert book.demo("Right").violations() == []


def test_a_callback_that_raises_at_one_place_of_a_slider_is_found(book):
    demo = book.demo("Broken")
    slider = demo.area.get_by_role("slider", name="Place")
    assert "the number -12.0" in demo.changes(lambda: demo.press(slider, "ArrowRight"))
    with pytest.raises(AssertionError, match="Broken: the alt text is still"):
        demo.changes(lambda: demo.press(slider, "ArrowRight"), seconds=3)
    expect(demo.area).to_contain_text("ZeroDivisionError")
    assert "the number 12.0" in demo.changes(lambda: demo.press(slider, "ArrowRight"))


def test_working_is_seen_while_the_kernel_is_busy(book):
    demo = book.demo("Broken")
    slider = demo.area.get_by_role("slider", name="Place")
    demo.press(slider, "End")
    expect(demo.area.locator("img")).to_have_attribute("alt", "An empty figure, and the number 1.7.", timeout=30_000)
    demo.press(slider, "ArrowLeft")
    expect(demo.area).to_contain_text("Working …")
    assert "the number 1.7" in demo.alt, "said before the answer"
    expect(demo.area.locator("img")).to_have_attribute("alt", "An empty figure, and the number 2.0.", timeout=30_000)
    expect(demo.area).not_to_contain_text("Working …")


def test_what_is_too_faint_in_the_dark_is_found(book):
    assert book.demo("Faint").violations() == []
    book.theme("Dark")
    try:
        assert any("color-contrast" in each for each in book.demo("Faint").violations())
        assert book.demo("Right").violations() == []
    finally:
        book.theme("Light")


def test_a_notebook_with_an_error_is_found(browser, server):
    server.write("error.ipynb", "x = 1", "1 / 0")
    book = lab.Book(browser, server, "error.ipynb")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        book.run_all()
    book.close()


def test_what_is_fetched_from_elsewhere_is_noted(book):
    assert book.abroad == []
    book.page.evaluate("fetch('http://example.invalid/library.js').catch(() => {})")
    assert book.abroad == ["http://example.invalid/library.js"]


@pytest.mark.parametrize("ci, outcome", [("true", "CI has no browser for the demos"), ("", "NOT RUN: no browser")])
def test_without_a_browser_ci_fails_and_elsewhere_it_is_said(ci, outcome, tmp_path):
    nowhere = {"PATH": str(tmp_path), "FTPKIT_BROWSER": "", "CI": ci, "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path)}
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/browser/test_browser_losses.py"],
        cwd=lab.ROOT, env=os.environ | nowhere, capture_output=True, text=True,
    )  # fmt: skip
    assert outcome in finished.stdout, finished.stdout
    assert (finished.returncode != 0) == bool(ci) and "apt install chromium" in finished.stdout
