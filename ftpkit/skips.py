"""What a threshold on the skip path does to signal and gradient, and what thresholds do to a trained network.

The same functions serve notebook 07's live seed and the command `python -m ftpkit skips`, which takes ten seeds.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from . import data, models, names, race, train
from .data import Split
from .models import BasicBlock


@dataclass(frozen=True)
class Plan:
    """What is measured: at the start for every contestant, kind of skip path and seed; then networks with thresholds.

    skips: "none", "threshold", "real", see `Blocks`. blocks, width: of the chain; images: how many it sees. hardened:
    what torchvision's ResNet-18 gets for its ReLUs after `epochs` on `train_size` images; it goes on for `more` epochs.
    """

    contestants: tuple[str, ...] = (
        *("relu", "sign:STE", "sign:SSTE", "sign:FTP-SH"),
        *("staircase-5:SSTE", "staircase-5:FTP-SH"),
    )
    skips: tuple[str, ...] = ("none", "threshold", "real")
    blocks: int = 24
    width: int = 16
    images: int = 100
    hardened: tuple[str, ...] = ("sign:SSTE", "sign:FTP-SH", "staircase-5:SSTE", "staircase-5:FTP-SH")
    train_size: int = 1000
    epochs: int = 2
    more: int = 1
    batch_size: int = 50
    lr: float = 1e-3
    seeds: int = 10


PLAN = Plan()


# --- a chain of blocks, before training ---------------------------------------------------------------------------


class _NoSkip(BasicBlock):
    """The two convolutions of a block without anything around them."""

    def forward(self, x: Tensor) -> Tensor:
        return self.act2(self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x))))))


class Blocks(nn.Module):
    """A stem with stride 2, a chain of equal residual blocks, the average over positions, and one linear layer.

    skip: "threshold" and "real" as in `BasicBlock`; "none": the same convolutions, batch norms and activations with no
    path around them. Input (B, 1, H, W), output (B, 10).
    """

    def __init__(self, activation: models.Factory, skip: str, blocks: int, width: int):
        super().__init__()
        real = skip == "real"
        self.conv1 = nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.Identity() if real else activation()
        if skip == "none":
            self.blocks = nn.ModuleList(_NoSkip(activation, width, width, 1) for _ in range(blocks))
        else:
            self.blocks = nn.ModuleList(BasicBlock(activation, width, width, 1, skip) for _ in range(blocks))
        self.act_last = activation() if real else nn.Identity()
        self.fc = nn.Linear(width, 10)

    def stream(self, x: Tensor) -> list[Tensor]:
        """What runs from block to block: (B, width, H / 2, W / 2) behind the stem and behind each block."""
        places = [self.act1(self.bn1(self.conv1(x)))]
        for block in self.blocks:
            places.append(block(places[-1]))
        return places

    def head(self, h: Tensor) -> Tensor:
        return self.fc(self.act_last(h).mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stream(x)[-1])


def stream(contestant: str, skip: str, seed: int, plan: Plan = PLAN) -> dict[str, list[float]]:
    """Signal and gradient along the stream of an untrained chain: behind the stem, then behind each block.

    One forward and one backward pass with `plan.images` bundled training images in training mode. ``size``: the root of
    the mean square of dL/dh over units and images, divided by that behind the last block, whose entry is 1. ``left``:
    correlation with what the stem put out, over images and positions, each channel's mean taken off; the first is 1.

    >>> found = stream("sign:SSTE", "threshold", seed=0)
    >>> len(found["size"]), found["size"][-1], found["left"][0]
    (25, 1.0, 1.0)
    """
    split = data.load("fashion-mnist-12k").train.subset(plan.images)
    torch.manual_seed(seed)
    model = Blocks(names.as_activation(contestant), skip, plan.blocks, plan.width)
    places = model.stream(data.normalize(split, split.images))
    F.cross_entropy(model.head(places[-1]), split.labels).backward(inputs=places)
    sizes = [h.grad.double().square().mean().sqrt().item() for h in places]
    start = _centred(places[0])
    return {
        "size": [float(f"{size / sizes[-1]:.5g}") for size in sizes],
        "left": [round((start * _centred(h)).sum().item(), 5) for h in places],
    }


def _centred(h: Tensor) -> Tensor:
    """A feature map without its channels' means, of length 1."""
    h = h.detach().double()
    h = h - h.mean((0, 2, 3), keepdim=True)
    return h / h.norm()


# --- thresholds for a trained network -----------------------------------------------------------------------------


def torchvision_resnet18() -> nn.Module:
    """torchvision's ResNet-18 without weights, for 10 classes; its first convolution takes one grey channel."""
    import torchvision

    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    return model


@torch.no_grad()
def recount(model: nn.Module, split: Split, batch_size: int = 100) -> nn.Module:
    """Measure the running mean and variance of every batch norm anew, on all images of a split; weights stay.

    Returns the model in evaluation mode. What batch norm keeps was measured on the outputs of the layers below; when
    their activations are replaced, it is out of date.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    model.train()
    for x, _ in data.Batches(split.to(next(model.parameters()).device), batch_size):
        model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return model.eval()


def thresholds(seed: int, plan: Plan = PLAN) -> dict:
    """Train torchvision's ResNet-18, give copies of it thresholds and train them on; test accuracy at each stage.

    Returns ``before`` (with its ReLUs), ``relu`` (trained on as it is) and ``hardened``: by activation, ``at_once``
    (thresholds in place, nothing else changed), ``recounted`` (batch norm measured anew) and ``trained`` (on).
    Adam, one-cycle with the peak `plan.lr`, both times.
    """
    images = data.load("fashion-mnist-12k")
    few = data.holdout(images.train, plan.train_size)[1]

    def fit(model, epochs):
        budget = dict(epochs=epochs, batch_size=plan.batch_size, one_cycle=True, seed=seed, progress=False)
        train.fit(model, few, lr=plan.lr, **budget)
        return accuracy(model)

    def accuracy(model):
        return train.evaluate(model, images.test)["accuracy"]

    torch.manual_seed(seed)
    model = torchvision_resnet18()
    found = {"before": fit(model, plan.epochs), "hardened": {}}
    for contestant in plan.hardened:
        copied = models.harden(model, names.as_activation(contestant)).model
        stages = {"at_once": accuracy(copied), "recounted": accuracy(recount(copied, few))}
        found["hardened"][contestant] = stages | {"trained": fit(copied, plan.more)}
    found["relu"] = fit(model, plan.more)
    return found


# --- ten seeds ----------------------------------------------------------------------------------------------------


def run(plan: Plan = PLAN, out: Path | None = None, progress: bool = True) -> dict:
    """Measure everything in the plan and return it as plain data; writes `out`, a JSON file.

    ``stream`` and ``thresholds`` are lists of records: the arguments of the function of that name, and its ``result``.
    """
    jobs = [
        (stream, dict(contestant=contestant, skip=skip, seed=seed))
        for contestant in plan.contestants
        for skip in plan.skips
        for seed in range(plan.seeds)
    ]
    jobs += [(thresholds, dict(seed=seed)) for seed in range(plan.seeds)]
    result = {"settings": asdict(plan), "provenance": race.provenance(), "stream": [], "thresholds": []}
    for measure, arguments in tqdm(jobs, disable=not progress):
        result[measure.__name__].append({**arguments, "result": measure(**arguments, plan=plan)})
    if out is not None:
        race.write(out, result, json.dumps)
    return result


def load() -> dict:
    """The committed measurements; FileNotFoundError names the command that makes them."""
    return race.committed("skips.json", "skips")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=PLAN.seeds, help=f"networks of each kind (default {PLAN.seeds})")
    parser.add_argument("--out", type=Path, default=race.RESULTS / "skips.json", help="JSON file to write")


def main(args: argparse.Namespace) -> int:
    run(Plan(seeds=args.seeds), args.out)
    print(f"wrote {args.out}")
    return 0
