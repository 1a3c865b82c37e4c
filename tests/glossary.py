"""The glossary's terms, and the links to them: in each notebook a term is linked where it is first used.

A term is a heading of level 3 in `notebooks/glossary.ipynb`; a line "Also: …" below it names other forms of the word.
``python tests/glossary.py --link NOTEBOOK...`` puts the links in; `missing` says which are not there.
"""

import json
import re
import sys
from pathlib import Path

import hygiene

FOLDER = Path(__file__).parents[1] / "notebooks"
PAGE = "glossary.ipynb"
LINK = re.compile(rf"\[([^\]\[]+)\]\({re.escape(PAGE)}#[^)\s]+\)")
_SKIPPED = re.compile(  # where no term is looked for: code, formulas, links and pictures, headings, HTML, table rows
    r"^```.*?^```|^#{1,6} .*?$|^\|.*?$|\$\$.+?\$\$|\$[^$]+?\$|`[^`\n]+`|!?\[[^\]]*\]\([^)]*\)|<[^<>\n]{1,200}>",
    re.MULTILINE | re.DOTALL,
)


def terms(nb: dict) -> dict[str, tuple[str, ...]]:
    """Each term, with its other forms, by the anchor that a link to it needs."""
    text = "\n\n".join("".join(cell["source"]) for cell in nb["cells"] if cell["cell_type"] == "markdown")
    found = {}
    for heading, body in re.findall(r"^### (.+?)\s*\n(.*?)(?=^#{1,3} |\Z)", text, re.MULTILINE | re.DOTALL):
        also = re.search(r"^Also: (.+?)\.\s*$", body, re.MULTILINE)
        forms = [heading, *(also[1].split(", ") if also else [])]
        found[heading.replace(" ", "-")] = tuple(forms)
    return found


def without_links(text: str) -> str:
    """The text with links to the glossary reduced to their words.

    >>> without_links("a [target](glossary.ipynb#target) and [more](other.ipynb)")
    'a target and [more](other.ipynb)'
    """
    return LINK.sub(r"\1", text)


def first_uses(nb: dict, known: dict[str, tuple[str, ...]]) -> dict[str, tuple[int, int, int]]:
    """By anchor: the cell, start and end of a term's first use in a notebook's prose, exercises left out.

    Where two terms begin at one place, as target and target heuristic, the longer one is used.
    """
    of_form = {" ".join(form.lower().split()): anchor for anchor, forms in known.items() for form in forms}
    words = "|".join(r"\s+".join(map(re.escape, form.split())) for form in sorted(of_form, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE)
    found = {}
    for n, cell in enumerate(nb["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and not source.startswith("### Exercise"):
            for match in pattern.finditer(_SKIPPED.sub(_blank, source)):
                found.setdefault(of_form[" ".join(match[0].lower().split())], (n, match.start(), match.end()))
    return found


def _blank(match: re.Match) -> str:
    """Blanks of the same length; of a link to the glossary its words are left."""
    if link := LINK.fullmatch(match[0]):
        return f" {link[1]}".ljust(len(match[0]))
    return " " * len(match[0])


def missing(nb: dict, known: dict[str, tuple[str, ...]]) -> list[str]:
    """Terms whose first use is no link to them."""
    wrong = []
    for anchor, (n, start, end) in first_uses(nb, known).items():
        source = "".join(nb["cells"][n]["source"])
        if not source[max(0, start - 1) :].startswith(f"[{source[start:end]}]({PAGE}#{anchor})"):
            wrong.append(f"cell {n} ({nb['cells'][n]['id']}): {source[start:end]!r} is used first and is no link")
    return wrong


def link(nb: dict, known: dict[str, tuple[str, ...]]) -> dict:
    """The notebook with every link to the glossary where it belongs, and only there."""
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = without_links("".join(cell["source"])).splitlines(keepends=True)
    for (n, start, end), anchor in sorted(
        ((place, anchor) for anchor, place in first_uses(nb, known).items()), reverse=True
    ):
        source = "".join(nb["cells"][n]["source"])
        source = f"{source[:start]}[{source[start:end]}]({PAGE}#{anchor}){source[end:]}"
        nb["cells"][n]["source"] = source.splitlines(keepends=True)
    return nb


if __name__ == "__main__":
    if sys.argv[1:2] != ["--link"]:
        sys.exit("usage: python tests/glossary.py --link NOTEBOOK...")
    known = terms(hygiene.read(FOLDER / PAGE))
    for path in map(Path, sys.argv[2:]):
        text = json.dumps(link(hygiene.read(path), known), indent=1, ensure_ascii=False, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")
