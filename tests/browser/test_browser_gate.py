"""The browser's gate shown to close: a nameless slider, a mute picture, no browser."""

import os
import subprocess
import sys

import nbformat
import pytest

from browser import lab

SOURCE = """
import ipywidgets as W
{slider}
picture = W.HTML('<img {alt} src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" width=9 height=9>')
W.VBox([slider, picture]).add_class("ftpkit-Planted")
"""


@pytest.mark.parametrize(
    "slider, alt, found",
    [
        ("slider = W.IntSlider(description='Steps')", 'alt="A grey square."', "aria-input-field-name"),
        ("from ftpkit.explore.controls import Slider\nslider = Slider(description='Steps')", "", "image-alt"),
        ("from ftpkit.explore.controls import Slider\nslider = Slider(description='Steps')", 'alt="A square."', None),
    ],
)
def test_what_a_screen_reader_cannot_name_is_found(browser, server, slider, alt, found):
    cell = nbformat.v4.new_code_cell(SOURCE.format(slider=slider, alt=alt).strip())
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": ""}})
    nbformat.write(notebook, server.folder / "notebooks" / "planted.ipynb")
    book = lab.Book(browser, server, "planted.ipynb").run_all()
    violations = book.demo("Planted").violations()
    book.close()
    assert (found is None and violations == []) or any(found in each for each in violations), violations


@pytest.mark.parametrize("ci, outcome", [("true", "CI has no browser for the demos"), ("", "NOT RUN: no browser")])
def test_without_a_browser_ci_fails_and_elsewhere_it_is_said(ci, outcome, tmp_path):
    nowhere = {"PATH": str(tmp_path), "FTPKIT_BROWSER": "", "CI": ci, "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path)}
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/browser/test_browser_losses.py"],
        cwd=lab.ROOT, env=os.environ | nowhere, capture_output=True, text=True,
    )  # fmt: skip
    assert outcome in finished.stdout, finished.stdout
    assert (finished.returncode != 0) == bool(ci) and "apt install chromium" in finished.stdout
