"""Figures of the convolutional network: staircases, filters, feature maps, levels, and what its race showed."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from .. import race
from ..activations import QuantReLU
from . import training
from .style import figure, style

_DARK = "#333333"


def name(contestant: str) -> str:
    """How the convolutional race calls a contestant: activation first, because here it differs as well as the rule.

    >>> name("sign:FTP-SH"), name("staircase-3:SSTE"), name("relu")
    ('sign, FTP-SH', '3-step staircase, SSTE', 'ReLU')
    """
    kind, _, rule = contestant.partition(":")
    rule = rule.rpartition(":")[2]
    if kind.startswith("staircase-"):
        return f"{kind[10:]}-step staircase, {rule}"
    return f"{kind}, {rule}" if rule else race.label(contestant)


# --- the staircase -----------------------------------------------------------------------------------------------

_FORMS = (("SSTE", "single"), ("FTP-SH", "single"), ("SaturatedHinge", "sum"))


def staircases(ks: Sequence[int]) -> Figure:
    """One column for each number of steps k: above the staircase, below what its three backward passes let through."""
    z = torch.linspace(-1.6, 2.6, 2101, dtype=torch.float64)
    fig, axes = figure(2, len(ks), 3.1, 2.3, sharex=True, sharey="row", squeeze=False)
    for (top, bottom), k in zip(axes.T, ks, strict=True):
        h = QuantReLU(k, "SSTE")(z)
        jumps = torch.diff(h, prepend=h[:1]) != 0
        top.plot(z, z.clamp(0, 1), color="0.6", linestyle="-.", linewidth=1, label="saturated ReLU")
        top.plot(z, torch.where(jumps, torch.nan, h), color="black", linewidth=2.5, label="staircase h")
        top.set(title=f"k = {k}: {k + 1} levels", yticks=[0, 0.5, 1])
        for rule, form in _FORMS:
            leaf = z.clone().requires_grad_()
            QuantReLU(k, rule, form=form)(leaf).sum().backward()
            label = rule if form == "single" else "sum of saturated hinges"
            bottom.plot(z, leaf.grad, **style(rule) | {"label": label, "marker": "", "linewidth": 2})
        bottom.set(xlabel="pre-activation z", ylim=(-0.05, 1.2))
    axes[0][0].set_ylabel("output")
    axes[1][0].set_ylabel("share of the\ngradient passed")
    handles = [pair for ax in axes[:, 0] for pair in zip(*ax.get_legend_handles_labels(), strict=True)]
    fig.legend(*zip(*handles, strict=True), loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return fig


# --- what a trained network sees -----------------------------------------------------------------------------------


def _mosaic(tiles: Tensor, columns: int) -> np.ndarray:
    """Tiles (N, H, W) side by side in rows of `columns`, with a gap of one pixel (NaN) between them."""
    padded = torch.nn.functional.pad(tiles.detach().double(), (0, 1, 0, 1), value=torch.nan)
    rows = [torch.cat(list(padded[i : i + columns]), dim=1) for i in range(0, len(padded), columns)]
    return torch.cat(rows)[:-1, :-1].numpy()


def _bare(ax, title="", size=10):
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=size)
    ax.spines[:].set_visible(False)
    ax.grid(False)


def filters(start: Tensor, trained: Tensor, columns: int = 8) -> Figure:
    """First-layer filters (N, 1, H, W) at the start, after training, and their difference, on one common scale."""
    start, trained = start[:, 0], trained[:, 0]
    top = float(torch.stack([start, trained]).abs().max())
    fig, axes = figure(1, 3, 3.4, 2.0)
    fig.get_layout_engine().set(wspace=0.05)
    panels = {"at the start": start, "after training": trained, "difference": trained - start}
    for ax, (title, tiles) in zip(axes, panels.items(), strict=True):
        picture = ax.imshow(_mosaic(tiles, columns), cmap="PuOr_r", vmin=-top, vmax=top, interpolation="nearest")
        _bare(ax, title)
    fig.colorbar(picture, ax=axes, shrink=0.8, label="weight")
    return fig


def feature_maps(images: Tensor, z: Tensor, h: Tensor, titles: Sequence[str], channels: Sequence[int]) -> Figure:
    """For each image two rows, pre-activations z above and outputs h below; the image at the left, a column per map.

    images (N, 1, H, W); z, h (N, C, H', W'). z: purple below 0, white at 0, orange above, one scale for all; h: from
    its lowest level (white) to its highest (black).
    """
    top = float(z[:, channels].abs().max())
    low, high = float(h.min()), float(h.max())
    fig, axes = figure(2 * len(images), len(channels) + 1, 1.15, 1.15, squeeze=False)
    for i, (image, title) in enumerate(zip(images, titles, strict=True)):
        above, below = axes[2 * i], axes[2 * i + 1]
        above[0].imshow(image[0].numpy(), cmap="Greys")
        _bare(above[0], title, 9)
        below[0].set_visible(False)
        for ax_z, ax_h, channel in zip(above[1:], below[1:], channels, strict=True):
            ax_z.imshow(z[i, channel].numpy(), cmap="PuOr_r", vmin=-top, vmax=top, interpolation="nearest")
            ax_h.imshow(h[i, channel].numpy(), cmap="Greys", vmin=low, vmax=high, interpolation="nearest")
            _bare(ax_z, f"map {channel}" if i == 0 else "", 9)
            _bare(ax_h)
        for ax, text in ((above[1], "z"), (below[1], "h")):
            ax.set_ylabel(text, rotation=0, labelpad=8)
    return fig


def levels(found: Mapping[str, tuple[Tensor, Tensor]], steps: int) -> Figure:
    """One column per layer: above the histogram of z with a k-step staircase's thresholds, below each level's share.

    found: title -> (z, h); h on the levels 0, 1/k ... 1.
    """
    names = ["0", *(f"{i}/{steps}" for i in range(1, steps)), "1"]
    fig, axes = figure(2, len(found), 3.3, 1.9, sharey="row", squeeze=False)
    for (top, bottom), (title, (z, h)) in zip(axes.T, found.items(), strict=True):
        z, level = z.detach().flatten(), (h * steps).round().long().flatten()
        low, high = np.quantile(z.numpy(), [0.002, 0.998])
        top.hist(z.numpy(), bins=np.linspace(min(low, -0.6), max(high, 1.6), 80), density=True, color="0.7")
        for i in range(steps):
            top.axvline(i / (steps - 1), color=_DARK, linestyle="--", linewidth=1)
        top.set(xlabel="pre-activation z", yticks=[])
        top.set_title(title, fontsize=10)
        shares = 100 * level.bincount(minlength=steps + 1).double() / len(level)
        bars = bottom.bar(names, shares.numpy(), color=_DARK, width=0.7)
        bottom.bar_label(bars, [f"{share:.0f} %" for share in shares.tolist()], fontsize=9)
        bottom.set(xlabel="output h", yticks=[])
        bottom.margins(y=0.2)
        for ax in (top, bottom):
            ax.grid(False)
    axes[0][0].set_ylabel("how often")
    axes[1][0].set_ylabel("share")
    return fig


def by_layer(rows: Mapping[str, Sequence[Mapping]], keys: Mapping[str, str]) -> Figure:
    """One panel per key with its share by hidden layer, in per cent, one line per contestant.

    rows: contestant -> one record per layer, as `ftpkit.inside.layers` returns them; keys: key -> title.
    """
    fig, axes = figure(1, len(keys), 3.9, 2.9, squeeze=False)
    for ax, (key, title) in zip(axes[0], keys.items(), strict=True):
        for contestant, layers in rows.items():
            depths = [layer["depth"] for layer in layers]
            values = [100 * layer[key] for layer in layers]
            ax.plot(depths, values, **style(race.label(contestant)) | {"label": name(contestant)}, linewidth=2)
        ax.set(xlabel="hidden layer", ylabel="%", xticks=depths, ylim=(0, None))
        ax.set_title(title, fontsize=10)
    handles, labels = axes[0][0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return fig


# --- the race ----------------------------------------------------------------------------------------------------


def accuracies(result: dict) -> Figure:
    """Test accuracy of every run in per cent, a row per contestant, best on top, and their means with one s.e."""
    scores = {c: 100 * race.correct(result, c).mean(axis=1) for c in result["settings"]["contestants"]}
    ranked = sorted(scores, key=lambda c: scores[c].mean())
    fig, ax = figure(1, 1, 6.4, 0.42 * len(ranked) + 0.9)
    for row, contestant in enumerate(ranked):
        mine, marks = scores[contestant], style(race.label(contestant))
        error = mine.std(ddof=1) / len(mine) ** 0.5
        ax.plot(mine, np.full(len(mine), row - 0.22), "|", color=marks["color"], markersize=7, label="runs")
        bold = {key: marks[key] for key in marks if key.startswith(("color", "marker"))}
        ax.errorbar(mine.mean(), row, xerr=error, markersize=8, capsize=3, linewidth=1.5, label=contestant, **bold)
    ax.set_yticks(range(len(ranked)), [name(c) for c in ranked])
    ax.set(xlabel="test accuracy in %", ylim=(-0.6, len(ranked) - 0.5))
    return fig


def differences(pairs: Mapping[str, race.Difference]) -> Figure:
    """Paired differences in points with their 95 % intervals, first on top; filled where the interval excludes 0."""
    fig, ax = figure(1, 1, 6.4, 0.42 * len(pairs) + 0.9)
    for row, (title, gap) in enumerate(reversed(pairs.items())):
        face = _DARK if gap.shown else "white"
        ax.plot([gap.low, gap.high], [row, row], color=_DARK, linewidth=2, label=title)
        ax.plot(gap.mean, row, "o", color=_DARK, markerfacecolor=face, markersize=8)
    ax.axvline(0, color="black", linewidth=1, linestyle=":")
    ax.set_yticks(range(len(pairs)), list(pairs)[::-1])
    ax.set(xlabel="difference in points, 95 % interval", ylim=(-0.6, len(pairs) - 0.4))
    return fig


def training_loss(result: dict) -> Figure:
    """As `training.training_loss`, with the activation in the names."""
    return training.training_loss(result, name)
