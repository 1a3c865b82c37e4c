"""Answers to the exercises of notebook 08."""

from answers import Answers

ANSWERS: dict[str, Answers] = {}
