"""Presets: every figure of the paper's Table 1 and of its set-ups, written out here a second time."""

import json
from dataclasses import asdict

import pytest
import torch

from ftpkit import datasets
from ftpkit.__main__ import main
from ftpkit.losses import UnknownName
from ftpkit.models import ResNet
from ftpkit.names import NETWORKS, as_activation
from ftpkit.presets import COLUMNS, PRESETS, ROWS, summary
from ftpkit.train import OPTIMIZERS

SIX = ("sign-sste", "sign-ftpsh", "staircase-sste", "staircase-ftpsh", "relu", "saturated-relu")

TABLE_1 = """
convnet4   80.6  81.3  85.6  85.5  86.5  87.3
convnet8   84.6  84.9  88.4  89.8  91.2  91.2
alexnet    46.7  47.3  59.4  60.7  61.3  61.9
resnet18   49.1  47.8  60.6  64.3  69.1  66.9
"""

# row: network, data, optimiser, lr, epochs, lr falls after, batch, resize, crop, k of the staircase
SETUPS = """
convnet4             convnet4           cifar10            adam  0.00025  300  200,250   64    0    4  3
convnet8             convnet8           cifar10            adam  0.001    300  200,250   64    0    4  3
alexnet              alexnet            imagenet           adam  0.0001    80  56,64    128  256  224  3
resnet18             imagenet-resnet18  imagenet           sgd   0.1       90  30,60    256  256  224  5
cifar-resnet18       resnet18           cifar10            sgd   0.1      200  100,150  128    0    4  5
bundled-convnet4     convnet4           fashion-mnist-12k  adam  0.001      6  4,5       64    0    0  3
bundled-convnet8     convnet8           fashion-mnist-12k  adam  0.001      6  4,5       64    0    0  3
bundled-resnet8      resnet8            fashion-mnist-12k  adam  0.001      6  4,5       64    0    0  5
bundled-resnet8-real resnet8-real       fashion-mnist-12k  adam  0.001      6  4,5       64    0    0  5
"""

# row: with sign, with a staircase, with ReLU and saturated ReLU
WEIGHT_DECAY = """
convnet4             0.0005     0.0005   0.0005
convnet8             0.0000001  0.0005   0.0005
alexnet              0.000005   0.00005  0.0005
resnet18             0.0000005  0.00001  0.0001
cifar-resnet18       0.0000005  0.00001  0.0001
bundled-convnet4     0.0000001  0.0005   0.0005
bundled-convnet8     0.0000001  0.0005   0.0005
bundled-resnet8      0.0000001  0.0005   0.0005
bundled-resnet8-real 0.0000001  0.0005   0.0005
"""


def rows(text: str) -> dict[str, list[str]]:
    return {name: rest for name, *rest in map(str.split, text.strip().splitlines())}


def test_there_are_the_papers_24_and_30_more():
    assert list(ROWS) == list(rows(SETUPS)) and tuple(COLUMNS) == SIX
    assert list(PRESETS) == [f"{row}-{column}" for row in rows(SETUPS) for column in SIX]
    assert [name for name, preset in PRESETS.items() if preset.name != name] == []
    assert sum(preset.in_paper for preset in PRESETS.values()) == 24


@pytest.mark.parametrize("row", rows(SETUPS))
def test_figures_of_the_paper(row):
    written = [float(figure) for figure in rows(TABLE_1)[row]] if row in rows(TABLE_1) else [None] * 6
    assert [PRESETS[f"{row}-{column}"].paper for column in SIX] == written


@pytest.mark.parametrize("row", rows(SETUPS))
def test_setups(row):
    network, data, optimizer, lr, epochs, falls, batch, resize, crop, k = rows(SETUPS)[row]
    sign, staircase, relu = map(float, rows(WEIGHT_DECAY)[row])
    kinds = ["sign:SSTE", "sign:FTP-SH", f"staircase-{k}:SSTE", f"staircase-{k}:FTP-SH", "relu", "saturated-relu"]
    decays = [sign, sign, staircase, staircase, relu, relu]
    for column, activation, decay in zip(SIX, kinds, decays, strict=True):
        preset = PRESETS[f"{row}-{column}"]
        assert (preset.activation, preset.weight_decay) == (activation, decay)
        assert (preset.network, preset.data, preset.optimizer, preset.lr) == (network, data, optimizer, float(lr))
        assert (preset.epochs, ",".join(map(str, preset.milestones))) == (int(epochs), falls)
        assert (preset.batch_size, preset.resize, preset.crop) == (int(batch), int(resize), int(crop))
        assert preset.flip is (not row.startswith("bundled"))  # the paper flips; the bundled images are small and few


@pytest.mark.parametrize("name", PRESETS)
def test_everything_that_a_preset_names_exists(name):
    preset = PRESETS[name]
    assert preset.optimizer in OPTIMIZERS and preset.milestones[-1] < preset.epochs
    assert preset.data == "imagenet" or preset.data in datasets.SOURCES
    assert json.loads(json.dumps(asdict(preset)))["milestones"] == list(preset.milestones)
    shape = {"cifar10": (3, 32, 32), "imagenet": (3, 224, 224), "fashion-mnist-12k": (1, 28, 28)}[preset.data]
    classes = 1000 if preset.data == "imagenet" else 10
    with torch.device("meta"):
        model = NETWORKS[preset.network](as_activation(preset.activation), shape, classes)
        assert model(torch.empty(2, *shape)).shape == (2, classes)


def test_the_networks_names_say_what_they_are():
    """Small and ImageNet forms differ in their stems, thresholded and real skip paths in what they compute."""
    relu = as_activation("relu")
    for name, depth in [("resnet18", 18), ("imagenet-resnet50", 50), ("resnet8-real", 8), ("resnet20-real", 20)]:
        with torch.device("meta"):
            found = NETWORKS[name](relu, (3, 64, 64), 7)
            form = "imagenet" if name.startswith("imagenet") else "small"
            made = ResNet(relu, (3, 64, 64), 7, depth, form, "real" if name.endswith("real") else "threshold")
        assert str(found) == str(made) and [b.skip for b in found.layer1] == [b.skip for b in made.layer1]
    assert {f"imagenet-resnet{depth}" for depth in (18, 34, 50, 101, 152)} <= set(NETWORKS)
    assert {f"resnet{depth}" for depth in (8, 18, 20, 34, 50, 101, 152)} <= set(NETWORKS)


def test_unknown_names_are_answered_with_the_nearest(capsys):
    with pytest.raises(UnknownName, match="did you mean 'convnet8-sign-ftpsh'"):
        PRESETS["convnet8-sign-ftp-sh"]
    assert main(["presets", "covnet4"]) == 2
    assert "did you mean 'convnet4'" in capsys.readouterr().err


def test_the_command_says_what_starts_each_and_what_is_not_in_the_paper(capsys):
    assert main(["presets"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 120
    commands = [line.strip() for line in text.splitlines() if line.startswith("  python -m ftpkit train")]
    assert [line.split()[4] for line in commands] == list(PRESETS)
    for line in commands:
        preset = PRESETS[line.split()[4]]
        assert line.startswith(preset.command) and ("--data FOLDER" in line) == (preset.data == "imagenet")
        assert line.endswith(f"paper {preset.paper} %" if preset.in_paper else "not in the paper")
    titles = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert [("not in the paper" in title) for title in titles] == [False] * 4 + [True] * 5


def test_the_command_for_one_row(capsys):
    assert main(["presets", "resnet18"]) == 0
    assert capsys.readouterr().out == summary("resnet18") + "\n"
    assert "epochs 30 and 60 of 90" in summary("resnet18") and "convnet" not in summary("resnet18")
