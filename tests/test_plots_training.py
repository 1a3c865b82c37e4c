"""The figures of notebook 04 draw what they are given: every line and interval is read back and compared."""

import base64

import numpy as np
import pytest
import torch

from ftpkit import race
from ftpkit.plots import style
from ftpkit.plots import training as pictures


def made_up_race(seeds=4, images=400, **chances):
    """A race result without training: each contestant classifies each image correctly with its chance."""
    rng = np.random.default_rng(0)
    settings = {"contestants": list(chances), "lrs": [0.1], "seeds": seeds}
    runs = []
    for contestant, chance in chances.items():
        for seed in range(seeds):
            bits = np.packbits(rng.random(images) < chance)
            curve = [2 / (epoch + chance) + seed / 100 for epoch in (1, 2, 3)]
            record = {"contestant": contestant, "seed": seed, "lr": 0.1, "images": images, "train_loss": curve}
            runs.append({**record, "correct": base64.b64encode(bits.tobytes()).decode()})
    return {"settings": settings, "lr_search": [], "runs": runs}


@pytest.fixture(scope="module")
def result():
    return made_up_race(**{"sign:STE": 0.6, "relu": 0.9, "sign:SSTE": 0.61})


def test_minibatch_has_a_panel_for_each_quantity_with_units_downwards():
    panels = {"z": torch.arange(6.0).reshape(2, 3) - 1, "h": torch.ones(2, 3), "nothing": torch.zeros(2, 3)}
    fig = pictures.minibatch(panels, columns=2)
    drawn = {ax.get_title(): ax.images[0] for ax in fig.axes if ax.images}
    assert list(drawn) == list(panels)
    for title, image in drawn.items():
        np.testing.assert_array_equal(image.get_array(), panels[title].T)
        low, high = image.get_clim()
        assert low == -high and high >= panels[title].abs().max()
    assert sum(not ax.get_visible() for ax in fig.axes) == 1


def test_race_figure_shows_every_seed_and_the_intervals_of_race_difference(result):
    left, right = pictures.race_intervals(result, reference="sign:STE").axes
    assert pictures.ranked(result)[0] == "relu"
    labels = [tick.get_text() for tick in left.get_yticklabels()]
    assert sorted(labels) == ["ReLU", "SSTE", "STE"] and labels[-1] == "ReLU"
    ticks = {round(line.get_ydata()[0]): line for line in left.lines if line.get_marker() == "|"}
    means = {round(line.get_ydata()[0]): line for line in left.lines if line.get_marker() != "|"}
    names = {"ReLU": "relu", "STE": "sign:STE", "SSTE": "sign:SSTE"}
    for row, label in enumerate(labels):
        accuracies = 100 * race.correct(result, names[label]).mean(axis=1)
        np.testing.assert_allclose(ticks[row].get_xdata(), accuracies)
        np.testing.assert_allclose(means[row].get_xdata(), accuracies.mean())
    intervals = {round(bar.lines[0].get_ydata()[0]): bar for bar in right.containers}
    for row, label in enumerate(labels):
        if label == "STE":
            assert row not in intervals and "(the reference)" in [text.get_text().strip() for text in right.texts]
            continue
        d = race.difference(race.correct(result, names[label]), race.correct(result, "sign:STE"))
        marker, _, (bar,) = intervals[row].lines
        assert marker.get_xdata()[0] == pytest.approx(d.mean) and marker.get_color() == style(label)["color"]
        np.testing.assert_allclose(bar.get_segments()[0][:, 0], [d.low, d.high])
        assert (marker.get_markerfacecolor() == "white") == (not d.shown)
    assert {label for label in labels if label != "STE"} == {"ReLU", "SSTE"}


def test_training_loss_is_the_mean_over_the_seeds(result):
    (ax,) = pictures.training_loss(result).axes
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines) == ["ReLU", "SSTE", "STE"] or list(lines) == ["ReLU", "STE", "SSTE"]
    curves = [r["train_loss"] for r in result["runs"] if r["contestant"] == "relu"]
    np.testing.assert_allclose(lines["ReLU"].get_ydata(), np.mean(curves, axis=0))
    assert lines["ReLU"].get_xdata().tolist() == [1, 2, 3]
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"ReLU", "SSTE", "STE"}


def test_by_depth_draws_the_geometric_mean_of_the_first_layer_and_the_prediction():
    sizes = {("relu", False, 2): (0.1, 0.001), ("relu", False, 4): (1e-4, 1e-4)}
    sizes |= {("relu", True, 2): (2.0, 8.0), ("relu", True, 4): (16.0, 16.0)}
    records = [
        {"contestant": c, "batch_norm": bn, "depth": depth, "seed": seed, "result": [{"size": size}, {"size": 1.0}]}
        for (c, bn, depth), pair in sizes.items()
        for seed, size in enumerate(pair)
    ]
    left, right = pictures.by_depth(records, {("relu", True): 2.0}).axes
    assert [ax.get_title() for ax in (left, right)] == ["without batch norm", "with batch norm"]
    measured = [
        [line for line in ax.lines if line.get_marker() == "D" and len(line.get_xdata())] for ax in (left, right)
    ]
    np.testing.assert_allclose(measured[0][0].get_ydata(), [0.01, 1e-4])
    np.testing.assert_allclose(measured[1][0].get_ydata(), [4.0, 16.0])
    drawn = [line.get_ydata() for line in right.lines if line.get_linestyle() == "-." and len(line.get_xdata()) == 2]
    np.testing.assert_allclose(drawn, [[2.0, 8.0]])
    assert not [line for line in left.lines if line.get_linestyle() == "-." and len(line.get_xdata())]


def test_flips_are_in_per_cent_by_layer():
    records = [
        {"rule": "sign:STE", "lr": 1.0, "seed": seed, "result": [{"act1": a, "act2": 0.5, "accuracy": 1} for a in row]}
        for seed, row in enumerate([(0.4, 0.1), (0.2, 0.1)])
    ]
    first, second = pictures.flips(records).axes
    assert [ax.get_title() for ax in (first, second)] == ["hidden layer 1", "hidden layer 2"]
    np.testing.assert_allclose(first.lines[0].get_ydata(), [30, 10])
    np.testing.assert_allclose(second.lines[0].get_ydata(), [50, 50])
    assert first.lines[0].get_color() == style("STE")["color"]
