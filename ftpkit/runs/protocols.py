"""Protocols: how one figure is made of a run's epochs. Each takes the metrics of a finished run, an epoch a record."""

from collections.abc import Callable

import numpy as np

from ..losses import Table


def best(metrics: list[dict]) -> float:
    """The highest test accuracy of all epochs, the paper's protocol: the epoch is chosen on the test set itself.

    >>> best([{"test_accuracy": 0.5}, {"test_accuracy": 0.75}, {"test_accuracy": 0.25}])
    0.75
    """
    return max(record["test_accuracy"] for record in metrics)


def last(metrics: list[dict]) -> float:
    """The test accuracy after the last epoch: no epoch is chosen.

    >>> last([{"test_accuracy": 0.5}, {"test_accuracy": 0.75}, {"test_accuracy": 0.25}])
    0.25
    """
    return metrics[-1]["test_accuracy"]


def selected(metrics: list[dict]) -> float | None:
    """The epoch is chosen on one half of the test images and reported on the other; both ways, averaged.

    The halves are fixed and random, the same for all runs. Of epochs that tie, the first; None where a record does not
    say its halves.

    >>> selected([{"test_halves": [0.5, 1.0]}, {"test_halves": [0.75, 0.25]}])  # (0.25 + 0.5) / 2
    0.375
    """
    if not all("test_halves" in record for record in metrics):
        return None
    a, b = np.array([record["test_halves"] for record in metrics]).T
    return float(b[a.argmax()] + a[b.argmax()]) / 2


def val(metrics: list[dict]) -> float | None:
    """The test accuracy at the epoch with the best accuracy on held-out training images (--val); the first that ties.

    None for a run that held out none. Such a run saw fewer training images than the paper's.

    >>> val([{"val_accuracy": 0.5, "test_accuracy": 0.25}, {"val_accuracy": 0.25, "test_accuracy": 1.0}])
    0.25
    """
    if not all("val_accuracy" in record for record in metrics):
        return None
    return metrics[int(np.argmax([record["val_accuracy"] for record in metrics]))]["test_accuracy"]


PROTOCOLS: dict[str, Callable[[list[dict]], float | None]] = Table(
    {"best": best, "last": last, "selected": selected, "val": val}, kind="protocol"
)
MEANING = {
    "best": "the best of all epochs, chosen on the test set itself: the paper's protocol",
    "last": "after the last epoch",
    "selected": "epoch chosen on one fixed random half of the test set, reported on the other; both ways, averaged",
    "val": "epoch chosen on held-out training images; only runs with --val, which trained on fewer images",
}
