"""The exercises of notebook 04: mini-batch FTPROP."""

from .card import Exercise

EXERCISES: tuple[Exercise, ...] = ()
