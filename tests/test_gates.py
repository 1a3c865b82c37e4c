"""Every gate of the notebooks shown to close: what it must refuse is planted, and it is refused."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import hygiene
import pytest
from planted import ALT, PIXELS, code, figure, notebook, printed, result, text

ROOT = Path(__file__).parents[1]
REASON = "Training prints numbers that one rounding bit can change."

CLEAN = notebook(
    text("# One perceptron\n\nIt learns.\n\n```python\n# no heading\n```\n\n## By hand"),
    code("1 + 1", result(text_plain="2")),
    code("show(fig, alt)", figure()),
    text("### Exercise\n\n![A staircase with three steps](data:image/png;base64,AAAA)"),
    code("print(accuracy)", printed("0.87\n"), tags=["nbval-ignore-output"], ftpkit_reason=REASON),
)


def test_a_clean_notebook_passes():
    assert hygiene.check(CLEAN) == []
    assert hygiene.excused(CLEAN) == [4]


def cell(i, **changes):
    return lambda nb: nb["cells"][i].update(changes)


def add(*cells):
    def change(nb):
        nb["cells"] = notebook(*nb["cells"], *cells)["cells"]

    return change


def output(*outputs):
    return cell(1, outputs=list(outputs))


ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}
EXCUSED = code("train()", tags=["nbval-ignore-output"], ftpkit_reason=REASON)

PLANTED = {
    "old format": (lambda nb: nb.update(nbformat=3), "nbformat is 3"),
    "foreign kernel": (lambda nb: nb["metadata"]["kernelspec"].update(name="my-env"), "the kernel is 'my-env'"),
    "stripped": (cell(2, execution_count=None), "execution counts are [1, None, 3]"),
    "out of order": (cell(2, execution_count=7), "execution counts are [1, 7, 3]"),
    "error": (output(ERROR), "put out an error (ValueError)"),
    "home in source": (cell(1, source="open('/home/me/x.csv')"), "'/home/me'"),
    "home in output": (output(printed("saved /Users/me/x.csv")), "stdout names the path '/Users/me'"),
    "warning's file": (output(printed("/opt/lib/torch/nn.py:3: UserWarning")), "'/opt/lib/torch/nn.py'"),
    "Windows path": (cell(0, source="# T\n\nC:\\Users\\me"), "C:\\\\Users\\\\"),
    "temporary file": (output(result(text_plain="'/tmp/x'")), "'/tmp/x'"),
    "widget state": (lambda nb: nb["metadata"].update(widgets={}), "keeps widget state"),
    "timing": (cell(1, metadata={"execution": {}}), "keeps its timing"),
    "bare PNG": (output(result(image_png=PIXELS, text_plain=f"Figure: {ALT}")), "bare image/png has no alt text"),
    "SVG": (output({"output_type": "display_data", "data": {"image/svg+xml": "<svg/>"}}), "bare image/svg+xml"),
    "linked picture": (output(result(text_html=f'<img alt="{ALT}" src="x.png">')), "not an embedded PNG"),
    "no alt": (output(result(text_html='<img src="data:image/png;base64,AAAA">')), "the alt text None"),
    "curt alt": (output(figure(alt="A plot.")), "the alt text 'A plot.' does not say"),
    "no alt in text": (cell(3, source="### Exercise\n\n![](x.png)"), "a picture in the text has no alt text"),
    "picture as text": (output(result(text_plain="<img " + "iVBORw0K" * 30)), "text/plain holds base64"),
    "no title": (cell(0, source="## By hand"), "starts with its one '# title'"),
    "two titles": (cell(3, source="# Again"), "starts with its one '# title'"),
    "level skipped": (cell(0, source="# T\n\n### Deep"), "level 3 follows one of level 1"),
    "semicolon": (cell(1, source="plot(x);  # quiet"), "ends in ';'"),
    "empty cell": (cell(1, source=" "), "is empty"),
    "skipped": (cell(1, metadata={"tags": ["nbval-skip"]}), "tag nbval-skip is refused"),
    "may raise": (cell(1, metadata={"tags": ["raises-exception"]}), "tag raises-exception is refused"),
    "hidden excuse": (cell(1, source="# NBVAL_IGNORE_OUTPUT\n1"), "NBVAL_IGNORE_OUTPUT hides an excuse"),
    "no reason": (cell(4, metadata={"tags": ["nbval-ignore-output"]}), "excused without a sentence"),
    "too many excuses": (add(EXCUSED, EXCUSED), "3 of 5 code cells are excused"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found(name):
    nb = copy.deepcopy(CLEAN)
    change, complaint = PLANTED[name]
    change(nb)
    complaints = hygiene.check(nb)
    assert any(complaint in found for found in complaints), complaints


def test_every_gate_has_been_seen_to_close():
    closed = set()
    for change, _ in PLANTED.values():
        nb = copy.deepcopy(CLEAN)
        change(nb)
        closed |= {gate for gate in hygiene.GATES if gate(nb)}
    assert closed == set(hygiene.GATES)


def test_a_notebook_that_a_page_does_not_name_is_found():
    assert hygiene.listed("01_a.ipynb", "see 01_a.ipynb", "[one](01_a.ipynb)")
    assert not hygiene.listed("01_a.ipynb", "see 01_a.ipynb", "nothing")


def test_tidy_takes_out_what_differs_between_runs():
    nb = copy.deepcopy(CLEAN)
    nb["metadata"] |= {"widgets": {}, "language_info": {"name": "python", "version": "3.11.7"}}
    nb["cells"][1]["metadata"] = {"execution": {"iopub.status.busy": "2026"}, "tags": ["keep"]}
    tidy = hygiene.tidy(nb)
    assert "widgets" not in tidy["metadata"] and tidy["metadata"]["language_info"] == {"name": "python"}
    assert tidy["cells"][1]["metadata"] == {"tags": ["keep"]}


# nbval, with this project's own options, on notebooks that are wrong in one place

RAISING_WIDGET = """\
import ipywidgets
button = ipywidgets.Button()
button.on_click(lambda b: 1 / 0)
button.click()"""

FIGURE = f"""\
class Figure:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {figure(pixels="QUJD")["data"]!r}
Figure()"""

NBVAL = {
    "right": ([code("1 + 1", result(text_plain="2"))], True),
    "wrong_number": ([code("1 + 1", result(text_plain="3"))], False),
    "lost_output": ([code("print(1)")], False),
    "excused": ([code("print(1)", printed("2\n"), tags=["nbval-ignore-output"])], True),
    "raises": ([code("1 / 0")], False),
    "raises_though_excused": ([code("1 / 0", tags=["nbval-ignore-output"])], False),
    "widget_raises": ([code(RAISING_WIDGET)], False),
    "other_pixels": ([code(FIGURE, figure(pixels="WFla"))], True),
    "other_alt": ([code(FIGURE, figure(alt="An alt text that the code does not give any more."))], False),
    "dead_kernel": ([code("import os; os._exit(1)"), code("1 + 1", result(text_plain="2"))], False),
}


@pytest.fixture(scope="module")
def nbval(tmp_path_factory) -> dict[str, bool]:
    """Which of the notebooks pass: one pytest for all, a dead kernel given five seconds."""
    folder = tmp_path_factory.mktemp("planted notebooks")
    for name, (cells, _) in NBVAL.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook(*cells)))
    options = ["-c", "pyproject.toml", "-p", "no:xdist", "--nbval", "--nbval-cell-timeout=5"]
    command = [sys.executable, "-m", "pytest", *options, f"--junit-xml={folder / 'report.xml'}", str(folder)]
    finished = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=600)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    passed = dict.fromkeys(NBVAL, True)
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        name = case.get("classname").removesuffix(".ipynb")
        passed[name] &= case.find("failure") is None and case.find("error") is None
    return passed


@pytest.mark.parametrize("name", NBVAL)
def test_nbval(nbval, name):
    assert nbval[name] == NBVAL[name][1]
