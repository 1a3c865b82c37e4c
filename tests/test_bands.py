"""Bands and claims: the file is what the results give, a figure outside and a claim reversed are refused."""

import json
import re

import numpy as np
import pytest

from ftpkit import bands, paired, race
from ftpkit.losses import UnknownName
from ftpkit.samples import EXPERIMENTS, Experiment
from ftpkit.search import tally


@pytest.fixture
def small(monkeypatch):
    """Bands of an experiment with three figures of ten seeds: A is ahead of B, B and C cannot be told apart."""
    rng = np.random.default_rng(0)
    b = 80 + rng.normal(size=10)
    samples = {"A": b + 5, "B": b, "C": b + 0.1 * rng.normal(size=10)}
    monkeypatch.setitem(EXPERIMENTS, "small", Experiment(lambda: samples, "race small", 1))
    monkeypatch.setattr(bands, "load", lambda: {"small": bands._summary(EXPERIMENTS["small"])})
    return samples


def test_the_file_is_what_the_results_give():
    assert bands.collect() == bands.load() == json.loads(bands.PATH.read_text())
    assert len(bands.load()) > 10 and min(each["seeds"] for each in bands.load().values()) == bands.SEEDS


def test_a_band_is_that_of_the_seeds():
    result = race.load("mlp-live")
    values = 100 * race.correct(result, "sign:STE").mean(axis=1)
    found = bands.figure("mlp-live", "STE")
    assert found["mean"] == pytest.approx(values.mean(), abs=1e-4)
    assert found["error"] == pytest.approx(values.std(ddof=1) / 10**0.5, abs=1e-4)
    assert found["high"] - found["mean"] >= 4 * values.std(ddof=1) - 1e-4
    gap = paired.difference(race.correct(result, "sign:STE"), race.correct(result, "relu"))
    assert str(bands.gap("mlp-live", "STE", "ReLU")) == str(gap)


def test_searches_are_told_as_their_table_tells_them():
    result = tally.load()
    for experiment, name, method in (
        ("variants", "flips, all units", "A1: flips, all units"),
        ("search", *2 * ["exact"]),
    ):
        solved = tally.pooled(result, method, list(result["runs"][method]))["solved"]
        assert bands.figure(experiment, name)["mean"] == pytest.approx(100 * solved, abs=1e-4)
    errors = {(r["method"], r["cell"]): r["errors"] for r in tally.table(result)}
    assert bands.figure("moons-live", "SSTE-1")["mean"] == pytest.approx(errors["SSTE-1", "two moons m=20"], abs=1e-4)


def test_figures_of_several_kinds_have_bands_of_their_own():
    samples = {"even": np.full(10, 3.0), "wild": np.arange(10.0)}
    found = bands._summary(Experiment(lambda: samples, "", 1, compared=False, slack=0.5))["figures"]
    assert (found["even"]["low"], found["even"]["high"]) == (2.5, 3.5)
    assert found["wild"]["high"] == pytest.approx(4.5 + 4 * np.arange(10).std(ddof=1) + 0.5, abs=1e-3)
    alike = bands._summary(Experiment(lambda: samples, "", 1))["figures"]
    assert alike["even"]["high"] == pytest.approx(3 + 4 * (np.arange(10).var(ddof=1) / 2) ** 0.5, abs=1e-3)


def test_a_live_run_is_checked(small, capsys):
    bands.check("small", {"A": 85.0, "C": 80.0})
    assert capsys.readouterr().out == ("ok: 2 figures lie in the bands of 10 seeds; clear pairs in their order: 1\n")
    with pytest.raises(AssertionError, match="B: 200 lies outside of its band, 7.* to 8"):
        bands.check("small", {"A": 85.0, "B": 200.0})
    with pytest.raises(AssertionError, match="A is clearly ahead of B in 'small', but not in this run"):
        bands.check("small", {"B": 82.5, "A": 82.2})
    bands.check("small", {"C": 80.1, "B": 80.0})
    bands.check("small", {"B": 80.1, "C": 80.0})


def test_a_claim_holds_or_is_refused(small, capsys):
    bands.claim("small", "A > B", "B ~ C", "C ~ B", "A > C")
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"A > B: \+5.00 \[\+5.00, \+5.00\], 10 seeds", lines[0])
    assert "no difference shown, 10 seeds" in lines[1]
    for wrong in ("B > A", "A ~ B", "B > C"):
        with pytest.raises(AssertionError, match=f"{wrong} does not hold in 'small'"):
            bands.claim("small", wrong)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("wrong", ["A", "A < B", "A beats B", "A > B > C", ""])
def test_what_is_no_claim_is_refused(small, wrong):
    with pytest.raises(ValueError, match="is no claim"):
        bands.claim("small", wrong)


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="mlp-live"):
        bands.check("mlp-lives", {})
    with pytest.raises(UnknownName, match="did you mean 'SSTE'"):
        bands.claim("mlp", "SSTEE > STE")
    with pytest.raises(ValueError, match="were not compared in 'flips'"):
        bands.gap("flips", "STE, layer 1, epoch 1", "SSTE, layer 1, epoch 1")
    with pytest.raises(ValueError, match="were not compared in 'mlp'"):
        bands.gap("mlp", "STE", "STE")


def test_fewer_than_ten_seeds_make_no_band(monkeypatch):
    for name in set(EXPERIMENTS) - {"mlp-live"}:
        monkeypatch.delitem(EXPERIMENTS, name)
    monkeypatch.setitem(EXPERIMENTS, "few", Experiment(lambda: {"A": np.arange(9.0), "B": np.arange(9.0)}, "few", 1))
    assert list(bands.collect()) == ["mlp-live"]


def test_the_command_writes_the_file_and_says_how_long_its_results_took(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bands, "PATH", tmp_path / "bands.json")
    for name in set(EXPERIMENTS) - {"mlp-live"}:
        monkeypatch.delitem(EXPERIMENTS, name)
    assert bands.main(None) == 0
    said = capsys.readouterr().out
    assert "wrote data/bands.json in" in said and re.search(r"\d min  mlp-live: python -m ftpkit race mlp-live", said)
    assert (
        json.loads(bands.PATH.read_text())["mlp-live"]["figures"].keys()
        == bands.load.__wrapped__()["mlp-live"]["figures"].keys()
    )


def test_without_the_file_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(bands, "PATH", tmp_path / "bands.json")
    with pytest.raises(FileNotFoundError, match="python -m ftpkit bands"):
        bands.load.__wrapped__()
