"""torch.compile(fullgraph=True) gives eager's outputs and gradients, for all activations in one graph."""

import os
import shutil
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from ftpkit import RULES, QuantReLU, Rule, SaturatedReLU, Sign, Step

# Compiling to machine code needs a C++ compiler; without one the same graph runs through torch's own operations.
BACKEND = "inductor" if shutil.which(os.environ.get("CXX", "g++")) else "aot_eager"
GENERIC = replace(RULES["SSTE"], loss=replace(RULES["SSTE"].loss, fused=None))


def quiet_units(g, z, h):
    return torch.where(z.abs() > 2, 0.0, -g.sign())


class Together(nn.Module):
    """Every activation side by side on its own slice: (n, activations) -> the same, one graph for all."""

    def __init__(self):
        super().__init__()
        self.activations = nn.ModuleList(
            [
                Sign("STE"),
                Sign("SSTE"),
                Sign("FTP-SH"),
                Sign(GENERIC),
                Sign("Hinge"),
                Sign(Rule("LogLoss", quiet_units, weighted=False), scale=0.125),
                Step("SSTE"),
                Step("Perceptron"),
                QuantReLU(3, "SSTE"),
                QuantReLU(3, "FTP-SH"),
                QuantReLU(3, "SquaredHinge"),
                QuantReLU(4, "SSTE", form="sum"),
                QuantReLU(3, "Hinge", form="sum"),
                SaturatedReLU(),
            ]
        )

    def forward(self, z):
        return torch.stack([activation(z[i]) for i, activation in enumerate(self.activations)])


@pytest.fixture(scope="module")
def compiled():
    torch._dynamo.reset()
    yield torch.compile(Together(), fullgraph=True, backend=BACKEND)
    torch._dynamo.reset()


def run(net, z, g):
    z = z.clone().requires_grad_()
    h = net(z)
    h.backward(g)
    return h.detach(), z.grad


def test_compiled_equals_eager(compiled):
    torch.manual_seed(0)
    net = Together()
    row = torch.cat(
        [torch.tensor([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 1 + 2**-23, -(2**-24), torch.nan]), torch.randn(300)]
    )
    z = row.expand(len(net.activations), -1).contiguous()
    g = torch.randn(z.shape)
    g[:, -50:] = 0
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        h, grad = run(compiled, z, g)
    assert not [w for w in heard if "graph break" in str(w.message).lower() or "dynamo" in w.filename]
    expected_h, expected_grad = run(net, z, g)
    grad[z.isnan()] = expected_grad[z.isnan()] = 0  # no gradient is defined there, and it does differ
    torch.testing.assert_close(h, expected_h, rtol=0, atol=0, equal_nan=True)
    for activation, ours, expected in zip(net.activations, grad, expected_grad, strict=True):
        smooth = activation.rule.loss.name in ("SoftHinge", "LogLoss")  # tanh and exp have two implementations
        torch.testing.assert_close(ours, expected, rtol=0, atol=4e-7 * smooth, equal_nan=True, msg=f"{activation}")


def test_compiled_second_derivatives_raise(compiled):
    z = torch.randn(len(Together().activations), 310, requires_grad=True)
    with pytest.raises(
        RuntimeError, match="double backward|second derivative|create_graph"
    ):  # torch 2.11: the first too
        (slope,) = torch.autograd.grad((compiled(z) * z**2).sum(), z, create_graph=True)
        slope.sum().backward()
