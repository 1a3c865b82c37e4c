"""What a staircase makes of numbers, against closed forms, counting, and the network of the notebooks."""

import math

import closed_forms
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ftpkit import QuantReLU, data, models, rounding
from ftpkit.rounding import LAYERS, decibels, rounded, staircase

RANGES = (0.25, 1.0, 1.5, 4.0)


@pytest.mark.parametrize("range_", RANGES)
def test_the_staircase_is_the_papers_one_stretched(range_):
    """Forward: thresholds at range * i / (k - 1), levels range * i / k. Backward: what passes at z / range."""
    z = torch.linspace(-2, 6, 4001, dtype=torch.float64) + 1e-4
    g = torch.randn(len(z), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for k in (2, 3, 5, 17):
        expected = range_ * sum((z > range_ * i / (k - 1)).double() for i in range(k)) / k
        for rule, form in (("FTP-SH", "single"), ("SSTE", "single"), ("Hinge", "sum")):
            leaf = z.clone().requires_grad_()
            h = staircase(leaf, k, rule, form=form, range=range_)
            torch.testing.assert_close(h, expected)
            h.backward(g)
            scaled = (z / range_).requires_grad_()
            QuantReLU(k, rule, form=form)(scaled).backward(g)
            torch.testing.assert_close(leaf.grad, scaled.grad)
    if range_ == 1:
        assert torch.equal(staircase(z, 3), QuantReLU(3, "SSTE")(z))
        assert torch.equal(staircase(z, 3), torch.from_numpy(closed_forms.staircase(z.numpy(), 3)))


@pytest.mark.parametrize("range_", RANGES)
@pytest.mark.parametrize("k", [2, 3, 5, 9, 17])
def test_evenly_spread_numbers_have_a_closed_form(k, range_):
    found = rounded(range_ * LAYERS["numbers spread evenly over 0 to 1"](), k, range_)
    assert found.rounding == pytest.approx(range_**2 / (6 * k * (k - 1)), rel=1e-4)
    assert found.rms == pytest.approx(range_ / math.sqrt(6 * k * (k - 1)), rel=1e-4)
    assert found.decibels == pytest.approx(10 * math.log10(2 * k * (k - 1)), abs=1e-3)
    assert found.clipping == 0 and found.decibels_with_clipping == found.decibels
    assert found.levels == pytest.approx([range_ * i / k for i in range(k + 1)])
    assert found.dead == (found.levels[0], found.levels[-1])
    assert found.shares[1:-1] == pytest.approx([1 / (k - 1)] * (k - 1), abs=1e-4)


def test_what_is_cut_off_has_a_closed_form():
    """Evenly over [0, c] with a range r < c: mean of (z - r)^2 above r is (c - r)^3 / (3 c)."""
    even = LAYERS["numbers spread evenly over 0 to 1"]()
    for c, r in ((2.0, 1.0), (4.0, 0.25), (1.0, 0.5)):
        found = rounded(c * even, 3, r)
        assert found.clipping == pytest.approx((c - r) ** 3 / (3 * c), rel=1e-3)
        assert found.rounding == pytest.approx(r / c * r**2 / 36, rel=1e-3)
        assert found.relu == pytest.approx(c**2 / 3, rel=1e-4)
        assert found.shares[-1] == pytest.approx(1 - r / c, abs=1e-4)


@given(
    st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=50),
    st.integers(2, 17),
    st.sampled_from([0.25, 0.5, 1.0, 1.75, 4.0]),
)
def test_any_numbers_against_numpy(values, k, range_):
    z = np.array(values)
    found = rounded(torch.tensor(values, dtype=torch.float64), k, range_)
    level = np.clip(np.ceil(z / range_ * (k - 1)), 0, k)
    assert found.shares == pytest.approx(np.bincount(level.astype(int), minlength=k + 1) / len(z))
    h = range_ * level / k
    assert found.rounding == pytest.approx(np.mean((h - z.clip(0, range_)) ** 2), abs=1e-12)
    with_clipping = np.sqrt(np.mean((h - z.clip(min=0)) ** 2))
    assert found.rms_with_clipping == pytest.approx(with_clipping, abs=1e-9)
    assert len(found.dead) == k + 1 - len(set(level))


def test_decibels_at_the_ends():
    nothing = rounded(torch.tensor([-1.0, -2.0]), 3)
    assert nothing.shares[0] == 1 and nothing.rms == 0 and math.isnan(nothing.decibels)
    above = rounded(torch.tensor([2.0]), 3)
    assert above.decibels == math.inf and above.decibels_with_clipping == pytest.approx(10 * math.log10(4))
    assert decibels(0.0, 1.0) == -math.inf


def test_refused():
    for wrong in (torch.tensor([]), torch.tensor([1.0, math.nan]), torch.tensor([math.inf])):
        with pytest.raises(ValueError, match="at least one number, and all finite"):
            rounded(wrong, 3)
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="range a positive number"):
            staircase(torch.ones(1), 3, range=wrong)
    with pytest.raises(ValueError, match="there is no layer 'hidden layer 9'"):
        LAYERS["hidden layer 9"]


def test_the_untrained_layers_are_a_networks_own():
    """By hand: the network of seed 0 on 500 test images, each unit normalised over the batch."""
    torch.manual_seed(0)
    model = models.MLP(torch.nn.Identity)
    x, _ = next(iter(data.Batches(data.load("fashion-mnist-12k").test, 500)))
    z = model.fc1(model.flatten(x)).detach()
    first = (z - z.mean(0)) / torch.sqrt(z.var(0, unbiased=False) + 1e-5)
    torch.testing.assert_close(LAYERS["hidden layer 1, untrained"](), first, atol=1e-4, rtol=1e-4)
    z = model.fc2(first.clamp(0, 1)).detach()
    second = (z - z.mean(0)) / torch.sqrt(z.var(0, unbiased=False) + 1e-5)
    torch.testing.assert_close(LAYERS["hidden layer 2, untrained"](), second, atol=1e-3, rtol=1e-3)
    rounding._untrained.cache_clear()
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    LAYERS["hidden layer 1, untrained"]()
    assert torch.equal(torch.random.get_rng_state(), before)
