"""The table: protocols against figures worked out by hand, nothing averaged that differs, damage named by its line."""

import csv
import io
import json
from dataclasses import asdict
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpkit import runs
from ftpkit.__main__ import main
from ftpkit.losses import UnknownName
from ftpkit.presets import PRESETS
from ftpkit.runs import table
from ftpkit.runs.config import Config, Facts
from ftpkit.runs.protocols import PROTOCOLS, best, last, selected, val

CIFAR = {"name": "cifar10", "train": 50_000, "test": 10_000, "shape": [3, 32, 32], "classes": 10, "sha256": "ab" * 32}
JPEG = CIFAR | {"name": "cifar10_jpeg", "sha256": "cd" * 32}
H100, CPU = "NVIDIA H100", "cpu"


def write_run(folder, preset="convnet8-sign-sste", seed=0, accuracies=(0.5,), device=H100, more=None, **config):
    """A run folder as the kit writes it: one epoch for each accuracy, and as many epochs as the configuration wants."""
    fields = asdict(PRESETS[preset]) if preset in PRESETS else asdict(PRESETS["convnet4-relu"])
    fields = {key: value for key, value in fields.items() if key not in ("name", "paper")}
    usual = dict(val=0, precision="float32", compile="no", channels_last=False, memory="plain", rule=None)
    usual |= dict(epochs=len(accuracies), milestones=[], data=CIFAR)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(fields | usual | {"preset": preset, "seed": seed} | config))
    (folder / "environment.json").write_text(json.dumps([{"device": device, "torch": "2.15"}]))
    records = [
        {"epoch": epoch, "test_accuracy": accuracy, "test_halves": [accuracy, accuracy]} | (more or {})
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def whole(preset="convnet8-sign-sste"):
    """Settings of a run at its preset's full schedule."""
    return dict(epochs=PRESETS[preset].epochs, milestones=list(PRESETS[preset].milestones))


def made(tmp_path, protocols=("best",)):
    """The records of the runs in a folder, without those of presets that were not run."""
    return [record for record in table.records(runs.find(tmp_path), protocols) if record["n"]]


# --- protocols -----------------------------------------------------------------------------------------------------

METRICS = [
    {"epoch": 1, "test_accuracy": 0.50, "test_halves": [0.40, 0.60], "val_accuracy": 0.45},
    {"epoch": 2, "test_accuracy": 0.75, "test_halves": [0.80, 0.70], "val_accuracy": 0.55},  # best; best on half A
    {"epoch": 3, "test_accuracy": 0.70, "test_halves": [0.60, 0.80], "val_accuracy": 0.65},  # best on half B, and val
    {"epoch": 4, "test_accuracy": 0.65, "test_halves": [0.70, 0.60], "val_accuracy": 0.65},
]


def test_protocols_by_hand():
    assert best(METRICS) == 0.75
    assert last(METRICS) == 0.65
    assert selected(METRICS) == pytest.approx((0.70 + 0.60) / 2)  # B where A is best, A where B is best
    assert val(METRICS) == 0.70  # the first of two epochs that tie


def test_protocols_that_need_what_a_run_does_not_have_say_nothing():
    bare = [{"epoch": 1, "test_accuracy": 0.5}]
    assert (best(bare), last(bare), selected(bare), val(bare)) == (0.5, 0.5, None, None)


shares = st.floats(0, 1)
histories = st.lists(st.tuples(shares, shares, shares), min_size=1, max_size=20)


@given(histories)
def test_protocols_on_any_history(rows):
    metrics = [
        {"epoch": epoch, "test_accuracy": (a + b) / 2, "test_halves": [a, b], "val_accuracy": v}
        for epoch, (a, b, v) in enumerate(rows, start=1)
    ]
    every = [record["test_accuracy"] for record in metrics]
    assert best(metrics) == max(every) and last(metrics) == every[-1] and val(metrics) in every
    assert min(every) <= val(metrics) <= best(metrics)
    # choosing on one half and reporting on the other: slowly, from the definition
    picks = []
    for chosen, reported in ((0, 1), (1, 0)):
        top = max(record["test_halves"][chosen] for record in metrics)
        epoch = [record["test_halves"][chosen] for record in metrics].index(top)
        picks.append(metrics[epoch]["test_halves"][reported])
    assert selected(metrics) == pytest.approx(sum(picks) / 2, abs=1e-15)
    turned = [record | {"test_halves": record["test_halves"][::-1]} for record in metrics]
    assert selected(turned) == pytest.approx(selected(metrics), abs=1e-15)


def test_choosing_on_the_test_set_flatters_and_the_halves_do_not():
    """20 epochs that are all equally good, 1,000 images: the best looks better than it is, the selected does not."""
    rng = np.random.default_rng(0)
    found = {"best": [], "selected": []}
    for _ in range(300):
        halves = rng.binomial(500, 0.8, (20, 2)) / 500
        metrics = [{"test_accuracy": float(h.mean()), "test_halves": h.tolist()} for h in halves]
        for name, values in found.items():
            values.append(PROTOCOLS[name](metrics))
    error = {name: np.std(values) / 300**0.5 for name, values in found.items()}
    assert np.mean(found["best"]) > 0.8 + 10 * error["best"]
    assert abs(np.mean(found["selected"]) - 0.8) < 3 * error["selected"]


# --- figures -------------------------------------------------------------------------------------------------------


def test_mean_and_standard_error_by_hand(tmp_path):
    for seed, accuracy in enumerate([0.80, 0.82, 0.87]):
        write_run(tmp_path / f"s{seed}", seed=seed, accuracies=[accuracy, 0.1], more={"val_accuracy": 0.5})
    for record in made(tmp_path, list(PROTOCOLS)):
        # 80, 82 and 87: mean 83, deviations -3, -1 and 4, variance 26 / 2 = 13
        mean, error = (10, 0) if record["protocol"] == "last" else (83, (13 / 3) ** 0.5)
        assert (record["mean"], record["error"]) == (pytest.approx(mean), pytest.approx(error))
        assert (record["seeds"], record["n"]) == ((0, 1, 2), 3)
    assert [record["protocol"] for record in made(tmp_path, list(PROTOCOLS))] == list(PROTOCOLS)


def test_one_seed_has_no_standard_error(tmp_path):
    write_run(tmp_path / "only", seed=7, accuracies=[0.5, 0.75])
    (record,) = made(tmp_path)
    assert (record["mean"], record["error"], record["accuracies"], record["seeds"]) == (75, None, (75,), (7,))
    assert "75.00 (1)" in table.summary(runs.find(tmp_path)) and "±" not in table.summary(runs.find(tmp_path))[200:]


def test_where_a_cell_stands_and_what_it_is_called(tmp_path):
    write_run(tmp_path / "full", accuracies=[0.5] * 300, data=JPEG, **whole())
    (record,) = made(tmp_path)
    assert (record["row"], record["column"], record["in_paper"], record["paper"]) == (
        "convnet8", "sign-sste", True, 84.6,
    )  # fmt: skip
    assert (record["data"], record["schedule"], record["full"], record["other"], record["devices"]) == (
        "CIFAR-10 (JPEG)", "full schedule of 300 epochs", True, "", (H100,),
    )  # fmt: skip


OTHERS = {
    "epochs": dict(accuracies=[0.9] * 3),
    "data": dict(data=JPEG),
    "data of the same name": dict(data=CIFAR | {"sha256": "ef" * 32}),
    "fewer images": dict(data=CIFAR | {"train": 100}),
    "lr": dict(lr=0.5),
    "batch size": dict(batch_size=128),
    "milestones": dict(milestones=[1]),
    "weight decay": dict(weight_decay=0.0),
    "no flip": dict(flip=False),
    "held out": dict(val=5000),
    "precision": dict(precision="bf16"),
    "compiled": dict(compile="cuda-graphs"),
    "packed": dict(memory="packed"),
    "channels last": dict(channels_last=True),
    "own rule": dict(activation="sign:mine.py:Mine", rule={"file": "mine.py", "text": "…", "sha256": "12" * 32}),
    "something that later versions know": dict(warmup=5),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_settings_are_never_averaged_and_say_what_they_are(tmp_path, name):
    usual = dict(accuracies=[0.5, 0.5])
    for seed in (0, 1):
        write_run(tmp_path / f"a{seed}", seed=seed, **usual)
    write_run(tmp_path / "b", seed=2, **usual | OTHERS[name])
    counts = sorted((record["n"], record["seeds"]) for record in made(tmp_path))
    assert counts == [(1, (2,)), (2, (0, 1))]
    words = {(r["activation"], r["data"], r["schedule"], r["other"]) for r in made(tmp_path)}
    assert len(words) == 2
    text = table.summary(runs.find(tmp_path), ["best"])
    assert text.count("ours:") == 2 and text.count("(2)") == text.count("(1)") == 1


def test_the_own_rules_of_two_files_are_two(tmp_path):
    for seed, sha in enumerate(["12" * 32, "34" * 32]):
        rule = {"file": "mine.py", "text": "…", "sha256": sha}
        write_run(tmp_path / f"r{seed}", seed=seed, activation="sign:mine.py:Mine", rule=rule)
    assert [record["other"][-20:] for record in made(tmp_path)] == ["rule sha256 12121212", "rule sha256 34343434"]
    text = table.summary(runs.find(tmp_path))
    assert "ours: sign:mine.py:Mine, otherwise as convnet8-sign-sste: CIFAR-10, 1 of 300 epochs" in text
    assert {record["column"] for record in made(tmp_path)} == {""}


def test_settings_in_words(tmp_path):
    more = dict(data=JPEG, epochs=6, milestones=[4, 5], val=5000, precision="bf16", channels_last=True, flip=False)
    write_run(tmp_path / "x", accuracies=[0.5] * 6, **more | {"lr": 0.01, "device": CPU})
    text = " ".join(table.summary(runs.find(tmp_path)).split())
    assert (
        "ours: CIFAR-10 (JPEG), 6 of 300 epochs, 5,000 training images held out, precision bf16, channels last, "
        "lr 0.01, lr to a tenth after 4 and 5, no flip; cpu"
    ) in text


def test_more_epochs_than_the_presets_and_another_schedule_of_as_many(tmp_path):
    bundled = "bundled-convnet4-relu"
    write_run(tmp_path / "more", bundled, accuracies=[0.5] * 8, milestones=[4, 5])
    write_run(tmp_path / "flat", bundled, accuracies=[0.5] * 6, milestones=[])
    found = {record["schedule"]: (record["full"], record["other"]) for record in made(tmp_path)}
    assert found == {"8 epochs for 6": (False, ""), "6 epochs": (False, "one lr throughout")}


def test_unfinished_runs_and_seeds_that_are_there_twice_are_left_out_and_named(tmp_path):
    write_run(tmp_path / "a", seed=0, accuracies=[0.5, 0.6])
    write_run(tmp_path / "b", seed=0, accuracies=[0.5, 0.9])
    write_run(tmp_path / "c", seed=1, accuracies=[0.5], epochs=2)
    (tmp_path / "c" / "metrics.jsonl").write_text('{"epoch": 1, "test_acc')
    (record,) = made(tmp_path)
    assert record["accuracies"] == (60,)
    text = table.summary(runs.find(tmp_path))
    assert f"{tmp_path / 'c'}: not finished, 0 of 2 epochs" in text
    assert f"{tmp_path / 'b'}: seed 0 of the same configuration is there already" in text


def test_presets_that_the_kit_does_not_know(tmp_path):
    write_run(tmp_path / "x", "convnet9-sign-sste", accuracies=[0.5], network="convnet9")
    (record,) = made(tmp_path)
    assert (record["row"], record["column"], record["paper"], record["other"]) == ("", "", None, "network convnet9")
    text = table.summary(runs.find(tmp_path))
    assert "Of presets that this kit does not know\n  ours: relu, otherwise as convnet9-sign-sste" in text


@pytest.mark.parametrize("name", ["convnet4-relu", "alexnet-sign-ftpsh", "bundled-resnet8-real-staircase-sste"])
def test_what_the_kit_writes_of_a_preset_is_the_preset(tmp_path, name):
    facts = Facts("cifar10", 50_000, 10_000, (3, 32, 32), 10, "ab" * 32)
    text = Config.of(PRESETS[name], facts, seed=4).to_json()
    epochs = PRESETS[name].epochs
    folder = write_run(tmp_path / "x", name, accuracies=[0.5] * epochs)
    (folder / "config.json").write_text(text)
    (record,) = made(tmp_path)
    assert (record["schedule"], record["other"]) == (f"full schedule of {epochs} epochs", "")
    assert f"{record['row']}-{record['column']}" == name and record["seeds"] == (4,)


# --- as text and as CSV --------------------------------------------------------------------------------------------


def test_the_printed_table(tmp_path, capsys):
    for seed, accuracy in enumerate([0.80, 0.82]):
        write_run(tmp_path / f"s{seed}", seed=seed, accuracies=[accuracy, 0.7])
    write_run(tmp_path / "ftpsh", "convnet8-sign-ftpsh", accuracies=[0.83, 0.71], device=CPU)
    write_run(tmp_path / "bundled", "bundled-resnet8-relu", accuracies=[0.9] * 6, milestones=[4, 5])
    assert main(["table", str(tmp_path), "--protocol", "best", "--protocol", "last"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("8-layer convnet, CIFAR-10")
    assert [line.split() for line in lines[start + 1 : start + 5]] == [
        ["the", "paper", "84.6", "84.9", "88.4", "89.8", "91.2", "91.2"],
        "ours: CIFAR-10, 2 of 300 epochs, one lr throughout; NVIDIA H100, cpu".split(),
        "best 81.00 ± 1.00 (2) 83.00 (1)".split(),
        "last 70.00 ± 0.00 (2) 71.00 (1)".split(),
    ]
    heading = next(line for line in lines if line.startswith("In the paper"))
    for column, words in (("sign, SSTE", "81.00 ± 1.00 (2)"), ("sign, FTP-SH", "83.00 (1)")):
        place = lines[start + 3].index(words) + len(words)
        assert place == heading.index(column) + len(column)  # figures stand under their columns
    end = lines.index("AlexNet, ImageNet")
    assert end == start + 5 and lines[end + 2] == "ResNet-18, ImageNet"  # blank beneath: not run
    assert lines[lines.index("ResNet-8, bundled images") - 1].startswith("Not in it")
    assert lines[-2] == "Of the paper's 24 runs 2 were made here, 0 of them at the full schedule."
    assert max(map(len, lines)) <= 120


def test_with_nothing_run_the_table_is_the_papers_and_blank(tmp_path, capsys):
    assert main(["table", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "ours:" not in text and "Not in it" not in text and "24 runs 0 were made here" in text
    for preset in PRESETS.values():
        assert not preset.in_paper or f" {preset.paper}" in text


def test_csv_has_every_figure_and_blanks_where_nothing_was_run(tmp_path, capsys):
    for seed, accuracy in enumerate([0.80, 0.82]):
        write_run(tmp_path / f"s{seed}", seed=seed, accuracies=[accuracy, 0.7])
    assert main(["table", str(tmp_path), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    ran = {row["protocol"]: row for row in rows if row["n"] != "0"}
    assert set(ran) == {"best", "last", "selected"}
    assert (ran["best"]["mean"], ran["best"]["error"], ran["best"]["accuracies"]) == ("81.0", "1.0", "80.0;82.0")
    assert (ran["last"]["mean"], ran["last"]["seeds"], ran["last"]["paper"]) == ("70.0", "0;1", "84.6")
    blank = [row for row in rows if row["preset"] == "alexnet-relu"]
    assert [row["protocol"] for row in blank] == list(PROTOCOLS)
    assert {(row["mean"], row["error"], row["data"], row["devices"], row["paper"]) for row in blank} == {
        ("", "", "", "", "61.3")
    }


def test_an_unknown_protocol_and_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["table", str(tmp_path), "--protocol", "beste"]) == 2
    assert "did you mean 'best'" in capsys.readouterr().err
    assert main(["table", str(tmp_path / "no")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    with pytest.raises(UnknownName, match="protocol"):
        table.records([], ["median"])


# --- reading -------------------------------------------------------------------------------------------------------


def test_a_run_is_read_as_it_was_written(tmp_path):
    run = runs.read(write_run(tmp_path / "x", seed=3, accuracies=[0.25, 0.5]))
    assert run.config["preset"] == "convnet8-sign-sste" and run.seed == 3 and run.finished
    assert run.devices == (H100,) and [record["test_accuracy"] for record in run.metrics] == [0.25, 0.5]


def test_runs_are_found_at_any_depth_each_once_and_by_default_in_the_usual_places(tmp_path, monkeypatch):
    write_run(tmp_path / "deep" / "er" / "a")
    write_run(tmp_path / "runs" / "b", seed=1)
    write_run(tmp_path / "committed" / "c", seed=2)
    (tmp_path / "runs" / "not a run").mkdir()
    found = runs.find(tmp_path / "deep", tmp_path / "deep" / "er" / "a", tmp_path)
    assert sorted(run.folder.name for run in found) == ["a", "b", "c"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(import_module("ftpkit.runs.reading"), "COMMITTED", tmp_path / "committed")
    assert [run.folder.name for run in runs.find()] == ["c", "b"]


LINES = {
    "no JSON": ('{"epoch": 2, "test_acc\n', "line 2: this is no JSON"),
    "no object": ("[2, 0.5]\n", "line 2: a list stands where a dict should"),
    "nothing": ("\n", "line 2: this is no JSON"),
    "no text": ("\udcff\n", "line 2: this is no JSON"),
    "an epoch too far": ('{"epoch": 3, "test_accuracy": 0.5}\n', "line 2: epoch 3 stands where epoch 2 should"),
    "no accuracy": ('{"epoch": 2}\n', "line 2: test_accuracy is None"),
    "accuracy in %": ('{"epoch": 2, "test_accuracy": 50}\n', "line 2: test_accuracy is 50, not a number from 0 to 1"),
    "NaN": ('{"epoch": 2, "test_accuracy": NaN}\n', "line 2: test_accuracy is nan"),
    "halves": ('{"epoch": 2, "test_accuracy": 0.5, "test_halves": [0.5]}\n', r"line 2: test_halves is \[0.5\]"),
    "val": ('{"epoch": 2, "test_accuracy": 0.5, "val_accuracy": "0.5"}\n', "line 2: val_accuracy is '0.5'"),
}


@pytest.mark.parametrize("name", LINES)
def test_damaged_metrics_are_named_by_file_and_line(tmp_path, name, capsys):
    line, message = LINES[name]
    folder = write_run(tmp_path / "x", accuracies=[0.5, 0.5, 0.5])
    first, _, third = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text(first + line + third, errors="surrogateescape")
    with pytest.raises(ValueError, match=message) as error:
        runs.read(folder)
    assert str(error.value).startswith(f"{folder / 'metrics.jsonl'}, line 2: ")
    assert main(["table", str(tmp_path)]) == 2 and str(folder) in capsys.readouterr().err


def test_more_epochs_than_the_configuration_says_are_damage(tmp_path):
    folder = write_run(tmp_path / "x", accuracies=[0.5, 0.5], epochs=1)
    with pytest.raises(ValueError, match="line 2: epoch 2 stands where nothing should, after 1 epochs"):
        runs.read(folder)


@given(st.data())
def test_a_run_cut_off_anywhere_is_the_epochs_before(tmp_path_factory, data):
    folder = write_run(tmp_path_factory.mktemp("cut") / "x", accuracies=[0.25, 0.5, 0.75])
    text = (folder / "metrics.jsonl").read_bytes()
    keep = data.draw(st.integers(0, len(text)))
    (folder / "metrics.jsonl").write_bytes(text[:keep])
    whole_lines = sum(keep >= len(b"".join(text.splitlines(keepends=True)[:n])) - 1 for n in (1, 2, 3))
    assert [record["epoch"] for record in runs.read(folder).metrics] == list(range(1, whole_lines + 1))


CONFIG = '{"preset": "", "seed": %s, "network": "", "activation": "", "data": %s, "epochs": 1, "milestones": []}'


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("config.json", "{", "config.json: this is no JSON"),
        ("config.json", "[]", "config.json: a list stands where a dict should"),
        ("config.json", '{"preset": "x"}', "config.json holds no run's configuration: it lacks seed, network"),
        ("config.json", CONFIG % ('"1"', "{}"), "config.json holds no run's configuration: seed is '1'"),
        ("config.json", CONFIG % ("1", "{}"), "config.json does not say under data which images"),
        ("environment.json", "{}", "environment.json: a dict stands where a list should"),
        ("environment.json", "[1]", "environment.json holds something that is no session"),
    ],
)
def test_other_damaged_files_are_named(tmp_path, file, text, message):
    folder = write_run(tmp_path / "x")
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        runs.read(folder)


def test_a_folder_without_a_run_and_a_run_that_has_only_begun(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        runs.read(tmp_path)
    folder = write_run(tmp_path / "x")
    (folder / "metrics.jsonl").unlink()
    (folder / "environment.json").unlink()
    run = runs.read(folder)
    assert (run.metrics, run.environment, run.devices, run.finished) == ([], [], (), False)


# --- curves --------------------------------------------------------------------------------------------------------


def test_curves_are_by_seed_and_epoch(tmp_path):
    for name, seed, accuracies in (("b", 1, [0.3, 0.4]), ("a", 5, [0.5, 0.6]), ("c", 0, [0.1, 0.2])):
        write_run(tmp_path / name, seed=seed, accuracies=accuracies)
    epochs, values = runs.curves(runs.find(tmp_path), "test_accuracy")
    assert epochs.tolist() == [1, 2] and values.tolist() == [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]


@pytest.mark.parametrize(
    "other, message",
    [
        (dict(seed=1, lr=0.5), "different configurations .lr: 0.001 and 0.5."),
        (
            dict(seed=1, data=JPEG),
            "different configurations .data.name: cifar10 and cifar10_jpeg, data.sha256: abababab and cdcdcdcd.",
        ),
        (dict(seed=0), "have the same seed, 0"),
        (dict(seed=1, accuracies=[0.5], epochs=2), "not equally far, in epochs: .*a 2, .*b 1"),
    ],
)
def test_curves_of_runs_that_do_not_belong_together_are_refused(tmp_path, other, message):
    write_run(tmp_path / "a", accuracies=[0.5, 0.6])
    write_run(tmp_path / "b", **{"accuracies": [0.5, 0.6]} | other)
    with pytest.raises(ValueError, match=message):
        runs.curves(runs.find(tmp_path), "test_accuracy")


def test_curves_of_nothing_and_of_a_key_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="at least one run"):
        runs.curves([], "test_accuracy")
    write_run(tmp_path / "a")
    with pytest.raises(ValueError, match="has no 'train_loss' at epoch 1; it has epoch, test_accuracy"):
        runs.curves(runs.find(tmp_path), "train_loss")


def test_a_survey_reads_what_can_be_read_and_says_the_rest(tmp_path):
    good = write_run(tmp_path / "good")
    write_run(tmp_path / "bad" / "run")
    (tmp_path / "bad" / "run" / "config.json").write_text("[]")
    found, said = runs.survey(tmp_path, tmp_path / "nowhere")
    assert [run.folder for run in found] == [good]
    assert len(said) == 2 and said[0].startswith(f"there is no folder {tmp_path / 'nowhere'}")
    assert said[1].startswith(f"{tmp_path / 'bad' / 'run' / 'config.json'}: a list stands where a dict should")
    committed, nothing = runs.survey(runs.COMMITTED)
    assert [run.folder for run in committed] == [run.folder for run in runs.find(runs.COMMITTED)] and nothing == []
