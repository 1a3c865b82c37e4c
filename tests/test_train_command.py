"""`python -m ftpkit train`: whatever stops a run, it ends as if nothing had; what cannot be is said in a sentence."""

import errno
import json
import multiprocessing
import os
import random
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from ftpkit import data, loop, train
from ftpkit.__main__ import main
from ftpkit.names import NETWORKS
from ftpkit.presets import PRESETS, Preset
from ftpkit.runs import feed, read
from ftpkit.runs.config import Config, build
from ftpkit.runs.folder import Folder
from ftpkit.runs.session import sentence

TINY = Preset(
    "tiny", "tiny", "sign:FTP-SH", "images", "adam", 0.01, 1e-4, epochs=4, milestones=(2, 3), batch_size=16, crop=2,
    flip=True,
)  # fmt: skip
FILES = replace(TINY, name="tiny-files", data="imagenet", resize=30, crop=28)
CLOCKS = {"seconds", "data_seconds", "images_per_second"}
OWN_RULE = """
from ftpkit import Loss, Rule

MyRule = Rule(Loss("Patient", lambda z, t: 1 - (t * z).clamp(-3, 1),
                   lambda z, t: -t * ((t * z > -3) & (t * z <= 1)).to(z.dtype)), weighted=False)
"""


def tiny(activation, input_shape=(1, 28, 28), classes=10):
    """Batch norm, which keeps statistics, and dropout, which draws."""
    return nn.Sequential(
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(input_shape[0] * input_shape[1] * input_shape[2] // 4, 16),
        nn.BatchNorm1d(16), activation(), nn.Dropout(0.3), nn.Linear(16, 16), activation(), nn.Linear(16, classes),
    )  # fmt: skip


def known():
    """What this file adds to the kit's tables, in this process or in another one."""
    NETWORKS["tiny"] = tiny
    PRESETS.update({preset.name: preset for preset in (TINY, FILES)})


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The tables with what this file adds to them, and a folder of one's own to run in; Ctrl-C as in a shell."""
    monkeypatch.setitem(NETWORKS, "tiny", tiny)
    for preset in (TINY, FILES):
        monkeypatch.setitem(PRESETS, preset.name, preset)
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of 120 training and 45 test images of three kinds of clothes."""
    from PIL import Image

    root, bundled = tmp_path_factory.mktemp("data") / "clothes", data.load("fashion-mnist-12k")
    for part, split, each in (("train", bundled.train, 40), ("val", bundled.test, 15)):
        for label in (0, 1, 7):
            folder = root / part / bundled.classes[label].replace("/", " ")
            folder.mkdir(parents=True)
            for i, image in enumerate(split.subset(split.labels == label).images[:each]):
                Image.fromarray(image[0].numpy()).save(folder / f"{i:02}.png")
    return root


def started(*args, out="run", preset="tiny"):
    return main(["train", preset, "--out", str(out), "--device", "cpu", *map(str, args)])


def checkpoint(folder):
    return torch.load(Path(folder) / "checkpoint.pt", weights_only=True)


def equal(one, other):
    """To the last bit, whatever holds what; but for the time that it took."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.dtype == other.dtype
    if isinstance(one, dict):
        keys = one.keys() - CLOCKS
        return keys == other.keys() - CLOCKS and all(equal(one[key], other[key]) for key in keys)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def metrics(folder):
    return [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]


def same_run(one, other):
    assert equal(checkpoint(one), checkpoint(other))
    assert equal(metrics(one), metrics(other)) and metrics(one)
    assert (Path(one) / "config.json").read_text() == (Path(other) / "config.json").read_text()
    return True


def signal_at_step(patch, step, number):
    """Send a signal to this process in the middle of this training step."""
    steps = iter(range(1, 10**6))

    def set_scale(model, scale, real=loop.set_scale):
        if next(steps) == step:
            signal.raise_signal(number)
        real(model, scale)

    patch.setattr(loop, "set_scale", set_scale)


def signal_at_epoch(patch, epoch, number):
    """Send a signal to this process when this epoch's line is written."""

    def add(folder, record, real=Folder.add):
        if record["epoch"] == epoch:
            signal.raise_signal(number)
        real(folder, record)

    patch.setattr(Folder, "add", add)


# --- stopped and taken up again ----------------------------------------------------------------------------------

CASES = {
    "Adam, FTP-SH": [],
    "SGD, staircase": ["--optimizer", "sgd", "--activation", "staircase-3:FTP-SH", "--seed", 3],
    "own rule, unweighted": ["--activation", "sign:my_rules.py:MyRule"],
    "held out, packed": ["--val", 24, "--activation", "sign:SSTE", "--memory", "packed", "--batch-size", 17],
    "bf16, channels last": ["--precision", "bf16", "--channels-last"],
}


@pytest.mark.parametrize("case", CASES)
def test_a_stopped_run_ends_like_one_that_was_not(case, images, monkeypatch, capsys):
    Path("my_rules.py").write_text(OWN_RULE)
    args = ["--data", images, *CASES[case]]
    assert started(*args, out="whole") == 0
    stops = [
        (signal_at_step, 1, signal.SIGTERM),  # in the first step of all
        (signal_at_step, 6, signal.SIGINT),  # in the middle of the first epoch
        (signal_at_epoch, 2, signal.SIGTERM),
        (signal_at_step, 4, signal.SIGTERM),
        (signal_at_epoch, 3, signal.SIGINT),
    ]
    capsys.readouterr()
    for i, (interrupt, when, number) in enumerate(stops):
        with monkeypatch.context() as patch:
            interrupt(patch, when, number)
            assert started(*args, *["--resume"] * (i > 0)) == 128 + number
        out, said = capsys.readouterr()
        assert ("goes on in run" in out) == (i > 0) and " before and " not in out
        assert "go on with python -m ftpkit train tiny --out run" in said and said.rstrip().endswith("--resume")
    assert started(*args, "--resume") == 0
    assert same_run("run", "whole")
    assert [session["finished"] for session in read("run").environment] == [False] * 5 + [True]


def test_stopping_places_are_said_and_kept(images, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        signal_at_step(patch, 11, signal.SIGTERM)  # eight batches of 16 images, the last one smaller
        assert started("--data", images) == 143
    assert "stopped and saved at epoch 2, batch 3 of 8" in capsys.readouterr().err
    assert started("--data", images, "--resume", "--epochs", 5) == 2  # another configuration changes nothing
    assert "epochs is 4 there and 5 here" in capsys.readouterr().err
    sessions = json.loads(Path("run/environment.json").read_text())
    Path("run/environment.json").write_text(json.dumps([sessions[0] | {"threads": 77, "torch": "1.0"}]))
    assert started("--data", images, "--resume") == 0
    out = capsys.readouterr().out
    assert "torch 1.0 before and" in out and f"threads 77 before and {torch.get_num_threads()} now: numbers are" in out
    assert "goes on in run with epoch 2 of 4, batch 4" in out and "epoch 4 of 4: lr 0.0001" in out
    best = max(metrics("run"), key=lambda record: record["test_accuracy"])
    assert f"best {100 * best['test_accuracy']:.2f} % at {best['epoch']}, " in out.splitlines()[-1]


def test_a_run_of_files_that_are_read_one_by_one_goes_on_too(images, monkeypatch):
    args = ["--data", images, "--workers", 0, "--epochs", 2, "--val", 20]
    assert started(*args, preset="tiny-files", out="whole") == 0
    with monkeypatch.context() as patch:
        signal_at_step(patch, 3, signal.SIGTERM)
        assert started(*args, preset="tiny-files") == 143
    assert started(*args[:3], 1, *args[4:], "--resume", preset="tiny-files") == 0  # with another number of workers
    assert same_run("run", "whole")
    run = read("run")
    assert run.config["data"] | {"sha256": 0} == {
        "name": "clothes", "train": 120, "test": 45, "shape": [3, 28, 28], "classes": 3, "sha256": 0,
    }  # fmt: skip
    assert "val_accuracy" in run.metrics[0]


def test_an_own_rule_goes_on_from_its_copy_but_not_from_a_changed_file(images, monkeypatch, capsys):
    Path("my_rules.py").write_text(OWN_RULE)
    args = ["--data", images, "--activation", "sign:my_rules.py:MyRule", "--epochs", 2]
    assert started(*args, out="whole") == 0
    with monkeypatch.context() as patch:
        signal_at_step(patch, 3, signal.SIGTERM)
        assert started(*args) == 143
    Path("my_rules.py").write_text(OWN_RULE.replace("-3", "-2"))
    assert started(*args, "--resume") == 2
    assert "the SHA-256 of the own rule's file is" in capsys.readouterr().err
    Path("my_rules.py").unlink()
    assert started(*args, "--resume") == 0
    assert f"its copy {Path('run/rules/my_rules.py')} is taken" in capsys.readouterr().out
    assert same_run("run", "whole")


def test_a_second_ctrl_c_ends_it_at_once_and_costs_no_finished_epoch(images, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        signal_at_epoch(patch, 2, signal.SIGINT)
        signal_at_step(patch, 16, signal.SIGINT)  # the last of this epoch comes first

        def add(folder, record, real=Folder.add):
            real(folder, record)
            if record["epoch"] == 2:
                signal.raise_signal(signal.SIGINT)

        patch.setattr(Folder, "add", add)
        assert started("--data", images) == 130
    assert "interrupted at once, without saving: 2 finished epochs" in capsys.readouterr().err
    assert len(checkpoint("run")["history"]) == 1
    assert started("--data", images, "--resume") == 0 == started("--data", images, out="whole")
    assert same_run("run", "whole")


def test_a_finished_run_is_never_touched(images, capsys):
    args = ["--data", images, "--epochs", 1]
    assert started(*args) == 0
    before = {path: path.read_bytes() for path in Path("run").iterdir()}
    assert started(*args) == 2 and "finished run, which is left as it is" in capsys.readouterr().err
    assert started(*args, "--resume") == 0
    assert "run is finished, with 1 epochs: there is nothing left to do" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in Path("run").iterdir()} == before


# --- killed ------------------------------------------------------------------------------------------------------


def in_another_process(args, moment="", count=0, wire=None, said=Path(os.devnull)):
    """The target of a process: train, and be killed when `moment` comes for the time number `count`.

    wire: told of it instead, where somebody else is to do the killing. said: where its output goes.
    """
    torch.set_num_threads(1)  # another number of threads adds up in another order
    known()
    sys.stdout = sys.stderr = said.open("w")
    if moment:
        MOMENTS[moment](iter([None] * (count - 1)), (lambda: wire.send(None)) if wire else kill_me)
    sys.exit(main(["train", "tiny", *map(str, args)]))


def kill_me():
    os.kill(os.getpid(), signal.SIGKILL)


def at(module, name, *, half=False):
    """Arranges that a call of this function is the moment: before it, or, where it writes, when half of it is done."""

    def arrange(left, act):
        real = getattr(module, name)

        def call(*args, **kwargs):
            if next(left, True) is not None:
                if half:  # args: an object and an open file
                    real(args[0], whole := Path("whole.tmp"))
                    args[1].write(whole.read_bytes()[:5000])
                    args[1].flush()
                act()
            return real(*args, **kwargs)

        setattr(module, name, call)

    return arrange


def in_a_line(left, act):
    def add(folder, record, real=Folder.add):
        if next(left, True) is not None:
            with open(folder.path / "metrics.jsonl", "a") as file:
                file.write(json.dumps(record)[: 20 + 9 * record["epoch"]])
            act()
        real(folder, record)

    Folder.add = add


MOMENTS = {
    "before a file is on the disk": at(os, "fsync"),
    "before a file is renamed": at(os, "replace"),
    "in the middle of a checkpoint": at(torch, "save", half=True),
    "before a line": at(Folder, "add"),
    "in the middle of a line": in_a_line,
    "between line and checkpoint": at(Folder, "save"),
    "when the session begins": at(Folder, "begin"),
    "before its end is noted": at(Folder, "end"),
    "in a step": at(loop, "set_scale"),
    "while it judges": at(feed, "_sums"),
}
ONCE = {"when the session begins", "before its end is noted"}


@pytest.fixture(scope="module")
def processes():
    """Processes forked from one that has imported all that takes long: they start at once, and can be killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ftpkit.runs.command", "torch._dynamo", "PIL.Image", "pytest"])
    return context


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_at_any_moment_a_run_loses_at_most_the_epoch_under_way(images, processes):
    """20 kills from outside, a while after some step began, and two from inside in each moment that matters."""
    args = ["--data", images, "--device", "cpu", "--epochs", 40, "--out"]
    kills = {"outside": 0, "inside": 0}

    def session(out, *moment, delay=None):
        near, far = processes.Pipe() if delay is not None else (None, None)
        process = processes.Process(target=in_another_process, args=([*args, out, "--resume"], *moment, far))
        process.start()
        if near is not None:
            far.close()
            with suppress(EOFError):  # it is finished
                near.recv()
                process.join(delay)
                process.kill()
        process.join(100)
        assert process.exitcode in (0, -signal.SIGKILL)
        if process.exitcode:
            kills["inside" if delay is None else "outside"] += 1

    session("whole", "", 0)
    dice = random.Random(0)
    plan = [((moment, 1), None) for moment in MOMENTS]
    plan += [((moment, dice.randrange(2, 5)), None) for moment in MOMENTS if moment not in ONCE]
    plan += [(("in a step", dice.randrange(1, 25)), dice.uniform(0, 0.15)) for _ in range(20)]
    dice.shuffle(plan)
    number = epochs = 0
    while plan:
        out = Path(f"killed{number}")
        moment, delay = plan.pop()
        session(out, *moment, delay=delay)
        done = len(checkpoint(out)["history"]) if (out / "checkpoint.pt").exists() else 0
        lines = (out / "metrics.jsonl").read_text().count("\n") if (out / "metrics.jsonl").exists() else 0
        assert epochs <= done <= lines <= done + 1
        epochs = done
        if not plan or done >= 30:
            session(out, "", 0)
            assert same_run(out, "whole")
            number, epochs = number + 1, 0
    assert kills["inside"] == 2 * len(MOMENTS) - len(ONCE) and kills["outside"] >= 16, kills


# --- what is written down ----------------------------------------------------------------------------------------


def test_a_record_says_what_its_weights_do(images):
    """Against `evaluate` and sums written out, from the weights in the checkpoint; and loss and halves over all."""
    assert started("--epochs", 1, "--val", 9500, "--data", "fashion-mnist-12k") == 0
    [record], state = metrics("run"), checkpoint("run")
    config = Config.from_json(Path("run/config.json").read_text())
    model = build(config)
    model.load_state_dict(state["model"])
    model.eval()
    bundled = data.load("fashion-mnist-12k")
    rest, held = data.holdout(bundled.train, 9500)
    assert config.data.train == 10_000 and len(rest) == 500 and config.milestones == ()
    for name, split in (("test", bundled.test), ("val", held)):
        found = train.evaluate(model, split)
        assert record[f"{name}_accuracy"] == found["accuracy"]
        assert record[f"{name}_loss"] == pytest.approx(found["loss"], rel=1e-5)
    scores = torch.cat([model(x) for x, _ in data.Batches(bundled.test, 500)])
    among = [label in scores[i].argsort(descending=True)[:5].tolist() for i, label in enumerate(bundled.test.labels)]
    assert record["test_top5"] == sum(among) / 2000
    right = train.predict(model, bundled.test) == bundled.test.labels
    halves = feed.halves(2000)
    assert record["test_halves"] == [right[half].double().mean().item() for half in halves]
    assert [int(half.sum()) for half in halves] == [1000, 1000] and not (halves[0] & halves[1]).any()
    keys = "epoch lr train_loss train_accuracy seconds data_seconds images_per_second test_loss test_accuracy "
    assert record.keys() == {*(keys + "test_top5 test_halves val_loss val_accuracy").split()}


def test_halves_are_the_same_for_all_runs_and_every_image_is_in_one():
    for images in (1, 2, 3, 10_000):
        halves = feed.halves(images)
        assert torch.equal(torch.stack(halves).sum(0), torch.ones(images, dtype=torch.int64))
        assert all(map(torch.equal, halves, feed.halves(images)))
    assert [int(half.sum()) for half in feed.halves(10_001)] == [5000, 5001] and len(feed.halves(1)) == 1


def test_few_classes_have_no_top_five_and_overrides_are_kept(images):
    args = ["--lr", 0.02, "--optimizer", "sgd", "--weight-decay", 0.5, "--batch-size", 30, "--activation", "relu"]
    assert started("--data", images, "--epochs", 2, "--seed", 7, *args) == 0
    run = read("run")
    expected = {"lr": 0.02, "optimizer": "sgd", "weight_decay": 0.5, "batch_size": 30, "activation": "relu", "seed": 7}
    assert run.config | expected | {"epochs": 2, "milestones": [1]} == run.config and run.config["preset"] == "tiny"
    assert not any("test_top5" in record for record in run.metrics)
    assert [record["lr"] for record in run.metrics] == pytest.approx([0.02, 0.002])
    [session] = run.environment
    assert session["argv"][:4] == ["train", "tiny", "--out", "run"] and session["argv"][-2:] == ["--activation", "relu"]
    assert session["device"] == "cpu" and session["processes"] == 1 and session["torch"] == torch.__version__


def test_a_machine_without_git_will_do(images, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert started("--data", images, "--epochs", 1) == 0
    assert read("run").environment[0]["commit"] == "unknown"


def test_seeds_make_different_runs_in_folders_of_their_own(images):
    for seed in (0, 1):
        assert (
            main(["train", "tiny", "--data", str(images), "--epochs", "1", "--seed", str(seed), "--device", "cpu"]) == 0
        )
    one, other = (metrics(f"runs/tiny-seed{seed}") for seed in (0, 1))
    assert one[0]["train_loss"] != other[0]["train_loss"]


def test_tensorboard_gets_each_figure_where_its_package_is(images, monkeypatch, capsys):
    class SummaryWriter:
        seen = []

        def __init__(self, folder, purge_step):  # as torch's
            self.seen.append((folder.name, purge_step))

        def add_scalar(self, key, value, epoch):
            self.seen.append((key, epoch))

        def flush(self):
            pass

    args = ["--data", images, "--tensorboard", "--epochs", 2]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert started(*args) == 2 and not Path("run").exists()
    assert "no run: --tensorboard needs a package that is not here: pip install tensorb" in capsys.readouterr().err
    stand_in = type(sys)("torch.utils.tensorboard")
    stand_in.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    assert started(*args) == 0
    assert SummaryWriter.seen[0] == ("tensorboard", 1)
    assert {("test_accuracy", 1), ("test_accuracy", 2), ("lr", 2)} <= {*SummaryWriter.seen}
    assert started(*args[:3], "--resume", "--epochs", 2) == 0 and len(SummaryWriter.seen) == 1 + 2 * 8


# --- several processes -------------------------------------------------------------------------------------------


def one_of_two(rank, port, args):
    """The target of a process, with what torchrun tells it."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    in_another_process(args, said=Path(f"said{rank}"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no forkserver")
def test_two_processes_go_on_where_one_was_stopped_and_write_everything_once(images, monkeypatch, processes):
    args = ["--data", images, "--epochs", 2, "--batch-size", 24, "--activation", "sign:SSTE"]

    def together(*more):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        args_of_all = [*args, "--out", "run", "--device", "cpu", *more]
        pair = [processes.Process(target=one_of_two, args=(rank, port, args_of_all)) for rank in (0, 1)]
        for process in pair:
            process.start()
        pair[0].join(100)
        pair[1].join(100 if pair[0].exitcode == 0 else 0)
        pair[1].kill()  # as torchrun does where one has failed
        pair[1].join()
        return pair[0].exitcode, pair[1].exitcode, Path("said0").read_text(), Path("said1").read_text()

    with monkeypatch.context() as patch:
        signal_at_epoch(patch, 1, signal.SIGTERM)
        assert started(*args) == 143
    before = metrics("run")
    status, _, said, _ = together()
    assert status == 2 and "no run: run holds a run that is not finished: go on with it by --resume" in said
    status, other, said, nothing = together("--resume")
    assert (status, other) == (0, 0) and "epoch" not in nothing and "run" not in nothing
    assert said.count("goes on in run with epoch 2 of 2, batch 1") == 1 == said.count("epoch 2 of 2: ")
    assert [session["processes"] for session in read("run").environment] == [1, 2]
    first, second = metrics("run")
    assert [first] == before
    model = build(Config.from_json(Path("run/config.json").read_text()))
    model.load_state_dict(checkpoint("run")["model"])
    test = data.load(images).test
    assert second["test_accuracy"] == train.evaluate(model, test)["accuracy"]
    parts = [test.subset(half) for half in feed.halves(len(test))]
    accuracies = [(train.predict(model, part) == part.labels).double().mean().item() for part in parts]
    assert second["test_halves"] == pytest.approx(accuracies, abs=1e-12)


# --- what cannot be ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["convnet8-sing-ftpsh"], "there is no preset 'convnet8-sing-ftpsh'; did you mean 'convnet8-sign-ftpsh'?"),
        (["tiny", "--data", "fashion-mnits-12k"], "did you mean 'fashion-mnist-12k'"),
        (["tiny", "--data", "no/such/folder"], "must hold train/CLASS/IMAGES"),
        (["tiny", "--activation", "sign:SSTTE"], "did you mean 'SSTE'"),
        (["tiny", "--activation", "staircase-1:SSTE"], "steps >= 2"),
        (["tiny", "--activation", "sign:none.py:Mine"], "no file none.py with a rule"),
        (["tiny", "--activation", "sign:my_rules.py:Yours"], "defines no 'Yours'; the rules in it are: "),
        (["tiny", "--epochs", "0"], "epochs is a whole number of at least 1, not 0"),
        (["tiny", "--lr", "-1"], "lr is a positive number"),
        (["tiny", "--lr", "nan"], "lr is a positive number"),
        (["tiny", "--weight-decay", "-1"], "Invalid weight_decay value"),
        (["tiny", "--batch-size", "0"], "batch_size is a whole number of at least 1, not 0"),
        (["tiny", "--batch-size", "17"], "a batch would hold a single image"),
        (["tiny", "--val", "120"], "cannot hold out 120 of 120 training images"),
        (["tiny", "--seed", "-1"], "a seed is a whole number from 0"),
        (["tiny", "--device", "cuda:99"], "device 'cuda:99' is not there"),
        (["tiny", "--device", "gpu"], "device 'gpu' is not there"),
        (["tiny", "--cuda-graphs"], "CUDA graphs need a CUDA device"),
        (["tiny", "--compile", "--memory", "packed"], "packed memory works on tensors"),
        (["convnet8-relu", "--data", "small"], "crop must be between 0 and 3 for images of 3x3"),
        (["bundled-convnet4-relu", "--data", "one"], "H and W of at least 2"),
        (["alexnet-relu"], "alexnet-relu reads images of any size from a folder with train/CLASS/IMAGES and val/"),
        (["alexnet-relu", "--data", "cifar10"], "must hold train/CLASS/IMAGES"),
        (["tiny-files", "--workers", "-1"], "workers is a whole number of at least 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_a_sentence_and_leaves_nothing(args, said, images, capsys):
    from PIL import Image

    Path("my_rules.py").write_text(OWN_RULE)
    for name, size in (("small", 3), ("one", 1)):
        for part in ("train", "val"):
            (folder := Path(name) / part / "a").mkdir(parents=True)
            for i in range(2):
                Image.new("L", (size, size), i).save(folder / f"{i}.png")
    before = sorted(Path().rglob("*"))
    args = args if "--data" in args or args[0] == "alexnet-relu" else [*args, "--data", str(images)]
    args = args if "--device" in args else [*args, "--device", "cpu"]
    assert main(["train", *args]) == 2
    err = capsys.readouterr().err
    assert said in err and "no run: " in err and "Traceback" not in err
    assert [path for path in sorted(Path().rglob("*")) if path != Path("runs")] == before


def test_an_image_that_cannot_be_read_ends_the_run_in_a_sentence_and_costs_nothing(images, monkeypatch, capsys):
    args = ["--data", images, "--workers", 0, "--epochs", 2]
    assert started(*args, preset="tiny-files", out="whole") == 0
    image = images / "train" / "Trouser" / "07.png"
    whole = image.read_bytes()
    with monkeypatch.context() as patch:

        def add(folder, record, real=Folder.add):
            real(folder, record)
            image.write_bytes(whole[:60] + bytes(len(whole) - 60))

        patch.setattr(Folder, "add", add)
        assert started(*args, preset="tiny-files") == 1
    image.write_bytes(whole)
    err = capsys.readouterr().err
    assert (
        "stopped in epoch 2: " in err and "07.png cannot be decoded" in err and "put a whole copy in its place" in err
    )
    assert "1 finished epochs are kept in run" in err
    assert started(*args, "--resume", preset="tiny-files") == 0 and same_run("run", "whole")


def test_a_full_disk_stops_the_run_and_nothing_is_lost(images, monkeypatch, capsys):
    assert started("--data", images, out="whole") == 0
    with monkeypatch.context() as patch:

        def save(state, file, real=torch.save):
            if state["epoch"] == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(state, file)

        patch.setattr(torch, "save", save)
        assert started("--data", images) == 1
    assert "checkpoint.pt could not be written: No space left on device (free some space)" in capsys.readouterr().err
    assert len(checkpoint("run")["history"]) == 1
    assert started("--data", images, "--resume") == 0 and same_run("run", "whole")


def test_weights_that_run_away_are_said_and_the_epochs_before_are_kept(images, capsys):
    args = ["--data", images, "--optimizer", "sgd", "--activation", "relu", "--lr", 1e25]
    assert started(*args) == 1
    err = capsys.readouterr().err
    assert "stopped in epoch 1: " in err and "not finite: the " in err and "0 finished epochs are kept in run" in err
    assert started(*args[:-1], 0.01) == 0  # nothing was trained yet, so the folder is free


def test_too_little_memory_says_which_batch_to_try(images, monkeypatch, capsys):
    with pytest.raises(RuntimeError) as real:
        torch.empty(2**46)
    for error in (real.value, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), MemoryError()):
        assert "try --batch-size 128, or --memory packed" in sentence(error, 256)
        assert "try --memory packed" in sentence(error, 1)
    assert sentence(RuntimeError("something else"), 256) is None

    def run(self, on_epoch, *_, real=loop.Training.run):
        def once(record):
            on_epoch(record)
            raise real_error

        return real(self, once)

    real_error = real.value
    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "run", run)
        assert started("--data", images) == 1
    said = "stopped in epoch 2: out of memory with batches of 16: try --batch-size 8"
    assert said in capsys.readouterr().err and len(checkpoint("run")["history"]) == 1
    assert started("--data", images, "--resume") == 0 == started("--data", images, out="whole")
    assert same_run("run", "whole")


def test_a_mistake_in_an_own_rule_comes_with_its_traceback(images):
    broken = OWN_RULE.replace("from ftpkit", "calls = []\nfrom ftpkit").replace(
        "lambda z, t: -t * ((t", "lambda z, t: calls.append(z) or -t * ((t"
    )
    Path("my_rules.py").write_text(
        broken.replace("calls.append(z)", "(calls.append(z), int('x'*(len(calls)>20)+'1'))[0]")
    )
    with pytest.raises(ValueError, match="invalid literal for int"):
        started("--data", images, "--activation", "sign:my_rules.py:MyRule")
    assert started("--data", images, "--activation", "relu", "--out", "other") == 0  # and the lock is free


def test_a_checkpoint_of_another_network_is_refused(images, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        signal_at_step(patch, 3, signal.SIGTERM)
        assert started("--data", images) == 143
    monkeypatch.setitem(
        NETWORKS, "tiny", lambda *args, **kwargs: nn.Sequential(*tiny(*args, **kwargs), nn.Linear(3, 3))
    )
    before = (Path("run/checkpoint.pt")).read_bytes()
    assert started("--data", images, "--resume") == 2
    assert "the checkpoint does not fit this network" in capsys.readouterr().err
    assert (Path("run/checkpoint.pt")).read_bytes() == before
