"""All exercises, by name."""

from ..losses import Table
from . import (
    blocks,
    bounds,
    capacity,
    contest,
    convnet,
    flips,
    losses,
    minibatch,
    networks,
    perceptron,
    progress,
    quantized,
    resnets,
    rounding,
    search,
    seeds,
    staircases,
    steps,
    table,
    updates,
)
from .card import Exercise
from .values import Said

# from notebook 01 to 08
_SHELVES = (
    perceptron,
    steps,
    capacity,
    search,
    flips,
    bounds,
    losses,
    contest,
    minibatch,
    updates,
    staircases,
    convnet,
    quantized,
    rounding,
    resnets,
    blocks,
    networks,
    table,
    seeds,
)
_ALL: list[Exercise] = [exercise for shelf in _SHELVES for exercise in shelf.EXERCISES]

EXERCISES: Table = Table({each.name: each for each in _ALL}, kind="exercise")
if len(EXERCISES) < len(_ALL):
    raise ValueError("two exercises have one name")


def exercise(name: str) -> Exercise:
    """The exercise of that name; UnknownName, with the nearest, for one that is not there.

    >>> exercise("hinge_derivative").check()
    TODO: hinge_derivative. Fill in the cell above and run it; exercise("hinge_derivative").hint() helps.
    """
    return EXERCISES[name]


def show_progress() -> Said:
    """How far you are, notebook by notebook."""
    return progress.summary(EXERCISES)
