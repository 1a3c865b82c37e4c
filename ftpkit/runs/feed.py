"""What a run trains on and is judged by: its data set cut into batches, in memory or read file by file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import imagenet
from ..batches import Batches
from ..finite import finite_scores
from ..losses import Table
from ..processes import ALONE, Processes
from ..splits import DataSet, Split, holdout
from ..train import check_fit
from .config import Config

HALVES_SEED = 20180430  # of the one division of each test set: the same for all runs
_TOP = 5
_AT_ONCE = 1000  # images that are judged at once where they are small


@dataclass(frozen=True)
class Feed:
    """train: an epoch's batches. judged: "test" and, where images were held out, "val"; each a list of batches.

    The test images come in their two halves.
    """

    train: Batches | imagenet.FileBatches
    judged: dict[str, list]


def of_tensors(images: DataSet, config: Config, processes: Processes = ALONE) -> Feed:
    """Batches of a data set that lies, whole, on the device of each process."""
    device = processes.device
    train, held = holdout(images.train, config.val) if config.val else (images.train, None)
    judged = {"test": [images.test.subset(half) for half in halves(len(images.test))], "val": [held] if held else []}
    order = torch.Generator().manual_seed(config.seed)  # on the CPU, so that every device sees the same images
    return Feed(
        Batches(
            train.to(device),
            config.batch_size,
            shuffle=True,
            crop=config.crop,
            flip=config.flip,
            generator=order,
            shard=processes.shard,
        ),
        {
            name: [Batches(split.to(device), _AT_ONCE, shard=processes.shard) for split in splits]
            for name, splits in judged.items()
            if splits
        },
    )


def of_files(folder: imagenet.Folder, config: Config, workers: int, processes: Processes = ALONE) -> Feed:
    """Batches of a folder whose images are decoded, by so many workers of each process, while the training goes on."""
    if config.val:
        folder = folder.holdout(config.val)
    test = folder.parts["val"]
    parts = {f"half {i}": test.subset(half) for i, half in enumerate(halves(len(test)))}
    judged = {"test": list(parts), "val": ["held_out"] if config.val else []}
    folder = replace(folder, parts=Table({**folder.parts, **parts}, kind="part of the folder"))

    def cut(part: str, **options) -> imagenet.FileBatches:
        return imagenet.batches(
            folder,
            part,
            config.batch_size,
            workers=workers,
            shard=processes.shard,
            resize=config.resize,
            crop=config.crop,
            flip=config.flip,
            device=processes.device,
            **options,
        )

    order = torch.Generator().manual_seed(config.seed)
    return Feed(
        cut("train", train=True, generator=order),
        {name: [cut(part) for part in found] for name, found in judged.items() if found},
    )


def halves(images: int) -> list[Tensor]:
    """Two masks that divide so many test images at random, always in the same way; a single image is not divided.

    >>> [mask.tolist() for mask in halves(3)]
    [[True, False, False], [False, True, True]]
    """
    first = torch.zeros(images, dtype=torch.bool)
    first[torch.randperm(images, generator=torch.Generator().manual_seed(HALVES_SEED))[: images // 2]] = True
    return [first, ~first] if images > 1 else [~first]


def check(model: nn.Module, config: Config, images: int, processes: Processes = ALONE) -> None:
    """Raises ValueError where the network cannot be trained on so many images of that shape in batches of that size."""
    device = next(model.parameters()).device
    zeros = torch.zeros(1, *config.data.shape, dtype=torch.uint8, device=device).expand(images, -1, -1, -1)
    labels = torch.zeros(1, dtype=torch.int64, device=device).expand(images)
    world = 1 if device.type == "cuda" else processes.world  # on GPUs batch norm looks at the whole batch
    check_fit(model, Split(zeros, labels, 0.0, 1.0), None, config.batch_size, world)


def judge(feed: Feed, classes: int, processes: Processes = ALONE) -> Callable[[nn.Module], dict]:
    """What `loop.Training` calls after each epoch: model -> ``test_loss``, ``test_accuracy``, ``val_accuracy`` ...

    ``test_top5`` with more than 5 classes: the share of images whose class is among the five with the highest scores;
    ``test_halves``: the accuracy on either of the two `halves`.
    """

    def judged(model: nn.Module) -> dict:
        record = {}
        for name, parts in feed.judged.items():
            sums = torch.stack([processes.total(_sums(model, batches)) for batches in parts]).cpu()
            images, loss, right, among = sums.sum(0).tolist()
            record[f"{name}_loss"], record[f"{name}_accuracy"] = loss / images, right / images
            if name == "test" and classes > _TOP:
                record["test_top5"] = among / images
            if len(parts) == 2:
                record["test_halves"] = (sums[:, 2] / sums[:, 0]).tolist()
        return record

    return judged


def _sums(model: nn.Module, batches) -> Tensor:
    """Number of images, sum of their losses, how many are right, how many have their class among the five; float64.

    Of this process's parts of the batches, which may be empty.
    """
    noted = _Noted(batches)
    scores = finite_scores(model, noted, "in evaluation")
    if not noted.labels:
        return torch.zeros(4, dtype=torch.float64, device=next(model.parameters()).device)
    scores, labels = scores.to(torch.promote_types(scores.dtype, torch.float32)), torch.cat(noted.labels)
    among = scores.topk(min(_TOP, scores.shape[1])).indices == labels[:, None]
    right = scores.argmax(dim=1) == labels
    loss = F.cross_entropy(scores, labels, reduction="none").double().sum()
    return torch.stack([torch.full_like(loss, len(labels)), loss, right.sum().double(), among.sum().double()])


class _Noted:
    """Batches, but for empty parts of them, that keep the labels that went by."""

    def __init__(self, batches):
        self.batches, self.labels = batches, []

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in self.batches.iterate():
            if len(y):
                self.labels.append(y)
                yield x, y
