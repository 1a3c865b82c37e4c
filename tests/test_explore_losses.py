"""The loss explorer without a browser: its numbers against closed forms, every control over its whole grid."""

import html
import itertools
import math
import re

import closed_forms
import numpy as np
import pytest
import torch
import traitlets

from ftpkit import LOSSES, explore
from ftpkit.explore import LossExplorer, LossState
from ftpkit.explore.losses import ACTIVATIONS, STAIRCASES, alt, compute, figure, numbers

FORM = {"Sign": "sign", "Step": "step", "Staircase, single": "single", "Staircase, sum": "sum"}
AREA_ON_SIGN = {"ClosedSaturatedHinge": 2, "SaturatedHinge": 2, "SoftHinge": 2, "Sigmoid": 1, "Trapezoid": 3}
ASYMMETRIC = {"Hinge", "Perceptron", "LogLoss", "SquaredHinge"}


def states():
    for loss, activation, t in itertools.product(LOSSES, ACTIVATIONS, (-1, 1)):
        for steps in range(2, 18) if activation in STAIRCASES else [3]:
            yield LossState(loss=loss, activation=activation, steps=steps, t=t)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_state_against_closed_forms(activation):
    checked = 0
    for state in states():
        if state.activation != activation:
            continue
        result, checked = compute(state), checked + 1
        factor = {"Sign": 1, "Step": 0.5, "Staircase, single": 0.5, "Staircase, sum": 1}[activation]
        area = AREA_ON_SIGN.get(state.loss, math.inf) * factor
        assert result.area == pytest.approx(area, abs=1e-5) and math.isinf(result.width) == math.isinf(area), state
        phi = -state.t * closed_forms.gradient(
            state.loss, FORM[activation], state.steps, result.z.numpy(), state.t, weight=1
        )
        np.testing.assert_allclose(result.phi, phi, atol=1e-9, err_msg=repr(state))
        assert result.same == (state.loss not in ASYMMETRIC), state
        assert result.same_at_borders == (result.same and state.loss != "SaturatedHinge"), state
    assert checked in (2 * len(LOSSES), 2 * 16 * len(LOSSES))


@pytest.mark.parametrize(
    ("state", "width"),
    [
        (dict(loss="ClosedSaturatedHinge"), 2.0),
        (dict(loss="SoftHinge"), 2 * math.atanh(math.sqrt(0.5))),
        (dict(loss="Trapezoid"), 3.0),
        (dict(loss="ClosedSaturatedHinge", activation="Staircase, single"), 1.0),
        (dict(loss="ClosedSaturatedHinge", activation="Staircase, sum", steps=3), 2.0),
        (dict(loss="Hinge"), math.inf),
    ],
)
def test_width(state, width):
    assert compute(LossState(**state)).width == pytest.approx(width, abs=0.005)


def test_same_state_same_numbers_and_the_state_is_untouched():
    state = LossState(loss="Hinge")
    before = repr(state)
    first, second = compute(state), compute(state)
    assert torch.equal(first.phi, second.phi) and numbers(first) == numbers(second) and repr(state) == before


def test_refused_states():
    with pytest.raises(traitlets.TraitError, match="did you mean 'SoftHinge'"):
        LossState(loss="SoftHing")
    for wrong in (dict(steps=1), dict(steps=18), dict(activation="ReLU"), dict(t=0)):
        with pytest.raises(traitlets.TraitError):
            LossState(**wrong)


# The widgets, through their own callbacks


def picture(demo):
    (text,) = re.findall(r'<img alt="([^"]*)" src="data:image/png;base64,', demo.picture.value)
    return html.unescape(text)


def test_every_control_over_its_whole_grid_changes_picture_alt_text_and_numbers():
    demo = LossExplorer(activation="Staircase, sum")
    moves = [("loss", demo.loss.options), ("activation", demo.activation.options), ("t", (-1, 1))]
    moves += [("steps", range(demo.steps.min, demo.steps.max + 1))]
    for name, choices in moves:
        seen = set()
        for choice in [*choices][::-1]:
            getattr(demo, name).value = choice
            assert getattr(demo.state, name) == choice
            result = demo.compute()
            assert picture(demo) == alt(result)
            assert all(f"{key}: <b>{value}</b>" in demo.text.value for key, value in numbers(result).items())
            seen.add(demo.picture.value)
        assert len(seen) == len(choices), f"{name}: two of its choices show the same picture and alt text"
        demo.reset.click()
        assert repr(demo.state) == repr(LossState(activation="Staircase, sum"))


def test_slider_and_box_move_together_and_rest_where_there_are_no_steps():
    demo = LossExplorer(activation="Staircase, single")
    demo.slider.value = 7
    assert (demo.steps.value, demo.state.steps) == (7, 7)
    demo.steps.value = 99  # what is typed is bounded
    assert (demo.slider.value, demo.state.steps) == (17, 17)
    demo.activation.value = "Sign"
    assert demo.steps.disabled and demo.slider.disabled
    demo.activation.value = "Staircase, sum"
    assert not demo.steps.disabled and not demo.slider.disabled


def test_the_state_moves_the_controls_and_reset_returns_to_the_beginning():
    demo = LossExplorer(loss="Hinge", t=-1)
    demo.state.loss, demo.state.t = "SoftHinge", 1
    assert (demo.loss.value, demo.t.value) == ("SoftHinge", 1) and "SoftHinge" in picture(demo)
    demo.reset.click()
    assert repr(demo.state) == "LossState(loss='Hinge', activation='Sign', steps=3, t=-1)"
    assert (demo.loss.value, demo.t.value) == ("Hinge", -1) and "Layer loss Hinge" in picture(demo)


def test_reset_draws_once(monkeypatch):
    demo, drawn = LossExplorer(), []
    demo.state.loss, demo.state.activation, demo.state.t = "Hinge", "Step", -1
    monkeypatch.setattr(explore.losses, "figure", lambda result: drawn.append(result) or figure(result))
    demo.reset.click()
    assert len(drawn) == 1


def test_shown_as_a_widget_with_one_constant_line_of_text():
    one, two = LossExplorer()._repr_mimebundle_(), LossExplorer(loss="Hinge")._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in one
    assert one["text/plain"] == two["text/plain"] and len(one["text/plain"]) < 100
    assert set(one) == {"application/vnd.jupyter.widget-view+json", "text/plain"}


def test_plain_python():
    demo = LossExplorer(loss="Hinge", activation="Staircase, sum", steps=4)
    assert numbers(demo.compute())["Area under φ"] == "infinite"
    assert len(demo.figure().axes) == 3


def test_controls_carry_names():
    demo = LossExplorer()
    for name in ("loss", "activation", "steps", "t", "reset"):
        assert getattr(demo, name).description
