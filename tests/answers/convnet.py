"""Answers to the exercises of notebook 05."""

from answers import Answers

ANSWERS: dict[str, Answers] = {}
