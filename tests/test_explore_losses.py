"""The loss explorer without a browser: its numbers against closed forms, every control over its whole grid."""

import itertools
import math
import pickle

import closed_forms
import drive
import numpy as np
import pytest
import torch
import traitlets
from hypothesis import given, settings
from matplotlib.figure import Figure

from ftpkit import LOSSES, RULES, Rule, Sign, Step
from ftpkit.explore import LossExplorer, LossState
from ftpkit.explore.losses import ACTIVATIONS, OWN, STAIRCASES, compute, numbers
from ftpkit.names import as_activation

FORM = {"Sign": "sign", "Step": "step", "Staircase, single": "single", "Staircase, sum": "sum"}
AREA_ON_SIGN = {"ClosedSaturatedHinge": 2, "SaturatedHinge": 2, "SoftHinge": 2, "Sigmoid": 1, "Trapezoid": 3}
TEXTS = ("tanh(-a*t*z) + 1", "max(0, 1 - t*z)**2", "where(t*z > 0, 0, 1)", "(1 - a*t*z)**2")
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
    demo = LossExplorer(loss=OWN, formula=TEXTS[0], activation="Staircase, sum")
    losses, parameter, steps = len(LOSSES) + 1, 21 + 20, 2 * 16
    assert drive.grid(demo, TEXTS) == losses + len(TEXTS) + parameter + len(ACTIVATIONS) + 2 + steps + 3


@settings(max_examples=1)
@given(steps=drive.walks(LossExplorer(), TEXTS))
def test_random_walks(steps):
    assert drive.walk(LossExplorer(), steps, TEXTS) == 30


def test_it_answers_quickly():
    drive.quick(LossExplorer(loss=OWN), TEXTS)  # the steps rest; test_every_control... goes through them


class Blank(LossExplorer):
    """With an empty figure, where many changes are tried; figures are drawn over the whole grid, and in their tests."""

    draw = staticmethod(lambda result: Figure(figsize=(0.1, 0.1)))


@pytest.mark.parametrize(("demo", "changes"), [(Blank, 200), (LossExplorer, 20)])
def test_nothing_is_left_behind(demo, changes):
    assert drive.leaks(demo(loss=OWN), changes, TEXTS) == {"figures": 0, "threads": 0, "observers": 0}


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
    assert repr(demo.state) == (
        "LossState(loss='Hinge', activation='Sign', steps=3, t=-1, formula='log(1 + exp(-a*t*z)) / a', a=1.0)"
    )
    assert (demo.loss.value, demo.t.value) == ("Hinge", -1) and "Layer loss Hinge" in drive.alt(demo)


def test_the_questions_have_the_answers_that_they_ask_for():
    each, hinge, squares = (compute(LossState(**tried.state)) for tried in LossExplorer.TRIES)
    assert compute(LossState(activation="Staircase, single", steps=17)).area == pytest.approx(1, abs=1e-6)
    assert each.area == pytest.approx(2, abs=1e-6) and not hinge.same
    assert "away from its target where t = -1 and z < -1; t = +1 and z > 1" in numbers(squares)["Moves z"]


def test_shown_as_a_widget_with_one_constant_line_of_text():
    one, two = LossExplorer()._repr_mimebundle_(), LossExplorer(loss="Hinge")._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in one
    assert one["text/plain"] == two["text/plain"] and len(one["text/plain"]) < 100
    assert set(one) == {"application/vnd.jupyter.widget-view+json", "text/plain"}


def test_plain_python():
    demo = LossExplorer(loss="Hinge", activation="Staircase, sum", steps=4)
    assert numbers(demo.compute())["Area under φ"] == "infinite"
    assert len(demo.figure().axes) == 4


# The own formula

EQUAL = {  # a formula, the parameter a, and the built-in loss that it is
    "log(1 + exp(-a*t*z)) / a": (1, "LogLoss"),
    "max(0, 1 - t*z)**(2)": (1, "SquaredHinge"),
    "tanh(-a*t*z) + 1": (1, "SoftHinge"),
    "1 / (1 + exp(a*t*z))": (2, "Sigmoid"),
    "clamp(a - t*z, 0, 2)": (1, "ClosedSaturatedHinge"),
}


@pytest.mark.parametrize("text", EQUAL)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_formula_gives_what_the_built_in_loss_gives(text, activation):
    a, name = EQUAL[text]
    own = compute(LossState(loss=OWN, formula=text, a=a, activation=activation, t=-1))
    built_in = compute(LossState(loss=name, activation=activation, t=-1))
    for part in ("h", "value", "value_other", "phi", "phi_other", "derivative", "derivative_other"):
        torch.testing.assert_close(getattr(own, part), getattr(built_in, part), rtol=0, atol=1e-9)
    assert (own.area, own.width, own.same) == (
        pytest.approx(built_in.area, abs=1e-6),
        built_in.width,
        built_in.same,
    )
    kept = ("Moves z", "Convex", "Derivative", "Same for both targets")
    assert {key: numbers(own)[key] for key in kept} == {key: numbers(built_in)[key] for key in kept}


def typed(demo, text):
    """What the browser sends when a line is typed and Enter is pressed or the line is left."""
    demo.formula.value = text


def test_a_formula_is_drawn_when_it_is_typed_and_the_parameter_moves_it():
    demo = LossExplorer()
    assert all(control.disabled for control in demo.a)
    typed(demo, "tanh(-a*t*z)  + 1")
    assert (demo.state.loss, demo.loss.value, demo.formula.value) == (OWN, OWN, "tanh(-a*t*z) + 1")
    assert "Layer loss tanh(-1*t*z) + 1 on Sign" in drive.alt(demo) and "width 1.76" in drive.alt(demo)
    assert not any(control.disabled for control in demo.a)
    demo.a[1].value = 4
    assert "tanh(-4*t*z) + 1" in drive.alt(demo) and demo.a[0].value == 4
    assert demo.numbers(demo.compute())["Width of φ"] == f"{2 * math.atanh(math.sqrt(0.5)) / 4:.2f}"
    typed(demo, "max(0, 1 - t*z)")
    assert all(control.disabled for control in demo.a)


def test_the_line_is_empty_where_a_built_in_loss_is_shown():
    demo = LossExplorer(loss="Hinge", a=2)
    assert demo.formula.value == ""  # so that whatever is typed is new
    typed(demo, "log(1 + exp(-a*t*z)) / a")
    assert "Layer loss log(1 + exp(-2*t*z)) / 2" in drive.alt(demo) and demo.loss.value == OWN
    demo.loss.value = "Linear"
    assert demo.formula.value == "" and "Layer loss Linear" in drive.alt(demo)
    demo.loss.value = OWN
    assert demo.formula.value == demo.state.formula and "Layer loss log(1 + exp(-2*t*z)) / 2" in drive.alt(demo)
    picture = demo.picture.value
    typed(demo, "")
    assert "the formula is empty" in demo.status.value and demo.picture.value == picture


def test_a_mistyped_formula_is_named_and_what_was_drawn_stays():
    demo = LossExplorer(loss="Hinge")
    before = demo.picture.value, demo.text.value, repr(demo.state)
    typed(demo, "tahn(-t*z)")
    assert (demo.picture.value, demo.text.value, repr(demo.state)) == before
    assert "tahn" in demo.status.value and "character 1" in demo.status.value and "tanh" in demo.status.value
    assert demo.formula.value == "tahn(-t*z)"  # to be mended
    typed(demo, "tanh(-t*z)")
    assert "Layer loss tanh(-t*z)" in drive.alt(demo) and demo.status.value == ""
    for leave in (demo.reset.click, lambda: setattr(demo.state, "t", -1)):
        typed(demo, "tanh(-t*z")
        assert "never closed" in demo.status.value
        leave()
        assert "never closed" not in demo.status.value and demo.formula.value in ("", demo.state.formula)


def test_a_mistyped_formula_raises_in_plain_python():
    demo = LossExplorer()
    for wrong, said in (("1 - tz", "did you mean 't.z'"), ("__import__('os')", "known are z, t, a"), ("1/z", "z = 0")):
        with pytest.raises(traitlets.TraitError, match=said):
            demo.state.formula = wrong
        with pytest.raises(traitlets.TraitError, match=said):
            LossExplorer(loss=OWN, formula=wrong)
    assert demo.state.formula == "log(1 + exp(-a*t*z)) / a"


def test_a_parameter_that_breaks_the_formula_is_said_and_the_picture_stays():
    demo = LossExplorer(loss=OWN, formula="log(9 - a + 0*z) - t*z")
    demo.state.a = 5
    picture = demo.picture.value
    with pytest.raises(traitlets.TraitError, match="finite"):
        demo.state.set({"formula": "log(3 - a + 0*z) - t*z"})
    demo.state.set({"a": 2, "formula": "log(3 - a + 0*z) - t*z"})
    picture = demo.picture.value
    with pytest.raises(ValueError, match="not a finite number"):
        demo.a[1].value = 3
    assert "not a finite number" in demo.status.value and demo.picture.value == picture
    demo.a[1].value = 1
    assert demo.status.value == "" and demo.picture.value != picture


def test_what_is_said_of_a_formula():
    def said(text):
        return numbers(compute(LossState(loss=OWN, formula=text)))

    assert said("where(t*z > 0, 0, 1)")["Moves z"] == "never, because the derivative is 0"
    assert said("where(t*z > 0, 0, 1)")["Derivative"].endswith(
        "it does not see the jumps of the loss at z = 0 for t = -1; z = 0 for t = +1"
    )
    assert said("t*z")["Moves z"] == "away from its target where t = -1 and z is anything; t = +1 and z is anything"
    assert said("exp(-(t*z - 1)**2)")["Moves z"].startswith("away from its target where t = -1 and -")
    assert said("exp(-t*z)")["Finite in float32"].startswith("not beyond abs(z) = 20")
    assert said("tanh(-0.02*t*z) + 1")["Width of φ"] == "more than half its height at the ends of [-20, 20]"
    assert said("tanh(-0.02*t*z) + 1")["Area under φ"] == "2.00"  # what lies outside [-20, 20] is counted
    assert "no rule" not in said("t*z")["Rule"] and "'formula:t*z'" in said("t*z")["Rule"]


def test_the_rule_of_the_demo_trains_and_travels():
    demo = LossExplorer(loss=OWN, formula="tanh(-a*t*z) + 1", a=1)
    rule, expected = demo.rule, RULES["FTP-SH"]
    z = torch.linspace(-3, 3, 50, dtype=torch.float64)
    for one, other in ((Sign(rule), Sign(expected)), (Step(rule), Step(expected))):
        sent = []
        for activation in (one, other):
            leaf = z.clone().requires_grad_()
            activation(leaf).backward(z.cos())
            sent.append(leaf.grad)
        torch.testing.assert_close(*sent, rtol=0, atol=1e-12)
    assert as_activation(f"sign:{rule.name}")().rule == rule == pickle.loads(pickle.dumps(rule))
    assert LossExplorer(loss="Hinge").rule == Rule("Hinge")
