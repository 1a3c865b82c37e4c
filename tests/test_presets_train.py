"""Every preset trains: the network at its real size on real images at the paper's input size, for two steps of a run.

The images are the bundled ones, scaled and coloured: a data set of 32x32, and a folder of photographs' size. Only the
batch is smaller than the preset's, and ImageNet has two classes.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ftpkit import data, imagenet
from ftpkit.activations import Activation
from ftpkit.loop import Training
from ftpkit.presets import PRESETS
from ftpkit.runs import feed
from ftpkit.runs.config import Config, Facts, build
from ftpkit.splits import DataSet

IMAGES = 8
BATCH = 4
PLACES = {
    "convnet4": 3,
    "convnet8": 7,
    "alexnet": 7,
    "imagenet-resnet18": 17,
    "resnet18": 17,
    "resnet8": 7,
    "resnet8-real": 7,
}


def coloured(split):
    """28x28 grey images in the middle of 32x32 in three channels."""
    images = torch.nn.functional.pad(split.images, (2, 2, 2, 2)).expand(-1, 3, -1, -1)
    return replace(split, images=images.contiguous(), mean=0.5, std=0.25)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    bundled = data.load("fashion-mnist-12k")
    bundled = replace(bundled, train=bundled.train.subset(IMAGES), test=bundled.test.subset(IMAGES))
    place = tmp_path_factory.mktemp("photographs")
    for part in ("train", "val"):
        for i, pixels in enumerate(bundled.train.images[:, 0].numpy()):
            folder = place / part / ("odd" if i % 2 else "even")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.stack([pixels] * 3, axis=-1)).resize((300, 400)).save(folder / f"{i}.jpg")
    small = DataSet("cifar10", coloured(bundled.train), coloured(bundled.test), bundled.classes)
    return {"fashion-mnist-12k": bundled, "cifar10": small, "imagenet": imagenet.check(place)}


@pytest.mark.parametrize("name", PRESETS)
def test_two_steps(sets, name):
    preset = PRESETS[name]
    images = sets[preset.data]
    facts = Facts.of_files(images, preset.crop) if preset.resize else Facts.of(images)
    config = Config.of(preset, facts, batch_size=BATCH)
    model = build(config)
    fed = feed.of_files(images, config, workers=0) if preset.resize else feed.of_tensors(images, config)
    keys = ("epochs", "lr", "optimizer", "weight_decay", "milestones", "seed")
    run = Training(model, fed.train, feed.judge(fed, facts.classes), **{key: getattr(config, key) for key in keys})
    before = [parameter.detach().clone() for parameter in model.parameters()]
    steps = iter(range(100))
    run.run(should_stop=lambda: next(steps) == 2, progress=False)

    assert run.epoch == 1 and run.step == 2 or run.epoch == 2  # two steps are the whole epoch here
    assert torch.isfinite(run.total_loss) and run.total_loss >= 0
    changed = sum(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert changed >= len(before) - 2  # biases behind a dead layer may rest
    relu = preset.activation in ("relu", "saturated-relu")
    thresholds = [m for m in model.modules() if isinstance(m, Activation)]
    assert len(thresholds) == (PLACES[preset.network] if preset.activation != "relu" else 0)
    assert relu or all(m.rule.name == preset.activation.partition(":")[2] for m in thresholds)
    assert config.data.shape == (
        (3, 224, 224) if preset.resize else (3, 32, 32) if preset.data == "cifar10" else (1, 28, 28)
    )
