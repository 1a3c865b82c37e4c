"""The gate of the notebooks' form, shown to close: what it must refuse is planted, and it is refused."""

import copy
import re

import form
import hygiene
import pytest
from planted import code, figure, notebook, printed, text

TEXT = """\
# Title

## The question

What does a unit learn (and when)?

## What you will be able to do

* See it. About 30 minutes with the exercises. No GPU.

## Predict first

1. Will it? 2 or 3?
2. When?

## Theory

## By hand: one unit

## The same from `ftpkit`

### See it move: a unit

## The experiment: a race

### Exercise 0: no card

## Exercises

### Exercise 1: a card

*Goal: see it. Easy, 5 minutes.*

### Exercise 2: another

*Goal: do it. Harder, 20 minutes.*

## What we found, and what we did not show

It will (prediction 1), soon. (Prediction 2.)

## Next
"""
CAPTION = "*Left: the unit, e.g. at $z = 0.5$ (a line); right: its loss.* Further remarks. And more."
BOOK = notebook(text(TEXT), code("show()", figure()), text(CAPTION), code("print(1)", printed("1\n")))


def test_a_notebook_in_form_passes():
    assert form.check(BOOK) == []
    assert form.minutes_of_exercises(BOOK) == 25


def replaced(old, new):
    def change(nb):
        for cell in nb["cells"]:
            if old in cell["source"]:
                cell["source"] = cell["source"].replace(old, new)
                return
        raise AssertionError(old)

    return change


@pytest.mark.parametrize(
    "change, complaint",
    [
        (replaced("## Theory\n\n## By hand: one unit", "## By hand\n\n## Theory"), "begins with"),
        (replaced("## Predict first", "### Predict first"), "begins with"),
        (replaced("## Next", "## What comes next"), "ends with"),
        (replaced("### See it move: a unit", "### The unit"), "where is the demo?"),
        (replaced("## The experiment: a race", "## A race"), "not one section is called 'The experiment'"),
        (replaced("(and when)?", "and when? And why?"), "the question is not asked in one sentence"),
        (replaced("About 30 minutes with the exercises. ", ""), "says nothing of minutes"),
        (replaced("No GPU.", ""), "says nothing of GPU"),
        (replaced("(Prediction 2.)", ""), "prediction 2 is not answered"),
        (replaced("2. When?", ""), "asks fewer than two questions"),
        (replaced(CAPTION, "Left: the unit; right: its loss."), "no caption in italics"),
        (replaced("*Left", "**Left**"), "no caption in italics"),
        (replaced("its loss.*", "its loss. A kink.*"), "the caption is not one sentence"),
        (replaced("its loss.*", "its loss*"), "the caption is not one sentence"),
        (lambda nb: nb["cells"].insert(2, code("pass")), "no caption in italics"),
        (lambda nb: nb["cells"].append(code("show()", figure()) | {"id": "last"}), "no caption in italics"),
    ],
)
def test_what_is_out_of_form_is_found(change, complaint):
    nb = copy.deepcopy(BOOK)
    change(nb)
    assert any(complaint in each for each in form.check(nb)), form.check(nb)


NOTEBOOKS = sorted((form.ROOT / "notebooks").glob("0[1-8]*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_has_the_form(path):
    assert form.check(hygiene.read(path)) == []


@pytest.mark.parametrize("page", ["README.md", "notebooks/00_start_here.ipynb"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_minutes_are_told_alike(page, path):
    """In the tables of notebooks as '60 + 55', in the notebook itself in words, added up from the cards."""
    nb, text = hygiene.read(path), (form.ROOT / page).read_text(encoding="utf-8")
    (row,) = re.findall(rf"\((?:notebooks/)?{path.name}\) \|.*\| (\d+) \+ (\d+) \|", text)
    (told,) = re.findall(r"About (\d+) minutes for reading, and (\d+) more for", form.markdown(nb))
    assert row == told
    assert int(row[1]) == form.minutes_of_exercises(nb) > 0
