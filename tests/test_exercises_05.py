"""The exercises of notebook 05: every printed solution passes its check, and plausible wrong answers do not."""

from dataclasses import replace

import exercises
import pytest

from ftpkit import inside, race

BOOK = exercises.Book("05_convnet")

WRONG = {
    1: [
        "thresholds, levels_of_5, outputs = [0, 0.2, 0.4, 0.6, 0.8], [0, 0.2, 0.4, 0.6, 0.8, 1], [0, 0.4, 0.8, 1]",
        "thresholds, levels_of_5, outputs = [0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.75, 1], [0, 0.4, 0.8, 1]",
        "thresholds, levels_of_5, outputs = [0, 0.25, 0.5, 0.75, 1], [0, 0.2, 0.4, 0.6, 0.8, 1], [0.2, 0.4, 1, 1]",
    ],
    2: [
        "def clamp_and_ceil(z, k):\n    return torch.ceil(z * k).clamp(0, k) / k\noutputs_of_one_step = {0.0}",
        "def clamp_and_ceil(z, k):\n    return torch.ceil(z * (k - 1)).clamp(0, k) / k\n"
        "outputs_of_one_step = {0.0, 1.0}",
    ],
    3: [
        "def parameters_of_convnet4(channels, height, width, classes):\n    return 3274634",
        "def parameters_of_convnet4(channels, height, width, classes):\n"
        "    features = 64 * (height // 4) * (width // 4)\n"
        "    return 25 * channels * 32 + 32 + 51264 + features * 1024 + 1024 + 1025 * classes",
    ],
    4: [
        "ramp_areas, with_k = {'single': 1.5, 'sum': 3.0}, 'grows'",
        "ramp_areas, with_k = {'single': 3.0, 'sum': 3.0}, 'stays'",
        "ramp_areas, with_k = {'single': 1.5, 'sum': 1.5}, 'stays'",
    ],
    5: [
        "def contestant():\n    return QuantReLU(3, 'SaturatedHinge')",
        "def contestant():\n    return QuantReLU(3, 'FTP-SH', form='sum')",
        "def contestant():\n    return QuantReLU(5, 'SaturatedHinge', form='sum')",
    ],
}


@pytest.fixture(scope="module")
def namespace():
    """What a reader has defined when the exercises begin, without the networks trained on the way."""
    names = {"__name__": "__main__"}
    code = [text for kind, text in BOOK.before if kind == "code"]
    for needed in ("import ftpkit\n", "class HandStaircase", "images = data.load", "def area("):
        (cell,) = [text for text in code if needed in text]
        exec(cell, names)
    exec('few = data.holdout(images.train, race.RACES["convnet4-live"].train_size)[1]', names)
    return BOOK.begin(names)


def test_there_are_enough_and_each_has_goal_time_hint_and_solution():
    BOOK.assert_well_formed(WRONG)


@pytest.mark.parametrize("number", WRONG)
def test_the_solution_is_right(namespace, number):
    text = BOOK.exercises[number].solution
    assert "seeds=3" not in text or text.rstrip().splitlines()[-1].startswith("print(race.difference(")
    quick = "\n".join(line for line in text.splitlines() if "seeds=3" not in line)  # that race takes a minute
    assert BOOK.exercises[number].attempt(namespace, quick).startswith("right")


@pytest.mark.parametrize("number, wrong", [(number, text) for number, texts in WRONG.items() for text in texts])
def test_a_wrong_answer_is_refused(namespace, number, wrong):
    with pytest.raises(AssertionError):
        BOOK.exercises[number].attempt(namespace, wrong)


def test_the_last_exercises_race_runs(namespace, monkeypatch):
    few, images = namespace["few"], namespace["images"]
    monkeypatch.setitem(namespace, "few", few.subset(100))
    monkeypatch.setitem(namespace, "images", replace(images, test=images.test.subset(50)))
    hits = eval("hits(single, seeds=2)", namespace)
    assert hits.shape == (2, 50) and race.difference(hits, hits).mean == 0


def test_the_bands_are_of_the_same_networks_as_the_live_race():
    looked = inside.load()
    raced = {(run["contestant"], run["seed"]): run["accuracy"] for run in race.load("convnet4-live")["runs"]}
    assert {run["contestant"] for run in looked["runs"]} == set(inside.CONTESTANTS) and len(looked["runs"]) == 30
    for run in looked["runs"]:
        assert run["accuracy"] == raced[run["contestant"], run["seed"]]
