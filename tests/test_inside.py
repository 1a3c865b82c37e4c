"""What is measured inside the small networks, and that they are the networks of the race."""

import torch
from torch import nn

from ftpkit import QuantReLU, SaturatedReLU, Sign, data, inside, models, probe, race


def test_before_and_after_are_what_the_activations_take_and_give():
    torch.manual_seed(0)
    model = models.ConvNet4(lambda: Sign("SSTE"))
    x = torch.randn(3, 1, 28, 28)
    found = inside.before_and_after(model, x)
    assert list(found) == ["act1", "act2", "act3"]
    for z, h in found.values():
        assert z.shape == h.shape and torch.equal(h, torch.where(z > 0, 1.0, -1.0))
    assert torch.equal(found["act3"][0], model[:8](x)) and model.training


def test_level_shares_against_counting():
    z = torch.tensor([[-1.0, 0.25], [0.75, 3.0], [0.0, 1.0], [0.5, 2.0]])
    for activation, values in [
        (Sign("STE"), [-1, 1]),
        (QuantReLU(3, "STE"), [0, 1 / 3, 2 / 3, 1]),
        (nn.ReLU(), None),
        (SaturatedReLU(), None),
    ]:
        (record,) = inside.layers(nn.Sequential(activation), z)
        h = activation(z)
        if values is None:
            counted = [(h == 0).sum(), (h > 0).sum()]
            if isinstance(activation, SaturatedReLU):
                counted = [(h == 0).sum(), ((h > 0) & (h < 1)).sum(), (h == 1).sum()]
        else:
            counted = [(h - value).abs().lt(1e-6).sum() for value in values]
        assert record["levels"] == [float(count) / 8 for count in counted]


def test_layers_are_the_probes_records():
    torch.manual_seed(1)
    model = models.ConvNet4(lambda: QuantReLU(3, "FTP-SH"))
    x = torch.randn(20, 1, 28, 28)
    with probe.record(model) as log:
        model(x)
    for mine, theirs in zip(inside.layers(model, x), log.records, strict=True):
        assert {key: mine[key] for key in ("depth", "saturated", "dead")} == {
            key: theirs[key] for key in ("depth", "saturated", "dead")
        }
        assert len(mine["levels"]) == 4 and abs(sum(mine["levels"]) - 1) < 1e-6


def test_one_trains_the_network_of_the_race():
    small = race.Race("convnet4", ("sign:FTP-SH",), (1e-3,), 1, seeds=2, train_size=200, test="fashion-mnist-12k")
    images = data.load("fashion-mnist-12k")
    few = data.holdout(images.train, 200)[1]
    found = inside.one("sign:FTP-SH", 1, small, few, images.test, images=50)
    raced = race.run(small, progress=False)["runs"][1]
    assert (found["seed"], found["accuracy"]) == (raced["seed"], raced["accuracy"])
    assert 0 < found["filters_moved"] < 1 and [layer["depth"] for layer in found["layers"]] == [1, 2, 3]
