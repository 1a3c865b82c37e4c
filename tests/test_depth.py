"""Gradients by depth and flips: against closed forms, against a count by hand, and the committed bands."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ftpkit import data, depth, race, train
from ftpkit.__main__ import main
from ftpkit.models import MLP

TINY = replace(
    depth.PLAN, contestants=("sign:STE",), depths=(2,), width=16, images=50, flippers=("sign:SSTE",), lrs=(1e-3,),
    epochs=2, train_size=100, seeds=2,
)  # fmt: skip


def test_ste_keeps_the_share_that_its_weights_let_through():
    """A layer of fresh weights, variance 1 / (3 m), leaves sqrt(1/3) of the gradient; with batch norm all of it."""
    plain = [depth.gradients("sign:STE", 8, False, seed)[0]["size"] for seed in (0, 1)]
    np.testing.assert_allclose(np.log10(plain), 7 * np.log10(3**-0.5), atol=0.2)
    normed = [depth.gradients("sign:STE", 8, True, seed)[0]["size"] for seed in (0, 1)]
    np.testing.assert_allclose(np.log10(normed), 0, atol=0.2)


def test_sizes_are_relative_to_the_last_layer_and_relu_has_no_targets():
    layers = depth.gradients("relu", 4, True, seed=0, plan=TINY)
    assert len(layers) == 4 and layers[-1] == {"size": 1.0, "disagree": None}
    assert 0 < depth.gradients("sign:Hinge", 4, True, seed=0, plan=TINY)[0]["disagree"] < 1


def test_flips_against_counting_in_a_run_that_stops_after_each_epoch():
    records = depth.flips("sign:SSTE", 1e-3, seed=3, plan=TINY)
    fit_on, watched = depth._split(TINY)
    assert len(fit_on) == 100 and len(watched) == 50 and len(records) == 2
    x = data.normalize(watched, watched.images)
    outputs = []
    for epochs in (0, 1, 2):
        torch.manual_seed(3)
        model = MLP(race.as_activation("sign:SSTE"))
        if epochs:
            train.fit(model, fit_on, epochs=epochs, lr=1e-3, seed=3, progress=False)
        with torch.no_grad():
            outputs.append(model.eval()[:7](x))  # behind act2
    for before, after, record in zip(outputs, outputs[1:], records, strict=False):
        assert record["act2"] == pytest.approx((before != after).float().mean().item())
    assert records[-1]["accuracy"] == train.evaluate(model, watched)["accuracy"]


def test_the_command_writes_what_load_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(depth, "Plan", lambda seeds: replace(TINY, seeds=seeds))
    monkeypatch.setattr(race, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="python -m ftpkit depth"):
        depth.load()
    assert main(["depth", "--seeds", "1", "--out", str(tmp_path / "depth.json")]) == 0
    result = depth.load()
    assert [r["batch_norm"] for r in result["gradients"]] == [False, True] and len(result["flips"]) == 1
    assert result["settings"]["seeds"] == 1 and "wrote" in capsys.readouterr().out


def test_the_committed_bands_are_whole_and_from_this_plan():
    result, plan = depth.load(), depth.PLAN
    assert result["settings"] == json.loads(json.dumps(vars(plan)))
    kinds = len(plan.contestants) * len(plan.depths) * 2
    assert len(result["gradients"]) == kinds * plan.seeds and plan.seeds == 10
    assert len(result["flips"]) == len(plan.flippers) * len(plan.lrs) * plan.seeds
    assert all(len(r["result"]) == r["depth"] for r in result["gradients"])
