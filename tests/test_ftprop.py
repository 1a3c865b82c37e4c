"""Algorithm 2, layer by layer, makes the same update as autograd through the activations."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import ftpkit
from ftpkit import RULES, QuantReLU, Rule, Sign, Step, ftprop

ACTIVATIONS = {
    "sign": Sign,
    "step": Step,
    "staircase": lambda rule: QuantReLU(3, rule),
    "staircase, sum": lambda rule: QuantReLU(3, rule, form="sum"),
}


def generic(rule):
    """The same rule without a fused backward pass: then both forms do the same arithmetic in the same order."""
    return replace(rule, loss=replace(rule.loss, fused=None))


def fill_zero(g, z, h):
    """A heuristic that is not eq. 2: leaves small gradients alone, and asks the others for the opposite of h."""
    return torch.where(g.abs() < g.abs().mean(), 0.0, torch.where(h > 0, -1.0, 1.0))


def mlp(rule, activation, dtype=torch.float32):
    torch.manual_seed(0)
    widths = [6, 9, 8, 7, 4]
    layers = []
    for n, m in zip(widths[:-2], widths[1:-1], strict=True):
        layers += [nn.Linear(n, m, bias=False), nn.BatchNorm1d(m), activation(rule)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1])).to(dtype)


def convnet(rule, activation, dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), activation(rule)),
        nn.Sequential(nn.Conv2d(3, 4, 2), activation(rule)),
        nn.Flatten(),
        nn.Linear(16, 3),
    ).to(dtype)


def batch(network, dtype=torch.float32, size=20):
    torch.manual_seed(1)
    x = torch.randn(size, 6) if network is mlp else torch.randn(size, 1, 8, 8)
    return x.to(dtype), torch.randint(0, 3, (size,))


def gradients(network, rule, activation, explicit, dtype=torch.float32):
    model = network(rule, activation, dtype)
    x, y = batch(network, dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    if explicit:
        ftprop.minibatch_step(model, x, y, optimizer)
    else:
        ftpkit.set_scale(model, 1 / len(x))
        F.cross_entropy(model(x), y).backward()
    return [p.grad for p in model.parameters()]


RULES_AND_OTHERS = {
    **RULES,
    "hinge, unweighted": Rule("Hinge", weighted=False),
    "soft hinge, own targets": Rule("SoftHinge", fill_zero),
    "log loss, own targets, unweighted": Rule("LogLoss", fill_zero, weighted=False),
}


@pytest.mark.parametrize("network", [mlp, convnet])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", RULES_AND_OTHERS)
def test_equal_to_autograd_to_the_last_bit(name, activation, network):
    rule, activation = generic(RULES_AND_OTHERS[name]), ACTIVATIONS[activation]
    ours = gradients(network, rule, activation, explicit=True)
    autograd = gradients(network, rule, activation, explicit=False)
    assert all(torch.equal(a, b) for a, b in zip(ours, autograd, strict=True))
    assert any(a.abs().max() > 0 for a in ours[:2])


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.fused])
def test_equal_to_autograd_with_fused_backward_passes(name):
    ours = gradients(mlp, RULES[name], Sign, explicit=True, dtype=torch.float64)
    autograd = gradients(mlp, RULES[name], Sign, explicit=False, dtype=torch.float64)
    for a, b in zip(ours, autograd, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def test_steps_of_the_optimizer_and_of_batch_norm_are_the_same():
    rule = generic(RULES["FTP-SH"])
    ours, theirs = mlp(rule, Sign), mlp(rule, Sign)
    x, y = batch(mlp)
    adam = [torch.optim.Adam(model.parameters(), lr=0.01) for model in (ours, theirs)]
    for _ in range(5):
        ftprop.minibatch_step(ours, x, y, adam[0])
        adam[1].zero_grad()
        F.cross_entropy(theirs(x), y).backward()
        adam[1].step()
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_what_it_returns_is_what_the_paper_defines():
    model = mlp(RULES["Hinge"], Sign, torch.float64)
    x, y = batch(mlp, torch.float64)
    steps = ftprop.minibatch_step(model, x, y, torch.optim.SGD(model.parameters(), lr=0.0))
    assert len(steps) == 4 and steps[-1].t is None
    torch.testing.assert_close(steps[-1].loss, F.cross_entropy(model(x), y))
    hidden = steps[2]
    h = hidden.h.clone().requires_grad_()
    (g,) = torch.autograd.grad(F.cross_entropy(model[-1](h), y), h)  # dL_{l}/dh_{l-1}, taken afresh
    assert torch.equal(hidden.t, -torch.sign(g))
    assert torch.equal(hidden.weight, g.abs())
    torch.testing.assert_close(hidden.loss, ((1 - hidden.t * hidden.z).clamp(min=0) * g.abs()).sum())


def test_a_unit_with_target_zero_moves_nothing():
    model = mlp(Rule("SquaredHinge", lambda g, z, h: torch.zeros_like(z)), Sign)
    x, y = batch(mlp)
    ftprop.minibatch_step(model, x, y, torch.optim.SGD(model.parameters(), lr=0.0))
    *hidden, weight, bias = [p.grad for p in model.parameters()]
    assert all((g == 0).all() for g in hidden) and weight.abs().max() > 0 and bias.abs().max() > 0


def test_a_frozen_first_layer_is_left_alone():
    model = mlp(RULES["SSTE"], Sign)
    model[0].weight.requires_grad_(False)
    x, y = batch(mlp)
    ftprop.minibatch_step(model, x, y, torch.optim.SGD(model.parameters(), lr=0.1))
    assert model[0].weight.grad is None and model[3].weight.grad is not None


def test_models_that_are_no_chain_are_refused():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = Sign("SSTE")

        def forward(self, x):
            return x + self.act(x)

    with pytest.raises(TypeError, match="no chain of layers"):
        ftprop.split(nn.Sequential(nn.Linear(3, 3), Residual()))
    with pytest.raises(ValueError, match="no threshold"):
        ftprop.split(nn.Sequential(nn.Linear(3, 3), nn.ReLU()))


@pytest.mark.parametrize("targets", [lambda g, z, h: 2 * torch.sign(g), lambda g, z, h: g[:1]])
def test_targets_outside_the_value_set_are_refused(targets):
    model = mlp(Rule("Hinge", targets, name="mine"), Sign)
    x, y = batch(mlp)
    with pytest.raises(ValueError, match="'mine' must return -1, 0 or"):
        ftprop.minibatch_step(model, x, y, torch.optim.SGD(model.parameters(), lr=0.1))


@pytest.mark.parametrize(("inputs", "labels"), [(0, 0), (20, 19)])
def test_an_empty_batch_or_missing_labels_are_refused_and_nothing_is_learned(inputs, labels):
    model = mlp(RULES["SSTE"], Sign)
    before = [p.clone() for p in model.parameters()]
    x, y = batch(mlp)
    with pytest.raises(ValueError, match=f"as many labels, not {inputs} and {labels}"):
        ftprop.minibatch_step(model, x[:inputs], y[:labels], torch.optim.SGD(model.parameters(), lr=0.1))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
