"""Links and citations of the documents: a link leads somewhere, and a paper carries its year and an identifier."""

import re
from collections.abc import Iterator
from itertools import combinations, zip_longest
from pathlib import Path
from urllib.parse import unquote

import hygiene

LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]+)\]\((?P<target>[^)\s]+)\)")
IDENTIFIER = re.compile(
    r"arXiv:(?P<arxiv>\d{4}\.\d{4,5})|doi:10\.\d{4,}/[^\s\]]*[^\s\].,;)]|OpenReview:[\w-]{8,}|ISBN [\d-]{10,}"
)
ADDRESSES = {
    "arXiv:": "https://arxiv.org/abs/",
    "doi:": "https://doi.org/",
    "OpenReview:": "https://openreview.net/forum?id=",
}
_NAME = r"[A-Z][a-zà-ÿ]+(?:-[A-Z][a-z]+)?"
_AUTHORS = rf"{_NAME}(?:(?:, {_NAME})*,? and {_NAME}| et al\.)?"
_VENUE = r"(?:ICLR|ICML|NeurIPS|NIPS|CVPR|ICCV|ECCV|JMLR)"
CITATION = re.compile(rf"(?P<who>{_AUTHORS}|{_VENUE}),?(?: \*[^*]+\*,)? \(?(?P<year>(?:19|20)\d\d)\)?(?!-)")
NOT_AUTHORS = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
               "November", "December", "In", "Since", "Of", "About", "After", "Before", "Until", "The"}  # fmt: skip


def texts(path: Path) -> list[str]:
    """The pieces of prose of a notebook or a page of Markdown, code taken out."""
    if path.suffix == ".md":
        pieces = [path.read_text(encoding="utf-8")]
    else:
        pieces = ["".join(c["source"]) for c in hygiene.read(path)["cells"] if c["cell_type"] == "markdown"]
    return [re.sub(r"^```.*?^```|`[^`\n]+`", "", piece, flags=re.MULTILINE | re.DOTALL) for piece in pieces]


# --- links ----------------------------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """What a link can lead to inside of a document: JupyterLab's anchors, the headings with hyphens for blanks."""
    headings = re.findall(r"^ {0,3}#{1,6}\s+(.+?)\s*$", "\n".join(texts(path)), re.MULTILINE)
    return {re.sub(r"[*_`$]", "", heading).replace(" ", "-") for heading in headings}


def broken_links(path: Path) -> list[str]:
    wrong = []
    for target in [match["target"] for piece in texts(path) for match in LINK.finditer(piece)]:
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = unquote(target).partition("#")
        leads_to = path.parent / name if name else path
        if not leads_to.exists():
            wrong.append(f"{path.name}: the link to {target} leads nowhere")
        elif anchor and anchor not in anchors(leads_to):
            wrong.append(f"{path.name}: {leads_to.name} has no heading {anchor!r}")
    return wrong


# --- citations ------------------------------------------------------------------------------------------------------


def citations(path: Path) -> Iterator[tuple[str, int, re.Match | None]]:
    """Who was cited, of which year, and the identifier that follows, in the order of the text."""
    for piece in texts(path):
        piece = " ".join(piece.split())
        found = [match for match in CITATION.finditer(piece) if match["who"].split()[0] not in NOT_AUTHORS]
        for match, following in zip_longest(found, found[1:]):
            end = min(following.start() if following else len(piece), match.end() + 250)
            yield match["who"], int(match["year"]), IDENTIFIER.search(piece, match.end(), end)


def bad_citations(path: Path) -> list[str]:
    """Papers that are cited without an identifier, or whose identifiers do not fit their year or their address."""
    wrong, known = [], set()
    for who, year, identifier in citations(path):
        if identifier:
            known.add((who, year))
            if identifier["arxiv"] and not _fits(identifier["arxiv"], year):
                wrong.append(f"{path.name}: {who} {year} is given {identifier[0]}, which is of another time")
        elif (who, year) not in known:
            wrong.append(
                f"{path.name}: {who} {year} has no identifier: add [arXiv:…](…), [doi:…](…), [OpenReview:…](…) or ISBN"
            )
    return wrong + [complaint for piece in texts(path) for complaint in _bad_addresses(path, piece)]


def _fits(arxiv: str, year: int) -> bool:
    """A preprint is of the year of its publication, or of one of the three before."""
    return 0 <= year - (2000 + int(arxiv[:2])) <= 3


def _bad_addresses(path: Path, piece: str) -> list[str]:
    wrong = []
    for match in LINK.finditer(piece):
        for kind, address in ADDRESSES.items():
            if match["words"].startswith(kind) and match["target"] != address + match["words"].removeprefix(kind):
                wrong.append(f"{path.name}: [{match['words']}] leads to {match['target']}")
    bare = [m[0] for m in IDENTIFIER.finditer(LINK.sub("", piece)) if not m[0].startswith("ISBN")]
    return wrong + [f"{path.name}: {each} is no link" for each in bare]


def contradictions(paths: list[Path]) -> list[str]:
    """Papers that one document gives an identifier which another, that cites them too, does not give."""
    given: dict[tuple[str, int], dict[str, set[str]]] = {}
    for path in paths:
        for who, year, identifier in citations(path):
            if identifier:
                given.setdefault((who, year), {}).setdefault(path.name, set()).add(identifier[0])
    return [
        f"{who} {year} is {', '.join(sorted(a))} in {one} and {', '.join(sorted(b))} in {other}"
        for (who, year), places in given.items()
        for (one, a), (other, b) in combinations(places.items(), 2)
        if not a & b
    ]
