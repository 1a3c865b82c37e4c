"""The exercises of notebook 07: quantised residual networks."""

from .card import Exercise

EXERCISES: tuple[Exercise, ...] = ()
