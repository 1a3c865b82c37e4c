"""The loss explorer without a browser: its numbers against closed forms, every control over its whole grid."""

import itertools
import math
import time

import closed_forms
import drive
import numpy as np
import pytest
import torch
import traitlets
from hypothesis import given, settings

from ftpkit import LOSSES
from ftpkit.explore import LossExplorer, LossState
from ftpkit.explore.losses import ACTIVATIONS, STAIRCASES, compute, numbers

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


def test_every_control_over_its_whole_grid():
    assert drive.grid(LossExplorer(activation="Staircase, sum")) == len(LOSSES) + len(ACTIVATIONS) + 2 + 2 * 16 + 3


@settings(max_examples=1)
@given(steps=drive.walks(LossExplorer()))
def test_random_walks(steps):
    assert drive.walk(LossExplorer(), steps) == 30


def test_it_answers_quickly_and_leaves_nothing_behind():
    demo = LossExplorer(activation="Staircase, sum")
    median, largest = drive.latency(demo, clock=time.process_time)
    assert 0 < median < 0.5 and largest < 2, (median, largest)  # seconds of the processor; the aim is 0.2
    assert drive.leaks(demo, changes=30) == {"figures": 0, "threads": 0, "observers": 0}


def test_choices_show_different_pictures():
    demo, seen = LossExplorer(activation="Staircase, sum"), set()
    for choice in LOSSES:
        demo.loss.value = choice
        seen.add(demo.picture.value)
    assert len(seen) == len(LOSSES)


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
    assert (demo.loss.value, demo.t.value) == ("SoftHinge", 1) and "SoftHinge" in drive.alt(demo)
    demo.reset.click()
    assert repr(demo.state) == "LossState(loss='Hinge', activation='Sign', steps=3, t=-1)"
    assert (demo.loss.value, demo.t.value) == ("Hinge", -1) and "Layer loss Hinge" in drive.alt(demo)


def test_the_questions_have_the_answers_that_they_ask_for():
    more, each, hinge = (compute(LossState(**tried.state)) for tried in LossExplorer.TRIES)
    assert more.area == compute(LossState(activation="Staircase, single")).area == pytest.approx(1, abs=1e-6)
    assert each.area == pytest.approx(2, abs=1e-6) and not hinge.same


def test_shown_as_a_widget_with_one_constant_line_of_text():
    one, two = LossExplorer()._repr_mimebundle_(), LossExplorer(loss="Hinge")._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in one
    assert one["text/plain"] == two["text/plain"] and len(one["text/plain"]) < 100
    assert set(one) == {"application/vnd.jupyter.widget-view+json", "text/plain"}


def test_plain_python():
    demo = LossExplorer(loss="Hinge", activation="Staircase, sum", steps=4)
    assert numbers(demo.compute())["Area under φ"] == "infinite"
    assert len(demo.figure().axes) == 3
