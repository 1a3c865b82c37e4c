"""Targets of a mini-batch, tried out: gradients and flips against autograd, brute force and closed forms."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ftpkit import RULES, QuantReLU, Rule, Sign, Step
from ftpkit.ftprop import minibatch_step
from ftpkit.models import MLP, ConvNet4
from ftpkit.targets import HEURISTICS, disagreement, look

CONVEX = ("STE", "Hinge", "Perceptron", "LogLoss", "SquaredHinge")


def network(rule="FTP-SH", kind=Sign, hidden=(7, 6, 5), norm=False):
    torch.manual_seed(3)
    return MLP(lambda: kind(rule), (4,), 3, hidden, norm).double()


def batch(size=9):
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(size, 4, dtype=torch.float64, generator=generator)
    return x, torch.randint(3, (size,), generator=generator)


@pytest.mark.parametrize("kind", [Sign, Step])
@pytest.mark.parametrize("rule", RULES)
def test_gradients_are_those_of_the_network_under_autograd(rule, kind):
    model, (x, y) = network(rule, kind), batch()
    found, h, outputs, inputs = look(model, x, y), x, [], []
    for module in model:
        if isinstance(module, Sign | Step):
            inputs.append(h)
            h.retain_grad()
        h = module(h)
        if isinstance(module, Sign | Step):
            outputs.append(h)
            h.retain_grad()
    F.cross_entropy(h, y).backward()
    assert len(found) == 3
    for hidden, z, out in zip(found, inputs, outputs, strict=True):
        assert torch.equal(hidden.z, z) and torch.equal(hidden.h, out)
        torch.testing.assert_close(hidden.g, out.grad, rtol=1e-12, atol=1e-15)
        torch.testing.assert_close(hidden.sent(rule), z.grad, rtol=1e-12, atol=1e-15)
        assert torch.equal(hidden.t, -torch.sign(hidden.g)) and torch.equal(hidden.weight, hidden.g.abs())


def test_what_rules_send_in_closed_form():
    hidden = look(network(), *batch())[1]
    z, g, t = hidden.z, hidden.g, -torch.sign(hidden.g)
    expected = {
        "STE": g,
        "SSTE": g * (z.abs() <= 1),
        "FTP-SH": g * (1 - torch.tanh(z) ** 2),
        "Hinge": g * (t * z <= 1),
        "Perceptron": g * (t * z <= 0),
        "SquaredHinge": 2 * g * (1 - t * z).clamp(min=0),
    }
    for rule, values in expected.items():
        torch.testing.assert_close(hidden.sent(rule), values, rtol=1e-12, atol=0)
    assert torch.equal(hidden.sent(Rule("Linear", weighted=False)), torch.sign(g) / 9)


@pytest.mark.parametrize("rule", RULES)
def test_losses_targets_and_weights_are_those_of_algorithm_2(rule):
    """`minibatch_step` says the loss of every layer; here it is the next layer's, seen from below."""
    model, (x, y) = network(rule), batch()
    found = look(model, x, y)
    steps = minibatch_step(copy.deepcopy(model), x, y, torch.optim.SGD(model.parameters(), lr=0.0))
    for hidden, step, above in zip(found, steps[:-1], steps[1:], strict=True):
        torch.testing.assert_close(hidden.above(hidden.h).sum(), above.loss, rtol=1e-12, atol=1e-15)
        assert torch.equal(hidden.t, step.t)
        torch.testing.assert_close(hidden.weight, step.weight, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", [Sign, Step])
def test_single_flips_by_brute_force(rule, kind):
    """Every example and unit by itself, with the weights of the next layer written out in numbers."""
    model, (x, y) = network(rule, kind), batch(5)
    linears = [module for module in model if isinstance(module, nn.Linear)]
    found = look(model, x, y)
    for d, hidden in enumerate(found):
        W, b = linears[d + 1].weight, linears[d + 1].bias
        alone = hidden.alone()
        for i in range(5):
            for j in range(hidden.h.shape[1]):
                h = hidden.h[i].clone()
                h[j] = sum(hidden.unit.levels) - h[j]
                pair = torch.stack([hidden.h[i] @ W.T + b, h @ W.T + b])
                if d == 2:
                    before, after = F.cross_entropy(pair, y[[i, i]], reduction="none") / 5
                else:
                    above = found[d + 1]
                    value = above.unit.loss_value(RULES[rule], pair, above.t[[i, i]])
                    before, after = (value * above.weight[i]).sum(1)
                assert alone[i, j].item() == pytest.approx((after - before).item(), rel=1e-9, abs=1e-14)


def test_the_prediction_is_the_slope():
    """A small move towards the targets changes the loss by as much as predicted for a whole one, in proportion."""
    for hidden in look(network("LogLoss"), *batch()):
        move = hidden.outputs(hidden.t) - hidden.h
        small = (hidden.above(hidden.h + 1e-6 * move) - hidden.above(hidden.h - 1e-6 * move)) / 2e-6
        torch.testing.assert_close(hidden.predicted(hidden.t), small, rtol=1e-6, atol=1e-9)
        assert (hidden.predicted(hidden.t) <= 0).all()


def test_a_linear_loss_changes_as_predicted_and_a_convex_one_falls_by_no_more():
    for rule in CONVEX:
        for d, hidden in enumerate(look(network(rule), *batch())):
            for heuristic in HEURISTICS.values():
                t = heuristic(hidden)
                change, predicted = hidden.change(t), hidden.predicted(t)
                assert (change >= predicted - 1e-12).all()
                if rule == "STE" and d < 2:
                    torch.testing.assert_close(change, predicted, rtol=1e-9, atol=1e-14)
            stay = ~hidden.flips(hidden.t) & (hidden.t != 0)
            assert (hidden.alone()[stay] >= 0).all(), "staying is right where the loss above is convex"


@pytest.mark.parametrize("rule", ["SSTE", "Hinge", "Perceptron"])
def test_heuristics_against_counting(rule):
    for hidden in look(network(rule), *batch()):
        alone, asked = hidden.alone(), hidden.t * hidden.h < 0
        flips = {name: hidden.flips(heuristic(hidden)) for name, heuristic in HEURISTICS.items()}
        assert torch.equal(flips["all targets"], asked)
        assert torch.equal(flips["all that help"], alone < 0)
        for i in range(len(alone)):
            best = [j for j in range(alone.shape[1]) if alone[i, j] < 0 and alone[i, j] == alone[i].min()]
            assert flips["best flip"][i].nonzero().flatten().tolist() == best[:1]
            wishes = {abs(hidden.g[i, j].item()): j for j in range(alone.shape[1]) if asked[i, j]}
            assert flips["largest |g|"][i].nonzero().flatten().tolist() == ([wishes[max(wishes)]] if wishes else [])
            if best:
                change = hidden.change(HEURISTICS["best flip"](hidden))[i].item()
                assert change == pytest.approx(alone[i].min().item(), rel=1e-9, abs=1e-15)
        effect = hidden.effect(hidden.t)
        assert effect.flips == asked.sum()
        assert effect.predicted == pytest.approx(-2 * hidden.g.abs()[asked].sum().item())
        h = torch.where(asked, -hidden.h, hidden.h)
        assert effect.real == pytest.approx((hidden.above(h) - hidden.above(hidden.h)).sum().item())


def test_no_wish_no_flip():
    hidden = look(network(), *batch())[0]
    none = torch.zeros_like(hidden.t)
    assert hidden.effect(none).flips == 0 and hidden.effect(none).real == hidden.effect(none).predicted == 0
    assert torch.equal(hidden.outputs(none), hidden.h)


def test_two_rules_disagree():
    hidden = look(network(), *batch(200))[0]
    z, sent = hidden.z, hidden.sent
    outside, halved = z.abs() > 1, 1 - torch.tanh(z) ** 2 < 0.5
    assert 0 < outside.sum() < (halved | outside).sum() < z.numel()
    assert torch.equal(disagreement(sent("STE"), sent("SSTE")) == 2, outside)
    assert torch.equal(disagreement(sent("STE"), sent("FTP-SH")) == 1, halved)
    assert not disagreement(sent("FTP-SH"), sent("Sigmoid")).any(), "exactly twice as much is not more than twice"
    for first in RULES:
        assert not disagreement(sent(first), sent(first)).any()
        for second in RULES:
            assert torch.equal(disagreement(sent(first), sent(second)), disagreement(sent(second), sent(first)))
            assert (sent(first) * sent(second) >= 0).all(), "no rule of the kit turns a sign"
    assert disagreement(torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])).tolist() == [1, 0]


def test_the_model_is_left_alone_and_looked_at_in_evaluation_mode():
    model, (x, y) = network(norm=True), batch()
    model(x)  # moves the running statistics
    before, mode = copy.deepcopy(model.state_dict()), model.training
    found = look(model, x, y)
    assert mode and model.training and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    one = look(model, x[:1], y[:1])
    torch.testing.assert_close(one[0].z, found[0].z[:1])  # an example does not depend on the others
    with torch.no_grad():
        model[1].weight.zero_()
        model[4].weight.zero_()  # what was found stays as it was
    model.load_state_dict(before)
    for hidden, again in zip(found, look(model, x, y), strict=True):
        assert torch.equal(hidden.above(hidden.h), again.above(hidden.h))


def test_an_unweighted_rule_has_its_scale():
    rule = Rule("Hinge", weighted=False)
    model, (x, y) = network(rule), batch()
    assert all((hidden.weight == 1 / 9).all() for hidden in look(model, x, y))
    for module in model:
        if isinstance(module, Sign):
            module.scale = 0.5
    assert all((hidden.weight == 0.5).all() for hidden in look(model, x, y))


def test_refusals():
    x, y = batch()
    for size in (0, 3):
        with pytest.raises(ValueError, match="at least one example and as many labels"):
            look(network(), x[:0] if size == 0 else x, y[:size])
    with pytest.raises(ValueError, match="two outputs, Sign or Step"):
        look(MLP(lambda: QuantReLU(3, "SSTE"), (4,), 3, (5,)).double(), x, y)
    with pytest.raises(ValueError, match="feature map"):
        look(ConvNet4(lambda: Sign("SSTE")), torch.zeros(1, 1, 28, 28), torch.zeros(1, dtype=torch.long))
    with pytest.raises(ValueError, match="no threshold"):
        look(nn.Sequential(nn.Linear(4, 3)).double(), x, y)
