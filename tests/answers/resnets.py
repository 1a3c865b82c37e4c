"""Answers to the exercises of notebook 07."""

from answers import Answers

ANSWERS: dict[str, Answers] = {}
