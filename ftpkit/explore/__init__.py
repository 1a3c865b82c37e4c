"""Interactive demos: state, a pure compute(state), a pure figure(result), and a thin shell of widgets around them."""

from .losses import LossExplorer, LossState
from .perceptron import PerceptronPlayground, PlaygroundState
from .points import PointsPad
from .race import RaceDemo, RaceState
from .results import ResultsExplorer, ResultsState
from .search import SearchState, SearchStepper
from .staircase import StaircaseExplorer, StaircaseState
from .targets import TargetExplorer, TargetState

__all__ = [
    "LossExplorer",
    "LossState",
    "PerceptronPlayground",
    "PlaygroundState",
    "PointsPad",
    "RaceDemo",
    "RaceState",
    "ResultsExplorer",
    "ResultsState",
    "SearchState",
    "SearchStepper",
    "StaircaseExplorer",
    "StaircaseState",
    "TargetExplorer",
    "TargetState",
]
