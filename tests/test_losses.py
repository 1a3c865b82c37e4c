"""Layer losses: value and derivative against closed forms, against each other, and at the edges of the numbers."""

import math
import re

import closed_forms
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ftpkit import LOSSES, Loss, QuantReLU, SaturatedReLU, Sign, Step
from ftpkit.losses import UnknownName

NAMES = list(LOSSES)
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
UNITS = {
    "sign": Sign("STE").unit,
    "step": Step("STE").unit,
    "staircase": QuantReLU(3, "STE").unit,
    "staircase, sum": QuantReLU(7, "STE", form="sum").unit,
    "saturated relu": SaturatedReLU().unit,
}

each_loss = pytest.mark.parametrize("name", NAMES)
each_target = pytest.mark.parametrize("t", [-1, 1])
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


def off_the_kinks(name, z):
    """The part of z that lies 1e-3 or more from every kink of this loss."""
    far = torch.ones_like(z, dtype=torch.bool)
    for kink in closed_forms.AT_KINKS[name]:
        far &= (z.abs() - abs(kink)).abs() > 1e-3
    return z[far]


def grid(name, low=-4.0, high=4.0):
    return off_the_kinks(name, torch.linspace(low, high, 1601, dtype=torch.float64))


def test_closed_forms_cover_the_table():
    assert set(NAMES) == set(closed_forms.VALUE) == set(closed_forms.DERIVATIVE) == set(closed_forms.AT_KINKS)


@each_target
@each_loss
def test_value_and_derivative_equal_the_closed_forms(name, t):
    z = torch.linspace(-40, 40, 6401, dtype=torch.float64)
    value, derivative = LOSSES[name].value(z, t), LOSSES[name].derivative(z, t)
    np.testing.assert_allclose(value, closed_forms.VALUE[name](z.numpy(), t), rtol=1e-12, atol=1e-8)
    np.testing.assert_allclose(derivative, closed_forms.DERIVATIVE[name](z.numpy(), t), rtol=1e-12, atol=1e-12)


@each_target
@each_loss
def test_derivative_is_the_slope_of_the_value(name, t):
    z, step = grid(name), 1e-6
    loss = LOSSES[name]
    slope = (loss.value(z + step, t) - loss.value(z - step, t)) / (2 * step)
    torch.testing.assert_close(loss.derivative(z, t), slope, rtol=0, atol=1e-8)


@each_target
@each_loss
def test_derivative_is_autograds_derivative_of_the_value(name, t):
    z = grid(name, -30, 30).requires_grad_()
    (slope,) = torch.autograd.grad(LOSSES[name].value(z, t).sum(), z)
    torch.testing.assert_close(LOSSES[name].derivative(z, t).detach(), slope, rtol=0, atol=1e-8)


@given(st.sampled_from(NAMES), st.sampled_from([-1, 1]), st.floats(-6, 6), st.floats(-6, 6))
def test_value_differences_are_integrals_of_the_derivative(name, t, a, b):
    z = torch.linspace(a, b, 4001, dtype=torch.float64)
    loss = LOSSES[name]
    area = torch.trapezoid(loss.derivative(z, t), z)
    rise = loss.value(z[-1], t) - loss.value(z[0], t)
    assert abs(float(area - rise)) <= (1e-2 if closed_forms.AT_KINKS[name] else 1e-5)


@each_target
def test_trapezoid_is_the_integral_of_its_derivative(t):
    z = torch.linspace(-3, 3, 6001, dtype=torch.float64)  # every kink is a grid point, so the trapezium rule is exact
    ramp = LOSSES["Trapezoid"]
    area = torch.cumulative_trapezoid(ramp.derivative(z, t), z)
    torch.testing.assert_close(ramp.value(z[1:], t) - ramp.value(z[0], t), area, rtol=0, atol=1e-12)
    assert ramp.value(torch.tensor([2.0, 50.0]) * t, t).tolist() == [0.0, 0.0]
    assert ramp.value(torch.tensor([-2.0, -50.0]) * t, t).tolist() == [3.0, 3.0]  # 3 is the area of the trapezoid


@each_dtype
@each_target
@each_loss
def test_kinks(name, t, dtype):
    for kink, expected in closed_forms.AT_KINKS[name].items():
        z = torch.tensor([kink * t], dtype=dtype)
        assert (t * LOSSES[name].derivative(z, t)).item() == expected, f"at t z = {kink}"


@each_target
@each_loss
def test_convex_losses_are_convex_and_the_others_are_not(name, t):
    value = LOSSES[name].value(torch.linspace(-5, 5, 1001, dtype=torch.float64), t)
    bends = value[2:] - 2 * value[1:-1] + value[:-2]
    assert bool((bends >= -1e-12).all()) == (name in closed_forms.CONVEX)


@each_target
@each_loss
def test_a_unit_on_its_targets_side_never_pays_more(name, t):
    value = LOSSES[name].value(t * torch.linspace(-5, 5, 1001, dtype=torch.float64), t)
    assert (value.diff() <= 0).all()
    assert name == "Linear" or (value >= 0).all()


def edge_numbers(dtype):
    limit = 200.0 if dtype == torch.float16 else 1e4
    info = torch.finfo(dtype)
    points = [0.0, -0.0, info.tiny, info.eps, 0.5, 1 - info.eps, 1.0, 1 + info.eps, 2.0, 11.0, 20.0, 88.0, 89.0, limit]
    z = torch.tensor([*points, *(-p for p in points)], dtype=torch.float64)
    return torch.cat([z, torch.linspace(-limit, limit, 501, dtype=torch.float64)]).to(dtype)


@each_dtype
@each_target
@each_loss
def test_finite_over_the_promised_range(name, t, dtype):
    z = edge_numbers(dtype)
    assert LOSSES[name].value(z, t).isfinite().all()
    assert LOSSES[name].derivative(z, t).isfinite().all()


@each_dtype
@each_loss
@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_finite_through_the_activations(name, unit, dtype):
    z, rule = edge_numbers(dtype), type("rule", (), {"loss": LOSSES[name]})
    for t in (torch.ones_like(z), -torch.ones_like(z)):
        assert unit.loss_derivative(rule, z, t).isfinite().all()
        value = unit.loss_value(rule, z, t)
        too_large = unit.loss_value(rule, z.double(), t.double()).abs() > torch.finfo(dtype).max / 2
        if dtype != torch.float16 or name != "SquaredHinge":
            assert not too_large.any()  # the number itself, (2 * 200)^2, is out of float16's reach there
        assert value[~too_large].isfinite().all()


@each_loss
@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_a_units_loss_derivative_is_the_derivative_of_its_loss_value(name, unit):
    z = (torch.linspace(-4, 4, 333, dtype=torch.float64) + 0.00131).requires_grad_()  # no kink of any window
    rule = type("rule", (), {"loss": LOSSES[name]})
    t = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64).repeat(111)
    (slope,) = torch.autograd.grad(unit.loss_value(rule, z, t).sum(), z)
    torch.testing.assert_close(unit.loss_derivative(rule, z.detach(), t), slope, rtol=1e-12, atol=1e-12)
    assert (slope[t == 0] == 0).all()


@each_dtype
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)], ids=str)
@each_loss
def test_elementwise_in_any_shape_and_dtype(name, shape, dtype):
    torch.manual_seed(0)
    z = (2 * torch.randn(shape)).to(dtype)
    t = torch.where(torch.rand(shape) < 0.5, -1.0, 1.0).to(dtype)
    for part in (LOSSES[name].value, LOSSES[name].derivative):
        out = part(z, t)
        assert out.shape == shape and out.dtype == dtype
        one_by_one = [part(a, b).item() for a, b in zip(z.flatten(), t.flatten(), strict=True)]
        expected, eps = torch.tensor(one_by_one, dtype=torch.float64), 4 * torch.finfo(dtype).eps
        torch.testing.assert_close(out.flatten().double(), expected, rtol=eps, atol=eps)
        assert part(z, 1).dtype == part(z, -1.0).dtype == dtype
        assert torch.equal(part(z, 1), part(z, torch.ones_like(z)))


FUNCTIONS = {
    "max": max,
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "clamp": lambda x, low, high: min(max(x, low), high),
}


def read_formula(text):
    """A formula as it is printed for readers, "max(0, 1 - t z)^2", as a function of z and t."""
    text = re.sub(r"(?<=[tz\d]) (?=[tz]\b|clamp)", " * ", text).replace("^", "**")
    text = re.sub(r"(.+) where (.+)", r"(\1 if \2 else 0)", text)
    return lambda z, t: eval(text, {"__builtins__": {}}, FUNCTIONS | {"z": z, "t": t})


@each_target
@each_loss
def test_printed_formula_and_source(name, t):
    loss = LOSSES[name]
    assert loss.name == name and len(loss.source) > 10
    value, _, derivative = loss.formula.partition("derivative ")
    derivative = derivative.partition(", value")[0]
    assert value or derivative
    for z in (-2.5, -2, -1.5, -1, -0.3, 0, 0.7, 1, 1.25, 2, 3.5):
        point = torch.tensor(z, dtype=torch.float64)
        if value:
            assert loss.value(point, t).item() == pytest.approx(read_formula(value.rstrip(", "))(z, t), abs=1e-12)
        if derivative:
            assert loss.derivative(point, t).item() == pytest.approx(read_formula(derivative)(z, t), abs=1e-12)


def test_unknown_loss_names_the_nearest_and_all():
    with pytest.raises(UnknownName, match="no layer loss 'softhing'; did you mean 'SoftHinge'") as error:
        LOSSES["softhing"]
    assert all(name in str(error.value) for name in NAMES)
    assert isinstance(error.value, KeyError) and isinstance(error.value, ValueError)
    with pytest.raises(UnknownName, match="no layer loss 'xyzzy'. The names are"):
        LOSSES["xyzzy"]


@pytest.mark.parametrize(
    "wrong, got",
    [
        (lambda z, t: (t * z).sum(), r"torch.float32 of shape \(\)"),
        (lambda z, t: t * z > 0, r"torch.bool of shape \(1, 3\)"),
        (lambda z, t: 0.0, "float"),
    ],
)
def test_a_loss_that_is_not_elementwise_is_refused(wrong, got):
    def right(z, t):
        return -t * z

    for part, functions in {"value": (wrong, right), "derivative": (right, wrong)}.items():
        with pytest.raises(TypeError, match=rf"{part}\(z, t\) of loss 'mine' must work elementwise.*returned {got}"):
            Loss("mine", *functions)


@each_loss
def test_surrogate_is_what_multiplies_the_gradient(name):
    z = torch.linspace(-3, 3, 61)
    for t in (-1, 1):
        assert torch.equal(LOSSES[name].surrogate(z, t), -t * LOSSES[name].derivative(z, t))
        assert (LOSSES[name].surrogate(z, t) >= 0).all()
