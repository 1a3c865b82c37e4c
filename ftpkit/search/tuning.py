"""The learning rates of `gradient`, chosen on cases that the comparison does not use."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from .. import race
from .cases import case
from .gradient import EPOCHS, LRS, gradient

GRID = (0.003, 0.01, 0.03, 0.1)
CELLS = ("teacher 2-layer n=6 h=3 m=50", "teacher 3-layer n=6 h=4-2 m=50", "Pullover or Coat m=50")
SEEDS = range(100, 120)


def tune(out: Path | None = None, seeds=SEEDS, epochs: int = EPOCHS, progress: bool = True) -> dict:
    """Train every rule in LRS from one start at every rate in GRID, and return the shares solved as plain data.

    `runs`: one record for each rule, rate and cell, with the share solved and the mean errors over the seeds. `chosen`:
    for each rule the rate with the highest mean share, of two alike the one with fewer errors. Writes out, a JSON file.
    """
    settings = {"grid": list(GRID), "cells": list(CELLS), "seeds": list(seeds), "epochs": epochs}
    runs = []
    for rule, lr, cell in tqdm([(r, lr, c) for r in LRS for lr in GRID for c in CELLS], disable=not progress):
        errors = [gradient(case(cell, seed).problem, rule, budget=epochs, lr=lr, seed=seed).errors for seed in seeds]
        runs.append(
            {"rule": rule, "lr": lr, "cell": cell, "solved": np.mean(np.equal(errors, 0)), "errors": np.mean(errors)}
        )
    means = {(rule, lr): _means(runs, rule, lr) for rule in LRS for lr in GRID}
    chosen = {rule: max(GRID, key=lambda lr: (means[rule, lr][0], -means[rule, lr][1])) for rule in LRS}
    result = {"settings": settings, "provenance": race.provenance(), "runs": runs, "chosen": chosen}
    if out is not None:
        race.write(out, result)
    return result


def summary(result: dict) -> str:
    """Share solved in % and mean errors over the cells, by rule and learning rate; the chosen rate is marked."""
    lines = [f"{'rule':8} {'lr':>6} {'solved %':>9} {'errors':>7}"]
    for rule, best in result["chosen"].items():
        for lr in result["settings"]["grid"]:
            solved, errors = _means(result["runs"], rule, lr)
            lines.append(f"{rule:8} {lr:6g} {100 * solved:9.0f} {errors:7.2f}{'  <' if lr == best else ''}")
    return "\n".join(lines)


def _means(runs: list[dict], rule: str, lr: float) -> tuple[float, float]:
    own = [r for r in runs if (r["rule"], r["lr"]) == (rule, lr)]
    return float(np.mean([r["solved"] for r in own])), float(np.mean([r["errors"] for r in own]))
