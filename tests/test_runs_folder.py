"""A run's folder: what a power cut, a full disk, a second process or somebody's editor can do to it, and what stays."""

import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ftpkit.presets import PRESETS
from ftpkit.runs import read
from ftpkit.runs.config import Config, Facts, Source, build, differences, own_rule, scaled
from ftpkit.runs.folder import Folder

FACTS = Facts("tiny", 100, 20, (1, 8, 8), 3, "5ha")
CONFIG = Config.of(PRESETS["bundled-resnet8-sign-ftpsh"], FACTS, epochs=4)
RULE = "from ftpkit import Rule\n\nMine = Rule('Hinge')\n"


def record(epoch):
    return {"epoch": epoch, "lr": 0.1, "train_loss": 1 / epoch, "test_accuracy": 0.5, "test_halves": [0.1 + 0.2, 0.7]}


def state(epochs):
    """What a training has after so many epochs, in the form that a checkpoint keeps."""
    history = [record(epoch) for epoch in range(1, epochs + 1)]
    return {"epoch": epochs + 1, "history": history, "model": {"weight": torch.arange(50_000.0) + epochs}}


def train(path, epochs, **options):
    """A session that adds epochs up to this number, and then is gone, as after a power cut."""
    with Folder(path, **options) as folder:
        folder.settle(CONFIG)
        before = folder.load()
        folder.begin(device="cpu", argv=["train", "PRESET", "--out", str(path)])
        for epoch in range(before["epoch"] if before else 1, epochs + 1):
            folder.add(record(epoch))
            folder.save(state(epoch))
        if epochs == CONFIG.epochs:
            folder.end(finished=True)


def contents(path):
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def same(one, other):
    return torch.equal(one["model"]["weight"], other["model"]["weight"]) and one["history"] == other["history"]


@pytest.fixture
def begun(tmp_path):
    """A run with two of four epochs."""
    train(tmp_path / "run", 2)
    return tmp_path / "run"


# --- what is kept ------------------------------------------------------------------------------------------------


def test_a_run_that_goes_on_ends_like_one_that_was_not_interrupted(begun, tmp_path):
    train(begun, 4, resume=True)
    train(tmp_path / "whole", 4)
    one, other = contents(begun), contents(tmp_path / "whole")
    assert {path.name for path in one} == {"config.json", "environment.json", "metrics.jsonl", "checkpoint.pt", "lock"}
    assert all(one[Path(name)] == other[Path(name)] for name in ("config.json", "metrics.jsonl"))
    load = [torch.load(path / "checkpoint.pt", weights_only=True) for path in (begun, tmp_path / "whole")]
    assert same(*load) and same(load[0], state(4))


def test_sessions_are_noted_one_after_the_other_and_the_run_can_be_read(begun):
    train(begun, 4, resume=True)
    run = read(begun)
    assert [session["finished"] for session in run.environment] == [False, True]
    assert "end" not in run.environment[0] and run.environment[1]["start"] <= run.environment[1]["end"]
    assert run.devices == ("cpu",) and run.metrics == [record(epoch) for epoch in (1, 2, 3, 4)] and run.finished
    assert run.config["data"]["sha256"] == "5ha" and run.config["milestones"] == [3, 3]


def test_a_run_that_was_stopped_before_its_first_epochs_end_goes_on(tmp_path):
    with Folder(tmp_path / "run") as folder:
        folder.settle(CONFIG)
        folder.begin()
        folder.save(state(0))
    with Folder(tmp_path / "run", resume=True) as folder:
        folder.settle(CONFIG)
        assert same(folder.load(), state(0))


@pytest.mark.parametrize("resume", [False, True])
def test_where_nothing_was_trained_a_run_begins_anew(tmp_path, resume):
    with Folder(tmp_path / "run") as folder:
        folder.settle(CONFIG)
        folder.begin(device="other")
    another = replace(CONFIG, lr=1.0)
    with Folder(tmp_path / "run", resume=resume) as folder:
        folder.settle(another)
        assert folder.load() is None
        folder.begin(device="cpu")
    run = read(tmp_path / "run")
    assert run.config["lr"] == 1.0 and run.devices == ("cpu",)


def test_a_folder_in_which_nothing_was_begun_is_taken_away_again(tmp_path):
    for made_before in (False, True):
        if made_before:
            (tmp_path / "runs").mkdir()
        with pytest.raises(RuntimeError, match="no data"), Folder(tmp_path / "runs" / "run"):
            raise RuntimeError("no data")
        assert list(tmp_path.rglob("*")) == ([tmp_path / "runs"] if made_before else [])
    train(tmp_path / "runs" / "run", 1)
    with pytest.raises(RuntimeError, match="no data"), Folder(tmp_path / "runs" / "run", resume=True):
        raise RuntimeError("no data")
    assert read(tmp_path / "runs" / "run").metrics == [record(1)]


# --- what a power cut leaves -------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["", '{"epoch": 3, "lr"', json.dumps(record(3)) + "\n", json.dumps(record(3))])
@pytest.mark.parametrize("unfinished", [b"", b"PK\x03\x04half a checkpoint"])
def test_what_lies_behind_the_checkpoint_is_taken_away_and_made_again(begun, left, unfinished):
    before = contents(begun)
    with open(begun / "metrics.jsonl", "a") as file:
        file.write(left)
    (begun / "new-checkpoint.pt").write_bytes(unfinished)
    with Folder(begun, resume=True) as folder:
        folder.settle(CONFIG)
        assert same(folder.load(), state(2))
    assert contents(begun) == before


def test_the_first_epochs_line_without_a_checkpoint_is_taken_away(tmp_path):
    train(tmp_path / "run", 1)
    (tmp_path / "run" / "checkpoint.pt").unlink()  # killed between the two
    with Folder(tmp_path / "run", resume=True) as folder:
        folder.settle(CONFIG)
        assert folder.load() is None
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == b""


def test_everything_is_on_the_disk_before_it_is_renamed_and_the_folder_after(tmp_path, monkeypatch):
    done = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(os.fstat(fd).st_ino), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append((a.name, b.name)), rename(a, b)))
    with Folder(tmp_path / "run") as folder:
        folder.settle(CONFIG)
        done.clear()
        folder.save(state(1))
        file, place = ((folder.path / name).stat().st_ino for name in ("checkpoint.pt", "."))
        assert done == [file, ("new-checkpoint.pt", "checkpoint.pt"), place]
        done.clear()
        folder.add(record(1))
        assert done == [(folder.path / "metrics.jsonl").stat().st_ino]


# --- what is refused ---------------------------------------------------------------------------------------------


def refused(path, error, match, *, config=CONFIG, resume=True):
    """Opening the run is refused, and nothing in the folder is changed by it."""
    before = contents(path)
    with pytest.raises(error, match=match), Folder(path, resume=resume) as folder:
        folder.settle(config)
        folder.load()
    assert contents(path) == before


def test_a_run_that_is_there_is_not_begun_again(begun):
    refused(begun, FileExistsError, "not finished: go on with it by --resume, or name another --out", resume=False)
    train(begun, 4, resume=True)
    refused(begun, FileExistsError, "finished run, which is left as it is: name another --out", resume=False)
    (begun / "checkpoint.pt").unlink()  # as it is committed, without weights
    refused(begun, FileExistsError, "finished run, which is left as it is", resume=False)
    with Folder(begun, resume=True) as folder:
        folder.settle(CONFIG)
        assert folder.finished


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("42")
    refused(tmp_path, FileExistsError, r"holds no run but other things \(thesis.tex\)", resume=False)
    refused(tmp_path, FileExistsError, r"holds no run but other things \(thesis.tex\)", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(FileExistsError), Folder(tmp_path / "thesis.tex"):
        pass


def test_a_folder_in_use_is_refused_until_the_other_process_is_gone(begun):
    hold = (
        "import sys; from ftpkit.runs.folder import Folder\n"
        "with Folder(sys.argv[1], resume=True): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(begun)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        refused(begun, BlockingIOError, "in use by another process")
        refused(begun, BlockingIOError, "in use by another process", resume=False)
        other.kill()
    train(begun, 3, resume=True)
    assert len(read(begun).metrics) == 3


def test_another_configuration_is_refused_with_all_that_differs(begun):
    other = replace(CONFIG, lr=0.5, seed=3, data=replace(FACTS, sha256="0ther", train=99))
    refused(
        begun,
        FileExistsError,
        "another configuration: lr is 0.001 there and 0.5 here; seed is 0 there and 3 here; the data's train is 100 "
        "there and 99 here; the data's sha256 is 5ha there and 0ther here; it was started by python -m ftpkit train "
        "PRESET --out .*: give that with --resume, or name another --out",
        config=other,
    )


@pytest.mark.parametrize("damage", ["cut off", "a bit", "emptied", "another file", "a pickle"])
def test_a_damaged_checkpoint_is_refused(begun, damage):
    path = begun / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    if damage == "cut off":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "a bit":
        content[len(content) // 2] ^= 1  # a weight that is a little larger: torch.load would not notice
        path.write_bytes(content)
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "another file":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        path.write_bytes(pickle.dumps(state(2)["history"]))
    refused(begun, ValueError, r"checkpoint.pt is damaged or was changed: .*; nothing was changed: bring back a copy")


def test_a_checkpoint_runs_no_code(begun, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    torch.save(state(2) | {"trap": Trap()}, begun / "checkpoint.pt")
    refused(begun, ValueError, "checkpoint.pt is damaged or was changed: UnpicklingError")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda lines: [lines[0]], "metrics.jsonl is damaged .* it holds 1 epochs, and checkpoint.pt 2"),
        (lambda lines: [*lines, *lines], "it holds 4 epochs, and checkpoint.pt 2"),
        (lambda lines: [lines[0][:20], lines[1]], "metrics.jsonl, line 1 is damaged or was changed: it is no JSON"),
        (lambda lines: [lines[0], lines[1].replace("0.5", "0.9")], "line 2 .* not what the checkpoint holds"),
        (lambda lines: lines[::-1], "line 1 .* not what the checkpoint holds"),
        (lambda lines: ["\x00" * 40, lines[1]], "line 1 .* no JSON"),
    ],
)
def test_damaged_metrics_are_refused(begun, change, match):
    path = begun / "metrics.jsonl"
    path.write_text("".join(line + "\n" for line in change(path.read_text().splitlines())))
    refused(begun, ValueError, match)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("config.json", None, "holds a run without its config.json"),
        ("config.json", "{}", "config.json: this is not the configuration of a run .KeyError: 'milestones'"),
        ("config.json", "[]", "this is not the configuration of a run"),
        ("config.json", '{"prese', "this is not the configuration of a run .JSONDecodeError"),
        ("environment.json", None, "holds a run without its environment.json"),
        ("environment.json", '{"start": 1}', "environment.json: this is no list of sessions; nothing was changed"),
        ("checkpoint.pt", None, "metrics.jsonl is damaged .* it holds 2 epochs, and checkpoint.pt is missing"),
    ],
)
def test_other_damaged_or_missing_files_are_refused(begun, name, content, match):
    (begun / name).unlink() if content is None else (begun / name).write_text(content)
    refused(begun, ValueError, match)


# --- disk full ---------------------------------------------------------------------------------------------------


def full(*_args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["torch.save", "os.fsync", "os.replace"])
def test_a_full_disk_leaves_the_checkpoint_before(begun, monkeypatch, where):
    before = contents(begun)
    with Folder(begun, resume=True) as folder:
        folder.settle(CONFIG)
        folder.load()
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left on device.*free some space"):
            patch.setattr(where, full)
            folder.save(state(3))
        assert contents(begun) == before and same(folder.load(), state(2))
        folder.save(state(3))  # there is space again


def test_a_full_disk_in_the_middle_of_a_line_costs_this_line_only(begun, monkeypatch):
    with Folder(begun, resume=True) as folder:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="metrics.jsonl could not be written: No space left .*go on with --resume"):
            folder.add(record(3))
        monkeypatch.undo()
    train(begun, 3, resume=True)
    assert read(begun).metrics == [record(epoch) for epoch in (1, 2, 3)]


def test_a_limit_of_the_system_is_met_in_the_middle_of_a_checkpoint(begun):
    """A write that really fails, by the limit on the size of a file: torch makes a RuntimeError of it."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    before = contents(begun)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Folder(begun, resume=True) as folder:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(OSError, match="checkpoint.pt could not be written: File too large") as caught:
                folder.save(state(3))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG and contents(begun) == before


def own_disk(size):
    """A command in front of another one, which gives it a small disk of its own at the folder $DISK, without root."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody but root have a disk of his own (unshare -rm)")
    return ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size={size} tmpfs "$DISK" && exec "$@"', "sh"]


def test_a_disk_that_is_really_full(tmp_path):
    script = """if True:
        import os, sys
        sys.path.insert(0, os.environ["TESTS"])
        from pathlib import Path
        from test_runs_folder import Folder, contents, same, state, train
        path = Path(os.environ["DISK"]) / "run"
        train(path, 1)
        before = contents(path)
        with open(path.parent / "ballast", "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)): pass
            except OSError: pass
        try:
            train(path, 2, resume=True)
        except OSError as error:
            print(error)
        os.unlink(path.parent / "ballast")
        train(path, 4, resume=True)
        with Folder(path, resume=True) as folder:
            print(folder.finished and same(folder._checkpoint(), state(4)))
    """
    run = subprocess.run(
        [*own_disk("1m"), sys.executable, "-c", script],
        env=os.environ | {"DISK": str(tmp_path), "TESTS": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
    )
    assert "No space left on device (free some space); what was saved before is still there" in run.stdout, run.stderr
    assert run.stdout.splitlines()[-1] == "True"


# --- configurations ----------------------------------------------------------------------------------------------


def test_a_configuration_survives_its_file(tmp_path):
    (tmp_path / "my_rules.py").write_text(RULE)
    rule = Source.read(tmp_path / "my_rules.py")
    config = Config.of(
        PRESETS["convnet4-relu"], FACTS, rule, activation=f"step:{tmp_path}/my_rules.py:Mine", val=10, precision="bf16"
    )
    assert (
        Config.from_json(config.to_json()) == config and differences(config, Config.from_json(config.to_json())) == []
    )
    assert config.activation == "step:my_rules.py:Mine" and str(tmp_path) not in config.to_json()
    assert repr(build(config, tmp_path).act1) == "Step('Mine')"


@pytest.mark.parametrize("name", [*PRESETS][:: len(PRESETS) // 10])
def test_a_preset_becomes_a_configuration_whole(name):
    preset = PRESETS[name]
    config = Config.of(preset, FACTS)
    assert config.preset == name and config.data == FACTS and (config.seed, config.val) == (0, 0)
    shared = "network activation optimizer lr weight_decay epochs milestones batch_size crop flip resize".split()
    assert all(getattr(config, key) == getattr(preset, key) for key in shared)


def test_an_own_rule_is_kept_with_the_run_and_a_changed_one_is_another_configuration(tmp_path):
    path = tmp_path / "my_rules.py"
    path.write_bytes(RULE.replace("\n", "\r\n").encode())  # byte for byte, whoever wrote it

    def config():
        return Config.of(PRESETS["convnet4-relu"], FACTS, Source.read(path), activation=f"sign:{path}:Mine")

    ours = config()
    with Folder(tmp_path / "run") as folder:
        folder.settle(ours)
        folder.begin()
        folder.add(record(1))
    assert (tmp_path / "run" / "rules" / "my_rules.py").read_bytes() == path.read_bytes()
    path.write_text(RULE.replace("Hinge", "Linear"))
    refused(tmp_path / "run", FileExistsError, "the SHA-256 of the own rule's file is .* there and", config=config())
    assert build(ours, tmp_path / "run" / "rules").act1.rule.loss.name == "Hinge"
    assert own_rule("sign:FTP-SH") is own_rule("relu") is None
    with pytest.raises(FileNotFoundError, match="no file my_rulez.py with a rule"):
        Source.read(own_rule("sign:my_rulez.py:Mine"))


def test_the_first_weights_are_the_seeds_alone():
    before = torch.get_rng_state()
    one, again, other = (build(replace(CONFIG, seed=seed)).fc.weight for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_milestones_fit_the_epochs():
    assert scaled((30, 60), 90, 61) == (30, 60) and scaled((30, 60), 90, 60) == (20, 40)
    assert scaled((4, 5), 6, 3) == (2, 2) and scaled((), 6, 1) == ()
    assert Config.of(PRESETS["convnet8-relu"], FACTS, epochs=3, milestones=(1,)).milestones == (1,)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"seed": -1}, "a seed is a whole number from 0"),
        ({"seed": 2**63}, "a seed is a whole number"),
        ({"val": 100}, "cannot hold out 100 of 100 training images; choose 1 to 99, or 0"),
        ({"val": -5}, "cannot hold out -5"),
    ],
)
def test_what_cannot_be_configured_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        replace(CONFIG, **change)


def test_facts_tell_two_data_sets_apart():
    from ftpkit.data import DataSet, load

    images = load("fashion-mnist-12k")
    facts = Facts.of(images)
    relabelled = replace(images.test, labels=images.test.labels.roll(1))
    turned = DataSet(images.name, images.train, relabelled, images.classes)
    assert facts == Facts.of(load("fashion-mnist-12k")) and facts.sha256 != Facts.of(turned).sha256
