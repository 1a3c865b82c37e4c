"""The results explorer without a browser: its figures against the table's, controls over their grids, damaged runs."""

import html
import re
from pathlib import Path

import drive
import numpy as np
import pytest
import traitlets
from hypothesis import given, settings
from matplotlib.figure import Figure
from test_table import write_run

from ftpkit import paired, runs
from ftpkit.explore import ResultsExplorer, ResultsState
from ftpkit.explore.results import METRICS, UNITS, settings_of
from ftpkit.presets import COLUMNS, PRESETS, ROWS
from ftpkit.runs import table
from ftpkit.runs.protocols import PROTOCOLS
from ftpkit.runs.row import difference

OURS = {"folders": runs.COMMITTED}
BUNDLED = {"data": {"name": "fashion-mnist-12k"}}


class Blank(ResultsExplorer):
    """With an empty figure, where many changes are tried; figures are drawn over the whole grid, and in their tests."""

    draw = staticmethod(lambda result: Figure(figsize=(0.1, 0.1)))


def compute(**state):
    return ResultsExplorer.compute_from(ResultsState(**OURS | state))


def numbers(**state):
    return ResultsExplorer.numbers(compute(**state))


@pytest.mark.parametrize("row", ROWS)
def test_every_figure_is_the_tables(row):
    found = runs.find(runs.COMMITTED)
    for record in (r for r in table.records(found) if r["row"] == row and r["column"]):
        said = numbers(row=row, protocol=record["protocol"])[COLUMNS[record["column"]]]
        assert (f"the paper {record['paper']} % (one run)" in said) == record["in_paper"]
        if record["n"]:
            assert f"{record['mean']:.1f} ± {record['error']:.1f} % (n = {record['n']} seeds)" in said
        elif record["protocol"] != "val":
            where = "under this setting" if row == "bundled-resnet8-real" else "here"
            assert said.endswith(f"no finished run {where}: {PRESETS[record['preset']].command}")


@pytest.mark.parametrize("row", [row for row in ROWS if row.startswith("bundled")])
@pytest.mark.parametrize("metric", METRICS)
def test_curves_are_those_of_the_runs(row, metric):
    for cell in compute(row=row, metric=metric).cells:
        group = [run for run in runs.find(runs.COMMITTED) if run.config["preset"] == f"{row}-{cell.column}"]
        assert list(cell.runs) == sorted(group, key=lambda run: run.seed)
        if group:
            values = [[record[metric] for record in run.metrics] for run in cell.runs]
            np.testing.assert_allclose(cell.values, np.array(values) * (100 if metric.endswith("accuracy") else 1))
            assert cell.epochs.tolist() == [1, 2, 3, 4, 5, 6]
        else:
            assert cell.values is None and cell.accuracies == ()


@pytest.mark.parametrize("protocol", ["best", "last", "selected"])
def test_differences_are_paired_by_seed(protocol):
    for row in ("bundled-convnet8", "bundled-resnet8", "bundled-resnet8-real"):
        said = numbers(row=row, protocol=protocol)
        for kind, units in (("signs", "sign"), ("staircases", "staircase")):
            a, b = (
                [
                    PROTOCOLS[protocol](runs.read(runs.COMMITTED / f"{row}-{units}-{rule}-seed{n}").metrics)
                    for n in range(10)
                ]
                for rule in ("ftpsh", "sste")
            )
            gap = paired.by_seed(a, b)
            figures = [float(x) for x in re.findall(r"[-+]\d+\.\d+", said[f"FTP-SH minus SSTE, {kind}"])]
            assert figures == pytest.approx([gap.mean, gap.low, gap.high], abs=0.00501)
            assert said[f"FTP-SH minus SSTE, {kind}"].endswith("(10 pairs of runs)")
            assert gap.shown != ("no difference shown" in said[f"FTP-SH minus SSTE, {kind}"])
    said = numbers(row="resnet18", units="staircases")
    assert said["FTP-SH minus SSTE, staircases"].endswith("the paper +3.7, one run each, so no interval")


def test_the_questions_have_the_answers_that_surprise():
    selected, levels, largest = (compute(**each.state) for each in ResultsExplorer.TRIES)
    last = compute(**ResultsExplorer.TRIES[0].state | {"protocol": "last"})
    assert last.pairs["signs"][2].low > 0 and not selected.pairs["signs"][2].shown
    ends = {cell.column: cell.values[:, -1].mean() for cell in levels.cells}
    tests = {cell.column: np.mean(cell.accuracies) for cell in levels.cells}
    for rule in ("sste", "ftpsh"):
        assert ends[f"sign-{rule}"] < ends[f"staircase-{rule}"]
        assert tests[f"sign-{rule}"] < tests[f"staircase-{rule}"]
    assert [cell.paper for cell in largest.cells] == [49.1, 47.8] and not largest.runs
    assert all({"row", "units", "metric", "protocol"} == set(each.state) for each in ResultsExplorer.TRIES)


# --- runs of one's own ----------------------------------------------------------------------------------------------


def test_runs_of_ones_own_by_hand(tmp_path):
    for rule, figures in (("ftpsh", (0.5, 0.7, 0.9)), ("sste", (0.4, 0.5))):
        for seed, figure in enumerate(figures):
            write_run(
                tmp_path / f"{rule}{seed}", f"convnet8-sign-{rule}", seed, (0.1, figure), more={"train_loss": seed}
            )
    said = numbers(folders=tmp_path, row="convnet8", metric="train_loss", protocol="best")
    assert (
        said["sign, FTP-SH"]
        == "the paper 84.9 % (one run); 70.0 ± 11.5 % (n = 3 seeds); training loss after epoch 2: 1.000 ± 0.577"
    )
    gap = paired.by_seed([0.5, 0.7], [0.4, 0.5])
    assert said["FTP-SH minus SSTE, signs"] == f"{gap} (2 pairs of runs); the paper +0.3, one run each, so no interval"
    assert said["FTP-SH minus SSTE, staircases"].startswith("not known, no finished runs of both here; the paper +1.4")
    assert said["Runs"] == "5; CIFAR-10, 2 of 300 epochs, one lr throughout; trained on NVIDIA H100"
    assert (
        "these runs do not say their test loss"
        in numbers(folders=tmp_path, row="convnet8", metric="test_loss")["sign, SSTE"]
    )


def test_one_seed_has_no_error_and_no_difference(tmp_path):
    for rule in ("ftpsh", "sste"):
        write_run(tmp_path / rule, f"convnet8-sign-{rule}", accuracies=(0.5, 0.6))
    demo = ResultsExplorer(folders=tmp_path, row="convnet8", protocol="last")
    drive.check(demo)
    said = demo.numbers(demo.compute())
    assert "; 60.0 % (n = 1 seed); test accuracy in % after epoch 2: 60.0" in said["sign, SSTE"]
    assert "not known, it needs two seeds that both have (1 so far)" in said["FTP-SH minus SSTE, signs"]


def test_seeds_that_only_one_has_are_not_paired(tmp_path):
    for rule, seeds in (("ftpsh", (0, 1, 5)), ("sste", (5, 2, 1))):
        for seed in seeds:
            write_run(
                tmp_path / f"{rule}{seed}",
                f"convnet8-sign-{rule}",
                seed,
                accuracies=(0.5 + seed / 100 + 0.1 * (rule == "ftpsh"),),
            )
    ours, theirs, gap = compute(folders=tmp_path, row="convnet8", protocol="last").pairs["signs"]
    assert (ours.seeds, theirs.seeds) == ((0, 1, 5), (1, 2, 5))
    assert gap.mean == pytest.approx(10) and difference(theirs, ours).mean == pytest.approx(-10)


def test_settings_are_never_mixed(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"short{seed}", seed=seed, accuracies=(0.5, 0.6))
        write_run(tmp_path / f"long{seed}", seed=seed, accuracies=(0.5, 0.6, 0.8))
    demo = Blank(folders=[tmp_path], row="convnet8", protocol="last")
    assert not demo.setting.disabled and len(demo.setting.options) == 2
    assert "80.0 ± 0.0 % (n = 2 seeds)" in demo.numbers(demo.compute())["sign, SSTE"]
    demo.setting.value = 1
    assert "60.0 ± 0.0 % (n = 2 seeds)" in demo.numbers(demo.compute())[
        "sign, SSTE"
    ] and "2 of 300 epochs" in drive.alt(demo)
    before = repr(demo.state)
    demo.row.value = "convnet4"
    assert demo.state.setting == 0 and demo.setting.disabled and demo.setting.options == (("no finished run", 0),)
    drive.check(demo)
    demo.reset.click()
    assert demo.state.setting == 0 and len(demo.setting.options) == 2
    demo.state.set({"row": "alexnet"})
    demo.state.set({"setting": 1, "row": "convnet8"})
    assert repr(demo.state) == before and demo.setting.value == 1
    drive.check(demo)
    assert ResultsState(folders=tmp_path, row="convnet8", setting=9).setting == 1
    drive.grid(demo)


def test_a_state_can_be_looked_at_before_its_folders_are(monkeypatch):
    """In which order traitlets looks at the values of a new state is a matter of chance."""
    asked = []
    monkeypatch.setattr("ftpkit.explore.results.survey", lambda *folders: asked.append(folders) or ([], []))
    state = ResultsState(folders="mine", row="convnet8", setting=9)
    for folders in ("mine", Path("mine"), ["mine"]):
        state._trait_values["folders"] = folders
        settings_of(state)
    assert set(asked) == {("mine",)}


def test_a_rule_of_ones_own_stands_beside_the_presets(tmp_path):
    rule = {"activation": "sign:mine.py:Mine", "rule": {"name": "Mine", "sha256": "ab", "text": ""}}
    for seed in (0, 1):
        write_run(tmp_path / f"a{seed}", seed=seed)
        write_run(tmp_path / f"b{seed}", seed=seed, **rule)
    demo = ResultsExplorer(folders=tmp_path, row="convnet8", protocol="last")
    assert [cell.heading for cell in demo.compute().cells if cell.runs] == ["sign, SSTE", "sign:mine.py:Mine"]
    said = demo.numbers(demo.compute())
    assert said["Runs"].startswith("4; CIFAR-10") and said["sign:mine.py:Mine"].startswith("50.0 ± 0.0 % (n = 2 seeds)")
    drive.check(demo)


def test_damaged_and_unfinished_runs_are_said_in_words(tmp_path):
    write_run(tmp_path / "good", accuracies=(0.5, 0.6))
    write_run(tmp_path / "begun", seed=1, accuracies=(0.5,), epochs=5)
    damaged = write_run(tmp_path / "damaged", seed=2, accuracies=(0.5, 0.6))
    (damaged / "metrics.jsonl").write_text('{"epoch": 1}\nnonsense\n')
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("")
    demo = ResultsExplorer(folders=[tmp_path], row="convnet8", protocol="last")
    drive.check(demo)
    said = demo.numbers(demo.compute())
    assert said["Runs"].startswith("1; CIFAR-10")
    notes = said["In no figure"]
    assert f"{tmp_path / 'begun'}: not finished, 1 of 5 epochs" in notes
    assert f"{damaged / 'metrics.jsonl'}, line 1: test_accuracy is None" in notes
    assert f"{tmp_path / 'empty' / 'config.json'}: this is no JSON" in notes
    for seed in range(3, 9):
        (write_run(tmp_path / f"no{seed}", seed=seed) / "config.json").write_text("{}")
    assert numbers(folders=tmp_path, row="convnet8")["In no figure"].endswith("; and 5 more")


def test_no_runs_at_all(tmp_path, monkeypatch):
    assert f"there is no run in {tmp_path}" in numbers(folders=tmp_path)["In no figure"]
    assert "there is no folder nowhere" in numbers(folders="nowhere")["In no figure"]
    monkeypatch.setattr("ftpkit.runs.reading.COMMITTED", tmp_path)
    monkeypatch.chdir(tmp_path)
    demo = ResultsExplorer(row="alexnet")
    drive.check(demo)
    assert drive.alt(demo).startswith(
        "AlexNet, ImageNet: no finished run here. The paper, one run each: sign, SSTE 46.7"
    )
    assert "there is no run in the usual folders" in html.unescape(demo.text.value)
    write_run(tmp_path / "runs" / "mine", "alexnet-relu", accuracies=(0.25,))
    demo.state.protocol = "last"
    assert "ReLU 25.0" in drive.alt(demo), "read anew"


# --- state and widgets ----------------------------------------------------------------------------------------------


def test_refused_states():
    for wrong in (dict(row="vgg"), dict(units="steps"), dict(metric="epoch"), dict(protocol="first"), dict(setting=-1)):
        with pytest.raises(traitlets.TraitError):
            ResultsState(**wrong)
    for wrong in (7, [1], None):
        with pytest.raises(traitlets.TraitError, match="folders is a path or several"):
            ResultsState(folders=wrong)


def test_every_control_over_its_whole_grid():
    assert drive.grid(ResultsExplorer(**OURS)) == len(ROWS) + len(UNITS) + len(METRICS) + len(PROTOCOLS) + 3


def test_every_place_of_a_control_has_another_alt_text_and_picture():
    demo = ResultsExplorer(**OURS, row="bundled-resnet8-real")
    for control, places in ((demo.units, UNITS), (demo.metric, METRICS), (demo.protocol, PROTOCOLS)):
        seen = set()
        for place in places:
            control.value = place
            seen |= {drive.alt(demo), demo.picture.value}
        assert len(seen) == 2 * len(places), control.description
        demo.reset.click()


@settings(max_examples=1)
@given(steps=drive.walks(Blank(**OURS)))
def test_random_walks(steps):
    assert drive.walk(Blank(**OURS), steps) == 30


@pytest.mark.parametrize(("demo", "changes"), [(Blank, 200), (ResultsExplorer, 10)])
def test_nothing_is_left_behind(demo, changes):
    assert drive.leaks(demo(**OURS), changes) == {"figures": 0, "threads": 0, "observers": 0}


def test_it_answers_quickly():
    drive.quick(ResultsExplorer(**OURS))


def test_a_question_is_asked_before_its_answer_is_shown():
    demo = ResultsExplorer(**OURS)
    before = drive.alt(demo)
    demo.tries[0].click()
    assert "is it still shown?" in demo.question.value and drive.alt(demo) == before
    demo.look.click()
    assert "FTP-SH minus SSTE, signs: +0.26 [-0.22, +0.73], no difference shown" in drive.alt(demo)
    demo.reset.click()
    assert drive.alt(demo) == before and demo.question.value == ""


def test_an_error_is_said_in_words(monkeypatch):
    demo = ResultsExplorer(**OURS)
    monkeypatch.setattr("ftpkit.explore.results.cells", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        demo.state.protocol = "best"
    assert "ZeroDivisionError: division by zero" in demo.status.value


def test_a_strip_of_states():
    strip = ResultsExplorer.strip(OURS, OURS | {"row": "resnet18", "units": "signs"})._repr_mimebundle_()
    assert strip["text/html"].count("<img alt=") == 2 and "no difference shown" in strip["text/plain"]


def test_plain_python():
    demo = ResultsExplorer(**OURS, metric="train_loss")
    assert demo.compute().metric == "train_loss" and len(demo.figure().axes) == 2
