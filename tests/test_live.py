"""Races while they run: the same runs as `train.fit` to the last bit, stopped within a batch, one at a time."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
import torch

from ftpkit import RULES, Rule, data, live, race, train
from ftpkit.live import Busy, Live
from ftpkit.losses import LOSSES, Loss
from ftpkit.names import NETWORKS, as_activation
from ftpkit.paired import difference
from ftpkit.standings import batches_of


def settings(*contestants, **other):
    budget = dict(lrs=(3e-3,), epochs=2, seeds=2, train_size=500, test="fashion-mnist-12k") | other
    return race.Race(budget.pop("network", "mlp"), contestants or ("sign:FTP-SH", "relu"), **budget)


LONG = settings(epochs=50, seeds=1)


def own(name, monkeypatch, targets):
    monkeypatch.setitem(RULES, name, Rule("SoftHinge", targets, name=name))


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def nothing_runs_on():
    yield
    assert live.running() is None and not [t for t in threading.enumerate() if t.name == "ftpkit race"]


# --- the same runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["mlp", "convnet4"])
def test_every_run_is_what_fit_makes_of_it_to_the_last_bit(network):
    seeds, epochs = {"mlp": (2, 2), "convnet4": (1, 1)}[network]
    rivals = ("sign:FTP-SH", "staircase-3:SSTE")[:epochs]
    small = settings(*rivals, network=network, seeds=seeds, epochs=epochs)
    going = Live(small)
    models, made = {}, live._Rival.__init__

    def note(rival, *args):
        made(rival, *args)
        models[args[1:]] = rival.model

    live._Rival.__init__ = note
    try:
        progress = going.run()
    finally:
        live._Rival.__init__ = made
    images = live.images_of("fashion-mnist-12k", 500)
    assert len(models) == len(progress.runs) == len(rivals) * seeds
    for run in progress.runs:
        torch.manual_seed(run.seed)
        model = NETWORKS[network](as_activation(run.contestant), (1, 28, 28))
        history = train.fit(model, images.train, epochs=epochs, lr=3e-3, one_cycle=True, seed=run.seed, progress=False)
        theirs = models[run.contestant, run.seed].state_dict()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())
        assert (run.correct == (train.predict(model, images.test, 100) == images.test.labels).numpy()).all()
        assert run.accuracy[-1] == (5 * epochs, run.correct.mean())
        assert run.batches == (5, 10)[:epochs] and run.loss == pytest.approx(
            [record["train_loss"] for record in history]
        )


def test_the_table_is_the_races_own():
    small = settings("relu", "sign:SSTE", "sign:STE", seeds=3, epochs=1)
    progress, result = Live(small).run(), race.run(small, progress=False)
    for row in progress.table():
        hits = race.correct(result, row["contestant"])
        assert (hits == progress.correct(row["contestant"])).mean() > 0.999, "judged in other portions"
        values = 100 * progress.correct(row["contestant"]).mean(axis=1)
        assert row["mean"] == pytest.approx(values.mean()) and row["seeds"] == 3
        assert row["error"] == pytest.approx(np.std(values, ddof=1) / 3**0.5)
    found = progress.differences()
    assert len(found) == 3 and all(d.mean >= 0 for d in found.values())
    for (a, b), d in found.items():
        assert d == difference(progress.correct(a), progress.correct(b))


def test_flips_and_gradients_are_those_of_the_probes(monkeypatch):
    """Gradients: of the watched batch, done again from the weights before it; flips: counted from the outputs."""
    small = settings("sign:SSTE", "relu", epochs=1, seeds=1, train_size=1000)
    seen = []
    go = live._Rival._go

    def watched(rival, steps):
        go(rival, steps)
        if rival.run.contestant == "sign:SSTE":
            seen.append({name: tensor.clone() for name, tensor in rival.model.state_dict().items()})

    monkeypatch.setattr(live._Rival, "_go", watched)
    run = Live(small).run().runs[0]
    images = live.images_of("fashion-mnist-12k", 1000)
    order = torch.Generator().manual_seed(0)
    batches = list(data.Batches(images.train, 100, shuffle=True, generator=order))
    torch.manual_seed(0)
    model = NETWORKS["mlp"](as_activation("sign:SSTE"), (1, 28, 28))
    x = next(iter(data.Batches(images.test, 100)))[0]

    def outputs():
        with torch.no_grad():
            first = model.eval().act1(model.bn1(model.fc1(model.flatten(x))))
            return first, model.act2(model.bn2(model.fc2(first)))

    before = outputs()
    for n, (last_but_one, after) in enumerate(zip(seen[::2], seen[1::2], strict=True)):
        model.load_state_dict(last_but_one)
        model.train()
        h1 = model.act1(model.bn1(model.fc1(model.flatten(batches[5 * n + 4][0]))))
        h2 = model.act2(model.bn2(model.fc2(h1)))
        loss = torch.nn.functional.cross_entropy(model.fc3(h2), batches[5 * n + 4][1])
        sizes = [float(g.square().mean().sqrt()) for g in torch.autograd.grad(loss, [h1, h2])]
        assert run.gradients[n] == pytest.approx(sizes, rel=1e-4)
        model.load_state_dict(after)
        now = outputs()
        assert run.flips[n] == pytest.approx([float((a != b).float().mean()) for a, b in zip(before, now, strict=True)])
        before = now


# --- start, stop, error ----------------------------------------------------------------------------------------------


def test_it_stops_within_a_batch():
    for _ in range(5):
        going = Live(LONG)
        going.start()
        until(lambda going=going: going.batches > 3)
        before = going.batches
        going.stop()
        at_stop = going.batches
        assert going.join(20)
        assert before <= at_stop <= going.progress.batches <= at_stop + 1
        assert going.progress.phase == "stopped" and going.progress.seeds == 0 and going.progress.table() == []


def test_it_stops_between_two_test_images_too(monkeypatch):
    """Judging takes longer than a batch; a stop in its midst is heard after a portion of it."""
    judged = []
    going = Live(settings(epochs=1))

    def predict(model, split, batch_size):
        judged.append(len(split))
        going.stop()
        return train.predict(model, split, batch_size)

    monkeypatch.setattr(live, "predict", predict)
    going.run()
    assert judged == [100] and going.progress.phase == "stopped"


def test_an_error_in_the_thread_is_said(monkeypatch):
    def targets(g, z, h):
        raise ArithmeticError("no targets today")

    own("Broken", monkeypatch, targets)
    going = Live(settings("sign:Broken", "relu"))
    going.start()
    assert going.join(20)
    assert going.progress.phase == "failed" and going.progress.error == "ArithmeticError: no targets today"
    with pytest.raises(ArithmeticError, match="no targets today"):
        Live(settings("sign:Broken", "relu")).run()


def test_weights_that_are_not_finite_are_said(monkeypatch):
    nan = Loss("Nan", lambda z, t: z, lambda z, t: z * float("nan"))
    monkeypatch.setitem(RULES, "Nan", Rule(nan, name="Nan"))
    with pytest.raises(train.NonFiniteError):
        Live(settings("sign:Nan", "relu")).run()
    assert "Nan" not in LOSSES


def test_one_race_at_a_time():
    first = Live(LONG)
    first.start()
    try:
        for way in ("start", "run"):
            with pytest.raises(Busy, match="FTP-SH against ReLU on mlp is running, .* of 500 batches"):
                getattr(Live(LONG), way)()
        assert live.running() is first
    finally:
        first.stop()
        first.join(20)
    assert Live(settings(epochs=1, seeds=1)).run().phase == "finished"


def test_an_interrupt_keeps_what_is_complete():
    told = []

    def show(progress):
        told.append(progress)
        if progress.phase == "running" and progress.seeds == 1:
            raise KeyboardInterrupt

    ticks = iter(range(10_000))
    going = Live(settings(seeds=5, epochs=1), show, clock=lambda: 10.0 * next(ticks))
    going.pause = -np.inf
    with pytest.raises(KeyboardInterrupt):
        going.run()
    assert told[-1].phase == "stopped" and told[-1].seeds == 1 and going.progress is told[-1]


def test_what_makes_no_race_is_refused_before():
    for wrong in (
        settings("relu", "relu"),
        settings("sign:Nobody"),
        settings(network="mpl"),
        settings(lrs=(1e-3, 1e-2)),
    ):
        with pytest.raises(ValueError):
            Live(wrong)


# --- updates, generators, what is left -------------------------------------------------------------------------------


def test_at_most_five_updates_a_second():
    """By an injected clock: a stretch of batches takes 50 ms, and drawing takes longer and longer."""
    now, told = [0.0], []

    def clock():
        now[0] += 0.05
        return now[0]

    def show(progress):
        told.append((now[0], progress.phase))
        now[0] += 0.01 * len(told)

    small = settings(train_size=1000, epochs=5)
    Live(small, show, clock).run()
    times = [at for at, phase in told if phase == "running"]
    assert told[-1][1] == "finished" and len(times) > 3 and times[0] == 0.05
    assert min(np.diff(times)) >= 0.2
    for n, (at, later) in enumerate(zip(times, times[1:], strict=False), 1):
        assert later - at >= 4 * 0.01 * n, "drawing takes a quarter of the time at most"


def test_whoever_holds_the_lock_makes_it_wait():
    lock = threading.RLock()
    going = Live(LONG, lock=lock)
    going.start()
    until(lambda: going.batches > 0)
    with lock:
        time.sleep(0.2)
        before = going.batches
        time.sleep(0.3)
        assert going.batches == before
    until(lambda: going.batches > before)
    going.stop()
    assert going.join(20)


def test_the_readers_generators_are_their_own():
    """What the main thread seeds and draws while a race trains is what it seeds and draws without one."""

    def drawn():
        torch.manual_seed(3)
        values = []
        for _ in range(50):
            values.append(torch.rand(3))
            time.sleep(0.002)
        return torch.stack(values), torch.get_rng_state()

    alone = drawn()
    going = Live(settings(epochs=30, seeds=1))
    going.start()
    until(lambda: going.batches > 0)
    beside = drawn()
    assert going.alive, "or nothing is tested"
    going.stop()
    going.join(20)
    assert all(map(torch.equal, alone, beside))
    assert torch.equal(torch.get_rng_state(), beside[1])
    torch.manual_seed(4)
    before = torch.get_rng_state()
    Live(settings(epochs=1, seeds=1)).run()
    assert torch.equal(torch.get_rng_state(), before)


def test_starts_and_stops_leave_nothing_behind():
    before, gone = threading.active_count(), []
    for n in range(20):
        going = Live(LONG)
        going.start()
        if n % 2:
            until(lambda going=going: going.batches > 0)
        going.stop()
        assert going.join(20)
        gone.append(weakref.ref(going))
    del going
    gc.collect()
    assert threading.active_count() == before and not any(ref() for ref in gone)


def test_python_ends_while_a_race_runs():
    code = """
import time
from ftpkit import live, race
going = live.Live(race.Race("mlp", ("relu", "sign:STE"), (3e-3,), epochs=500, test="fashion-mnist-12k"))
going.start()
while going.batches < 2: time.sleep(0.01)
print("bye")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "bye\n", "")


def test_batches_of_a_race():
    assert batches_of(settings(train_size=501)) == 2 * 2 * 6 * 2
