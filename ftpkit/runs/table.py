"""The paper's Table 1 beside what was obtained here: `python -m ftpkit table`.

A figure is that of one protocol, one configuration and its seeds; runs of different data, epochs or other settings
stand in lines of their own, each with its setting.
"""

import argparse
import csv
import io
import sys
import textwrap
from collections.abc import Iterable, Sequence

import numpy as np

from ..presets import COLUMNS, PRESETS, ROWS, Preset
from .protocols import MEANING, PROTOCOLS
from .reading import Run, find, same

_TITLES = {
    "cifar10": "CIFAR-10",
    "cifar10_jpeg": "CIFAR-10 (JPEG)",  # recoded, so not quite the same images
    "fashion-mnist": "Fashion-MNIST",
    "fashion-mnist-12k": "Fashion-MNIST (the bundled 12k)",
    "imagenet": "ImageNet",
}
_USUAL = {"val": 0, "precision": "float32", "compile": "no", "channels_last": False, "memory": "plain"}
_OF_PRESET = ("network", "optimizer", "lr", "weight_decay", "milestones", "batch_size", "crop", "flip", "resize")


def records(runs: Iterable[Run], protocols: Sequence[str] = tuple(PROTOCOLS)) -> list[dict]:
    """One plain record for each protocol, preset and setting: what a data frame or a CSV file is made of.

    row, column: of the preset, see `presets`; column is "" where the activation is another than the preset's, row too
    where the preset is not known. in_paper, paper: whether the paper has this cell, and its figure in %. protocol: a
    name in PROTOCOLS. data, schedule, other: the setting in words; other is "" or says what else is not the preset's.
    full: whether epochs and learning rates are the preset's. devices, seeds, accuracies (in %, by seed), n, mean,
    error: the standard error of the mean, None for one seed.

    Only finished runs count, and of two with one seed the first; `left_out` says the rest. A preset without any gets
    one record for each protocol, with n = 0 and nothing else. Raises UnknownName (a ValueError) for a protocol.
    """
    by_protocol = {name: PROTOCOLS[name] for name in protocols}
    found = []
    for about, group in groups(runs):
        for name, protocol in by_protocol.items():
            values = [protocol(run.metrics) for run in group]
            if None not in values:
                found.append(about | {"protocol": name} | _statistics(values))
    done = {record["preset"] for record in found if record["column"]}
    empty = {"data": "", "schedule": "", "full": False, "other": "", "devices": (), "seeds": ()}
    for preset in PRESETS.values():
        if preset.name not in done:
            about = _place(preset.name, preset.activation) | empty
            found += [about | {"protocol": name} | _statistics([]) for name in by_protocol]
    order = {name: place for place, name in enumerate(PRESETS)}
    return sorted(found, key=lambda record: order.get(record["preset"], len(order)))


def groups(runs: Iterable[Run]) -> list[tuple[dict, list[Run]]]:
    """The finished runs that differ only in their seed, by seed, with what is to be said of each such group.

    What is said are the fields of `records` that do not depend on a protocol; no two groups are said to be the same.
    """
    found = same(_counted(runs))
    abouts = [_about(group) for group in found]
    said = []
    for group, about in zip(found, abouts, strict=True):
        twins = [g for g, a in zip(found, abouts, strict=True) if g is not group and _same_words(a, about)]
        keys = dict.fromkeys(key for twin in twins for key in group[0].differing(twin[0]))
        other = [about["other"], *(f"{key.replace('.', ' ')} {group[0].said(key)}" for key in keys)]
        said.append((about | {"other": ", ".join(filter(None, other))}, group))
    return said


def _same_words(a: dict, b: dict) -> bool:
    return all(a[key] == b[key] for key in ("preset", "activation", "data", "schedule", "other"))


def _statistics(values: list[float]) -> dict:
    percent = 100 * np.array(values)
    return {
        "n": len(values),
        "accuracies": tuple(percent.tolist()),
        "mean": float(percent.mean()) if values else None,
        "error": float(percent.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None,
    }


def _place(name: str, activation: str) -> dict:
    """Where the runs of a preset stand in the table, if they stand in it."""
    place = {"preset": name, "activation": activation, "row": "", "column": "", "in_paper": False, "paper": None}
    if name in PRESETS:
        preset = PRESETS[name]
        place["row"] = next(row for row in ROWS if name.removeprefix(f"{row}-") in COLUMNS)
        if activation == preset.activation:
            column = name.removeprefix(f"{place['row']}-")
            place |= {"column": column, "in_paper": preset.in_paper, "paper": preset.paper}
    return place


def _about(group: list[Run]) -> dict:
    config = group[0].config
    preset = PRESETS.get(config["preset"])
    name = config["data"]["name"]
    return _place(config["preset"], config["activation"]) | {
        "data": _TITLES.get(name, name),
        "schedule": _schedule(config, preset),
        "full": _full(config, preset),
        "other": ", ".join(_other(config, preset)),
        "devices": tuple(dict.fromkeys(device for run in group for device in run.devices)),
        "seeds": tuple(run.seed for run in group),
    }


def _full(config: dict, preset: Preset | None) -> bool:
    keys = ("epochs", "milestones", "lr")
    return preset is not None and all(_value(config, key) == getattr(preset, key) for key in keys if key in config)


def _schedule(config: dict, preset: Preset | None) -> str:
    epochs = config["epochs"]
    if preset is None or epochs == preset.epochs:
        return f"{'full schedule of ' if _full(config, preset) else ''}{epochs} epochs"
    return f"{epochs} of {preset.epochs} epochs" if epochs < preset.epochs else f"{epochs} epochs for {preset.epochs}"


def _value(config: dict, key: str):
    return tuple(config[key]) if isinstance(config[key], list) else config[key]


def _other(config: dict, preset: Preset | None) -> list[str]:
    """What is not as in the preset, in words; of a preset that is not known, network and what is not usual."""
    usual = _USUAL | ({key: getattr(preset, key) for key in _OF_PRESET} if preset else {"network": None})
    found = []
    for key in (key for key in usual if key in config):
        value = _value(config, key)
        if value == usual[key]:
            continue
        if key == "val":
            found.append(f"{value:,} training images held out")
        elif key == "milestones":
            found.append("lr to a tenth after " + " and ".join(map(str, value)) if value else "one lr throughout")
        else:
            name = key.replace("_", " ")
            found.append({True: name, False: f"no {name}"}[value] if isinstance(value, bool) else f"{name} {value}")
    return found


def _counted(runs: Iterable[Run]) -> list[Run]:
    """The finished runs, each seed of a configuration once, by seed."""
    return [run for group in same([run for run in runs if run.finished]) for run in _by_seed(group).values()]


def _by_seed(group: list[Run]) -> dict[int, Run]:
    first: dict[int, Run] = {}
    for run in group:
        first.setdefault(run.seed, run)
    return dict(sorted(first.items()))


def left_out(runs: Iterable[Run]) -> list[str]:
    """A sentence for each run that is in no figure: not finished, or a seed that is there already."""
    runs = list(runs)
    counted = _counted(runs)
    sentences = []
    for run in runs:
        if not run.finished:
            sentences.append(f"{run.folder}: not finished, {len(run.metrics)} of {run.config['epochs']} epochs")
        elif not any(run is other for other in counted):
            sentences.append(f"{run.folder}: seed {run.seed} of the same configuration is there already")
    return sentences


# --- as text -------------------------------------------------------------------------------------------------------

_LABEL, _CELL = 12, 18


def summary(runs: Sequence[Run], protocols: Sequence[str] = tuple(PROTOCOLS)) -> str:
    """The table as text: the paper's rows with its figures and ours beneath, then the rows that are not in the paper.

    Ours: mean ± standard error (number of seeds); a line for each setting and protocol; blank where nothing was run.
    """
    found = records(runs, protocols)
    lines = ["Test accuracy in %. The paper's: one run each. Ours: mean ± standard error over seeds (how many seeds)."]
    lines += [f"  {name:10} {MEANING[name]}" for name in protocols]
    run = {r["row"] for r in found if r["n"]}
    for heading, names in (
        ("In the paper", [name for name in ROWS if ROWS[name].paper]),
        ("Not in it", [name for name in ROWS if not ROWS[name].paper and name in run]),
    ):
        if names:
            lines += ["", _line(heading, COLUMNS.values()), *(line for name in names for line in _row(name, found))]
    if "" in run:
        lines += ["", "Of presets that this kit does not know", *_aside([r for r in found if not r["row"]])]
    if notes := left_out(runs):
        lines += ["", "In no figure", *(f"  {note}" for note in notes)]
    made, full = ({r["preset"] for r in found if r["in_paper"] and r["n"] and r["full"] >= least} for least in (0, 1))
    lines += ["", f"Of the paper's 24 runs {len(made)} were made here, {len(full)} of them at the full schedule."]
    return "\n".join([*lines, "What starts each: python -m ftpkit presets"])


def _line(label: str, cells: Iterable[str]) -> str:
    return (f"{label:{_LABEL}}" + "".join(f"{cell:>{_CELL}}" for cell in cells)).rstrip()


def _row(name: str, found: list[dict]) -> list[str]:
    lines = [ROWS[name].title]
    if ROWS[name].paper:
        lines.append(_line("  the paper", map(str, ROWS[name].paper)))
    own = [r for r in found if r["row"] == name and r["n"]]
    settings: dict[str, list[dict]] = {}
    for record in (r for r in own if r["column"]):
        settings.setdefault(_setting(record), []).append(record)
    for setting, group in settings.items():
        lines += _wrapped(f"ours: {setting}; {_devices(group)}")
        for protocol in dict.fromkeys(r["protocol"] for r in group):
            cells = {r["column"]: _figure(r) for r in group if r["protocol"] == protocol}
            lines.append(_line(f"    {protocol}", (cells.get(column, "") for column in COLUMNS)))
    return lines + _aside([r for r in own if not r["column"]])


def _aside(found: list[dict]) -> list[str]:
    """Runs that belong to no column: their activation and setting in full, and the figures of all protocols."""
    groups: dict[tuple, list[dict]] = {}
    for r in found:
        groups.setdefault((r["preset"], r["activation"], _setting(r)), []).append(r)
    lines = []
    for (preset, activation, setting), group in groups.items():
        lines += _wrapped(f"ours: {activation}, otherwise as {preset}: {setting}; {_devices(group)}")
        lines.append("    " + ", ".join(f"{r['protocol']} {_figure(r)}" for r in group))
    return lines


def _setting(record: dict) -> str:
    return ", ".join(filter(None, (record["data"], record["schedule"], record["other"])))


def _devices(group: list[dict]) -> str:
    return ", ".join(dict.fromkeys(device for r in group for device in r["devices"])) or "device not known"


def _figure(record: dict) -> str:
    error = "" if record["error"] is None else f" ± {record['error']:.2f}"
    return f"{record['mean']:.2f}{error} ({record['n']})"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 116, initial_indent="  ", subsequent_indent="    ")


def to_csv(found: list[dict]) -> str:
    """Records as CSV: a line for each, lists joined by semicolons, numbers with 4 decimals, blank where is none."""

    def plain(value):
        if isinstance(value, tuple):
            return ";".join(map(str, map(plain, value)))
        return round(value, 4) if isinstance(value, float) else value

    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: plain(value) for key, value in record.items()} for record in found)
    return text.getvalue()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="*", help="folders that hold runs; default data/results/runs and runs")
    parser.add_argument(
        "--protocol", action="append", help=f"of: {', '.join(PROTOCOLS)}; may be given several times; default all"
    )
    parser.add_argument("--csv", action="store_true", help="print a line for each figure, as CSV")


def main(args: argparse.Namespace) -> int:
    try:
        runs, protocols = find(*args.folders), args.protocol or tuple(PROTOCOLS)
        print(to_csv(records(runs, protocols)).rstrip() if args.csv else summary(runs, protocols))
    except (ValueError, OSError) as error:
        print(f"no table: {error}", file=sys.stderr)
        return 2
    return 0
