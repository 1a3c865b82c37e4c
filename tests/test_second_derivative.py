"""A threshold has no second derivative: asking for one raises, and never returns a number with a term missing."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ftpkit import RULES, QuantReLU, Rule, SaturatedReLU, Sign, Step

GENERIC = replace(RULES["SSTE"], loss=replace(RULES["SSTE"].loss, fused=None), name="SSTE, generic")
RULE_KINDS = [RULES["STE"], RULES["SSTE"], GENERIC, RULES["FTP-SH"], RULES["Hinge"], Rule("LogLoss", weighted=False)]
ACTIVATIONS = {
    "sign": lambda rule: Sign(rule, scale=1.0),
    "step": lambda rule: Step(rule, scale=1.0),
    "staircase": lambda rule: QuantReLU(3, rule, scale=1.0),
    "staircase, sum": lambda rule: QuantReLU(3, rule, form="sum", scale=1.0),
    "saturated relu": lambda rule: SaturatedReLU(),
}
OBJECTIVES = {
    "constant g": lambda h, z: h.sum(),
    "g depends on h": lambda h, z: (h**2).sum(),
    "g depends on z": lambda h, z: (h * z**2).sum(),
    "z elsewhere": lambda h, z: h.sum() + (z**3).sum(),
}

pytestmark = [
    pytest.mark.parametrize("make", ACTIVATIONS.values(), ids=ACTIVATIONS),
    pytest.mark.parametrize("rule", RULE_KINDS, ids=lambda rule: rule.name),
]
each_objective = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
refused = pytest.raises(RuntimeError, match="a hard threshold has no second derivative")


def leaf():
    torch.manual_seed(0)
    return torch.rand(4, 5).requires_grad_()  # inside every window


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
@each_objective
def test_first_derivatives_with_create_graph_are_right(make, rule, objective):
    z, activation = leaf(), make(rule)
    (plain,) = torch.autograd.grad(objective(activation(z), z), z)
    (kept,) = torch.autograd.grad(objective(activation(z), z), z, create_graph=True)
    functional = torch.func.grad(lambda z: objective(activation(z), z))(z.detach())
    assert torch.equal(plain, kept) and torch.equal(plain, functional) and kept.requires_grad
    objective(activation(z), z).backward(create_graph=True)
    assert torch.equal(z.grad, plain)
    z.grad = None  # breaks the cycle that create_graph makes


@each_objective
def test_second_derivatives_raise(make, rule, objective):
    activation = make(rule)

    def first(z):
        return torch.autograd.grad(objective(activation(z), z), z, create_graph=True)[0]

    with refused:
        first(leaf()).sum().backward()
    with refused:
        z = leaf()
        torch.autograd.grad(first(z).sum(), z)
    with refused:
        z = leaf()
        torch.autograd.grad((first(z) ** 2).sum() + (z**2).sum(), z)
    with refused:
        torch.func.grad(lambda z: torch.func.grad(lambda z: objective(activation(z), z))(z).sum())(leaf().detach())


def test_a_gradient_penalty_through_a_threshold_raises(make, rule):
    """The case in which it bites: the penalty's derivative with respect to weights below the threshold."""
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(3, 4), make(rule), nn.Linear(4, 1)), torch.randn(6, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    with refused:
        (slope**2).sum().backward()


def test_derivatives_that_do_not_cross_a_threshold_twice_still_work(make, rule):
    """The layer above may be differentiated twice: its second derivative meets no threshold."""
    torch.manual_seed(0)
    h, above = make(rule)(leaf()), nn.Linear(5, 1)
    (slope,) = torch.autograd.grad((above(h) ** 2).sum(), above.weight, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), above.weight)
    torch.testing.assert_close(curvature, (2 * h.T @ h).sum(0, keepdim=True).detach())
