"""Figures of notebook 06: quantisers and their errors, what comes back through many steps, accuracy by levels."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from .. import race
from ..activations import QuantReLU, SaturatedReLU
from ..rules import as_rule
from .style import figure, style

_DARK = "#333333"
_QUANTISERS = (  # first the staircase, then what it is compared with
    {"color": "black", "linestyle": "-", "marker": "o"},
    {"color": "#009E73", "linestyle": "--", "marker": "s"},
)

Quantiser = Callable[[Tensor, int], Tensor]


def quantisers(of: Mapping[str, Quantiser], ks: Sequence[int]) -> Figure:
    """One column per k: above what each quantiser makes of z beside the saturated ReLU, below the error of each.

    of: name -> function (z, k) -> h, at most two. The error is h minus the saturated ReLU of z.
    """
    z = torch.linspace(-0.35, 1.35, 3401, dtype=torch.float64)
    exact = SaturatedReLU()(z)
    fig, axes = figure(2, len(ks), 3.1, 2.2, sharex=True, sharey="row", squeeze=False)
    for (top, bottom), k in zip(axes.T, ks, strict=True):
        top.plot(z, exact, color="0.6", linestyle="-.", linewidth=1, label="saturated ReLU")
        bottom.axhline(0, color="0.6", linestyle="-.", linewidth=1)
        for (name, quantise), look in zip(of.items(), _QUANTISERS, strict=False):
            h = quantise(z, k)
            jumps = torch.diff(h, prepend=h[:1]) != 0
            look = look | {"marker": "", "linewidth": 2, "label": name}
            top.plot(z, torch.where(jumps, torch.nan, h), **look)
            bottom.plot(z, torch.where(jumps, torch.nan, h - exact), **look)
        top.set(title=f"k = {k}: {k + 1} levels", yticks=[0, 0.5, 1])
        bottom.set(xlabel="pre-activation z")
    axes[0][0].set_ylabel("output h")
    axes[1][0].set_ylabel("error")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return fig


def errors(found: Mapping[str, Mapping[str, Mapping[int, float]]]) -> Figure:
    """One panel per source of numbers with the mean squared error by the number of steps k, both axes logarithmic.

    found: panel title -> quantiser -> {k: error}, the quantisers in the order of `quantisers`.
    """
    fig, axes = figure(1, len(found), 3.5, 3.0, sharey=True, squeeze=False)
    for ax, (title, by_name) in zip(axes[0], found.items(), strict=True):
        for (name, values), look in zip(by_name.items(), _QUANTISERS, strict=False):
            ax.plot(list(values), list(values.values()), label=name, linewidth=2, markersize=6, **look)
        ax.set(xscale="log", yscale="log", xlabel="steps k")
        ax.set_xticks(list(values), [str(k) for k in values])
        ax.minorticks_off()
        ax.set_title(title, fontsize=10)
    axes[0][0].set_ylabel("mean squared error")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return fig


def passed(forms: Sequence[tuple[str, str]], ks: Sequence[int], t: int = 1) -> Figure:
    """One column per (rule, form): above the layer loss of a staircase, below the share of the gradient it passes.

    One line for each number of steps k, thinner and darker as k grows; where the loss does not depend on k they lie on
    one another. t: the target of the losses above, +1 or -1; below, the gradient that arrives is -t.
    """
    z = torch.linspace(-2.5, 3.5, 2401, dtype=torch.float64)
    fig, axes = figure(2, len(forms), 2.9, 2.2, sharex=True, sharey="row", squeeze=False)
    for (top, bottom), (rule, form) in zip(axes.T, forms, strict=True):
        color = style(rule)["color"]
        for i, k in enumerate(ks):
            activation, leaf = QuantReLU(k, rule, form=form), z.clone().requires_grad_()
            activation(leaf).backward(torch.full_like(z, -t))
            look = {"color": color, "alpha": 0.35 + 0.65 * i / max(len(ks) - 1, 1), "label": f"k = {k}"}
            look["linewidth"] = 5 - 3.6 * i / max(len(ks) - 1, 1)
            top.plot(z, activation.unit.loss_value(as_rule(rule), z, torch.full_like(z, t)), **look)
            bottom.plot(z, -t * leaf.grad, **look)
        for ax in (top, bottom):
            ax.axvspan(0, 1, color="0.93", zorder=0)
        top.set_title(f"{'one loss' if form == 'single' else 'sum over the steps'}:\n{rule}", fontsize=10)
        bottom.set(xlabel="pre-activation z", ylim=(-0.05, 1.15))
        bottom.legend(fontsize=8, frameon=False, handlelength=1.2, loc="upper right")
    axes[0][0].set_ylabel(f"layer loss, t = {t:+d}")
    axes[1][0].set_ylabel("share of the\ngradient passed")
    return fig


def levels_of(contestant: str) -> int | None:
    """How many levels a contestant's units have; None where every number between is possible.

    >>> levels_of("sign:SSTE"), levels_of("staircase-3:FTP-SH"), levels_of("saturated-relu")
    (2, 4, None)
    """
    kind = contestant.partition(":")[0]
    if kind.startswith("staircase-"):
        return int(kind.removeprefix("staircase-")) + 1
    return 2 if kind in ("sign", "step") else None


def by_levels(result: Mapping, rules: Sequence[str] = ("SSTE", "FTP-SH")) -> Figure:
    """Test accuracy by number of levels, in per cent: every run a small dot, the mean of each rule with its s.e.

    result: of a race. Sign and step have two levels and a place of their own each; a line joins the staircases of a
    rule. Contestants without levels are level lines across the figure.
    """
    scores = {c: 100 * race.correct(result, c).mean(axis=1) for c in result["settings"]["contestants"]}
    kinds = list(dict.fromkeys(c.partition(":")[0] for c in scores if levels_of(c)))
    fig, ax = figure(1, 1, 8.0, 4.2)
    for contestant in (c for c in scores if not levels_of(c)):
        ax.axhline(scores[contestant].mean(), **style(race.label(contestant)) | {"marker": "", "linewidth": 1.5})
    for rule, shift in zip(rules, np.linspace(-0.12, 0.12, len(rules)), strict=True):
        look = style(rule)
        here = [kind for kind in kinds if f"{kind}:{rule}" in scores]
        places = np.array([kinds.index(kind) + shift for kind in here])
        values = np.array([scores[f"{kind}:{rule}"] for kind in here])
        means, errors = values.mean(axis=1), values.std(axis=1, ddof=1) / values.shape[1] ** 0.5
        dots = {"color": look["color"], "markersize": 4, "alpha": 0.5}
        ax.plot(np.repeat(places, values.shape[1]), values.ravel(), ".", label=f"runs of {rule}", **dots)
        ax.errorbar(places, means, yerr=errors, capsize=3, markersize=8, **look | {"linestyle": "none"})
        stairs = [kind.startswith("staircase-") for kind in here]
        line = {"color": look["color"], "linestyle": look["linestyle"], "linewidth": 1.8}
        ax.plot(places[stairs], means[stairs], label=f"staircases of {rule}", **line)
    ax.set_xticks(range(len(kinds)), [_levels_named(kind) for kind in kinds])
    ax.set(xlabel="levels", ylabel="test accuracy in %")
    handles = {text: handle for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)}
    shown = [text for text in handles if not text.startswith(("runs", "staircases"))]
    places = {"frameon": False, "fontsize": 9, "loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    ax.legend([handles[text] for text in shown], shown, **places)
    return fig


def _levels_named(kind: str) -> str:
    return {"sign": "2\nsign", "step": "2\nstep"}.get(kind) or f"{levels_of(kind)}\nk = {kind[10:]}"


def laid(result) -> Figure:
    """A staircase laid over a layer, of `explore.staircase.Laid`: three panels over one axis of z, and what it does.

    Left: the staircase beside the ReLU, the histogram of the layer's values, the share of the gradient passed for the
    targets +1 and -1. Right of the staircase, on the axis of h: the share of the values that take each level; below,
    the root mean squares of the errors.
    """
    fig = Figure(figsize=(9, 6.2), facecolor="white")
    # titles with a y of their own: matplotlib need not look for their place, which takes a third of the time
    stairs = fig.add_axes([0.08, 0.58, 0.55, 0.36])
    often = fig.add_axes([0.08, 0.34, 0.55, 0.17])
    passed = fig.add_axes([0.08, 0.085, 0.55, 0.18])
    ends = (float(result.z[0]), float(result.z[-1]))
    thresholds = [result.range * i / (result.steps - 1) for i in range(result.steps)]
    for ax in (stairs, often, passed):
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlim(*ends)
        ax.vlines(thresholds, 0, 1, transform=ax.get_xaxis_transform(), color="0.75", linestyle="--", linewidth=0.9)
    for ax in (stairs, often):
        ax.set_xticks([])

    jumps = torch.diff(result.h, prepend=result.h[:1]) != 0
    stairs.plot(result.z, result.z.clamp(min=0), color="0.5", linestyle="-.", linewidth=1.2, label="ReLU")
    stairs.plot(result.z, torch.where(jumps, torch.nan, result.h), color="black", linewidth=2.5, label="staircase")
    stairs.set(ylim=(-0.1 * result.range, 1.2 * result.range), ylabel="output h")
    stairs.set_title(f"{result.steps} steps over 0 to {result.range:g} (dashed: the thresholds)", fontsize=10, y=1.0)
    stairs.legend(fontsize=9, frameon=False, loc="upper left")

    width = 2.0 ** np.round(np.log2((ends[1] - ends[0]) / 90))  # so that 0 and 1 are edges
    edges = width * np.arange(np.floor(ends[0] / width), np.ceil(ends[1] / width) + 1)
    often.stairs(np.histogram(result.values.numpy(), edges)[0], edges, fill=True, color="0.65", label="values")
    often.set(yticks=[], ylabel="how often", ylim=(0, None))
    often.set_title(result.layer, fontsize=10, y=1.0)

    look = style(result.rule) | {"marker": "", "linestyle": "-", "linewidth": 2.2, "label": "target +1"}
    plus, minus = result.phi
    passed.fill_between(result.z, plus, color=look["color"], alpha=0.2, linewidth=0)
    passed.plot(result.z, plus, **look)
    passed.plot(result.z, minus, color=_DARK, linestyle="--", linewidth=1.4, label="target -1")
    passed.set(xlabel="pre-activation z", ylabel="share passed")
    passed.set_ylim(0, 1.15 * max(1.0, plus.max().item(), minus.max().item()))
    passed.set_title(f"what comes back of a gradient: {result.rule}, {result.form}", fontsize=10, y=1.0)
    passed.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.03, 1.0))

    _shares(fig.add_axes([0.72, 0.58, 0.25, 0.36]), result.found, stairs.get_ylim())
    _errors_of(fig.add_axes([0.78, 0.34, 0.19, 0.12]), result.found)
    return fig


def _shares(ax, found, ylim) -> None:
    """The share of the values that take each level, as bars beside the levels of the staircase."""
    shares = 100 * np.array(found.shares)
    few = len(shares) <= 9
    ax.barh(found.levels, shares, height=0.7 * (found.levels[1] - found.levels[0]), color=_DARK)
    for level, share in zip(found.levels, shares, strict=True):
        if few or share == 0:
            said = "dead" if share == 0 else f"{share:.0f} %" if share >= 0.5 else "< 1 %"
            place = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
            ax.annotate(said, (share, level), fontsize=9 if few else 7, **place)
    ax.set(ylim=ylim, xlim=(0, 1.25 * shares.max()), xlabel="share of the values in %")
    ax.set_title(f"{len(shares)} levels", fontsize=10, y=1.0)
    ax.spines[["top", "right"]].set_visible(False)
    if few:
        ax.set_yticks(found.levels, [f"{level:.3g}" for level in found.levels])


def _errors_of(ax, found) -> None:
    """Root mean squares of the error of rounding alone, and with what is cut off."""
    errors = {"with clipping": found.rms_with_clipping, "rounding": found.rms}
    bars = ax.barh(list(errors), list(errors.values()), color=["white", "0.65"], edgecolor=_DARK, hatch=["//", ""])
    ax.bar_label(bars, [f"{error:.3g}" for error in errors.values()], padding=4, fontsize=9)
    ax.set(xlim=(0, 1.4 * max(*errors.values(), 1e-12)), xticks=[])
    ax.set_title("error, root mean square", fontsize=10, y=1.0)
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.tick_params(left=False)
