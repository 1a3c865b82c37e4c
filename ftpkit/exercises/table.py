"""The exercises of notebook 08: reading the paper's table, and planning what it lacks."""

import argparse
from collections.abc import Mapping

import numpy as np

from ..presets import PRESETS, ROWS
from .card import Case, Exercise, Property


def _statements() -> dict[str, bool]:
    paper = np.array([row.paper for row in ROWS.values() if row.paper])
    sign_sste, sign, staircase_sste, staircase, relu, saturated = paper.T
    return {
        "a": bool((staircase - sign > (relu - sign) / 2).all()),
        "b": bool(((sign > sign_sste) | (staircase > staircase_sste)).all()),
        "c": bool((saturated >= relu).all()),
        "d": False,  # of other seeds the table says nothing
    }


_LOOK_AGAIN = {
    "a": "Look again at a: with FTP-SH, is 85.5 nearer to 86.5 or to 81.3? And how is it on the other networks?",
    "b": "Look again at b: one activation is enough. Where SSTE leads with one of them, who leads with the other?",
    "c": "Look again at c: one network is enough to refute 'never'. Compare the last two columns row by row.",
    "d": "Look again at d: how many seeds stand behind one cell of this table, and what is known of the others?",
}


def _wrong_reading(answer) -> str:
    if not isinstance(answer, Mapping) or set(answer) != set(_LOOK_AGAIN):
        return 'Keep the form of the stub: {"a": True, ...}, with the four letters a to d.'
    if not all(isinstance(each, bool | np.bool_ | int) for each in answer.values()):
        return "Each of the four is True or False, without quotation marks."
    return next((_LOOK_AGAIN[letter] for letter, truth in _statements().items() if answer[letter] != truth), "")


def _reading_cases():
    yield Case("four statements", expected=Property("for each, whether the table says so", _wrong_reading))


_READING = Exercise(
    notebook="08",
    title="read the table",
    goal="separate what a table shows from what it suggests.",
    difficulty="easy",
    minutes=5,
    reference=_statements(),
    name="table_says",
    blank='{"a": None, "b": None, "c": None, "d": None}  # True or False',
    cases=_reading_cases,
    mistakes=(),
    hints=(
        "The data frame is called `paper`. Take one network at a time, and only what stands in its row.",
        "For a compute staircase minus sign and ReLU minus staircase, with FTP-SH. For d count the runs behind a cell.",
    ),
    explanation=(
        "a: the staircase gains 4.2 of 5.2 points on the 4-layer network, 4.9 of 6.3 on the 8-layer one, 13.4 of 14.0 "
        "on AlexNet and 16.5 of 21.3 on ResNet-18. b holds thanks to the sign on the 4-layer network and the "
        "staircase on ResNet-18, where the other activation has SSTE ahead. c fails on ResNet-18: 66.9 against 69.1. "
        "d may well be so, but one run of each rule cannot say it."
    ),
)


_FLATTERED = {"here": 0.84, "paper": 0.85}  # points, computed from the binomial distribution; the rule of thumb: 1.3, 1
_TOO_FAR = {
    ("here", -1): "here: too little. A test on 2,000 images is coarse: by how many points does a single one scatter?",
    ("here", 1): "here: too much. There are only 6 epochs to choose from, and each scatters by less than a point.",
    ("paper", -1): "paper: too little. A single test on 10,000 images is precise, but there are 300 to choose from.",
    ("paper", 1): "paper: too much. The maximum grows very slowly with the number of epochs: √(2 ln E).",
}


def _wrong_guess(answer) -> str:
    if not isinstance(answer, Mapping) or set(answer) != set(_FLATTERED):
        return 'Keep the form of the stub: {"here": a number, "paper": a number}.'
    try:
        found = {name: float(value) for name, value in answer.items()}
    except (TypeError, ValueError):
        return "Two numbers, please: how many points each."
    if all(0 < value < 0.02 for value in found.values()):
        return "Is that a share? In points it is 100 times as much."
    if min(found.values()) > 80:
        return "Not the best accuracy itself: by how much it lies above 90 %."
    if np.isclose(found["here"], 0.67, atol=0.02) and np.isclose(found["paper"], 0.3, atol=0.02):
        return "That is how far one test scatters. How much higher is the best of many?"
    if np.isclose(found["paper"], 2.266, atol=0.01) or np.isclose(found["here"], 0.568, atol=0.01):
        return "One and the same number of images is taken for both: it is 2,000 here and 10,000 there."
    off = {name: (value > 1.3) - (not value >= 0.7) for name, value in found.items()}
    return next((_TOO_FAR[name, side] for name, side in off.items() if side), "")


def _guess_cases():
    yield Case("two guesses", expected=Property("what comes out, give or take a few tenths", _wrong_guess))


_GUESS = Exercise(
    notebook="08",
    title="which best epoch flatters more?",
    goal="predict the size of a choice made on the test set.",
    difficulty="easy",
    minutes=5,
    reference=_FLATTERED,
    name="flattered_by",
    blank='{"here": None, "paper": None}  # points',
    cases=_guess_cases,
    mistakes=(),
    hints=(
        "Two things count: how far one test scatters, and how many there are to choose from.",
        "The share of right answers among n images scatters by 100 √(0.9 · 0.1 / n) points: 0.67 for 2,000 images.",
        "The rule of thumb of the theory above: that scatter times √(2 ln E).",
    ),
    explanation=(
        "About the same, though the paper has 50 times as many epochs: 0.84 points here and 0.85 there (the rule of "
        "thumb, good for large E only, says 1.3 and 1.0). The number of epochs counts by the root of its logarithm, "
        "the number of images by its root: five times as many images make up for 50 times as many epochs. Both rivals "
        "of a comparison are flattered alike, so a difference of two maxima is less wrong than each of them."
    ),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(message)


def _parsed(command: str) -> argparse.Namespace:
    """What `python -m ftpkit train` would make of it; ValueError where it would refuse."""
    from ..runs.command import add_arguments

    parser = _Parser(add_help=False)
    add_arguments(parser)
    return parser.parse_args(command.partition("ftpkit train")[2].split())


_MAY_DIFFER = {"preset", "seed", "out", "download", "resume", "device", "workers", "tensorboard"}
_LEAD = ("cifar-resnet18-staircase-ftpsh", "cifar-resnet18-staircase-sste")


def _wrong_commands(answer) -> str:
    if not answer or not isinstance(answer, list | tuple) or not all(isinstance(each, str) for each in answer):
        return "It is to be a list of texts, one command each."
    if not all("-m ftpkit train " in each for each in answer):
        return 'Each of them begins with "python -m ftpkit train", and a preset follows.'
    try:
        runs = [_parsed(each) for each in answer]
    except ValueError as refusal:
        return f"The command would refuse one of them: {refusal}."
    for run in runs:
        if run.preset not in _LEAD:
            return _wrong_preset(run.preset)
    return _wrong_plan(runs)


def _wrong_preset(name: str) -> str:
    if name not in PRESETS:
        return f'There is no preset "{name}": `python -m ftpkit presets cifar-resnet18` lists six.'
    if name.startswith("resnet18"):
        return f"{name} is the paper's own run on ImageNet, which takes days: which preset has the network on CIFAR-10?"
    if name.startswith("cifar-resnet18-sign"):
        return "With signs the paper has SSTE ahead on this network; the lead in question is one of the staircase."
    return f"{name} does not help: the question is about two rules, on ResNet-18, CIFAR-10 and the staircase."


def _wrong_plan(runs: list[argparse.Namespace]) -> str:
    seeds = {name: [run.seed for run in runs if run.preset == name] for name in _LEAD}
    ours, theirs = map(sorted, seeds.values())
    if not ours or not theirs:
        return "A lead is a difference of two: the other rule has to run as well."
    if len(set(ours)) < len(ours) or len(set(theirs)) < len(theirs):
        return "Two of these are one and the same run: without `--seed` the seed is 0."
    if ours != theirs:
        return "The two rules have other seeds. With the same ones their runs make pairs."
    if len(ours) < 3:
        return f"Only {len(ours)} of each: what does that say about other seeds? Three were asked for."
    settings = [{key: value for key, value in vars(run).items() if key not in _MAY_DIFFER} for run in runs]
    if any(setting != settings[0] for setting in settings):
        return "These runs differ in more than rule and seed: give all of them the same settings."
    return ""


def _command_cases():
    wanted = Property("commands for two rules, with three seeds each that are the same for both", _wrong_commands)
    yield Case("the plan", expected=wanted)


_SIX = """commands = [
    f"python -m ftpkit train cifar-resnet18-staircase-{rule} --seed {seed}"
    for rule in ("ftpsh", "sste")
    for seed in range(3)
]"""

_COMMANDS = Exercise(
    notebook="08",
    title="the commands for a question",
    goal="plan runs before they cost a night.",
    difficulty="easy",
    minutes=5,
    reference=[f"python -m ftpkit train {name} --seed {seed}" for name in _LEAD for seed in range(3)],
    name="commands",
    code=_SIX,
    blank="[None]  # a list of texts, a command each",
    cases=_command_cases,
    mistakes=(),
    hints=(
        "`python -m ftpkit presets cifar-resnet18` in a shell, or `list(presets.PRESETS)` here: which two names?",
        "`--seed N` makes another run of the same preset. The same seeds for both rules make pairs.",
    ),
    explanation=(
        "Six runs: the same seeds under both rules, and nothing else differs. Before they start, one of them with "
        "`--epochs 20` shows that all is well. Exercise 6 shows what three seeds can say."
    ),
)

EXERCISES = (_READING, _GUESS, _COMMANDS)
