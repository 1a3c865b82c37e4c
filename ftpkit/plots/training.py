"""Figures of notebook 04: one mini-batch of Algorithm 2, a race with its intervals, gradients by depth, flips."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from .. import race
from .style import figure, style

_DARK = "#333333"


def minibatch(panels: Mapping[str, Tensor], columns: int = 4) -> Figure:
    """One heat map per quantity of one layer in one mini-batch: units from top to bottom, examples from left to right.

    panels: title -> (examples, units). Blue is positive, red negative, white 0; each panel has a scale of its own, from
    minus to plus its largest absolute value.
    """
    rows = -(-len(panels) // columns)
    fig, axes = figure(rows, columns, 2.6, 2.1, squeeze=False)
    for ax, (title, values) in zip(axes.flat, panels.items(), strict=False):
        values = np.asarray(values).T
        top = max(float(np.abs(values).max()), 1e-12)
        image = ax.imshow(values, cmap="RdBu", vmin=-top, vmax=top, aspect="auto", interpolation="nearest")
        ax.grid(False)
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize=11)
        bar = fig.colorbar(image, ax=ax, ticks=[-top, 0, top], shrink=0.9)
        bar.ax.set_yticklabels([f"{v:.1g}" if v else "0" for v in (-top, 0, top)], fontsize=8)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("units")
    for ax in axes[-1]:
        ax.set_xlabel("examples")
    return fig


def ranked(result: Mapping) -> list[str]:
    """The contestants of a race, the best mean accuracy first."""
    return sorted(result["settings"]["contestants"], key=lambda c: -race.correct(result, c).mean())


def race_intervals(result: Mapping, reference: str = "sign:STE") -> Figure:
    """Left: every seed's accuracy and the mean. Right: the paired difference to `reference` with its 95 % interval.

    A hollow marker on the right says that the interval holds 0: no difference is shown.
    """
    fig, (left, right) = figure(1, 2, 4.6, 3.6, sharey=True)
    names = ranked(result)[::-1]
    base = race.correct(result, reference)
    for row, contestant in enumerate(names):
        look = style(race.label(contestant))
        hits = race.correct(result, contestant)
        accuracies = 100 * hits.mean(axis=1)
        left.plot(accuracies, np.full(len(accuracies), row), "|", color=look["color"], markersize=9, alpha=0.7)
        left.plot(accuracies.mean(), row, look["marker"], color=look["color"], markersize=7)
        if contestant == reference:
            right.text(0, row, "  (the reference)", va="center", fontsize=9, color=_DARK)
            continue
        d = race.difference(hits, base)
        fill = look["color"] if d.shown else "white"
        reach = [[d.mean - d.low], [d.high - d.mean]]
        right.errorbar(
            d.mean,
            row,
            xerr=reach,
            fmt=look["marker"],
            color=look["color"],
            markerfacecolor=fill,
            capsize=3,
            markersize=7,
        )
    right.axvline(0, color="0.5", linewidth=1)
    left.set_yticks(range(len(names)), [race.label(c) for c in names])
    left.set(xlabel="test accuracy in %", title=f"{len(base)} seeds (ticks) and their mean")
    right.set(xlabel=f"points above {race.label(reference)}", title="paired difference, 95 % interval")
    return fig


def training_loss(result: Mapping, name: Callable[[str], str] = race.label) -> Figure:
    """Training loss by epoch: the mean over the seeds as a line, the smallest to the largest as a band.

    name: how the legend calls a contestant.
    """
    fig, ax = figure(1, 1, 7.0, 3.8)
    for contestant in ranked(result):
        curves = np.array([r["train_loss"] for r in result["runs"] if r["contestant"] == contestant])
        epochs, look = np.arange(1, curves.shape[1] + 1), style(race.label(contestant))
        look["label"] = name(contestant)
        ax.plot(epochs, curves.mean(axis=0), linewidth=2, markersize=5, **look)
        ax.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), color=look["color"], alpha=0.15, linewidth=0)
    ax.set(xlabel="epoch", ylabel="mean training loss", yscale="log", xticks=epochs)
    ticks = [tick for tick in (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0) if ax.get_ylim()[0] < tick < ax.get_ylim()[1]]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def by_depth(records: Sequence[Mapping], predicted: Mapping[tuple[str, bool], float]) -> Figure:
    """How large the gradient at the first hidden layer is, compared with the last: left without, right with batch norm.

    records: as ``depth.run`` makes them under "gradients"; each marker is the mean over seeds of the logarithm.
    predicted: (contestant, batch_norm) -> factor per layer; drawn as a line, factor ** (depth - 1).
    """
    fig, axes = figure(1, 2, 4.4, 3.8, sharey=True)
    contestants = list(dict.fromkeys(r["contestant"] for r in records))
    depths = sorted({r["depth"] for r in records})
    for ax, batch_norm in zip(axes, (False, True), strict=True):
        ax.axhline(1, color="0.5", linewidth=1)
        for contestant in contestants:
            look = style(race.label(contestant))
            means = [
                np.exp(
                    np.mean([np.log(r["result"][0]["size"]) for r in records if _is(r, contestant, batch_norm, depth)])
                )
                for depth in depths
            ]
            ax.plot(depths, means, look["marker"], color=look["color"], markersize=7)
            if (contestant, batch_norm) in predicted:
                line = predicted[contestant, batch_norm] ** (np.array(depths, float) - 1)
                ax.plot(depths, line, color=look["color"], linestyle=look["linestyle"], linewidth=1.5)
            ax.plot([], [], **look)  # one entry of the legend for marker and line
        ax.set(xlabel="hidden layers", yscale="log", xticks=depths)
        ax.set_title("with batch norm" if batch_norm else "without batch norm", fontsize=11)
    axes[0].set_ylabel("gradient at the first / at the last")
    axes[1].legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def _is(record: Mapping, contestant: str, batch_norm: bool, depth: int) -> bool:
    return (record["contestant"], record["batch_norm"], record["depth"]) == (contestant, batch_norm, depth)


def flips(records: Sequence[Mapping]) -> Figure:
    """Flip ratio in each epoch, one panel per hidden layer: mean over the seeds, band from smallest to largest.

    records: as ``depth.run`` makes them under "flips", all with one learning rate.
    """
    layers = [key for key in records[0]["result"][0] if key != "accuracy"]
    fig, axes = figure(1, len(layers), 4.2, 3.2, sharey=True, squeeze=False)
    for ax, (number, layer) in zip(axes[0], enumerate(layers, 1), strict=True):
        for rule in dict.fromkeys(r["rule"] for r in records):
            curves = np.array([[100 * e[layer] for e in r["result"]] for r in records if r["rule"] == rule])
            epochs, look = np.arange(1, curves.shape[1] + 1), style(race.label(rule))
            ax.plot(epochs, curves.mean(axis=0), linewidth=2, **look)
            ax.fill_between(
                epochs, curves.min(axis=0), curves.max(axis=0), color=look["color"], alpha=0.15, linewidth=0
            )
        ax.set(xlabel="epoch", xticks=epochs)
        ax.set_title(f"hidden layer {number}", fontsize=11)
    axes[0, 0].set_ylabel("outputs that flipped, %")
    axes[0, 0].set_ylim(bottom=0)
    axes[0, -1].legend(frameon=False, fontsize=9)
    return fig
