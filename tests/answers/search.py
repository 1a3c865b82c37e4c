"""Answers to the exercises of notebook 02."""

from answers import Answers

ANSWERS: dict[str, Answers] = {}
