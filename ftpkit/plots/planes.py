"""Hidden units and their targets drawn in the plane of two inputs: lines, certificates, networks taken apart.

Weights come with the bias last. A unit's line has the unit's number on the side of +1.
"""

from fractions import Fraction

import numpy as np

from ..search.problem import affine, sign
from .perceptron import WRONG, finish, line, points
from .style import figure, style

BROWN = style("Perceptron")["color"]  # every unit is one perceptron
_LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1)), (0, (1, 1)))


def dichotomies(X, columns, verdicts, weights, names):
    """Two rows of squares, one for each column of targets: a line that gives it, or the certificate that none does.

    X (m, 2), columns (k, m), verdicts: of `separability.separate`, weights: (3,) for each, None where there is no line;
    names: a title each.
    """
    fig, axes = figure(2, (len(columns) + 1) // 2, 1.45, 1.65, squeeze=False)
    for ax, t, verdict, w, name in zip(axes.flat, columns, verdicts, weights, names, strict=False):
        _plane(ax, X, t, title=name)
        if w is not None:
            half_plane(ax, w, 1.9)
            line(ax, w, 1.9, color=BROWN, linewidth=2)
        elif not verdict.separable:
            certificate(ax, X, t, verdict.support, verdict.coefficients)
    _blank(axes.flat[len(columns) :])
    return fig


def solutions(X, y, networks, names):
    """One panel for each network of one hidden layer: the lines of its hidden units among the labels."""
    fig, axes = figure(2, (len(networks) + 1) // 2, 1.45, 1.65, squeeze=False)
    for ax, W, name in zip(axes.flat, networks, names, strict=False):
        _plane(ax, X, y, title=name)
        unit_lines(ax, W[0], 1.9, X)
    _blank(axes.flat[len(networks) :])
    return fig


def falls_apart(X, T, W, y):
    """Left: the network of two inputs and two hidden units. Right: three perceptrons, each with a training set.

    T (m, 2): targets of the hidden units. W: weights of the layers, (2, 3) and (1, 3), fitted to T and y.
    """
    fig, axes = figure(1, 4, 2.9, 3.0, width_ratios=(1.1, 1, 1, 1))
    _network(axes[0])
    for j in range(2):
        _plane(axes[j + 1], X, T[:, j], "$x_1$", "$x_2$", f"hidden unit {j + 1}: $X \\to T_{{:,{j + 1}}}$")
        unit_lines(axes[j + 1], W[0][[j]], 1.9, X, numbers=[j + 1])
    _plane(axes[3], T, y, "$t_1$", "$t_2$", "output unit: $T \\to y$")
    unit_lines(axes[3], W[1], 1.9, T, numbers=["y"])
    places, counts = np.unique(T, axis=0, return_counts=True)
    for (a, b), count in zip(places, counts, strict=True):
        if count > 1:
            axes[3].text(a, b - 0.28, f"{count} instances", ha="center", va="top", fontsize=9)
    return fig


def frames(X, y, steps, columns=4):
    """The hidden lines after each step of a search: dicts with W (weights of all layers), before (W_1, or None), title.

    A line that moved is drawn in black, and where it was in grey. Instances that the network gets wrong are ringed.
    """
    rows = -(-len(steps) // columns)
    fig, axes = figure(rows, columns, 2.75, 2.8, squeeze=False)
    centre, limit = window(X)
    for ax, step in zip(axes.flat, steps, strict=False):
        _network_plane(ax, X - centre, y, shifted(step["W"], centre), limit, step["title"])
        if step.get("before") is not None:
            now, before = (shifted([W], centre)[0] for W in (step["W"][0], step["before"]))
            moved = ~np.isclose(now, before, rtol=1e-9, atol=1e-12).all(axis=1)
            for j in np.flatnonzero(moved):
                line(ax, before[j], limit, color="0.6", linestyle=_LINES[j], linewidth=1.2, zorder=1)
            unit_lines(ax, now, limit, X - centre, colors=["black" if m else BROWN for m in moved])
        else:
            unit_lines(ax, shifted(step["W"], centre)[0], limit, X - centre)
    _blank(axes.flat[len(steps) :])
    return fig


def networks(X, y, found):
    """One panel for each network: title -> weights; its hidden lines, the side of +1 shaded, mistakes ringed."""
    fig, axes = figure(1, len(found), 2.75, 2.95, squeeze=False)
    centre, limit = window(X)
    for ax, (title, W) in zip(axes[0], found.items(), strict=True):
        moved = shifted(W, centre)
        _network_plane(ax, X - centre, y, moved, limit, title)
        unit_lines(ax, moved[0], limit, X - centre)
    return fig


def cuts(X, chosen):
    """One panel for each cut: points that no line splits as marked, the two mixtures that are one point, a star.

    chosen: dicts with points, signs, coefficients and a title; X: all instances, drawn small.
    """
    fig, axes = figure(1, len(chosen), 2.9, 3.0, squeeze=False)
    centre, limit = window(X)
    for ax, cut in zip(axes[0], chosen, strict=True):
        ax.plot(*(X - centre).T, ".", color="0.7", markersize=4)
        P, signs = np.asarray(cut["points"], float) - centre, np.asarray(cut["signs"])
        _plane(ax, P, signs, title=cut["title"], limit=limit)
        certificate(ax, P, signs, range(len(P)), cut["coefficients"])
    return fig


def _plane(ax, X, t, xlabel="", ylabel="", title="", limit=1.9):
    points(ax, X, t, limit)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color("0.8")
    finish(ax, "", xlabel, ylabel)
    ax.set_title(title, fontsize=10)


def _network_plane(ax, X, y, W, limit, title):
    """Instances, the side of +1 of the whole network shaded, rings around mistakes."""
    _plane(ax, X, y, title=title, limit=limit)
    _shade(ax, lambda plane: _outputs(plane, W), limit)
    wrong = _outputs(X, W) != y
    ax.plot(*X[wrong].T, "o", color=WRONG, markersize=13, markerfacecolor="none", markeredgewidth=2)


def _outputs(X, W):
    for layer in W:
        X = sign(affine(X, layer))
    return X[:, 0]


def half_plane(ax, w, limit):
    _shade(ax, lambda plane: affine(plane, w[None])[:, 0] > 0, limit)


def _shade(ax, says, limit):
    grid = np.linspace(-limit, limit, 160)
    plane = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    yes = (says(plane) > 0).reshape(160, 160)
    ax.imshow(yes, extent=(-limit, limit) * 2, origin="lower", cmap="Greys", vmin=0, vmax=6, zorder=0)


def unit_lines(ax, W, limit, avoid, numbers=None, colors=None):
    """The lines of the units W (k, 3), a line style for each, its number on the side of +1, far from `avoid` (., 2)."""
    numbers = range(1, len(W) + 1) if numbers is None else numbers
    taken = [*avoid]
    for j, (w, number) in enumerate(zip(W, numbers, strict=True)):
        color = BROWN if colors is None else colors[j]
        if line(ax, w, limit, color=color, linestyle=_LINES[j % len(_LINES)], linewidth=2) is None:
            continue
        size = np.linalg.norm(w[:2])
        normal = w[:2] / size
        along = np.array([-normal[1], normal[0]])
        spots = -w[2] / size * normal + np.linspace(-2 * limit, 2 * limit, 121)[:, None] * along
        labels = spots + 0.3 * limit * normal
        inside = (np.abs(spots).max(axis=1) < 0.95 * limit) & (np.abs(labels).max(axis=1) < 0.92 * limit)
        if inside.any():
            room = np.linalg.norm(labels[:, None] - np.array(taken)[None], axis=2).min(axis=1)
            best = np.argmax(np.where(inside, room, -1))
            arrow = {"arrowstyle": "->", "color": color}
            ax.annotate("", spots[best] + 0.2 * limit * normal, spots[best], arrowprops=arrow)
            ax.text(*labels[best], str(number), color=color, ha="center", va="center", fontsize=9)
            taken.append(labels[best])


def certificate(ax, X, t, support, coefficients):
    """Both hulls on the support, and the point where they meet."""
    support = np.asarray(list(support))
    for side, look in ((1, "-"), (-1, "--")):
        hull = X[support[t[support] == side]]
        around = hull[np.argsort(np.arctan2(*(hull - hull.mean(axis=0)).T[::-1]))] if len(hull) > 2 else hull
        ax.plot(*np.r_[around, around[:1]].T, look, color=WRONG, linewidth=1.6, zorder=1)
    weights = np.array([float(Fraction(c)) for c in coefficients])[t[support] == 1]
    meeting = weights @ X[support[t[support] == 1]]
    ax.plot(*meeting, "*", color=WRONG, markersize=16, markerfacecolor="none", markeredgewidth=1.8, zorder=4)


def _network(ax):
    spots = {"$x_1$": (0, 0), "$x_2$": (0, 1), "1": (1, 0), "2": (1, 1), "y": (2, 0.5)}
    for a, b, look in [(a, b, _LINES[int(b) - 1]) for a in ("$x_1$", "$x_2$") for b in "12"] + [
        (a, "y", (0, (1, 1))) for a in "12"
    ]:
        ax.plot(*zip(spots[a], spots[b], strict=True), color=BROWN, linestyle=look, zorder=1)
    for name, (x, y) in spots.items():
        ax.plot(x, y, "o", markersize=26, color="0.3", markerfacecolor="white", zorder=2)
        ax.text(x, y, name, ha="center", va="center", zorder=3)
    for x, text in ((0, "inputs X"), (1, "targets T"), (2, "labels y")):
        ax.text(x, -0.48, text, ha="center", fontsize=10)
    for x in (0.5, 1.5):
        ax.axvline(x, 0.16, 0.92, color="0.6", linestyle=":", linewidth=1)
    ax.set(xlim=(-0.45, 2.45), ylim=(-0.7, 1.5))
    ax.set_title("cut at the targets", fontsize=10)
    ax.axis("off")


def window(X):
    centre = (X.min(axis=0) + X.max(axis=0)) / 2
    return centre, 1.15 * np.abs(X - centre).max()


def shifted(W, centre):
    """The same weights for inputs that are centred."""
    first = np.asarray(W[0], float)
    return [np.c_[first[:, :-1], first[:, -1] + first[:, :-1] @ centre], *W[1:]]


def _blank(axes):
    for ax in axes:
        ax.axis("off")
