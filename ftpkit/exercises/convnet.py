"""The exercises of notebook 05: a convolutional network."""

from .card import Exercise

EXERCISES: tuple[Exercise, ...] = ()
