"""Answers to the exercises of notebook 01."""

from answers import Answers

ANSWERS: dict[str, Answers] = {}
