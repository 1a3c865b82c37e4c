"""Figures of the layer losses, all computed from the losses themselves: shapes, surrogates, chords, flips."""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..formula import PREFIX
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
    own = {"color": "#4B0092"} if name.startswith(PREFIX) else {}
    return style(_RULE_OF_LOSS.get(name, name)) | {"label": name.removeprefix(PREFIX)} | own


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
    """One row of panels per `surrogate.Surrogate`: the activation, the loss, its derivative, the surrogate, its area.

    Thick: the target of the result; thin and dashed: the other one. A curve that leaves its panel is cut off.
    """
    rows = len(results)
    fig, axes = figure(rows, 4, 2.6, 2.6, squeeze=False)
    fig.set_layout_engine(None)  # measuring every text would take half of the time
    fig.subplots_adjust(left=0.075, right=0.99, bottom=0.19 / rows, top=1 - 0.1 / rows, wspace=0.36, hspace=0.42)
    for row, result in zip(axes, results, strict=True):
        thick = _line(result.name) | {"linestyle": "-", "linewidth": 2.5, "label": f"t = {result.t:+d}"}
        thin = {"color": _DARK, "linestyle": "--", "linewidth": 1.3, "label": f"t = {-result.t:+d}"}
        name = result.name.removeprefix(PREFIX)
        _panel(row[0], result.activation, "z", "h")
        jumps = torch.diff(result.h, prepend=result.h[:1]) != 0
        row[0].plot(result.z, torch.where(jumps, torch.nan, result.h), color="black", linewidth=2.5)
        row[0].set_ylim(-1.2, 1.2)
        _panel(row[1], name if len(name) < 28 else f"{name[:26].rstrip()} …", "z", "layer loss L(z, t)")
        _pair(row[1], result.z, result.value, result.value_other, thick, thin, (-0.2, 4.2), (-3.2, 12))
        _panel(row[2], "derivative of the loss", "z", "dL/dz")
        _pair(row[2], result.z, result.derivative, result.derivative_other, thick, thin, (-1.3, 1.3), (-6, 6))
        area = "infinite" if math.isinf(result.area) else f"{result.area:.2f}"
        row[0].legend(handles=row[1].lines[-2:], fontsize=8, loc="lower right", frameon=False, handlelength=2.5)
        _panel(row[3], f"surrogate, area {area}", "z", "φ(z, t)")
        row[3].fill_between(result.z, result.phi, color=thick["color"], alpha=0.2)
        _pair(row[3], result.z, result.phi, result.phi_other, thick, thin, (-0.1, 2.2), (-6, 6))
    return fig


def _pair(ax: Axes, z, one, other, thick: dict, thin: dict, least: tuple, most: tuple) -> None:
    """Both targets' curves; the y axis shows `least`, more where they need it, and no more than `most`."""
    ax.plot(z, one, **thick)
    ax.plot(z, other, **thin)
    low, high = min(one.min(), other.min()).item(), max(one.max(), other.max()).item()
    ax.set_ylim(max(min(1.05 * low, least[0]), most[0]), min(max(1.05 * high, least[1]), most[1]))


def _panel(ax: Axes, title: str, xlabel: str, ylabel: str) -> None:
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(-3.5, 3.5), xticks=[-2, 0, 2])
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.tick_params(length=0)
    ax.set_title(title, fontsize=10)
