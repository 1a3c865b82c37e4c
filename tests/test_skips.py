"""Signal and gradient on the skip path: against closed forms and a loop by hand; the committed bands."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ftpkit import Sign, data, models, names, race, skips
from ftpkit.__main__ import main

TINY = replace(
    skips.PLAN, contestants=("sign:SSTE",), skips=("none", "real"), blocks=2, width=4, images=10,
    hardened=("sign:FTP-SH",), train_size=60, epochs=1, more=1, batch_size=20, seeds=1,
)  # fmt: skip

WITHIN_ONE = 0.6826894921370859  # share of a standard normal variable within one standard deviation


def per_block(contestant, skip, first=8, last=20):
    """The factor of one block, a geometric mean over the blocks in the middle and three seeds."""
    logs = [np.log(skips.stream(contestant, skip, seed)["size"]) for seed in range(3)]
    return np.exp(np.mean([(log[first] - log[last]) / (last - first) for log in logs]))


def test_ste_gains_a_factor_of_the_root_of_two_where_there_is_a_skip_path_and_none_without():
    """Branch and skip path each carry the whole gradient; their squares add up."""
    assert per_block("sign:STE", "none") == pytest.approx(1, abs=0.06)
    for skip in ("threshold", "real"):
        assert per_block("sign:STE", skip) == pytest.approx(2**0.5, abs=0.06)


def test_sste_loses_in_every_block_what_its_window_shuts_out():
    """Without a skip path two windows, each open to 68 %; with one the sum +-1 + N(0, 1) is inside for 47.7 %."""
    assert per_block("sign:SSTE", "none") == pytest.approx(WITHIN_ONE, abs=0.04)
    inside = 0.9544997361036416 / 2  # Phi(0) - Phi(-2)
    assert per_block("sign:SSTE", "threshold") == pytest.approx((inside * (1 + WITHIN_ONE)) ** 0.5, abs=0.03)
    assert per_block("sign:SSTE", "real") > 1


def test_what_is_left_of_the_stem():
    """A sum that is never cut keeps 1 / sqrt(1 + blocks) of it; behind thresholds 68 % a block, at last nothing."""
    real, cut, none = (skips.stream("sign:SSTE", skip, seed=1)["left"] for skip in ("real", "threshold", "none"))
    np.testing.assert_allclose(real, 1 / np.sqrt(1 + np.arange(25)), atol=0.09)
    assert cut[1] == pytest.approx(WITHIN_ONE, abs=0.1) and max(map(abs, cut[12:])) < 0.05
    assert max(map(abs, none[1:])) < 0.15


def test_the_records_against_a_loop_by_hand():
    found = skips.stream("sign:FTP-SH", "threshold", seed=5, plan=replace(TINY, blocks=3))
    split = data.load("fashion-mnist-12k").train.subset(10)
    torch.manual_seed(5)
    model = skips.Blocks(lambda: Sign("FTP-SH"), "threshold", blocks=3, width=4)
    x = data.normalize(split, split.images)
    h = [model.act1(model.bn1(model.conv1(x)))]
    for block in model.blocks:
        h.append(block(h[-1]))
    for each in h:
        each.retain_grad()
    F.cross_entropy(model.fc(h[-1].mean((2, 3))), split.labels).backward()
    sizes = [each.grad.norm().item() for each in h]
    np.testing.assert_allclose(found["size"], np.divide(sizes, sizes[-1]), rtol=1e-4)
    assert found["left"][0] == 1 and len(found["left"]) == 4
    flat = [each.detach().transpose(0, 1).flatten(1).numpy() for each in h]
    centred = [each - each.mean(axis=1, keepdims=True) for each in flat]
    expected = [np.corrcoef(centred[0].ravel(), each.ravel())[0, 1] for each in centred]
    np.testing.assert_allclose(found["left"], expected, atol=1e-4)


@pytest.mark.parametrize("skip", skips.PLAN.skips)
def test_the_three_kinds_have_the_same_parameters_and_as_many_thresholds(skip):
    model = skips.Blocks(lambda: Sign("SSTE"), skip, blocks=3, width=4)
    assert sum(isinstance(module, Sign) for module in model.modules()) == 7
    assert models.count_parameters(model) == 36 + 8 + 3 * (2 * 4 * 4 * 9 + 4 * 4) + 50
    x = torch.randn(2, 1, 28, 28)
    assert model(x).shape == (2, 10) and model.stream(x)[2].shape == (2, 4, 14, 14)
    torch.manual_seed(0)
    start = skips.Blocks(lambda: Sign("SSTE"), skip, blocks=3, width=4).state_dict()
    torch.manual_seed(0)
    other = skips.Blocks(lambda: Sign("SSTE"), "threshold", blocks=3, width=4).state_dict()
    assert list(start) == list(other) and all(torch.equal(start[key], other[key]) for key in start)


def test_recount_measures_what_batch_norm_sees_and_changes_no_weight():
    split = data.load("fashion-mnist-12k").train.subset(60)
    torch.manual_seed(0)
    model = models.ResNet(names.as_activation("sign:SSTE"), depth=8)
    weights = [p.clone() for p in model.parameters()]
    skips.recount(model, split, batch_size=60)
    seen = model.conv1(data.normalize(split, split.images))
    torch.testing.assert_close(model.bn1.running_mean, seen.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.bn1.running_var, seen.var((0, 2, 3)), atol=1e-5, rtol=1e-4)
    once = model.bn1.running_mean.clone()
    skips.recount(model, split, batch_size=20)  # the mean of three batches' means, in any order
    torch.testing.assert_close(model.bn1.running_mean, once, atol=1e-5, rtol=1e-4)
    assert not model.training and model.bn1.momentum == 0.1
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))


def test_the_command_writes_what_load_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(skips, "Plan", lambda seeds: replace(TINY, seeds=seeds))
    monkeypatch.setattr(race, "RESULTS", tmp_path)
    bundle = data.load("fashion-mnist-12k")
    monkeypatch.setattr(data, "load", lambda name: replace(bundle, test=bundle.test.subset(50)))
    with pytest.raises(FileNotFoundError, match="python -m ftpkit skips"):
        skips.load()
    assert main(["skips", "--seeds", "1", "--out", str(tmp_path / "skips.json")]) == 0
    result = skips.load()
    assert [record["skip"] for record in result["stream"]] == ["none", "real"]
    (record,) = result["thresholds"]
    assert set(record["result"]) == {"before", "relu", "hardened"}
    assert set(record["result"]["hardened"]["sign:FTP-SH"]) == {"at_once", "recounted", "trained"}
    assert "wrote" in capsys.readouterr().out


def test_the_committed_bands_are_whole_and_from_this_plan():
    result, plan = skips.load(), skips.PLAN
    assert result["settings"] == json.loads(json.dumps(vars(plan))) and plan.seeds == 10
    kinds = {(c, skip, seed) for c in plan.contestants for skip in plan.skips for seed in range(plan.seeds)}
    assert {(r["contestant"], r["skip"], r["seed"]) for r in result["stream"]} == kinds
    assert len(result["stream"]) == len(kinds)
    assert [r["seed"] for r in result["thresholds"]] == list(range(plan.seeds))
    for record in result["thresholds"]:
        assert set(record["result"]["hardened"]) == set(plan.hardened)
    again = skips.stream("sign:SSTE", "threshold", seed=3)
    (there,) = [r for r in result["stream"] if (r["contestant"], r["skip"], r["seed"]) == ("sign:SSTE", "threshold", 3)]
    np.testing.assert_allclose(np.log(again["size"]), np.log(there["result"]["size"]), atol=0.1)


@pytest.mark.parametrize("name", ["resnet8-live", "resnet8-real-live"])
def test_the_committed_races_are_whole(name):
    result = race.load(name)
    assert result["settings"] == race._settings(race.RACES[name]), "made with other settings: run the race again"
    for contestant in result["settings"]["contestants"]:
        assert race.correct(result, contestant).shape == (10, 2000)
