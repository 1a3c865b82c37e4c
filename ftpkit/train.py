"""Training in one call: `fit`, with `evaluate` and `predict` beside it; the loop itself is in `ftpkit.loop`."""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batches import Batches
from .finite import NonFiniteError, finite_scores  # noqa: F401  (at hand where fit raises it)
from .loop import OPTIMIZERS, Training, check_budget, device_of
from .probe import undisturbed
from .splits import Split, as_device


def fit(
    model: nn.Module,
    train: Split,
    test: Split | None = None,
    *,
    epochs: int,
    lr: float,
    batch_size: int = 100,
    optimizer: str | Callable = "adam",
    weight_decay: float = 0.0,
    milestones: Iterable[int] = (),
    one_cycle: bool = False,
    crop: int = 0,
    flip: bool = False,
    seed: int = 0,
    device: torch.device | str | None = None,
    check_every: int = 20,
    progress: bool | None = None,
    on_epoch: Callable[[dict], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> list[dict]:
    """Train `model` in place on the split `train` by cross-entropy, and return one plain record per epoch.

    A record holds ``epoch`` (from 1), ``lr`` (of the epoch's first step), ``train_loss`` and ``train_accuracy`` (means
    over the epoch's batches, while the weights change), ``seconds`` and ``images_per_second`` (of training, without the
    evaluation; ``data_seconds`` of them went into making batches), and, given a `test` split, ``test_loss`` and
    ``test_accuracy`` after the epoch. `on_epoch` gets each record when its epoch is over, so
    ``on_epoch=records.append`` keeps them through a KeyboardInterrupt. `should_stop` is asked before each batch; when
    it says True, the records of the finished epochs are returned. The model ends in evaluation mode.

    optimizer: "adam", "sgd" (momentum 0.9), or a function ``(parameters, lr=, weight_decay=) -> torch Optimizer``.
    milestones: lr falls to a tenth after each of these epochs (the paper says 200 and 250; its code does it after 199
    and 249). one_cycle: torch's OneCycleLR, with its peak at `lr`, instead. crop, flip: see `Batches`.
    seed: the order of the images, crops, flips, and what the model draws (dropout); the caller's generators are left
    alone. The weights are the caller's: with ``torch.manual_seed(seed)`` before the model is built, a run repeats
    itself, on a CPU to the last bit. Unweighted rules get the scale 1 / (images in the batch).
    device: where to train, and where the model stays; by default where it is. The data follow the model.
    progress: a bar on stderr; by default only on a terminal, so that a notebook's output does not change.

    Raises NonFiniteError, with the layer's name and the history so far, when a weight, a pre-activation or the loss is
    not finite: loss and weights are looked at every `check_every` steps (without waiting for a GPU, unless it is 1),
    the outputs and pre-activations of all layers after every epoch. Raises ValueError for a budget that makes no sense,
    labels that the model has no output for, a batch of one under batch norm, an unknown optimizer, a device that is not
    there; TypeError for data that are no `Split`.

    >>> split = Split(torch.tensor([0, 255] * 8, dtype=torch.uint8).view(16, 1, 1, 1), torch.tensor([0, 1] * 8), 0, 1)
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    >>> history = fit(model, split, split, epochs=20, lr=0.1, batch_size=8)
    >>> [record["epoch"] for record in history][-1], history[-1]["test_accuracy"]
    (20, 1.0)
    """
    milestones = list(milestones)
    check_budget(epochs, lr, batch_size, milestones, one_cycle, check_every)
    if isinstance(optimizer, str):
        optimizer = OPTIMIZERS[optimizer]
    if device is not None:
        model.to(as_device(device))
    train, test = (split if split is None else _on(device_of(model), split) for split in (train, test))
    check_fit(model, train, test, batch_size)

    order = torch.Generator().manual_seed(seed)  # on the CPU, so that every device sees the same images
    training = Training(
        model,
        Batches(train, batch_size, shuffle=True, crop=crop, flip=flip, generator=order),
        None if test is None else lambda model: {f"test_{key}": value for key, value in evaluate(model, test).items()},
        epochs=epochs,
        lr=lr,
        optimizer=optimizer,
        weight_decay=weight_decay,
        milestones=milestones,
        one_cycle=one_cycle,
        seed=seed,
        check_every=check_every,
    )
    return training.run(on_epoch, should_stop, progress)


def evaluate(model: nn.Module, split: Split, batch_size: int = 1000) -> dict[str, float]:
    """Mean cross-entropy ``loss`` and ``accuracy`` of `model` on `split`, in evaluation mode, on the model's device.

    The model and its batch-norm statistics stay as they were. Raises NonFiniteError, with the layer's name, when an
    output or a pre-activation is not finite (a threshold hides NaN); ValueError for labels that the model has no output
    for.

    >>> split = Split(torch.zeros(3, 1, 1, 1, dtype=torch.uint8), torch.tensor([0, 0, 1]), 0, 1)
    >>> evaluate(nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False)), split)
    {'loss': 0.693147..., 'accuracy': 0.666666...}
    """
    scores = _scores_of(model, split, batch_size)
    labels = split.labels.to(scores.device)
    _check_labels(labels, scores)
    hits = int((scores.argmax(dim=1) == labels).sum())
    return {"loss": F.cross_entropy(scores, labels).item(), "accuracy": hits / len(labels)}


def predict(model: nn.Module, split: Split, batch_size: int = 1000) -> Tensor:
    """The class that `model` gives each image of `split`: int64, shape (N,), in order, on the device of the labels.

    So that two networks can be compared image by image: ``predict(a, test) == test.labels``. Raises as `evaluate`, but
    does not look at the labels.

    >>> split = Split(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1), torch.tensor([0, 1]), 0.5, 1)
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
    >>> _ = model[1].weight.data.copy_(torch.tensor([[-1.0], [1.0]]))
    >>> predict(model, split)
    tensor([0, 1])
    """
    return _scores_of(model, split, batch_size).argmax(dim=1).to(split.labels.device)


def _scores_of(model: nn.Module, split: Split, batch_size: int) -> Tensor:
    return finite_scores(model, Batches(_on(device_of(model), split), batch_size), "in evaluation")


# --- what fit asks of its arguments --------------------------------------------------------------------------------


def check_fit(model: nn.Module, train: Split, test: Split | None, batch_size: int, world: int = 1) -> None:
    """Run the model on two images before the training starts, so that what does not fit shows at once.

    world: into how many parts, each with batch norm of its own, processes divide a batch.
    """
    for split in [train] if test is None else [test, train]:
        x, _ = next(iter(Batches(split, 2)))
        with undisturbed(model):
            _check_labels(split.labels, model(x))
    images = len(train)

    def smallest(batch_size):
        return (images % batch_size or batch_size) // world

    if smallest(batch_size) == 1:
        try:
            with undisturbed(model, training=True):
                model(x[:1])
        except ValueError as error:
            larger = [size for size in range(batch_size + 1, images + 1) if smallest(size) > 1]
            whose = f" for one of {world} processes" if world > 1 else ""
            raise ValueError(
                f"with {images} images and batch_size={batch_size} a batch would hold a single image{whose}, from "
                f"which batch norm cannot take a variance; "
                + (f"take batch_size={larger[0]}" if larger else "take more images")
            ) from error


def _check_labels(labels: Tensor, scores: Tensor) -> None:
    if scores.ndim != 2:
        raise ValueError(
            f"the model must return one score per class, shape (batch, classes), not shape {tuple(scores.shape)}"
        )
    low, high = (int(end) for end in labels.aminmax())
    if low < 0 or high >= scores.shape[1]:
        raise ValueError(
            f"label {low if low < 0 else high} has no output: the model has {scores.shape[1]}, for labels 0 to "
            f"{scores.shape[1] - 1}; build it with more classes, or look for a mistake in the labels"
        )


def _on(device: torch.device, split: Split) -> Split:
    if not isinstance(split, Split):
        raise TypeError(f"this needs a Split, such as data.load(name).train, not a {type(split).__name__}")
    return split.to(device)
