"""Exercises: cards whose checks say TODO, NOT YET or RIGHT, with hints, solutions, and a record of progress."""

from .card import Case, Exercise, Mistake, Property, Verdict
from .progress import forget_progress, keep_progress
from .shelf import EXERCISES, exercise, show_progress

__all__ = [
    "EXERCISES",
    "Case",
    "Exercise",
    "Mistake",
    "Property",
    "Verdict",
    "exercise",
    "forget_progress",
    "keep_progress",
    "show_progress",
]
