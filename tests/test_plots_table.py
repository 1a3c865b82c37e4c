"""Figures of notebook 08 draw the numbers that they are given."""

import json

import numpy as np
import pytest
from test_table import write_run

from ftpkit import plots, runs
from ftpkit.explore import ResultsExplorer, ResultsState
from ftpkit.plots import table as pictures
from ftpkit.presets import COLUMNS, PRESETS
from ftpkit.runs import table


@pytest.fixture
def made_up(tmp_path):
    """Three seeds of two presets, with accuracies that can be told apart."""
    for base, name in ((0.5, "bundled-resnet8-sign-sste"), (0.6, "bundled-resnet8-relu")):
        preset = PRESETS[name]
        for seed in range(3):
            folder = tmp_path / f"{name}-{seed}"
            folder.mkdir()
            config = {"preset": name, "seed": seed, "network": preset.network, "activation": preset.activation}
            config |= {"data": {"name": preset.data}, "epochs": 2, "milestones": []}
            (folder / "config.json").write_text(json.dumps(config))
            values = [base + 0.01 * seed, base + 0.1 + 0.01 * seed]
            lines = [{"epoch": e, "test_accuracy": v, "train_loss": 1 / e} for e, v in enumerate(values, start=1)]
            (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return runs.find(tmp_path)


def test_single_runs_are_drawn_from_zero_with_the_winners_mark():
    fig = pictures.single_runs({"up": 0.7, "down": -1.3}, "a title")
    (ax,) = fig.axes
    ends = {line.get_xdata()[1]: line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] == 0}
    assert sorted(end for end in ends if end) == [-1.3, 0.7]
    assert ends[0.7].get_color() == plots.style("FTP-SH")["color"]
    assert ends[-1.3].get_color() == plots.style("SSTE")["color"]
    assert [text.get_text() for text in ax.texts] == ["-1.3", "+0.7"]


def test_cells_show_every_seed_the_mean_and_one_standard_error(made_up):
    found = [r for r in table.records(made_up, ["last"]) if r["n"]]
    fig = pictures.cells(found, {"bundled-resnet8": "ResNet-8"})
    (ax,) = fig.axes
    headings = [tick.get_text() for tick in ax.get_yticklabels()]
    assert headings[::-1] == list(COLUMNS.values())
    for heading, mean in (("sign, SSTE", 61.0), ("ReLU", 71.0)):
        row = headings.index(heading)
        ticks = next(line for line in ax.lines if line.get_marker() == "|" and line.get_ydata()[0] == row)
        np.testing.assert_allclose(ticks.get_xdata(), [mean - 1, mean, mean + 1])
        bar = next(c for c in ax.containers if c.lines[0].get_ydata()[0] == row)
        assert bar.lines[0].get_xdata()[0] == pytest.approx(mean)
    np.testing.assert_allclose(bar.lines[2][0].get_segments()[0][:, 0], [mean - 3**-0.5, mean + 3**-0.5])
    assert ax.get_ylim() == (-0.6, len(COLUMNS) - 0.4)  # no row is cut off at the frame


def test_curves_are_means_with_a_band_from_the_lowest_to_the_highest_seed(made_up):
    groups = {"sign-sste": [run for run in made_up if "sign" in run.config["preset"]]}
    fig = pictures.by_epoch(groups, {"train_loss": "loss", "test_accuracy": "accuracy in %"}, steps=5)
    loss, accuracy = fig.axes
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [1, 0.5])
    np.testing.assert_allclose(accuracy.lines[0].get_ydata(), [51, 61])
    band = accuracy.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(50) and band.max() == pytest.approx(62)
    assert accuracy.lines[0].get_label() == "SSTE" and [ax.get_title() for ax in fig.axes] == ["loss", "accuracy in %"]


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_has_a_style_of_its_own(column):
    look = plots.style(pictures.label(column, 3))
    others = [plots.style(pictures.label(other, 3)) for other in COLUMNS if other != column]
    assert look["color"] != "#444444"
    assert all((look["color"], look.get("markerfacecolor")) != (o["color"], o.get("markerfacecolor")) for o in others)


def test_a_row_as_it_is_chosen_draws_the_runs_and_the_papers_figures(tmp_path):
    for rule, figures in (("ftpsh", (0.5, 0.7, 0.9)), ("sste", (0.4, 0.5))):
        for seed, figure in enumerate(figures):
            more = {"train_loss": 2.0 + seed}
            write_run(tmp_path / f"{rule}{seed}", f"convnet8-sign-{rule}", seed, (0.1, figure), more=more)
    state = ResultsState(folders=tmp_path, row="convnet8", units="signs", protocol="last", metric="train_loss")
    left, right = ResultsExplorer.draw(ResultsExplorer.compute_from(state)).axes
    curves = {line.get_label(): line.get_ydata().tolist() for line in left.lines}
    assert curves == {"sign, FTP-SH": [3.0, 3.0], "sign, SSTE": [2.5, 2.5]}
    band = left.collections[0].get_paths()[0].vertices[:, 1]  # of FTP-SH, which stands below: mean 3, s.e. 1 / sqrt(3)
    assert (band.min(), band.max()) == pytest.approx((3 - 3**-0.5, 3 + 3**-0.5))
    ticks = {
        line.get_ydata()[0]: line.get_xdata()
        for line in right.lines
        if line.get_marker() == "|" and len(line.get_xdata()) > 1
    }
    assert [text.get_text() for text in right.get_yticklabels()] == ["sign, FTP-SH", "sign, SSTE"]
    assert {row: list(map(round, x)) for row, x in ticks.items() if row in (0, 1)} == {0: [50, 70, 90], 1: [40, 50]}
    stars = [(line.get_ydata()[0], line.get_xdata()[0]) for line in right.lines if line.get_marker() == "*"]
    assert stars == [(0, 84.9), (1, 84.6)]
