"""Answers to the exercises of notebook 04."""

from answers import Answers

ANSWERS: dict[str, Answers] = {}
