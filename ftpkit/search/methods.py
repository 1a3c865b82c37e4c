"""The methods that `python -m ftpkit search` compares, with their budgets: a line of METHODS for each."""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass

from ..ftprop import ftprop
from ..losses import Table
from .bigm import big_m
from .exact import exact
from .exhaustive import exhaustive
from .gradient import EPOCHS, LRS, gradient, perceptron
from .local import beam, hill_climb, local_search
from .madaline import madaline
from .problem import Outcome, Problem


@dataclass(frozen=True, eq=False)
class Method:
    """A search with its settings, the budget among them; called with a problem and a seed, it returns an Outcome.

    max_bits: cases with more target bits are left out. cells: as for `cases.named`, the only ones it is run on.
    """

    search: Callable[..., Outcome]
    settings: dict
    max_bits: int | None = None
    cells: tuple[str, ...] | None = None

    @property
    def seeded(self) -> bool:
        return "seed" in inspect.signature(self.search).parameters

    def __call__(self, problem: Problem, seed: int) -> Outcome:
        return self.search(problem, **self.settings, **({"seed": seed} if self.seeded else {}))

    def as_data(self) -> dict:
        """All that decides the method's results, as it comes back from a file; functions by their names."""
        settings = {key: getattr(value, "__name__", value) for key, value in self.settings.items()}
        return json.loads(json.dumps({"search": self.search.__name__, **settings, "max_bits": self.max_bits}))


def method(search: Callable[..., Outcome], *, max_bits=None, cells=None, **settings) -> Method:
    """A line of METHODS: a function that can be imported, with what it is to be called with besides a seed."""
    return Method(search, settings, max_bits, cells)


_MAIN = ("logic", "teachers 2-layer", "teachers 3-layer", "real")

# What the pseudo-code of Algorithm 1 leaves open is tried on these, one change at a time.
OPEN_QUESTIONS = (
    "teacher 2-layer n=4 h=3 m=25",
    "teacher 2-layer n=4 h=3 m=50",
    "teacher 2-layer n=6 h=3 m=50",
    "teacher 3-layer n=4 h=3-2 m=25",
)

# Where the variants that solve all of these are told apart.
HARD = (
    "parity 6",
    "Pullover or Coat m=100",
    "teacher 2-layer n=5 h=3 m=200",
    "teacher 5-layer n=5 h=3-3-3-3 m=50",
)


def _variant(**settings) -> Method:
    return method(ftprop, cells=OPEN_QUESTIONS, budget=300, **settings)


METHODS: dict[str, Method] = Table(
    {
        "perceptron": method(perceptron),
        "SSTE-1": method(gradient, rule="SSTE", starts=1, budget=EPOCHS, lr=LRS["SSTE"]),
        "SSTE-50": method(gradient, rule="SSTE", starts=50, budget=EPOCHS, lr=LRS["SSTE"]),
        "FTP-SH-1": method(gradient, rule="FTP-SH", starts=1, budget=EPOCHS, lr=LRS["FTP-SH"]),
        "FTP-SH-50": method(gradient, rule="FTP-SH", starts=50, budget=EPOCHS, lr=LRS["FTP-SH"]),
        "Algorithm 1": method(ftprop, budget=2000),
        "Algorithm 1, eq. 2": method(ftprop, proposal="gradient", budget=200, cells=_MAIN),
        "Algorithm 1, outputs always": method(ftprop, failure="outputs always", budget=2000, cells=HARD),
        "MADALINE II": method(madaline, budget=20_000),
        "hill climbing": method(hill_climb, objective="loss", budget=500, max_bits=100),
        "beam of 8": method(beam, objective="loss", width=8, budget=500, max_bits=100),
        "local search": method(local_search, objective="loss", budget=500, max_bits=300),
        "exhaustive": method(exhaustive, budget=1_000_000, max_bits=60),
        "exact": method(exact, time_limit=5.0),
        "big-M, no proof": method(big_m, time_limit=5.0, max_bits=60),
        "A1: as it is": _variant(),
        "A1: eq. 2, all units": _variant(proposal="gradient"),
        "A1: eq. 2, held and woken": _variant(proposal="held gradient"),
        "A1: eq. 2, one unit": _variant(proposal="one-unit gradient"),
        "A1: flips, all units": _variant(proposal="flips"),
        "A1: pooled": _variant(proposal="pooled flips"),
        "A1: realisable": _variant(proposal="realisable"),
        "A1: conflicts": _variant(proposal="conflict", solver="exact"),
        "A1: exact solver": _variant(solver="exact"),
        "A1: no noise": _variant(noise=False),
        "A1: outputs always": _variant(failure="outputs always"),
        "A1: refuted targets stay": _variant(failure="proposal"),
        "A1: all restored": _variant(failure="restore"),
    },
    kind="method",
)
