"""What all demos have in common: they are seven, with questions, and with a strip above each in its notebook."""

import re
from pathlib import Path

import hygiene
import pytest
from browser.lab import DEMOS

from ftpkit import explore, plots
from ftpkit.explore.shell import Demo

ROOT = Path(__file__).resolve().parent.parent
TAUGHT = {
    "PerceptronPlayground": ("01",),
    "SearchStepper": ("02",),
    "LossExplorer": ("03",),
    "TargetExplorer": ("03", "04"),
    "RaceDemo": ("04", "05", "07"),
    "StaircaseExplorer": ("06",),
    "ResultsExplorer": ("08",),
}


def cells_of(number: str) -> list[dict]:
    """The code cells of a notebook."""
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    return [cell for cell in hygiene.read(path)["cells"] if cell["cell_type"] == "code"]


def shown(cell: dict, kind: str) -> str:
    """What a cell has put out of that MIME type."""
    return "".join("".join(output.get("data", {}).get(kind, "")) for output in cell["outputs"])


def test_there_are_seven():
    assert {name for name in explore.__all__ if issubclass(getattr(explore, name), Demo)} == set(TAUGHT) == set(DEMOS)


@pytest.mark.parametrize("name", TAUGHT)
def test_each_asks_two_or_three_questions(name):
    kind = getattr(explore, name)
    assert 2 <= len(kind.TRIES) <= 3 and len({each.name for each in kind.TRIES}) == len(kind.TRIES)
    start = kind.State().values()
    for each in kind.TRIES:
        assert "?" in each.question and kind.State(**each.state).values() != start


@pytest.mark.parametrize(("name", "number"), [(name, number) for name, taught in TAUGHT.items() for number in taught])
def test_a_strip_of_two_or_three_states_stands_above_it(name, number):
    cells = cells_of(number)
    demos = [n for n, cell in enumerate(cells) if shown(cell, "text/plain") == f"{name}: run this cell to use the demo"]
    strips = [n for n, cell in enumerate(cells) if f"{name}.strip(" in "".join(cell["source"])]
    assert len(demos) == 1 and len(strips) == 1 and strips[0] < demos[0]
    pictures = re.findall(
        r'<img alt="([^"]{30,})"[^>]* src="data:image/png;base64,', shown(cells[strips[0]], "text/html")
    )
    assert len(pictures) in (2, 3) and len(set(pictures)) == len(pictures)


FILES = [path for room in (explore, plots) for path in Path(room.__file__).parent.glob("*.py")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_is_shared_through_pyplot_and_no_output_is_captured(path):
    code = re.sub(r"#[^\n]*|\"{3}.*?\"{3}", "", path.read_text(), flags=re.DOTALL)
    assert not re.search(r"pyplot|\binteract\b|W\.Output|W\.Play|clear_output", code)
