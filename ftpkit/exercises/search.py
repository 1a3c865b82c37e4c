"""The exercises of notebook 02: targets by search."""

from .card import Exercise

EXERCISES: tuple[Exercise, ...] = ()
