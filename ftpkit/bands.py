"""Bands: where figures that depend on training lie, over ten seeds and more, and which differences they show.

A threshold network is chaotic: one rounding bit flips a sign, and the rest of the run is another. So a notebook checks
its live run against a band, and a sentence "A beats B" stands beneath a cell that asserts it. Both ask
`data/bands.json`, which ``python -m ftpkit bands`` makes of the committed results.
"""

import argparse
import json
import re
import time
from collections.abc import Mapping
from functools import cache
from itertools import combinations, permutations

import numpy as np

from . import paired, race
from .losses import Table
from .samples import EXPERIMENTS, Experiment, Samples

PATH = race.RESULTS.parent / "bands.json"
SEEDS = 10  # with fewer there is neither a band nor a claim
WIDTH = 4  # half of a band, in standard deviations
CLEAR = 5  # so many standard deviations of the gap apart, two keep their order under any seed


def check(experiment: str, found: Mapping[str, float]) -> None:
    """Does a live run look like the ten seeds of an experiment? found: some of its figures, by name.

    Each lies in its band, and where every pair of seeds orders two figures clearly, the live run orders them alike.
    Prints that it is so. Raises AssertionError with the first that is not, UnknownName for an unknown experiment or
    figure.

    >>> check("mlp-live", {"ReLU": 86.5, "Perceptron": 80.0})
    ok: 2 figures lie in the bands of 10 seeds; clear pairs in their order: 1
    """
    known = load()[experiment]
    for name, value in found.items():
        band = figure(experiment, name)
        inside = band["low"] <= value <= band["high"]
        assert inside, f"{name}: {value:.4g} lies outside of its band, {band['low']:.4g} to {band['high']:.4g}"
    clear = [pair for pair in permutations(found, 2) if known["differences"] and _clear(experiment, *pair)]
    for a, b in clear:
        assert found[a] > found[b], f"{a} is clearly ahead of {b} in {experiment!r}, but not in this run"
    pairs = f"; clear pairs in their order: {len(clear)}" if known["differences"] else ""
    print(f"ok: {len(found)} figures lie in the bands of {known['seeds']} seeds{pairs}")


def _clear(experiment: str, a: str, b: str) -> bool:
    found = _difference(experiment, a, b)
    return found["mean"] > CLEAR * found["sd"]


def claim(experiment: str, *claims: str) -> None:
    """Assert what a text says of two figures of an experiment, and print it with its difference.

    claims: "A > B", the 95 % interval of A minus B lies above 0; "A ~ B", it contains 0: no difference is shown. Raises
    AssertionError for one that does not hold, ValueError for one that is no claim, UnknownName as `check`.

    >>> claim("mlp", "SSTE > STE", "Hinge ~ STE")
    SSTE > STE: +2.36 [+1.98, +2.74], 10 seeds
    Hinge ~ STE: +0.23 [-0.02, +0.47], no difference shown, 10 seeds
    """
    for text in claims:
        a, sign, b = _parts(text)
        found = gap(experiment, a, b)
        holds = found.low > 0 if sign == ">" else not found.shown
        assert holds, f"{text} does not hold in {experiment!r}: {a} minus {b} is {found}"
        print(f"{text}: {found}, {load()[experiment]['seeds']} seeds")


def gap(experiment: str, a: str, b: str) -> paired.Difference:
    """Figure a minus figure b of an experiment, with its 95 % interval; ValueError where they were not compared."""
    found = _difference(experiment, a, b)
    return paired.Difference(found["mean"], found["low"], found["high"])


def _difference(experiment: str, a: str, b: str) -> dict[str, float]:
    figure(experiment, a), figure(experiment, b)  # UnknownName, with the nearest, for one that is not there
    known = load()[experiment]["differences"]
    if f"{a} - {b}" in known:
        return known[f"{a} - {b}"]
    if f"{b} - {a}" not in known:
        raise ValueError(f"{a} and {b} were not compared in {experiment!r}")
    found = known[f"{b} - {a}"]
    return {"mean": -found["mean"], "low": -found["high"], "high": -found["low"], "sd": found["sd"]}


def figure(experiment: str, name: str) -> dict:
    """A figure's ``mean``, ``sd``, standard ``error`` of the mean, and its band from ``low`` to ``high``."""
    return Table(load()[experiment]["figures"], kind=f"figure of {experiment!r}")[name]


@cache
def load() -> dict[str, dict]:
    """What `data/bands.json` holds, by experiment; FileNotFoundError names the command that makes it."""
    if not PATH.exists():
        raise FileNotFoundError("there is no data/bands.json; make it with python -m ftpkit bands")
    return Table(json.loads(PATH.read_text(encoding="utf-8")), kind="experiment")


def _parts(text: str) -> tuple[str, str, str]:
    for sign in (">", "~"):
        if text.count(f" {sign} ") == 1:
            a, b = text.split(f" {sign} ")
            return a, sign, b
    raise ValueError(f"{text!r} is no claim: write 'A > B' (A is ahead of B) or 'A ~ B' (no difference shown)")


# --- making the file ------------------------------------------------------------------------------------------------


def collect() -> dict[str, dict]:
    """All bands and differences, made anew of the results; experiments with fewer than SEEDS seeds are left out."""
    found = {name: _summary(experiment) for name, experiment in EXPERIMENTS.items()}
    return {name: summary for name, summary in found.items() if summary["seeds"] >= SEEDS}


def _summary(experiment: Experiment) -> dict:
    samples = experiment.samples()
    (seeds,) = {len(values) for values in samples.values()}
    by_seed = {name: 100 * values.mean(axis=1) if values.ndim == 2 else values for name, values in samples.items()}
    variance = np.mean([values.var(ddof=1) for values in by_seed.values()]) if experiment.compared else 0.0
    differences = {f"{a} - {b}": _compared(samples, by_seed, a, b) for a, b in combinations(samples, 2)}
    return {
        "command": f"python -m ftpkit {experiment.command}",
        "minutes": experiment.minutes,
        "unit": experiment.unit,
        "seeds": seeds,
        "figures": {name: _band(values, variance**0.5, experiment.slack) for name, values in by_seed.items()},
        "differences": differences if experiment.compared else {},
    }


def _band(values: np.ndarray, common: float, slack: float) -> dict[str, float]:
    """Ten seeds give a standard deviation only roughly: the larger of a figure's own and that of all alike counts."""
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    half = WIDTH * max(sd, common) + slack
    return _rounded(mean=mean, sd=sd, error=sd / len(values) ** 0.5, low=mean - half, high=mean + half)


def _compared(samples: Samples, by_seed: Samples, a: str, b: str) -> dict[str, float]:
    of_images = samples[a].ndim == 2
    gap = paired.difference(samples[a], samples[b]) if of_images else paired.by_seed(samples[a] / 100, samples[b] / 100)
    return _rounded(mean=gap.mean, low=gap.low, high=gap.high, sd=float((by_seed[a] - by_seed[b]).std(ddof=1)))


def _rounded(**figures: float) -> dict[str, float]:
    return {key: round(value, 4) for key, value in figures.items()}


def _dumps(found: dict) -> str:
    """JSON with a line for each figure and each difference."""
    text = json.dumps(found, indent=1, ensure_ascii=False)
    return re.sub(r"\{\s+((?:\"\w+\": [-\d.e]+,?\s+)+)\}", lambda match: "{" + " ".join(match[1].split()) + "}", text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def main(args: argparse.Namespace) -> int:
    began = time.monotonic()
    found = collect()
    race.write(PATH, found, _dumps)
    print(f"wrote data/{PATH.name} in {time.monotonic() - began:.0f} s; its results took, on one core, about")
    for name, experiment in found.items():
        print(f"  {experiment['minutes']:4g} min  {name}: {experiment['command']}, {experiment['seeds']} seeds")
    for name in EXPERIMENTS.keys() - found.keys():
        print(f"  left out, as it has fewer than {SEEDS} seeds: {name}")
    return 0
