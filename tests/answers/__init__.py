"""Answers to every exercise, for its check: differently written right ones, and wrong ones taken from real mistakes.

One module for each module of `ftpkit.exercises`, each with a dict ANSWERS from the exercise's name to `Answers`. They
are written without a look at the mistakes that the exercise itself knows, as readers write them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answers:
    """right: answers that pass. wrong: answers that do not, with the name of the mistake that the check must see.

    One mistake may be made by several answers: then its name stands before a "/" ("shape / summed over the batch").
    """

    right: list
    wrong: dict[str, object]
