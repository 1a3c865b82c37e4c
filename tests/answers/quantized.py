"""Answers to the exercises of notebook 06."""

from answers import Answers

ANSWERS: dict[str, Answers] = {}
