"""A fused backward pass sends what the generic one sends, also at the borders and one float beside them."""

from dataclasses import replace

import pytest
import torch

from ftpkit import RULES, QuantReLU, SaturatedReLU, Sign, Step

FUSED = [name for name, rule in RULES.items() if rule.fused]
CENTRED = {"sign": Sign, "step": Step}  # windows at 0, where (z - center) / half_width is exact
SHIFTED = {f"staircase {k}": lambda rule, k=k: QuantReLU(k, rule) for k in (2, 3, 5)}
BITS = {torch.float64: torch.int64, torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}

each_dtype = pytest.mark.parametrize("dtype", BITS, ids=lambda dtype: str(dtype).removeprefix("torch."))
each_fused = pytest.mark.parametrize("name", FUSED)


def with_neighbours(points, dtype, reach=2):
    """The points and the `reach` floats on either side of each, by counting their bit patterns up and down."""
    z = torch.tensor([p for p in points if p], dtype=dtype)
    beside = [(z.view(BITS[dtype]) + i).view(dtype) for i in range(-reach, reach + 1)]
    around_0 = torch.arange(reach + 1).to(BITS[dtype]).view(dtype)
    return torch.cat([*beside, around_0, -around_0])


def test_neighbours_are_neighbours():
    z = with_neighbours([1.0, 0.0], torch.float64, reach=1).tolist()
    assert z == [1 - 2**-53, 1.0, 1 + 2**-52, 0.0, 5e-324, -0.0, -5e-324]


def points(dtype):
    z = with_neighbours([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0], dtype)
    z = torch.cat([z, torch.linspace(-3, 3, 401, dtype=torch.float64).to(dtype)])
    g = torch.linspace(-2, 2, 5, dtype=torch.float64).to(dtype)
    z, g = torch.meshgrid(z, g, indexing="ij")
    return z.contiguous(), g.contiguous()


def gradients(make, rule, z, g):
    """Of the rule as it is, and of the same rule without its fused pass."""
    grads = []
    for r in (rule, replace(rule, loss=replace(rule.loss, fused=None))):
        z = z.clone().requires_grad_()
        activation = make(r)
        assert bool(activation.rule.fused) == (r is rule)
        grads += torch.autograd.grad(activation(z), z, g)
    return grads


def test_which_rules_have_one():
    assert FUSED == ["STE", "SSTE", "FTP-SH"]


@each_dtype
@each_fused
@pytest.mark.parametrize("make", CENTRED.values(), ids=CENTRED)
def test_fused_equals_generic(make, name, dtype):
    z, g = points(dtype)
    fused, generic = gradients(make, RULES[name], z, g)
    if name == "FTP-SH":  # one rounding against three, each half an epsilon of a number below 1
        assert ((fused - generic).abs() <= 2 * torch.finfo(dtype).eps * g.abs()).all()
    else:
        assert torch.equal(fused, generic)


@each_dtype
@pytest.mark.parametrize("make", SHIFTED.values(), ids=SHIFTED)
def test_fused_sste_of_the_staircase_is_exact_and_generic_rounds_at_the_borders(make, dtype):
    """In floats, 2z - 1 is -1 for a tiny negative z: the generic form takes it for the border, the fused one never."""
    z, g = points(dtype)
    fused, generic = gradients(make, RULES["SSTE"], z, g)
    inside = (z >= 0) & (z <= 1)
    assert torch.equal(fused, g * inside)
    rounded_in = ((z - 0.5) / 0.5).abs() <= 1
    assert torch.equal(generic, g * rounded_in)
    assert (rounded_in[inside]).all()
    assert (z[rounded_in & ~inside].abs() < torch.finfo(dtype).eps).all()
    z = z.requires_grad_()
    assert torch.equal(torch.autograd.grad(SaturatedReLU()(z), z, g)[0], fused)


@each_dtype
@each_fused
@pytest.mark.parametrize("k", [2, 3, 5])
def test_fused_sum_over_steps(k, name, dtype):
    """k - 1 is a power of two, so the borders of all windows are floats, and comparing z with them is exact."""
    z, g = points(dtype)
    fused, generic = gradients(lambda rule: QuantReLU(k, rule, form="sum"), RULES[name], z, g)
    if name == "SSTE":  # the generic form rounds z - i / (k - 1) beside the borders
        passing = sum(((z >= i / (k - 1) - 1) & (z <= i / (k - 1) + 1)).int() for i in range(k))
        expected = g.double() * passing.double() / k
    else:
        expected = generic.double()
    assert ((fused.double() - expected).abs() <= 2 * k * torch.finfo(dtype).eps * g.double().abs()).all()


@each_dtype
@pytest.mark.parametrize("make", SHIFTED.values(), ids=SHIFTED)
def test_fused_ste_and_soft_hinge_of_the_staircase(make, dtype):
    z, g = points(dtype)
    eps = torch.finfo(dtype).eps
    fused, generic = gradients(make, RULES["STE"], z, g)
    assert torch.equal(fused, g) and torch.equal(generic, g)
    fused, generic = gradients(make, RULES["FTP-SH"], z, g)
    exact = g.double() * (1 - torch.tanh(2 * z.double() - 1) ** 2)
    for grad, roundings in ((fused, 2), (generic, 4)):
        assert ((grad.double() - exact).abs() <= roundings * eps * g.double().abs()).all()
