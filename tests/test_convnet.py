"""What notebook 05 and its exercises say beyond what their cells and checks assert, and the races that it loads."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ftpkit import QuantReLU, Sign, inside, models, race
from ftpkit.exercises import EXERCISES


def area(k, rule, form):
    z = torch.arange(-6 + 5e-4, 7, 1e-3, dtype=torch.float64).requires_grad_()
    QuantReLU(k, rule, form=form)(z).sum().backward()
    return z.grad.sum().item() * 1e-3


def test_the_five_steps_are_those_of_the_kit():
    told, kit = EXERCISES["five_steps"].reference, QuantReLU(5, "SSTE")
    z = torch.linspace(-1, 2, 3001, dtype=torch.float64)
    behind = z[1:][kit(z).diff() != 0]  # the first point of the grid above each threshold
    assert told["thresholds"] == pytest.approx(behind.tolist(), abs=2e-3)
    assert told["levels"] == pytest.approx(kit(z).unique().tolist())
    assert told["outputs"] == pytest.approx(kit(torch.tensor([0, 0.3, 1, 1.01])).tolist())


@pytest.mark.parametrize("k", [2, 3, 4, 5, 8, 9, 16])
def test_one_rounding_is_the_staircase_of_the_kit(k):
    z = torch.cat([torch.linspace(-2, 3, 2001), torch.arange(k) / (k - 1)])
    assert torch.equal(EXERCISES["quantise"].reference(z, k), QuantReLU(k, "SSTE")(z))


def test_one_step_is_what_the_solution_says():
    assert not EXERCISES["quantise"].reference(torch.linspace(-2, 3, 501), 1).any()
    with pytest.raises(ValueError, match="ftpkit.Step"):
        QuantReLU(1, "SSTE")


def test_the_ramp_has_the_areas_that_are_asked_for():
    told = EXERCISES["ramp_areas"].reference
    assert {form: round(area(3, "Ramp", form), 2) for form in ("single", "sum")} | {"more steps": "stays"} == told
    assert area(9, "Ramp", "sum") == pytest.approx(area(2, "Ramp", "sum"), abs=1e-6)
    assert [round(area(3, "SaturatedHinge", form), 2) for form in ("sum", "single")] == [2, 1]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 13, 18), (1, 2, 2)])
def test_parameters_are_those_of_the_kit(shape):
    told = EXERCISES["parameters_of_convnet4"]
    network = models.ConvNet4(nn.ReLU, input_shape=shape, classes=7)
    assert told.reference(*shape, 7) == models.count_parameters(network)
    if shape == (1, 28, 28):
        assert f"{models.count_parameters(network.fc3):,} of the {told.reference(*shape, 10):,}" in told.explanation


def test_a_map_s_training_set_gives_its_pre_activations_and_its_gradient():
    torch.manual_seed(0)
    network = models.ConvNet4(lambda: Sign("SSTE"), input_shape=(2, 8, 9))
    x, y = torch.randn(6, 2, 8, 9), torch.arange(6)
    z = network.conv1(x)
    z.retain_grad()
    F.cross_entropy(network[1:](z), y).backward()
    conv, t = network.conv1, -torch.sign(z.grad)
    for j in (0, 31):
        X, wanted = EXERCISES["training_set"].reference(x, t[:, j], 5, 3)
        chosen = t[:, j] != 0
        assert torch.equal(wanted, t[:, j][chosen])
        assert torch.allclose(X @ conv.weight[j].flatten() + conv.bias[j], z[:, j][chosen], atol=1e-5)
        assert torch.allclose(z.grad[:, j][chosen] @ X, conv.weight.grad[j].flatten(), atol=1e-7)


def test_the_bands_are_of_the_same_networks_as_the_live_race():
    looked = inside.load()
    raced = {(run["contestant"], run["seed"]): run["accuracy"] for run in race.load("convnet4-live")["runs"]}
    assert {run["contestant"] for run in looked["runs"]} == set(inside.CONTESTANTS) and len(looked["runs"]) == 30
    for run in looked["runs"]:
        assert run["accuracy"] == raced[run["contestant"], run["seed"]]
