"""The exercises of notebook 04, first half: what a race says, and what half the learning rate leaves of the flips."""

from collections.abc import Mapping

import numpy as np

from .card import Case, Exercise, Property

_SAYS = {"a": True, "b": False, "c": True, "d": False, "e": False, "f": False}  # tested against the race itself
_LOOK_AGAIN = {
    "a": "a: does the interval of STE minus SSTE hold 0? The statement claims it for this setting and no other.",
    "b": 'b: "no difference shown" is not "no difference". Which numbers besides 0 does the interval hold?',
    "c": "c: one pair of all is not shown one by one. Is FTP-SH in it? And who stands above FTP-SH?",
    "d": "d: the mean of how many runs is it an interval for? And how far does a single run scatter beside a mean?",
    "e": "e: look at the last line that the cell with all pairs printed.",
    "f": "f: at which end of the grid does the rate of STE lie? What was tried beyond it?",
}


def _wrong_reading(answer) -> str:
    if not isinstance(answer, Mapping) or set(answer) != set(_SAYS):
        return 'Keep the form of the stub: {"a": True, ...}, with the six letters a to f.'
    if not all(isinstance(each, bool | np.bool_ | int) and each in (0, 1) for each in answer.values()):
        return "Each of the six is True or False, without quotation marks."
    return next((f"Look again at {_LOOK_AGAIN[letter]}" for letter in _SAYS if answer[letter] != _SAYS[letter]), "")


def _reading_cases():
    yield Case("six statements", expected=Property("for each, whether the race says so", _wrong_reading))


_READING = Exercise(
    notebook="04",
    title="read an interval",
    goal="say no more than the numbers do.",
    difficulty="easy",
    minutes=5,
    reference=_SAYS,
    name="race_says",
    blank='{"a": None, "b": None, "c": None, "d": None, "e": None, "f": None}  # True or False',
    cases=_reading_cases,
    mistakes=(),
    hints=(
        "A difference is shown where its interval excludes 0. What is said of the others?",
        "The interval is about the mean over all seeds and images, not about single runs.",
        "a and b: the table with intervals. c and e: the lines on all pairs. d: the text above that table. f: the grid "
        "of learning rates.",
    ),
    explanation=(
        "a and c: these intervals exclude 0. b: the interval of Hinge minus STE holds 0, and differences of several "
        "tenths of a point as well. d: of the ten seeds of SSTE minus STE eight lie in the interval, of those of Ramp "
        "minus FTP-SH five: it is an interval for the mean, and single seeds scatter more. e: SSTE and FTP-SH are told "
        "apart one by one, but not among 28 pairs. f: the rate lies at the edge of the grid, and nobody tried a larger "
        "one."
    ),
)


_LEFT = {"first epoch": "nine tenths", "sixth epoch": "three quarters"}  # tested against the runs
_ONE_OF = '{epoch}: one of "half", "three quarters", "nine tenths" or "all", please.'
_WHY_NOT = {
    ("first epoch", "half"): "First epoch: that asks for twice as many flips at twice the rate. But two fifths at the "
    "full rate is not far from the half that chance gives: is there room for so much?",
    ("first epoch", "three quarters"): "First epoch: more is left. At either rate the random outputs are replaced.",
    ("first epoch", "all"): "First epoch: a little is lost. The weights do not come as far with smaller steps.",
    ("sixth epoch", "half"): "Sixth epoch: so it would be if the network made the same steps, only half as long. With "
    "another rate it soon is another network.",
    ("sixth epoch", "nine tenths"): "Sixth epoch: now the random outputs are gone, and what flips is what the steps "
    "shake. Does the rate then count for more, or for less?",
    ("sixth epoch", "all"): "Sixth epoch: the outputs do not come to rest, but smaller steps shake them less.",
}


def _wrong_prediction(epoch: str):
    def wrong(answer) -> str:
        if not isinstance(answer, Mapping) or set(answer) != set(_LEFT):
            return 'Keep the form of the stub: {"first epoch": "...", "sixth epoch": "..."}.'
        word = " ".join(str(answer[epoch]).lower().split())
        return "" if word == _LEFT[epoch] else _WHY_NOT.get((epoch, word), _ONE_OF.format(epoch=epoch.capitalize()))

    return wrong


def _prediction_cases():
    for epoch in _LEFT:
        yield Case(epoch, expected=Property("what was measured, mean of ten seeds", _wrong_prediction(epoch)))


_PREDICTION = Exercise(
    notebook="04",
    title="half the learning rate",
    goal="predict what smaller steps do to the flips, then look.",
    difficulty="easy",
    minutes=5,
    reference=_LEFT,
    name="flips_left",
    blank='{"first epoch": None, "sixth epoch": None}  # "half", "three quarters", "nine tenths" or "all"',
    cases=_prediction_cases,
    mistakes=(),
    hints=(
        "An output flips when z passes 0. How far the weights move in an epoch depends on the rate. In proportion?",
        "In the first epoch random outputs give way to learned ones, at any sensible rate. In the sixth they are "
        "there, and the steps shake them. In which of the two does the rate count for more?",
    ),
    explanation=(
        "In ten seeds nine tenths are left in the first epoch and three quarters in the sixth, for STE, SSTE and "
        "FTP-SH alike. Half as many would be left if the network made the same steps, only half as long. It does not: "
        "with another rate it soon is another network. Why just three quarters was not measured here. A place to "
        "start: how far do the first layer's weights move in an epoch, compared with their length? "
        '`depth.flips("sign:STE", 5e-4, seed=0)` runs one seed.'
    ),
)

EXERCISES = (_READING, _PREDICTION)
