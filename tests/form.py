"""The form of the notebooks 01 to 08, for their readers: the same headings in the same order, captions below figures.

`check(nb)` lists what is missing; ``python tests/form.py 04`` prints it. See `hygiene` for what holds of all notebooks.
"""

import re
import sys
from pathlib import Path

import hygiene

ROOT = Path(__file__).parents[1]
FIRST = (
    "The question",
    "What you will be able to do",
    "Predict first",
    "Theory",
    "By hand",
    "The same from ftpkit",
)
LAST = ("Exercises", "What we found, and what we did not show", "Next")
DEMO = ("See it move", "Race them yourself")


def check(nb: dict) -> list[str]:
    return [*headings(nb), *opening(nb), *captions(nb), *predictions(nb)]


def markdown(nb: dict) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in nb["cells"] if cell["cell_type"] == "markdown")


def _headings(nb: dict) -> list[tuple[int, str]]:
    text = re.sub(r"^```.*?^```", "", markdown(nb), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^(#+)\s+(.+?)\s*$", text, re.MULTILINE)
    return [(len(marks), title.replace("`", "")) for marks, title in found]


def headings(nb: dict) -> list[str]:
    """The fixed headings in their order; between them a demo and the experiment."""
    every = [title for level, title in _headings(nb)]
    second = [title for level, title in _headings(nb) if level == 2]
    wrong = []
    begun = [title.partition(":")[0] for title in second[: len(FIRST)]]
    if begun != list(FIRST):
        wrong.append(f"begins with {', '.join(begun)}, not with {', '.join(FIRST)}")
    if tuple(second[-len(LAST) :]) != LAST:
        wrong.append(f"ends with {', '.join(second[-len(LAST) :])}, not with {', '.join(LAST)}")
    own = every[every.index("The same from ftpkit") :] if "The same from ftpkit" in every else []
    if not any(title.startswith(DEMO) for title in own):
        wrong.append(f"no heading begins with {' or '.join(map(repr, DEMO))}: where is the demo?")
    if sum(title.startswith("The experiment") for title in second) != 1:
        wrong.append("not one section is called 'The experiment'")
    return wrong


def opening(nb: dict) -> list[str]:
    """The question in one sentence; how many minutes, and whether a GPU is needed."""
    wrong = []
    question = re.search(r"^## The question\s*(.*?)^##", markdown(nb), re.MULTILINE | re.DOTALL)
    if not question or not _is_one_sentence(question[1]):
        wrong.append("the question is not asked in one sentence")
    able = re.search(r"^## What you will be able to do(.*?)^## ", markdown(nb), re.MULTILINE | re.DOTALL)
    for word in ("minutes", "GPU"):
        if not able or word not in able[1]:
            wrong.append(f"'What you will be able to do' says nothing of {word}")
    return wrong


def captions(nb: dict) -> list[str]:
    """Below each figure a cell that begins with one sentence in italics; what follows is upright."""
    wrong = []
    for n, cell in enumerate(nb["cells"]):
        html = "".join("".join(o.get("data", {}).get("text/html", "")) for o in cell.get("outputs", []))
        if "<img" not in html:
            continue
        below = nb["cells"][n + 1] if n + 1 < len(nb["cells"]) else {"cell_type": "none", "source": ""}
        caption = re.match(r"\*(?!\*)((?:[^*]|\*\*)+)\*(?!\*)", "".join(below["source"]))
        if below["cell_type"] != "markdown" or not caption:
            wrong.append(f"cell {n} ({cell['id']}): no caption in italics in the cell below the figure")
        elif not _is_one_sentence(caption[1]):
            wrong.append(f"cell {n} ({cell['id']}): the caption is not one sentence: {caption[1][:80]!r}")
    return wrong


def predictions(nb: dict) -> list[str]:
    """Every question of 'Predict first' is answered where it says so: (Prediction 2.)"""
    text = markdown(nb)
    asked = re.search(r"^## Predict first(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    questions = re.findall(r"^(\d+)\. ", asked[1], re.MULTILINE) if asked else []
    if len(questions) < 2:
        return ["'Predict first' asks fewer than two questions"]
    answers = re.findall(r"[Pp]redictions? ([\d, and]+)", text.partition("What we found")[2])
    answered = {number for answer in answers for number in re.findall(r"\d+", answer)}
    return [f"prediction {number} is not answered in 'What we found'" for number in questions if number not in answered]


def _is_one_sentence(text: str) -> bool:
    """Does it end in a full stop or question mark, and only there? Stops of abbreviations and numbers do not count."""
    text = re.sub(r"\$[^$]*\$|`[^`]*`|\((?:[^()]*)\)|\[([^\]]*)\]", "x", " ".join(text.split()))
    text = re.sub(r"\b(?:eq|eqs|et al|e\.g|i\.e|vs|no)\.|\.(?=\w)", "", text)
    return bool(re.fullmatch(r"[^.?!]+[.?!]", text.strip()))


def minutes_of_exercises(nb: dict) -> int:
    return sum(int(found) for found in re.findall(r"^\*Goal: .*?(\d+) minutes\.\*$", markdown(nb), re.MULTILINE))


if __name__ == "__main__":
    chosen = [
        path
        for path in sorted((ROOT / "notebooks").glob("0[1-8]*.ipynb"))
        if path.name.startswith(tuple(sys.argv[1:]) or "")
    ]
    complaints = [f"{path.stem}: {each}" for path in chosen for each in check(hygiene.read(path))]
    print("\n".join(complaints) or "in form")
    sys.exit(bool(complaints))
