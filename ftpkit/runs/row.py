"""One row of the table, cell by cell: what the paper says, what was run under one setting, curves, and differences."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .. import paired
from ..presets import COLUMNS, PRESETS, ROWS
from .protocols import PROTOCOLS
from .reading import Run, curves
from .table import groups


@dataclass(frozen=True, eq=False)
class Cell:
    """One kind of unit in one row of the table.

    column: a name in `presets.COLUMNS`, or "" for another activation than the preset's; heading: the column's, or the
    activation. paper: the paper's figure in %, or None. command: what starts a run. runs: those that were made under
    the setting, by seed. accuracies: of each run by the protocol, in %; () where the protocol asks for what the runs do
    not have. epochs, values: the metric by epoch, shapes (E,) and (runs, E); shares in %; None where a run lacks it.
    """

    column: str
    heading: str
    paper: float | None
    command: str
    runs: tuple[Run, ...] = ()
    accuracies: tuple[float, ...] = ()
    epochs: np.ndarray | None = None
    values: np.ndarray | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)


def by_setting(runs: Iterable[Run], row: str) -> dict[str, list[tuple[dict, list[Run]]]]:
    """The finished runs of a row, grouped as by `table.groups`, by the setting in words under which they were made."""
    found: dict[str, list[tuple[dict, list[Run]]]] = {}
    for about, group in groups(runs):
        if about["row"] == row:
            setting = ", ".join(filter(None, (about["data"], about["schedule"], about["other"])))
            found.setdefault(setting, []).append((about, group))
    return found


def cells(
    row: str, made: Sequence[tuple[dict, list[Run]]], columns: Iterable[str], protocol: str, metric: str
) -> list[Cell]:
    """The cells of these columns of a row, and after them the runs of other activations, if all columns are asked for.

    made: the runs of one setting, of `by_setting`. protocol: a name in `protocols.PROTOCOLS`. metric: a key of the
    metrics, such as "train_loss". Raises UnknownName (a ValueError) for a row or a protocol that there is not.
    """
    ROWS[row]
    columns = list(columns)
    named = {about["column"]: group for about, group in made if about["column"]}
    found = []
    for column in columns:
        preset = PRESETS[f"{row}-{column}"]
        about = (column, COLUMNS[column], preset.paper, preset.command)
        found.append(_cell(about, named.get(column, []), protocol, metric))
    for about, group in made:
        if not about["column"] and columns == list(COLUMNS):
            activation = about["activation"]
            command = f"{PRESETS[about['preset']].command} --activation {activation}"
            found.append(_cell(("", activation, None, command), group, protocol, metric))
    return found


def _cell(about: tuple, group: list[Run], protocol: str, metric: str) -> Cell:
    figures = [PROTOCOLS[protocol](run.metrics) for run in group]
    accuracies = () if None in figures else tuple(100 * figure for figure in figures)
    if not group or not all(metric in record for run in group for record in run.metrics):
        return Cell(*about, tuple(group), accuracies)
    epochs, values = curves(group, metric)
    return Cell(*about, tuple(group), accuracies, epochs, 100 * values if metric.endswith("accuracy") else values)


def mean_and_error(values: np.ndarray | Sequence[float]) -> tuple[np.ndarray, np.ndarray | None]:
    """The mean over dimension 0 and its standard error, which is None for a single value.

    >>> mean_and_error([1.0, 3.0])
    (np.float64(2.0), np.float64(1.0))
    """
    values = np.asarray(values, dtype=np.float64)
    error = values.std(axis=0, ddof=1) / len(values) ** 0.5 if len(values) > 1 else None
    return values.mean(axis=0), error


def difference(a: Cell, b: Cell) -> paired.Difference | None:
    """Mean of a minus b in points, paired by the seeds that both have; None with fewer than two of them."""
    mine, theirs = (dict(zip(cell.seeds, cell.accuracies, strict=False)) for cell in (a, b))
    common = sorted(mine.keys() & theirs.keys())
    if len(common) < 2:
        return None
    return paired.by_seed([mine[seed] / 100 for seed in common], [theirs[seed] / 100 for seed in common])
