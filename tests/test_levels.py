"""What notebook 06 and its exercises say beyond what their cells and checks assert, and the races that it loads."""

import re
from dataclasses import replace
from pathlib import Path

import hygiene
import pytest
import torch

from ftpkit import RULES, QuantReLU, Rule, race
from ftpkit.exercises import EXERCISES
from ftpkit.rounding import LAYERS, rounded

BOOK = hygiene.read(Path(__file__).parents[1] / "notebooks" / "06_quantized_activations.ipynb")
LAYER = "hidden layer 1, untrained"


def rounding(z, k):
    return (z.clamp(0, 1) * k).round() / k


def test_what_the_demo_shows_is_what_the_first_exercise_says():
    z = LAYERS[LAYER]()
    states = {"before": (3, 1.0), "more steps": (6, 1.0), "wider range": (3, 2.0)}
    found = {}
    for move, (steps, range) in states.items():
        layer = rounded(z, steps, range)
        passed = ((z >= 0) & (z <= range)).double().mean().item()
        found[move] = {"rounding": layer.rms, "clipping": layer.clipping**0.5, "gradient": passed}
    for move, told in EXERCISES["effects"].reference.items():
        for what, word in told.items():
            change = found[move][what] - found["before"][what]
            assert word == ("stays" if abs(change) < 1e-9 else "grows" if change > 0 else "falls")
    told = re.findall(r"\d+\.\d+|\d+ %", EXERCISES["effects"].explanation)
    before, finer, wider = found.values()
    assert told == [
        *(f"{each['rounding']:.3f}" for each in (before, finer, wider)),
        *(f"{each['clipping']:.2f}" for each in (finer, wider)),
        *(f"{100 * each['gradient']:.0f} %" for each in (finer, wider)),
    ]


@pytest.mark.parametrize("k", [2, 3, 5, 9, 17])
def test_shares_are_those_of_the_kit(k):
    level_shares = EXERCISES["level_shares"].reference
    for layer in ("numbers spread evenly over 0 to 1", LAYER):
        z = LAYERS[layer]()
        assert level_shares(z, k).tolist() == pytest.approx(rounded(z, k).shares, abs=1e-6)


@pytest.mark.parametrize("r", [1, 2, 3, 7, 17])
def test_as_many_steps_as_measured(r):
    even = LAYERS["numbers spread evenly over 0 to 1"]()
    k = EXERCISES["steps_for"].reference(r)
    goal = (rounding(even, r) - even).square().mean().item() * (1 + 1e-6)
    assert rounded(even, k).rounding <= goal
    assert k == 2 or rounded(even, k - 1).rounding > goal


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_one_loss_sends_back_what_the_sum_sends_back(k):
    z, g = torch.linspace(-1.93, 2.97, 4001, dtype=torch.float64), torch.randn(4001, dtype=torch.float64)
    sent = []
    for activation in (
        QuantReLU(k, Rule(EXERCISES["sum_as_one_loss"].reference(k))),
        QuantReLU(k, "SaturatedHinge", form="sum"),
    ):
        leaf = z.clone().requires_grad_()
        activation(leaf).backward(g)
        sent.append(leaf.grad)
    assert torch.allclose(*sent)


def test_the_networks_of_the_two_quantisers_are_one_family():
    """Behind batch norm a network of staircases does what one of rounding quantisers does, to the last image."""
    torch.manual_seed(0)
    k, z = 5, torch.randn(4000, 3, dtype=torch.float64)
    a, b = EXERCISES["shift_and_stretch"].reference(k)
    norm, stretched = (torch.nn.BatchNorm1d(3, dtype=torch.float64) for _ in range(2))
    stretched.weight.data.mul_(a)
    stretched.bias.data.mul_(a).add_(b)
    stairs = QuantReLU(k, "STE")(stretched(z))
    assert torch.equal(rounding(norm(z), k), stairs) and len(stairs.unique()) == k + 1


def test_the_race_of_the_own_loss_runs(monkeypatch):
    (code,) = (
        code
        for cell in BOOK["cells"]
        if cell["cell_type"] == "markdown"
        for code in re.findall(r"```python\n(.*?)```", "".join(cell["source"]), re.DOTALL)
    )
    small = replace(race.RACES["levels-live"], epochs=1, train_size=300)
    monkeypatch.setitem(race.RACES, "levels-live", small)
    monkeypatch.setitem(RULES, "SumOfHinges", Rule(EXERCISES["sum_as_one_loss"].reference(3)))
    names = {"replace": replace, "race": race}
    exec(code, names)
    assert code.rstrip().splitlines()[-1].startswith("print(race.difference(")
    assert [run["seed"] for run in names["own"]["runs"]] == [0, 0, 1, 1, 2, 2]


def test_the_race_has_runs_in_common_with_that_of_notebook_04():
    """Same settings but for the learning rates to choose from: where the same one was chosen, the same runs."""
    levels, mlp = race.load("levels"), race.load("mlp")
    for contestant in ("relu", "sign:SSTE", "sign:FTP-SH"):
        assert race.best_lr(levels, contestant) == race.best_lr(mlp, contestant)
        assert (race.correct(levels, contestant) == race.correct(mlp, contestant)).all()


@pytest.mark.parametrize("name", ["levels", "levels-live"])
def test_committed_results_are_whole(name):
    result = race.load(name)
    settings = result["settings"]
    assert settings == race._settings(race.RACES[name]), "made with other settings: run the race again"
    images = 10_000 if name == "levels" else 2_000
    searched = {(r["contestant"], r["lr"], r["seed"]) for r in result["lr_search"]}
    assert len(searched) == len(result["lr_search"]) == (16 * 5 * 3 if name == "levels" else 0)
    for contestant in settings["contestants"]:
        assert race.correct(result, contestant).shape == (10, images)
        assert {r["lr"] for r in result["runs"] if r["contestant"] == contestant} == {race.best_lr(result, contestant)}


def test_no_learning_rate_of_the_race_lies_at_an_end_of_the_grid():
    result = race.load("levels")
    inner = result["settings"]["lrs"][1:-1]
    assert {race.best_lr(result, c) for c in result["settings"]["contestants"]} <= set(inner)
