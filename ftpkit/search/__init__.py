"""Target search on small networks: exhaustive, local and exact, with one interface.

Every search is ``f(problem, *, objective, budget, seed, callback) -> Outcome``; see `Problem` for letters and shapes.
"""

from .exhaustive import cover_count, dichotomies, exhaustive
from .local import beam, hill_climb, local_search
from .madaline import madaline
from .problem import Evaluator, Outcome, Problem, State, random_network

__all__ = [
    "Evaluator",
    "Outcome",
    "Problem",
    "State",
    "beam",
    "cover_count",
    "dichotomies",
    "exhaustive",
    "hill_climb",
    "local_search",
    "madaline",
    "random_network",
]
