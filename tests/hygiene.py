"""What every committed notebook must look like: pure functions from a notebook (a dict) to complaints.

`check(nb)` collects them; `tests/test_gates.py` shows each of them speak. `python tests/hygiene.py --tidy
FILE...` takes out what differs between two runs on two machines; `make notebooks` calls it.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

Gate = Callable[[dict], list[str]]
GATES: list[Gate] = []

PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=\s]+")
MARKERS = re.compile(r"^\s*#\s*(NBVAL_\w+|PYTEST_VALIDATE_IGNORE_OUTPUT)", re.MULTILINE)
ABSOLUTE = re.compile(
    r"(?<![\w.~])/(?:home|root|Users|tmp)/[\w.-]+"  # somebody's folder
    r"|(?<![\w.~:/])/(?:[\w.+-]+/)+[\w-]+\.py\b"  # a file that a warning names
    r"|\b[A-Z]:\\\w+\\"  # Windows
)
EXCUSE = "nbval-ignore-output"


def gate(function: Gate) -> Gate:
    GATES.append(function)
    return function


def check(nb: dict) -> list[str]:
    """Every complaint about one notebook; a clean one has none."""
    return [complaint for g in GATES for complaint in g(nb)]


def excused(nb: dict) -> list[int]:
    """Positions of the cells whose outputs nbval does not compare."""
    return [i for i, cell in enumerate(nb["cells"]) if EXCUSE in _tags(cell)]


# Reading a notebook


def _text(lines) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def _tags(cell: dict) -> list[str]:
    return cell.get("metadata", {}).get("tags", [])


def _cells(nb: dict, kind: str) -> Iterator[tuple[int, dict, str]]:
    for i, cell in enumerate(nb["cells"]):
        if cell["cell_type"] == kind:
            yield i, cell, _text(cell["source"])


def _outputs(nb: dict) -> Iterator[tuple[int, str, str]]:
    """(cell, MIME type or stream name, text) of everything that a cell put out."""
    for i, cell, _ in _cells(nb, "code"):
        for output in cell["outputs"]:
            if output["output_type"] == "stream":
                yield i, output["name"], _text(output["text"])
            for mime, data in output.get("data", {}).items():
                yield i, mime, json.dumps(data) if isinstance(data, dict) else _text(data)


class _Images(HTMLParser):
    def __init__(self, html: str):
        super().__init__()
        self.found: list[dict] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs))


def headings(nb: dict) -> list[int]:
    """The levels of all headings, in order; what stands in a fenced block of code is none."""
    levels = []
    for _, _, source in _cells(nb, "markdown"):
        prose = re.sub(r"^(```|~~~).*?^\1", "", source, flags=re.MULTILINE | re.DOTALL)
        levels += [len(marks) for marks in re.findall(r"^ {0,3}(#{1,6})\s", prose, flags=re.MULTILINE)]
    return levels


# The gates


@gate
def format_and_kernel(nb):
    wrong = []
    if nb.get("nbformat") != 4:
        wrong.append(f"nbformat is {nb.get('nbformat')}, not 4: save it with JupyterLab 4")
    kernel = nb["metadata"].get("kernelspec", {}).get("name")
    if kernel != "python3":
        wrong.append(f"the kernel is {kernel!r}, not 'python3': other machines have no kernel of that name")
    return wrong


@gate
def executed_in_order(nb):
    """1, 2, ... n: a stripped notebook would pass nbval while nothing is compared."""
    counts = [cell["execution_count"] for _, cell, _ in _cells(nb, "code")]
    if counts != list(range(1, len(counts) + 1)):
        return [f"execution counts are {counts}, not 1 to {len(counts)}: run `make notebooks`"]
    return []


@gate
def no_errors(nb):
    return [
        f"cell {i}: put out an error ({output['ename']})"
        for i, cell, _ in _cells(nb, "code")
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


@gate
def no_absolute_paths(nb):
    texts = [(i, "source", _text(cell["source"])) for i, cell in enumerate(nb["cells"])]
    return [
        f"cell {i}: {kind} names the path {path!r}, which only one machine has"
        for i, kind, text in [*texts, *_outputs(nb)]
        for path in ABSOLUTE.findall(PICTURE.sub("", text))
    ]


@gate
def no_leftovers(nb):
    wrong = []
    if "widgets" in nb["metadata"]:
        wrong.append("the notebook keeps widget state: run `make notebooks`")
    for i, cell in enumerate(nb["cells"]):
        if "execution" in cell["metadata"]:
            wrong.append(f"cell {i}: keeps its timing: run `make notebooks`")
    return wrong


@gate
def figures_have_alt_text(nb):
    """JupyterLab shows image/png without its alt text, so a figure is an <img alt=...> in text/html."""
    wrong = []
    for i, mime, text in _outputs(nb):
        if mime.startswith("image/"):
            wrong.append(f"cell {i}: a bare {mime} has no alt text: end the cell with ftpkit.plots.show(fig, alt)")
        if mime == "text/html":
            for image in _Images(text).found:
                if not (image.get("src") or "").startswith("data:image/png;base64,"):
                    wrong.append(f"cell {i}: a picture is not an embedded PNG: show it with ftpkit.plots.show")
                if len(image.get("alt") or "") < 30:
                    wrong.append(f"cell {i}: the alt text {image.get('alt')!r} does not say what the figure shows")
    for i, _, source in _cells(nb, "markdown"):
        if re.search(r"!\[\s*\]\(", source) or any(not img.get("alt") for img in _Images(source).found):
            wrong.append(f"cell {i}: a picture in the text has no alt text")
    return wrong


@gate
def plain_text_is_plain(nb):
    """A picture in text/plain would be compared bit by bit, and differs between machines."""
    wrong = []
    for i, mime, text in _outputs(nb):
        if mime in ("text/plain", "stdout", "stderr"):
            if re.search(r"[A-Za-z0-9+/]{200}", text):
                wrong.append(f"cell {i}: {mime} holds base64: give the object a constant text/plain")
    return wrong


@gate
def one_title_and_no_level_skipped(nb):
    levels = headings(nb)
    wrong = []
    if levels[:1] != [1] or levels.count(1) != 1:
        wrong.append(f"heading levels are {levels}: a notebook starts with its one '# title'")
    for above, below in zip(levels, levels[1:], strict=False):
        if below > above + 1:
            wrong.append(f"a heading of level {below} follows one of level {above}: no level is skipped")
    return wrong


@gate
def cells_end_plainly(nb):
    """A `;` hides the value from the notebook but not from nbval."""
    wrong = []
    for i, _, source in _cells(nb, "code"):
        if not source.strip():
            wrong.append(f"cell {i}: is empty")
        elif re.search(r";\s*(#.*)?$", source.strip().splitlines()[-1]):
            wrong.append(f"cell {i}: ends in ';', which strict nbval takes for a difference")
    return wrong


@gate
def excuses_are_rare_and_reasoned(nb):
    wrong = []
    for i, cell, source in _cells(nb, "code"):
        for tag in set(_tags(cell)) & {"nbval-skip", "raises-exception", "nbval-raises-exception"}:
            wrong.append(f"cell {i}: the tag {tag} is refused: a cell runs, and what it raises it catches itself")
        if marker := MARKERS.search(source):
            wrong.append(f"cell {i}: the comment {marker[1]} hides an excuse: use the tag {EXCUSE}")
        reason = cell["metadata"].get("ftpkit_reason", "")
        if EXCUSE in _tags(cell) and len(reason.split()) < 4:
            wrong.append(f"cell {i}: excused without a sentence in its metadata 'ftpkit_reason' that says why")
    code = sum(1 for _ in _cells(nb, "code"))
    if len(excused(nb)) > max(1, code // 3):
        wrong.append(f"{len(excused(nb))} of {code} code cells are excused from comparison; a third is the limit")
    return wrong


def listed(name: str, *pages: str) -> bool:
    """Does every page (README, notebook 00) name the notebook?"""
    return all(name in page for page in pages)


# Taking out what differs between two runs


def tidy(nb: dict) -> dict:
    """The notebook without timing, widget state, the random names of widgets and the version of its Python."""
    nb["metadata"].pop("widgets", None)
    nb["metadata"].get("language_info", {}).pop("version", None)
    for cell in nb["cells"]:
        cell["metadata"].pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return nb


def read(path) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))


if __name__ == "__main__":
    if sys.argv[1:2] != ["--tidy"]:
        sys.exit("usage: python tests/hygiene.py --tidy NOTEBOOK...")
    for path in sys.argv[2:]:
        text = json.dumps(tidy(read(path)), indent=1, ensure_ascii=False, sort_keys=True)
        Path(path).write_text(text + "\n", encoding="utf-8")
