"""Prose that cannot lie: every decimal, every percentage and every "A beats B" of a document is bound to what holds it.

A *document* is a notebook, a page of Markdown, or what the exercises of a notebook say. A number or a claim in it is
bound

* by itself, to the cell above: the nearest code cell above that printed something prints the number, rounded alike, or
  the claim, as a line "A > B: ..." (`ftpkit.bands.claim` asserts and prints it);
* otherwise by an entry in ``tests/bindings/NAME.toml`` with `text`, the words around it, found once in the document:

      [[bind]]
      text = "In the race ReLU is first, 0.9 points ahead"
      cell = "n04-17"                       that cell prints the numbers, and the claims of `says`
      is = "gap('mlp', 'ReLU', 'SSTE').mean"   what the expression gives, number for number, see `names()`
      says = ["ReLU > SSTE"]                what is claimed in these words, printed by `cell` or the cell above ...
      experiment = "mlp"                    ... or, on a page without cells, shown by this experiment of `ftpkit.bands`
      why = "the paper's Table 1"           nothing measured here: a paper's figure, a definition, a setting, a question
      test = "test_readme.py::test_x"       the table that `text` begins is compared with what was measured by that test

What is in ``everywhere.toml`` is bound in every document, as often as it stands there. Outputs that nbval does not
compare bind nothing. An entry whose text is gone is a complaint too: whoever changes a sentence binds it anew.
"""

import json
import math
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import glossary
import hygiene
import numpy as np

from ftpkit import RULES, bands
from ftpkit.exercises import EXERCISES
from ftpkit.paired import Difference

ROOT = Path(__file__).parents[1]
BINDINGS = Path(__file__).parent / "bindings"


# --- documents ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A cell of prose, a page, or an exercise. text: its Markdown; printed: by the nearest cell above that printed."""

    id: str
    text: str
    printed: str = ""


@dataclass(frozen=True)
class Document:
    """name: of its file, without suffix. printed: what each code cell whose output is compared put out, by its id."""

    name: str
    blocks: tuple[Block, ...]
    printed: dict[str, str]


def read(path: Path) -> Document:
    if path.suffix == ".md":
        return Document(path.stem, (Block("", path.read_text(encoding="utf-8")),), {})
    return of_notebook(path.stem, hygiene.read(path))


def of_notebook(name: str, nb: dict) -> Document:
    blocks, printed, latest = [], {}, ""
    for n, cell in enumerate(nb["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(Block(cell["id"], glossary.without_links(source), latest))
        elif n not in hygiene.excused(nb):
            printed[cell["id"]] = _printed(cell)
            latest = printed[cell["id"]] or latest
    return Document(name, tuple(blocks), printed)


def _printed(cell: dict) -> str:
    texts = []
    for output in cell["outputs"]:
        texts.append("".join(output.get("text", "")))
        texts += ["".join(output.get("data", {}).get(mime, "")) for mime in ("text/plain", "text/markdown")]
    return "\n".join(filter(None, texts))


def of_exercises(notebook: str) -> Document:
    """What the cards of a notebook say, and their hints and solutions, which its cells do not show."""
    cards = [each for each in EXERCISES.values() if each.notebook == notebook]
    said = {e.name: "\n\n".join([e.goal, *e.hints, *(m.hint for m in e.mistakes), e.explanation]) for e in cards}
    return Document(f"exercises_{notebook}", tuple(Block(name, text) for name, text in said.items()), {})


def documents() -> list[Document]:
    pages = [ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.ipynb"))]
    return [*map(read, pages), *map(of_exercises, sorted({each.notebook for each in EXERCISES.values()}))]


# Not prose: code, addresses, identifiers, comments. Blanked out, so that places stay what they are.
_NOT_PROSE = re.compile(
    r"^(?:```|~~~).*?^(?:```|~~~)"  # a fenced block
    r"|`[^`\n]+`"
    r"|\]\([^)\s]*\)"  # the target of a link
    r"|<!--.*?-->|<[^<>\n]{1,200}>"
    r"|https?://\S+|arXiv:[\d.]+|doi:\S+",
    re.MULTILINE | re.DOTALL,
)


def prose(text: str) -> str:
    """The text with everything blanked that is not prose.

    >>> prose("about `x = 0.5` [and](a0.3.md) 0.25")
    'about           [and            0.25'
    """
    return _NOT_PROSE.sub(lambda match: " " * len(match[0]), text)


# --- numbers --------------------------------------------------------------------------------------------------------

_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+"
NUMBER = re.compile(rf"(?P<sign>(?<![\w.)])[-+−])?(?<![\w.])(?P<digits>{_DIGITS})(?P<percent>\s*(?:\\?%|per cent\b))?")


@dataclass(frozen=True)
class Number:
    """A decimal or percentage in prose. signed: has it a sign? decimals: how many were written."""

    start: int
    end: int
    value: float
    decimals: int
    percent: bool
    signed: bool
    said: str

    def is_(self, value: float) -> bool:
        """Does `value` round to it? A share may be said in per cent, and a number without a sign may have had one."""
        candidates = [value, 100 * value] if self.percent else [value]
        half = 0.5 * 10.0**-self.decimals * (1 + 1e-9) + 1e-12
        return any(abs((c if self.signed else abs(c)) - self.value) <= half for c in candidates)

    def in_(self, printed: str) -> bool:
        return any(self.is_(value) for value in _printed_numbers(printed))


def numbers(text: str) -> list[Number]:
    """The decimals and percentages of a text's prose.

    >>> [each.said for each in numbers("10 runs of 2 gave 83.5 %, 5 % and `0.1`, -0.3 [0.1, 2]")]
    ['83.5 %', '5 %', '-0.3', '0.1']
    """
    found = []
    for match in NUMBER.finditer(prose(text)):
        digits = match["digits"].replace(",", "")
        if "." not in digits and not match["percent"]:
            continue
        sign = -1.0 if match["sign"] in ("-", "−") else 1.0
        decimals = len(digits.partition(".")[2])
        found.append(
            Number(
                match.start(), match.end(), sign * float(digits), decimals, bool(match["percent"]),
                match["sign"] is not None, match[0],
            )
        )  # fmt: skip
    return found


@cache
def _printed_numbers(printed: str) -> tuple[float, ...]:
    return tuple(float(x.replace(",", "").replace("−", "-")) for x in re.findall(_PRINTED, printed))


_PRINTED = r"(?<![\w.])[-−+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)(?:e[-+]?\d+)?"


# --- claims ---------------------------------------------------------------------------------------------------------

NAMES = sorted(
    [*RULES, "ReLU", "Saturated ReLU", "saturated ReLU", "Algorithm 1", "MADALINE II", "MADALINE Rule II"],
    key=len,
    reverse=True,
)
_NAME = rf"(?<![\w-])(?:{'|'.join(map(re.escape, NAMES))})(?![\w-])"
_LIST = rf"{_NAME}(?:(?:, (?:and )?| and ){_NAME})*"
_IS = r"(?:is|are|was|were|lies?|stays?|comes?|does|do|did)(?: (?:clearly|far|still|always))?"
_AHEAD = rf"(?:beats?|leads?|led|outperforms?|wins? (?:against|over)|{_IS} (?:ahead of|better than))"
_BEHIND = rf"(?:loses? to|lost to|{_IS} (?:behind|worse than))"
CLAIM = re.compile(rf"(?P<a>{_LIST}) (?:(?P<ahead>{_AHEAD})|{_BEHIND}) (?P<b>{_LIST})(?! (?:{_AHEAD}|{_BEHIND}))")
CLAIMING = re.compile(
    r"\b(?:beats?|beaten|outperforms?|leads?|led|wins?|won|winners?|loses?|lost|ahead|behind (?:it|them|both)"
    r"|better than|worse than)\b"
)
SENTENCE = re.compile(r"[^\s].*?(?:[.?!:](?=[\s*)\"]|$)|\n\s*\n|\n(?=\s*[*\-|#]|\s*\d+\. )|$)", re.DOTALL)


@dataclass(frozen=True)
class Claim:
    """A sentence that speaks of a contestant and of ahead or behind. says: "A > B", as far as that can be read off."""

    start: int
    end: int
    said: str
    says: tuple[str, ...] = ()


def claims(text: str) -> list[Claim]:
    """What a text claims of the kind "A beats B"; one for each word that claims, and says () where it cannot be read.

    >>> [each.says for each in claims("SSTE and FTP-SH beat STE. Hinge wins. Here Ramp is behind SSTE.")]
    [('SSTE > STE', 'FTP-SH > STE'), (), ('SSTE > Ramp',)]
    """
    found = []
    clean = prose(text)
    for sentence in SENTENCE.finditer(clean):
        words = " ".join(sentence[0].split())
        if not re.search(_NAME, words):
            continue
        readable = _read_off(sentence[0], sentence.start())
        found += readable
        for word in CLAIMING.finditer(sentence[0]):
            start, end = sentence.start() + word.start(), sentence.start() + word.end()
            if not any(each.start <= start < each.end for each in readable):
                found.append(Claim(start, end, words))
    return sorted(found, key=lambda each: each.start)


def _read_off(sentence: str, start: int) -> list[Claim]:
    pattern = re.compile(CLAIM.pattern.replace(" ", r"\s+"))
    found = []
    for match in pattern.finditer(sentence):
        a, b = (re.findall(_NAME, match[key]) for key in ("a", "b"))
        ahead, behind = (a, b) if match["ahead"] else (b, a)
        says = tuple(f"{_plain(x)} > {_plain(y)}" for x in ahead for y in behind)
        found.append(Claim(start + match.start(), start + match.end(), " ".join(match[0].split()), says))
    return found


def _plain(name: str) -> str:
    return {"saturated ReLU": "Saturated ReLU", "MADALINE Rule II": "MADALINE II"}.get(name, name)


def printed_claims(printed: str) -> set[str]:
    """The claims that a cell asserted and printed.

    >>> sorted(printed_claims("SSTE > STE: +2.36 [+1.98, +2.74], 10 seeds\\nok: 3 > 2"))
    ['SSTE > STE']
    """
    return {match[1] for match in re.finditer(r"^(\S.*? [>~] .*?): [-+]\d.*\[.*\].*, \d+ seeds", printed, re.MULTILINE)}


# --- bindings -------------------------------------------------------------------------------------------------------

KEYS = {"text", "cell", "is", "says", "experiment", "why", "test"}


def names() -> dict:
    """What an expression of `is` may use: bands, bench, the paper's table, the races' settings, and mathematics."""
    from scipy.stats import norm

    from ftpkit import LOSSES, depth, inside, presets, race, runs, skips
    from ftpkit.search import tally

    def mean(experiment, name):
        return bands.figure(experiment, name)["mean"]

    def error(experiment, name):
        return bands.figure(experiment, name)["error"]

    def solved(method, *cells):
        return tally.pooled(tally.load(), method, cells or ["*"])["solved"]

    def seconds(method):
        return np.mean([r["seconds"] for r in tally.records(tally.load()) if r["method"] == method])

    def reference(exercise):
        return EXERCISES[exercise].reference

    kit = {"LOSSES": LOSSES, "RULES": RULES, "RACES": race.RACES, "PRESETS": presets.PRESETS, "ROWS": presets.ROWS}
    rooms = {"depth": depth, "inside": inside, "race": race, "runs": runs, "skips": skips, "tally": tally}
    bench = json.loads((race.RESULTS / "bench.json").read_text(encoding="utf-8"))
    rooms |= {"bench": bench}
    figures = {"gap": bands.gap, "figure": bands.figure, "mean": mean, "error": error}
    found = {"solved": solved, "seconds": seconds, "reference": reference}
    return kit | rooms | figures | found | {"math": math, "np": np, "norm": norm}


def entries(name: str) -> list[dict]:
    path = BINDINGS / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")).get("bind", []) if path.exists() else []


def check(document: Document, bound: list[dict] | None = None, everywhere: list[dict] | None = None) -> list[str]:
    """Everything in a document that is not bound, or bound to what does not hold it."""
    bound = entries(document.name) if bound is None else bound
    everywhere = entries("everywhere") if everywhere is None else everywhere
    wrong, spans = _places(document, bound)
    for block in document.blocks:
        mine = spans.get(block.id, [])
        free = [(match.start(), match.end()) for entry in everywhere for match in _find(entry["text"], block.text)]
        for number in numbers(block.text):
            if _within(number, free) or any(_within(number, [span]) for span, _ in mine):
                continue
            if not number.in_(block.printed):
                wrong.append(f"{_where(document, block, number)}: the cell above does not print {number.said!r}")
        for claim in claims(block.text):
            if _within(claim, free) or any(_within(claim, [s]) for s, e in mine if e.keys() & {"says", "why"}):
                continue
            shown = printed_claims(block.printed)
            if not claim.says:
                wrong.append(f"{_where(document, block, claim)}: who is ahead of whom? bind it: {claim.said!r}")
            elif missing := [each for each in claim.says if each not in shown]:
                wrong.append(f"{_where(document, block, claim)}: the cell above does not assert {', '.join(missing)}")
        for (start, end), entry in mine:
            wrong += [f"{_where(document, block)}: {each}" for each in _held(document, block, start, end, entry, free)]
    return wrong


def _find(text: str, source: str) -> Iterator[re.Match]:
    return re.finditer(r"\s+".join(map(re.escape, text.split())), source)


def _places(document: Document, bound: list[dict]) -> tuple[list[str], dict[str, list]]:
    wrong, spans = [], {}
    for entry in bound:
        label = f"{document.name}.toml: {entry.get('text', '')[:60]!r}"
        found = [(block, match) for block in document.blocks for match in _find(entry.get("text", ""), block.text)]
        if entry.keys() - KEYS or not entry.get("text", "").strip():
            wrong.append(f"{label}: an entry has text and some of {', '.join(sorted(KEYS - {'text'}))}")
        elif not entry.keys() & {"cell", "is", "why", "says", "test"}:
            wrong.append(f"{label}: bound to nothing")
        elif "why" in entry and len(entry["why"].split()) < 2:
            wrong.append(f"{label}: say why in a few words")
        elif "test" in entry and not _is_test(entry["test"]):
            wrong.append(f"{label}: there is no test {entry['test']}")
        elif len(found) != 1:
            wrong.append(f"{label}: stands {len(found)} times in {document.name}, not once")
        else:
            [(block, match)] = found
            end = _end_of_table(block.text, match.end()) if "test" in entry else match.end()
            spans.setdefault(block.id, []).append(((match.start(), end), entry))
    return wrong, spans


def _end_of_table(text: str, start: int) -> int:
    while (line := text.find("\n", start)) >= 0 and text.startswith("|", line + 1):
        start = line + 1
    return line if line >= 0 else len(text)


def _is_test(name: str) -> bool:
    file, _, function = name.partition("::")
    path = Path(__file__).parent / file
    return path.is_file() and f"def {function}(" in path.read_text(encoding="utf-8")


def _within(what: Number | Claim, spans: Iterable[tuple[int, int]]) -> bool:
    return any(start <= what.start and what.end <= end for start, end in spans)


def _where(document: Document, block: Block, what: Number | Claim | None = None) -> str:
    place = f"{document.name} {block.id}".strip()
    if what is None:
        return place
    return f"{place}, '…{' '.join(block.text[max(0, what.start - 30) : what.end + 15].split())}…'"


def _held(document: Document, block: Block, start: int, end: int, entry: dict, free: list) -> list[str]:
    """What an entry binds its words to must hold: the numbers in them, and what it says that they claim."""
    text = entry["text"]
    inside = [n for n in numbers(block.text) if _within(n, [(start, end)]) and not _within(n, free)]
    if "cell" in entry and entry["cell"] not in document.printed:
        return [f"{text!r} is bound to cell {entry['cell']}, which is not there or is not compared"]
    printed = document.printed[entry["cell"]] if "cell" in entry else block.printed
    wrong = []
    if "is" in entry:
        values = _values(eval(entry["is"], names()))
        if len(values) != len(inside) or not all(n.is_(v) for n, v in zip(inside, values, strict=True)):
            wrong.append(f"{text!r}: {entry['is']} gives {', '.join(f'{value:.5g}' for value in values)}")
    elif not entry.keys() & {"why", "test"}:
        for number in inside:
            if not number.in_(printed):
                wrong.append(f"{text!r}: {entry.get('cell', 'the cell above')} does not print {number.said!r}")
    if "experiment" in entry:
        for said in entry.get("says", []):
            wrong += [f"{text!r}: {problem}"] if (problem := _refuted(entry["experiment"], said)) else []
    elif missing := [said for said in entry.get("says", []) if said not in printed_claims(printed)]:
        wrong.append(f"{text!r}: {entry.get('cell', 'the cell above')} does not assert {', '.join(missing)}")
    read_off = [said for each in claims(block.text) if start <= each.start and each.end <= end for said in each.says]
    if "says" in entry and (reversed_ := [said for said in entry["says"] if _reversed(said) in read_off]):
        wrong.append(f"{text!r} says the reverse of {', '.join(reversed_)}")
    return wrong


def _reversed(said: str) -> str:
    a, _, b = said.partition(" > ")
    return f"{b} > {a}"


def _refuted(experiment: str, said: str) -> str:
    a, sign, b = bands._parts(said)
    found = bands.gap(experiment, a, b)
    holds = found.low > 0 if sign == ">" else not found.shown
    return "" if holds else f"{said} does not hold in {experiment!r}: {found}"


def _values(found) -> list[float]:
    if isinstance(found, Difference):
        return [found.mean, found.low, found.high]
    return [float(value) for value in np.ravel(np.asarray(found, dtype=float))]


if __name__ == "__main__":
    beginnings = tuple(sys.argv[1:])
    complaints = [each for d in documents() if d.name.startswith(beginnings or "") for each in check(d)]
    print("\n".join(complaints) or "all bound")
    sys.exit(bool(complaints))
