"""`ftpkit.processes`: two processes train one network as one process does, and neither waits for one that is gone."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import ddp_runs as runs
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from PIL import Image

from ftpkit import data, loop, models
from ftpkit.__main__ import main
from ftpkit.processes import ALONE, Processes, together
from ftpkit.train import check_fit, evaluate

SCRIPT = Path(runs.__file__)
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What both processes saw; one start of them serves all tests, because it takes most of the time."""
    folder = tmp_path_factory.mktemp("two")
    one = runs.training(runs.convnet4())
    one.run(should_stop=runs.after(6))
    torch.save(one.state_dict(), folder / "by_one.pt")
    done = subprocess.run([*TORCHRUN, SCRIPT, folder], capture_output=True, text=True, timeout=300)
    assert (folder / "rank0.pt").exists() and (folder / "rank1.pt").exists(), done.stderr
    first, second = (torch.load(folder / f"rank{rank}.pt", weights_only=False) for rank in (0, 1))
    return folder, first, second


def assert_near(state, other, tolerance=1e-12):
    assert state.keys() == other.keys()
    for name in state:
        torch.testing.assert_close(state[name], other[name], rtol=0, atol=tolerance)


def equal(state, other):
    return state.keys() == other.keys() and all(torch.equal(state[name], other[name]) for name in state)


def assert_same_epochs(history, other, keys=("epoch", "lr", "train_loss", "train_accuracy")):
    assert len(history) == len(other) > 0
    for record, expected in zip(history, other, strict=True):
        assert {key: record[key] for key in keys} == pytest.approx({key: expected[key] for key in keys}, rel=1e-12)


# --- the same weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", runs.SPLIT_IN_TWO)
def test_batches_split_in_two_give_the_weights_that_one_process_gives(two, name):
    activation, settings = runs.SPLIT_IN_TWO[name]
    model = runs.convnet4(activation)
    before = runs.copy_of(model)
    alone = runs.training(model, **settings)
    alone.run()
    assert all((alone.model.state_dict()[key] - before[key]).abs().max() > 1e-3 for key in before)
    for seen in two[1:]:
        state, history = seen["split_in_two"][name]
        assert_near(state, alone.model.state_dict())
        assert_same_epochs(history, alone.history)


# --- batch norm ------------------------------------------------------------------------------------------------------


def by_hand(epochs=3):
    """Both parts of each batch through one network, each normalised by itself; the running statistics of the first."""
    model = runs.normed()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)
    shards = [runs.batches_of(runs.noise(67), 15, shard=(rank, 2)) for rank in range(2)]
    for _ in range(epochs):
        loss_sum = right = 0
        for parts in zip(*shards, strict=True):
            (x, y), (other_x, other_y) = parts
            scores = model(x)
            aside = {name: buffer.clone() for name, buffer in model.named_buffers()}
            others = torch.func.functional_call(model, aside, other_x)
            scores, labels = torch.cat([scores, others]), torch.cat([y, other_y])
            loss = F.cross_entropy(scores, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(labels)
            right += (scores.argmax(dim=1) == labels).sum().item()
        yield runs.copy_of(model) | {"train_loss": loss_sum / 67, "train_accuracy": right / 67}


def test_batch_norm_takes_each_part_for_itself_and_the_records_count_all_images(two):
    histories = [seen["batch_norm"] for seen in two[1:]]
    for expected, *records in zip(by_hand(), *histories, strict=True):
        for record in records:
            found = {name: record[name] for name in expected}
            assert found.pop("train_loss") == pytest.approx(expected["train_loss"], rel=1e-12)
            assert found.pop("train_accuracy") == expected["train_accuracy"]
            assert_near(found, {name: expected[name] for name in found})


def test_all_processes_are_judged_with_the_same_running_statistics(two):
    for record, other in zip(*(seen["batch_norm"] for seen in two[1:]), strict=True):
        assert record["1.running_mean"].abs().max() > 0
        assert all(torch.equal(record[name], other[name]) for name in record if isinstance(record[name], torch.Tensor))


# --- stop and go on --------------------------------------------------------------------------------------------------


def test_all_stop_when_one_is_told_and_go_on_bit_equal_with_dropout(two):
    for seen in two[1:]:
        states, (whole, second), place, _ = seen["dropout"]
        assert place == (2, 3)
        assert equal(states[0], states[1]) and equal(states[0], states[2])
        assert_same_epochs(second, whole)  # what was counted before the stop is counted once


def test_each_process_draws_its_own_dropout(two):
    kept, other = (seen["dropout"][3] for seen in two[1:])
    masks = [(a, b) for a, b in zip(kept, other, strict=True) if not (a.all() and b.all())]  # not in evaluation
    assert len(masks) == 12 and not any(torch.equal(a, b) for a, b in masks)


def test_one_process_goes_on_where_two_stopped(two):
    folder, *both = two
    assert [seen["goes_on_alone"] for seen in both] == [(2, 3), (2, 3)]
    whole, late = runs.training(runs.convnet4()), runs.training(runs.convnet4())
    whole.run()
    late.load_state_dict(torch.load(folder / "by_two.pt", weights_only=True))
    late.run()
    assert_near(late.model.state_dict(), whole.model.state_dict())
    assert_same_epochs(late.history, whole.history)


def test_two_processes_go_on_where_one_stopped(two):
    whole = runs.training(runs.convnet4())
    whole.run()
    for seen in two[1:]:
        state, history = seen["went_on_from_one"]
        assert_near(state, whole.model.state_dict())
        assert_same_epochs(history, whole.history)


def test_packed_memory_changes_no_weight(two):
    assert all(equal(*seen["packed_memory"]) for seen in two[1:])


# --- sums, flags, and what goes wrong --------------------------------------------------------------------------------


def test_sums_flags_and_parts(two):
    for rank, seen in enumerate(two[1:]):
        found = seen["sums_and_flags"]
        assert found["one"] == (rank, 2, torch.device("cpu"), rank == 0)
        assert found["seen"].tolist() == [1] * 7 and found["whole"].tolist() == list(range(7))
        assert found["fewer"].tolist() == [1]  # one image for two processes
        assert found["any"] == [False, True, True, True] and found["total"].tolist() == [3]


def test_the_process_that_saw_it_says_what_is_not_finite(two):
    (lost, said, replays), (other, found, replays_too) = (seen["error"] for seen in two[1:])
    assert (replays, replays_too) == (1, 1)  # together, because batch norm on GPUs waits for the others in it
    assert lost == "ProcessLost" and said.endswith(": one has ended, and what it said is the reason")
    assert other == "NonFiniteError"
    assert found.startswith("by training step 3, not finite: the output of layer '1' (Burst)")


def test_who_waits_for_a_process_that_died_or_stalls_is_told():
    def start(way, rank, port):
        variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
        environment = os.environ | {"MASTER_ADDR": "localhost"} | {key: str(value) for key, value in variables.items()}
        return subprocess.Popen([sys.executable, SCRIPT, way], env=environment, stdout=subprocess.PIPE, text=True)

    ports = zip(("dies", "stalls"), free_ports(), strict=True)
    ways = {way: [start(way, rank, port) for rank in range(2)] for way, port in ports}
    try:
        said = {way: first.communicate(timeout=240)[0] for way, (first, _) in ways.items()}
    finally:
        for _, second in ways.values():
            second.kill()
            second.wait()
    lost = "process 0 of 2 cannot go on with the others: one has"
    assert said["dies"] == f"{lost} ended, and what it said is the reason\n"
    assert said["stalls"] == f"{lost} not answered for 3 seconds\n"


def free_ports(n=2):
    with_sockets = [socket.socket() for _ in range(n)]
    for one in with_sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in with_sockets]
    for one in with_sockets:
        one.close()
    return ports


# --- one process, and no group ---------------------------------------------------------------------------------------


@pytest.fixture
def torchrun(monkeypatch):
    """The environment of the first of four processes that torchrun starts, with two GPUs."""
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "4")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(dist, "is_nccl_available", lambda: True)
    return monkeypatch


def join(device=None):
    with together(device):
        pass


@pytest.mark.parametrize("device", [None, "cuda"])
def test_more_processes_than_gpus(torchrun, device):
    with pytest.raises(ValueError, match=r"torchrun --nproc_per_node=4, but 2 GPUs are here: take --nproc_per_node=2"):
        join(device)


def test_one_gpu_for_several_processes(torchrun):
    with pytest.raises(ValueError, match="4 processes cannot share cuda:1: say cuda, and each takes its own"):
        join("cuda:1")


def test_a_device_on_which_processes_cannot_talk(torchrun):
    with pytest.raises(ValueError, match="several processes train on cuda or on cpu, not on mps"):
        join("mps")


@pytest.mark.parametrize("backend, device", [("gloo", "cpu"), ("nccl", "cuda"), ("gloo", "cuda")])
def test_a_torch_without_the_backend(torchrun, backend, device):
    torchrun.setattr(dist, f"is_{backend}_available", lambda: False)
    with pytest.raises(ValueError, match=f"this PyTorch was built without {backend}, by which processes on {device}"):
        join(device)


def test_half_of_the_environment(torchrun):
    torchrun.delenv("MASTER_PORT")
    with pytest.raises(ValueError, match="LOCAL_RANK is set, but not MASTER_PORT: start several processes by torchrun"):
        join("cpu")


def test_no_torchrun_is_one_process(torchrun):
    torchrun.delenv("LOCAL_RANK")  # some clusters set RANK and WORLD_SIZE for every job
    with together("cpu") as processes:
        assert processes == ALONE and not dist.is_initialized()
    model, values = runs.convnet4(), torch.arange(3)
    assert processes.wrap(model) is model and processes.total(values) is values
    assert (processes.any(True), processes.any(False), processes.shard) == (True, False, (0, 1))


def test_a_batch_with_fewer_images_than_processes():
    with pytest.raises(
        ValueError, match="with 67 images and batch_size=15 the last batch has 7, too few for 8 processes"
    ):
        runs.training(runs.convnet4(), Processes(rank=0, world=8))


# --- python -m ftpkit train ------------------------------------------------------------------------------------------


@pytest.fixture
def clothes(tmp_path, monkeypatch):
    """A folder beside which runs are made: 48 training images, and 3 test images, of which a half is one."""
    bundled = data.load("fashion-mnist-12k")
    for part, split, each in (("train", bundled.train, 16), ("test", bundled.test, 1)):
        for label in (1, 7, 8):
            folder = tmp_path / "clothes" / part / bundled.classes[label]
            folder.mkdir(parents=True)
            for i, image in enumerate(split.subset(split.labels == label).images[:each]):
                Image.fromarray(image[0].numpy()).save(folder / f"{i:02}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


TRAIN = "train bundled-convnet4-sign-ftpsh --data clothes --epochs 8 --batch-size 9 --device cpu --out run --resume"


def metrics():
    return [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]


def test_two_processes_write_one_run_which_stops_and_goes_on_with_one_and_with_two(clothes, monkeypatch, capsys):
    with open("said", "w") as said:
        two = subprocess.Popen([*TORCHRUN, "-m", "ftpkit", *TRAIN.split()], stderr=said)
    while two.poll() is None and not (Path("run/metrics.jsonl").exists() and metrics()):
        time.sleep(0.05)
    two.terminate()
    assert two.wait(timeout=240) != 0
    said = Path("said").read_text()
    assert said.count("stopped and saved at epoch") == 1
    assert f"go on with torchrun --nproc_per_node=2 -m ftpkit {TRAIN}" in said
    first = metrics()
    assert 0 < len(first) < 8

    monkeypatch.setattr(loop, "set_scale", stop_at(10, loop.set_scale))
    assert main(TRAIN.split()) == 128 + signal.SIGTERM
    assert f"go on with python -m ftpkit {TRAIN}" in capsys.readouterr().err
    second = metrics()
    assert second[: len(first)] == first and len(second) - len(first) in (1, 2)

    done = subprocess.run([*TORCHRUN, "-m", "ftpkit", *TRAIN.split()], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    third = metrics()
    assert third[: len(second)] == second and [record["epoch"] for record in third] == list(range(1, 9))
    assert done.stdout.count("epoch 8 of 8") == 1
    sessions = json.loads(Path("run/environment.json").read_text())
    assert [session["processes"] for session in sessions] == [2, 1, 2]

    model = models.ConvNet4(runs.FTP_SH, classes=3)
    model.load_state_dict(torch.load("run/checkpoint.pt", weights_only=True)["model"])
    found = evaluate(model, data.load("clothes").test)
    assert third[-1]["test_accuracy"] == found["accuracy"] and third[-1]["train_accuracy"] > 0.9
    assert third[-1]["test_loss"] == pytest.approx(found["loss"], rel=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", ["", "--precision bf16 --channels-last --memory packed"])
def test_on_gpus_by_nccl_with_batch_norm_over_all(clothes, options):
    world = min(2, torch.cuda.device_count())
    command = [*TORCHRUN[:-1], f"--nproc_per_node={world}", "-m", "ftpkit", *TRAIN.split(), *options.split()]
    command = [{"bundled-convnet4-sign-ftpsh": "bundled-convnet8-sign-ftpsh", "cpu": "cuda"}.get(x, x) for x in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert [record["epoch"] for record in metrics()] == list(range(1, 9))
    assert all(math.isfinite(record["train_loss"]) for record in metrics())


def stop_at(step, set_scale):
    steps = iter(range(1, 10**6))

    def stopping(model, scale):
        if next(steps) == step:
            signal.raise_signal(signal.SIGTERM)
        set_scale(model, scale)

    return stopping


def test_batch_norm_of_a_single_image_in_one_of_the_processes():
    split = runs.noise(12)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3), torch.nn.BatchNorm1d(3))
    check_fit(model, split, None, 9)
    with pytest.raises(ValueError, match="batch_size=9 a batch would hold a single image for one of 2 processes.*=12$"):
        check_fit(model, split, None, 9, world=2)  # the last three: one and two
