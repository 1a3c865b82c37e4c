"""The rows of the paper's Table 1 as data, and others that are not in the paper: `python -m ftpkit presets`.

>>> PRESETS["convnet8-sign-ftpsh"].activation, PRESETS["convnet8-sign-ftpsh"].paper
('sign:FTP-SH', 84.9)
"""

import argparse
import sys
import textwrap
from dataclasses import dataclass

from .datasets import BUNDLE
from .losses import Table

COLUMNS = {
    "sign-sste": "sign, SSTE",
    "sign-ftpsh": "sign, FTP-SH",
    "staircase-sste": "qReLU, SSTE",
    "staircase-ftpsh": "qReLU, FTP-SH",
    "relu": "ReLU",
    "saturated-relu": "saturated ReLU",
}
"""The columns of the paper's Table 1, by the second half of a preset's name."""


@dataclass(frozen=True)
class Preset:
    """One training run: a cell of the paper's Table 1, or one made in its likeness.

    network: a name in `names.NETWORKS`. activation: as `names.as_activation` takes it. data: a data set's name;
    "imagenet" has to be given as a folder with train/ and val/. optimizer, lr, weight_decay, epochs, batch_size: as for
    `train.fit`. milestones: lr falls to a tenth after each of these epochs, so with (200, 250) epoch 201 is the first
    with the smaller one (the authors' code: after 199 and 249). flip: left and right swapped in half of the training
    images. crop: without resize, training images are shifted by up to so many pixels, zeros moving in (32x32 from
    padded ones, with 4); with resize, the shorter side of every image is first brought to `resize` and a square of
    `crop` is cut, at random to train and from the middle to test. paper: test accuracy in % that the paper gives.
    """

    name: str
    network: str
    activation: str
    data: str
    optimizer: str
    lr: float
    weight_decay: float
    epochs: int
    milestones: tuple[int, ...]
    batch_size: int
    crop: int = 0
    flip: bool = False
    resize: int = 0
    paper: float | None = None

    @property
    def in_paper(self) -> bool:
        return self.paper is not None

    @property
    def command(self) -> str:
        """What starts this run from a shell."""
        folder = " --data FOLDER" if self.data == "imagenet" else ""
        return f"python -m ftpkit train {self.name}{folder}"


@dataclass(frozen=True)
class Row:
    """Six presets, one for each of COLUMNS, that share everything but activation and weight decay.

    steps: of the staircase. weight_decay: with sign, with a staircase, with both kinds of ReLU. shared: the other
    fields of `Preset`. paper: the paper's six figures, or nothing.
    """

    title: str
    steps: int
    weight_decay: tuple[float, float, float]
    shared: dict
    paper: tuple[float, ...] | tuple[()] = ()

    def presets(self, name: str) -> list[Preset]:
        sign, staircase, relu = self.weight_decay
        kinds = (
            ("sign:SSTE", sign),
            ("sign:FTP-SH", sign),
            (f"staircase-{self.steps}:SSTE", staircase),
            (f"staircase-{self.steps}:FTP-SH", staircase),
            ("relu", relu),
            ("saturated-relu", relu),
        )
        figures = self.paper or (None,) * len(COLUMNS)
        return [
            Preset(f"{name}-{column}", activation=activation, weight_decay=decay, paper=figure, **self.shared)
            for column, (activation, decay), figure in zip(COLUMNS, kinds, figures, strict=True)
        ]


_CIFAR = dict(data="cifar10", optimizer="adam", epochs=300, milestones=(200, 250), batch_size=64, crop=4, flip=True)
_CIFAR_SGD = dict(data="cifar10", optimizer="sgd", lr=0.1, epochs=200, milestones=(100, 150), crop=4, flip=True)
_IMAGENET = dict(data="imagenet", resize=256, crop=224, flip=True)
_ALEXNET = dict(optimizer="adam", lr=1e-4, epochs=80, milestones=(56, 64), batch_size=128, **_IMAGENET)
_RESNET18 = dict(optimizer="sgd", lr=0.1, epochs=90, milestones=(30, 60), batch_size=256, **_IMAGENET)
_BUNDLED = dict(data=BUNDLE, optimizer="adam", lr=1e-3, epochs=6, milestones=(4, 5), batch_size=64)

_DECAY4 = (5e-4, 5e-4, 5e-4)  # with sign, with a staircase, with both kinds of ReLU
_DECAY8 = (1e-7, 5e-4, 5e-4)
_DECAY_ALEXNET = (5e-6, 5e-5, 5e-4)
_DECAY18 = (5e-7, 1e-5, 1e-4)

_THEIRS = {
    "convnet4": Row(
        "4-layer convnet, CIFAR-10", 3, _DECAY4, dict(network="convnet4", lr=2.5e-4, **_CIFAR),
        (80.6, 81.3, 85.6, 85.5, 86.5, 87.3),
    ),
    "convnet8": Row(
        "8-layer convnet, CIFAR-10", 3, _DECAY8, dict(network="convnet8", lr=1e-3, **_CIFAR),
        (84.6, 84.9, 88.4, 89.8, 91.2, 91.2),
    ),
    "alexnet": Row(
        "AlexNet, ImageNet", 3, _DECAY_ALEXNET, dict(network="alexnet", **_ALEXNET),
        (46.7, 47.3, 59.4, 60.7, 61.3, 61.9),
    ),
    "resnet18": Row(
        "ResNet-18, ImageNet", 5, _DECAY18, dict(network="imagenet-resnet18", **_RESNET18),
        (49.1, 47.8, 60.6, 64.3, 69.1, 66.9),
    ),
}  # fmt: skip
_NOT_THEIRS = {
    "cifar-resnet18": Row(
        "ResNet-18 for small images, CIFAR-10", 5, _DECAY18, dict(network="resnet18", batch_size=128, **_CIFAR_SGD)
    ),
    "bundled-convnet4": Row("4-layer convnet, bundled images", 3, _DECAY8, dict(network="convnet4", **_BUNDLED)),
    "bundled-convnet8": Row("8-layer convnet, bundled images", 3, _DECAY8, dict(network="convnet8", **_BUNDLED)),
    "bundled-resnet8": Row("ResNet-8, bundled images", 5, _DECAY8, dict(network="resnet8", **_BUNDLED)),
    "bundled-resnet8-real": Row(
        "ResNet-8, real skip path, bundled images", 5, _DECAY8, dict(network="resnet8-real", **_BUNDLED)
    ),
}

ROWS: dict[str, Row] = Table(_THEIRS | _NOT_THEIRS, kind="row of presets")
"""Four rows of the paper, with figures, and five that are not in the paper."""

PRESETS: dict[str, Preset] = Table(
    {preset.name: preset for name, row in ROWS.items() for preset in row.presets(name)}, kind="preset"
)
"""Preset by name, "{row}-{column}", with the row's name in ROWS and the column's in COLUMNS."""


def summary(row: str | None = None) -> str:
    """The presets as text, all of them or those of a row: settings, the paper's figure, the command that starts each.

    Raises UnknownName (a ValueError) for an unknown row.
    """
    blocks = []
    for name in ROWS if row is None else [row]:
        made = ROWS[name].presets(name)
        lines = [ROWS[name].title + ("" if made[0].in_paper else " (not in the paper)")]
        lines += textwrap.wrap(_settings(made[0]), 118, initial_indent="  ", subsequent_indent="  ")
        width = max(len(preset.command) for preset in made)
        for preset in made:
            figure = f"paper {preset.paper} %" if preset.in_paper else "not in the paper"
            about = f"{preset.activation:18}  weight decay {preset.weight_decay:<6g}  {figure}"
            lines.append(f"  {preset.command:{width}}  {about}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _settings(preset: Preset) -> str:
    """What the presets of a row share, in words."""
    falls = " and ".join(map(str, preset.milestones))
    parts = [f"network {preset.network}", f"data {preset.data}", f"{preset.optimizer} with lr {preset.lr:g}"]
    parts += [f"a tenth of it after epochs {falls} of {preset.epochs}", f"batches of {preset.batch_size}"]
    if preset.resize:
        parts.append(f"shorter side to {preset.resize}, crop {preset.crop}")
    elif preset.crop:
        parts.append(f"crop after padding by {preset.crop}")
    return ", ".join([*parts, "flip"] if preset.flip else parts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("row", nargs="?", help=f"only this row: {', '.join(ROWS)}")


def main(args: argparse.Namespace) -> int:
    try:
        print(summary(args.row))
    except ValueError as error:
        print(f"no presets: {error}", file=sys.stderr)
        return 2
    return 0
