"""Target search on small networks: exhaustive, local and exact, with one interface.

Every search is ``f(problem, *, objective, budget, seed, callback) -> Outcome``; see `Problem` for letters and shapes.
"""

from .bigm import big_m
from .cases import CELLS, case
from .exact import exact
from .exhaustive import cover_count, dichotomies, exhaustive, settings
from .gradient import gradient, perceptron
from .local import beam, hill_climb, local_search, random_network
from .madaline import madaline
from .problem import Evaluator, Outcome, Problem, State

__all__ = [
    "CELLS",
    "Evaluator",
    "Outcome",
    "Problem",
    "State",
    "beam",
    "big_m",
    "case",
    "cover_count",
    "dichotomies",
    "exact",
    "exhaustive",
    "gradient",
    "hill_climb",
    "local_search",
    "madaline",
    "perceptron",
    "random_network",
    "settings",
]
