"""Outputs and gradients of the authors' own code, and the float64 closed forms of the same numbers."""

from pathlib import Path

import closed_forms
import numpy as np
import pytest
import torch

from ftpkit import QuantReLU, Sign

GOLDEN = np.load(Path(__file__).parent / "golden" / "ftprop_reference.npz")
ACTIVATIONS = {"step11": Sign, "staircase3": lambda rule: QuantReLU(3, rule)}
RULE_OF = {"STE": "STE", "SSTE": "SSTE", "SoftHinge": "FTP-SH", "WeightedPerceptron": "Perceptron"}
GRADIENTS = [name.removesuffix("/scaled/grad_in").split("/") for name in GOLDEN if name.endswith("grad_in")]


def run(activation, rule, dtype):
    z = torch.tensor(GOLDEN["z"], dtype=dtype, requires_grad=True)
    h = ACTIVATIONS[activation](rule)(z)
    h.backward(torch.tensor(GOLDEN["grad_out"], dtype=dtype))
    return h.detach().numpy(), z.grad.numpy()


def test_the_vectors_hold_the_borders():
    z = GOLDEN["z"]
    for border in (-1, -0.5, 0, 0.5, 1, np.nextafter(np.float32(1), np.float32(2))):
        assert (z == border).any()
    assert len(GRADIENTS) == 6 and (GOLDEN["grad_out"] == 0).any()


@pytest.mark.parametrize("activation, rule", GRADIENTS, ids=map("/".join, GRADIENTS))
def test_equals_the_authors_code(activation, rule):
    h, grad = run(activation, RULE_OF[rule], torch.float32)
    theirs = GOLDEN[f"{activation}/{rule}/scaled/grad_in"]
    np.testing.assert_array_equal(h, GOLDEN[f"{activation}/output"])
    if rule == "SoftHinge":
        assert (np.abs(grad.astype(float) - theirs) <= 2e-7 * np.abs(GOLDEN["grad_out"])).all()
    else:
        np.testing.assert_array_equal(grad, theirs)  # the Perceptron's border t z = 0 included


@pytest.mark.parametrize("activation, rule", GRADIENTS, ids=map("/".join, GRADIENTS))
def test_equals_the_closed_form(activation, rule):
    exact = GOLDEN[f"{activation}/{rule}/scaled/exact64"]
    for dtype, tolerance in {torch.float32: 2e-7, torch.float64: 1e-15}.items():
        _, grad = run(activation, RULE_OF[rule], dtype)
        assert (np.abs(grad.astype(float) - exact) <= tolerance * np.abs(GOLDEN["grad_out"])).all(), dtype


@pytest.mark.parametrize("activation, rule", GRADIENTS, ids=map("/".join, GRADIENTS))
def test_the_tests_own_closed_forms_equal_the_golden_ones(activation, rule):
    z, g = GOLDEN["z"].astype(float), GOLDEN["grad_out"].astype(float)
    form, k = {"step11": ("sign", None), "staircase3": ("single", 3)}[activation]
    loss = closed_forms.LOSS_OF_RULE[RULE_OF[rule]]
    ours = closed_forms.gradient(loss, form, k, z, -np.sign(g), np.abs(g))
    exact = GOLDEN[f"{activation}/{rule}/scaled/exact64"]
    np.testing.assert_allclose(ours, exact, rtol=0, atol=1e-15 * np.abs(g).max())
