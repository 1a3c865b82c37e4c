"""The exercises of notebook 08: the paper's table."""

from .card import Exercise

EXERCISES: tuple[Exercise, ...] = ()
