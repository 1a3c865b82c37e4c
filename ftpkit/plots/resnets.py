"""Figures of residual networks: the two blocks, signal and gradient along the stream, curves of runs, hardening."""

from collections.abc import Mapping, Sequence
from operator import add

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, fx, nn

from .. import names
from ..models import BasicBlock
from .convnet import name
from .style import figure, style

_DARK = "#333333"
SKIPS = {"none": "no skip path", "threshold": "threshold on the skip path", "real": "real skip path"}


# --- the block -----------------------------------------------------------------------------------------------------


def path(skip: str) -> list[str]:
    """What a block does from its input to its output, in order, read off the code: names of layers, and "+".

    >>> path("threshold")
    ['conv1', 'bn1', 'act1', 'conv2', 'bn2', '+', 'act2']
    """
    block = BasicBlock(nn.ReLU, 2, 2, 1, skip)
    steps = ["+" if node.target is add else node.target for node in fx.symbolic_trace(block).graph.nodes]
    return [step for step in steps if step not in ("x", "downsample", "output")]


def blocks() -> Figure:
    """The basic block with a threshold on its skip path and with a real one, from bottom to top; thresholds dark."""
    fig, axes = figure(1, 2, 3.0, 4.4)
    for ax, skip in zip(axes, ("threshold", "real"), strict=True):
        steps = path(skip)
        line = dict(color=_DARK, linewidth=3)
        rows = {step: row for row, step in enumerate(steps, start=1)}
        top = len(steps) + 1
        ax.plot([0, 0], [0, top], color="0.4", linewidth=1.5, zorder=1)
        ax.plot([0, 1.3, 1.3, 0.18], [0.35, 0.35, rows["+"], rows["+"]], **line)  # the skip path
        ax.plot([0, 0], [rows["+"] + 0.2, top], **line)
        for step, row in rows.items():
            threshold = step.startswith("act")
            box = dict(boxstyle="circle" if step == "+" else "round", facecolor=_DARK if threshold else "white")
            text = "threshold" if threshold else {"c": "3x3 convolution", "b": "batch norm", "+": "+"}[step[0]]
            ax.text(0, row, text, color="white" if threshold else _DARK, ha="center", va="center", bbox=box, zorder=3)
        for y, text in ((-0.25, "x"), (top + 0.25, "next x")):
            ax.text(0, y, text, ha="center", va="center", style="italic")
        ax.set(xlim=(-1.3, 1.7), ylim=(-0.5, top + 0.5), xticks=[], yticks=[])
        ax.set_title(SKIPS[skip], fontsize=11)
        ax.spines[:].set_visible(False)
        ax.grid(False)
    return fig


# --- along the stream ----------------------------------------------------------------------------------------------


def maps(rows: Mapping[str, Sequence[Tensor]], titles: Sequence[str]) -> Figure:
    """Feature maps (H, W): a row for each network, a column for each place; each picture has its own scale."""
    fig, axes = figure(len(rows), len(titles), 1.25, 1.35, squeeze=False)
    for ax, place in zip(axes[0], titles, strict=True):
        ax.set_title(place, fontsize=9)
    for line, (title, tiles) in zip(axes, rows.items(), strict=True):
        for ax, tile in zip(line, tiles, strict=True):
            top = max(float(tile.abs().max()), 1e-12)
            ax.imshow(tile.numpy(), cmap="PuOr_r", vmin=-top, vmax=top, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            ax.grid(False)
        line[0].set_ylabel(title, fontsize=9)
    return fig


def along(records: Sequence[Mapping], key: str, expected: Mapping[tuple[str, str], Sequence[float]]) -> Figure:
    """A panel for each kind of skip path: markers measured, the mean over the seeds, lines expected.

    records: as ``skips.run`` makes them under "stream". key: "size", averaged as logarithms on a logarithmic scale, or
    "left". expected: (contestant, skip) -> one number for each place.
    """
    kinds = [skip for skip in SKIPS if any(r["skip"] == skip for r in records)]
    fig, axes = figure(1, len(kinds), 3.4, 3.6, sharey=True, squeeze=False)
    for ax, skip in zip(axes[0], kinds, strict=True):
        for contestant in dict.fromkeys(r["contestant"] for r in records):
            mine = [r["result"][key] for r in records if (r["contestant"], r["skip"]) == (contestant, skip)]
            means = np.exp(np.log(mine).mean(axis=0)) if key == "size" else np.mean(mine, axis=0)
            look = style(names.label(contestant)) | {"label": name(contestant)}
            marks = {k: look[k] for k in look if k.startswith(("color", "marker"))} | {"linestyle": "", "markersize": 5}
            ax.plot(means, **marks, markevery=4)
            ax.plot(expected[contestant, skip], color=look["color"], linestyle=look["linestyle"], linewidth=1.5)
            ax.plot([], [], **look)  # one entry of the legend for marker and line
        ax.set(xlabel="blocks behind the stem", xticks=range(0, len(means), 4))
        ax.set_title(SKIPS[skip], fontsize=10)
        if key == "size":
            ax.axhline(1, color="0.5", linewidth=1)
            ax.set(yscale="log")
    axes[0, 0].set_ylabel({"size": "gradient here / at the last block", "left": "correlation with the stem"}[key])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return fig


# --- what training makes of it -------------------------------------------------------------------------------------


def _band(ax, x, values: np.ndarray, contestant: str) -> None:
    """The mean of the seeds as a line, the lowest to the highest as a band."""
    look = style(names.label(contestant)) | {"label": name(contestant)}
    ax.plot(x, values.mean(axis=0), linewidth=2, markersize=6, **look)
    ax.fill_between(x, values.min(axis=0), values.max(axis=0), color=look["color"], alpha=0.15, linewidth=0)


def curves(panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> Figure:
    """Test error by epoch in per cent, a panel for each network; mean of the seeds, band from lowest to highest.

    panels: title -> contestant -> epochs (E,) and accuracies (seeds, E) in [0, 1], as `runs.curves` returns them. The
    scale is logarithmic, or what happens in the last epochs could not be told apart.
    """
    fig, axes = figure(1, len(panels), 4.6, 4.4, sharey=True, squeeze=False)
    for ax, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for contestant, (epochs, accuracies) in lines.items():
            _band(ax, epochs, 100 - 100 * accuracies, contestant)
            ax.set_xticks(epochs)
        ax.set_title(title, fontsize=11)
        ax.set(xlabel="epoch", yscale="log")
    low, high = axes[0, 0].get_ylim()
    ticks = [tick for tick in (1, 2, 5, 10, 12, 15, 20, 30, 40, 60, 80) if low < tick < high]
    axes[0, 0].set_yticks(ticks, [str(tick) for tick in ticks])
    axes[0, 0].minorticks_off()
    axes[0, 0].set_ylabel("test error in %")
    pairs = {label: handle for ax in axes[0] for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    fig.legend(pairs.values(), pairs, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return fig


STAGES = {"at_once": "thresholds\nput in", "recounted": "batch norm\nmeasured anew", "trained": "trained\non"}


def stages(records: Sequence[Mapping]) -> Figure:
    """Test accuracy in per cent of a trained network before its ReLUs go, and at three stages after it.

    records: as ``skips.run`` makes them under "thresholds". Mean of the seeds, band from lowest to highest.
    """
    fig, ax = figure(1, 1, 6.6, 3.8)
    found = [record["result"] for record in records]
    for contestant in found[0]["hardened"]:
        rows = [[r["before"], *(r["hardened"][contestant][stage] for stage in STAGES)] for r in found]
        _band(ax, range(4), 100 * np.array(rows), contestant)
    relu = style("ReLU") | {"label": "ReLU, trained on"}
    ax.plot(3, 100 * np.mean([r["relu"] for r in found]), **relu, markersize=7)
    ax.set_xticks(range(4), ["ReLU", *STAGES.values()])
    ax.set(ylabel="test accuracy in %", ylim=(0, 100), xlim=(-0.3, 3.3))
    ax.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig
