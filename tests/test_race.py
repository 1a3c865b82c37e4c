"""Races: what an interval says, that nothing is lost or overwritten, and that mistakes are found before training."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ftpkit import race
from ftpkit.__main__ import main
from ftpkit.losses import UnknownName

TINY = race.Race(
    "mlp", ("relu", "sign:SSTE"), (1e-3, 1e-2), epochs=1, seeds=2, lr_seeds=1, held_out=100, train_size=300,
    test="fashion-mnist-12k",
)  # fmt: skip

OWN_RULE = """
from ftpkit import Loss, Rule

MyRule = Rule(Loss("Patient", lambda z, t: 1 - (t * z).clamp(-3, 1),
                   lambda z, t: -t * ((t * z > -3) & (t * z <= 1)).to(z.dtype)))
"""


@pytest.fixture(scope="module")
def result():
    return race.run(TINY, progress=False)


# --- the interval ------------------------------------------------------------------------------------------------


def simulated(rng, seeds, images, seed_effect, advantage=0.0):
    """Right or wrong for two contestants: hard and easy images, images that suit one of them, lucky seeds, and noise.

    With advantage 0 both are drawn alike, so that the true difference over all seeds and images is 0.
    """
    difficulty = rng.normal(1.5, 1.5, images)
    shift = (advantage, 0.0)
    return [
        difficulty + shift[k] + rng.normal(0, 0.3, images) + rng.normal(0, seed_effect, (seeds, 1))
        + rng.normal(0, 1, (seeds, images)) > 0
        for k in (0, 1)
    ]  # fmt: skip


@pytest.mark.parametrize("seeds", [2, 5, 10])
@pytest.mark.parametrize("seed_effect", [0.0, 0.05, 0.3])
def test_intervals_hold_the_truth_as_often_as_they_say(seeds, seed_effect):
    """At least 95 % of the time, up to what 300 races can tell (three standard errors)."""
    rng = np.random.default_rng(seeds)
    held = []
    for _ in range(300):
        d = race.difference(*simulated(rng, seeds, 500, seed_effect))
        held.append(d.low <= 0 <= d.high)
    assert np.mean(held) > 0.95 - 3 * (0.95 * 0.05 / 300) ** 0.5


def test_a_planted_difference_is_found_and_none_where_there_is_none():
    rng = np.random.default_rng(0)
    planted = [race.difference(*simulated(rng, 10, 2000, 0.05, advantage=0.3)) for _ in range(40)]
    assert all(d.shown and d.low > 0 for d in planted)
    other_way = [race.difference(*simulated(rng, 10, 2000, 0.05, advantage=-0.3)) for _ in range(40)]
    assert all(d.shown and d.high < 0 for d in other_way)
    none = [race.difference(*simulated(rng, 10, 2000, 0.05)).shown for _ in range(100)]
    assert sum(none) <= 9  # 5 expected at most; 10 or more have a chance of 3 %, and the seed is fixed


def test_the_interval_against_students_for_seeds_alone_and_for_images_alone():
    rng = np.random.default_rng(1)
    by_seed = np.repeat(rng.random((6, 1)) < 0.5, 50, axis=1)  # images of one seed agree: only seeds vary
    by_image = np.repeat(rng.random((1, 50)) < 0.5, 6, axis=0)
    for a, values in [(by_seed, by_seed[:, 0]), (by_image, by_image[0])]:
        d = race.difference(a, np.zeros_like(a))
        low, high = stats.t.interval(0.95, len(values) - 1, 100 * values.mean(), 100 * stats.sem(values))
        assert (d.low, d.mean, d.high) == pytest.approx((low, 100 * values.mean(), high))


def test_pairing_matters_and_order_does_not():
    a, b = simulated(np.random.default_rng(2), 10, 1000, 0.05)
    d, turned = race.difference(a, b), race.difference(b, a)
    assert (turned.mean, turned.low, turned.high) == pytest.approx((-d.mean, -d.high, -d.low))
    shuffled = race.difference(a, b[:, np.random.default_rng(3).permutation(1000)])
    assert shuffled.mean == pytest.approx(d.mean) and shuffled.high - shuffled.low > 1.2 * (d.high - d.low)


def test_a_tie_is_not_shown_and_says_so():
    a = np.ones((3, 4), bool)
    d = race.difference(a, a)
    assert (d.mean, d.low, d.high, d.shown) == (0, 0, 0, False)
    assert str(d) == "+0.00 [+0.00, +0.00], no difference shown"
    assert str(race.Difference(1.0, 0.5, 1.5)) == "+1.00 [+0.50, +1.50]"


@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 5)), ((2, 4), (3, 4)), ((1, 4), (1, 4)), ((4,), (4,)), ((3, 1), (3, 1))]
)
def test_what_cannot_be_paired_is_refused(shapes):
    with pytest.raises(ValueError, match="seeds and (two )?images"):
        race.difference(*(np.ones(shape, bool) for shape in shapes))


# --- running, interrupted and carried on -------------------------------------------------------------------------


def test_a_race_has_all_its_runs(result):
    searched = {(r["contestant"], r["lr"], r["seed"]) for r in result["lr_search"]}
    assert searched == {(c, lr, 0) for c in TINY.contestants for lr in TINY.lrs} and len(result["lr_search"]) == 4
    assert [(r["contestant"], r["seed"]) for r in result["runs"]] == [(c, s) for s in (0, 1) for c in TINY.contestants]
    for r in result["runs"]:
        assert r["lr"] == race.best_lr(result, r["contestant"])
        assert race.correct(result, r["contestant"])[r["seed"]].mean() == r["accuracy"]
    assert race.correct(result, "relu").shape == (2, 2000)
    table = race.summary(result)
    assert f"{100 * race.correct(result, 'sign:SSTE').mean():.2f}" in table and "relu" in table


def test_an_interrupted_race_ends_as_if_it_had_not_been(result, tmp_path, monkeypatch):
    out, runs, one_run = tmp_path / "race.json", [], race._one_run

    def power_cut(*args, **kwargs):
        if len(runs) in (2, 5):  # once in the search, once in the runs
            runs.append(None)
            raise KeyboardInterrupt
        runs.append(args)
        return one_run(*args, **kwargs)

    monkeypatch.setattr(race, "_one_run", power_cut)
    for kept in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            race.run(TINY, out, progress=False)
        so_far = race.read(out)
        assert len(so_far["lr_search"]) + len(so_far["runs"]) == kept
    assert race.run(TINY, out, progress=False) == result == race.read(out)
    assert len(runs) == 8 + 2  # nothing was trained twice
    assert [path.name for path in tmp_path.iterdir()] == ["race.json"]


def test_more_seeds_are_added_and_fewer_lose_none(result, tmp_path):
    out = tmp_path / "race.json"
    race.run(replace(TINY, seeds=1), out, progress=False)
    assert race.run(TINY, out, progress=False) == result
    before = out.read_bytes()
    assert race.run(replace(TINY, seeds=1), out, progress=False) == result
    assert out.read_bytes() == before


def test_results_of_another_race_are_left_alone(result, tmp_path):
    out = tmp_path / "race.json"
    race.write(out, result)
    before = out.read_bytes()
    with pytest.raises(FileExistsError, match="another race: lrs, epochs differ"):
        race.run(replace(TINY, epochs=2, lrs=(1e-3,)), out)
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b'{"settings": {"network": "mlp"', b"", b"[]", b"7", b"\xff\xfe\x00", b'{"settings": {}, "runs": []}']
)
def test_a_damaged_file_is_named_and_left_alone(content, tmp_path):
    out = tmp_path / "race.json"
    out.write_bytes(content)
    with pytest.raises(ValueError, match="race.json holds no race .*name another --out"):
        race.run(TINY, out)
    assert out.read_bytes() == content


def test_best_lr_is_by_the_mean_and_the_smaller_of_two_that_tie():
    search = [(0.1, 0.5), (0.1, 0.9), (0.2, 0.8), (0.2, 0.8), (0.3, 0.85), (0.3, 0.75)]
    rows = [{"contestant": "relu", "lr": lr, "accuracy": accuracy} for lr, accuracy in search]
    assert race.best_lr({"settings": {"lrs": [0.3, 0.2, 0.1]}, "lr_search": rows}, "relu") == 0.2


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("sign:SSTTE", "did you mean 'SSTE'"),
        ("sing:SSTE", "did you mean 'sign:RULE'"),
        ("Relu", "did you mean 'relu'"),
        ("sign", "did you mean 'sign:RULE'"),
        ("sign:", "did you mean 'sign:RULE'"),
        ("relu:SSTE", "The names are: relu, "),
        ("staircase-x:SSTE", "did you mean 'staircase-K:RULE'"),
        ("staircase-3", "did you mean 'staircase-K:RULE'"),
        ("staircase-K:RULE", "as staircase-3:FTP-SH"),
    ],
)
def test_an_unknown_contestant_is_found_before_anything_is_trained(wrong, hint, tmp_path, monkeypatch):
    monkeypatch.setattr(race, "_one_run", None)  # training would raise a TypeError
    with pytest.raises(UnknownName, match=hint):
        race.run(replace(TINY, contestants=("relu", wrong)), tmp_path / "race.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change", [{"contestants": ("relu", "relu")}, {"contestants": ()}, {"seeds": 0}, {"lrs": ()}, {"lr_seeds": 0}]
)
def test_a_race_that_cannot_be_run_is_refused(change):
    with pytest.raises(ValueError, match="a race needs"):
        race.run(replace(TINY, **change))


def test_unknown_networks_and_races_suggest_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'convnet4'"):
        race.run(replace(TINY, network="convnt4"))
    with pytest.raises(UnknownName, match="did you mean 'mlp'"):
        race.load("mpl")


def test_a_race_that_was_not_run_yet_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr(race, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="python -m ftpkit race mlp-live"):
        race.load("mlp-live")


def test_a_contestant_that_is_not_there_names_those_that_are(result):
    with pytest.raises(ValueError, match="no runs of 'sign:STE'; this race has relu, sign:SSTE"):
        race.correct(result, "sign:STE")


def test_a_rule_from_a_file_races(tmp_path, monkeypatch):
    (tmp_path / "my_rules.py").write_text(OWN_RULE)
    monkeypatch.chdir(tmp_path)
    own = "sign:my_rules.py:MyRule"
    quick = replace(TINY, contestants=("sign:Hinge", own), lrs=(1e-3,), seeds=2)
    result = race.run(quick, tmp_path / "race.json", progress=False)
    assert race.label(own) == "MyRule" and result["lr_search"] == [] and len(result["runs"]) == 4
    gap = race.correct(result, own) != race.correct(result, "sign:Hinge")
    assert gap.any()  # another rule, another network
    race.difference(race.correct(result, own), race.correct(result, "sign:Hinge"))


def test_labels_and_activations():
    assert [race.label(c) for c in ("step:STE", "staircase-5:Hinge")] == ["STE, step", "Hinge, 5 steps"]
    assert repr(race.as_activation("step:STE")()) == "Step('STE')"
    assert repr(race.as_activation("staircase-5:Hinge")()) == "QuantReLU(5, 'Hinge')"


# --- the command -------------------------------------------------------------------------------------------------


def test_the_command_runs_a_race_and_refuses_what_it_cannot(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(race.RACES, "tiny", TINY)
    out = tmp_path / "race.json"
    args = ["race", "tiny", "--out", str(out), "--seeds", "1", "--contestants", "relu"]
    assert main(args) == 0
    assert "accuracy %" in capsys.readouterr().out and len(json.loads(out.read_text())["runs"]) == 1
    before = out.read_bytes()
    for more, message in [
        (["--epochs", "2"], "another race: epochs differ"),
        (["--contestants", "sign:FTPSH"], "did you mean 'FTP-SH'"),
        (["--contestants", "sign:no_rules.py:Mine"], "there is no file no_rules.py"),
    ]:
        assert main([*args, *more]) == 2
        assert message in capsys.readouterr().err
    assert main([*args[:-1], "staircase-1:SSTE"]) == 2 and "steps >= 2" in capsys.readouterr().err
    assert main(["race", "tinny"]) == 2 and "did you mean 'tiny'" in capsys.readouterr().err
    assert out.read_bytes() == before


@pytest.mark.parametrize("name", ["mlp", "mlp-live"])
def test_committed_results_are_whole(name):
    result = race.load(name)
    settings = result["settings"]
    assert settings == race._settings(race.RACES[name]), "made with other settings: run the race again"
    for contestant in settings["contestants"]:
        assert race.correct(result, contestant).shape[0] == settings["seeds"]
        assert {r["lr"] for r in result["runs"] if r["contestant"] == contestant} == {race.best_lr(result, contestant)}
