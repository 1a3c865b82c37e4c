"""The exercises of a notebook, for tests that answer them rightly and wrongly.

An exercise is a markdown cell that begins "### Exercise", with goal, difficulty, minutes, a hint and a solution; the
next cell is the stub to fill in, and the one after that checks it and says "not solved yet" until then.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

import hygiene

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


@dataclass(frozen=True)
class Exercise:
    text: str
    stub: str
    check: str

    @property
    def solution(self) -> str:
        return re.search(r"<summary>Solution</summary>.*?```python\n(.*?)```", self.text, re.DOTALL)[1]

    def attempt(self, namespace: dict, answer: str) -> str:
        """What the check says of this answer, given what a reader has defined so far; the namespace stays as it is."""
        names, said = dict(namespace), io.StringIO()
        exec(answer, names)
        with contextlib.redirect_stdout(said):
            exec(self.check, names)
        return said.getvalue()


class Book:
    """A notebook: its cells as pairs (kind, source), those before the exercises, and the exercises from number 1 on."""

    def __init__(self, name: str):
        self.notebook = hygiene.read(NOTEBOOKS / f"{name}.ipynb")
        self.cells = [(cell["cell_type"], "".join(cell["source"])) for cell in self.notebook["cells"]]
        places = [i for i, (kind, text) in enumerate(self.cells) if kind == "markdown" and "### Exercise" in text]
        self.before = self.cells[: places[0]]
        self.exercises = {
            number: Exercise(*(text for _, text in self.cells[i : i + 3])) for number, i in enumerate(places, start=1)
        }

    def begin(self, namespace: dict) -> dict:
        """The namespace with every stub and its check run as committed."""
        for exercise in self.exercises.values():
            exec(exercise.stub, namespace)
            exec(exercise.check, namespace)
        return namespace

    def assert_well_formed(self, wrong: dict) -> None:
        assert len(self.exercises) >= 4 and set(wrong) == set(self.exercises)
        for exercise in self.exercises.values():
            assert re.search(r"\*Goal: .+ (Easy|Middling|Harder), \d+ minutes.*\*", exercise.text), exercise.text
            assert "<summary>Hint</summary>" in exercise.text and exercise.solution
