"""Every term is linked to the glossary where a notebook first uses it; what is not is found."""

import copy

import glossary
import hygiene
import pytest
from planted import code, notebook, text

PAGE = notebook(
    text("# Glossary\n\n## Terms\n\n### target\n\nAlso: targets, t.\n\nWhat a unit should put out."),
    text(
        "### target heuristic\n\nHow it is chosen.\n\n### layer loss\n\nAlso: layer losses.\n\nIt costs.\n\n## Papers"
    ),
)
KNOWN = {
    "target": ("target", "targets", "t"),
    "target-heuristic": ("target heuristic",),
    "layer-loss": ("layer loss", "layer losses"),
}
BOOK = notebook(
    text("# About the target\n\n`target` and $t$ and ![a target](x.png)\n\n| target |\n|---|\n"),
    text("The target\nheuristic sets Targets. Targets need layer losses."),
    code("target = 1"),
    text("### Exercise 1: target\n\nA target."),
)


def test_terms_are_read_from_the_page():
    assert glossary.terms(PAGE) == KNOWN


def test_links_go_where_a_term_is_first_used_and_nowhere_else():
    linked = glossary.link(copy.deepcopy(BOOK), KNOWN)
    assert "".join(linked["cells"][1]["source"]) == (
        "The [target\nheuristic](glossary.ipynb#target-heuristic) sets [Targets](glossary.ipynb#target). "
        "Targets need [layer losses](glossary.ipynb#layer-loss)."
    )
    assert ["".join(linked["cells"][n]["source"]) for n in (2, 3)] == [BOOK["cells"][n]["source"] for n in (2, 3)]
    assert glossary.missing(linked, KNOWN) == []
    assert glossary.link(copy.deepcopy(linked), KNOWN) == linked
    assert glossary.without_links("".join(linked["cells"][1]["source"])) == BOOK["cells"][1]["source"]


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        (
            "[Targets](glossary.ipynb#target). Targets",
            "Targets. [Targets](glossary.ipynb#target)",
            "'Targets' is used first",
        ),
        ("[Targets](glossary.ipynb#target)", "Targets", "'Targets' is used first and is no link"),
        ("(glossary.ipynb#target).", "(glossary.ipynb#layer-loss).", "'Targets' is used first and is no link"),
        ("The [", "A layer loss. The [", "'layer loss' is used first and is no link"),
    ],
)
def test_what_is_not_linked_is_found(old, new, complaint):
    linked = glossary.link(copy.deepcopy(BOOK), KNOWN)
    source = "".join(linked["cells"][1]["source"])
    assert old in source
    linked["cells"][1]["source"] = source.replace(old, new)
    assert any(complaint in each for each in glossary.missing(linked, KNOWN)), glossary.missing(linked, KNOWN)


NOTEBOOKS = sorted(glossary.FOLDER.glob("0*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_links_the_terms_that_it_uses(path):
    known = glossary.terms(hygiene.read(glossary.FOLDER / glossary.PAGE))
    assert len(known) >= 30
    assert glossary.missing(hygiene.read(path), known) == []
