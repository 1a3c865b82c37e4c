"""What a threshold costs beside nn.ReLU in time, which is measured, and in passes and bytes, which are counted.

``python -m ftpkit bench``: every number of seconds is divided by ReLU's of the same round, and the contenders of a
round run one after the other, so that a machine that slows down slows all of them.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from . import race
from .activations import QuantReLU, SaturatedReLU, Sign, Step
from .batches import Batches
from .cost import cost, saved_bytes
from .loop import COMPILE_MODES, PRECISIONS, Training
from .models import ConvNet4, ResNet
from .packed import packed
from .splits import Split

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "nn.ReLU": nn.ReLU,
    "Sign, STE": lambda: Sign("STE"),
    "Sign, SSTE": lambda: Sign("SSTE"),
    "Sign, FTP-SH": lambda: Sign("FTP-SH"),
    "Sign, Ramp": lambda: Sign("Ramp"),
    "Sign, Hinge": lambda: Sign("Hinge"),
    "Step, FTP-SH": lambda: Step("FTP-SH"),
    "QuantReLU(3), SSTE": lambda: QuantReLU(3, "SSTE"),
    "QuantReLU(3), FTP-SH": lambda: QuantReLU(3, "FTP-SH"),
    "QuantReLU(3, sum), SSTE": lambda: QuantReLU(3, "SSTE", form="sum"),
    "SaturatedReLU": SaturatedReLU,
}
PACKED = ", packed"
IN_NETWORKS = ["nn.ReLU", "Sign, SSTE", "Sign, FTP-SH", "QuantReLU(3), FTP-SH"]
IN_NETWORKS += [name + PACKED for name in IN_NETWORKS[1:]]
BARE = "nn.ReLU, bare loop"
NETWORKS = {  # with the batch for a CPU
    "ConvNet4": (lambda activation: ConvNet4(activation, (3, 32, 32), 10), 64),
    "ResNet-18": (lambda activation: ResNet(activation, (3, 32, 32), 10, depth=18), 16),
}
SHAPE, QUICK_SHAPE = (64, 64, 32, 32), (8, 64, 32, 32)


# --- measured --------------------------------------------------------------------------------------------------


def interleave(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every contender in every round, A B C, A B C, ...; a first round, to warm up, is thrown away.

    >>> interleave({"a": iter([9.0, 1.0, 2.0]).__next__, "b": iter([9.0, 3.0, 4.0]).__next__}, rounds=2)
    {'a': [1.0, 2.0], 'b': [3.0, 4.0]}
    """
    seconds = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, measure in contenders.items():
            taken = measure()
            if round_:
                seconds[name].append(taken)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, to: str = "nn.ReLU") -> str:
    """The median over the rounds of `name`'s time divided by that of `to`, with the smallest and the largest.

    >>> ratio({"a": [1.0, 2.0, 1.0], "b": [1.5, 2.0, 1.2]}, "b", to="a")
    '1.20 (1.00-1.50)'
    """
    median, low, high = _ratios(seconds, name, to)
    return f"{median:.2f} ({low:.2f}-{high:.2f})"


def _ratios(seconds: dict[str, list[float]], name: str, to: str = "nn.ReLU") -> list[float]:
    found = [ours / theirs for ours, theirs in zip(seconds[name], seconds[to], strict=True)]
    return [round(value, 4) for value in (statistics.median(found), min(found), max(found))]


def _activation_timer(make, shape: tuple[int, ...], device: torch.device, repeats: int) -> Callable[[], float]:
    activation, generator = make(), torch.Generator(device).manual_seed(0)
    z = torch.randn(shape, generator=generator, device=device).requires_grad_()
    g = torch.randn(shape, generator=generator, device=device)

    def measure():
        start = _now(device)
        for _ in range(repeats):
            torch.autograd.grad(activation(z), z, g)
        return _now(device) - start

    return measure


@dataclass
class _Trained:
    """A network that `Training` can be timed on, its watch for finite numbers on as it is by default."""

    model: nn.Module
    batches: Batches
    options: dict
    record: dict = field(default_factory=dict)  # of the last epoch

    def __call__(self) -> float:
        training = Training(self.model, self.batches, epochs=1, lr=1e-4, **self.options)
        (self.record,) = training.run(progress=False)
        return self.record["seconds"]

    def saved_bytes(self) -> int:
        x, _ = next(iter(self.batches))
        self.model.train()

        def forward():
            if self.options["memory"] == "plain":
                return self.model(x)
            with packed(self.model):
                return self.model(x)

        forward()  # what packs looks at some things the first time
        return saved_bytes(forward)


def _networks(build, names: list[str], batches: Batches, options: dict, device: torch.device) -> dict[str, _Trained]:
    networks = {}
    for name in names:
        memory = "packed" if name.endswith(PACKED) else "plain"
        model = build(ACTIVATIONS[name.removesuffix(PACKED)]).to(device)
        networks[name] = _Trained(model, batches, options | {"memory": memory})
    return networks


def _random_batches(batch: int, steps: int, device: torch.device) -> Batches:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (batch * steps, 3, 32, 32), generator=generator, dtype=torch.uint8)
    split = Split(images, torch.randint(10, (batch * steps,), generator=generator)).to(device)
    return Batches(split, batch, shuffle=True, crop=4, flip=True, generator=generator)


def _bare_timer(model: nn.Module, split: Split, batch: int, steps: int, device: torch.device) -> Callable[[], float]:
    """The least that a ReLU network's training can do: no batches cut and normalised, no records, no checks."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    x, y = split.images[:batch].float() / 255 - 0.5, split.labels[:batch]

    def measure():
        start = _now(device)
        for _ in range(steps):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return _now(device) - start

    return measure


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


# --- the command -----------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a smaller tensor, few steps of small batches, 3 rounds")
    parser.add_argument("--rounds", type=int, help="how often a network is timed (default 7, with --quick 3)")
    parser.add_argument("--batch", type=int, help="images in a training step, instead of the network's own number")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--threads", type=int, help="CPU threads of torch (default: torch's own choice)")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS, help="of the networks (default float32)")
    parser.add_argument("--channels-last", action="store_true", help="the networks' memory format")
    parser.add_argument("--compile", default="no", choices=COMPILE_MODES, help="the networks (default no); not packed")
    parser.add_argument("--out", type=Path, help="JSON file to write all ratios to: median, smallest, largest")


def main(args: argparse.Namespace) -> int:
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    rounds = args.rounds or (3 if args.quick else 7)
    print(_machine(device))
    found = {"machine": _machine(device), "rounds": rounds, "networks": {}}
    found["activations"] = _bench_activations(QUICK_SHAPE if args.quick else SHAPE, 3 * rounds, device)

    steps = 2 if args.quick else 20  # Training looks at every twentieth step whether all numbers are finite
    options = {"precision": args.precision, "channels_last": args.channels_last, "compile": args.compile}
    for network, (build, batch) in NETWORKS.items():
        batch = args.batch or (8 if args.quick else batch if device.type == "cpu" else 256)
        said = ", ".join(f"{key} {value}" for key, value in options.items() if value not in ("float32", False, "no"))
        print(f"\n{network} on 3x32x32, {steps} training steps, batch {batch}, {said or 'float32'}; {rounds} rounds")
        measured = _bench_network(build, _random_batches(batch, steps, device), rounds, options, device)
        found["networks"][network] = {"batch": batch} | measured
    if args.out:
        race.write(args.out, found)
    return 0


def _bench_activations(shape: tuple[int, ...], rounds: int, device: torch.device) -> dict[str, list[float]]:
    print(f"\nOne activation, forward + backward on {shape}, float32; {rounds} rounds: median ratio (min-max)")
    repeats = 2 if device.type == "cpu" else 50
    timers = {name: _activation_timer(make, shape, device, repeats) for name, make in ACTIVATIONS.items()}
    seconds = interleave(timers, rounds)
    rows = [("activation", "passes", "B/element", "saved B/el", "time / ReLU")]
    for name, make in ACTIVATIONS.items():
        c = cost(make())
        counted = f"{c.forward}+{c.backward}", f"{c.bytes_moved:g}", f"{c.saved_bytes:g}"
        rows.append((name, *counted, ratio(seconds, name)))
    _print_table(rows)
    return {name: _ratios(seconds, name) for name in ACTIVATIONS}


def _bench_network(build, batches: Batches, rounds: int, options: dict, device: torch.device) -> dict[str, dict]:
    """Saved bytes are those of float32 without options; data: the share of an epoch that waits for batches."""
    steps, size = len(batches), batches.batch_size
    names = [name for name in IN_NETWORKS if options["compile"] == "no" or not name.endswith(PACKED)]
    networks = _networks(build, names, batches, options, device)
    saved = {name: network.saved_bytes() for name, network in networks.items()}
    bare = _bare_timer(build(nn.ReLU).to(device), batches.split, size, steps, device)
    seconds = interleave(networks | {BARE: bare}, rounds)
    rows = [("activations", "step / ReLU", "ms / step", "saved MB", "saved / ReLU", "data")]
    for name in seconds:
        row = name, ratio(seconds, name), f"{1000 * statistics.median(seconds[name]) / steps:.1f}"
        if name != BARE:
            record = networks[name].record
            row += f"{saved[name] / 1e6:.1f}", f"{saved[name] / saved['nn.ReLU']:.2f}"
            row += (f"{100 * record['data_seconds'] / record['seconds']:.1f} %",)
        rows.append(row + ("",) * (len(rows[0]) - len(row)))
    _print_table(rows)
    return {"step": {name: _ratios(seconds, name) for name in seconds}, "saved_bytes": saved}


def _machine(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    threads = f", {torch.get_num_threads()} threads on {os.cpu_count()} cores" if device.type == "cpu" else ""
    if device.type == "cpu" and hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        threads += f"; other programs are at work here (load {os.getloadavg()[0]:.1f}), so times will scatter"
    return f"torch {torch.__version__}, Python {platform.python_version()}, {device.type} ({name}){threads}"


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *rest = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join([first, *rest]).rstrip(), flush=True)
