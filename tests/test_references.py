"""Every link of the notebooks and the README leads somewhere, every paper carries year and identifier; planted ones."""

from pathlib import Path

import pytest
import references

from ftpkit import LOSSES

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.ipynb"))]
every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)


@every_document
def test_links_lead_somewhere(path):
    assert references.broken_links(path) == []


@every_document
def test_papers_carry_year_and_identifier(path):
    assert references.bad_citations(path) == []


def test_one_paper_has_one_identifier_in_all_documents():
    assert references.contradictions(DOCUMENTS) == []
    cited = [each for path in DOCUMENTS for each in references.citations(path)]
    assert len(cited) > 20 and any(who == "Yang et al." for who, _, _ in cited)


def test_sources_of_losses_are_cited_alike_where_their_table_is_printed():
    [notebook] = [path for path in DOCUMENTS if path.stem.startswith("03")]
    cited = {(who, year): identifier[0] for who, year, identifier in references.citations(notebook) if identifier}
    elsewhere = {"Friesen and Domingos", "Chang et al."}  # cited by title; of a journal that gives no identifiers
    for loss in LOSSES.values():
        for match in references.CITATION.finditer(loss.source):
            if match["who"] not in elsewhere:
                given, known = references.IDENTIFIER.search(loss.source), cited[match["who"], int(match["year"])]
                assert not given or given[0] == known, loss.source


def page(folder, text, name="page.md"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


GOOD = "[arXiv:1710.11573](https://arxiv.org/abs/1710.11573)"


@pytest.mark.parametrize(
    "text, complaint",
    [
        (f"Friesen and Domingos, *Title, with 2015 in it*, ICLR 2018, {GOOD}.", None),
        (f"(Yang et al. 2019, {GOOD}). As Yang et al. 2019 say. In 2018 it rained; since May 2019, too.", None),
        ("Cover 1965, [doi:10.1109/PGEC.1965.264137](https://doi.org/10.1109/PGEC.1965.264137)", None),
        ("Minsky and Papert (1969), ISBN 978-0-262-63022-1", None),
        ("Yang et al. 2018, [OpenReview:rkeX-3Rqtm](https://openreview.net/forum?id=rkeX-3Rqtm)", None),
        ("Yang et al. 2018, [OpenReview:rkeX-3Rqtm](https://openreview.net/forum?id=rkeX-3Rqtn)", "leads to"),
        ("Yang et al. 2018, OpenReview:rkeX-3Rqtm", "OpenReview:rkeX-3Rqtm is no link"),
        ("`Cover 1965` and\n```\nCover 1965\n```\n", None),
        ("as Cover 1965 says", "Cover 1965 has no identifier"),
        (f"Cover 1965 and Yang et al. 2019, {GOOD}", "Cover 1965 has no identifier"),
        (
            f"Bengio, Courville and Vincent, *A title*, 2013. {'And so on. ' * 40}{GOOD}",
            "Vincent 2013 has no identifier",
        ),
        (f"Yang et al. 2013, {GOOD}", "which is of another time"),
        (f"Yang et al. 2023, {GOOD}", "which is of another time"),
        ("Yang et al. 2018, arXiv:1710.11573", "arXiv:1710.11573 is no link"),
        ("Yang et al. 2018, [arXiv:1710.11573](https://arxiv.org/abs/1710.11574)", "leads to"),
    ],
)
def test_citations(tmp_path, text, complaint):
    found = references.bad_citations(page(tmp_path, text))
    assert (found == []) if complaint is None else any(complaint in each for each in found), found


def test_broken_links_are_found(tmp_path):
    page(tmp_path, "# Some *Title*\n## In detail\n", "other.md")
    text = "[a](other.md) [b](other.md#In-detail) [c](#Here) [d](https://x.y/z) [e](other.md#Some-Title)\n# Here\n"
    assert references.broken_links(page(tmp_path, text)) == []
    text = "[a](none.md) [b](other.md#in-detail) [c](#There) `[d](none.md)`\n# Here\n"
    assert [each.split(":")[1] for each in references.broken_links(page(tmp_path, text))] == [
        " the link to none.md leads nowhere",
        " other.md has no heading 'in-detail'",
        " page.md has no heading 'There'",
    ]


def test_an_identifier_ends_where_its_link_does(tmp_path):
    doi = "[doi:10.1109/PGEC.1965.264137](https://doi.org/10.1109/PGEC.1965.264137)"
    pages = [
        page(tmp_path, text, f"{n}.md") for n, text in enumerate([f"(Cover 1965, {doi}).", f"Cover 1965, {doi}; a"])
    ]
    assert references.contradictions(pages) == []
    assert references.IDENTIFIER.search("(doi:10.1109/PGEC.1965.264137).")[0] == "doi:10.1109/PGEC.1965.264137"


def test_two_identifiers_of_one_paper_are_found(tmp_path):
    other = GOOD.replace("11573", "11574")
    pages = [page(tmp_path, f"Yang et al. 2018, {each}", f"{n}.md") for n, each in enumerate([GOOD, GOOD, other])]
    assert references.contradictions(pages[:2]) == []
    assert "Yang et al. 2018 is arXiv:1710.11573 in 0.md and arXiv:1710.11574 in 2.md" in references.contradictions(
        pages
    )
