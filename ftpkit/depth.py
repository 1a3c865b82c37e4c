"""Gradients that vanish or explode with depth, and outputs that flip during training: what notebook 04 measures.

The same two functions serve the notebook's live seed and the command `python -m ftpkit depth`, which takes ten seeds
and writes the bands that the live seed is checked against.
"""

import argparse
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm

from . import data, probe, race, train
from .data import Split
from .models import MLP

CONTESTANTS = ("relu", "sign:STE", "sign:SSTE", "sign:FTP-SH", "sign:Hinge", "sign:SquaredHinge")


@dataclass(frozen=True)
class Plan:
    """What is measured: at the start for every contestant, depth and seed; during training for every rule and lr."""

    contestants: tuple[str, ...] = CONTESTANTS
    depths: tuple[int, ...] = (2, 4, 8, 16)
    width: int = 128
    images: int = 500
    flippers: tuple[str, ...] = ("sign:STE", "sign:SSTE", "sign:FTP-SH")
    lrs: tuple[float, ...] = (1e-3, 5e-4)
    epochs: int = 6
    train_size: int = 2000
    seeds: int = 10


PLAN = Plan()


def gradients(contestant: str, depth: int, batch_norm: bool, seed: int, plan: Plan = PLAN) -> list[dict]:
    """Gradient and targets at each of `depth` hidden layers of an untrained MLP; one record per layer, first one first.

    One forward and one backward pass with `plan.images` bundled training images in training mode. ``size``: the root of
    the mean square of g = dL/dh over units and images, divided by that of the last hidden layer, whose entry is 1.
    ``disagree``: share of units and images whose target is not their output (see `probe.record`); None for ReLU.

    >>> layers = gradients("sign:STE", depth=4, batch_norm=False, seed=0)
    >>> len(layers), layers[-1]["size"], 0.1 < layers[0]["size"] < 0.3  # (1 / 3) ** 0.5 for each of three layers
    (4, 1.0, True)
    """
    split = _bundled().subset(plan.images)
    torch.manual_seed(seed)
    model = MLP(race.as_activation(contestant), hidden=(plan.width,) * depth, batch_norm=batch_norm)
    with probe.record(model) as log:
        F.cross_entropy(model(data.normalize(split, split.images)), split.labels).backward()
    last = log.records[-1]["grad_h_rms"]
    return [{"size": record["grad_h_rms"] / last, "disagree": record["disagree"]} for record in log.records]


def flips(rule: str, lr: float, seed: int, plan: Plan = PLAN) -> list[dict[str, float]]:
    """Train an MLP with two hidden layers of 256 for `plan.epochs` epochs; one record per epoch.

    A record maps "act1" and "act2" to the flip ratio since the epoch before (see `probe.flips`) on `plan.images` images
    that are not trained on, and "accuracy" to the accuracy on them. Adam at a constant rate `lr`, batches of 100.
    """
    fit_on, watched = _split(plan)
    torch.manual_seed(seed)
    model = MLP(race.as_activation(rule))
    records = []
    with probe.flips(model, data.normalize(watched, watched.images)) as since:

        def note(record):
            records.append(since.measure() | {"accuracy": record["test_accuracy"]})

        train.fit(model, fit_on, watched, epochs=plan.epochs, lr=lr, seed=seed, on_epoch=note, progress=False)
    return records


def _split(plan: Plan) -> tuple[Split, Split]:
    return data.holdout(data.holdout(_bundled(), plan.train_size + plan.images)[1], plan.images)


@cache
def _bundled() -> Split:
    return data.load("fashion-mnist-12k").train


def run(plan: Plan = PLAN, out: Path | None = None, progress: bool = True) -> dict:
    """Measure everything in the plan and return it as plain data; writes `out`, a JSON file.

    ``gradients`` and ``flips`` are lists of records with the arguments of the function of that name and its ``result``.
    """
    jobs = [
        (gradients, dict(contestant=contestant, depth=depth, batch_norm=batch_norm, seed=seed))
        for contestant in plan.contestants
        for depth in plan.depths
        for batch_norm in (False, True)
        for seed in range(plan.seeds)
    ]
    jobs += [
        (flips, dict(rule=rule, lr=lr, seed=seed))
        for rule in plan.flippers
        for lr in plan.lrs
        for seed in range(plan.seeds)
    ]
    result = {"settings": asdict(plan), "provenance": race.provenance(), "gradients": [], "flips": []}
    for measure, arguments in tqdm(jobs, disable=not progress):
        result[measure.__name__].append({**arguments, "result": measure(**arguments, plan=plan)})
    if out is not None:
        race.write(out, result)
    return result


def load() -> dict:
    """The committed measurements; FileNotFoundError names the command that makes them."""
    return race.committed("depth.json", "depth")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=PLAN.seeds, help=f"networks of each kind (default {PLAN.seeds})")
    parser.add_argument("--out", type=Path, default=race.RESULTS / "depth.json", help="JSON file to write")


def main(args: argparse.Namespace) -> int:
    run(Plan(seeds=args.seeds), args.out)
    print(f"wrote {args.out}")
    return 0
