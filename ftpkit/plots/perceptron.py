"""Figures of one hard-threshold unit: its line, its margin, its mistakes, its weights as a picture.

A unit's weights come with the bias last: the line of w = (a, b, c) is a x1 + b x2 + c = 0.
"""

import numpy as np
import torch

from ..losses import LOSSES
from .style import figure, style

WRONG = "#D55E00"  # ring around an example on the wrong side


def finish(ax, title="", xlabel="", ylabel=""):
    ax.set_title(title, fontsize=11)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)


def points(ax, X, t, limit):
    """The examples: black discs for t = +1, white squares for t = -1; the same scale in both directions."""
    for target, marker, fill in ((1, "o", "black"), (-1, "s", "white")):
        x1, x2 = X[t == target, :2].T
        ax.plot(x1, x2, marker, color="black", markerfacecolor=fill, markersize=6, label=f"t = {target:+d}")
    ax.set_xlim(-limit, limit)
    ax.set_ylim(-limit, limit)
    ax.set_aspect("equal")


def line(ax, w, limit, level=0.0, **look):
    """The line on which w . (x1, x2, 1) = level, long enough to leave the picture; nothing where w has no direction."""
    normal = np.asarray(w[:2], float)
    size = normal @ normal
    if size == 0:
        return None
    foot = (level - w[2]) * normal / size
    ends = foot + 4 * limit * np.array([[-1], [1]]) * np.array([-normal[1], normal[0]]) / np.sqrt(size)
    (drawn,) = ax.plot(*ends.T, **look)
    return drawn


def _wrong(w, X, t):
    return np.where(X @ w > 0, 1, -1) != t


def line_strip(X, t, path, ks, limit=1.1):
    """The line after k mistakes for each k in ks, the side of +1 shaded, examples on the wrong side ringed.

    X (m, 3) with the bias last, t (m,) in {-1, +1}, path (k_max + 1, 3) the weights after 0, 1, 2, ... mistakes.
    """
    fig, axes = figure(1, len(ks), 3.4, 3.5, squeeze=False)
    fig.get_layout_engine().set(h_pad=0.08)
    grid = np.linspace(-limit, limit, 300)
    plane = np.stack([*np.meshgrid(grid, grid), np.ones((300, 300))], axis=-1)
    for ax, k in zip(axes[0], ks, strict=True):
        w, wrong = path[k], _wrong(path[k], X, t)
        ax.imshow(plane @ w > 0, extent=(-limit, limit) * 2, origin="lower", cmap="Greys", vmin=0, vmax=5, zorder=0)
        points(ax, X, t, limit)
        x1, x2 = X[wrong, :2].T
        ax.plot(x1, x2, "o", color=WRONG, markersize=13, markerfacecolor="none", markeredgewidth=2, label="wrong side")
        line(ax, w, limit, color=style("Perceptron")["color"], linewidth=2)
        ax.grid(False)
        finish(ax, f"after {k} mistake{'s' * (k != 1)}: {wrong.sum()} wrong", "$x_1$", "$x_2$")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return fig


def novikoff(norms, gamma, R, runs, tight):
    """Left: the length of w after k mistakes between k gamma and sqrt(k) R. Right: mistakes against the bound.

    norms (k_max + 1,); runs and tight: sequences of (bound, mistakes), one for each data set.
    """
    fig, (left, right) = figure(1, 2, 4.8, 3.7)
    k = np.arange(len(norms))
    left.plot(k, np.sqrt(k) * R, color="0.5", linestyle="--", label=r"at most $\sqrt{k}\,R$")
    left.plot(k, norms, color=style("Perceptron")["color"], label=r"length of $w$ after $k$ mistakes")
    left.plot(k, k * gamma, color="0.5", linestyle=":", label=r"at least $k\gamma$")
    left.legend(frameon=False)
    finish(left, "One data set: the length is squeezed", "mistakes $k$")

    look = {**style("Perceptron"), "linestyle": "none"}
    runs, tight = np.array(runs, float), np.array(tight, float)
    ends = np.array([min(runs[:, 0].min(), tight[:, 0].min()), runs[:, 0].max()])
    right.plot(ends, ends, color=style("oracle")["color"], label=r"the bound $(R/\gamma)^2$")
    right.plot(*runs.T, **{**look, "label": "random sets"}, alpha=0.6)
    right.plot(*tight.T, "s", color="black", markerfacecolor="white", label="one-hot sets")
    right.set_xscale("log")
    right.set_yscale("log")
    right.legend(frameon=False)
    finish(right, "Many data sets: mistakes and bound", r"bound $(R/\gamma)^2$", "mistakes made")
    return fig


def losses_and_lines(X, t, lines, svm, limit=1.1):
    """Left: 0-1, perceptron and hinge loss over t z. Right: perceptron lines, and the SVM's line with its margin.

    lines: weight vectors (3,) of perceptrons; svm: the weights (3,) scaled so that the closest examples have t z = 1.
    """
    fig, (left, right) = figure(1, 2, 4.8, 3.9)
    z = torch.linspace(-2, 2.5, 451, dtype=torch.float64)
    left.step(z, (z <= 0).double(), where="mid", color="0.5", linestyle=":", linewidth=2, label="mistake or not")
    for name in ("Perceptron", "Hinge"):
        value = LOSSES[name].value(z, torch.ones_like(z))
        left.plot(z, value, **{**style(name), "marker": "", "linewidth": 2, "label": name.lower() + " loss"})
    left.legend(frameon=False)
    finish(left, "What an example costs", "$t z$", "loss")

    look = style("Perceptron")["color"]
    for i, w in enumerate(lines):
        label = f"{len(lines)} perceptrons" if i == 0 else None
        line(right, w, limit, color=look, linewidth=1, alpha=0.5, label=label)
    pink = style("Hinge")["color"]
    line(right, svm, limit, color=pink, linewidth=3, label="SVM")
    for level, label in ((-1, None), (1, "its margin")):
        line(right, svm, limit, level, color=pink, linewidth=1.5, linestyle="--", label=label)
    points(right, X, t, limit)
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    finish(right, "Where the lines come to lie", "$x_1$", "$x_2$")
    return fig


def cycle(X, t, weights, counts, lengths, limit=2.2):
    """Left: the lines of one cycle. Middle: mistakes so far over passes. Right: length of w over updates.

    weights: the vectors (3,) of the cycle; counts and lengths: name -> sequence, drawn in the style of that name where
    it is a layer loss's, else in grey.
    """
    fig, axes = figure(1, 3, 4.0, 3.3, width_ratios=(1.5, 1, 1))
    looks = ("-", "--", ":", "-.")
    for i, w in enumerate(weights):
        name = f"w = ({', '.join(f'{v:g}' for v in w)})"
        line(axes[0], w, limit, color=style("Perceptron")["color"], linestyle=looks[i % 4], linewidth=2, label=name)
    points(axes[0], X, t, limit)
    axes[0].legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    finish(axes[0], "XOR: the lines of the cycle", "$x_1$", "$x_2$")
    for ax, series in zip(axes[1:], (counts, lengths), strict=True):
        for (name, values), fallback in zip(series.items(), ("-", "--", ":"), strict=False):
            look = style(name) if name in LOSSES else {"color": "0.35", "linestyle": fallback, "label": name}
            ax.plot(range(len(values)), values, **{**look, "marker": ""}, linewidth=2)
        ax.set_ylim(top=1.35 * max(max(values) for values in series.values()))
        ax.legend(frameon=False, loc="upper left", ncols=len(series), columnspacing=1)
    finish(axes[1], "Mistakes so far", "passes over the four examples")
    finish(axes[2], "XOR: length of $w$", "updates")
    return fig


def weight_pictures(rows):
    """Pictures side by side, one row for each pair of classes.

    rows: dicts title -> array (28, 28). Arrays with negative entries are weights: purple below 0, white at 0, orange
    above, each on its own scale, which ends at all but the largest hundredth; the others are grey pictures, 0 is white.
    """
    fig, axes = figure(len(rows), len(rows[0]), 2.2, 2.45, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        for ax, (title, picture) in zip(line, row.items(), strict=True):
            signed = picture.min() < 0
            top = np.quantile(np.abs(picture), 0.99) if signed else picture.max()
            ax.imshow(picture, cmap="PuOr_r" if signed else "Greys", vmin=-top if signed else 0, vmax=top)
            ax.set_title(title, fontsize=10)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            ax.spines[:].set_visible(False)
    return fig


def accuracy_by_pass(runs):
    """Accuracy in per cent after each pass over the training images, one picture for each pair of classes.

    runs: dicts with "title", "train" and "test" (sequences, one number for each pass) and "svm" (test, one number).
    """
    fig, axes = figure(1, len(runs), 4.2, 3.5, squeeze=False, sharey=True)
    for ax, run in zip(axes[0], runs, strict=True):
        passes = range(1, len(run["train"]) + 1)
        color = style("Perceptron")["color"]
        ax.plot(passes, run["train"], color="0.55", linewidth=1, linestyle=":", label="perceptron, training")
        ax.plot(passes, run["test"], color=color, linewidth=1.2, label="perceptron, test")
        ax.axhline(run["svm"], color=style("Hinge")["color"], linewidth=2, linestyle="--", label="linear SVM, test")
        finish(ax, run["title"], "passes over the training images")
    axes[0][0].set_ylabel("accuracy (%)")
    axes[0][-1].legend(loc="lower right", fontsize=9)
    return fig
