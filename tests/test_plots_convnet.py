"""The figures of the convolutional network draw what the code computes: lines, tiles and bars are read back."""

import base64

import numpy as np
import pytest
import torch

from ftpkit import QuantReLU, inside, models, plots, race
from ftpkit.plots import convnet as pictures


def lines(ax):
    return {line.get_label(): np.asarray(line.get_data(), dtype=float) for line in ax.lines}


def made_up_race(seeds=3, images=40, epochs=4):
    """A race's result whose accuracies and losses are known."""
    rng, runs = np.random.default_rng(0), []
    for i, contestant in enumerate(race.RACES["convnet4"].contestants):
        for seed in range(seeds):
            correct = rng.random(images) < 0.5 + 0.07 * i
            runs.append(
                {
                    "contestant": contestant,
                    "lr": 1e-3,
                    "seed": seed,
                    "accuracy": float(correct.mean()),
                    "train_loss": [(i + 1) / (epoch + 1) + 0.01 * seed for epoch in range(epochs)],
                    "images": images,
                    "correct": base64.b64encode(np.packbits(correct).tobytes()).decode(),
                }
            )
    settings = {"contestants": list(race.RACES["convnet4"].contestants), "lrs": [1e-3], "seeds": seeds}
    return {"settings": settings, "runs": runs, "lr_search": []}


def test_a_contestant_has_its_rules_colour_and_a_look_of_its_own():
    looks = {c: plots.style(race.label(c)) for c in race.RACES["convnet4"].contestants}
    for rule in ("SSTE", "FTP-SH"):
        assert looks[f"sign:{rule}"] == plots.style(rule)
        assert looks[f"staircase-3:{rule}"]["color"] == plots.style(rule)["color"]
    assert looks["sign:SSTE"]["linestyle"] != looks["staircase-3:SSTE"]["linestyle"]
    assert looks["relu"] == plots.style("ReLU")
    assert len({pictures.name(c) for c in looks}) == len(looks)
    assert pictures.name("staircase-5:my_rules.py:Mine") == "5-step staircase, Mine"


def test_staircases_are_the_kits_forward_and_backward():
    fig = pictures.staircases([2, 5])
    for column, k in enumerate((2, 5)):
        top, bottom = fig.axes[column], fig.axes[2 + column]
        z, h = lines(top)["staircase h"]
        there = ~np.isnan(h)
        expected = np.clip(np.ceil(z * (k - 1)), 0, k) / k
        np.testing.assert_allclose(h[there], expected[there], atol=1e-12)
        assert (~there).sum() == k  # a gap at each threshold, no upright line
        drawn = lines(bottom)
        np.testing.assert_array_equal(drawn["SSTE"][1], (z >= 0) & (z <= 1))
        np.testing.assert_allclose(drawn["FTP-SH"][1], 1 - np.tanh(2 * z - 1) ** 2, atol=1e-12)
        both = np.mean([np.abs(z - i / (k - 1)) <= 1 for i in range(k)], axis=0)
        off_borders = np.min([np.abs(np.abs(z - i / (k - 1)) - 1) for i in range(k)], axis=0) > 1e-9
        np.testing.assert_allclose(drawn["sum of saturated hinges"][1][off_borders], both[off_borders])


def test_filters_stand_in_rows_with_gaps():
    start = torch.arange(2 * 3 * 4.0).view(6, 1, 2, 2)
    fig = pictures.filters(start, start + 1, columns=3)
    first, second, third = (ax.images[0].get_array() for ax in fig.axes[:3])
    assert first.shape == (5, 8)
    assert first[:2, :2].tolist() == start[0, 0].tolist() and first[3:, 6:].tolist() == start[5, 0].tolist()
    assert np.ma.getmaskarray(np.ma.masked_invalid(first))[2].all()
    assert np.nanmin(third) == np.nanmax(third) == 1 and np.nanmax(second) == 24
    assert {ax.images[0].get_clim() for ax in fig.axes[:3]} == {(-24.0, 24.0)}


def test_feature_maps_are_the_maps():
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    z, h = inside.before_and_after(models.ConvNet4(race.as_activation("sign:SSTE")), images / 255.0)["act1"]
    axes = np.reshape(pictures.feature_maps(images, z, h, ["one", "two"], [3, 1]).axes, (4, 3))
    for i, title in enumerate(("one", "two")):
        assert axes[2 * i, 0].get_title() == title
        np.testing.assert_array_equal(axes[2 * i, 0].images[0].get_array(), images[i, 0])
        for column, channel in enumerate((3, 1), start=1):
            np.testing.assert_allclose(axes[2 * i, column].images[0].get_array(), z[i, channel])
            np.testing.assert_array_equal(axes[2 * i + 1, column].images[0].get_array(), h[i, channel])


@pytest.mark.parametrize("steps", [2, 3])
def test_levels_count_the_outputs(steps):
    z = torch.linspace(-1, 3, 41, dtype=torch.float64)
    h = QuantReLU(steps, "SSTE")(z)
    top, bottom = pictures.levels({"a layer": (z, h)}, steps).axes
    shares = [float(((h * steps).round() == level).double().mean()) for level in range(steps + 1)]
    np.testing.assert_allclose([bar.get_height() for bar in bottom.patches], 100 * np.array(shares))
    assert [text.get_text() for text in bottom.texts] == [f"{100 * share:.0f} %" for share in shares]
    labels = [label.get_text() for label in bottom.get_xticklabels()]
    assert labels == ["0", *(f"{i}/{steps}" for i in range(1, steps)), "1"]
    assert [line.get_xdata()[0] for line in top.lines] == [i / (steps - 1) for i in range(steps)]


def test_by_layer_draws_per_cent():
    rows = {
        "relu": [{"depth": 1, "dead": 0.25}, {"depth": 2, "dead": 0.5}],
        "sign:SSTE": [{"depth": 1, "dead": 0.0}, {"depth": 2, "dead": 0.125}],
    }
    (ax,) = pictures.by_layer(rows, {"dead": "dead units"}).axes
    drawn = lines(ax)
    assert drawn["ReLU"].tolist() == [[1, 2], [25, 50]] and drawn["sign, SSTE"].tolist() == [[1, 2], [0, 12.5]]


def test_accuracies_are_ranked_and_the_runs_are_there():
    result = made_up_race()
    (ax,) = pictures.accuracies(result).axes
    scores = {c: 100 * race.correct(result, c).mean(axis=1) for c in result["settings"]["contestants"]}
    ranked = sorted(scores, key=lambda c: scores[c].mean())
    assert [label.get_text() for label in ax.get_yticklabels()] == [pictures.name(c) for c in ranked]
    runs = [line for line in ax.lines if line.get_label() == "runs"]
    for line, contestant in zip(runs, ranked, strict=True):
        np.testing.assert_allclose(line.get_xdata(), scores[contestant])
    for bars, contestant in zip(ax.containers, ranked, strict=True):
        assert float(bars.lines[0].get_xdata(orig=False)[0]) == pytest.approx(scores[contestant].mean())


def test_differences_are_filled_only_where_zero_is_excluded():
    pairs = {"shown": race.Difference(1.0, 0.5, 1.5), "open": race.Difference(0.2, -0.1, 0.5)}
    (ax,) = pictures.differences(pairs).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["open", "shown"]
    drawn = lines(ax)
    assert drawn["shown"][0].tolist() == [0.5, 1.5] and drawn["open"][0].tolist() == [-0.1, 0.5]
    dots = {line.get_ydata()[0]: line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"}
    assert dots[0] == "white" and dots[1] != "white"


def test_training_loss_is_the_mean_of_the_seeds():
    result = made_up_race()
    (ax,) = pictures.training_loss(result).axes
    epochs, relu = lines(ax)["ReLU"]
    assert epochs.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(relu, [1 / (epoch + 1) + 0.01 for epoch in range(4)])
    assert len(ax.collections) == len(result["settings"]["contestants"])
