"""Images with their labels: a `Split`; a training and a test split: a `DataSet`; and how to divide them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Images with their labels, and the statistics that normalise them.

    images: uint8, (N, C, H, W), N >= 1. labels: int64, (N,), >= 0, on the images' device. mean, std: one number per
    channel, or one for all, of images / 255; without them those of these images (a constant channel has std 1). Raises
    TypeError or ValueError for anything else.

    >>> split = Split(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1), torch.tensor([0, 1]))
    >>> split, split.mean, split.std
    (Split of 2 images 1x1x1 on cpu, (0.5,), (0.5,))
    """

    images: Tensor
    labels: Tensor
    mean: tuple[float, ...] | float | None = None
    std: tuple[float, ...] | float | None = None

    def __post_init__(self):
        _check_images(self.images)
        _check_labels(self.labels, self.images)
        mean, std = (_per_channel(getattr(self, name), name, self.images.shape[1]) for name in ("mean", "std"))
        if mean is None or std is None:
            measured = _statistics(self.images)
            mean, std = mean or measured[0], std or measured[1]
        if min(std) <= 0:
            raise ValueError(f"std must be positive in every channel, got {std}")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.images.shape[1:]))
        return f"Split of {len(self)} images {shape} on {self.images.device}"

    def subset(self, which: int | Sequence[int] | Tensor) -> "Split":
        """The first `which` images, or those at these indices, or where this mask is true; mean and std stay.

        Raises ValueError for a number outside 1 ... len(self) and for no index, IndexError for an index out of range.

        >>> from ftpkit.data import load
        >>> test = load("fashion-mnist-12k").test
        >>> len(test.subset(100)), len(test.subset([3, 0])), len(test.subset(test.labels == 7))
        (100, 2, 200)
        """
        if isinstance(which, int):
            if not 1 <= which <= len(self):
                raise ValueError(f"a subset of {which} images; choose between 1 and all {len(self)}")
            which = slice(which)
        elif len(which) == 0:
            raise ValueError("a subset of no images; give at least one index")
        else:
            which = torch.as_tensor(which, device=self.images.device)
        return replace(self, images=self.images[which], labels=self.labels[which])

    def to(self, device: torch.device | str) -> "Split":
        """The same on another device. Raises ValueError for a device that is not there."""
        device = as_device(device)
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, eq=False, repr=False)
class DataSet:
    """A training and a test split of one shape and of the same classes, normalised alike.

    classes: the names of the labels 0 ... len(classes) - 1. Raises ValueError when a label has no class or when the
    shapes of the images differ.

    >>> from ftpkit.data import load
    >>> load("fashion-mnist-12k")
    DataSet fashion-mnist-12k: 10000 training and 2000 test images 1x28x28, 10 classes, on cpu
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]

    def __post_init__(self):
        if self.train.images.shape[1:] != self.test.images.shape[1:]:
            shapes = [tuple(split.images.shape[1:]) for split in (self.train, self.test)]
            raise ValueError(f"{self.name}: training images are {shapes[0]} and test images {shapes[1]}")
        largest = max(int(split.labels.max()) for split in (self.train, self.test))
        if largest >= len(self.classes):
            raise ValueError(
                f"{self.name}: label {largest} is out of range; {len(self.classes)} classes have the labels 0 to "
                f"{len(self.classes) - 1}"
            )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W), as the models take it."""
        return tuple(self.train.images.shape[1:])

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        return (
            f"DataSet {self.name}: {len(self.train)} training and {len(self.test)} test images {shape}, "
            f"{self.num_classes} classes, on {self.train.images.device}"
        )


def holdout(split: Split, size: int, seed: int = 0) -> tuple[Split, Split]:
    """Divide a split at random into (rest, held out), every class in the same proportion, to within one image.

    size: how many images to hold out, 1 ... len(split) - 1. Both keep the order, mean and std of the split; the same
    seed gives the same division on every device. Raises ValueError for another size.

    >>> from ftpkit.data import load
    >>> rest, held = holdout(load("fashion-mnist-12k").train, 2000)
    >>> len(rest), held.labels.bincount().tolist() == 10 * [200]
    (8000, True)
    """
    if not 1 <= size < len(split):
        raise ValueError(f"cannot hold out {size} of {len(split)} images; choose between 1 and {len(split) - 1}")
    labels = split.labels.cpu()
    counts = labels.bincount()
    share = counts.double() * size / len(labels)
    take = share.long()
    take[(share - take).argsort(descending=True, stable=True)[: size - int(take.sum())]] += 1

    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    by_class = order[labels[order].argsort(stable=True)]
    rank = torch.arange(len(labels)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
    held = torch.zeros(len(labels), dtype=torch.bool)
    held[by_class[rank < take.repeat_interleave(counts)]] = True
    return split.subset(~held), split.subset(held)


def two_classes(data: Split | DataSet, a: int | str, b: int | str) -> Split | DataSet:
    """Only the images of class a, relabelled 0, and of class b, relabelled 1; mean and std stay.

    data: a DataSet, where a and b are names or indices, or a Split, which knows indices only; returns the same kind.
    Raises ValueError for a class that is not there and for a = b.

    >>> from ftpkit.data import load
    >>> two_classes(load("fashion-mnist-12k"), "Sandal", "Ankle boot").classes
    ('Sandal', 'Ankle boot')
    """
    if isinstance(data, DataSet):
        a, b = (_class_index(data.classes, c) for c in (a, b))
        train, test = two_classes(data.train, a, b), two_classes(data.test, a, b)
        return DataSet(data.name, train, test, (data.classes[a], data.classes[b]))
    present = data.labels.unique().tolist()
    if a == b or a not in present or b not in present:
        raise ValueError(f"two different classes of {present} are needed, got {a!r} and {b!r}; names need the DataSet")
    pair = data.subset((data.labels == a) | (data.labels == b))
    return replace(pair, labels=(pair.labels == b).long())


def _class_index(classes: tuple[str, ...], c: int | str) -> int:
    if c in classes:
        return classes.index(c)
    if isinstance(c, int) and 0 <= c < len(classes):
        return c
    raise ValueError(f"there is no class {c!r}; the classes are {', '.join(classes)}, or 0 to {len(classes) - 1}")


def _check_images(images: Tensor) -> None:
    if images.dtype != torch.uint8:
        nan = ", with NaN in it" if images.is_floating_point() and images.isnan().any() else ""
        raise TypeError(f"images must be uint8, 0 to 255, got {images.dtype}{nan}; `Batches` makes normalised floats")
    if images.ndim != 4 or images.numel() == 0:
        raise ValueError(f"images must be (N, C, H, W) with at least one image, got {tuple(images.shape)}")


def _check_labels(labels: Tensor, images: Tensor) -> None:
    if labels.dtype != torch.int64:
        raise TypeError(f"labels must be int64, got {labels.dtype}; write labels.long()")
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{len(images)} images need labels of shape ({len(images)},), got {tuple(labels.shape)}")
    if labels.device != images.device:
        raise ValueError(f"images are on {images.device} and labels on {labels.device}; move both to one device")
    if (smallest := int(labels.min())) < 0:
        raise ValueError(f"label {smallest} is out of range; labels count from 0")


def _per_channel(value, name: str, channels: int) -> tuple[float, ...] | None:
    if value is None:
        return None
    values = tuple(map(float, value)) if isinstance(value, Sequence) else (float(value),) * channels
    if len(values) != channels or not all(map(math.isfinite, values)):
        raise ValueError(f"{name} must be one finite number for each of the {channels} channels, got {value}")
    return values


def _statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """mean and std of images / 255 in every channel, in float64 from the exact counts of the 256 levels."""
    levels = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.stack([channel.flatten().bincount(minlength=256) for channel in images.unbind(1)]).cpu()
    share = counts / counts.sum(1, keepdim=True).double()
    mean = share @ levels
    std = (share * (levels - mean[:, None]) ** 2).sum(1).sqrt()
    return tuple(mean.tolist()), tuple(s or 1.0 for s in std.tolist())


def as_device(name: torch.device | str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {str(name)!r} is not there ({reason}); device='cpu' always is") from error
    return device
