"""`ftpkit.loop`: a run that stopped and went on is the run that never stopped, and options change what they should."""

import io
import itertools
import time
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ftpkit import QuantReLU, Rule, Sign, data, models
from ftpkit.data import Batches, Split
from ftpkit.loop import Training
from ftpkit.losses import UnknownName
from ftpkit.train import evaluate, fit


def images(n=70, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return Split(pixels, torch.arange(n) % 3, mean=0.5, std=0.25)


FTP_SH = partial(Sign, "FTP-SH")


def convnet(activation=FTP_SH, dropout=0.3):
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), activation(), nn.Dropout(dropout),
        nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), activation(), nn.Flatten(), nn.Linear(64, 3),
    )  # fmt: skip


def training(model=None, *, epochs=4, batch_size=16, seed=3, **settings):
    batches = Batches(images(), batch_size, shuffle=True, crop=1, flip=True, generator=torch.Generator().manual_seed(7))
    settings = {"lr": 0.01, "milestones": [2], "weight_decay": 1e-3} | settings
    judge = partial(evaluate, split=images(20, seed=1))
    return Training(model or convnet(), batches, judge, epochs=epochs, seed=seed, **settings)


def without_times(history):
    return [{key: value for key, value in record.items() if "second" not in key} for record in history]


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def after(batches):
    count = itertools.count()
    return lambda: next(count) >= batches


def same_weights(one, other):
    states = one.model.state_dict(), other.model.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][key], states[1][key]) for key in states[0]
    )


# --- stop and go on ------------------------------------------------------------------------------------------------

KINDS = {
    "adam": {},
    "sgd": {"optimizer": "sgd", "lr": 0.1},
    "one cycle": {"one_cycle": True, "milestones": []},
    "bf16": {"precision": "bf16"},
    "channels_last": {"channels_last": True},
}


@pytest.mark.parametrize("stop", [0, 1, 4, 5, 8, 13, 19])  # five batches an epoch: at its ends and within
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_stopped_and_went_on_equals_one_that_did_not(kind, stop):
    whole = training(**KINDS[kind])
    whole.run()
    first = training(**KINDS[kind])
    first.run(should_stop=after(stop))
    assert not first.finished and (first.epoch - 1) * 5 + first.step == stop
    state = through_a_file(first.state_dict())
    torch.manual_seed(stop)  # what the caller has drawn in between is of no matter
    torch.rand(stop)
    second = training(seed=99, **KINDS[kind])
    second.load_state_dict(state)
    second.run()
    assert second.finished and without_times(second.history) == without_times(whole.history)
    assert same_weights(second, whole)


def test_many_stops_in_one_run():
    whole = training(convnet(partial(QuantReLU, 5, "SSTE")))
    whole.run()
    state, rounds = None, 0
    while True:
        one = training(convnet(partial(QuantReLU, 5, "SSTE")))
        if state is not None:
            one.load_state_dict(state)
        one.run(should_stop=after(3))
        state, rounds = through_a_file(one.state_dict()), rounds + 1
        if one.finished:
            break
    assert rounds == 7 and same_weights(one, whole) and without_times(one.history) == without_times(whole.history)


def test_the_state_given_to_on_epoch_is_that_of_the_epochs_end():
    states = {}
    run = training()
    run.run(on_epoch=lambda record: states.update({record["epoch"]: through_a_file(run.state_dict())}))
    second = training()
    second.load_state_dict(states[2])
    assert second.epoch == 3 and second.step == 0 and [record["epoch"] for record in second.history] == [1, 2]
    second.run()
    assert same_weights(second, run)


def test_the_same_training_runs_on_after_a_stop():
    whole, halting = training(), training()
    whole.run()
    for batches in (3, 1, 6):
        halting.run(should_stop=after(batches))
    halting.run()
    assert same_weights(halting, whole) and without_times(halting.history) == without_times(whole.history)


def test_a_stop_keeps_the_seconds_of_the_epoch_under_way():
    run = training(epochs=1)
    run.run(should_stop=after(3))
    spent = run.seconds
    assert spent > 0
    time.sleep(0.2)
    [record] = run.run()
    assert spent < record["seconds"] < spent + 0.2 and record["data_seconds"] <= record["seconds"]


def test_the_callers_generator_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    training(model := convnet())
    torch.set_rng_state(before)
    training(model).run(should_stop=after(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_fit_is_a_training_run_to_its_end():
    split = images()
    one = convnet()
    history = fit(one, split, epochs=2, lr=0.01, batch_size=16, seed=4)
    other = convnet()
    batches = Batches(split, 16, shuffle=True, generator=torch.Generator().manual_seed(4))
    run = Training(other, batches, epochs=2, lr=0.01, seed=4)
    assert without_times(run.run()) == without_times(history)
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


# --- batches that begin in the middle, and parts of batches ---------------------------------------------------------


@pytest.mark.parametrize("augmented", [{}, {"crop": 2, "flip": True}])
def test_skipped_batches_are_drawn_all_the_same(augmented):
    def batches():
        return Batches(images(), 16, shuffle=True, generator=torch.Generator().manual_seed(2), **augmented)

    whole, late = batches(), batches()
    for expected, found in zip(list(whole)[3:], list(late.iterate(skip=3)), strict=True):
        assert torch.equal(expected[0], found[0]) and torch.equal(expected[1], found[1])
    assert torch.equal(whole.generator.get_state(), late.generator.get_state())
    assert list(whole.iterate(skip=5)) == []


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_shards_of_a_batch_together_are_the_batch(world, shuffle):
    def batches(shard):
        generator = torch.Generator().manual_seed(2)
        return Batches(images(), 16, shuffle=shuffle, crop=1, flip=True, generator=generator, shard=shard)

    shards = zip(*(batches((rank, world)) for rank in range(world)), strict=True)
    for (x, y), parts in zip(batches((0, 1)), shards, strict=True):
        assert torch.equal(x, torch.cat([part[0] for part in parts]))
        assert torch.equal(y, torch.cat([part[1] for part in parts]))
        assert max(len(part[0]) for part in parts) - min(len(part[0]) for part in parts) <= 1


# --- options ---------------------------------------------------------------------------------------------------------


def test_bf16_thresholds_are_those_of_the_rounded_pre_activation():
    seen = []
    model = convnet(dropout=0.0)
    model[2].register_forward_hook(lambda module, inputs, out: seen.append((inputs[0].detach(), out.detach())))
    training(model, epochs=1, precision="bf16").run()
    assert seen and all(z.dtype == h.dtype == torch.bfloat16 for z, h in seen)
    assert all(torch.equal(h, torch.where(z > 0, 1.0, -1.0).bfloat16()) for z, h in seen)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_channels_last_reaches_weights_and_images():
    formats = []
    model = convnet()
    model[0].register_forward_hook(
        lambda module, inputs, out: formats.append(out.is_contiguous(memory_format=torch.channels_last))
    )
    run = training(model, epochs=1, channels_last=True)
    run.run(should_stop=after(2))
    assert model[4].weight.is_contiguous(memory_format=torch.channels_last) and formats and all(formats)


def test_a_float64_network_stays_one():
    run = training(convnet(dropout=0.0).double(), epochs=1)
    run.batches.dtype = torch.float64
    run.evaluate = None
    run.run()
    assert run.total_loss.dtype == torch.float32 and run.history[0]["train_loss"] > 0
    assert all(p.dtype == torch.float64 for p in run.model.parameters())


def test_packed_memory_changes_no_weight():
    plain, packed = training(), training(memory="packed")
    plain.run()
    packed.run()
    assert same_weights(plain, packed) and without_times(plain.history) == without_times(packed.history)


@pytest.mark.parametrize("activation", [partial(Sign, "SSTE"), partial(QuantReLU, 3, "FTP-SH")])
def test_compiled_runs_have_the_same_first_step(activation):
    def first_loss(**settings):
        run = training(convnet(activation, dropout=0.0), epochs=1, **settings)
        run.run(should_stop=after(1))
        return run.total_loss.item(), run.model[0].weight.detach()

    plain, compiled = first_loss(), first_loss(compile="yes")
    assert plain[0] == pytest.approx(compiled[0], rel=1e-5)
    torch.testing.assert_close(plain[1], compiled[1], rtol=0, atol=1e-5)


def test_an_unweighted_rule_gets_the_scale_of_each_batch_also_the_smaller_last_one():
    model, scales = convnet(partial(Sign, Rule("Hinge", weighted=False))), []
    model[2].register_forward_hook(lambda module, *_: scales.append(module.scale) if module.training else None)
    training(model, epochs=1).run()
    assert scales == [1 / 16] * 4 + [1 / 6]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"compile": "cuda-graphs"}, "CUDA graphs need a CUDA device"),
        ({"compile": "yes", "memory": "packed"}, "choose one of the two"),
        ({"precision": "fp8"}, "there is no precision 'fp8'"),
        ({"memory": "pakced"}, "did you mean 'packed'"),
        ({"compile": "no", "epochs": 0}, "epochs is a whole number of at least 1, not 0"),
        ({"optimizer": "adan"}, "did you mean 'adam'"),
    ],
)
def test_combinations_that_make_no_sense(settings, message):
    with pytest.raises((ValueError, UnknownName), match=message):
        training(**settings)


def test_it_trains_the_bundled_images_better_than_chance():
    split = data.load("fashion-mnist-12k")
    torch.manual_seed(0)
    batches = Batches(split.train.subset(2000), 100, shuffle=True, generator=torch.Generator().manual_seed(0))
    model = models.ConvNet4(partial(Sign, "SSTE"))
    run = Training(model, batches, partial(evaluate, split=split.test.subset(500)), epochs=1, lr=1e-3)
    [record] = run.run()
    assert record["accuracy"] > 0.5
    assert F.cross_entropy(torch.zeros(1, 10), torch.zeros(1, dtype=torch.int64)).item() > record["train_loss"]
