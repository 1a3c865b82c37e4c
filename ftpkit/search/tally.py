"""What `python -m ftpkit search` found: its file read, its runs as records, and the table of shares and medians."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import race
from .cases import CELLS, named

FIELDS = ("seed", "errors", "evaluations", "seconds", "value", "bound", "proved")
_TINY = 1e-6  # of a loss


def read(path: Path) -> dict:
    """The result that `run` wrote; ValueError for a file that holds none."""
    try:
        result = json.loads(path.read_text())
        whole = all(key in result for key in ("methods", "cells", "runs")) and result["fields"] == list(FIELDS)
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise ValueError(f"{path} holds no comparison of searches; it was left as it is: name another --out")
    return result


def write(path: Path, result: dict, methods: Sequence[str] = ()) -> None:
    """Write a result whole: methods and cells in the order of their tables, and a line for each pair of them."""
    orders = {"methods": methods, "cells": list(CELLS), "runs": methods}
    result |= {part: _sorted(result[part], order) for part, order in orders.items()}
    result["runs"] = {name: _sorted(by_cell, list(CELLS)) for name, by_cell in result["runs"].items()}
    for about in result["cells"].values():
        about["cases"] = _sorted(about["cases"], sorted(about["cases"], key=int))
    race.write(path, result, _dumps)


def _sorted(items: dict, order: Sequence) -> dict:
    return dict(sorted(items.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def _dumps(value, depth: int = 3) -> str:
    """JSON with a line for each entry of the first levels, and the rest of it on that line."""
    if depth == 0 or not isinstance(value, dict) or not value:
        return json.dumps(value, separators=(",", ":"))
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {_dumps(item, depth - 1)}" for key, item in value.items()) + "\n}"


def load() -> dict:
    """The committed result; FileNotFoundError names the command that makes it."""
    path = race.RESULTS / "search.json"
    if not path.exists():
        raise FileNotFoundError("there is no search.json in data/results; make it with python -m ftpkit search")
    return read(path)


def records(result: dict) -> list[dict]:
    """One record for each run: method, cell, group, FIELDS, and three things more.

    solved: no training errors; where the method's objective is the loss, a loss as low as the optimum. gap: value
    minus the optimum, or minus the best bound that any method proved on this case. known: the former. The optimum of a
    planted case is 0.
    """
    runs = []
    for name, by_cell in result["runs"].items():
        for cell, rows in by_cell.items():
            about = {"method": name, "cell": cell, "group": result["cells"][cell]["settings"]["group"]}
            runs += [about | dict(zip(FIELDS, row, strict=True)) for row in rows]
    low, high = defaultdict(float), defaultdict(lambda: np.inf)
    for r in runs:
        key = _question(result, r)
        low[key] = max(low[key], r["bound"])
        high[key] = 0 if result["cells"][r["cell"]]["planted"] else min(high[key], r["value"])
    for r in runs:
        key = _question(result, r)
        r["gap"] = max(0.0, r["value"] - low[key])
        r["known"] = high[key] <= low[key] + _TINY
        r["solved"] = r["errors"] == 0 if key[0] == "errors" else r["known"] and r["gap"] <= _TINY
    return runs


def _question(result: dict, record: dict) -> tuple:
    """What a run's value is to be compared with: the same objective on the same case."""
    cell, seed = record["cell"], record["seed"]
    objective = result["methods"][record["method"]]["settings"].get("objective", "errors")
    return objective, cell, 0 if result["cells"][cell]["fixed"] else seed


def table(result: dict) -> list[dict]:
    """One row for each method and cell: shares and means over the seeds, medians of evaluations and seconds.

    solved: share; errors, gap: means, see `records`; known: share of seeds whose optimum is known, the others' gaps
    count from a bound. Evaluations and seconds are of all runs, also of those that ended without success.
    """
    groups = defaultdict(list)
    for r in records(result):
        groups[r["method"], r["cell"]].append(r)
    rows = []
    for (name, cell), runs in groups.items():
        about = {"method": name, "cell": cell, "group": runs[0]["group"], "seeds": len(runs)}
        means = {key: float(np.mean([r[key] for r in runs])) for key in ("solved", "errors", "gap", "known")}
        medians = {key: float(np.median([r[key] for r in runs])) for key in ("evaluations", "seconds")}
        rows.append(about | means | medians)
    return rows


def summary(result: dict) -> str:
    """Shares solved in %, a line for each cell and a column for each method; below, what holds of all its cells."""
    rows = {(r["method"], r["cell"]): r for r in table(result)}
    names = [name for name, by_cell in result["runs"].items() if by_cell]
    cells = [cell for cell in result["cells"] if any((name, cell) in rows for name in names)]
    width = max(map(len, [*cells, "median evaluations"]))

    def line(label: str, entries: dict[str, str]) -> str:
        return f"{label:{width}}" + "".join(f"  {entries[name]:>{max(8, len(name))}}" for name in names)

    lines = [line("solved, %", {name: name for name in names})]
    for cell in cells:
        own = {name: rows.get((name, cell)) for name in names}
        lines.append(line(cell, {name: f"{100 * r['solved']:.0f}" if r else "" for name, r in own.items()}))
    own = {name: [r for r in rows.values() if r["method"] == name] for name in names}
    for label, key, middle, form, factor in (
        ("of all these", "solved", np.mean, ".0f", 100),
        ("mean gap", "gap", np.mean, ".2f", 1),
        ("median evaluations", "evaluations", np.median, ".0f", 1),
        ("median seconds", "seconds", np.median, ".2g", 1),
    ):
        middles = {name: factor * middle([r[key] for r in rs]) for name, rs in own.items()}
        lines.append(line(label, {name: f"{value:{form}}" for name, value in middles.items()}))
    return "\n".join(lines)


def pooled(result: dict, method: str, cells: Sequence[str]) -> dict:
    """One row for a method on several cells together: runs, share solved, medians of evaluations and seconds.

    A case that is the same for every seed counts as often as the method was run on it. Raises UnknownName (a
    ValueError) for a cell that is not there, and ValueError where the method was not run on all of them.
    """
    chosen = named(cells)
    runs = [r for r in records(result) if r["method"] == method and r["cell"] in chosen]
    missing = sorted(set(chosen) - {r["cell"] for r in runs})
    if missing:
        raise ValueError(f"{method!r} was not run on {', '.join(missing)}")
    share = float(np.mean([r["solved"] for r in runs]))
    medians = {key: float(np.median([r[key] for r in runs])) for key in ("evaluations", "seconds")}
    return {"method": method, "runs": len(runs), "solved": share} | medians
