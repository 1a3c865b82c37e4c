"""What a race demo shows, and its words: the alt text, the key numbers and the table."""

import html
from dataclasses import dataclass

from ..names import label
from ..paired import Difference
from ..race import Race
from ..standings import Progress, Run, batches_of, said

LAYERS = {"first hidden layer": 0, "last hidden layer": -1}
ONE_SEED = "one seed shows nothing about others; take two or more for an interval"


@dataclass(frozen=True, eq=False)
class Standing:
    """What is shown: a race, and how far it has come.

    race: of the progress, or, before a start, of the controls. progress: None before a start. note: "" or what is to be
    said about the controls: that they stand for no race, or for another than the one that is shown. layer: a key of
    LAYERS. table, differences: see `Progress`, for the seeds that all rivals have finished.
    """

    race: Race
    progress: Progress | None
    note: str
    layer: str

    @property
    def phase(self) -> str:
        return "not started" if self.progress is None else self.progress.phase

    @property
    def table(self) -> list[dict]:
        return [] if self.progress is None else self.progress.table()

    @property
    def differences(self) -> dict[tuple[str, str], Difference]:
        return {} if self.progress is None else self.progress.differences()

    @property
    def where(self) -> str:
        """How far it has come, in words."""
        if self.progress is None:
            return "not started"
        done = f"{self.progress.batches:,} of {batches_of(self.race):,} batches"
        if self.phase == "running":
            return f"running, seed {self.seed} of {self.race.seeds}, {done}"
        return "finished" if self.phase == "finished" else f"{self.phase} after {done}"

    @property
    def seed(self) -> int:
        """The seed under way, counted from 1."""
        return min(self.progress.seeds + 1, self.race.seeds)

    @property
    def verdict(self) -> str:
        """What the complete seeds show, in words.

        >>> Standing(Race("mlp", ("relu", "sign:STE"), (3e-3,), epochs=1), None, "", "").verdict
        'nothing: no seed is complete for all rivals'
        """
        if not self.table:
            return "nothing: no seed is complete for all rivals"
        if not self.differences:
            return ONE_SEED
        shown = [f"{label(a)} above {label(b)}" for (a, b), found in self.differences.items() if found.shown]
        rest = [f"{label(a)} and {label(b)}" for (a, b), found in self.differences.items() if not found.shown]
        said = [", ".join(shown)] if shown else []
        return "; ".join([*said, f"no difference shown between {', '.join(rest)}"] if rest else said)

    @property
    def alt(self) -> str:
        """Who races and how far they are; what may be concluded where the race is over; the end of each curve."""
        parts = [f"{said(self.race)}, {self.where}."]
        if self.progress is None:
            parts.append(f"Axes without curves for training loss, test accuracy, flips and gradient. {self.budget}.")
        else:
            if self.phase != "running":
                parts += [f"Error: {self.progress.error}."] if self.progress.error else []
                parts += [f"Test accuracy of {label(row['contestant'])} {_figures(row)}." for row in self.table]
                parts += [f"{_pair(pair)}: {found}." for pair, found in self.differences.items()]
                parts += [f"What it shows: {self.verdict}."] if not self.differences else []
            runs = [runs[-1] for contestant in self.race.contestants if (runs := self.progress.of(contestant))]
            parts += [self._latest(run) for run in runs if run.loss]
        parts += [f"Note: {self.note}."] if self.note else []
        return " ".join(parts)

    @property
    def numbers(self) -> dict[str, str]:
        """What changes seldom, so that a screen reader is not told of every batch."""
        words = f"running, seed {self.seed} of {self.race.seeds}" if self.phase == "running" else self.where
        found = {"Race": f"{said(self.race)}: {words}. {self.budget}"}
        if self.phase not in ("running", "not started"):
            found |= {label(row["contestant"]): _figures(row) for row in self.table}
            found |= {_pair(pair): str(difference) for pair, difference in self.differences.items()}
            found["What it shows"] = self.verdict
            last = [runs[-1] for contestant in self.race.contestants if (runs := self.progress.of(contestant))]
            found |= {f"Inside {label(run.contestant)} at the end": _inside(run) for run in last if run.loss}
        return found | ({"Note": self.note} if self.note else {})

    @property
    def budget(self) -> str:
        """What all rivals get alike.

        >>> Standing(Race("mlp", ("relu", "sign:STE"), (3e-3,), epochs=1), None, "", "").budget
        'Each: 100 batches of 100 images, seeds: 10, learning rate 0.003'
        """
        race = self.race
        batches = batches_of(race) // race.seeds // len(race.contestants)
        rate = f"learning rate {race.lrs[0]:g}"
        return f"Each: {batches} batches of {race.batch_size} images, seeds: {race.seeds}, {rate}"

    @property
    def html(self) -> str:
        """The table of a race that is over, as HTML; "" before."""
        if self.phase in ("running", "not started") or not self.table:
            return ""
        head = ["rival", "test accuracy", "standard error", "seeds"]
        rows = [
            [label(row["contestant"]), f"{row['mean']:.2f} %", _error(row), str(row["seeds"])] for row in self.table
        ]
        tables = [_table("Mean test accuracy over the seeds", head, rows)]
        if self.differences:
            head = ["pair", "points", "95 % interval", "shown?"]
            rows = [
                [
                    _pair(pair),
                    f"{d.mean:+.2f}",
                    f"{d.low:+.2f} to {d.high:+.2f}",
                    "yes" if d.shown else "no difference shown",
                ]
                for pair, d in self.differences.items()
            ]
            tables.append(_table("Differences, paired by seed and test image", head, rows))
        return "".join(tables)

    def _latest(self, run: Run) -> str:
        parts = [f"training loss {run.loss[-1]:.3f}"]
        parts += [f"test accuracy {100 * run.accuracy[-1][1]:.1f} %"] if run.accuracy else []
        layer = LAYERS[self.layer]
        parts.append(f"flips {100 * run.flips[-1][layer]:.1f} % and gradient {run.gradients[-1][layer]:.2g}")
        where = f"{label(run.contestant)}, seed {run.seed + 1}, {run.batches[-1]} batches"
        return f"{where}: {', '.join(parts)} in the {self.layer}."


def _figures(row: dict) -> str:
    """Mean, standard error and number of seeds, as a row of the table has them."""
    return f"{row['mean']:.2f} %, standard error {_error(row)}, seeds: {row['seeds']}"


def _error(row: dict) -> str:
    return "unknown from one seed" if row["error"] is None else f"{row['error']:.2f}"


def _pair(pair: tuple[str, str]) -> str:
    return f"{label(pair[0])} minus {label(pair[1])}"


def _inside(run: Run) -> str:
    stretch = run.batches[-1] - ([0, *run.batches][-2])
    flips = ", ".join(f"{100 * share:.1f} %" for share in run.flips[-1])
    sizes = ", ".join(f"{size:.2g}" for size in run.gradients[-1])
    return f"seed {run.seed + 1}, layer by layer: flips in the last {stretch} batches {flips}; gradient {sizes}"


def _table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    cells = "".join(f'<th scope="col" style="padding: 0 1em 0 0; text-align: left">{each}</th>' for each in head)
    lines = "".join(
        "<tr>" + "".join(f'<td style="padding: 0 1em 0 0">{html.escape(each)}</td>' for each in row) + "</tr>"
        for row in rows
    )
    title = f'<caption style="text-align: left; font-weight: bold; white-space: nowrap">{caption}</caption>'
    return f'<table style="margin: 0.5em 0">{title}<thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>'
