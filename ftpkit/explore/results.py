"""Look at the paper's table beside the runs that were made: any row, any figure, any protocol, curves with bands."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as W
import traitlets as T
from matplotlib.figure import Figure

from ..paired import Difference
from ..plots import table as plots
from ..presets import COLUMNS, ROWS
from ..runs import Run, survey, table
from ..runs.protocols import MEANING, PROTOCOLS
from ..runs.row import Cell, by_setting, cells, difference, mean_and_error
from . import controls
from .shell import Demo, State, Try

UNITS = {
    "all": tuple(COLUMNS),
    "signs": ("sign-sste", "sign-ftpsh"),
    "staircases": ("staircase-sste", "staircase-ftpsh"),
    "ReLUs": ("relu", "saturated-relu"),
}
METRICS = {
    "test_accuracy": "test accuracy in %",
    "train_accuracy": "training accuracy in %",
    "test_loss": "test loss",
    "train_loss": "training loss",
}
_MOST_NOTES = 4


class ResultsState(State):
    """What the demo shows: a row of the table, some of its columns, one figure epoch by epoch, one protocol.

    row: a name in `presets.ROWS`; units: a name in UNITS; metric: one in METRICS; protocol: one in
    `runs.protocols.PROTOCOLS`. setting: where a row was run under several settings (epochs, images, ...), which of
    them, from 0; one that is not there becomes the last. folders: of runs, a path or several; () for data/results/runs
    and runs/ where you are. Raises traitlets.TraitError for anything else.

    >>> ResultsState(row="resnet18", protocol="last")
    ResultsState(row='resnet18', setting=0, units='all', metric='test_accuracy', protocol='last', folders=())
    """

    row = T.Enum(tuple(ROWS), "bundled-convnet8")
    setting = T.Int(0, min=0)
    units = T.Enum(tuple(UNITS), "all")
    metric = T.Enum(tuple(METRICS), "test_accuracy")
    protocol = T.Enum(tuple(PROTOCOLS), "selected")
    folders = T.Any(())

    @T.validate("folders")
    def _paths(self, proposal):
        return _as_folders(proposal["value"])

    @T.validate("setting")
    def _there(self, proposal):
        return self._at_most(proposal["value"])

    @T.observe("row", "folders")
    def _fit(self, change):
        self.setting = self._at_most(self.setting)

    def _at_most(self, setting: int) -> int:
        return setting and min(setting, max(len(settings_of(self)) - 1, 0))


def _as_folders(folders) -> tuple[str, ...]:
    paths = [folders] if isinstance(folders, str | Path) else folders
    if not isinstance(paths, Iterable) or not all(isinstance(path, str | Path) for path in paths):
        raise T.TraitError(f"folders is a path or several, such as 'runs', not {folders!r}")
    return tuple(map(str, paths))


def settings_of(state: ResultsState) -> list[str]:
    """The settings under which the row of a state was run, in words."""
    folders = _as_folders(state.folders)  # while a state is made, its setting may be looked at before they are
    return list(by_setting(survey(*folders)[0], state.row))


@dataclass(frozen=True, eq=False)
class Chosen:
    """A row of the table as a state chooses it.

    row, units, metric, protocol: as in the state. setting: in words, "" where nothing was run. cells: of the columns.
    pairs: "signs" and "staircases" -> the cells of FTP-SH and SSTE, and their difference. notes: a sentence for each
    run of this row that is in no figure, and for each folder that cannot be read.
    """

    row: str
    units: str
    metric: str
    protocol: str
    setting: str
    cells: tuple[Cell, ...]
    pairs: dict[str, tuple[Cell, Cell, Difference | None]]
    notes: tuple[str, ...]

    @property
    def runs(self) -> list[Run]:
        return [run for cell in self.cells for run in cell.runs]


class ResultsExplorer(Demo):
    """The demo: choose a row of the paper's table, and see its figures beside the runs that were made.

    Left: a figure of your choice epoch by epoch, the mean of the seeds with a band of one standard error. Right: test
    accuracy by the chosen protocol, every seed and their mean, and the paper's figure. Below: all of it in words, and
    the command for what was not run. Your own runs: ``ResultsExplorer(folders="my_runs")``, or several folders; without
    it, those that come with the kit and those in runs/. They are read anew whenever something is chosen. Keys: Tab goes
    from control to control; Space presses a button, and opens a list for the arrow keys and Enter.

    >>> demo = ResultsExplorer(row="resnet18", units="signs")
    >>> demo.numbers(demo.compute())["sign, SSTE"]
    'the paper 49.1 % (one run); no finished run here: python -m ftpkit train resnet18-sign-sste --data FOLDER'
    """

    State = ResultsState
    TRIES = (
        Try(
            "another protocol",
            "The 8-layer network with signs. After the last epoch FTP-SH is ahead of SSTE, and the interval of the "
            "difference excludes 0. The very same runs at their selected epochs: is it still shown?",
            {"row": "bundled-convnet8", "units": "signs", "metric": "test_accuracy", "protocol": "selected"},
        ),
        Try(
            "two levels or four",
            "The 8-layer network tests better with staircases than with signs. With SSTE, which of the two fits the "
            "training images better, that is, has the lower training loss after the last epoch?",
            {"row": "bundled-convnet8", "units": "all", "metric": "train_loss", "protocol": "last"},
        ),
        Try(
            "the largest network",
            "The paper's ResNet-18 on ImageNet, with signs: which of the two rules is ahead there, and how many runs "
            "are behind each figure?",
            {"row": "resnet18", "units": "signs", "metric": "test_accuracy", "protocol": "best"},
        ),
    )

    def controls(self) -> list[W.Widget]:
        state = self.state
        state.observe(self._settings, ["row", "folders", "setting"])  # before the list takes over a value
        self.row = controls.choice(state, "row", "Row", [(row.title, name) for name, row in ROWS.items()])
        self.setting = controls.choice(state, "setting", "Setting", _options(state))
        self.setting.disabled = len(self.setting.options) < 2
        self.units = controls.buttons(state, "units", "Units", UNITS)
        self.metric = controls.choice(state, "metric", "Curves", [(text, name) for name, text in METRICS.items()])
        self.protocol = controls.buttons(state, "protocol", "Protocol", PROTOCOLS)
        for each in (self.row, self.setting):
            each.layout.width = "38em"
        return [self.row, self.setting, self.units, self.metric, self.protocol]

    def _settings(self, change) -> None:
        """The list of settings is that of this row."""
        options, wanted = _options(self.state), self.state.setting
        if list(self.setting.options) != options:
            self.setting.options = options  # and its value, and the state with it, become the first
            self.setting.disabled = len(options) < 2
            self.state.setting = wanted

    @staticmethod
    def compute_from(state: ResultsState) -> Chosen:
        runs, notes = survey(*state.folders)
        if not runs and not notes:
            notes = [f"there is no run in {' or '.join(state.folders) or 'the usual folders'}"]
        of_row = [run for run in runs if run.config["preset"] in [f"{state.row}-{column}" for column in COLUMNS]]
        made = by_setting(of_row, state.row)
        setting = list(made)[min(state.setting, len(made) - 1)] if made else ""
        chosen = cells(state.row, made.get(setting, []), UNITS[state.units], state.protocol, state.metric)
        by_column = {cell.column: cell for cell in chosen}
        kinds = {kind: [by_column[c] for c in UNITS[kind][::-1] if c in by_column] for kind in ("signs", "staircases")}
        return Chosen(
            row=state.row,
            units=state.units,
            metric=state.metric,
            protocol=state.protocol,
            setting=setting,
            cells=tuple(chosen),
            pairs={kind: (*pair, difference(*pair)) for kind, pair in kinds.items() if pair},
            notes=(*table.left_out(of_row), *notes),
        )

    @staticmethod
    def draw(result: Chosen) -> Figure:
        return plots.chosen(result, ROWS[result.row], METRICS[result.metric])

    @staticmethod
    def alt(result: Chosen) -> str:
        """What was run, the figures by the protocol, the paper's, the differences, and where the curves end."""
        runs = len(result.runs)
        said = [f"{ROWS[result.row].title}: {f'{runs} runs, {result.setting}' if runs else 'no finished run here'}."]
        if figures := [f"{cell.heading} {_figure(cell)}" for cell in result.cells if cell.accuracies]:
            said.append(f"Test accuracy in %, {result.protocol} epoch: {', '.join(figures)}.")
        if papers := [f"{cell.heading} {cell.paper}" for cell in result.cells if cell.paper is not None]:
            said.append(f"The paper, one run each: {', '.join(papers)}.")
        said += [f"FTP-SH minus SSTE, {kind}: {_gap(*pair)}." for kind, pair in result.pairs.items()]
        if ends := [f"{cell.heading} {_end(cell, result.metric)}" for cell in result.cells if cell.values is not None]:
            said.append(f"The curves of the {METRICS[result.metric]} end at: {', '.join(ends)}.")
        return " ".join(said)

    @staticmethod
    def numbers(result: Chosen) -> dict[str, str]:
        devices = dict.fromkeys(device for run in result.runs for device in run.devices)
        runs = f"{len(result.runs)}; {result.setting}; trained on {', '.join(devices) or 'a device not known'}"
        return {
            "Runs": runs if result.runs else "none",
            "Protocol": f"{result.protocol}: {MEANING[result.protocol]}",
            **{cell.heading: _in_words(cell, result) for cell in result.cells},
            **{f"FTP-SH minus SSTE, {kind}": _gap(*pair) for kind, pair in result.pairs.items()},
            **({"In no figure": _notes(result.notes)} if result.notes else {}),
        }


def _options(state: ResultsState) -> list[tuple[str, int]]:
    found = settings_of(state)
    return [(setting, place) for place, setting in enumerate(found)] or [("no finished run", 0)]


def _figure(cell: Cell) -> str:
    mean, error = mean_and_error(cell.accuracies)
    return f"{mean:.1f}" if error is None else f"{mean:.1f} ± {error:.1f}"


def _end(cell: Cell, metric: str) -> str:
    mean, error = mean_and_error(cell.values[:, -1])
    digits = 1 if metric.endswith("accuracy") else 3
    return f"{mean:.{digits}f}" if error is None else f"{mean:.{digits}f} ± {error:.{digits}f}"


def _in_words(cell: Cell, result: Chosen) -> str:
    said = [] if cell.paper is None else [f"the paper {cell.paper} % (one run)"]
    if not cell.runs:
        where = "under this setting" if result.runs else "here"
        return "; ".join([*said, f"no finished run {where}: {cell.command}"])
    seeds = f"n = {len(cell.runs)} seed{'s' * (len(cell.runs) > 1)}"
    if cell.accuracies:
        said.append(f"{_figure(cell)} % ({seeds})")
    else:
        said.append(f"no figure by {result.protocol}, which needs runs with --val N ({seeds})")
    if cell.values is None:
        said.append(f"these runs do not say their {METRICS[result.metric]}")
    else:
        said.append(f"{METRICS[result.metric]} after epoch {cell.epochs[-1]}: {_end(cell, result.metric)}")
    return "; ".join(said)


def _gap(ours: Cell, theirs: Cell, gap: Difference | None) -> str:
    """A difference in points with its interval; where it cannot be known, why; and that of the paper."""
    pairs = len(set(ours.seeds) & set(theirs.seeds))
    if gap is not None:
        said = f"{gap} ({pairs} pairs of runs)"
    elif not (ours.runs and theirs.runs):
        said = "not known, no finished runs of both here"
    elif not (ours.accuracies and theirs.accuracies):
        said = "no figure by this protocol"
    else:
        said = f"not known, it needs two seeds that both have ({pairs} so far)"
    if None in (ours.paper, theirs.paper):
        return said
    return f"{said}; the paper {ours.paper - theirs.paper:+.1f}, one run each, so no interval"


def _notes(notes: tuple[str, ...]) -> str:
    more = len(notes) - _MOST_NOTES
    return "; ".join(notes[:_MOST_NOTES]) + (f"; and {more} more" if more > 0 else "")
