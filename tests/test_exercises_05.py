"""The exercises of notebook 05: every printed solution passes its check, and plausible wrong answers do not."""

import re
from dataclasses import replace
from pathlib import Path

import hygiene
import pytest

from ftpkit import inside, race

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "05_convnet.ipynb"
CELLS = [(cell["cell_type"], "".join(cell["source"])) for cell in hygiene.read(NOTEBOOK)["cells"]]
EXERCISES = [i for i, (kind, text) in enumerate(CELLS) if kind == "markdown" and text.startswith("### Exercise")]

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
    code = [text for kind, text in CELLS[: EXERCISES[0]] if kind == "code"]
    for needed in ("import ftpkit\n", "class HandStaircase", "images = data.load", "def area("):
        (cell,) = [text for text in code if needed in text]
        exec(cell, names)
    exec('few = data.holdout(images.train, race.RACES["convnet4-live"].train_size)[1]', names)
    for i in EXERCISES:
        exec(CELLS[i + 1][1], names)
        exec(CELLS[i + 2][1], names)  # as committed: not solved yet
    return names


def solution(i):
    return re.search(r"<summary>Solution</summary>\s+```python\n(.*?)```", CELLS[i][1], re.DOTALL)[1]


def test_there_are_enough_and_each_has_goal_time_hint_and_solution():
    assert len(EXERCISES) >= 4
    for i in EXERCISES:
        assert re.search(r"\*Goal: .+ (Easy|Middling|Harder), \d+ minutes.*\*", CELLS[i][1])
        assert "<summary>Hint</summary>" in CELLS[i][1] and solution(i)


@pytest.mark.parametrize("number", range(1, len(EXERCISES) + 1))
def test_the_solution_is_right(namespace, capsys, number):
    i, names = EXERCISES[number - 1], dict(namespace)
    text = solution(i)
    assert "seeds=3" not in text or text.rstrip().splitlines()[-1].startswith("print(race.difference(")
    exec("\n".join(line for line in text.splitlines() if "seeds=3" not in line), names)  # that race takes a minute
    exec(CELLS[i + 2][1], names)
    assert capsys.readouterr().out.startswith("right")


@pytest.mark.parametrize("number, wrong", [(number, text) for number, texts in WRONG.items() for text in texts])
def test_a_wrong_answer_is_refused(namespace, number, wrong):
    names = dict(namespace)
    exec(wrong, names)
    with pytest.raises(AssertionError):
        exec(CELLS[EXERCISES[number - 1] + 2][1], names)


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
