"""The kit in one picture: targets cut a network into perceptrons; a layer loss is a surrogate; what it is worth."""

import argparse
from pathlib import Path

import numpy as np
import torch

from .. import race
from ..rules import RULES
from .style import figure, style

RULES_SHOWN = ("STE", "SSTE", "FTP-SH")


def overview(result: dict):
    """Three panels: the network that targets cut apart, the surrogates phi(z), test accuracy in the race `result`."""
    fig, (cut, surrogates, accuracy) = figure(1, 3, width=4.2, height=3.4)
    _draw_network(cut)
    draw_surrogates(surrogates)
    draw_accuracy(accuracy, result)
    return fig


def _draw_network(ax):
    layers = [(0.0, 3), (1.0, 3), (2.0, 2)]
    spots = [[(x, y - (n - 1) / 2) for y in range(n)] for x, n in layers]
    unit, heard = spots[1][2], spots[0]
    for below, above in zip(spots, spots[1:], strict=False):
        for x0, y0 in below:
            for x1, y1 in above:
                mine = (x1, y1) == unit and (x0, y0) in heard
                ax.plot([x0, x1], [y0, y1], color="#0072B2" if mine else "0.82", lw=2 if mine else 1, zorder=1)
    for depth, layer in enumerate(spots):
        for i, (x, y) in enumerate(layer):
            face = "#0072B2" if (x, y) == unit else "white"
            ax.plot(x, y, "o", ms=22, mfc=face, mec="0.3", zorder=2)
            if depth == 1:
                color = "white" if (x, y) == unit else "0.2"
                ax.text(x, y, "+1" if i != 1 else "\u22121", ha="center", va="center", color=color, fontsize=9)
    ax.text(0, -1.62, "inputs x", ha="center", fontsize=9)
    ax.text(1, -1.62, "targets t", ha="center", fontsize=9)
    ax.text(2, -1.62, "labels y", ha="center", fontsize=9)
    ax.set(xlim=(-0.4, 2.4), ylim=(-1.8, 1.5), title="Given targets, each unit is a perceptron")
    ax.axis("off")


def draw_surrogates(ax, rules=RULES_SHOWN):
    """phi(z) = -t dL/dz of each rule, from its layer loss."""
    z = torch.linspace(-3, 3, 601, dtype=torch.float64)
    for name in rules:
        ax.plot(z, RULES[name].loss.surrogate(z, 1.0), **{**style(name), "marker": ""}, lw=2)
    ax.set(xlabel="pre-activation z", ylabel="share of the gradient passed", title="A layer loss is a surrogate")
    ax.legend(frameon=False, loc="upper right", fontsize=8)
    ax.set_ylim(-0.05, 1.45)


def draw_accuracy(ax, result: dict):
    """Each contestant's mean test accuracy over seeds, worst first, with one standard deviation over the seeds."""
    scores = {c: 100 * race.correct(result, c).mean(axis=1) for c in result["settings"]["contestants"]}
    ranked = sorted(scores, key=lambda c: scores[c].mean())
    for row, contestant in enumerate(ranked):
        look = style(race.label(contestant))
        mean, spread = scores[contestant].mean(), scores[contestant].std(ddof=1)
        ax.errorbar(mean, row, xerr=spread, color=look["color"], marker=look["marker"], ms=6, capsize=3)
    ax.set_yticks(np.arange(len(ranked)), [race.label(c) for c in ranked])
    ax.set(xlabel="test accuracy in %", title=f"Fashion-MNIST, {len(scores[ranked[0]])} seeds")


def sentence(result: dict) -> str:
    """The alt text of `overview`."""
    means = {race.label(c): 100 * race.correct(result, c).mean() for c in result["settings"]["contestants"]}
    listed = ", ".join(f"{name} {mean:.1f}" for name, mean in sorted(means.items(), key=lambda item: -item[1]))
    return (
        "Left: a network whose hidden units have targets, so that one unit is a perceptron from its inputs to its "
        "target. Middle: the share of the gradient that STE, SSTE and FTP-SH pass at each pre-activation: a constant, "
        f"a window and a bell. Right: mean test accuracy in percent: {listed}."
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=race.RESULTS / "overview.png", help="PNG file to write")


def main(args: argparse.Namespace) -> int:
    overview(race.load("mlp")).savefig(args.out, dpi=100, metadata={"Software": None})
    print(f"wrote {args.out}")
    return 0
