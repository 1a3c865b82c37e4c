"""Figures of the layer losses, all computed from the losses themselves: shapes, surrogates, chords, flips."""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..losses import LOSSES, Loss
from ..rules import RULES
from .style import figure, style

_RULE_OF_LOSS = {rule.loss.name: name for name, rule in RULES.items()}
_DARK = "#333333"


def loss_style(name: str) -> dict:
    """The kit's look of the rule that is made of a layer loss; "STE" for "Linear".

    >>> loss_style("SoftHinge")["color"] == style("FTP-SH")["color"]
    True
    """
    return style(_RULE_OF_LOSS.get(name, name)) | {"label": name}


def loss_cards(losses: Iterable[Loss] = LOSSES.values(), t: int = 1, columns: int = 5) -> Figure:
    """One small panel per layer loss: its value (thick, in its colour) and its derivative in z (thin, dark, dashed)."""
    losses = list(losses)
    z = torch.linspace(-3, 3, 1201, dtype=torch.float64)
    rows = math.ceil(len(losses) / columns)
    fig, axes = figure(rows, columns, 2.1, 2.0, sharex=True, sharey=True, squeeze=False)
    for ax, loss in zip(axes.flat, losses, strict=False):
        color = loss_style(loss.name)["color"]
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.plot(z, loss.value(z, t), color=color, linewidth=2.5, label="loss L(z, t)")
        ax.plot(z, loss.derivative(z, t), color=_DARK, linewidth=1.2, linestyle="--", label="derivative dL/dz")
        ax.set(title=loss.name, ylim=(-2.4, 3.4), xticks=[-2, 0, 2])
        ax.title.set_fontsize(9.5)
    for ax in axes.flat[len(losses) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel(f"z, with t = {t:+d}")
    fig.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    for handle in fig.legends[0].legend_handles:
        handle.set_color(_DARK)  # the thick line has another colour in every panel
    return fig


def surrogates_by_target(groups: Mapping[str, Sequence[Loss]], reach: float = 3) -> Figure:
    """phi(z, t) for abs(z) <= reach; t = -1 on the left and t = +1 on the right, one row per group of losses."""
    z = torch.linspace(-reach, reach, 1201, dtype=torch.float64)
    fig, axes = figure(len(groups), 2, 4.3, 2.6, sharex=True, sharey="row", squeeze=False)
    for row, (title, losses) in zip(axes, groups.items(), strict=True):
        for ax, t in zip(row, (-1, 1), strict=True):
            for loss in losses:
                ax.plot(z, loss.surrogate(z, t), linewidth=2, **_line(loss.name))
            ax.set_title(f"{title}, t = {t:+d}", fontsize=10)
        row[0].set(ylabel="φ(z, t)", ylim=(-0.1, 2.2))
        row[1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    for ax in axes[-1]:
        ax.set_xlabel("pre-activation z")
    return fig


def _line(name: str) -> dict:
    return {key: value for key, value in loss_style(name).items() if key != "marker"}


def chords(losses: Sequence[Loss], ends: Sequence[tuple[float, float]]) -> Figure:
    """Each loss at t = +1 with the chord between two points and the midpoints of both: convex is chord above curve."""
    z = torch.linspace(-4, 4, 1601, dtype=torch.float64)
    fig, axes = figure(1, len(losses), 2.9, 2.6, sharey=True, squeeze=False)
    for ax, loss, (a, b) in zip(axes.flat, losses, ends, strict=True):
        pair = torch.tensor([a, b], dtype=z.dtype)
        height, middle = loss.value(pair, 1), pair.mean()
        ax.plot(z, loss.value(z, 1), color=loss_style(loss.name)["color"], linewidth=2.5)
        ax.plot(pair, height, color=_DARK, linestyle="--", marker="o", label="chord")
        ax.plot(middle, height.mean(), color=_DARK, marker="s", linestyle="none", label="middle of the chord")
        ax.plot(middle, loss.value(middle, 1), color="black", marker="X", markersize=9, linestyle="none", label="loss")
        ax.set(title=loss.name, xlabel="z, with t = +1", ylim=(-0.3, 4.3))
    fig.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return fig


def flips(shares: Mapping[str, tuple[float, float]]) -> Figure:
    """Two bars per layer loss, in per cent: how often a flip lowers the loss where the target says stay, and flip."""
    fig, axes = figure(1, 2, 4.2, 0.35 * len(shares) + 1.0, sharey=True)
    names = list(shares)
    for ax, which, title in zip(axes, (0, 1), ("target says: stay", "target says: flip"), strict=True):
        values = [shares[name][which] for name in names]
        bars = ax.barh(names, values, color=[loss_style(name)["color"] for name in names], height=0.65)
        ax.bar_label(bars, [f"{value:.1f} %" for value in values], padding=3)
        ax.set(title=title, xlabel="a flip would lower the loss, % of units", xlim=(0, max(max(values) * 1.25, 1)))
        ax.grid(axis="y", visible=False)
    axes[0].invert_yaxis()
    return fig


def surrogate_strip(results: Sequence) -> Figure:
    """One row of panels per `explore.losses.Surrogate`: the activation, the layer loss, the surrogate and its area."""
    fig, axes = figure(len(results), 3, 3.1, 2.6, squeeze=False)
    for row, result in zip(axes, results, strict=True):
        look = _line(result.name) | {"linestyle": "-", "linewidth": 2.5}
        _panel(row[0], result.activation, "z", "h")
        jumps = torch.diff(result.h, prepend=result.h[:1]) != 0
        row[0].plot(result.z, torch.where(jumps, torch.nan, result.h), color="black", linewidth=2.5)
        row[0].set_ylim(-1.2, 1.2)
        _panel(row[1], f"{result.name}, t = {result.t:+d}", "z", "layer loss L(z, t)")
        row[1].plot(result.z, result.value, **look)
        row[1].set_ylim(min(-0.2, result.value.min().clamp(min=-3.2).item()), 4.2)
        area = "infinite" if math.isinf(result.area) else f"{result.area:.2f}"
        _panel(row[2], f"surrogate, area {area}", "z", "φ(z, t)")
        row[2].fill_between(result.z, result.phi, color=look["color"], alpha=0.2)
        row[2].plot(result.z, result.phi, **look | {"label": f"t = {result.t:+d}"})
        row[2].plot(result.z, result.phi_other, color=_DARK, linestyle="--", label=f"t = {-result.t:+d}")
        row[2].set_ylim(-0.1, 2.2)
        row[2].legend(fontsize=8, loc="upper right", ncols=2, frameon=False)
    return fig


def _panel(ax: Axes, title: str, xlabel: str, ylabel: str) -> None:
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(-3.5, 3.5))
    ax.set_title(title, fontsize=10)
