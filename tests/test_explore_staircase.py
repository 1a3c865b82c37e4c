"""The staircase explorer without a browser: its numbers against oracles, every control over its grid."""

import math

import closed_forms
import drive
import numpy as np
import pytest
import torch
import traitlets
from hypothesis import given, settings
from matplotlib.figure import Figure

from ftpkit.explore import StaircaseExplorer, StaircaseState
from ftpkit.rounding import LAYERS, rounded
from ftpkit.rules import RULES

EVEN = "numbers spread evenly over 0 to 1"


def compute(**state):
    return StaircaseExplorer.compute_from(StaircaseState(**state))


def numbers(**state):
    return StaircaseExplorer.numbers(compute(**state))


def test_errors_of_evenly_spread_numbers_are_the_closed_forms():
    for k in range(2, 18):
        said = numbers(steps=k, layer=EVEN)
        rms, noise = 1 / math.sqrt(6 * k * (k - 1)), 10 * math.log10(2 * k * (k - 1))
        shown = f"{rms:.3g} (root mean square), signal to noise {noise:.1f} dB"
        assert said["Error of rounding"] == said["Error with clipping"] == shown
        assert said["Dead levels"] == f"2 of {k + 1} (0, 1)"
    said = numbers(range=0.5, layer=EVEN)  # half of the numbers lie above
    assert said["Share of the values on each level"] == "0: 0 %, 0.167: 25 %, 0.333: 25 %, 0.5: 50 %"
    assert said["Between the outer thresholds"] == "50 % of the layer's values"
    assert said["Error with clipping"].startswith(f"{math.sqrt(0.5 * 0.25 / 36 + 0.5**3 / 3):.3g} (")


@pytest.mark.parametrize("layer", [name for name in LAYERS if name != EVEN])
def test_a_real_layer_against_numpy(layer):
    values = LAYERS[layer]().flatten().double().numpy()
    for steps, range_ in ((2, 0.25), (3, 1.0), (5, 4.0)):
        result = compute(steps=steps, range=range_, layer=layer)
        level = np.ceil(values / range_ * (steps - 1)).clip(0, steps)
        shares = np.array([(level == i).mean() for i in range(steps + 1)])
        assert result.found.shares == pytest.approx(shares, abs=1e-12)
        error = np.sqrt(np.mean((range_ * level / steps - values.clip(min=0)) ** 2))
        assert f"{error:.3g} (root" in StaircaseExplorer.numbers(result)["Error with clipping"]
        assert result.inside == pytest.approx(shares[1:-1].sum())


@pytest.mark.parametrize(("rule", "loss"), [("FTP-SH", "SoftHinge"), ("Hinge", "Hinge"), ("LogLoss", "LogLoss")])
@pytest.mark.parametrize("form", ["single", "sum"])
def test_what_comes_back_is_the_slope_of_the_layer_loss(rule, loss, form):
    layer = "hidden layer 1, untrained"
    values = LAYERS[layer]().flatten().double().numpy()
    slope = closed_forms.DERIVATIVE[loss]
    for k, range_ in ((2, 1.0), (4, 2.5)):
        result = compute(steps=k, range=range_, rule=rule, form=form, layer=layer)
        for t, phi, mean in zip((1, -1), result.phi, result.passed, strict=True):
            for z, found in ((result.z.numpy(), phi.numpy()), (values, mean)):
                u = z / range_
                if form == "single":
                    expected = -t * slope(2 * u - 1, t)
                else:
                    expected = -t * sum(slope(u - i / (k - 1), t) for i in range(k)) / k
                if found is mean:
                    assert mean == pytest.approx(expected.mean(), abs=1e-4)
                else:
                    assert (np.abs(found - expected) > 1e-9).sum() <= 2 * k, "kinks apart"


def test_the_questions_have_the_answers_that_surprise():
    even, steps, twice = (compute(**each.state) for each in StaircaseExplorer.TRIES)
    start = compute()
    assert len(even.found.dead) == 2
    assert steps.found.rms < start.found.rms / 6 and steps.found.rms_with_clipping > 0.9 * start.found.rms_with_clipping
    assert twice.found.rms > 2 * start.found.rms
    assert twice.found.rms_with_clipping < 0.85 * start.found.rms_with_clipping
    assert all({"steps", "range", "layer"} == set(each.state) for each in StaircaseExplorer.TRIES)


# --- state ----------------------------------------------------------------------------------------------------------


def test_refused_states():
    for wrong in (dict(steps=1), dict(steps=18), dict(range=0.0), dict(range=5.0), dict(form="mean"), dict(steps=2.5)):
        with pytest.raises(traitlets.TraitError):
            StaircaseState(**wrong)
    with pytest.raises(traitlets.TraitError, match="did you mean 'FTP-SH'"):
        StaircaseState(rule="FTPSH")
    with pytest.raises(traitlets.TraitError, match="there is no layer 'layer 1'"):
        StaircaseState(layer="layer 1")


def test_a_layer_of_ones_own(monkeypatch):
    z = torch.tensor([[-1.0, 0.25], [0.75, 7.0]], requires_grad=True)
    monkeypatch.setitem(LAYERS, "mine", lambda: z)
    demo = StaircaseExplorer(layer="mine", steps=2)
    drive.check(demo)
    assert demo.compute().found == rounded(z, 2) and demo.compute().found.shares == (0.25, 0.5, 0.25)
    assert "mine" in drive.positions(demo.layer) and "on mine." in drive.alt(demo)


def test_an_error_is_said_in_words(monkeypatch):
    monkeypatch.setitem(LAYERS, "broken", lambda: torch.tensor([1.0, math.nan]))
    demo = StaircaseExplorer()
    with pytest.raises(ValueError, match="all finite"):
        demo.state.layer = "broken"
    assert "ValueError: the pre-activations of a layer are at least one number, and all finite" in demo.status.value
    demo.reset.click()
    drive.check(demo)


# --- widgets --------------------------------------------------------------------------------------------------------


def test_every_control_over_its_whole_grid():
    assert drive.grid(StaircaseExplorer()) == 16 + 16 + 16 + len(RULES) + 2 + 3 + 3


def test_every_state_has_another_alt_text_and_picture():
    demo = StaircaseExplorer()
    seen = set()
    for change in ({}, {"steps": 4}, {"range": 1.25}, {"rule": "SSTE"}, {"form": "sum"}, {"layer": EVEN}):
        demo.state.set(change)
        seen |= {drive.alt(demo), demo.picture.value}
    assert len(seen) == 12


class Blank(StaircaseExplorer):
    """With an empty figure, where many changes are tried; figures are drawn over the whole grid, and in their tests."""

    draw = staticmethod(lambda result: Figure(figsize=(0.1, 0.1)))


@settings(max_examples=1)
@given(steps=drive.walks(Blank()))
def test_random_walks(steps):
    assert drive.walk(Blank(), steps) == 30


@pytest.mark.parametrize(("demo", "changes"), [(Blank, 200), (StaircaseExplorer, 10)])
def test_nothing_is_left_behind(demo, changes):
    assert drive.leaks(demo(), changes) == {"figures": 0, "threads": 0, "observers": 0}


def test_it_answers_quickly():
    drive.quick(StaircaseExplorer())


def test_a_question_is_asked_before_its_answer_is_shown():
    demo = StaircaseExplorer(rule="SSTE")
    before = drive.alt(demo)
    demo.tries[0].click()
    assert "How many of its four levels are used?" in demo.question.value and drive.alt(demo) == before
    demo.look.click()
    assert "dead: 2 of 4 (0, 1)" in drive.alt(demo) and "SSTE, single form" in drive.alt(demo)
    demo.reset.click()
    assert drive.alt(demo) == before and demo.question.value == ""


def test_a_strip_of_states():
    shown = StaircaseExplorer.strip({}, {"steps": 17}, {"layer": EVEN})._repr_mimebundle_()
    assert shown["text/html"].count("<img alt=") == 3 and "the 16 between: 34 %" in shown["text/plain"]


def test_plain_python():
    demo = StaircaseExplorer(range=2.0)
    assert demo.compute().range == 2.0 and len(demo.figure().axes) == 5
