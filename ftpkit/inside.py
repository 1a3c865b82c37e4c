"""What happens inside the small convolutional networks of the live race, seed by seed: the bands of notebook 05."""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import data, models, probe, race, train
from .data import Split

CONTESTANTS = ("relu", "sign:FTP-SH", "staircase-3:FTP-SH")


def before_and_after(model: nn.Sequential, x: Tensor, *, training: bool = False) -> dict[str, tuple[Tensor, Tensor]]:
    """Pre-activation z and output h of every hidden layer of a chain, for the inputs x; leaves the model as it was.

    model: an `MLP`, a `ConvNet4` or another flat nn.Sequential. training: as in training, batch norm by this batch.
    Returns the name of each activation, first one first, with (z, h), dimension 0 the batch.

    >>> from ftpkit import Sign
    >>> z, h = before_and_after(nn.Sequential(nn.Identity(), Sign("SSTE")), torch.tensor([[-2.0, 3.0]]))["1"]
    >>> z.tolist(), h.tolist()
    ([[-2.0, 3.0]], [[-1.0, 1.0]])
    """
    found = {}
    with probe.undisturbed(model, training=training):
        for name, module in model.named_children():
            z, x = x, module(x)
            if isinstance(module, probe.Activation | nn.ReLU):
                found[name] = z, x
    return found


def layers(model: nn.Sequential, x: Tensor) -> list[dict]:
    """One record per hidden layer for the inputs x: ``depth``, ``saturated`` and ``dead`` as in `probe.record`.

    And ``levels``: the share of outputs on each level, lowest first; two shares for Sign (-1, +1) and Step, k + 1 for
    QuantReLU, two for ReLU (0, above), three for SaturatedReLU (0, between, 1).

    >>> from ftpkit import Sign
    >>> layers(nn.Sequential(Sign("SSTE")), torch.tensor([[-2.0, 0.5], [-3.0, -0.5]]))
    [{'depth': 1, 'saturated': 0.5, 'dead': 0.5, 'levels': [0.75, 0.25]}]
    """
    with probe.undisturbed(model), probe.record(model) as log:
        model(x)
    records = [{key: record[key] for key in ("depth", "saturated", "dead")} for record in log.records]
    for record, (name, (_, h)) in zip(records, before_and_after(model, x).items(), strict=True):
        level, count = _level(model.get_submodule(name), h)
        record["levels"] = [float(share) for share in level.flatten().bincount(minlength=count) / level.numel()]
    return records


def _level(module: nn.Module, h: Tensor) -> tuple[Tensor, int]:
    """The number of each output's level, from 0, and how many levels there are."""
    if isinstance(module, nn.ReLU):
        return (h > 0).long(), 2
    if isinstance(module, probe.SaturatedReLU):
        return (h > 0).long() + (h >= 1).long(), 3
    steps = getattr(module, "steps", None)
    return (h > 0).long() if steps is None else (h * steps).round().long(), (steps or 1) + 1


def one(contestant: str, seed: int, small: race.Race, few: Split, test: Split, images: int = 500) -> dict:
    """Train one network exactly as the race `small` does, and look inside with the first `images` test images.

    few: the race's training images. Returns the test ``accuracy``, ``layers`` as above, and ``filters_moved``: the norm
    of the first layer's change over the norm of its start.
    """
    torch.manual_seed(seed)
    model = models.ConvNet4(race.as_activation(contestant))
    start = model.conv1.weight.detach().clone()
    budget = dict(epochs=small.epochs, batch_size=small.batch_size, one_cycle=small.one_cycle, seed=seed)
    train.fit(model, few, lr=small.lrs[0], progress=False, **budget)
    x, _ = next(iter(data.Batches(test, images)))
    return {
        "contestant": contestant,
        "seed": seed,
        "accuracy": train.evaluate(model, test)["accuracy"],
        "filters_moved": float((model.conv1.weight.detach() - start).norm() / start.norm()),
        "layers": layers(model, x),
    }


def run(seeds: int = 10, out: Path | None = None, progress: bool = True) -> dict:
    """Look inside `CONTESTANTS` after the small race "convnet4-live", once per seed; writes `out`, a JSON file."""
    small = race.RACES["convnet4-live"]
    images = data.load("fashion-mnist-12k")
    few = data.holdout(images.train, small.train_size)[1]
    result = {"settings": {"race": "convnet4-live", "seeds": seeds, "images": 500}, "provenance": race.provenance()}
    jobs = [(contestant, seed) for contestant in CONTESTANTS for seed in range(seeds)]
    result["runs"] = [one(*job, small, few, images.test) for job in tqdm(jobs, disable=not progress)]
    if out is not None:
        race.write(out, result)
    return result


def load() -> dict:
    """The committed records; FileNotFoundError names the command that makes them."""
    return race.committed("inside_convnet4-live.json", "inside")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=10, help="networks of each kind (default 10)")
    parser.add_argument(
        "--out", type=Path, default=race.RESULTS / "inside_convnet4-live.json", help="JSON file to write"
    )


def main(args: argparse.Namespace) -> int:
    run(args.seeds, args.out)
    print(f"wrote {args.out}")
    return 0
