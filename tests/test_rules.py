"""Every rule with every activation against float64 closed forms; targets of 0; rules as values."""

import copy
import pickle
from dataclasses import replace

import closed_forms
import numpy as np
import pytest
import torch

from ftpkit import LOSSES, RULES, Loss, QuantReLU, Rule, SaturatedReLU, Sign, Step, as_rule, gradient_sign
from ftpkit.losses import UnknownName

STEPS = (2, 3, 4, 5, 7)
ACTIVATIONS = {
    "sign": (lambda rule, **scale: Sign(rule, **scale), "sign", None),
    "step": (lambda rule, **scale: Step(rule, **scale), "step", None),
    **{
        f"staircase {k} {form}": (
            lambda rule, k=k, form=form, **scale: QuantReLU(k, rule, form=form, **scale),
            form,
            k,
        )
        for k in STEPS
        for form in ("single", "sum")
    },
}

each_rule = pytest.mark.parametrize("name", RULES)
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


# Target heuristics. They work on torch tensors and on numpy arrays alike, so the closed forms can call them as well.


def lazy(g, z, h):
    """Eq. 2, but far-off units are left alone."""
    return -np.sign(g) * (abs(z) < 1.5) if isinstance(g, np.ndarray) else -g.sign() * (z.abs() < 1.5)


def stay(g, z, h):
    """Every unit is asked for the side on which it already is: looks at h and at nothing else."""
    return 2.0 * (h > 0.5) - 1


def pooled(g, z, h):
    """One target per unit for the whole batch: dimension 0 is the batch."""
    total = g.sum(0) + 0 * g
    return -np.sign(total) if isinstance(g, np.ndarray) else -total.sign()


HEURISTICS = {"eq. 2": gradient_sign, "lazy": lazy, "stay": stay, "pooled": pooled}


def points(dtype, shape=(16, 32)):
    """z on a grid that every dtype holds exactly, borders of all windows among it; g random, some of it 0."""
    torch.manual_seed(0)
    z = torch.randint(-64, 65, shape) / 16
    g = torch.randn(shape) * (torch.rand(shape) < 0.9)
    return z.to(dtype), g.to(dtype)


def gradient(activation, z, g):
    z = z.clone().requires_grad_()
    (grad,) = torch.autograd.grad(activation(z), z, g)
    assert grad.dtype == z.dtype and grad.shape == z.shape
    return grad


def assert_close(grad, exact, dtype):
    """Within a few roundings of the largest term; 0 where the closed form says that nothing is sent."""
    eps = torch.finfo(dtype).eps
    np.testing.assert_allclose(grad.double().numpy(), exact, rtol=8 * eps, atol=4 * eps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@each_activation
@each_rule
def test_backward_equals_the_closed_form(name, activation, dtype):
    make, form, k = ACTIVATIONS[activation]
    z, g = points(dtype)
    z64, g64 = z.double().numpy(), g.double().numpy()
    threshold = {"sign": closed_forms.sign, "step": closed_forms.step}
    h64 = threshold[form](z64) if k is None else closed_forms.staircase(z64, k)
    for heuristic in HEURISTICS.values():
        t = -np.sign(g64) if heuristic is gradient_sign else heuristic(g64, z64, h64)
        for weighted, scale, weight in [(True, None, np.abs(g64)), (False, 1 / 128, 1 / 128)]:
            rule = Rule(RULES[name].loss, heuristic, weighted)
            grad = gradient(make(rule, scale=scale), z, g)
            exact = closed_forms.gradient(closed_forms.LOSS_OF_RULE[name], form, k, z64, t, weight)
            assert_close(grad, exact, dtype)
    assert_close(
        gradient(make(name), z, g),
        closed_forms.gradient(closed_forms.LOSS_OF_RULE[name], form, k, z64, -np.sign(g64), np.abs(g64)),
        dtype,
    )


def test_saturated_relu_equals_its_closed_form():
    z, g = points(torch.float32)
    inside = (z >= 0) & (z <= 1)
    assert torch.equal(gradient(SaturatedReLU(), z, g), g * inside)
    assert (z[inside] == 0).any() and (z[inside] == 1).any()


@each_rule
def test_straight_through_rules_are_those_whose_phi_ignores_the_target(name):
    z = torch.linspace(-4, 4, 1025)  # -1, 0, 1 and 2 among them
    z = z[z.abs() != 1] if name == "SaturatedHinge" else z  # its border is the exception, tested below
    loss = RULES[name].loss
    up, down = loss.surrogate(z, 1), loss.surrogate(z, -1)
    straight_through = torch.equal(up, down)
    assert straight_through == (name in closed_forms.STRAIGHT_THROUGH | {"SaturatedHinge"})
    if straight_through:
        assert torch.equal(up, loss.surrogate(-z, 1))  # phi is even
        g = torch.randn(len(z))
        generic = Sign(replace(RULES[name], loss=replace(loss, fused=None)))
        assert torch.equal(gradient(generic, z, g), up * g)  # backpropagation with surrogate phi, to the last bit


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_saturated_hinge_differs_from_sste_at_one_border_and_nowhere_else(dtype):
    borders = torch.tensor([-1.0, 0.0, 1.0], dtype=dtype)
    info = torch.finfo(dtype)
    near = torch.tensor([1 + info.eps, 1 - info.eps / 2, info.tiny], dtype=dtype)
    z = torch.cat([borders, near, -near, (3 * torch.randn(500)).to(dtype)])
    z = torch.cat([z, z])
    g = torch.cat([torch.full_like(z[: len(z) // 2], 0.5), torch.full_like(z[: len(z) // 2], -0.75)])
    sste, hinge = gradient(Sign("SSTE"), z, g), gradient(Sign("SaturatedHinge"), z, g)
    t = -g.sign()
    open_border = t * z == -1
    assert torch.equal(sste != hinge, open_border)
    assert torch.equal(sste[open_border], g[open_border]) and (hinge[open_border] == 0).all()
    assert z[open_border].unique().tolist() == [-1, 1]
    closed_border = t * z == 1
    assert torch.equal(hinge[closed_border], g[closed_border]) and closed_border.any()


# --- a target of 0 ---------------------------------------------------------------------------------------------

STUBBORN = Loss("stubborn", lambda z, t: (1 + t) * z, lambda z, t: 1 + t + 0 * z)  # derivative 1 at t = 0
BROKEN_AT_0 = Loss("broken at 0", lambda z, t: z / t, lambda z, t: 1 / t + 0 * z)  # derivative inf at t = 0


@each_activation
@pytest.mark.parametrize("loss", [*LOSSES.values(), STUBBORN, BROKEN_AT_0], ids=lambda loss: loss.name)
@pytest.mark.parametrize("weighted", [True, False], ids=["weighted", "unweighted"])
def test_a_target_of_0_leaves_the_unit_alone(loss, weighted, activation):
    z, g = points(torch.float32)
    z, g = z.clamp(0.125, 0.875), g + 2 * (g == 0)  # inside every window, no gradient 0
    rule = Rule(loss, lambda g, z, h: -g.sign() * (z < 0.5), weighted)
    make = ACTIVATIONS[activation][0]
    grad = gradient(make(rule, scale=None if weighted else 0.25), z, g)
    assert (grad[z >= 0.5] == 0).all()
    assert grad.isfinite().all() and (z < 0.5).any()
    if loss.name not in ("Perceptron", "stubborn"):  # those two are satisfied by some targets
        assert (grad[z < 0.5] != 0).all()


@each_activation
@each_rule
def test_a_gradient_of_0_leaves_the_unit_alone(name, activation):
    z, _ = points(torch.float32)
    g = torch.zeros_like(z)
    make = ACTIVATIONS[activation][0]
    assert not gradient(make(name), z, g).any()
    assert not gradient(make(Rule(RULES[name].loss, weighted=False), scale=1.0), z, g).any()


# --- rules as values -------------------------------------------------------------------------------------------


def test_the_table_holds_the_promised_rules():
    assert {name: rule.loss.name for name, rule in RULES.items()} == closed_forms.LOSS_OF_RULE
    assert all(rule.name == name and rule.weighted for name, rule in RULES.items())


def test_unknown_rule_names_the_nearest_and_all():
    for use in (as_rule, Sign, Step, lambda rule: QuantReLU(3, rule)):
        with pytest.raises(UnknownName, match="there is no rule 'FTPSH'; did you mean 'FTP-SH'") as error:
            use("FTPSH")
        assert all(name in str(error.value) for name in RULES)
    with pytest.raises(ValueError, match="there is no rule 'sste'; did you mean 'SSTE'"):
        as_rule("sste")


@pytest.mark.parametrize("wrong", [None, 3, LOSSES["Hinge"], RULES])
def test_what_is_no_rule_is_refused(wrong):
    with pytest.raises(TypeError, match="a rule is an ftpkit.Rule or a name in ftpkit.RULES, not"):
        Sign(wrong)


def test_wrong_parts_are_refused():
    with pytest.raises(UnknownName, match="no layer loss 'Hing'; did you mean 'Hinge'"):
        Rule("Hing")
    with pytest.raises(TypeError, match="a rule's loss is an ftpkit.Loss or its name, not function"):
        Rule(lambda z, t: z)
    with pytest.raises(TypeError, match=r"targets are a function \(g, z, h\) -> t"):
        Rule("Hinge", targets="gradient_sign")


def test_rules_compare_copy_and_print_as_values():
    assert Rule("Hinge", name="Hinge") == RULES["Hinge"] != Rule("Hinge", weighted=False)
    assert Rule("Hinge").name == "Hinge" and Rule("Hinge", weighted=False).name == "Hinge (unweighted)"
    assert repr(RULES["FTP-SH"]) == "RULES['FTP-SH']"
    assert repr(Rule("Hinge", pooled, weighted=False)) == "Rule('Hinge', targets=pooled, weighted=False)"
    assert len({Rule("Hinge"), Rule("Hinge"), RULES["SSTE"]}) == 2
    mine = Rule(Loss("mine", lambda z, t: -t * z, lambda z, t: -t + 0 * z))
    for rule in (*RULES.values(), mine):
        assert copy.copy(rule) == copy.deepcopy(rule) == rule


@pytest.mark.parametrize(
    "rule",
    [
        *RULES.values(),
        Rule("Hinge", weighted=False),
        Rule("LogLoss", targets=gradient_sign, name="mine"),
        replace(RULES["SSTE"], weighted=False),  # keeps the name of a rule that it is not
    ],
    ids=repr,
)
def test_pickle_gives_the_same_rule(rule):
    again = pickle.loads(pickle.dumps(rule))
    assert again == rule and again.name == rule.name


def test_a_rule_added_to_the_table_does_not_pickle_by_name(monkeypatch):
    """A new process has no such name, so saving it must fail now rather than loading it then."""
    mine = Rule(Loss("mine", lambda z, t: -t * z, lambda z, t: -t + 0 * z), name="Mine")
    monkeypatch.setitem(RULES, "Mine", mine)
    assert as_rule("Mine") is mine and repr(mine) == "RULES['Mine']"
    with pytest.raises(pickle.PicklingError, match="my_rules.py:MyRule"):
        pickle.dumps(mine)


def test_only_weighted_rules_with_the_papers_targets_take_the_fused_pass():
    assert RULES["SSTE"].fused is LOSSES["ClosedSaturatedHinge"].fused is not None
    assert Rule("ClosedSaturatedHinge", weighted=False).fused is None
    assert Rule("ClosedSaturatedHinge", targets=pooled).fused is None
    assert RULES["Hinge"].fused is None
