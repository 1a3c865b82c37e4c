"""The curves of a race as they are drawn, read back from the figure."""

import numpy as np

from ftpkit import plots
from ftpkit.plots import live as pictures
from ftpkit.race import Race
from ftpkit.standings import Progress, Run

SMALL = Race("mlp", ("sign:STE", "sign:Mine"), (1e-3,), epochs=2, seeds=2, train_size=1000)


def run(contestant, seed, scale, correct=None):
    curves = dict(batches=(5, 10), loss=(2 * scale, scale), flips=((0.1, 0.2), (0.03, 0.04 * scale)))
    return Run(
        contestant, seed, **curves, gradients=((1e-3, 2e-3), (3e-4, 4e-4)), accuracy=((10, 0.5),), correct=correct
    )


def thick(ax):
    return {line.get_label(): line for line in ax.lines if line.get_linewidth() == 2}


def test_the_curves_are_those_of_the_runs():
    progress = Progress(SMALL, "running", (run("sign:STE", 0, 1.0), run("sign:Mine", 0, 0.5)))
    fig = pictures.live(SMALL, progress, -1, ("title", "last hidden layer"))
    loss, accuracy, flips, gradient = (thick(ax) for ax in fig.axes)
    assert loss["STE"].get_xydata().tolist() == [[5, 2], [10, 1]] and loss["Mine"].get_ydata().tolist() == [1, 0.5]
    assert accuracy["STE"].get_xydata().tolist() == [[10, 50]]
    assert np.allclose(flips["STE"].get_ydata(), [20, 4]) and np.allclose(flips["Mine"].get_ydata(), [20, 2])
    assert gradient["STE"].get_ydata().tolist() == [2e-3, 4e-4] and fig.axes[3].get_yscale() == "log"
    assert fig.axes[0].get_xlim() == (0, 20)
    assert not any(line.get_clip_on() for ax in fig.axes for line in thick(ax).values()), "half a mark at the edge"
    assert loss["STE"].get_color() == plots.style("STE")["color"] != loss["Mine"].get_color()


def test_the_thick_line_is_the_seed_under_way_and_at_the_end_the_mean():
    right = np.ones(3, dtype=bool)
    first, second = run("sign:STE", 0, 1.0, right), run("sign:STE", 1, 3.0)
    going = pictures.live(SMALL, Progress(SMALL, "running", (first, second)), 0, ("", ""))
    assert thick(going.axes[0])["STE"].get_ydata().tolist() == [6, 3] and len(going.axes[0].lines) == 2 + 2
    over = (first, run("sign:STE", 1, 3.0, right))
    done = pictures.live(SMALL, Progress(SMALL, "finished", over), 0, ("", ""))
    assert thick(done.axes[0])["STE"].get_ydata().tolist() == [4, 2]


def test_nothing_yet_and_gradients_of_zero_can_be_drawn():
    before = pictures.live(SMALL, None, 0, ("", "")).axes
    assert before[3].get_yscale() == "linear" and not any(ax.get_yticks().size for ax in before)
    zero = Run("sign:STE", 0, (5,), (1.0,), ((0.0, 0.0),), ((0.0, 0.0),))
    fig = pictures.live(SMALL, Progress(SMALL, "running", (zero,)), 0, ("title", ""))
    assert plots.Picture(fig, "a figure of a race that has hardly begun").png


def test_no_two_of_the_readers_own_look_alike():
    looks = pictures.looks(("sign:STE", "sign:A", "sign:B", "staircase-3:C"))
    assert len({(look["color"], look["marker"]) for look in looks.values()}) == 4
