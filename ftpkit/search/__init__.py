"""Target search on small networks: exhaustive, local and exact, with one interface.

Every search is ``f(problem, *, objective, budget, seed, callback) -> Outcome``; see `Problem` for letters and shapes.
"""

from .problem import Evaluator, Outcome, Problem, State

__all__ = ["Evaluator", "Outcome", "Problem", "State"]
