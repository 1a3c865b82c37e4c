"""The committed notebooks are clean, small and listed. What clean means stands in hygiene.py."""

from pathlib import Path

import hygiene
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks():
    assert NOTEBOOKS, "no notebooks in notebooks/: the tests of this file would pass while checking nothing"


@every_notebook
def test_clean(path):
    assert not (wrong := hygiene.check(hygiene.read(path))), "\n".join([path.name, *wrong])


@every_notebook
def test_under_a_megabyte(path):
    assert path.stat().st_size < 1_000_000, f"{path.name}: fewer or smaller figures, please"


@every_notebook
def test_listed(path):
    start, readme = ROOT / "notebooks" / "00_start_here.ipynb", ROOT / "README.md"
    pages = [page.read_text(encoding="utf-8") for page in (start, readme) if page != path]
    assert hygiene.listed(path.name, *pages), f"{path.name} is not named in both {start.name} and {readme.name}"
