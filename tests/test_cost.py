"""What activations cost, counted: passes over memory, bytes per element, and what is kept for the backward pass."""

import argparse
import json
import re

import pytest
import torch
from torch import nn

from ftpkit import LOSSES, RULES, Loss, QuantReLU, Rule, SaturatedReLU, Sign, Step, bench
from ftpkit.cost import Cost, Counter, cost, saved_bytes
from ftpkit.models import MLP

LIMITS = {  # activation: (passes, bytes per element)
    "sign, STE": (lambda: Sign("STE"), 2, 16),
    "sign, SSTE": (lambda: Sign("SSTE"), 3, 28),
    "sign, FTP-SH": (lambda: Sign("FTP-SH"), 4, 36),
    "step, SSTE": (lambda: Step("SSTE"), 4, 36),
    "staircase, SSTE": (lambda: QuantReLU(3, "SSTE"), 5, 44),
    "staircase, FTP-SH": (lambda: QuantReLU(3, "FTP-SH"), 8, 68),
    "staircase, sum, SSTE": (lambda: QuantReLU(3, "SSTE", form="sum"), 12, 116),
    "saturated relu": (SaturatedReLU, 2, 20),
}
THRESHOLDS = {"sign": Sign, "step": Step, "staircase": lambda rule: QuantReLU(3, rule)}


@pytest.mark.parametrize("make, passes, moved", LIMITS.values(), ids=LIMITS)
def test_passes_and_bytes(make, passes, moved):
    c = cost(make())
    assert c.passes <= passes and c.bytes_moved <= moved, c


@pytest.mark.parametrize("make", THRESHOLDS.values(), ids=THRESHOLDS)
@pytest.mark.parametrize("rule", RULES)
def test_at_most_one_saved_tensor_of_the_inputs_size(rule, make):
    c = cost(make(rule))
    assert c.saved <= 1 and c.saved_bytes <= 4


def test_what_is_saved_is_the_input_itself():
    z, saved = torch.randn(100, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda x: x):
        Sign("Hinge")(z)
    assert [x.data_ptr() for x in saved] == [z.data_ptr()]


@pytest.mark.parametrize("rule", [name for name, rule in RULES.items() if not rule.fused])
def test_a_rule_without_a_fused_pass_costs_its_loss_and_little_more(rule):
    """t, its zeros, the weight and the choice between them: 6 passes. The rest is the loss's own derivative."""
    z, t = torch.randn(1024), torch.ones(1024)
    with Counter(1024) as own:
        LOSSES[RULES[rule].loss.name].derivative(z, t)
    assert cost(Sign(rule)).backward <= own.passes + 6


@pytest.mark.parametrize("make", [Sign, lambda rule: QuantReLU(3, rule)], ids=["sign", "staircase"])
def test_cost_per_element_does_not_depend_on_size(make):
    assert cost(make("FTP-SH"), 100) == cost(make("FTP-SH"), 10_000)


# --- the counter itself ----------------------------------------------------------------------------------------


def test_the_counter_knows_what_relu_costs():
    assert cost(nn.ReLU()) == Cost(forward=1, backward=1, bytes_moved=20, saved=1, saved_bytes=4)


def test_the_counter_knows_what_an_addition_costs():
    assert cost(lambda z: z + 1) == Cost(forward=1, backward=0, bytes_moved=8, saved=0, saved_bytes=0)


def test_views_and_reserved_memory_are_free():
    def free(z):
        torch.empty_like(z)
        return z.view(2, -1).t().flatten(0).view_as(z) if z.dim() > 1 else z.view(-1, 1).detach().squeeze(1) * 1 + z

    assert cost(free).forward == 2  # the product and the sum


class Wasteful(torch.autograd.Function):
    """Sign and SSTE as one writes them at first: masks of bools, where, a clone, and two things saved."""

    @staticmethod
    def forward(ctx, z):
        window = z.abs() <= 1
        ctx.save_for_backward(z.clone(), window)
        return torch.where(z > 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, g):
        z, window = ctx.saved_tensors
        return torch.where(window, g, torch.zeros_like(z))


def test_the_counter_catches_a_wasteful_activation():
    z = torch.randn(50, requires_grad=True)
    ours, theirs = Sign("SSTE")(z), Wasteful.apply(z)
    assert torch.equal(ours, theirs)
    assert torch.equal(torch.autograd.grad(ours.sum(), z)[0], torch.autograd.grad(theirs.sum(), z)[0])
    c = cost(Wasteful.apply)
    assert (c.forward, c.backward) == (5, 2)
    assert c.bytes_moved == (8 + 5 + 8 + 5 + 5) + (8 + 13)  # abs, <=, clone, >, where; zero_, where
    assert (c.saved, c.saved_bytes) == (2, 5)


def test_the_counter_catches_a_lost_fused_pass():
    loss = LOSSES["ClosedSaturatedHinge"]
    generic = Rule(Loss(loss.name, loss.value, loss.derivative))
    assert cost(Sign(generic)).passes > 3 < cost(QuantReLU(3, generic)).passes


# --- what a forward pass leaves in memory ------------------------------------------------------------------------


def test_what_relu_and_a_convolution_keep():
    x, conv = torch.randn(2, 3, 8, 8), nn.Conv2d(3, 5, 3, padding=1)
    made = 2 * 5 * 8 * 8 * 4
    assert saved_bytes(lambda: conv(x)) == made  # the result; x and the weights were there before
    assert saved_bytes(lambda: conv(x).relu().sum()) == made + 4  # relu keeps what it gives, not what it was given
    assert saved_bytes(lambda: conv(x).relu().exp().sum()) == 2 * made + 4
    assert saved_bytes(lambda: conv(x).sum()) == 4


def test_what_is_kept_counts_once_in_full_and_without_what_only_changes():
    z, norm = torch.randn(8, 100, requires_grad=True), nn.BatchNorm1d(100)
    assert saved_bytes(lambda: ((h := z * 2)[0] * h[1]).sum()) == 8 * 100 * 4 + 4  # two views of one tensor
    assert (
        saved_bytes(lambda: norm(z).sum()) == 2 * 100 * 4 + 4
    )  # mean and deviation of the batch, not the running ones


# --- the command -----------------------------------------------------------------------------------------------


def test_rounds_are_interleaved_and_the_first_is_thrown_away():
    calls = []

    def contender(name):
        return lambda: calls.append(name) or float(len(calls))

    seconds = bench.interleave({name: contender(name) for name in "abc"}, rounds=2)
    assert "".join(calls) == "abcabcabc"
    assert seconds == {"a": [4.0, 7.0], "b": [5.0, 8.0], "c": [6.0, 9.0]}
    assert bench.ratio(seconds, "b", to="a") == "1.20 (1.14-1.25)"


@pytest.fixture
def run_tiny(capsys, monkeypatch):
    """The whole program, with tensors and networks too small to say anything about time."""
    monkeypatch.setattr(bench, "IN_NETWORKS", ["nn.ReLU", "Sign, FTP-SH", "Sign, FTP-SH, packed"])
    monkeypatch.setattr(bench, "QUICK_SHAPE", (1, 2, 4, 4))

    def tiny(activation):
        return MLP(activation, (3, 32, 32), 10, hidden=(4,), batch_norm=False)

    monkeypatch.setattr(bench, "NETWORKS", {"tiny MLP": (tiny, 4)})

    def run(*options):
        parser = argparse.ArgumentParser()
        bench.add_arguments(parser)
        assert bench.main(parser.parse_args(["--quick", "--rounds", "1", "--batch", "2", *options])) == 0
        return capsys.readouterr().out

    return run


def test_the_command_writes_what_it_measured(run_tiny, tmp_path):
    printed = run_tiny("--out", str(tmp_path / "bench.json"))
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["machine"] in printed and found["activations"]["nn.ReLU"] == [1.0, 1.0, 1.0]
    network = found["networks"]["tiny MLP"]
    assert (network["batch"], network["saved_bytes"]["nn.ReLU"]) == (2, 32 + 80)
    for name, (median, low, high) in (network["step"] | found["activations"]).items():
        assert 0 < low <= median <= high and f"{median:.2f} ({low:.2f}-{high:.2f})" in printed, name


def test_the_command_prints_every_table(run_tiny):
    printed = run_tiny()
    names = *bench.ACTIVATIONS, "Sign, FTP-SH, packed", bench.BARE
    for text in (*names, torch.__version__, "tiny MLP on 3x32x32", "batch 2, float32; 1 rounds"):
        assert text in printed
    assert "1+1     20         4           1.00 (1.00-1.00)" in printed
    assert "nan" not in printed
    saved = {"nn.ReLU": 32 + 80, "Sign, FTP-SH": 32 + 32 + 80, "Sign, FTP-SH, packed": 32 + 1 + 80}  # z, h, scores
    rows = [re.split(" {2,}", line) for line in printed.partition("saved MB")[2].splitlines()]
    assert {row[0]: row[4] for row in rows if len(row) == 6} == {n: f"{saved[n] / 112:.2f}" for n in saved}


def test_the_command_takes_the_options_of_training(run_tiny, monkeypatch):
    seen, init = [], bench.Training.__init__
    monkeypatch.setattr(
        bench.Training, "__init__", lambda *args, **kwargs: seen.append(kwargs) or init(*args, **kwargs)
    )
    monkeypatch.setattr(torch, "compile", lambda model, mode: model)
    printed = run_tiny("--precision", "bf16", "--channels-last", "--compile", "yes")
    assert "batch 2, precision bf16, channels_last True, compile yes; 1 rounds" in printed
    assert "packed" not in printed
    options = {"precision": "bf16", "channels_last": True, "compile": "yes", "memory": "plain"}
    assert seen and all(options.items() <= kwargs.items() for kwargs in seen)
