"""Batches of a split: drawn, cropped, flipped and normalised as whole tensors, with no loop over images."""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .splits import Split


def normalize(
    stats: Split | tuple[Sequence[float], Sequence[float]],
    images: Tensor,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """(images / 255 - mean) / std, computed in float32 at least.

    stats: a `Split`, or (mean, std) with one number per channel. images: uint8, (N, C, H, W). Returns the same shape in
    the floating `dtype`. Raises TypeError for other images and ValueError for another number of channels.

    >>> normalize(((0.2,), (0.4,)), torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1)).flatten()
    tensor([-0.5000,  0.0000,  2.0000])
    """
    _check(images)
    mean, std = stats if isinstance(stats, tuple) else (stats.mean, stats.std)
    if not len(mean) == len(std) == images.shape[1]:
        raise ValueError(f"images with {images.shape[1]} channels need as many means and stds, got {mean} and {std}")
    exact = torch.promote_types(dtype, torch.float32)
    mean, std = torch.tensor([mean, std], dtype=exact).view(2, -1, 1, 1).to(images.device, non_blocking=True)
    return images.to(exact).div_(255).sub_(mean).div_(std).to(dtype)


def augment(images: Tensor, generator: torch.Generator | None = None, crop: int = 4, flip: bool = True) -> Tensor:
    """Each image shifted by up to `crop` pixels both ways, zeros coming in at the borders, and mirrored or not.

    The same as padding by `crop` zeros on every side, cutting a window of the old size at a random place, and mirroring
    it left to right with probability 1/2. images: uint8, (N, C, H, W), any device. generator: a CPU one gives the same
    on every device. Returns new uint8 images (with crop=0 and flip=False the images themselves). Raises TypeError or
    ValueError for other images and for a crop outside 0 ... min(H, W).

    >>> images = torch.arange(4, dtype=torch.uint8).view(2, 1, 1, 2)
    >>> augment(images, torch.Generator().manual_seed(0), crop=0).tolist()
    [[[[0, 1]]], [[[3, 2]]]]
    """
    _check_crop(images, crop)
    return _moved(images, _draws(len(images), crop, flip, generator), crop, flip)


def _check_crop(images: Tensor, crop: int) -> None:
    _check(images)
    h, w = images.shape[2:]
    if not 0 <= crop <= min(h, w):
        raise ValueError(f"crop must be between 0 and {min(h, w)} for images of {h}x{w}, got {crop}")


def _draws(n: int, crop: int, flip: bool, generator: torch.Generator | None) -> Tensor | None:
    """One whole number per image, which says how it is moved and whether it is mirrored; None where nothing is."""
    if not crop and not flip:
        return None
    device = generator.device if generator else "cpu"
    return torch.randint((2 * crop + 1) ** 2 * (2 if flip else 1), (n, 1), generator=generator, device=device)


def _moved(images: Tensor, draw: Tensor | None, crop: int, flip: bool) -> Tensor:
    if draw is None:
        return images
    n, c, h, w = images.shape
    places, sides = 2 * crop + 1, 2 if flip else 1
    draw = draw.to(images.device, non_blocking=True)
    rows = torch.arange(h, device=images.device) + draw // sides // places
    cols = torch.arange(w, device=images.device)
    cols = torch.where(draw % sides == 1, w - 1 - cols, cols) + draw // sides % places
    pixels = (rows[:, :, None] * (w + 2 * crop) + cols[:, None, :]).view(n, 1, h * w)
    return F.pad(images, (crop,) * 4).flatten(2).gather(2, pixels.expand(n, c, h * w)).view(n, c, h, w)


def _check(images: Tensor) -> None:
    if images.dtype != torch.uint8:
        raise TypeError(f"images must be uint8, 0 to 255, got {images.dtype}; were they normalised already?")
    if images.ndim != 4:
        raise ValueError(f"images must be (N, C, H, W), got {tuple(images.shape)}")


class Batches:
    """A split in batches of (x, y): x normalised, of shape (B, C, H, W), and y int64 labels (B,), on its device.

    Each iteration goes once through all images, in their order or, with shuffle=True, in a new one; the last batch may
    be smaller. crop, flip: see `augment`. generator: draws the order and the augmentation; without one torch's global
    generator. shard: (rank, world), this process's part of every batch; where all draw from equal generators, the parts
    together are the batch, in its order. Raises TypeError for something that is no `Split` and ValueError for
    batch_size < 1 and a crop that does not fit.

    >>> from ftpkit import data
    >>> batches = Batches(data.load("fashion-mnist-12k").test, 128, shuffle=True)
    >>> len(batches), [tuple(x.shape) for x, y in batches][-1]
    (16, (80, 1, 28, 28))
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        shuffle: bool = False,
        crop: int = 0,
        flip: bool = False,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        shard: tuple[int, int] = (0, 1),
    ):
        if not isinstance(split, Split):
            raise TypeError(f"Batches needs a Split, such as data.load(name).train, got {type(split).__name__}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        _check_crop(split.images, crop)
        self.split, self.batch_size = split, batch_size
        self.shuffle, self.crop, self.flip = shuffle, crop, flip
        self.generator, self.dtype, self.shard = generator, dtype, shard

    @property
    def images(self) -> int:
        """How many images an epoch has, in all shards together."""
        return len(self.split)

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.iterate()

    def iterate(self, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch without its first `skip` batches: the rest is drawn as if they had been there."""
        n, (rank, world) = len(self.split), self.shard
        order = self._order() if self.shuffle else None
        for start in range(0, n, self.batch_size):
            size = min(self.batch_size, n - start)
            draws = _draws(size, self.crop, self.flip, self.generator)
            if start < skip * self.batch_size:
                continue
            part = slice(rank * size // world, (rank + 1) * size // world)
            index = slice(start + part.start, start + part.stop)
            index = index if order is None else order[index]
            x = _moved(self.split.images[index], None if draws is None else draws[part], self.crop, self.flip)
            yield normalize(self.split, x, self.dtype), self.split.labels[index]

    def _order(self) -> Tensor:
        device = self.generator.device if self.generator else "cpu"
        order = torch.randperm(len(self.split), generator=self.generator, device=device)
        return order.to(self.split.images.device)
