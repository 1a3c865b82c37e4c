"""The check of the prose, shown to speak: planted lies of every kind, and what is true passes."""

import prose
import pytest
from planted import code, notebook, printed, result, text

TRUE = "SSTE > STE: +2.36 [+1.98, +2.74], 10 seeds\nHinge ~ STE: +0.23 [-0.02, +0.47], no difference shown, 10 seeds\n"


def document(said, output=TRUE, more=(), name="planted"):
    cells = [text("# Title"), code("show()", printed(output)), *more, text(said)]
    return prose.of_notebook(name, notebook(*cells))


def complaints(said, *bound, everywhere=(), **kind):
    return prose.check(document(said, **kind), list(bound), list(everywhere))


@pytest.mark.parametrize(
    "said",
    [
        "SSTE leads by 2.4 points, between 1.98 and 2.7.",
        "SSTE beats STE by 2.36 points [+1.98, +2.74].",
        "STE loses to SSTE. STE is clearly behind SSTE, and SSTE is ahead of STE.",
        "Ten seeds, 3 layers, `0.123` and [a link](a0.5.ipynb), arXiv:1710.11573.",
        "```\n0.123 and SSTE beats ReLU\n```\nThe 95 % interval.",
        "Two of three lose their way.",
    ],
)
def test_what_is_true_passes(said):
    everywhere = [{"text": "95 % interval", "why": "a definition"}, {"text": "SSTE leads by", "why": "see above"}]
    assert complaints(said, everywhere=everywhere) == []


LIES = {
    "a number that nothing printed": ("It is 0.7 points.", "does not print '0.7'"),
    "a percentage that nothing printed": ("It is 17 % of them.", "does not print '17 %'"),
    "a number that was rounded wrongly": ("SSTE beats STE by 2.3 points.", "does not print '2.3'"),
    "a number with the other sign": ("The interval begins at +0.02.", "does not print '+0.02'"),
    "A beats B, reversed": ("STE beats SSTE.", "does not assert STE > SSTE"),
    "A beats B, reversed by the verb": ("SSTE loses to STE.", "does not assert STE > SSTE"),
    "A beats B where no difference is shown": ("Hinge leads STE.", "does not assert Hinge > STE"),
    "one of two is not asserted": ("SSTE and FTP-SH beat STE.", "does not assert FTP-SH > STE"),
    "a claim that cannot be read off": ("In the race SSTE wins.", "who is ahead of whom?"),
    "a claim with a pronoun": ("And STE? SSTE beats it.", "who is ahead of whom?"),
}


@pytest.mark.parametrize("said, complaint", LIES.values(), ids=LIES)
def test_a_lie_is_found(said, complaint):
    [found] = complaints(said)
    assert complaint in found and found.startswith("planted cell-2")


def test_a_lie_that_was_true_of_another_cell_is_found():
    other = [code("1.0", printed("0.5\n"))]
    assert "does not print '2.36'" in complaints("By 2.36 points.", more=other)[0]
    assert complaints("By 2.36 points.", {"text": "By 2.36 points", "cell": "cell-1"}, more=other) == []
    silent = [code("pass"), code("x = 1", result(text_plain=""))]
    assert complaints("By 2.36 points.", more=silent) == [], "a cell that prints nothing is looked over"


def test_what_nbval_does_not_compare_binds_nothing():
    excused = [code("1.0", printed("0.7\n"), tags=["nbval-ignore-output"])]
    assert "does not print '0.7'" in complaints("By 0.7 points.", more=excused)[0]
    bound = {"text": "By 0.7 points", "cell": "cell-2"}
    assert (
        "bound to cell cell-2, which is not there or is not compared"
        in complaints("By 0.7 points.", bound, more=excused)[0]
    )


BOUND = "In the race SSTE wins by 2.4 points."
RIGHT = {"text": BOUND, "says": ["SSTE > STE"]}


@pytest.mark.parametrize(
    "said, bound, complaint",
    [
        (BOUND, RIGHT, None),
        (BOUND, RIGHT | {"cell": "cell-1"}, None),
        (BOUND, {"text": BOUND, "why": "a story that somebody tells"}, None),
        (BOUND, RIGHT | {"is": "gap('mlp', 'SSTE', 'STE').mean"}, None),
        (BOUND, RIGHT | {"is": "gap('mlp', 'SSTE', 'STE').mean", "experiment": "mlp"}, None),
        (BOUND, RIGHT | {"is": "gap('mlp', 'STE', 'SSTE').low"}, "gives -2.7"),
        (BOUND, RIGHT | {"is": "gap('mlp', 'SSTE', 'STE')"}, "gives 2.359, 1.9778"),
        (BOUND, RIGHT | {"says": ["STE > SSTE"]}, "the cell above does not assert STE > SSTE"),
        (BOUND, RIGHT | {"says": ["STE > SSTE"], "experiment": "mlp"}, "STE > SSTE does not hold in 'mlp'"),
        (BOUND, RIGHT | {"says": ["SSTE ~ STE"], "experiment": "mlp"}, "SSTE ~ STE does not hold in 'mlp'"),
        (BOUND, RIGHT | {"cell": "cell-7"}, "bound to cell cell-7, which is not there"),
        (BOUND.replace("2.4", "2.5"), RIGHT, "stands 0 times in planted, not once"),
        (BOUND.replace("SSTE", "STE"), RIGHT, "stands 0 times in planted, not once"),
        (BOUND + " " + BOUND, RIGHT, "stands 2 times in planted, not once"),
        (BOUND, {"text": BOUND}, "bound to nothing"),
        (BOUND, {"text": BOUND, "why": "so"}, "say why in a few words"),
        (BOUND, {"text": BOUND, "because": "why not"}, "an entry has text and some of"),
        ("STE beats SSTE here.", {"text": "STE beats SSTE", "says": ["SSTE > STE"]}, "says the reverse of SSTE > STE"),
        ("By 0.7.", {"text": "By 0.7", "cell": "cell-1"}, "cell-1 does not print '0.7'"),
    ],
)
def test_entries(said, bound, complaint):
    found = complaints(said, bound)
    assert (found == []) if complaint is None else any(complaint in each for each in found), found


def test_a_table_is_bound_by_the_test_that_compares_it():
    page = "Text 0.5.\n\n| rule | accuracy |\n|---|---|\n| A | 83.5 |\n| B | 12.3 |\n\nMore 0.25 text.\n"
    bound = {"text": "| rule | accuracy |", "test": "test_readme.py::test_race_tables_are_the_results"}
    blocks = (prose.Block("", page),)
    found = prose.check(prose.Document("page", blocks, {}), [bound], [])
    assert [each.split("'")[-2] for each in found] == ["0.5", "0.25"]
    wrong = bound | {"test": "test_readme.py::test_of_nothing"}
    assert "there is no test" in prose.check(prose.Document("page", blocks, {}), [wrong], [])[0]


def test_shares_may_be_said_in_per_cent_and_numbers_without_their_sign():
    assert complaints("That is 23.4 %, or 0.2; the change is 1.5.", output="0.2341 -1.52\n") == []
    assert complaints("1,234.5 images", output="1,234.5") == complaints("1,234.5 images", output="1234.5") == []


@pytest.mark.parametrize("document", prose.documents(), ids=lambda document: document.name)
def test_every_number_and_claim_is_bound(document):
    assert prose.check(document) == []


def test_every_file_of_bindings_has_its_document():
    names = {document.name for document in prose.documents()}
    assert {path.stem for path in prose.BINDINGS.glob("*.toml")} <= {"everywhere", *names}
