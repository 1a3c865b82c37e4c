"""Data sets as uint8 tensors, normalised and augmented by batch on the device they lie on.

images = data.load("fashion-mnist-12k")
train, held_out = data.holdout(images.train, 2000)
for x, y in data.Batches(train, 100, shuffle=True, crop=4, flip=True):
    ...                                         # x: float32, normalised, (100, 1, 28, 28); y: int64, (100,)
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import datasets, readers
from .batches import Batches, augment, normalize
from .datasets import bundle, locations, search_path
from .splits import DataSet, Split, as_device, holdout, two_classes

__all__ = [
    "Batches",
    "DataSet",
    "Split",
    "augment",
    "bundle",
    "holdout",
    "load",
    "locations",
    "normalize",
    "search_path",
    "two_classes",
]


def load(
    name: str | Path,
    root: str | Path | None = None,
    download: bool = False,
    device: torch.device | str = "cpu",
) -> DataSet:
    """Load a data set, whole, as tensors on the device.

    name: "fashion-mnist-12k" (bundled: 10,000 + 2,000 images of "fashion-mnist"), "fashion-mnist", "mnist", "cifar10",
    "cifar100", "svhn"; or a folder with train/CLASS/* and test/CLASS/* (or val/) images of one size, given by its path
    or as "imagefolder:PATH". root: searched first, see `search_path`. download: get a named set by torchvision if it is
    nowhere, into root, FTPKIT_DATA or data/downloads. mean and std of both splits are those of the training images.

    Raises UnknownName (a ValueError); FileNotFoundError that lists where it looked; ValueError for files that are
    truncated or altered, for images that do not fit together, and for a device that is not there; ImportError or
    ConnectionError where a download fails; MemoryError for a folder larger than this machine's memory.

    >>> data = load("fashion-mnist-12k")
    >>> data.input_shape, data.num_classes, data.train.labels.bincount().tolist()[:3]
    ((1, 28, 28), 10, [1000, 1000, 1000])
    """
    device = as_device(device)
    folder = _folder(name)
    arrays = datasets.read(name, root, download) if folder is None else readers.read_image_folder(folder)
    train = Split(*_tensors(arrays.train_images, arrays.train_labels))
    test = Split(*_tensors(arrays.test_images, arrays.test_labels), train.mean, train.std)
    return DataSet(str(name) if folder is None else folder.name, train.to(device), test.to(device), arrays.classes)


def _folder(name: str | Path) -> Path | None:
    """The folder that a name stands for, if it stands for one."""
    text = str(name)
    if text.startswith("imagefolder:"):
        return Path(text.removeprefix("imagefolder:")).expanduser().resolve()
    is_path = isinstance(name, Path) or "/" in text or os.sep in text or Path(text).is_dir()
    return Path(text).expanduser().resolve() if is_path and text not in datasets.SOURCES else None


def _tensors(images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels.astype(np.int64))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["bundle"], help="make the bundled subset from the full set")
    parser.add_argument("--out", help="folder to write to; default data/fashion-mnist-12k")
    parser.add_argument("--root", help="folder to look for the full set in first")


def main(args: argparse.Namespace) -> int:
    path = bundle(args.out, args.root)
    with np.load(path) as file:
        found = readers.contents_sha256(dict(file))
    same = found == readers.BUNDLE_SHA256
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, SHA-256 of the contents {found}")
    print("the same as the kit's" if same else f"NOT the kit's, which is {readers.BUNDLE_SHA256}")
    return int(not same)
