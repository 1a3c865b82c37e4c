"""Figures of a search: the landscape of all settings, ways through it, Algorithm 1's recursion, bounds, and cost."""

import numpy as np

from .perceptron import WRONG, finish
from .style import figure

_SHADES = {0: "white", 2: "0.84", 4: "0.64", 8: "0.4"}
_GLYPH = 0.17  # of a map's cell: half the distance of the points in a picture of a column


def landscape(maps, columns):
    """Maps of a value for every pair of columns: title -> (k, k), rows for unit 1, columns for unit 2; 0 has a star.

    columns (k, 4): targets of the four corners of the square (-1, -1), (-1, +1), (+1, -1), (+1, +1).
    """
    fig, axes = figure(1, len(maps), 5.6, 5.7, squeeze=False)
    for ax, (title, values) in zip(axes[0], maps.items(), strict=True):
        _map(ax, values, columns, title)
    return fig


def climb(values, columns, path, flips):
    """Left: the way of a climb on the map, its neighbours outlined at the end. Right: the loss there and beside it.

    path: pairs (row, column) from the start to the minimum. flips: name -> (row, column), one flip away from the end.
    """
    fig, (left, right) = figure(1, 2, 5.6, 5.7, width_ratios=(1.25, 1))
    _map(left, values, columns, "the way, and the settings one flip away")
    for (r0, c0), (r1, c1) in zip(path, path[1:], strict=False):
        arrow = {"arrowstyle": "-|>", "color": WRONG, "linewidth": 2.2, "shrinkA": 7, "shrinkB": 8}
        arrow["connectionstyle"] = "arc3,rad=-0.25"
        left.annotate("", (c1, r1), (c0, r0), arrowprops=arrow)
    left.plot(*path[0][::-1], "o", markersize=17, markerfacecolor="none", color=WRONG, markeredgewidth=2)
    left.plot(*path[-1][::-1], "s", markersize=19, markerfacecolor="none", color=WRONG, markeredgewidth=3)
    for r, c in flips.values():
        left.plot(c, r, "s", markersize=17, markerfacecolor="none", color="black", markeredgewidth=1.6)

    heights = [values[path[-1]], *(values[place] for place in flips.values())]
    bars = right.barh(
        range(len(heights)), heights, color=[WRONG] + ["0.64"] * len(flips), edgecolor="black", height=0.6
    )
    right.bar_label(bars, fmt="%g", padding=3)
    right.axvline(heights[0], color=WRONG, linestyle="--", linewidth=1.5)
    right.set_yticks(range(len(heights)), ["stuck here", *flips])
    right.invert_yaxis()
    right.set_xlim(0, 1.15 * max(heights))
    right.grid(False)
    finish(right, "", "loss")
    right.set_title("no flip lowers the loss", fontsize=11)
    return fig


def visits(values, columns, ways):
    """One map for each way: title -> pairs (row, column), numbered in the order in which they were looked at.

    The first is ringed; the last has a thick frame. Solutions have a star, also those that were not looked at.
    """
    fig, axes = figure(1, len(ways), 5.3, 5.7, squeeze=False)
    for ax, (title, way) in zip(axes[0], ways.items(), strict=True):
        for r, c in np.ndindex(len(columns), len(columns)):
            ax.add_patch(_square(c, r, facecolor="0.7" if (r, c) in way else "0.93"))
            if values[r, c] == 0 and (r, c) not in way:
                ax.text(c, r, "★", ha="center", va="center", fontsize=12)
        for k, (r, c) in enumerate(way, start=1):
            ax.text(c, r, str(k), ha="center", va="center", fontsize=9)
        ax.plot(*way[0][::-1], "o", markersize=18, markerfacecolor="none", color=WRONG, markeredgewidth=2)
        ax.plot(*way[-1][::-1], "s", markersize=18, markerfacecolor="none", color=WRONG, markeredgewidth=3)
        _glyph_axes(ax, columns, title)
    return fig


def calls(trace):
    """The recursion behind a trace, without new starts: (layer d of the call, index of its caller, entry) in order.

    Call 0 is the outermost one, of the last layer, with the entry None: nobody proposed its targets.
    """
    top = max(proposed.layer for proposed in trace) + 1
    tree, latest = [(top, None, None)], {top: 0}
    for proposed in trace:
        tree.append((proposed.layer, latest[proposed.layer + 1], proposed))
        latest[proposed.layer] = len(tree) - 1
    return tree


def across(tree):
    """Where the calls of a tree stand from left to right: the index of a call -> x, every caller above its middle."""
    below = {i: [k for k, (_, caller, _) in enumerate(tree) if caller == i] for i in range(len(tree))}
    x, leaves = {}, iter(range(len(tree)))

    def place(i):
        for k in below[i]:
            place(k)
        x[i] = float(np.mean([x[k] for k in below[i]])) if below[i] else float(next(leaves))

    place(0)
    return x


def call_tree(trace, solved):
    """Every call of ftprop(d) below the one that made it, in order from left to right, True black and False white.

    A dashed frame: what the call did was undone. Below a call: the caller's loss after it.
    """
    tree = calls(trace)
    top, x = tree[0][0], across(tree)
    fig, ax = figure(1, 1, max(8.0, 1.3 * (max(x.values()) + 1)), 1.25 * top)
    for i, (d, caller, proposed) in enumerate(tree):
        true = solved if proposed is None else proposed.reached
        if caller is not None:
            ax.plot([x[caller], x[i]], [tree[caller][0], d], color="0.6", linewidth=1.2, zorder=1)
        frame = {
            "boxstyle": "round,pad=0.35",
            "facecolor": "black" if true else "white",
            "edgecolor": "black",
            "linestyle": "-" if proposed is None or proposed.kept else "--",
        }
        text = f"ftprop({d})\n{true}"
        ax.text(x[i], d, text, ha="center", va="center", bbox=frame, color="white" if true else "black", fontsize=10)
        if proposed is not None:
            label = f"$L_{d + 1}$ = {proposed.loss:.1f}" + ("" if proposed.kept else ", undone")
            back = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            ax.text(x[i], d - 0.4, label, ha="center", va="center", fontsize=9, bbox=back)
    ax.set(xlim=(min(x.values()) - 0.6, max(x.values()) + 0.6), ylim=(0.4, top + 0.35))
    ax.axis("off")
    return fig


def wishes(rules):
    """What a proposal did to the bits: for each rule the outputs before, the wishes, the outputs after a fit to them.

    rules: title -> dict with before, wish, after, (m, k) in {-1, 0, +1}, and right, wrong_after, (m,) bool: instances
    that cost nothing before, and those that the network gets wrong afterwards. Black is +1, white -1, a dot no wish.
    """
    fig, axes = figure(3, len(rules), 4.1, 1.35, squeeze=False)
    for column, (title, rule) in zip(axes.T, rules.items(), strict=True):
        order = np.argsort(rule["right"], kind="stable")
        costly = int((~rule["right"]).sum())
        for ax, name in zip(column, ("before", "wish", "after"), strict=True):
            bits = rule[name][order].T
            ax.imshow(bits, cmap="Greys", vmin=-1, vmax=1.6, aspect="auto")
            for j, i in zip(*np.nonzero(bits == 0), strict=True):
                ax.add_patch(_square(i, j, facecolor="#FFF3D6"))
                ax.plot(i, j, ".", color="0.35", markersize=4)
            changed = (bits != rule["before"][order].T) & (bits != 0)
            for j, i in zip(*np.nonzero(changed), strict=True):
                ax.plot(i, j, "x", color=WRONG, markersize=7, markeredgewidth=2)
            ax.axvline(costly - 0.5, color="black", linewidth=2)
            for edge in range(1, len(order)):
                ax.axvline(edge - 0.5, color="0.8", linewidth=0.6)
            for edge in range(1, len(bits)):
                ax.axhline(edge - 0.5, color="0.8", linewidth=0.6)
            ax.grid(False)
            ax.set(xticks=[], yticks=range(len(bits)), yticklabels=[f"unit {j + 1}" for j in range(len(bits))])
            ax.set_ylabel(name)
        for i in np.flatnonzero(rule["wrong_after"][order]):
            column[-1].plot(i, len(bits) - 0.2, "^", color=WRONG, clip_on=False, markersize=7)
        column[-1].set_ylim(len(bits) - 0.5, -0.5)
        column[-1].set_xlabel(f"{costly} instances that cost something, {len(order) - costly} that do not", labelpad=15)
        column[0].set_title(title, fontsize=11)
    return fig


def bounds(traces):
    """The proved bound, the best network so far, and the number of cuts, by round: title -> trace of `exact`."""
    fig, axes = figure(1, len(traces), 3.6, 3.2, squeeze=False, sharey=True)
    for ax, (title, trace) in zip(axes[0], traces.items(), strict=True):
        rounds = np.arange(1, len(trace) + 1)
        bound, best, cuts = np.array(trace).T
        ax.plot(rounds, best, "s--", color=WRONG, markersize=9, markerfacecolor="white", label="best network")
        ax.plot(rounds, bound, "o-", color="black", label="proved bound")
        ax.set_xticks(rounds, [f"{k}\n({count})" for k, count in zip(rounds, cuts, strict=True)])
        ax.set_yticks(range(int(max(best.max(), ax.get_ylim()[1])) + 1))
        ax.margins(x=0.12)
        finish(ax, title, "round (cuts)", "training errors" if ax is axes[0][0] else "")
    axes[0][-1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return fig


def cost(counts, measured):
    """How many settings there are, and how many a search looks at, over the number of instances; both axes logarithmic.

    counts: name -> pairs (m, base-10 logarithm). measured: name -> pairs (m, evaluations).
    """
    fig, ax = figure(1, 1, 9.0, 4.2)
    for (name, pairs), look in zip(counts.items(), ("-", "--", "-.", ":"), strict=False):
        ax.plot(*np.array(pairs, float).T, look, color="black", linewidth=2, label=name)
    for (name, pairs), marker in zip(measured.items(), ("o", "s", "^", "D", "v"), strict=False):
        x, y = np.array(pairs, float).T
        look = {"markerfacecolor": "white", "markeredgewidth": 2, "markersize": 8}
        ax.plot(x, np.log10(y), marker, color=WRONG, label=name, **look)
    ax.set_xscale("log")
    ticks = (10, 100, 1000, 10_000, 60_000)
    ax.set_xticks(ticks, [f"{k:,}" for k in ticks])
    ax.minorticks_off()
    ax.set_ylim(-0.5, 30)
    ax.set_yticks(range(0, 31, 5), [f"$10^{{{k}}}$" for k in range(0, 31, 5)])
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    finish(ax, "", "instances $m$", "settings, or evaluations")
    return fig


def descents(stuck, free):
    """The best value so far over evaluations, for two kinds of search: name -> the values as they were evaluated."""
    fig, ax = figure(1, 1, 9.0, 3.4)
    for runs, color in ((stuck, WRONG), (free, "black")):
        for (name, values), look in zip(runs.items(), ("-", "--", ":", "-."), strict=False):
            best = np.minimum.accumulate(values)
            ax.step(range(1, len(best) + 1), best, where="post", color=color, linestyle=look, linewidth=2, label=name)
            ax.plot(len(best), best[-1], "o" if best[-1] == 0 else "X", color=color, markersize=9, clip_on=False)
    ax.set_yticks(np.unique([min(values) for values in [*stuck.values(), *free.values()]] + [2, 4]))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    finish(ax, "", "evaluations", "best loss so far")
    return fig


def _map(ax, values, columns, title):
    for (r, c), value in np.ndenumerate(values):
        ax.add_patch(_square(c, r, facecolor=_SHADES.get(round(float(value)), "0.9")))
        star = value == 0
        ax.text(c, r, "★" if star else f"{value:g}", ha="center", va="center", fontsize=12 if star else 8)
    _glyph_axes(ax, columns, title)


def _square(x, y, **look):
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, edgecolor="white", linewidth=0.5, **look)


def _glyph_axes(ax, columns, title):
    """A picture of each column beside its row and above its column: black corners are +1."""
    k = len(columns)
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    for i, column in enumerate(columns):
        for (x, y), t in zip(_GLYPH * corners, column, strict=True):
            look = {"markersize": 2.6, "color": "black", "markeredgewidth": 0.6, "clip_on": False}
            look["markerfacecolor"] = "black" if t > 0 else "white"
            ax.plot(i + x, -1.05 - y, "o", **look)
            ax.plot(-1.05 + x, i - y, "o", **look)
    ax.set(xlim=(-1.6, k - 0.5), ylim=(k - 0.5, -1.6), aspect="equal", xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_title(title, fontsize=11)
    ax.set_xlabel("targets of unit 2")
    ax.xaxis.set_label_position("bottom")
    ax.set_ylabel("targets of unit 1")
