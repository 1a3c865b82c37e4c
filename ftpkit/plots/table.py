"""Figures of notebook 08: the paper's differences, ours with their errors, and curves by epoch."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..presets import COLUMNS, Row
from ..runs import Run, curves
from ..runs.row import mean_and_error
from .style import figure, style

_LABELS = {
    "sign-sste": "SSTE",
    "sign-ftpsh": "FTP-SH",
    "staircase-sste": "SSTE, {steps} steps",
    "staircase-ftpsh": "FTP-SH, {steps} steps",
    "relu": "ReLU",
    "saturated-relu": "Saturated ReLU",
}


def label(column: str, steps: int) -> str:
    """How a column of the table is called in `plots.style`.

    >>> label("staircase-ftpsh", 5)
    'FTP-SH, 5 steps'
    """
    return _LABELS[column].format(steps=steps)


def single_runs(gaps: Mapping[str, float], title: str) -> Figure:
    """Differences of single runs, in points, a row each: no error bars, for there is one run of each."""
    fig, ax = figure(1, 1, 6.4, 0.42 * len(gaps) + 1.0)
    for row, gap in enumerate(reversed(gaps.values())):
        look = style("FTP-SH" if gap > 0 else "SSTE")
        ax.plot([0, gap], [row, row], color=look["color"], linewidth=2)
        ax.plot(gap, row, look["marker"], color=look["color"], markersize=9)
        ax.annotate(f"{gap:+.1f}", (gap, row), (8 if gap >= 0 else -8, 0), textcoords="offset points",
                    ha="left" if gap >= 0 else "right", va="center", fontsize=10)  # fmt: skip
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set_yticks(range(len(gaps)), list(gaps)[::-1])
    ax.margins(x=0.18, y=0.12)
    ax.set(xlabel="points of test accuracy", title=title)
    return fig


def cells(records: Sequence[Mapping], titles: Mapping[str, str]) -> Figure:
    """One panel per row of the table: every seed as a tick, the mean with one standard error, a line per column.

    records: as `runs.table.records` returns them, of one protocol. titles: row -> title of its panel.
    """
    fig, axes = figure(1, len(titles), 3.3, 3.0, squeeze=False, sharey=True)
    columns = list(COLUMNS)[::-1]
    for ax, (row, title) in zip(axes[0], titles.items(), strict=True):
        for record in (r for r in records if r["row"] == row and r["n"]):
            place, steps = columns.index(record["column"]), record["activation"].partition(":")[0].rpartition("-")[2]
            look = style(label(record["column"], steps))
            face = look.get("markerfacecolor", look["color"])
            ax.plot(record["accuracies"], [place] * record["n"], "|", color=look["color"], markersize=11, alpha=0.6)
            ax.errorbar(record["mean"], place, xerr=record["error"], fmt=look["marker"], color=look["color"],
                        markerfacecolor=face, capsize=3, markersize=8)  # fmt: skip
        ax.set(xlabel="test accuracy in %", title=title)
    axes[0, 0].set_yticks(range(len(columns)), [COLUMNS[column] for column in columns])
    axes[0, 0].set_ylim(-0.6, len(columns) - 0.4)
    return fig


def by_epoch(groups: Mapping[str, Sequence[Run]], keys: Mapping[str, str], steps: int) -> Figure:
    """One panel per key: the mean over the seeds by epoch as a line, from the smallest to the largest as a band.

    groups: column -> its runs. keys: key of the metrics -> title; shares are drawn in per cent.
    """
    fig, axes = figure(1, len(keys), 4.4, 3.3, squeeze=False)
    for ax, (key, title) in zip(axes[0], keys.items(), strict=True):
        for column, runs in groups.items():
            epochs, values = curves(runs, key)
            values = 100 * values if key.endswith("accuracy") else values
            look = style(label(column, steps))
            ax.plot(epochs, values.mean(axis=0), linewidth=2, markersize=5, **look)
            ax.fill_between(
                epochs, values.min(axis=0), values.max(axis=0), color=look["color"], alpha=0.15, linewidth=0
            )
        ax.set(xlabel="epoch", title=title)
        if len(epochs) <= 12:
            ax.set_xticks(np.asarray(epochs))
    axes[0, -1].legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def chosen(result, row: Row, metric: str) -> Figure:
    """Curves and figures of one row of the table, of `explore.results.Chosen`.

    Left: the metric (its name is given) by epoch, mean of the seeds, the band one standard error. Right: test accuracy
    by the protocol, every seed as a tick, the mean with one standard error; the paper's figure as a black star.
    """
    height = max(3.2, 0.42 * len(result.cells) + 1.4)
    fig = Figure(figsize=(10.2, height), facecolor="white")
    low, tall = 0.55 / height, 1 - 1.0 / height
    left, right = fig.add_axes([0.07, low, 0.42, tall]), fig.add_axes([0.66, low, 0.32, tall])
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)

    for place, cell in enumerate(reversed(result.cells)):
        look = style(label(cell.column, row.steps) if cell.column else cell.heading) | {"label": cell.heading}
        if cell.values is not None:
            mean, error = mean_and_error(cell.values)
            left.plot(cell.epochs, mean, linewidth=2, markersize=5, **look, markevery=max(1, len(mean) // 12))
            if error is not None:
                band = {"color": look["color"], "alpha": 0.18, "linewidth": 0}
                left.fill_between(cell.epochs, mean - error, mean + error, **band)
        if cell.accuracies:
            mean, error = mean_and_error(cell.accuracies)
            right.plot(cell.accuracies, [place] * len(cell.accuracies), "|", color=look["color"], markersize=11)
            face = {"markerfacecolor": look.get("markerfacecolor", look["color"]), "label": cell.heading}
            right.errorbar(mean, place, xerr=error, fmt=look["marker"], color=look["color"], capsize=3, markersize=8,
                           **face)  # fmt: skip
        if cell.paper is not None:
            right.plot(cell.paper, place, "*", color="black", markersize=11, label="the paper")
    left.set_xlabel("epoch")
    left.set_title(metric, fontsize=10, y=1.0)
    left.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    right.set_yticks(range(len(result.cells)), [cell.heading for cell in reversed(result.cells)])
    right.set(ylim=(-0.6, len(result.cells) - 0.4))
    right.set_title(f"test accuracy in %, {result.protocol} epoch", fontsize=10, y=1.0)
    right.margins(x=0.1)
    if any(cell.paper is not None for cell in result.cells):
        right.set_xlabel("star: the paper, one run")
    if not left.lines:
        left.set_yticks([])
        _blank(left, f"these runs do not say their {metric}" if result.runs else "no finished run here")
    elif not all(cell.accuracies for cell in result.cells if cell.runs):
        left.legend(fontsize=8, frameon=False, loc="lower right")  # the marks on the right are missing
    if not right.lines:
        _blank(right, f"no figure by the protocol {result.protocol}" if result.runs else "no finished run here")
    return fig


def _blank(ax, said: str) -> None:
    ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", va="center", fontsize=11)
    ax.grid(False)
    ax.tick_params(bottom=False, labelbottom=False, left=False)
