"""The figures of the layer losses draw the losses: every line is read back and compared."""

import math

import closed_forms
import numpy as np
import pytest
import torch

from ftpkit import LOSSES, Loss
from ftpkit.explore import LossState
from ftpkit.explore.losses import compute
from ftpkit.plots import losses as pictures
from ftpkit.plots import style

OWN = Loss("Own", lambda z, t: (2 - t * z).clamp(min=0), lambda z, t: -t * (t * z <= 2).to(z.dtype))


def lines(ax):
    return {line.get_label(): np.asarray(line.get_data(), dtype=float) for line in ax.lines}


@pytest.mark.parametrize("t", [-1, 1])
def test_cards_draw_value_and_derivative_of_every_loss(t):
    fig = pictures.loss_cards([*LOSSES.values(), OWN], t=t)
    panels = {ax.get_title(): lines(ax) for ax in fig.axes if ax.get_visible()}
    assert list(panels) == [*LOSSES, "Own"]
    for name, loss in LOSSES.items():
        (z, value), (_, derivative) = panels[name]["loss L(z, t)"], panels[name]["derivative dL/dz"]
        np.testing.assert_allclose(value, closed_forms.VALUE[name](z, t), atol=1e-4)
        away = np.min([np.abs(z * t - kink) for kink in closed_forms.AT_KINKS[name] or [99]], axis=0) > 1e-9
        np.testing.assert_allclose(derivative[away], closed_forms.DERIVATIVE[name](z, t)[away], atol=1e-12)
        np.testing.assert_array_equal(derivative, loss.derivative(torch.tensor(z), t).numpy())


def test_left_and_right_are_the_two_targets():
    straight, other = LOSSES["SoftHinge"], LOSSES["Hinge"]
    fig = pictures.surrogates_by_target({"straight-through": [straight], "not": [other]})
    (left, right), (left_other, right_other) = np.reshape(fig.axes, (2, 2))
    assert (left.get_title(), right.get_title()) == ("straight-through, t = -1", "straight-through, t = +1")
    np.testing.assert_array_equal(lines(left)["SoftHinge"], lines(right)["SoftHinge"])
    np.testing.assert_array_equal(lines(left_other)["Hinge"][1], lines(right_other)["Hinge"][1][::-1])
    z, phi = lines(right_other)["Hinge"]
    np.testing.assert_array_equal(phi, np.where(z <= 1, 1.0, 0.0))


def test_a_loss_looks_like_the_rule_that_is_made_of_it():
    (line,) = [line for line in pictures.surrogates_by_target({"": [LOSSES["SoftHinge"]]}).axes[0].lines]
    assert (line.get_color(), line.get_linestyle()) == (style("FTP-SH")["color"], style("FTP-SH")["linestyle"])
    assert pictures.loss_style("Own")["label"] == "Own"


def test_chords_join_points_of_the_loss():
    fig = pictures.chords([LOSSES["SaturatedHinge"]], [(-3.0, 1.0)])
    drawn = lines(fig.axes[0])
    np.testing.assert_array_equal(drawn["chord"], [[-3, 1], [2, 0]])
    assert drawn["middle of the chord"].ravel().tolist() == [-1, 1] and drawn["loss"].ravel().tolist() == [-1, 2]


def test_bars_are_the_shares():
    fig = pictures.flips({"Linear": (0.0, 100.0), "SoftHinge": (7.3, 93.0)})
    assert [[bar.get_width() for bar in ax.patches] for ax in fig.axes] == [[0.0, 7.3], [100.0, 93.0]]
    assert [label.get_text() for label in fig.axes[1].texts] == ["100.0 %", "93.0 %"]


@pytest.mark.parametrize("activation", ["Sign", "Step", "Staircase, single", "Staircase, sum"])
def test_strip_draws_the_result(activation):
    result = compute(LossState(loss="Hinge", activation=activation, t=-1))
    fig = pictures.surrogate_strip([result])
    h, value, slope, surrogate = fig.axes
    z, drawn = h.lines[-1].get_data()
    there = ~np.isnan(drawn)
    np.testing.assert_array_equal(np.asarray(drawn)[there], result.h.numpy()[there])
    assert np.isnan(drawn).sum() == (np.diff(result.h) != 0).sum()  # a gap at each threshold, no upright line
    np.testing.assert_array_equal(lines(value)["t = -1"][1], result.value.numpy())
    np.testing.assert_array_equal(lines(value)["t = +1"][1], result.value_other.numpy())
    np.testing.assert_array_equal(lines(slope)["t = -1"][1], result.derivative.numpy())
    np.testing.assert_array_equal(lines(slope)["t = +1"][1], result.derivative_other.numpy())
    np.testing.assert_array_equal(lines(surrogate)["t = -1"][1], result.phi.numpy())
    np.testing.assert_array_equal(lines(surrogate)["t = +1"][1], result.phi_other.numpy())
    assert surrogate.get_title() == "surrogate, area infinite" and math.isinf(result.area)
    assert [text.get_text() for text in h.get_legend().get_texts()] == ["t = -1", "t = +1"]


def test_strip_makes_room_for_a_formula():
    result = compute(LossState(loss="Own formula", formula="(1 - t*z)**2 + 0*(z + z + z + z + z)"))
    _, value, slope, surrogate = pictures.surrogate_strip([result]).axes
    assert value.get_title() == "(1 - t*z)**2 + 0*(z + z + …" and value.get_ylim()[1] == 12
    assert surrogate.get_ylim()[0] < result.phi.min() < -4 and slope.get_ylim() == (-6, 6)
    assert surrogate.lines[-1].get_color() != surrogate.lines[-2].get_color()
