"""The exercises of notebook 01: one perceptron."""

from .card import Exercise

EXERCISES: tuple[Exercise, ...] = ()
