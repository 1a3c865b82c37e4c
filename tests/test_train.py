"""`ftpkit.train`: the loop against one written out by hand, repeatable, and loud where something is wrong."""

import io
import itertools
import math
import re
import sys
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ftpkit import Rule, Sign, data, loop, models
from ftpkit.data import Batches, Split
from ftpkit.train import NonFiniteError, evaluate, fit, predict


def images(n=64, classes=3, seed=0, **stats):
    """Noise around one random 4x4 picture per class: easy to tell apart."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randint(256, (classes, 1, 4, 4), generator=torch.Generator().manual_seed(9))
    labels = torch.arange(n) % classes
    noise = torch.randint(-30, 31, (n, 1, 4, 4), generator=generator)
    return Split((centres[labels] + noise).clamp(0, 255).to(torch.uint8), labels, **stats)


def net(activation=lambda: Sign("FTP-SH"), *, norm=True, dropout=0.0, classes=3, seed=0):
    torch.manual_seed(seed)
    layers = [nn.Flatten(), nn.Linear(16, 12), *([nn.BatchNorm1d(12)] if norm else []), activation()]
    layers += [nn.Dropout(dropout), nn.Linear(12, 12), activation(), nn.Linear(12, classes)]
    return nn.Sequential(*layers)


def weights(model):
    return [tensor.clone() for tensor in model.state_dict().values()]


def on_training_batch(model, note):
    def hook(module, inputs, out):
        if module.training:
            note(out)

    model.register_forward_hook(hook)


def equal(one, other):
    return all(map(torch.equal, one, other))


# --- the loop --------------------------------------------------------------------------------------------------------


def test_one_epoch_against_a_loop_written_out_by_hand():
    split, test, model, twin = images(50), images(20, seed=1), net(), net()
    [record] = fit(model, split, test, epochs=1, lr=0.01, batch_size=16, weight_decay=0.01, crop=1, flip=True, seed=3)

    optimizer = torch.optim.Adam(twin.parameters(), lr=0.01, weight_decay=0.01, fused=True)
    order = torch.Generator().manual_seed(3)
    losses, hits = [], 0
    for x, y in Batches(split, 16, shuffle=True, crop=1, flip=True, generator=order):
        scores = twin(x)
        each = F.cross_entropy(scores, y, reduction="none")
        losses += each.tolist()
        hits += sum(a == b for a, b in zip(scores.argmax(1).tolist(), y.tolist(), strict=True))
        optimizer.zero_grad()
        each.mean().backward()
        optimizer.step()
    twin.eval()
    x, y = next(iter(Batches(test, 20)))
    scores = twin(x)

    for one, other in zip(weights(model), weights(twin), strict=True):
        torch.testing.assert_close(one, other)
    assert record["epoch"] == 1 and record["lr"] == 0.01
    assert record["train_loss"] == pytest.approx(sum(losses) / 50, rel=1e-5)
    assert record["train_accuracy"] == hits / 50
    assert record["test_loss"] == pytest.approx(F.cross_entropy(scores, y).item(), rel=1e-5)
    assert record["test_accuracy"] == (scores.argmax(1) == y).double().mean().item()
    assert record["images_per_second"] == pytest.approx(50 / record["seconds"])
    assert not model.training


def test_it_learns_and_the_records_are_plain():
    seen = []
    model, split = net(), images(90)
    history = fit(model, split, images(30, seed=1), epochs=8, lr=0.01, batch_size=10, on_epoch=seen.append)
    assert history == seen and [record["epoch"] for record in history] == list(range(1, 9))
    names = "epoch lr train_loss train_accuracy seconds data_seconds images_per_second test_loss test_accuracy".split()
    assert all(list(record) == names for record in history)
    assert {type(value) for record in history for value in record.values()} == {int, float}
    assert history[-1]["test_accuracy"] == 1 and history[-1]["train_loss"] < history[0]["train_loss"] / 2
    assert "test_loss" not in fit(model, split, epochs=1, lr=0.01)[0]


def test_it_trains_a_model_of_the_kit_on_the_bundled_images():
    split = data.load("fashion-mnist-12k")
    torch.manual_seed(0)
    model = models.MLP(lambda: Sign("FTP-SH"), hidden=(32,))
    history = fit(model, split.train.subset(1000), split.test.subset(500), epochs=3, lr=3e-3, batch_size=50)
    assert history[-1]["test_accuracy"] > 0.6


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, [0.01] * 4),
        ({"milestones": (2,)}, [0.01, 0.01, 0.001, 0.001]),  # after two epochs, that is from the third on
        ({"milestones": [1, 3]}, [0.01, 0.001, 0.001, 0.0001]),
        ({"milestones": (9,)}, [0.01] * 4),
    ],
)
def test_learning_rates_fall_after_the_milestones(settings, expected):
    rates = []
    spy = spy_on_learning_rate(rates)
    history = fit(net(), images(20), epochs=4, lr=0.01, batch_size=10, optimizer=spy, **settings)
    assert [record["lr"] for record in history] == pytest.approx(expected)
    assert rates == pytest.approx([rate for rate in expected for _ in range(2)])  # both steps of each epoch


def spy_on_learning_rate(rates):
    class Spy(torch.optim.Adam):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    return Spy


def test_one_cycle_is_torchs_one_cycle_over_all_steps():
    rates = []
    fit(net(), images(30), epochs=4, lr=0.02, batch_size=10, one_cycle=True, optimizer=spy_on_learning_rate(rates))
    optimizer = torch.optim.Adam(net().parameters())
    schedule, expected = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=12), []
    for _ in range(12):
        expected += schedule.get_last_lr()
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(expected) and max(rates) < 0.0201 and max(rates) > 0.019


def test_sgd_has_momentum_and_takes_weight_decay():
    split, model, twin = images(20), net(), net()
    fit(model, split, epochs=2, lr=0.1, batch_size=20, optimizer="sgd", weight_decay=0.01)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for x, y in itertools.chain(*itertools.repeat(Batches(split, 20), 2)):
        optimizer.zero_grad()
        F.cross_entropy(twin(x), y).backward()
        optimizer.step()
    for one, other in zip(weights(model), weights(twin), strict=True):
        torch.testing.assert_close(one, other)


def test_unweighted_rules_get_the_scale_of_each_batch():
    scales = []
    model = net(lambda: Sign(Rule("Hinge", weighted=False)))
    on_training_batch(model, lambda out: scales.append((model[3].scale, len(out))))
    fit(model, images(25), epochs=1, lr=0.01, batch_size=10)
    assert scales == [(1 / 10, 10), (1 / 10, 10), (1 / 5, 5)]


def test_frozen_weights_stay():
    model = net()
    model[1].requires_grad_(False)
    before = weights(model[1])
    fit(model, images(), epochs=1, lr=0.1, weight_decay=0.1)
    assert equal(before, weights(model[1]))


# --- the same result twice -------------------------------------------------------------------------------------------


def run(seed=0, draws=0, split=None, norm=True, **settings):
    model = net(dropout=0.2, norm=norm)
    torch.rand(draws)  # what the caller does with the global generator in the meantime
    settings = {"epochs": 2, "lr": 0.01, "batch_size": 10, "crop": 1, "flip": True} | settings
    history = fit(model, split or images(), images(30, seed=1), seed=seed, **settings)
    numbers = [{key: value for key, value in record.items() if "second" not in key} for record in history]
    return weights(model), numbers


def test_the_same_result_twice_whatever_the_callers_generator():
    first, second = run(), run(draws=5)
    assert equal(first[0], second[0]) and first[1] == second[1]


def test_the_seed_decides_the_order():
    plain = {"crop": 0, "flip": False, "batch_size": 32}
    one, other = ([x for x, _ in seen] for seen in (batches_of(0, **plain), batches_of(1, **plain)))
    assert not equal(one, other) and sorted_images(one) == sorted_images(other)


def test_the_seed_decides_crops_and_flips():
    alone = images(1)  # one image: no order left
    for settings in ({"crop": 2, "flip": False}, {"crop": 0, "flip": True}):
        seen = [[x for x, _ in batches_of(seed, alone, epochs=9, batch_size=4, **settings)] for seed in (0, 0, 1)]
        assert equal(seen[0], seen[1]) and not equal(seen[0], seen[2])


def test_the_seed_decides_dropout():
    alone = {"split": images(1), "norm": False, "crop": 0, "flip": False}
    assert equal(run(seed=0, **alone)[0], run(seed=0, draws=5, **alone)[0])
    assert not equal(run(seed=0, **alone)[0], run(seed=1, **alone)[0])


def batches_of(seed, split=None, epochs=1, **settings):
    """What the model is fed in training: a list of (x, scores)."""
    model, seen = net(norm=False), []
    model.register_forward_hook(lambda module, inputs, out: seen.append((inputs[0], out)) if module.training else None)
    fit(model, split or images(), epochs=epochs, lr=0.01, seed=seed, **settings)
    return seen


def sorted_images(batches):
    return sorted(torch.cat(batches).flatten(1).tolist())


def test_the_callers_generator_is_left_alone():
    torch.manual_seed(5)
    model, before = net(dropout=0.5), torch.random.get_rng_state()
    fit(model, images(), images(), epochs=1, lr=0.01, crop=1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_looking_more_often_changes_nothing():
    assert equal(run(check_every=1)[0], run(check_every=1000)[0])


# --- numbers that are not finite -------------------------------------------------------------------------------------


def plant_at(step, plant):
    """A should_stop that never stops, and calls `plant` before the training step with this number (from 1)."""
    steps = itertools.count(1)
    return lambda: plant() if next(steps) == step else False


def spoil(tensor, value=math.nan):
    tensor.data.view(-1)[0] = value


def test_a_nan_in_the_first_weight_is_found_though_the_loss_stays_finite():
    model, split, done, healthy = net(norm=False), images(150), [], []
    on_training_batch(model, lambda out: healthy.append(bool(out.isfinite().all())))
    plant = plant_at(13, lambda: spoil(model[1].weight))
    with pytest.raises(
        NonFiniteError, match="by training step 21, not finite: the weight and bias of layer '1'"
    ) as caught:
        fit(model, split, epochs=9, lr=0.01, batch_size=5, should_stop=plant, on_epoch=done.append)
    assert healthy == [True] * 22  # what the guard saw through: 21 steps and the replay
    assert caught.value.layer == "1" and caught.value.history == done == []


def test_the_history_so_far_comes_with_the_error():
    model, done = net(), []
    plant = plant_at(13, lambda: spoil(model[1].weight))
    with pytest.raises(
        NonFiniteError, match="after epoch 3, not finite: .* layer '1' .*, and by now weights of 1 more"
    ) as caught:
        fit(model, images(40), epochs=9, lr=0.01, batch_size=8, should_stop=plant, on_epoch=done.append)
    assert caught.value.history == done and [record["epoch"] for record in done] == [1, 2]
    assert all(math.isfinite(value) for record in done for value in record.values())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("layer", ["0.1.weight", "0.1.bias", "0.2.running_var", "1.0.weight", "1.0.bias", "1.2.bias"])
def test_the_guard_names_the_right_layer(layer, value):
    name, _, what = layer.rpartition(".")
    if what == "running_var" and value == math.inf:
        value = math.nan  # a division by infinity is finite
    torch.manual_seed(0)
    front = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), Sign("FTP-SH"))
    model = nn.Sequential(front, nn.Sequential(nn.Linear(8, 8), Sign("FTP-SH"), nn.Linear(8, 3)))
    plant = plant_at(3, lambda: spoil(getattr(model.get_submodule(name), what), value))
    every = (
        1 if name == "1.2" else 3
    )  # behind the last threshold NaN reaches the loss, and with the next step all layers
    with pytest.raises(NonFiniteError) as caught:
        fit(model, images(40), epochs=1, lr=0.01, batch_size=10, check_every=every, should_stop=plant)
    assert caught.value.layer == name
    assert re.search(rf"step {3 if every == 1 else 4}, not finite: the .*{what}.* of layer '{name}'", str(caught.value))


def test_where_all_layers_are_lost_the_error_says_so():
    model = net()
    with pytest.raises(NonFiniteError, match="weight and bias of layer '1' .Linear., and by now weights of 3"):
        fit(model, images(40), epochs=1, lr=0.01, should_stop=plant_at(3, lambda: spoil(model[7].bias)), batch_size=5)


def test_a_relu_network_is_watched_as_well():
    model = net(nn.ReLU)
    with pytest.raises(NonFiniteError) as caught:
        fit(model, images(), epochs=1, lr=0.01, should_stop=plant_at(1, lambda: spoil(model[5].bias, math.inf)))
    assert caught.value.layer == "5"


def test_a_pre_activation_that_no_layer_made():
    class Shortcut(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.out, self.size = Sign("SSTE"), nn.Linear(16, 3), 1.0

        def forward(self, x):
            return self.out(self.act(x.flatten(1) * self.size))

    model = Shortcut()
    with pytest.raises(NonFiniteError, match="pre-activation of layer 'act'"):
        fit(
            model,
            images(),
            epochs=1,
            lr=0.01,
            on_epoch=print,
            should_stop=plant_at(1, lambda: setattr(model, "size", math.inf)),
        )


def test_an_overflowing_output_with_finite_weights():
    model = net(nn.ReLU, norm=False)
    model[1].weight.data.fill_(1e25), model[4].weight.data.fill_(1e25)
    before = weights(model)
    with pytest.raises(NonFiniteError, match="the output of layer '4'") as caught:
        fit(model, images(mean=0, std=1), epochs=1, lr=0.01)
    assert caught.value.layer == "4" and equal(before, weights(model))  # stopped before the weights were touched


def test_a_loss_that_overflows_though_no_layer_does():
    model = net()
    model[7].weight.data.zero_()
    model[7].bias.data.copy_(torch.tensor([3e38, -3e38, 0]))
    with pytest.raises(NonFiniteError, match="the loss, though every layer's output is") as caught:
        fit(model, images(), epochs=1, lr=0.01)
    assert caught.value.layer == "loss"


def test_images_that_are_not_finite():
    model, split = net(), images(mean=0.0, std=1e-40)  # x / 1e-40 overflows
    with pytest.raises(NonFiniteError, match="the input, as normalised by the split's mean and std") as caught:
        fit(model, split, epochs=1, lr=0.01)
    assert caught.value.layer == "input"
    with pytest.raises(NonFiniteError, match="in evaluation, not finite: the input"):
        evaluate(model, split)


def test_a_weight_that_no_output_depends_on():
    model = net()
    model[3].unused = nn.Parameter(torch.ones(2))
    with pytest.raises(NonFiniteError, match="the unused of layer '3'"):
        fit(model, images(), epochs=1, lr=0.01, should_stop=plant_at(1, lambda: spoil(model[3].unused)))


def test_an_alarm_without_a_cause_is_forgotten():
    model = net()
    model.register_buffer("big", torch.full((2,), 1e30))  # its norm overflows in float32, it does not
    assert len(fit(model, images(), epochs=2, lr=0.01, check_every=1)) == 2


def test_it_looks_at_every_step_on_request_and_else_every_few():
    for check_every, found in [(1, 8), (5, 11), (20, 21)]:
        model = net()
        with pytest.raises(NonFiniteError, match=f"by training step {found},"):
            fit(model, images(50), epochs=3, lr=0.01, batch_size=2, check_every=check_every,
                should_stop=plant_at(8, lambda model=model: spoil(model[1].weight)))  # fmt: skip


@pytest.mark.parametrize("test", [None, images(30, seed=1)])
def test_the_end_of_every_epoch_looks_at_all_layers(test):
    model = net()
    with pytest.raises(NonFiniteError) as caught:  # after step 1 nothing is due until step 21, but the epoch has 4
        fit(
            model,
            images(40),
            test,
            epochs=2,
            lr=0.01,
            batch_size=10,
            should_stop=plant_at(3, lambda: spoil(model[5].weight)),
        )
    assert caught.value.layer == "5" and caught.value.history == []


def test_a_late_reading_as_on_a_gpu_finds_the_same_one_look_later(monkeypatch):
    class Late(loop.Guard):
        def __init__(self, *args):
            super().__init__(*args)
            self.late = True

    monkeypatch.setattr(loop, "Guard", Late)
    model = net()
    with pytest.raises(NonFiniteError, match="weight and bias of layer '1'") as caught:
        fit(model, images(50), epochs=3, lr=0.01, batch_size=2, check_every=5,
            should_stop=plant_at(8, lambda: spoil(model[1].weight)))  # fmt: skip
    assert "by training step 11," in str(caught.value)
    assert len(fit(net(), images(50), epochs=2, lr=0.01, batch_size=2, check_every=5)) == 2


def test_the_replay_leaves_the_model_as_it_was():
    model = net(dropout=0.5)
    fit(model, images(), epochs=1, lr=0.01)
    spoil(model[1].weight)
    before = weights(model)
    with pytest.raises(NonFiniteError, match="in evaluation, not finite: the weight of layer '1' .Linear.;"):
        evaluate(model, images())
    assert all(torch.equal(a.nan_to_num(7), b.nan_to_num(7)) for a, b in zip(before, weights(model), strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


# --- evaluate and predict --------------------------------------------------------------------------------------------


def test_evaluate_and_predict_against_a_second_computation():
    model, split = net(dropout=0.5, seed=2), images(23)
    x, y = next(iter(Batches(split, 23)))
    model.eval()
    scores = model(x)
    model.train()
    model[2].eval()
    flags, before = [module.training for module in model.modules()], weights(model)
    expected = {"loss": F.cross_entropy(scores, y).item(), "accuracy": (scores.argmax(1) == y).double().mean().item()}
    for batch_size in (1, 10, 1000):
        assert evaluate(model, split, batch_size) == pytest.approx(expected)
        assert predict(model, split, batch_size).tolist() == scores.argmax(1).tolist()
    assert predict(model, split).dtype == torch.int64
    assert flags == [module.training for module in model.modules()] and equal(before, weights(model))


# --- stopping, and what is shown -------------------------------------------------------------------------------------


def test_it_stops_within_one_batch_and_keeps_finished_epochs():
    stop, batches = threading.Event(), []
    model = net()
    on_training_batch(model, lambda out: batches.append(len(out)))

    def stop_in_the_second_epoch():
        if len(batches) == 6:
            stop.set()
        return stop.is_set()

    history = fit(model, images(40), epochs=5, lr=0.01, batch_size=10, should_stop=stop_in_the_second_epoch)
    assert [record["epoch"] for record in history] == [1] and len(batches) == 6 and not model.training


def test_an_interrupt_keeps_the_model_and_the_records_so_far():
    def interrupt():
        raise KeyboardInterrupt

    model, records = net(), []
    generator = torch.random.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        fit(
            model,
            images(40),
            epochs=5,
            lr=0.01,
            batch_size=10,
            on_epoch=records.append,
            should_stop=plant_at(7, interrupt),
        )
    assert [record["epoch"] for record in records] == [1] and not model.training
    assert not equal(weights(model), weights(net())) and torch.equal(generator, torch.random.get_rng_state())


@pytest.mark.parametrize("progress", [None, False, True])
def test_the_bar_is_on_stderr_and_only_on_request_where_that_is_no_terminal(progress, capfd):
    fit(net(), images(), images(), epochs=2, lr=0.01, progress=progress)
    out, err = capfd.readouterr()
    assert out == "" and bool(err) == bool(progress)
    if progress:
        assert "2/2" in err and "test_accuracy=" in err


def test_the_bar_shows_by_itself_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    fit(net(), images(), epochs=2, lr=0.01)
    assert "2/2" in sys.stderr.getvalue()


# --- bad input -------------------------------------------------------------------------------------------------------

BUDGET = {"epochs": 1, "lr": 0.01}


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"epochs": 0}, "epochs is a whole number of at least 1, not 0"),
        ({"epochs": 1.5}, "epochs is a whole number"),
        ({"epochs": True}, "epochs is a whole number"),
        ({"lr": 0}, "lr is a positive number, for Adam about 1e-3, not 0"),
        ({"lr": -1e-3}, "lr is a positive number"),
        ({"lr": math.nan}, "lr is a positive number, for Adam about 1e-3, not nan"),
        ({"lr": math.inf}, "lr is a positive number"),
        ({"batch_size": 0}, "batch_size is a whole number of at least 1, not 0"),
        ({"check_every": 0}, "check_every is a whole number of at least 1, not 0"),
        ({"milestones": (2, 0)}, re.escape("milestones[1] is a whole number of at least 1, not 0")),
        ({"milestones": (1,), "one_cycle": True}, "choose one"),
        ({"optimizer": "adma"}, "there is no optimizer 'adma'; did you mean 'adam'. The names are: adam, sgd"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there"),
        ({"device": "gpu"}, "device 'gpu' is not there"),
        ({"crop": 9}, "crop must be between 0 and 4"),
    ],
)
def test_a_budget_that_makes_no_sense(settings, message):
    model = net()
    before = weights(model)
    with pytest.raises(ValueError, match=message):
        fit(model, images(), **BUDGET | settings)
    assert equal(before, weights(model))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_asked_for_and_absent():
    with pytest.raises(ValueError, match="device 'cuda' is not there .*device='cpu' always is"):
        fit(net(), images(), **BUDGET, device="cuda")


def test_labels_out_of_range():
    with pytest.raises(ValueError, match="label 4 has no output: the model has 3, for labels 0 to 2"):
        fit(net(), images(classes=5), **BUDGET)
    model = net()
    with pytest.raises(ValueError, match="label 4 has no output"):  # in the test split, and before any training
        fit(model, images(), images(classes=5), **BUDGET)
    assert equal(weights(model), weights(net()))
    with pytest.raises(ValueError, match="label 4 has no output"):
        evaluate(net(), images(classes=5))


def test_data_that_are_no_split():
    both = data.load("fashion-mnist-12k")
    for call in (lambda: fit(net(), both, **BUDGET), lambda: evaluate(net(), both), lambda: predict(net(), both)):
        with pytest.raises(TypeError, match="needs a Split, such as data.load.name..train, not a DataSet"):
            call()
    with pytest.raises(ValueError, match="at least one image"):
        Split(torch.zeros(0, 1, 4, 4, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize(
    "n, batch_size, better", [(21, 10, "take batch_size=11"), (6, 1, "take batch_size=2"), (1, 4, "take more images")]
)
@pytest.mark.parametrize("build", [net, lambda: models.MLP(nn.ReLU, (1, 4, 4), 3, (5,))])
def test_a_batch_of_one_under_batch_norm(n, batch_size, better, build):
    model = build()
    before = weights(model)
    with pytest.raises(ValueError, match=f"with {n} images and batch_size={batch_size} .* single image, .*{better}"):
        fit(model, images(n, mean=0, std=1), **BUDGET, batch_size=batch_size)
    assert equal(before, weights(model))


def test_a_batch_of_one_where_it_does_no_harm():
    feature_maps = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    for model, n, batch_size in [
        (net(norm=False), 21, 10),  # no batch norm
        (feature_maps, 21, 10),  # four positions per channel
        (net(), 22, 10),  # two images in the last batch
        (net(), 21, 11),  # what the error suggests
    ]:
        assert len(fit(model, images(n), **BUDGET, batch_size=batch_size)) == BUDGET["epochs"]


def test_models_that_do_not_fit():
    with pytest.raises(ValueError, match=re.escape("expects inputs of shape (B, 1, 28, 28)")):
        fit(models.MLP(nn.ReLU), images(), **BUDGET)
    with pytest.raises(ValueError, match=re.escape("one score per class, shape (batch, classes), not shape (2, 3, 1)")):
        fit(nn.Sequential(net(), nn.Unflatten(1, (3, 1))), images(), **BUDGET)
    with pytest.raises(ValueError, match="no weights to train"):
        fit(net().requires_grad_(False), images(), **BUDGET)
    scattered = net()
    scattered[7].to("meta")
    with pytest.raises(ValueError, match="several devices .cpu, meta."):
        fit(scattered, images(), **BUDGET)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_data_follow_the_model_and_nan_is_found():
    model, split = net().cuda(), images()
    history = fit(model, split, images(30, seed=1), epochs=8, lr=0.01, batch_size=10)
    assert history[-1]["test_accuracy"] > 0.9 and predict(model, split).device.type == "cpu"
    assert next(fit(cpu := net(), split, **BUDGET, device="cuda") and cpu.parameters()).is_cuda
    with pytest.raises(NonFiniteError) as caught:
        fit(model, split, epochs=3, lr=0.01, batch_size=2, should_stop=plant_at(8, lambda: spoil(model[1].weight)))
    assert caught.value.layer == "1"
