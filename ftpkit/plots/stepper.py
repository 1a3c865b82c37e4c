"""The figure of a search stopped at one of its steps: every unit's own plane, all targets, and the way so far."""

from functools import lru_cache

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D, IdentityTransform

from .perceptron import WRONG
from .planes import certificate, half_plane, shifted, unit_lines, window
from .search import across, calls

BY_HAND = "#0072B2"
_GOLDEN = np.pi * (3 - 5**0.5)


def stepper(units, position, course, hand, title):
    """Above: the plane of every unit. Below: the table of targets, and Algorithm 1's calls or the losses so far.

    units: of `search.steps.units`, the output last, with the flips by hand made. position: where the `course` stands.
    hand: pairs (unit, instance), counted from 1. title: what the step is.
    """
    panel, low, names = 2.35, 2.5, 0.95  # inches: a plane, the second row, the names of its rows
    m, wide, high = len(units[-1].t), max(8.4, panel * len(units)), low + panel + 0.65
    fig = Figure(figsize=(wide, high), facecolor="white")

    def axes(left, bottom, width, height):
        return fig.add_axes([left / wide, bottom / high, width / wide, height / high])

    fig.text(0.5, 1 - 0.17 / high, title, ha="center", va="center", fontsize=11)
    for k, unit in enumerate(units):
        left = (wide - panel * len(units)) / 2 + panel * k
        plane_of(axes(left + 0.15, low + 0.35, panel - 0.3, panel - 0.3), unit)
    across_table = min(0.56 * wide - names, 0.42 * m)
    tall = min(low - 0.95, 0.36 * len(units))
    table(axes(names, low - 0.25 - tall, across_table, tall), units, position.before, hand)
    left = names + across_table + 0.8
    right = axes(left, 0.7, wide - left - 0.2, low - 0.95)
    if course.losses:
        losses(right, course, position)
    else:
        solved = course.outcome.feasible and position is course.positions[-1]
        recursion(right, position, units[-1].layer, solved)
    return fig


def plane_of(ax, unit):
    """A unit's training set: black discs +1, white squares -1, grey where there is no wish, each with its number.

    The side of +1 is grey; instances on the wrong side are ringed; where no line exists a star marks the point that
    both sides share. Two inputs are the two axes. Of more, the plane is seen along itself, so that it is a line.
    """
    axes = _view(unit)
    centre, _ = window(unit.X @ axes)
    [[w]] = shifted([[np.append(unit.weights[:-1] @ axes, unit.weights[-1])]], centre)
    X = unit.X @ axes - centre
    spread, limit = _apart(X)
    half_plane(ax, w, limit)
    unit_lines(ax, w[None], limit, spread, numbers=["+1"])
    if unit.verdict.separable is False:
        certificate(ax, X, unit.t, unit.verdict.support, unit.verdict.coefficients)
    looks = {1: ("o", "black", "black"), -1: ("s", "white", "black"), 0: ("o", "0.75", "0.75")}
    for t, (marker, face, edge) in looks.items():
        look = {"color": edge, "markerfacecolor": face, "markersize": 12, "zorder": 3}
        ax.plot(*spread[unit.t == t].T, marker, label=f"t = {t:+d}" if t else "no wish", **look)
    _numbers(ax, spread, np.where(unit.t > 0, "white", "black"))
    ring = {"markersize": 17, "markerfacecolor": "none", "markeredgewidth": 2, "label": "wrong side"}
    ax.plot(*spread[unit.wrong].T, "o", color=WRONG, **ring)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_color("0.8")
    feasible = {True: "feasible ✓", False: "INFEASIBLE ✗", None: "undecided ?"}[unit.verdict.separable]
    ax.set_title(f"{unit.name}: {feasible}", fontsize=11, color=WRONG if unit.verdict.separable is False else "black")
    below = "inputs" if unit.layer == 1 else f"targets of layer {unit.layer - 1}"
    ax.set_xlabel(below if unit.X.shape[1] <= 2 else f"{below}, edge-on", fontsize=9)


def table(ax, units, before, hand):
    """All targets: a row for every hidden unit and one for the labels, a column for every instance.

    Black is +1, white -1, a dot on yellow no wish; a cross is what differs from `before`, a frame what hand has turned.
    """
    *hidden, output = units
    outputs = np.hstack([unit.X for k, unit in enumerate(units) if unit.layer > 1 and unit.layer > units[k - 1].layer])
    rows = np.array([unit.t for unit in units])
    ax.imshow(rows, cmap="Greys", vmin=-1, vmax=1.6, aspect="auto")
    for row, i in np.argwhere(rows == 0):
        ax.add_patch(_cell(i, row, facecolor="#FFF3D6"))
    ax.plot(*np.argwhere(rows == 0)[:, ::-1].T, ".", color="0.35", markersize=4)
    ax.plot(
        *np.argwhere((outputs != np.hstack(before)).T)[:, ::-1].T, "x", color=WRONG, markersize=8, markeredgewidth=2
    )
    for unit, instance in hand:
        ax.add_patch(_cell(instance - 1, unit - 1, facecolor="none", edgecolor=BY_HAND, linewidth=3, zorder=5))
    for edge in range(1, len(output.t)):
        ax.axvline(edge - 0.5, color="0.8", linewidth=0.6)
    for edge in range(1, len(units)):
        ax.axhline(edge - 0.5, color="0.8" if edge < len(hidden) else "black", linewidth=0.6)
    mark = {True: "✓", False: "✗", None: "?"}
    ax.set_yticks(range(len(units)), [f"{unit.name} {mark[unit.verdict.separable]}" for unit in units])
    ax.set_xticks([])
    ax.tick_params(length=0)
    _numbers(ax, np.c_[np.arange(len(output.t)), np.full(len(output.t), len(units) - 0.2)], "black")
    said = "black +1, white -1, dot: no wish\ncross: differs" + ", frame: by hand" * bool(hand)
    ax.set_xlabel(said, fontsize=9, labelpad=16)


def recursion(ax, position, top, solved):
    """The calls of Algorithm 1 so far: a row for every layer, each call below its caller, in time from left to right.

    Black: it gave its targets, white: it did not, crossed: undone, grey: still open. The ring is where the step is.
    """
    trace = position.trace
    tree = calls(trace) if trace else [(top, None, None)]
    x = across(tree)
    size = 8 if max(x.values()) < 16 else 5
    for k, (d, caller, proposed) in enumerate(tree):
        if caller is not None:
            ax.plot([x[caller], x[k]], [tree[caller][0], d], color="0.7", linewidth=0.8, zorder=1)
        reached = (True if solved else None) if proposed is None else proposed.reached
        face = {True: "black", False: "white", None: "0.75"}[reached]
        ax.plot(x[k], d, "s", color="black", markerfacecolor=face, markersize=size, zorder=2)
        if proposed is not None and proposed.kept is False:
            ax.plot(x[k], d, "x", color="0.5" if reached else "black", markersize=size, zorder=3)
    here = 0 if position.line is None else position.line + 1
    ax.plot(x[here], tree[here][0], "o", color=WRONG, markersize=17, markerfacecolor="none", markeredgewidth=2)
    ax.set(xlim=(-0.7, max(4, max(x.values()) + 0.7)), ylim=(0.5, top + 0.5))
    ax.set_yticks(range(1, top + 1), [f"ftprop({d})" for d in range(1, top + 1)])
    ax.set_xticks([])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_xlabel("black: True, white: False, crossed: undone,\ngrey: still open, ring: this step", fontsize=9)


def losses(ax, course, position):
    """The loss of every setting looked at so far; squares: those that the search stands on, the ring: this one."""
    n, done = len(course.losses), position.evaluations
    ax.plot(range(1, done + 1), course.losses[:done], ".", color="0.45", markersize=6, zorder=2)
    best = np.minimum.accumulate(course.losses[:done])
    ax.step(range(1, done + 1), best, where="post", color="0.6", linewidth=1, zorder=1)
    kept = np.array(position.kept)
    ax.plot(kept, np.array(course.losses)[kept - 1], "s", color="black", markersize=7, zorder=3)
    here = kept[0] if position.decision else done
    ring = {"markersize": 15, "markerfacecolor": "none", "markeredgewidth": 2, "zorder": 4}
    ax.plot(here, course.losses[here - 1], "o", color=WRONG, **ring)
    high = max(course.losses)
    ax.set(xlim=(0, n + 1), ylim=(-0.08 * high, 1.1 * high))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_ylabel("loss", fontsize=9)
    ax.set_xlabel("settings looked at; ring: this one,\nsquares: what is kept, line: the best so far", fontsize=9)


def _numbers(ax, places, colors):
    """1, 2, 3, ... at these places; drawn as shapes, many at once, which takes a tenth of the time of texts."""
    digits = [_digits(k + 1) for k in range(len(places))]
    look = {"facecolors": colors, "linewidths": 0, "zorder": 4, "clip_on": False, "transform": IdentityTransform()}
    shapes = PathCollection(digits, (1.0,), offsets=places, offset_transform=ax.transData, **look)
    ax.add_collection(shapes, autolim=False)


@lru_cache
def _digits(number):
    """The number as a shape in points, its middle at (0, 0)."""
    path = TextPath((0, 0), str(number), size=8.5)
    middle = path.get_extents()
    return path.transformed(Affine2D().translate(-(middle.x0 + middle.x1) / 2, -(middle.y0 + middle.y1) / 2))


def _view(unit):
    """Two axes (n, 2) on which a unit's inputs are drawn: the inputs themselves, or its normal and one across it."""
    n = unit.X.shape[1]
    if n <= 2:
        return np.eye(2)[:n]
    normal = unit.weights[:-1]
    size = np.linalg.norm(normal)
    normal = normal / size if size > 0 else np.eye(n)[0]
    rest = (unit.X - unit.X.mean(axis=0)) @ (np.eye(n) - np.outer(normal, normal))
    most, next_most = np.linalg.svd(rest)[2][:2]
    return np.c_[normal, np.cos(0.4) * most + np.sin(0.4) * next_most]  # a little turned: corners do not coincide


def _apart(X):
    """The points, those that coincide moved apart on a spiral around their place; and how far the picture reaches."""
    places, which = np.unique(np.round(X, 9), axis=0, return_inverse=True)
    groups = [np.flatnonzero(which.ravel() == k) for k in range(len(places))]
    room = 0.105 * (max(map(len, groups)) + 0.7) ** 0.5 if len(X) > len(groups) else 0.0
    limit = np.abs(X).max() / (0.87 - room) or 1.0
    moved = X.copy()
    for same in groups:
        k = np.arange(len(same))
        spiral = np.sqrt(k + 0.7)[:, None] * np.c_[np.cos(_GOLDEN * k), np.sin(_GOLDEN * k)]
        moved[same] += 0.105 * limit * (spiral - spiral.mean(axis=0))
    return moved, limit


def _cell(column, row, **look):
    return Rectangle((column - 0.5, row - 0.5), 1, 1, **look)
