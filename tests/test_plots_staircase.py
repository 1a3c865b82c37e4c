"""The figures of the staircases draw what the code computes: every line, point and interval is read back."""

import base64

import closed_forms
import numpy as np
import pytest
import torch

from ftpkit import race
from ftpkit.explore import StaircaseExplorer, StaircaseState
from ftpkit.plots import staircase as pictures
from ftpkit.plots import style


def lines(ax):
    return {line.get_label(): np.asarray(line.get_data(), dtype=float) for line in ax.lines}


def stairs(z, k):
    return torch.from_numpy(closed_forms.staircase(z.numpy(), k))


def rounded(z, k):
    return (z.clamp(0, 1) * k).round() / k


def test_quantisers_and_their_errors_are_those_of_the_functions():
    fig = pictures.quantisers({"staircase": stairs, "rounding": rounded}, [2, 5])
    for column, k in enumerate((2, 5)):
        top, bottom = lines(fig.axes[column]), lines(fig.axes[2 + column])
        z, clamped = top["saturated ReLU"]
        np.testing.assert_array_equal(clamped, z.clip(0, 1))
        for name, function in {"staircase": stairs, "rounding": rounded}.items():
            h, error = top[name][1], bottom[name][1]
            there = ~np.isnan(h)
            np.testing.assert_allclose(h[there], function(torch.tensor(z), k).numpy()[there], atol=1e-12)
            np.testing.assert_allclose(error[there], h[there] - clamped[there], atol=1e-12)
            assert (~there).sum() == k  # a gap at each jump, no upright line
        assert fig.axes[column].get_title() == f"k = {k}: {k + 1} levels"


def test_errors_stand_where_they_are_given():
    found = {"uniform": {"staircase": {2: 1 / 12, 3: 1 / 36}, "rounding": {2: 1 / 48, 3: 1 / 108}}}
    (ax,) = pictures.errors(found).axes
    assert ax.get_xscale() == ax.get_yscale() == "log" and ax.get_title() == "uniform"
    assert lines(ax)["staircase"].tolist() == [[2, 3], [1 / 12, 1 / 36]]
    assert lines(ax)["rounding"].tolist() == [[2, 3], [1 / 48, 1 / 108]]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "3"]


@pytest.mark.parametrize("t", [-1, 1])
def test_passed_draws_the_layer_loss_and_its_slope(t):
    """Against closed forms: one loss of 2z - 1, or a mean over the thresholds; for Hinge the target matters."""
    forms = [("SSTE", "single"), ("FTP-SH", "single"), ("Hinge", "single"), ("FTP-SH", "sum"), ("Hinge", "sum")]
    fig = pictures.passed(forms, [2, 5], t=t)
    loss_of = {"SSTE": "ClosedSaturatedHinge", "FTP-SH": "SoftHinge", "Hinge": "Hinge"}
    for column, (rule, form) in enumerate(forms):
        top, bottom = fig.axes[column], fig.axes[len(forms) + column]
        value, slope = closed_forms.VALUE[loss_of[rule]], closed_forms.DERIVATIVE[loss_of[rule]]
        kinks = closed_forms.AT_KINKS[loss_of[rule]]
        assert top.get_title() == f"{'one loss' if form == 'single' else 'sum over the steps'}:\n{rule}"
        for k in (2, 5):
            (z, drawn), (_, passed) = lines(top)[f"k = {k}"], lines(bottom)[f"k = {k}"]
            if form == "single":
                arguments, expected = [2 * z - 1], value(2 * z - 1, t) / 2
            else:
                arguments = [z - i / (k - 1) for i in range(k)]
                expected = np.mean([value(a, t) for a in arguments], axis=0)
            away = np.min([np.abs(a * t - kink) for a in arguments for kink in kinks or [99]], axis=0) > 1e-9
            np.testing.assert_allclose(drawn, expected, atol=1e-4)
            phi = -t * np.mean([slope(a, t) for a in arguments], axis=0)
            np.testing.assert_allclose(passed[away], phi[away], atol=1e-12)


LEVELS = {"sign": 2, "step": 2, "staircase-2": 3, "staircase-9": 10, "relu": None, "saturated-relu": None}


@pytest.fixture(scope="module")
def result():
    """A race whose accuracies are known."""
    rng, runs = np.random.default_rng(0), []
    contestants = [c for kind in LEVELS for c in ([f"{kind}:SSTE", f"{kind}:FTP-SH"] if LEVELS[kind] else [kind])]
    for i, contestant in enumerate(contestants):
        for seed in range(4):
            correct = rng.random(80) < 0.5 + 0.04 * i
            bits = base64.b64encode(np.packbits(correct).tobytes()).decode()
            runs.append({"contestant": contestant, "seed": seed, "lr": 1e-3, "images": 80, "correct": bits})
    return {"settings": {"contestants": contestants, "lrs": [1e-3], "seeds": 4}, "lr_search": [], "runs": runs}


def test_levels_are_one_more_than_steps():
    for kind, levels in LEVELS.items():
        assert pictures.levels_of(f"{kind}:SSTE" if levels else kind) == levels


def test_accuracy_by_levels_has_every_run_mean_and_error(result):
    (ax,) = pictures.by_levels(result).axes
    scores = {c: 100 * race.correct(result, c).mean(axis=1) for c in result["settings"]["contestants"]}
    kinds = [kind for kind, levels in LEVELS.items() if levels]
    names = [tick.get_text() for tick in ax.get_xticklabels()]
    assert names == ["2\nsign", "2\nstep", "3\nk = 2", "10\nk = 9"]
    drawn, means = lines(ax), {bar.get_label(): bar for bar in ax.containers}
    for rule in ("SSTE", "FTP-SH"):
        places, values = drawn[f"runs of {rule}"]
        for i, kind in enumerate(kinds):
            here = scores[f"{kind}:{rule}"]
            np.testing.assert_allclose(values[np.abs(places - i) < 0.4], here)
            marker, _, (bar,) = means[rule].lines
            assert marker.get_ydata()[i] == pytest.approx(here.mean())
            reach = np.diff(bar.get_segments()[i][:, 1])[0] / 2
            assert reach == pytest.approx(here.std(ddof=1) / 2)  # of four seeds
        assert len(drawn[f"staircases of {rule}"][0]) == 2
        np.testing.assert_allclose(
            drawn[f"staircases of {rule}"][1], [scores[f"staircase-{k}:{rule}"].mean() for k in (2, 9)]
        )
        assert marker.get_color() == style(rule)["color"]
    for contestant, name in {"relu": "ReLU", "saturated-relu": "Saturated ReLU"}.items():
        assert set(drawn[name][1]) == {scores[contestant].mean()}
    assert {text.get_text() for text in ax.get_legend().texts} == {"SSTE", "FTP-SH", "ReLU", "Saturated ReLU"}


def test_a_staircase_laid_over_a_layer_is_the_computed_one():
    result = StaircaseExplorer.compute_from(StaircaseState(steps=4, range=2.0, rule="Hinge", form="sum"))
    stairs, often, passed, levels, errors = pictures.laid(result).axes
    z, h = lines(stairs)["staircase"]
    there = ~np.isnan(h)
    np.testing.assert_allclose(h[there], 2 * closed_forms.staircase(z / 2, 4)[there], atol=1e-12)
    assert (~there).sum() == 4
    counts, edges, _ = often.patches[0].get_data()
    np.testing.assert_array_equal(counts, np.histogram(result.values.numpy(), edges)[0])
    assert 0 in edges and stairs.get_xlim() == often.get_xlim() == passed.get_xlim()
    for label, phi in zip(("target +1", "target -1"), result.phi, strict=True):
        np.testing.assert_array_equal(lines(passed)[label][1], phi)
    widths = [bar.get_width() for bar in levels.patches]
    np.testing.assert_allclose(widths, 100 * np.array(result.found.shares))
    assert [bar.get_width() for bar in errors.patches] == [result.found.rms_with_clipping, result.found.rms]
    dashes = [path.vertices[0, 0] for path in stairs.collections[0].get_paths()]
    np.testing.assert_allclose(dashes, [0, 2 / 3, 4 / 3, 2])
