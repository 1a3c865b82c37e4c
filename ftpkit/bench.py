"""What a threshold costs beside nn.ReLU: passes over memory, which are exact, and time, which is measured.

`cost` counts. ``python -m ftpkit bench`` counts and measures: every number of seconds is divided by ReLU's of the same
round, and the contenders of a round run one after the other, so that a machine that slows down slows all of them.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .activations import QuantReLU, SaturatedReLU, Sign, Step
from .models import ConvNet4, ResNet
from .splits import Split
from .train import fit

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
IN_NETWORKS = ["nn.ReLU", "Sign, SSTE", "Sign, FTP-SH", "QuantReLU(3), FTP-SH"]
BARE = "nn.ReLU, bare loop"
NETWORKS = {  # with the batch for a CPU
    "ConvNet4": (lambda activation: ConvNet4(activation, (3, 32, 32), 10), 64),
    "ResNet-18": (lambda activation: ResNet(activation, (3, 32, 32), 10, depth=18), 16),
}
SHAPE, QUICK_SHAPE = (64, 64, 32, 32), (8, 64, 32, 32)


# --- counted ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What one forward and one backward pass of an activation move, per element of its input.

    forward, backward: operations that read or write a tensor of at least the input's size. bytes_moved: what they read
    and write. saved: tensors of at least that size that are kept for the backward pass; saved_bytes: theirs.
    """

    forward: int
    backward: int
    bytes_moved: float
    saved: int
    saved_bytes: float

    @property
    def passes(self) -> int:
        return self.forward + self.backward


def cost(activation: Callable[[Tensor], Tensor], size: int = 1024) -> Cost:
    """Count what `activation` does to a float32 tensor of `size` numbers; the same on every machine.

    Views and memory that is only reserved cost nothing; a pass that writes in place reads and writes.

    >>> cost(nn.ReLU())
    Cost(forward=1, backward=1, bytes_moved=20.0, saved=1, saved_bytes=4.0)
    """
    z, g, kept = torch.randn(size, requires_grad=True), torch.randn(size), {}

    def keep(tensor):
        if tensor.numel() >= size:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), _Counter(size) as forward:
        h = activation(z)
    with _Counter(size) as backward:
        torch.autograd.grad(h, z, g)
    moved = (forward.bytes + backward.bytes) / size
    return Cost(forward.passes, backward.passes, moved, len(kept), sum(kept.values()) / size)


class _Counter(TorchDispatchMode):
    """Counts the ATen operations that touch a tensor of at least `size` numbers, and the bytes they read and write."""

    def __init__(self, size: int):
        super().__init__()
        self.size, self.passes, self.bytes = size, 0, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        if not operation.is_view and "empty" not in operation.name():
            tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, Tensor) and x.numel() >= self.size]
            self.passes += bool(tensors)
            self.bytes += sum(x.numel() * x.element_size() for x in tensors)
        return out


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
    ratios = [ours / theirs for ours, theirs in zip(seconds[name], seconds[to], strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


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


def _network_timers(build, names: list[str], batch: int, steps: int, device: torch.device):
    """Timers of `steps` training steps of ``ftpkit.train.fit``, its check for finite numbers on as it is by default."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (batch * steps, 3, 32, 32), generator=generator, dtype=torch.uint8)
    split = Split(images, torch.randint(10, (batch * steps,), generator=generator)).to(device)

    def through_fit(name):
        model = build(ACTIVATIONS[name]).to(device)

        def measure():
            return fit(model, split, epochs=1, lr=1e-4, batch_size=batch, progress=False)[0]["seconds"]

        return measure

    return {name: through_fit(name) for name in names} | {
        BARE: _bare_timer(build(nn.ReLU).to(device), split, batch, steps, device)
    }


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


def main(args: argparse.Namespace) -> int:
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    rounds = args.rounds or (3 if args.quick else 7)
    shape = QUICK_SHAPE if args.quick else SHAPE
    print(_machine(device))

    print(f"\nOne activation, forward + backward on {shape}, float32; {3 * rounds} rounds: median ratio (min-max)")
    repeats = 2 if device.type == "cpu" else 50
    timers = {name: _activation_timer(make, shape, device, repeats) for name, make in ACTIVATIONS.items()}
    seconds = interleave(timers, 3 * rounds)
    rows = [("activation", "passes", "B/element", "saved B/el", "time / ReLU")]
    for name, make in ACTIVATIONS.items():
        c = cost(make())
        counted = f"{c.forward}+{c.backward}", f"{c.bytes_moved:g}", f"{c.saved_bytes:g}"
        rows.append((name, *counted, ratio(seconds, name)))
    _print_table(rows)

    steps = 2 if args.quick else 20  # fit looks at every twentieth step whether all numbers are finite
    for network, (build, batch) in NETWORKS.items():
        batch = args.batch or (8 if args.quick else batch if device.type == "cpu" else 256)
        print(f"\n{network} on 3x32x32, {steps} training steps of fit, batch {batch}; {rounds} rounds")
        seconds = interleave(_network_timers(build, IN_NETWORKS, batch, steps, device), rounds)
        rows = [("activations", "step / ReLU", "ms / step")]
        for name in seconds:
            rows.append((name, ratio(seconds, name), f"{1000 * statistics.median(seconds[name]) / steps:.1f}"))
        _print_table(rows)
    return 0


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
