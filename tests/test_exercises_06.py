"""The exercises of notebook 06: every printed solution passes its check, and plausible wrong answers do not."""

from dataclasses import replace

import exercises
import pytest
import torch

from ftpkit import RULES, race

BOOK = exercises.Book("06_quantized_activations")

LOSS = """
from ftpkit import LOSSES

hinge = LOSSES["{base}"]
def value(u, t):
    return {factor} * sum(hinge.value((u + 1) / 2 - i / 2, t) for i in range(3)) / 3
def derivative(u, t):
    return sum(hinge.derivative({z} - i / 2, t) for i in range(3)) / 3
one_loss = Loss("{name}", value, derivative)
"""
RIGHT = {"base": "SaturatedHinge", "factor": 2, "z": "(u + 1) / 2", "name": "SumOfHinges"}
ACCURACY = """
import copy

class Rounded(torch.nn.Module):
    def __init__(self, k):
        super().__init__()
        self.k = k
    def forward(self, z):
        return {quantiser}(z, self.k)

def rounded_accuracy(k):
    model = {model}
    {replaced} = {new}
    return train.evaluate(model, images.test)["accuracy"]
"""
CAREFUL = {
    "quantiser": "rounding",
    "model": "copy.deepcopy(real)",
    "replaced": "model.act1, model.act2",
    "new": "Rounded(k), Rounded(k)",
}

WRONG = {
    1: [
        "def bits(k):\n    return (k - 1).bit_length()\ndef most_steps(n):\n    return 2**n - 1",
        "def bits(k):\n    return k.bit_length()\ndef most_steps(n):\n    return 2**n",
        "def bits(k):\n    return k.bit_length() + 1\ndef most_steps(n):\n    return 2 ** (n - 1) - 1",
    ],
    2: [
        "def largest_errors(k):\n    return 1 / (k - 1), 1 / (2 * k)\ndef steps_for(r):\n    return r + 1",
        "def largest_errors(k):\n    return 1 / k, 1 / k\ndef steps_for(r):\n    return r + 1",
        "def largest_errors(k):\n    return 1 / k, 1 / (2 * k)\ndef steps_for(r):\n    return r",
        "def largest_errors(k):\n    return 1 / k, 1 / (2 * k)\ndef steps_for(r):\n    return 2 * r",
    ],
    3: [
        "def a_and_b(k):\n    return (k - 1) / k, 1 / (2 * k)",
        "def a_and_b(k):\n    return k / (k - 1), 1 / (2 * (k - 1))",
        "def a_and_b(k):\n    return 1, 0",
    ],
    4: [LOSS.format(**RIGHT | wrong) for wrong in ({"factor": 1}, {"z": "u"}, {"base": "Hinge"}, {"name": "Mine"})]
    + ["one_loss = QuantReLU(3, 'SaturatedHinge', form='sum')"],
    5: [
        ACCURACY.format(**CAREFUL | wrong)
        for wrong in (
            {"quantiser": "staircase"},
            {"replaced": "model.act1", "new": "Rounded(k)"},
            {"new": "Rounded(k + 1), Rounded(k + 1)"},
            {"model": "real"},
        )
    ],
}


@pytest.fixture(scope="module")
def namespace():
    """What a reader has defined when the exercises begin, with a network that was not trained, and without the race."""
    names = {"__name__": "__main__"}
    code = [text for kind, text in BOOK.before if kind == "code"]
    for needed in ("from ftpkit import", "def as_the_code", "def rounding(", "def error(", "real = models.MLP("):
        (cell,) = [text for text in code if needed in text]
        exec("\n".join(line for line in cell.splitlines() if not line.startswith("train.fit(")), names)
    return BOOK.begin(names)


def test_there_are_enough_and_each_has_goal_time_hint_and_solution():
    BOOK.assert_well_formed(WRONG)


@pytest.mark.parametrize("number", WRONG)
def test_the_solution_is_right(namespace, number):
    assert BOOK.exercises[number].attempt(namespace, BOOK.exercises[number].solution).startswith("right")


@pytest.mark.parametrize("number, wrong", [(number, text) for number, texts in WRONG.items() for text in texts])
def test_a_wrong_answer_is_refused(namespace, number, wrong):
    kept = namespace["real"].act1, namespace["real"].act2
    try:
        with pytest.raises(AssertionError):
            BOOK.exercises[number].attempt(namespace, wrong)
    finally:
        namespace["real"].act1, namespace["real"].act2 = kept  # one of the wrong answers works on it


@pytest.mark.parametrize("number, text", [(4, LOSS.format(**RIGHT)), (5, ACCURACY.format(**CAREFUL))])
def test_the_wrong_answers_are_wrong_for_their_own_reason(namespace, number, text):
    assert BOOK.exercises[number].attempt(namespace, text).startswith("right")


def test_the_race_of_the_own_loss_runs(namespace, monkeypatch):
    text = BOOK.exercises[4].text
    own = text.split("```python\n")[2].split("```")[0]
    assert own.rstrip().splitlines()[-1].startswith("print(race.difference(")
    small = replace(race.RACES["levels-live"], epochs=1, train_size=300)
    monkeypatch.setitem(race.RACES, "levels-live", small)
    monkeypatch.setitem(RULES, "SumOfHinges", RULES["STE"])  # so that it is taken away afterwards
    names = dict(namespace)
    exec(BOOK.exercises[4].solution, names)
    exec(own, names)
    assert [run["seed"] for run in names["own"]["runs"]] == [0, 0, 1, 1, 2, 2]
    assert RULES["SumOfHinges"].loss is names["one_loss"]


def test_the_race_has_runs_in_common_with_that_of_notebook_04():
    """Same settings but for the learning rates to choose from: where the same one was chosen, the same runs."""
    levels, mlp = race.load("levels"), race.load("mlp")
    for contestant in ("relu", "sign:SSTE", "sign:FTP-SH"):
        assert race.best_lr(levels, contestant) == race.best_lr(mlp, contestant)
        assert (race.correct(levels, contestant) == race.correct(mlp, contestant)).all()


@pytest.mark.parametrize("name", ["levels", "levels-live"])
def test_committed_results_are_whole(name):
    result = race.load(name)
    settings = result["settings"]
    assert settings == race._settings(race.RACES[name]), "made with other settings: run the race again"
    images = 10_000 if name == "levels" else 2_000
    searched = {(r["contestant"], r["lr"], r["seed"]) for r in result["lr_search"]}
    assert len(searched) == len(result["lr_search"]) == (16 * 5 * 3 if name == "levels" else 0)
    for contestant in settings["contestants"]:
        assert race.correct(result, contestant).shape == (10, images)
        assert {r["lr"] for r in result["runs"] if r["contestant"] == contestant} == {race.best_lr(result, contestant)}


def test_no_learning_rate_of_the_race_lies_at_an_end_of_the_grid():
    result = race.load("levels")
    inner = result["settings"]["lrs"][1:-1]
    assert {race.best_lr(result, c) for c in result["settings"]["contestants"]} <= set(inner)


def test_the_networks_of_the_two_quantisers_are_one_family(namespace):
    """What the text says of exercise 3: behind batch norm one network does what the other does, to the last image."""
    torch.manual_seed(0)
    k, z = 5, torch.randn(4000, 3, dtype=torch.float64)
    norm = torch.nn.BatchNorm1d(3, dtype=torch.float64)
    stretched = torch.nn.BatchNorm1d(3, dtype=torch.float64)
    stretched.weight.data.mul_(k / (k - 1))
    stretched.bias.data.mul_(k / (k - 1)).sub_(1 / (2 * (k - 1)))
    rounded, stairs = namespace["rounding"](norm(z), k), namespace["staircase"](stretched(z), k)
    assert torch.equal(rounded, stairs) and len(rounded.unique()) == k + 1
