"""Training: `fit`, the loop that everyone can read, with `evaluate` and `predict` beside it."""

import math
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from functools import partial
from numbers import Integral

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from .activations import set_scale
from .batches import Batches
from .finite import Guard, NonFiniteError, finite_scores
from .losses import Table
from .probe import undisturbed
from .splits import Split, as_device

OPTIMIZERS = Table(
    {
        "adam": partial(torch.optim.Adam, fused=True),
        "sgd": partial(torch.optim.SGD, momentum=0.9, fused=True),
    },
    kind="optimizer",
)


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
    evaluation), and, given a `test` split, ``test_loss`` and ``test_accuracy`` after the epoch. `on_epoch` gets each
    record when its epoch is over, so ``on_epoch=records.append`` keeps them through a KeyboardInterrupt. `should_stop`
    is asked before each batch; when it says True, the records of the finished epochs are returned. The model ends in
    evaluation mode.

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
    _check_budget(epochs, lr, batch_size, milestones, one_cycle, check_every)
    make_optimizer = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    if device is not None:
        model.to(as_device(device))
    device = _device(model)
    train, test = _on(device, train), None if test is None else _on(device, test)
    _check_fit(model, train, test, batch_size)

    order = torch.Generator().manual_seed(seed)  # on the CPU, so that every device sees the same images
    batches = Batches(train, batch_size, shuffle=True, crop=crop, flip=flip, generator=order)
    optimizer = make_optimizer(_trainable(model), lr=lr, weight_decay=weight_decay)
    schedule = _schedule(optimizer, lr, epochs, len(batches), milestones, one_cycle)
    guard = Guard(model, check_every)
    bar = tqdm(total=epochs * len(batches), unit="batch", disable=None if progress is None else not progress)
    history = []
    try:
        with bar, _seeded(seed, device):
            for epoch in range(1, epochs + 1):
                model.train()
                record = {"epoch": epoch, "lr": schedule.get_last_lr()[0]}
                total_loss, correct, start = 0.0, 0, time.perf_counter()
                for x, y in batches:
                    if should_stop is not None and should_stop():
                        return history
                    set_scale(model, 1 / len(x))
                    scores = model(x)
                    loss = F.cross_entropy(scores, y)
                    optimizer.zero_grad()
                    loss.backward()
                    total_loss += len(x) * loss.detach()
                    correct += (scores.argmax(dim=1) == y).sum()
                    guard.look(total_loss, x)
                    optimizer.step()
                    schedule.step()
                    bar.update()
                record["train_loss"] = float(total_loss) / len(train)  # the first wait for the device
                record["train_accuracy"] = int(correct) / len(train)
                record["seconds"] = time.perf_counter() - start
                record["images_per_second"] = len(train) / record["seconds"]
                if test is None:
                    finite_scores(model, [(x, y)], f"after epoch {epoch}")
                else:
                    record |= {f"test_{key}": value for key, value in evaluate(model, test).items()}
                history.append(record)
                bar.set_postfix({key: record[key] for key in record if key.endswith("accuracy")})
                if on_epoch is not None:
                    on_epoch(record)
    except NonFiniteError as error:
        error.history = history
        raise
    finally:
        model.eval()
    return history


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
    return finite_scores(model, Batches(_on(_device(model), split), batch_size), "in evaluation")


# --- what fit asks of its arguments --------------------------------------------------------------------------------


def _check_budget(epochs, lr, batch_size, milestones, one_cycle, check_every) -> None:
    counts = {"epochs": epochs, "batch_size": batch_size, "check_every": check_every}
    counts |= {f"milestones[{i}]": epoch for i, epoch in enumerate(milestones)}
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} is a whole number of at least 1, not {value!r}")
    if not (math.isfinite(lr) and lr > 0):
        raise ValueError(f"lr is a positive number, for Adam about 1e-3, not {lr!r}")
    if one_cycle and milestones:
        raise ValueError("one_cycle and milestones are two schedules for the same learning rate: choose one")


def _check_fit(model: nn.Module, train: Split, test: Split | None, batch_size: int) -> None:
    """Run the model on two images before the training starts, so that what does not fit shows at once."""
    for split in [train] if test is None else [test, train]:
        x, _ = next(iter(Batches(split, 2)))
        with undisturbed(model):
            _check_labels(split.labels, model(x))
    images = len(train)
    if batch_size == 1 or images % batch_size == 1:
        try:
            with undisturbed(model, training=True):
                model(x[:1])
        except ValueError as error:
            larger = [size for size in range(batch_size + 1, images + 1) if images % size != 1]
            raise ValueError(
                f"with {images} images and batch_size={batch_size} a batch would hold a single image, from which batch "
                f"norm cannot take a variance; " + (f"take batch_size={larger[0]}" if larger else "take more images")
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


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("the model has no weights to train: no parameter of it requires a gradient")
    return parameters


def _device(model: nn.Module) -> torch.device:
    """The one device that the model is on."""
    devices = {tensor.device for tensor in _tensors(model)} or {torch.device("cpu")}
    if len(devices) > 1:
        names = ", ".join(sorted(map(str, devices)))
        raise ValueError(f"the model lies on several devices ({names}): move it to one with model.to(device)")
    return devices.pop()


def _schedule(optimizer, lr, epochs, steps, milestones, one_cycle) -> torch.optim.lr_scheduler.LRScheduler:
    """A schedule that is told of every step, not of every epoch, so that both kinds look alike to the loop."""
    if one_cycle:
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * steps)
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, [epoch * steps for epoch in milestones], gamma=0.1)


@contextmanager
def _seeded(seed: int, device: torch.device):
    """Seed torch's own generators, and give them back as they were."""
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.random.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.default_generators[device.index].manual_seed(seed)
        yield
