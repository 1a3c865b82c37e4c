"""Folders of images of any size, ImageNet and its like: looked at before training, read by workers while it goes on.

folder = imagenet.check("imagenet")             # imagenet/train/CLASS/*, imagenet/val/CLASS/*
train = imagenet.batches(folder, "train", 256, train=True, generator=torch.Generator().manual_seed(0), workers=8)
for x, y in train.iterate():
    ...                                         # x: float32, normalised, (256, 3, 224, 224); y: int64, (256,)
"""

import hashlib
import math
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from .batches import normalize
from .losses import Table
from .readers import find_images, refuse_empty, some
from .splits import as_device, holdout

MEAN_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's training images, as everybody rounds them
THREADS, AT_ONCE = 16, 256  # opening files mostly waits for a disk


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """Image files with their labels.

    root: the folder that holds them. names: paths below it, as bytes in one array, of which all workers share one copy.
    labels: int64, (N,).
    """

    root: str
    names: np.ndarray
    labels: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> str:
        return os.path.join(self.root, os.fsdecode(self.names[index]))

    def subset(self, mask: Tensor) -> "Part":
        """The files where the mask is true."""
        return replace(self, names=self.names[mask.numpy()], labels=self.labels[mask])


@dataclass(frozen=True, eq=False, repr=False)
class Folder:
    """A folder of images that `check` found to be in order.

    classes: the names of the labels 0 ... len(classes) - 1. parts: "train" and "val". sha256: of the names and sizes of
    all files, so that two runs on different images can be told apart.
    """

    path: Path
    classes: tuple[str, ...]
    parts: Table
    sha256: str

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(part)} {name}" for name, part in self.parts.items())
        return f"Folder {self.path.name} of {len(self.classes)} classes: {sizes}"

    def holdout(self, size: int, seed: int = 0) -> "Folder":
        """The same with `size` images of "train" moved to a new part "held_out", as `ftpkit.data.holdout` divides."""
        train, held = holdout(self.parts["train"], size, seed)
        parts = Table({**self.parts, "train": train, "held_out": held}, kind="part of the folder")
        return replace(self, parts=parts)


def check(path: str | Path, progress: bool | None = None) -> Folder:
    """Look at a folder with train/CLASS/IMAGES and val/CLASS/IMAGES (or test/CLASS/IMAGES), and at every file's header.

    Classes are the sorted names of the folders in train/, as for torchvision's ImageFolder, but that hidden folders and
    files (".ipynb_checkpoints", "._n0.JPEG") do not count. progress: a bar on stderr, by default only on a terminal.
    A file that is cut off behind its header is only found out when `batches` decodes it.

    Raises FileNotFoundError where train/ or val/ is missing; ValueError where one has no class folders, for classes
    without images in either, for classes in val/ that train/ does not have, and for files that are empty, no images or
    not of 8 bits per channel (it names ten of them); ImportError where torchvision is missing.
    """
    _transforms()
    path = Path(path).expanduser().resolve()
    classes, roots, files = find_images(path, ("val", "test"))
    for root, found in zip(roots, files, strict=True):
        refuse_empty(root, classes, found)
    below = len(os.path.join(path, ""))
    names = [[os.fsencode(file[below:]) for of_class in found for file in of_class] for found in files]
    digest = _look_at_all(path, [name for found in names for name in found], progress)
    counts = [torch.tensor([len(of_class) for of_class in found]) for found in files]
    parts = [
        Part(str(path), np.array(found), torch.arange(len(classes)).repeat_interleave(count))
        for found, count in zip(names, counts, strict=True)
    ]
    return Folder(path, classes, Table(zip(("train", "val"), parts, strict=True), kind="part of the folder"), digest)


def _look_at_all(root: Path, names: list[bytes], progress: bool | None) -> str:
    """SHA-256 of the names and sizes of these files; raises ValueError when some of them cannot be used."""
    chunks = [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]
    digest, refused = hashlib.sha256(), []
    bar = tqdm(total=len(names), desc="looking at", unit=" images", disable=None if progress is None else not progress)
    with bar, ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(lambda chunk: [(name, *_look(root, name)) for name in chunk], chunks):
            for name, size, problem in found:
                digest.update(name + b" %d\n" % size)
                if problem:
                    refused.append(f"{os.fsdecode(name)} ({problem})")
            bar.update(len(found))
    if refused:
        raise ValueError(
            f"{len(refused)} of {len(names)} images in {root} cannot be used; replace or delete them: {some(refused)}"
        )
    return digest.hexdigest()


def _look(root: Path, name: bytes) -> tuple[int, str]:
    """The size of a file in bytes, and what is wrong with its header, if anything."""
    from PIL import Image, UnidentifiedImageError

    path = os.path.join(root, os.fsdecode(name))
    size = 0
    try:
        size = os.stat(path).st_size
        with Image.open(path) as image:
            return size, f"its mode is {image.mode}, not 8 bits per channel" if image.mode[0] in "IF" else ""
    except UnidentifiedImageError:
        return size, "no image" if size else "empty"
    except Exception as error:  # what a broken header leads to is every format's own choice
        return size, _reason(error)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def batches(
    folder: Folder,
    part: str,
    batch_size: int,
    *,
    train: bool = False,
    generator: torch.Generator | None = None,
    workers: int = 0,
    shard: tuple[int, int] = (0, 1),
    resize: int = 256,
    crop: int = 224,
    flip: bool = True,
    device: torch.device | str = "cpu",
) -> "FileBatches":
    """Batches of a part of the folder, decoded while they are asked for, the shorter side scaled to `resize` pixels.

    train: in a new order each time, a random window of `crop` x `crop` pixels, mirrored or not if `flip`; otherwise in
    order, the window in the middle. generator: a CPU one that draws the order and, for each image of the epoch, the
    seed of its own window and mirroring, so that neither depends on `workers`, the number of processes that decode (0:
    this one). shard: (rank, world), this process's part of every batch; where all draw from equal generators, the parts
    together are the batch. Grey, palette, RGBA and CMYK images become RGB.

    Raises ValueError for numbers that make no sense and a crop larger than the resized image, UnknownName (a
    ValueError) for a part that is not there; ImportError where torchvision is missing.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as place:
    ...     for name in ("train/cat", "train/dog", "val/cat", "val/dog"):
    ...         (Path(place) / name).mkdir(parents=True)
    ...         Image.new("L", (500, 375)).save(Path(place) / name / "0.jpg")
    ...     folder = check(place)
    ...     x, y = next(batches(folder, "train", 2).iterate())
    >>> x.shape, y, folder.classes
    (torch.Size([2, 3, 224, 224]), tensor([0, 1]), ('cat', 'dog'))
    """
    counts = {"batch_size": (batch_size, 1), "resize": (resize, 1), "crop": (crop, 1), "workers": (workers, 0)}
    for name, (value, least) in counts.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} is a whole number of at least {least}, not {value!r}")
    if crop > resize:
        raise ValueError(f"crop={crop} does not fit into images whose shorter side is resize={resize}: make it smaller")
    rank, world = shard
    if not 0 <= rank < world:
        raise ValueError(f"shard is (rank, world) with rank from 0 to world - 1, not {shard}")
    v2 = _transforms()
    window = [v2.RandomCrop(crop), v2.RandomHorizontalFlip(0.5 if flip else 0.0)] if train else [v2.CenterCrop(crop)]
    files = _Files(folder.parts[part], v2.Compose([v2.Resize(resize), *window, v2.PILToTensor()]), crop)
    return FileBatches(files, batch_size, train, generator, workers, shard, as_device(device))


def _transforms():
    try:
        from torchvision.transforms import v2
    except ImportError as error:
        raise ImportError("images of any size are read by torchvision: pip install torchvision") from error
    return v2


@dataclass(frozen=True, eq=False)
class FileBatches:
    """What `batches` returns: (x, y) with x normalised by `MEAN_STD`, (B, 3, crop, crop), and labels y, on the device.

    The last batch may be smaller. A file that turns out to be broken ends the iteration with a ValueError that names
    it. Workers live as long as one iteration.
    """

    files: "_Files"
    batch_size: int
    train: bool
    generator: torch.Generator | None
    workers: int
    shard: tuple[int, int]
    device: torch.device

    @property
    def images(self) -> int:
        """How many images an epoch has, in all shards together."""
        return len(self.files.part)

    def __len__(self) -> int:
        return math.ceil(self.images / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.iterate()

    def iterate(self, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch without its first `skip` batches, whose files are not opened: the rest is as if they had been."""
        loader = DataLoader(
            self.files,
            batch_size=None,  # the files come in batches already
            sampler=self._draw(skip),
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_heed_the_parent_only,
            generator=torch.Generator(),  # or it would draw from torch's own, which is for the model
        )
        for batch in loader:  # nothing else holds the iterator, so however this ends, the workers end with it
            if isinstance(batch, str):
                raise ValueError(batch)
            images, labels = (tensor.to(self.device, non_blocking=True) for tensor in batch)
            yield normalize(MEAN_STD, images), labels

    def _draw(self, skip: int) -> Iterator[list[tuple[int, int]]]:
        """For each batch that is left: index and seed of each image of this shard's part."""
        n, (rank, world) = self.images, self.shard
        order, seeds = torch.arange(n), torch.zeros(n, dtype=torch.int64)
        if self.train:
            order = torch.randperm(n, generator=self.generator)
            seeds = torch.randint(2**32, (n,), generator=self.generator)
        for start in range(skip * self.batch_size, n, self.batch_size):
            size = min(self.batch_size, n - start)
            part = slice(start + rank * size // world, start + (rank + 1) * size // world)
            yield list(zip(order[part].tolist(), seeds[part].tolist(), strict=True))


@dataclass(frozen=True, eq=False)
class _Files(Dataset):
    """What a worker holds: decodes the images of a batch, or returns the sentence that says why it cannot.

    An exception would come out of a worker wrapped in a traceback of the worker's.
    """

    part: Part
    transform: torch.nn.Module
    crop: int

    def __getitem__(self, batch: list[tuple[int, int]]) -> tuple[Tensor, Tensor] | str:
        from PIL import Image

        images = torch.empty((len(batch), 3, self.crop, self.crop), dtype=torch.uint8)
        for place, (index, seed) in enumerate(batch):
            path = self.part.path(index)
            try:
                with Image.open(path) as file:
                    image = file.convert("RGB")
            except Exception as error:  # of any kind, as in `_look`
                return f"{path} cannot be decoded ({_reason(error)}); put a whole copy in its place and go on"
            with torch.random.fork_rng(devices=[]):
                torch.random.default_generator.manual_seed(seed)
                images[place] = self.transform(image)
        return images, self.part.labels[[index for index, _ in batch]]


def _heed_the_parent_only(_worker: int) -> None:
    """Ctrl-C and the end of a job's time reach every process of a run: it is for the run to say when workers end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS and Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_the_parent_says, daemon=True).start()


def _end_when_the_parent_says() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
