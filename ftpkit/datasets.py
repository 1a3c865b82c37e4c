"""The data sets that the kit knows by name, where it looks for them and how they are got."""

import os
import pickle
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from . import readers
from .losses import Table
from .readers import Arrays, find_file

REPO_DATA = Path(__file__).resolve().parent.parent / "data"
DEBIAN = Path("/usr/share/datasets")  # where Debian's package dataset-fashion-mnist puts its files
BUNDLE = "fashion-mnist-12k"


@dataclass(frozen=True)
class Source:
    """A known data set.

    folders: where it may lie below a place of the search path, torchvision's own folder last. files: all of them must
    be there, gzipped or not. read: folder -> Arrays. fetch: (torchvision.datasets, folder) -> downloads it there.
    remedy: what to do where it is missing.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]
    read: Callable[[Path], Arrays]
    fetch: Callable | None
    remedy: str = "load it with download=True, or set FTPKIT_DATA to the folder that holds it"

    def candidates(self, root: str | Path | None) -> list[Path]:
        return [place / folder for place in search_path(root) for folder in self.folders]

    def missing(self, folder: Path) -> list[str]:
        return [name for name in self.files if find_file(folder, name) is None]

    def find(self, root: str | Path | None) -> Path | None:
        return next((folder for folder in self.candidates(root) if not self.missing(folder)), None)


_CIFAR10 = tuple(f"data_batch_{i}" for i in range(1, 6))

SOURCES = Table(
    {
        BUNDLE: Source(
            (BUNDLE,),
            (readers.BUNDLE_FILE,),
            readers.read_bundle,
            None,
            "git checkout -- data/fashion-mnist-12k, or make it from the full set: python -m ftpkit data bundle",
        ),
        "fashion-mnist": Source(
            ("fashion-mnist", "FashionMNIST/raw"),
            readers.IDX_FILES,
            partial(readers.read_idx, classes=readers.FASHION),
            lambda tv, folder: tv.FashionMNIST(folder, download=True),
            Source.remedy + ", or install Debian's package dataset-fashion-mnist",
        ),
        "mnist": Source(
            ("mnist", "MNIST/raw"),
            readers.IDX_FILES,
            partial(readers.read_idx, classes=readers.DIGITS),
            lambda tv, folder: tv.MNIST(folder, download=True),
        ),
        "cifar10": Source(
            ("cifar-10-batches-py",),
            (*_CIFAR10, "test_batch", "batches.meta"),
            partial(readers.read_cifar, train=_CIFAR10, test="test_batch", meta="batches.meta", fine=""),
            lambda tv, folder: tv.CIFAR10(folder, download=True),
        ),
        "cifar100": Source(
            ("cifar-100-python",),
            ("train", "test", "meta"),
            partial(readers.read_cifar, train=("train",), test="test", meta="meta", fine="fine_"),
            lambda tv, folder: tv.CIFAR100(folder, download=True),
        ),
        "svhn": Source(
            ("svhn", ""),
            readers.SVHN_FILES,
            readers.read_svhn,
            lambda tv, folder: [tv.SVHN(folder, part, download=True) for part in ("train", "test")],
        ),
    },
    kind="data set",
)

_UNREADABLE = (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile, pickle.UnpicklingError)


def search_path(root: str | Path | None = None) -> list[Path]:
    """The places where data sets are looked for, in this order, each once.

    `root`, the environment variable FTPKIT_DATA, the kit's data/ and data/downloads/, and Debian's /usr/share/datasets.
    """
    places = (root, os.environ.get("FTPKIT_DATA"), REPO_DATA, REPO_DATA / "downloads", DEBIAN)
    return list(dict.fromkeys(Path(place).expanduser() for place in places if place))


def locations(root: str | Path | None = None) -> dict[str, Path | None]:
    """For every data set that the kit knows by name: the folder where all its files were found, or None.

    >>> locations()["fashion-mnist-12k"].name
    'fashion-mnist-12k'
    """
    return {name: source.find(root) for name, source in SOURCES.items()}


def read(name: str, root: str | Path | None = None, download: bool = False) -> Arrays:
    """Read a data set from the first place of the search path that holds it; arguments and errors of `data.load`."""
    source = SOURCES[name]
    if root is not None and not download and not Path(root).expanduser().is_dir():
        raise FileNotFoundError(f"root={str(root)!r} is no folder; name the one that holds {name}, or leave root out")
    folder = source.find(root)
    if folder is None and download and source.fetch:
        _download(name, Path(root or os.environ.get("FTPKIT_DATA") or REPO_DATA / "downloads").expanduser())
        folder = source.find(root)
    if folder is None:
        looked = (f"  {path}: {_state(source, path)}" for path in source.candidates(root))
        raise FileNotFoundError(
            "\n".join([f"{name} was not found. Looked in", *looked, f"To get it: {source.remedy}."])
        )
    try:
        return source.read(folder)
    except _UNREADABLE as error:
        raise ValueError(
            f"{name}: the files in {folder} are truncated, altered or not readable ({error}). "
            f"Delete them and get them anew: {source.remedy}."
        ) from error


def _state(source: Source, folder: Path) -> str:
    return f"lacks {', '.join(source.missing(folder))}" if folder.is_dir() else "no such folder"


def _download(name: str, folder: Path) -> None:
    source = SOURCES[name]
    by_hand = f"put {', '.join(source.files)} into {folder / source.folders[0]} yourself"
    try:
        from torchvision import datasets
    except ImportError as error:
        raise ImportError(f"download=True needs torchvision (pip install torchvision); or {by_hand}") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        source.fetch(datasets, folder)
    except (OSError, RuntimeError) as error:
        raise ConnectionError(f"{name} could not be downloaded ({error}); try again, or {by_hand}") from error


def bundle(out: str | Path | None = None, root: str | Path | None = None) -> Path:
    """Make the bundled subset from the full Fashion-MNIST; returns the file's path.

    The first 1,000 training and the first 200 test images of each class, in the order of the full set, with their
    indices there. out: the folder to write to; default data/fashion-mnist-12k. root, errors: as for `data.load`.
    """
    full = read("fashion-mnist", root)
    arrays = {}
    for part, per_class in (("train", 1000), ("test", 200)):
        images, labels = getattr(full, f"{part}_images"), getattr(full, f"{part}_labels")
        index = np.sort(np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in range(10)]))
        arrays[f"{part}_images"] = images[index, 0]
        arrays[f"{part}_labels"] = labels[index]
        arrays[f"{part}_index"] = index.astype(np.uint16)
    path = Path(out or REPO_DATA / BUNDLE) / readers.BUNDLE_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path
