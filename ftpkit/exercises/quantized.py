"""The exercises of notebook 06: quantised activations."""

from .card import Exercise

EXERCISES: tuple[Exercise, ...] = ()
