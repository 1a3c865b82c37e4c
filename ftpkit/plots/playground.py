"""The figure of the perceptron playground: points, lines and certificate in the plane, and the length of weights."""

import numpy as np
from matplotlib.figure import Figure

from .perceptron import WRONG, line
from .planes import certificate, half_plane
from .style import style

LINES = {
    "perceptron": {"color": style("Perceptron")["color"], "linestyle": "-", "linewidth": 2},
    "hinge": {"color": style("Hinge")["color"], "linestyle": "--", "linewidth": 2},
    "maximum margin": {"color": style("oracle")["color"], "linestyle": "-.", "linewidth": 1.5},
}
EDGE = 2.2


def playground(X, t, lines, wrong, verdict, lengths, step, theorem, title):
    """Left: the plane. Right: the length of w after each mistake, between the two bounds of Novikoff's theorem.

    X (m, 2), t (m,) in {-1, +1}. lines: name in LINES -> weights (3,), those of the hinge and of the maximum margin
    scaled so that the edges of the street are at -1 and +1; the perceptron's side of +1 is grey. wrong: indices to be
    ringed. verdict: of `separability.separate`, or None. lengths (k + 1,), step: where among them. theorem: of
    `perceptron.novikoff`, or None.
    """
    fig = Figure(figsize=(6.6, 4.3), facecolor="white")
    fig.text(0.5, 0.955, title, ha="center", va="center", fontsize=10)
    left, right = fig.add_axes([0.055, 0.22, 0.45, 0.69]), fig.add_axes([0.59, 0.22, 0.4, 0.69])
    _plane(left, X, t, lines, wrong, verdict)
    handles = [h for h in left.get_legend_handles_labels()[0] if len(h.get_xdata())]
    look = {"frameon": False, "fontsize": 9, "handlelength": 2.6, "labelspacing": 0.9}
    fig.legend(handles=handles, loc="lower center", ncols=3, **look)
    _lengths(right, lengths, step, theorem)
    return fig


def _plane(ax, X, t, lines, wrong, verdict):
    """Black discs for +1, white squares for -1, each with its number; an orange star where the classes' hulls meet."""
    if "perceptron" in lines:
        half_plane(ax, lines["perceptron"], EDGE)
    for name, w in lines.items():
        if line(ax, w, EDGE, label=name, **LINES[name]) is not None and name != "perceptron":
            for level in (-1, 1):
                line(ax, w, EDGE, level, **{**LINES[name], "linewidth": 0.8, "linestyle": ":"})
    if verdict is not None and verdict.separable is False:
        certificate(ax, X, t, verdict.support, verdict.coefficients)
    squares, discs = X[t < 0], X[t > 0]  # discs are smaller and on top: of two equal points both are seen
    ax.plot(*squares.T, "s", color="black", markerfacecolor="white", markersize=13, label="class −1", zorder=3)
    ax.plot(*discs.T, "o", color="black", markersize=11.5, label="class +1", zorder=3)
    for i, (x, y) in enumerate(X):
        color = "white" if t[i] > 0 else "black"
        ax.text(x, y, str(i + 1), color=color, fontsize=7.5, ha="center", va="center_baseline", zorder=5)
    ring = {"color": WRONG, "markersize": 18, "markerfacecolor": "none", "markeredgewidth": 2}
    ax.plot(*X[wrong].T, "o", label="wrong side", zorder=2, **ring)
    ax.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal", xticks=range(-2, 3), yticks=range(-2, 3))
    ax.tick_params(labelsize=9)
    ax.spines[:].set_color("0.8")


def _lengths(ax, lengths, step, theorem):
    k, end = np.arange(len(lengths)), 1.15 * max(len(lengths) - 1, 3)
    if theorem is not None and theorem.bound < 4 * end:
        end = 1.1 * theorem.bound
    many = np.linspace(0, end, 60)
    look = {"color": "0.45", "linewidth": 1.5}
    if theorem is not None:
        ax.plot(many, np.sqrt(many) * theorem.R, linestyle="--", label=r"at most $\sqrt{k}\,R$", **look)
        ax.plot(many, many * theorem.gamma, linestyle=":", label=r"at least $k\,\gamma$", **look)
        if theorem.bound < end:
            ax.plot(theorem.bound, theorem.bound * theorem.gamma, "X", color="0.3", markersize=9)
            spot = (theorem.bound, theorem.bound * theorem.gamma)
            ax.annotate("bound", spot, (-6, 6), textcoords="offset points", ha="right", fontsize=9)
    brown = LINES["perceptron"]["color"]
    ax.plot(k, lengths, color=brown, linewidth=1.5, label=r"length of $w$ after $k$ mistakes")
    ax.plot(step, lengths[step], "p", color=brown, markersize=9)
    ax.set(xlim=(-0.02 * end, end), ylim=(0, 1.3 * ax.get_ylim()[1]))  # room for the legend
    ax.set_xlabel("mistakes $k$", fontsize=10)
    ax.tick_params(labelsize=9)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="upper left", frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.9", linewidth=0.6)
