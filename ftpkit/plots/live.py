"""The curves of a race while it runs: training loss, test accuracy, outputs that flip and gradient in one layer."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from ..names import label
from ..race import Race
from ..standings import Progress, Run, batches_of
from .style import figure, style

# For a rule of the reader's own, whose name no style knows: the n-th of them in a race gets the n-th look.
_OWN = (("#444444", "-", "p"), ("#882255", "--", "X"), ("#117733", ":", "P"), ("#AA4499", "-.", "h"))


def looks(contestants: tuple[str, ...]) -> dict[str, dict]:
    """Contestant -> colour, line style, marker and label, no two alike.

    >>> [look["marker"] for look in looks(("sign:FTP-SH", "sign:Mine", "sign:Other")).values()]
    ['o', 'p', 'X']
    """
    found, own = {}, iter(_OWN)
    for contestant in contestants:
        look = style(label(contestant))
        if look["marker"] == ".":
            look |= dict(zip(("color", "linestyle", "marker"), next(own), strict=True))
        found[contestant] = look
    return found


def live(settings: Race, progress: Progress | None, layer: int, names: tuple[str, str]) -> Figure:
    """Four panels over the batches of a run. Thin: every seed. Thick: the present seed, or the mean of all at the end.

    settings: whose rivals and length are shown; progress: None before a start. layer: of the flips and gradients,
    counted from 0. names: of the race and of the layer, for the titles.
    """
    fig, axes = figure(1, 4, 2.65, 2.9)  # as wide as a notebook shows without cutting it off
    fig.set_layout_engine(None)  # the constrained layout takes longer than the drawing
    fig.subplots_adjust(left=0.045, right=0.985, bottom=0.3, top=0.83, wspace=0.26)
    panels = {
        "training loss": lambda run: (run.batches, run.loss),
        "test accuracy, %": lambda run: ([n for n, _ in run.accuracy], [100 * share for _, share in run.accuracy]),
        "outputs that flip, %": lambda run: (run.batches, [100 * shares[layer] for shares in run.flips]),
        "size of the gradient": lambda run: (run.batches, [sizes[layer] for sizes in run.gradients]),
    }
    for ax, (title, curve) in zip(axes, panels.items(), strict=True):
        for contestant, look in looks(settings.contestants).items():
            _curves(ax, [] if progress is None else progress.of(contestant), curve, look)
        if progress is None:
            ax.set_yticks([])  # numbers would speak of no curve
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("batches", fontsize=9)
        ax.tick_params(labelsize=8)
        ax.set_xlim(0, batches_of(settings) / settings.seeds / len(settings.contestants))
    for ax in (axes[0], axes[2]):
        ax.set_ylim(bottom=0)
    _logarithmic(axes[3])
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False, fontsize=10, handlelength=4)
    fig.text(0.045, 0.94, names[0], fontsize=11)
    fig.text(0.985, 0.94, f"flips and gradient: {names[1]}", fontsize=10, ha="right")
    return fig


def _logarithmic(ax: Axes) -> None:
    """A logarithmic scale with at least one tick and no crowd of them; none where there is nothing above 0."""
    sizes = [size for line in ax.lines for size in line.get_ydata() if size > 0]
    if sizes:
        ax.set_yscale("log", nonpositive="mask")
        ax.set_ylim(min(sizes) / 1.6, max(sizes) * 1.6)
        few = max(sizes) < 100 * min(sizes)
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        ax.yaxis.set_major_formatter(lambda size, _: f"{size:.0e}".replace("e-0", "e-"))
        ax.yaxis.set_minor_locator(NullLocator())


def _curves(ax: Axes, runs: list[Run], curve: Callable, look: dict) -> None:
    """One rival's: each seed thin; thick the last one, or the mean when several are there and all are complete."""
    curves = [tuple(np.asarray(each, float) for each in curve(run)) for run in runs]
    thick = curves[-1] if curves else ([], [])
    if len(runs) > 1 and all(run.correct is not None for run in runs):
        thick = curves[0][0], np.mean([values for _, values in curves], axis=0)
    for batches, values in curves if len(curves) > 1 else []:
        ax.plot(batches, values, color=look["color"], linewidth=0.8, alpha=0.45)
    ax.plot(*thick, linewidth=2, markersize=5, clip_on=False, **look)  # the last batch lies on the edge
