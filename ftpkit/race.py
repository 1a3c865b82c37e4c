"""Races: the same networks, seeds, images and budget under different activations and rules, and what may be concluded.

A race first chooses each contestant's learning rate from one common grid on held-out *training* images, then trains
every contestant once per seed on all training images and keeps, for each test image, whether it was classified
correctly: differences can be paired by seed and by image.
"""

import argparse
import base64
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import data, train
from .losses import Table
from .names import NETWORKS, as_activation, label  # noqa: F401  (label: at hand where a race's contestants are)
from .paired import Difference, difference  # noqa: F401  (a race's verdict, at hand where its result is)

RESULTS = Path(__file__).parent.parent / "data" / "results"


@dataclass(frozen=True)
class Race:
    """Everything that decides a race's result, so that two runs of one race can be told from runs of two races.

    network: a name in `NETWORKS`. contestants: see `as_activation`. lrs: the common grid of learning rates; with more
    than one, each contestant takes the best mean accuracy over `lr_seeds` seeds on `held_out` training images. seeds:
    how many final runs, with seeds 0, 1, ...; train_size: how many bundled training images, balanced by class. test:
    the data set whose test images count.
    """

    network: str
    contestants: tuple[str, ...]
    lrs: tuple[float, ...]
    epochs: int
    seeds: int = 10
    lr_seeds: int = 3
    held_out: int = 2000
    train_size: int = 10_000
    batch_size: int = 100
    one_cycle: bool = True
    test: str = "fashion-mnist"


_SIGNS = ("relu", *(f"sign:{rule}" for rule in "STE SSTE FTP-SH Ramp Hinge LogLoss Perceptron".split()))
_CONVNET = ("relu", "saturated-relu", "sign:SSTE", "sign:FTP-SH", "staircase-3:SSTE", "staircase-3:FTP-SH")
_STEPS = ("sign", "step", *(f"staircase-{k}" for k in (2, 3, 5, 9, 17)))  # 2, 2, 3, 4, 6, 10, 18 levels
_LEVELS = ("relu", "saturated-relu", *(f"{activation}:{rule}" for activation in _STEPS for rule in ("SSTE", "FTP-SH")))
_RESNET = ("relu", "sign:SSTE", "sign:FTP-SH", "staircase-5:SSTE", "staircase-5:FTP-SH")
_RESNET8 = Race(
    "resnet8", _RESNET, (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), epochs=2, lr_seeds=2, held_out=500, train_size=2000,
    batch_size=50, test="fashion-mnist-12k",
)  # fmt: skip

RACES = Table(
    {
        "mlp": Race("mlp", _SIGNS, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2), epochs=10),
        "mlp-live": Race("mlp", _SIGNS, (3e-3,), epochs=3, test="fashion-mnist-12k"),
        "levels": Race("mlp", _LEVELS, (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), epochs=10),
        "levels-live": Race("mlp", _LEVELS, (3e-3,), epochs=3, test="fashion-mnist-12k"),
        "convnet4-live": Race("convnet4", _CONVNET, (1e-3,), epochs=2, train_size=2000, test="fashion-mnist-12k"),
        "convnet4": Race("convnet4", _CONVNET, (3e-4, 1e-3, 3e-3, 1e-2), epochs=5, lr_seeds=1),
        "resnet8-live": _RESNET8,
        "resnet8-real-live": replace(_RESNET8, network="resnet8-real"),
    },
    kind="race",
)


def run(race: Race, out: Path | None = None, device: str = "cpu", progress: bool = True) -> dict:
    """Run a race and return its result as plain data: settings, provenance, chosen learning rates, one record per run.

    out: a JSON file, rewritten whole after every run; an interrupted race goes on where it stopped, and one with fewer
    seeds is carried on. Before anything is trained, raises UnknownName (a ValueError) for a network, contestant or rule
    that is not known, ValueError for a contestant named twice, for no seeds, or when `out` holds no race, and
    FileExistsError when `out` holds a race with other settings; it is left as it is.
    """
    check(race)
    result = _begun(race, out)
    if result is None:
        result = {"settings": _settings(race), "provenance": provenance(device), "lr_search": [], "runs": []}

    images = data.load("fashion-mnist-12k", device=device)
    train_split = images.train
    if race.train_size < len(train_split):
        train_split = data.holdout(train_split, race.train_size)[1]
    if len(race.lrs) > 1:
        rest, held = data.holdout(train_split, race.held_out)
    test = images.test if race.test == images.name else data.load(race.test, device=device).test

    search = race.contestants if len(race.lrs) > 1 else ()
    todo = [("lr_search", c, lr, seed) for c in search for lr in race.lrs for seed in range(race.lr_seeds)]
    todo += [("runs", c, None, seed) for seed in range(race.seeds) for c in race.contestants]
    done = {
        (part, r["contestant"], r["lr"] if part == "lr_search" else None, r["seed"])
        for part in ("lr_search", "runs")
        for r in result[part]
    }
    for part, contestant, lr, seed in tqdm([job for job in todo if job not in done], disable=not progress):
        if part == "lr_search":
            record = _one_run(race, contestant, lr, 1000 + seed, rest, held)
            result[part].append({**record, "seed": seed})
        else:
            result[part].append(_one_run(race, contestant, best_lr(result, contestant), seed, train_split, test, True))
        if out is not None:
            write(out, result)
    return result


def check(race: Race) -> None:
    """Refuse now, as `run` does, what would stop the race only when its turn comes, perhaps hours later."""
    NETWORKS[race.network]
    for contestant in race.contestants:
        as_activation(contestant)()
    if not race.contestants or len(set(race.contestants)) < len(race.contestants):
        raise ValueError(f"a race needs contestants, each named once, not {', '.join(race.contestants) or 'none'}")
    if race.seeds < 1 or not race.lrs or (len(race.lrs) > 1 and race.lr_seeds < 1):
        raise ValueError("a race needs at least one seed and one learning rate, and one lr_seed to choose between two")


def _settings(race: Race) -> dict:
    return json.loads(json.dumps(asdict(race)))  # lists for tuples, as they come back from a file


def _begun(race: Race, out: Path | None) -> dict | None:
    """What `out` holds of this race, or None where nothing is; raises as `run`."""
    if out is None or not out.exists():
        return None
    result, settings = read(out), _settings(race)
    differing = [key for key in settings if key != "seeds" and result["settings"].get(key) != settings[key]]
    if differing:
        raise FileExistsError(f"{out} holds another race: {', '.join(differing)} differ; name another --out")
    result["settings"]["seeds"] = max(race.seeds, result["settings"]["seeds"])
    return result


def _one_run(race, contestant, lr, seed, train_split, test_split, keep_images=False) -> dict:
    torch.manual_seed(seed)
    model = NETWORKS[race.network](as_activation(contestant), tuple(train_split.images.shape[1:]))
    model.to(train_split.images.device)
    budget = dict(epochs=race.epochs, batch_size=race.batch_size, one_cycle=race.one_cycle, seed=seed)
    history = train.fit(model, train_split, lr=lr, progress=False, **budget)
    correct = (train.predict(model, test_split) == test_split.labels).cpu().numpy()
    record = {"contestant": contestant, "lr": lr, "seed": seed, "accuracy": float(correct.mean())}
    if keep_images:
        record["train_loss"] = [round(epoch["train_loss"], 5) for epoch in history]
        record["images"] = len(correct)
        record["correct"] = base64.b64encode(np.packbits(correct).tobytes()).decode()
    return record


def best_lr(result: dict, contestant: str) -> float:
    """The learning rate with the best mean held-out accuracy; the smaller one of two that tie."""
    lrs = result["settings"]["lrs"]
    if len(lrs) == 1:
        return lrs[0]
    scores = {
        lr: [r["accuracy"] for r in result["lr_search"] if (r["contestant"], r["lr"]) == (contestant, lr)] for lr in lrs
    }
    return max(sorted(scores), key=lambda lr: np.mean(scores[lr]))


def correct(result: dict, contestant: str) -> np.ndarray:
    """Which test images each seed's network classified correctly: bool, shape (seeds, images)."""
    runs = sorted((r for r in result["runs"] if r["contestant"] == contestant), key=lambda r: r["seed"])
    if not runs:
        raise ValueError(f"no runs of {contestant!r}; this race has {', '.join(result['settings']['contestants'])}")
    bits = [np.unpackbits(np.frombuffer(base64.b64decode(r["correct"]), np.uint8)) for r in runs]
    return np.array(bits, dtype=bool)[:, : runs[0]["images"]]


def load(name: str) -> dict:
    """The committed result of a race, by its name in `RACES`; FileNotFoundError names the command that makes it."""
    path = RESULTS / f"race_{name}.json"
    if not path.exists():
        RACES[name]  # UnknownName, with the nearest, where there is no such race
        raise FileNotFoundError(f"there is no {path.name} in data/results; make it with python -m ftpkit race {name}")
    return read(path)


def read(path: Path) -> dict:
    """The result of a race from the file that `run` wrote; ValueError for a file that holds no race."""
    try:
        result = json.loads(path.read_text())
        keys = [key for key in ("settings", "lr_search", "runs") if key not in result or not isinstance(result, dict)]
        problem = f"it lacks {', '.join(keys)}" if keys else ""
    except (ValueError, TypeError) as error:  # no JSON, no text, or a number
        problem = str(error)
    if problem:
        raise ValueError(f"{path} holds no race ({problem}); it was left as it is: move it away, or name another --out")
    return result


def provenance(device: str = "cpu") -> dict:
    """Versions, device and commit that a result was made with."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(git, cwd=RESULTS.parent, capture_output=True, text=True).stdout.strip()
    except OSError:  # neither git nor a folder of results must be here
        commit = ""
    return {
        "commit": commit or "unknown",
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        "threads": torch.get_num_threads(),
    }


def committed(name: str, command: str) -> dict:
    """What a command of the kit left in data/results; FileNotFoundError names the command that makes it.

    >>> sorted(committed("depth.json", "depth"))
    ['flips', 'gradients', 'provenance', 'settings']
    """
    path = RESULTS / name
    if not path.exists():
        raise FileNotFoundError(f"there is no {name} in data/results; make it with python -m ftpkit {command}")
    return json.loads(path.read_text())


_indented = partial(json.dumps, indent=1)


def write(path: Path, result: dict, dumps: Callable[[dict], str] = _indented) -> None:
    """Write a result whole or not at all; dumps: how it becomes text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(dumps(result) + "\n")
    os.replace(temporary, path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("race", help=f"one of: {', '.join(RACES)}")
    parser.add_argument("--device", default="cpu", help="where to train: cpu (default) or cuda")
    parser.add_argument("--seeds", type=int, help="number of final runs of each contestant, instead of the race's own")
    parser.add_argument("--epochs", type=int, help="epochs of each run, instead of the race's own")
    parser.add_argument(
        "--contestants", nargs="+", help="as relu, sign:FTP-SH, staircase-3:SSTE, sign:my_rules.py:MyRule"
    )
    parser.add_argument(
        "--out", type=Path, help="JSON file to write or go on with; default data/results/race_NAME.json"
    )


def main(args: argparse.Namespace) -> int:
    own = {key: value for key in ("seeds", "epochs", "contestants") if (value := getattr(args, key)) is not None}
    out = args.out or RESULTS / f"race_{args.race}.json"
    try:
        race = replace(RACES[args.race], **own)
        check(race)
        _begun(race, out)
    except (ValueError, TypeError, AttributeError, OSError) as error:
        print(f"no race: {error}", file=sys.stderr)
        return 2
    print(summary(run(race, out, args.device)))
    return 0


def summary(result: dict) -> str:
    """A table of the race: contestant, learning rate, mean accuracy in %, standard error, number of seeds."""
    lines = [f"{'contestant':24} {'lr':>8} {'accuracy %':>12} {'s.e.':>6} {'seeds':>6}"]
    for contestant in result["settings"]["contestants"]:
        accuracies = 100 * correct(result, contestant).mean(axis=1)
        error = accuracies.std(ddof=1) / len(accuracies) ** 0.5 if len(accuracies) > 1 else float("nan")
        lr = best_lr(result, contestant)
        lines.append(f"{contestant:24} {lr:8g} {accuracies.mean():12.2f} {error:6.2f} {len(accuracies):6d}")
    return "\n".join(lines)
