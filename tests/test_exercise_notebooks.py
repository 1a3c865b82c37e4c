"""The exercises as they stand in the notebooks: cards, stubs and checks, unsolved as committed and solved."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import hygiene
import nbformat
import pytest
import solved

from ftpkit.exercises import EXERCISES

ROOT = Path(__file__).parents[1]
BOOKS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("0[1-8]*.ipynb"))}
every_book = pytest.mark.parametrize("number", sorted({each.notebook for each in EXERCISES.values()}))


@pytest.fixture(scope="module")
def books():
    return {number: hygiene.read(path) for number, path in BOOKS.items()}


@every_book
def test_every_exercise_stands_in_its_notebook_once(books, number):
    found = [(kind, name) for _, kind, name in solved.cells(books[number])]
    names = [name for name, each in EXERCISES.items() if each.notebook == number]
    assert len(names) >= 4
    assert [name for kind, name in found if kind == "stub"] == names, "stubs as exercise.stub gives them, in order"
    assert [name for kind, name in found if kind == "check"] == names, 'a cell exercise("name").check(name) for each'
    assert any(kind == "use" for kind, _ in found), "no later cell uses what the reader wrote"


@every_book
def test_cards_say_goal_difficulty_and_minutes(books, number):
    cards = [solved.text(cell) for cell in books[number]["cells"] if "### Exercise " in solved.text(cell)]
    exercises = [each for each in EXERCISES.values() if each.notebook == number]
    assert len(cards) == len(exercises)
    for n, (card, exercise) in enumerate(zip(cards, exercises, strict=True), start=1):
        assert card.startswith(f"### Exercise {n}: {exercise.title}\n\n{exercise.card}\n"), card
        assert f'`exercise("{exercise.name}").hint()`' in card, f"{exercise.name}: the card names the way to its hints"
        assert not re.search(r"<summary>(Hint|Solution)", card), "hints and solutions live in ftpkit.exercises"


@every_book
def test_as_committed_every_check_says_todo(books, number):
    for n, kind, name in solved.cells(books[number]):
        outputs = json.dumps(books[number]["cells"][n]["outputs"])
        if kind == "check":
            assert f"TODO: {name}." in outputs
        if kind == "use":
            assert f"{name}: yours is TODO; the kit's own is used below." in outputs


@every_book
def test_solved_every_check_says_right_and_nothing_else_changes(books, number, tmp_path):
    book = solved.solve(books[number])
    changed = [n for n, (a, b) in enumerate(zip(book["cells"], books[number]["cells"], strict=True)) if a != b]
    assert changed == [n for n, _, _ in solved.cells(books[number])]
    ran = nbval(book, tmp_path / f"solved_{BOOKS[number].name}")
    passed = re.search(r"(\d+) passed", ran.stdout)
    code = sum(cell["cell_type"] == "code" for cell in book["cells"])
    assert ran.returncode == 0 and passed and int(passed[1]) == code, ran.stdout[-6000:]


def nbval(book, path):
    """What a strict comparison says of a notebook."""
    path.write_text(json.dumps(book), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "FTPKIT_PROGRESS": str(path.with_name("none.json"))}
    return subprocess.run([*command, path], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)


@pytest.mark.parametrize("answer, failed", [(None, 0), ("return -t * (t * z < 1)", 1), ("return undefined", 1)])
def test_a_wrong_solution_in_a_notebook_is_seen(tmp_path, answer, failed):
    imports = "from torch import Tensor\n\nfrom ftpkit.exercises import exercise"
    sources = [imports, EXERCISES["hinge_derivative"].stub, 'exercise("hinge_derivative").check(hinge_derivative)']
    cells = [nbformat.v4.new_code_cell(source, execution_count=n) for n, source in enumerate(sources, start=1)]
    book = solved.solve(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": ""}})
    )
    if answer:
        book["cells"][1]["source"] = EXERCISES["hinge_derivative"].stub.replace("...", answer)
    ran = nbval(book, tmp_path / "planted.ipynb")
    assert f"{3 - failed} passed" in ran.stdout and (ran.returncode != 0) == bool(failed), ran.stdout
