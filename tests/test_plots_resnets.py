"""The figures of residual networks draw what the code computes: boxes, markers, lines and bands are read back."""

import numpy as np
import pytest
import torch

from ftpkit import models, names
from ftpkit.plots import resnets as pictures


def made_up_streams(contestants=("relu", "sign:SSTE"), kinds=("threshold", "real"), seeds=2, blocks=8):
    """Gradients that double or halve from block to block, correlations that fall in a straight line."""
    return [
        {
            "contestant": contestant,
            "skip": skip,
            "seed": seed,
            "result": {
                "size": [(2.0 if contestant == "relu" else 0.5) ** (blocks - b) * 4.0**seed for b in range(blocks + 1)],
                "left": [1 - b / blocks + 0.1 * seed for b in range(blocks + 1)],
            },
        }
        for contestant in contestants
        for skip in kinds
        for seed in range(seeds)
    ]


@pytest.mark.parametrize("skip", ["threshold", "real"])
def test_the_path_is_the_order_in_which_the_block_calls_its_layers(skip):
    called = []
    block = models.BasicBlock(torch.nn.ReLU, 2, 2, 1, skip)
    for layer, module in block.named_children():
        module.register_forward_hook(lambda *_, layer=layer: called.append(layer))
    block(torch.randn(2, 2, 4, 4))
    assert [step for step in pictures.path(skip) if step != "+"] == [layer for layer in called if layer != "downsample"]
    plus = pictures.path(skip).index("+")
    assert pictures.path(skip)[plus - 1] == "bn2" and pictures.path(skip)[plus + 1 :] == ["act2"] * (skip != "real")


def test_blocks_have_their_thresholds_where_the_code_has_them():
    fig = pictures.blocks()
    for ax, skip in zip(fig.axes, ("threshold", "real"), strict=True):
        assert ax.get_title() == pictures.SKIPS[skip]
        texts = sorted((text.get_position()[1], text.get_text()) for text in ax.texts)
        assert texts[0][1] == "x" and texts[-1][1] == "next x"
        words = {"c": "3x3 convolution", "b": "batch norm", "a": "threshold", "+": "+"}
        assert [text for _, text in texts[1:-1]] == [words[step[0]] for step in pictures.path(skip)]


def test_maps_are_the_maps_with_places_above():
    tiles = [torch.full((2, 3), float(i)) for i in range(4)]
    fig = pictures.maps({"one": tiles[:2], "two": tiles[2:]}, ["stem", "8 blocks"])
    axes = np.reshape(fig.axes, (2, 2))
    assert [ax.get_title() for ax in axes[0]] == ["stem", "8 blocks"]
    assert [row[0].get_ylabel() for row in axes] == ["one", "two"]
    for i, ax in enumerate(axes.flat):
        assert (ax.images[0].get_array() == i).all() and ax.images[0].get_clim()[1] == max(i, 1e-12)


def test_sizes_are_geometric_means_beside_what_was_expected():
    records = made_up_streams()
    expected = {(c, skip): np.linspace(1, 2, 9) for c in ("relu", "sign:SSTE") for skip in ("threshold", "real")}
    fig = pictures.along(records, "size", expected)
    assert [ax.get_title() for ax in fig.axes] == [pictures.SKIPS["threshold"], pictures.SKIPS["real"]]
    for ax in fig.axes:
        assert ax.get_yscale() == "log"
        measured = [line for line in ax.lines if line.get_marker() not in ("None", None, "") and len(line.get_ydata())]
        np.testing.assert_allclose(measured[0].get_ydata(), 2.0 * 2.0 ** np.arange(8, -1, -1))  # sqrt(1 * 4) times
        np.testing.assert_allclose(measured[1].get_ydata(), 2.0 * 0.5 ** np.arange(8, -1, -1))
        assert sum(np.array_equal(line.get_ydata(), np.linspace(1, 2, 9)) for line in ax.lines) == 2
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["ReLU", "sign, SSTE"]


def test_what_is_left_is_a_plain_mean_and_kinds_without_records_have_no_panel():
    expected = {("sign:SSTE", "none"): np.zeros(9)}
    (ax,) = pictures.along(made_up_streams(("sign:SSTE",), ("none",)), "left", expected).axes
    measured = next(line for line in ax.lines if line.get_marker() == "s" and len(line.get_ydata()))
    np.testing.assert_allclose(measured.get_ydata(), 1.05 - np.arange(9) / 8)
    assert ax.get_yscale() == "linear" and ax.get_title() == "no skip path"


def test_curves_are_mean_errors_with_bands_and_every_contestant_is_in_the_legend():
    epochs, runs = np.arange(1, 4), np.array([[0.5, 0.6, 0.7], [0.7, 0.8, 0.9]])
    fig = pictures.curves(
        {"one": {"relu": (epochs, runs)}, "other": {"relu": (epochs, runs), "sign:SSTE": (epochs, runs)}}
    )
    for ax in fig.axes:
        for line in ax.lines:
            np.testing.assert_allclose(line.get_xydata(), [[1, 40], [2, 30], [3, 20]])
        for band in ax.collections:
            heights = band.get_paths()[0].vertices[:, 1]
            assert (heights.min(), heights.max()) == pytest.approx((10, 50))
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["ReLU", "sign, SSTE"]
    assert [len(ax.lines) for ax in fig.axes] == [1, 2]


def test_stages_begin_with_relu_and_end_with_training():
    hardened = {"sign:SSTE": {"at_once": 0.1, "recounted": 0.3, "trained": 0.5}}
    records = [{"result": {"before": 0.75 + d, "relu": 0.8, "hardened": hardened}} for d in (-0.05, 0.05)]
    (ax,) = pictures.stages(records).axes
    mean, relu = ax.lines
    np.testing.assert_allclose(mean.get_ydata(), [75, 10, 30, 50])
    assert relu.get_xydata() == pytest.approx(np.array([[3, 80]])) and relu.get_label() == "ReLU, trained on"
    assert mean.get_color() == pictures.style(names.label("sign:SSTE"))["color"]
    ticks = [text.get_text().split("\n")[0] for text in ax.get_xticklabels()]
    assert ticks == ["ReLU", "thresholds", "batch norm", "trained"]
