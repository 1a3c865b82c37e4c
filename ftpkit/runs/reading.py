"""Runs read back from their folders: `read` one, `find` many, and the `curves` of those that differ only in seed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

COMMITTED = Path(__file__).resolve().parent.parent.parent / "data" / "results" / "runs"
OWN = Path("runs")  # where `python -m ftpkit train` puts them
_NEEDED = ("preset", "seed", "network", "activation", "data", "epochs", "milestones")


@dataclass(frozen=True)
class Run:
    """What a run's folder says: config, environment (one entry for each session), metrics (one for each epoch)."""

    folder: Path
    config: dict
    environment: list[dict]
    metrics: list[dict]

    @property
    def seed(self) -> int:
        return self.config["seed"]

    @property
    def finished(self) -> bool:
        return len(self.metrics) >= self.config["epochs"]

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that the run was trained on, each once, in their order."""
        return tuple(dict.fromkeys(session.get("device", "unknown device") for session in self.environment))

    @cached_property
    def settings(self) -> dict:
        """The configuration without its seed, flat: "data.name", "data.sha256", ...; of an own rule not its text."""
        flat = {}
        for key, value in self.config.items():
            parts = value if isinstance(value, dict) else {"": value}
            flat |= {f"{key}.{part}".rstrip("."): item for part, item in parts.items()}
        return {key: value for key, value in flat.items() if key not in ("seed", "rule.text")}

    def differing(self, other: "Run") -> list[str]:
        """The keys of `settings` in which two runs differ; [] where they may be averaged."""
        mine, theirs = self.settings, other.settings
        return [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]

    def said(self, key: str) -> str:
        """A setting as text; of a SHA-256 the first digits."""
        return str(self.settings.get(key))[: 8 if key.endswith("sha256") else None]


def read(folder: str | Path) -> Run:
    """The run in a folder, finished, stopped or under way.

    A last line of metrics.jsonl without its end is an epoch that is just being written, or whose writing was cut off;
    it is left out. Raises FileNotFoundError for a folder without a config.json, and ValueError, which names the file
    and the line, for anything that is not as `python -m ftpkit train` writes it.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no run: there is no config.json in it")
    config = _parsed(path, path.read_bytes(), dict)
    missing = [key for key in _NEEDED if key not in config]
    if missing:
        raise ValueError(f"{path} holds no run's configuration: it lacks {', '.join(missing)}")
    for key in ("seed", "epochs"):
        if not isinstance(config[key], int):
            raise ValueError(f"{path} holds no run's configuration: {key} is {config[key]!r}, not a whole number")
    if not isinstance(config["data"], dict) or "name" not in config["data"]:
        raise ValueError(f"{path} does not say under data which images the run saw: it lacks their name")
    path = folder / "environment.json"
    environment = _parsed(path, path.read_bytes(), list) if path.exists() else []
    if not all(isinstance(session, dict) for session in environment):
        raise ValueError(f"{path} holds something that is no session of a run")
    return Run(folder, config, environment, _metrics(folder / "metrics.jsonl", config["epochs"]))


def _metrics(path: Path, epochs: int) -> list[dict]:
    if not path.exists():
        return []
    *lines, last = path.read_bytes().split(b"\n")
    try:
        json.loads(last)
    except ValueError:
        pass  # cut off, or nothing
    else:
        lines.append(last)
    return [_record(f"{path}, line {number}", number, line, epochs) for number, line in enumerate(lines, start=1)]


_REMEDY = "the file was damaged or changed: get it from a backup, or move the folder away and train again"


def _record(where: str, epoch: int, line: bytes, epochs: int) -> dict:
    record = _parsed(where, line, dict)
    if record.get("epoch") != epoch or epoch > epochs:
        expected = f"epoch {epoch} should" if epoch <= epochs else f"nothing should, after {epochs} epochs"
        raise ValueError(f"{where}: epoch {record.get('epoch')!r} stands where {expected}; {_REMEDY}")
    for key, wanted in (("test_accuracy", True), ("val_accuracy", "val_accuracy" in record)):
        if wanted and not _is_share(record.get(key)):
            raise ValueError(f"{where}: {key} is {record.get(key)!r}, not a number from 0 to 1; {_REMEDY}")
    halves = record.get("test_halves", [0, 0])
    if not isinstance(halves, list) or len(halves) != 2 or not all(map(_is_share, halves)):
        raise ValueError(f"{where}: test_halves is {halves!r}, not two numbers from 0 to 1; {_REMEDY}")
    return record


def _is_share(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _parsed(where: str | Path, text: bytes, kind: type):
    try:
        value = json.loads(text)
    except ValueError as error:  # no JSON, or no text
        raise ValueError(f"{where}: this is no JSON ({error}); {_REMEDY}") from error
    if not isinstance(value, kind):
        raise ValueError(f"{where}: a {type(value).__name__} stands where a {kind.__name__} should; {_REMEDY}")
    return value


def find(*folders: str | Path) -> list[Run]:
    """All runs in these folders, at any depth, in the order of their paths; a run's own folder is found, too.

    Without folders: those committed to data/results/runs, and runs/ where you are. Raises FileNotFoundError for a
    folder that is not there, otherwise as `read`.
    """
    places = [Path(folder) for folder in folders]
    for place in places:
        if not place.is_dir():
            raise FileNotFoundError(_nowhere(place))
    return [read(folder) for folder in _folders(places)]


def survey(*folders: str | Path) -> tuple[list[Run], list[str]]:
    """As `find`, but nothing is raised: the runs that can be read, and a sentence for each folder that cannot.

    >>> survey("nowhere")
    ([], ['there is no folder nowhere; name one that holds runs, or none for the usual two'])
    """
    places = [Path(folder) for folder in folders]
    found, said = [], [_nowhere(place) for place in places if not place.is_dir()]
    for folder in _folders(places):
        try:
            found.append(read(folder))
        except (ValueError, OSError) as error:
            said.append(str(error))
    return found, said


def _nowhere(place: Path) -> str:
    return f"there is no folder {place}; name one that holds runs, or none for the usual two"


def _folders(places: list[Path]) -> list[Path]:
    """The folders of all runs below these places, or below the usual two, each once."""
    found = {}
    for place in places or (COMMITTED, OWN):
        for config in sorted(place.rglob("config.json")):
            found.setdefault(config.parent.resolve(), config.parent)
    return list(found.values())


def curves(runs: Iterable[Run], key: str) -> tuple[np.ndarray, np.ndarray]:
    """One figure, epoch by epoch, of runs that differ only in their seed: for a mean with a band.

    key: of the metrics, such as "test_accuracy". Returns the epochs, int64 (E,), and the values, float64 (seeds, E), in
    the order of the seeds. Raises ValueError for no runs, for runs of different configurations (it says in what), for
    two of one seed, for runs that are not equally far, and for a key that is not in all of their metrics.
    """
    runs = sorted(runs, key=lambda run: run.seed)
    if not runs:
        raise ValueError("curves need at least one run")
    first = runs[0]
    for before, run in pairwise(runs):
        if keys := first.differing(run):
            differ = ", ".join(f"{key}: {first.said(key)} and {run.said(key)}" for key in keys)
            raise ValueError(f"{first.folder} and {run.folder} are runs of different configurations ({differ})")
        if before.seed == run.seed:
            raise ValueError(f"{before.folder} and {run.folder} have the same seed, {run.seed}: they count once")
        if len(run.metrics) != len(first.metrics):
            far = f"{first.folder} {len(first.metrics)}, {run.folder} {len(run.metrics)}"
            raise ValueError(f"the runs are not equally far, in epochs: {far}; take those that are finished")
    epochs = np.arange(1, len(first.metrics) + 1)
    values = [[_value(run, record, key) for record in run.metrics] for run in runs]
    return epochs, np.array(values, dtype=np.float64)


def _value(run: Run, record: dict, key: str) -> float:
    if key not in record:
        raise ValueError(f"{run.folder} has no {key!r} at epoch {record['epoch']}; it has {', '.join(record)}")
    return record[key]


def same(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs in groups that differ only in their seed, in the order in which they first come."""
    groups: list[list[Run]] = []
    for run in runs:
        group = next((group for group in groups if not group[0].differing(run)), None)
        groups.append([run]) if group is None else group.append(run)
    return groups
