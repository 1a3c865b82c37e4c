"""The figure of one hidden layer in one mini-batch: what is sent down, where rules disagree, what flips do."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..targets import Effect, Hidden
from .perceptron import WRONG
from .style import style

_TIGHT = {"handletextpad": 0.1, "borderpad": 0.1, "columnspacing": 1.0}
_CHOSEN = "#0072B2"
_DIFFER = ListedColormap(["white", "#CFE3F1", "#F3C9AE"])


def target_panels(
    hidden: Hidden,
    sent: Mapping[str, np.ndarray],
    differ: np.ndarray,
    alone: np.ndarray,
    effects: Mapping[str, Effect],
    unit: int,
    example: int,
    image: np.ndarray,
    titles: Mapping[str, str],
) -> Figure:
    """Above: one unit; its image. Below: all units, and the next layer's loss after flips.

    sent: rule -> (B, n), what it sends to z. differ: (B, n), of `targets.disagreement`. alone: of `Hidden.alone`.
    effects: name -> what these flips do. unit, example: which are chosen, from 0. image: (H, W), the example. titles:
    of "all", and of the panels "sent", "passed", "image", "differ", "alone" and "effects".
    """
    wide, high = 10.6, 7.3  # inches
    fig = Figure(figsize=(wide, high), facecolor="white")

    def axes(name, left, bottom, width, height):
        ax = fig.add_axes([left / wide, bottom / high, width / wide, height / high])
        ax.set_title(titles[name], fontsize=10, y=1.01)  # places that are given, not found, take half the time
        ax.xaxis.set_label_coords(0.5, -0.27 / height)
        ax.yaxis.set_label_coords(-0.55 / width, 0.5)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8)
        return ax

    fig.text(0.5, 1 - 0.17 / high, titles["all"], ha="center", va="center", fontsize=11)
    sent_by(axes("sent", 0.85, 4.3, 3.3, 2.45), hidden, sent, unit, example)
    passed(axes("passed", 5.35, 4.3, 3.45, 2.45), hidden, sent, unit, example)
    picture = axes("image", 9.1, 5.1, 1.35, 1.35)
    picture.imshow(image, cmap="gray_r", vmin=0, vmax=255)
    picture.set(xticks=[], yticks=[])
    differences(axes("differ", 0.75, 0.65, 2.95, 2.4), differ, unit, example)
    one_by_one(axes("alone", 4.5, 0.65, 2.35, 2.4), hidden, alone, unit, example)
    bars(axes("effects", 8.05, 0.65, 2.35, 2.4), effects)
    return fig


def sent_by(ax, hidden, sent, unit, example):
    """What each rule sends to this unit's z, against z: a stem for every example, a marker for every rule."""
    z = hidden.z[:, unit].numpy()
    values = np.array([np.asarray(s)[:, unit] for s in sent.values()])
    ax.axhline(0, color="0.6", linewidth=0.8)
    for border in (-1, 1):
        ax.axvline(border, color="0.7", linewidth=0.8, linestyle=(0, (2, 2)))
    ax.vlines(z, np.minimum(values.min(0), 0), np.maximum(values.max(0), 0), color="0.85", linewidth=1)
    ax.axvline(z[example], color=_CHOSEN, linewidth=6, alpha=0.18)
    for size, (name, column) in zip((7.5, 6, 4.5, 6, 6), zip(sent, values, strict=True), strict=False):
        look = style(name) | {"linestyle": "none", "markersize": size}
        ax.plot(z, column, **look, markerfacecolor="none", markeredgewidth=1.3)
    ax.set_xlabel("z", fontsize=9)
    ax.set_ylabel("sent to z", fontsize=9)
    ax.locator_params(nbins=6)
    ax.legend(fontsize=8, frameon=False, ncols=5, loc="upper left", bbox_to_anchor=(-0.2, -0.15), **_TIGHT)


def passed(ax, hidden, sent, unit, example):
    """A row for each of z, h, g, t, weight and what every rule sends; a column for each example.

    Blue with a plus is positive, red negative, white 0; g, the weight and what is sent have one scale.
    """
    rows = {"z": hidden.z, "h": hidden.h, "g": hidden.g, "t": hidden.t, "weight": hidden.weight, **sent}
    values = np.array([np.asarray(row)[:, unit] for row in rows.values()])
    top = np.abs(values).max(axis=1, keepdims=True)
    top[[2, *range(4, len(top))]] = top[[2, *range(4, len(top))]].max()
    ax.imshow(values / np.where(top > 0, top, 1), cmap="RdBu", vmin=-1.2, vmax=1.2, aspect="auto")
    for deep, color in ((False, "0.35"), (True, "white")):
        positive = np.argwhere((values > 0) & ((values > 0.6 * top) == deep))
        ax.plot(*positive[:, ::-1].T, "+", color=color, markersize=3.5, markeredgewidth=0.8)
    names = [f"{name}  ±{most:.2g}" for name, most in zip(rows, top[:, 0], strict=True)]
    ax.set_yticks(range(len(rows)), names)
    ax.axhline(4.5, color="black", linewidth=0.8)
    ax.add_patch(_frame(example, 0, 1, len(rows)))
    _examples(ax, values.shape[1])
    ax.set_xlabel("image;  plus: positive", fontsize=9)


def differences(ax, differ, unit, example):
    """Every unit and example: white where two rules agree.

    A dot: one sends more than twice as much as the other; a cross: one sends 0, the other does not.
    """
    codes = np.asarray(differ).T
    ax.imshow(codes, cmap=_DIFFER, vmin=0, vmax=2, aspect="auto")
    for code, look in ((1, {"marker": ".", "markersize": 3}), (2, {"marker": "x", "markersize": 3.5})):
        ax.plot(*np.argwhere(codes == code)[:, ::-1].T, color="0.25", linestyle="none", markeredgewidth=0.8, **look)
    n = len(codes)
    ax.set_yticks([0, *range(4, n, 5)], [1, *range(5, n + 1, 5)])
    ax.set_ylabel("unit", fontsize=9)
    ax.add_patch(_frame(0, unit, codes.shape[1], 1))
    _examples(ax, codes.shape[1])
    ax.set_xlabel("image;  cross: one rule sends 0, the other not;\ndot: more than twice as much", fontsize=8)


def one_by_one(ax, hidden, alone, unit, example):
    """Every output flipped by itself: the real change of the next loss against the one predicted to first order.

    Left of 0 the targets ask for the flip; on the line the prediction is exact. Crosses: the targets are wrong.
    """
    t = hidden.other()
    x, y = (hidden.g * (hidden.outputs(t) - hidden.h)).numpy(), np.asarray(alone)
    asked = hidden.flips(hidden.t).numpy()
    wrong = np.where(asked, y >= 0, y < 0)
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.axline((0, 0), slope=1, color="0.6", linewidth=0.8, linestyle=(0, (4, 2)))
    ax.plot(x[~wrong], y[~wrong], ".", color="0.55", markersize=3, label="target right")
    ax.plot(x[wrong], y[wrong], "x", color=WRONG, markersize=4, label="target wrong")
    ring = {"color": _CHOSEN, "markerfacecolor": "none", "markersize": 5, "markeredgewidth": 0.9}
    ax.plot(x[:, unit], y[:, unit], "o", **ring, label="this unit")
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    room = 0.06 * (high - low) or 1
    ax.set(xlim=(low - room, high + room), ylim=(low - room, high + room))
    ax.locator_params(nbins=5)
    ax.set_xlabel("predicted change", fontsize=9)
    ax.set_ylabel("real change", fontsize=9)
    ax.legend(fontsize=7, frameon=False, loc="upper left", **_TIGHT)


def bars(ax, effects):
    """The change of the next loss over the batch: hollow what is predicted, filled what really comes."""
    rows = np.arange(len(effects))[::-1]
    predicted, real = ([getattr(e, name) for e in effects.values()] for name in ("predicted", "real"))
    ax.barh(rows + 0.18, predicted, 0.34, facecolor="white", edgecolor="0.3", linewidth=1, label="predicted")
    ax.barh(rows - 0.18, real, 0.34, facecolor="0.3", edgecolor="0.3", linewidth=1, label="real")
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set_yticks(rows, [f"{name}\n({effect.flips} flips)" for name, effect in effects.items()])
    ax.set_ylim(-0.6, len(effects) - 0.4)
    ax.locator_params(axis="x", nbins=5)
    ax.set_xlabel("change of the loss\nhollow: predicted, filled: real", fontsize=8)


def _frame(column, row, width, height):
    look = {"facecolor": "none", "edgecolor": _CHOSEN, "linewidth": 1.6, "zorder": 5, "clip_on": False}
    return Rectangle((column - 0.5, row - 0.5), width, height, **look)


def _examples(ax, count):
    ax.set_xticks([0, *range(7, count, 8)], [1, *range(8, count + 1, 8)])
    ax.set_xlabel("image", fontsize=9)
    ax.tick_params(length=0)
