"""What the committed results hold, experiment by experiment: named figures, each for ten seeds or more."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from . import depth, inside, race, runs, skips
from .losses import Table
from .names import label
from .runs import table
from .search import tally

Samples = Mapping[str, np.ndarray]
"""By name, a figure for each seed, shape (seeds,); or for each seed which test images are right, (seeds, images)."""


@dataclass(frozen=True)
class Experiment:
    """samples: reads them. command: what made them, after ``python -m ftpkit``. minutes: on one core, about; unit: of
    the figures. compared: figures of one kind, whose differences are of interest. slack: added to both sides of a band,
    where some figures are the same for all ten seeds.
    """

    samples: Callable[[], Samples]
    command: str
    minutes: float
    unit: str = "test accuracy in %"
    compared: bool = True
    slack: float = 0.0


def _race(*names: str) -> Samples:
    """One race; or one and its twin with the real skip path, whose contestants then say so."""
    found = {}
    for name in names:
        result = race.load(name)
        for contestant in result["settings"]["contestants"]:
            found[_with_skip(contestant, name)] = race.correct(result, contestant)
    return found


def _runs(protocol: str, *rows: str) -> Samples:
    found = [r for r in table.records(runs.find(runs.COMMITTED), [protocol]) if r["row"] in rows and r["n"]]
    return {_with_skip(r["activation"], r["row"]): np.array(r["accuracies"]) for r in found}


def _with_skip(contestant: str, where: str) -> str:
    return label(contestant) + ", real skip path" * ("-real" in where)


def _by_seed(pairs: Iterable[tuple[str, float]]) -> Samples:
    """Figures in the order of their seeds, gathered by name."""
    found: dict[str, list[float]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def _flips(lr: float) -> Samples:
    return _by_seed(
        (f"{label(r['rule'])}, layer {layer}, epoch {epoch}", 100 * record[f"act{layer}"])
        for r in depth.load()["flips"]
        if r["lr"] == lr
        for epoch, record in enumerate(r["result"], 1)
        for layer in (1, 2)
    )


def _gradients() -> Samples:
    return _by_seed(
        (
            f"{label(r['contestant'])}, {r['depth']} layers" + ", batch norm" * r["batch_norm"],
            np.log10(r["result"][0]["size"]),
        )
        for r in depth.load()["gradients"]
    )


def _inside() -> Samples:
    found = []
    for run in inside.load()["runs"]:
        found.append((f"{label(run['contestant'])}, filters moved", 100 * run["filters_moved"]))
        for layer in run["layers"]:
            place = f"{label(run['contestant'])}, layer {layer['depth']}"
            found += [(f"{place}, {key}", 100 * layer[key]) for key in ("saturated", "dead")]
            found += [(f"{place}, level {n}", 100 * share) for n, share in enumerate(layer["levels"])]
    return _by_seed(found)


def _stream() -> Samples:
    return _by_seed(
        (f"{label(r['contestant'])}, skip path {r['skip']}, {place} blocks", np.log10(size))
        for r in skips.load()["stream"]
        for place, size in enumerate(r["result"]["size"])
    )


def _hardened() -> Samples:
    found = []
    for r in skips.load()["thresholds"]:
        found += [(name, 100 * r["result"][key]) for name, key in (("before", "before"), ("ReLU", "relu"))]
        for contestant, stages in r["result"]["hardened"].items():
            found += [(f"{label(contestant)}, {stage}", 100 * share) for stage, share in stages.items()]
    return _by_seed(found)


def _searched() -> Samples:
    """Of the methods that tried every case. A seed stands for one case of each kind."""
    result = tally.load()
    return {
        method: 100 * np.array([np.mean(solved) for solved in by_seed])
        for method, by_seed in _solved(result).items()
        if all(len(solved) == len(result["cells"]) for solved in by_seed)
    }


def _variants() -> Samples:
    """Of Algorithm 1 with other rules and choices, all on the same four kinds of planted teachers."""
    return {
        method.removeprefix("A1: "): 100 * np.mean(by_seed, axis=1)
        for method, by_seed in _solved(tally.load()).items()
        if method.startswith("A1: ")
    }


def _solved(result: dict) -> dict[str, list[list[bool]]]:
    """For each method, in the order of the seeds: which cases of that seed it solved."""
    found: dict[str, dict[int, list[bool]]] = {}
    for r in tally.records(result):
        found.setdefault(r["method"], {}).setdefault(r["seed"], []).append(r["solved"])
    return {method: [by_seed[seed] for seed in sorted(by_seed)] for method, by_seed in found.items()}


def _moons() -> Samples:
    """Training errors on twenty sets of two moons, of the methods that tried every case."""
    methods = _searched()
    runs = [r for r in tally.records(tally.load()) if r["cell"] == "two moons m=20" and r["method"] in methods]
    return _by_seed((r["method"], r["errors"]) for r in sorted(runs, key=lambda r: r["seed"]))


_STREAM = "log10 of the gradient relative to the last block"
_BY_DEPTH = "log10 of the gradient at the first hidden layer relative to the last"
_FLIPS = "% of the outputs that flip in an epoch"
EXPERIMENTS: Mapping[str, Experiment] = Table(
    {
        "mlp": Experiment(partial(_race, "mlp"), "race mlp", 10),
        "mlp-live": Experiment(partial(_race, "mlp-live"), "race mlp-live", 2),
        "levels": Experiment(partial(_race, "levels"), "race levels", 15),
        "levels-live": Experiment(partial(_race, "levels-live"), "race levels-live", 4),
        "convnet4": Experiment(partial(_race, "convnet4"), "race convnet4", 60),
        "convnet4-live": Experiment(partial(_race, "convnet4-live"), "race convnet4-live", 8),
        "resnet8-live": Experiment(partial(_race, "resnet8-live", "resnet8-real-live"), "race resnet8-live", 24),
        "resnet8 last": Experiment(
            partial(_runs, "last", "bundled-resnet8", "bundled-resnet8-real"), "train bundled-resnet8-…", 130
        ),
        "resnet8 selected": Experiment(
            partial(_runs, "selected", "bundled-resnet8", "bundled-resnet8-real"), "train bundled-resnet8-…", 130
        ),
        "convnet8 last": Experiment(partial(_runs, "last", "bundled-convnet8"), "train bundled-convnet8-…", 170),
        "convnet8 selected": Experiment(
            partial(_runs, "selected", "bundled-convnet8"), "train bundled-convnet8-…", 170
        ),
        "flips": Experiment(partial(_flips, 1e-3), "depth", 1, _FLIPS, compared=False, slack=0.5),
        "flips at half the rate": Experiment(partial(_flips, 5e-4), "depth", 1, _FLIPS, compared=False, slack=0.5),
        "gradients by depth": Experiment(_gradients, "depth", 1, _BY_DEPTH, compared=False, slack=0.05),
        "inside": Experiment(_inside, "inside", 4, "%", compared=False, slack=1.0),
        "stream": Experiment(_stream, "skips", 10, _STREAM, compared=False, slack=0.02),
        "hardened": Experiment(_hardened, "skips", 10),
        "search": Experiment(_searched, "search", 60, "% of cases solved"),
        "variants": Experiment(_variants, "search", 60, "% of cases solved"),
        "moons-live": Experiment(_moons, "search", 60, "training errors", compared=False, slack=1.0),
    },
    kind="experiment",
)
