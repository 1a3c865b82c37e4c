"""How a race stands at one moment: the curves of its runs, and what may be concluded from those that are complete."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .names import label
from .paired import Difference, difference
from .race import Race

WATCHED = 100  # test images whose hidden outputs are compared for flips


@dataclass(frozen=True, eq=False)
class Run:
    """One network so far. Each place of its curves is the end of a stretch of batches.

    batches: how many were done then. loss: mean training loss over the stretch. flips: layer by layer, the share of
    hidden outputs on `WATCHED` test images that changed in the stretch. gradients: layer by layer, sqrt(mean(g^2)) of
    what arrives at the hidden outputs in its last batch. accuracy: pairs (batches, share of test images), one for each
    epoch. correct: which test images the trained network gets right, or None while it is not there yet.
    """

    contestant: str
    seed: int
    batches: tuple[int, ...] = ()
    loss: tuple[float, ...] = ()
    flips: tuple[tuple[float, ...], ...] = ()
    gradients: tuple[tuple[float, ...], ...] = ()
    accuracy: tuple[tuple[int, float], ...] = ()
    correct: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Progress:
    """A race at one moment; it does not change afterwards.

    race: its settings. phase: "running", "finished", "stopped" or "failed". runs: those begun, seed by seed. batches:
    done in all. error: what went wrong, in words, after a failure.
    """

    race: Race
    phase: str
    runs: tuple[Run, ...] = ()
    batches: int = 0
    error: str = ""

    def __repr__(self):
        return f"Progress({self.phase}, {self.batches} of {batches_of(self.race)} batches)"

    def of(self, contestant: str) -> list[Run]:
        return [run for run in self.runs if run.contestant == contestant]

    @property
    def seeds(self) -> int:
        """How many seeds every rival has finished."""
        return min(sum(run.correct is not None for run in self.of(c)) for c in self.race.contestants)

    def correct(self, contestant: str) -> np.ndarray:
        """Which test images it got right under each seed that all have finished: bool, shape (seeds, images)."""
        return np.array([run.correct for run in self.of(contestant)[: self.seeds]], dtype=bool)

    def table(self) -> list[dict]:
        """For each rival: contestant, mean accuracy in %, its standard error (None for one seed), number of seeds."""
        rows = []
        for contestant in self.race.contestants if self.seeds else ():
            values = 100 * self.correct(contestant).mean(axis=1)
            error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
            rows.append({"contestant": contestant, "mean": float(values.mean()), "error": error, "seeds": len(values)})
        return rows

    def differences(self) -> dict[tuple[str, str], Difference]:
        """Each pair of rivals with its paired difference, the better one first; none before two seeds are finished."""
        if self.seeds < 2:
            return {}
        ranked = [row["contestant"] for row in sorted(self.table(), key=lambda row: -row["mean"])]
        return {(a, b): difference(self.correct(a), self.correct(b)) for a, b in combinations(ranked, 2)}


def batches_of(settings: Race) -> int:
    """All batches of a race: of one run of it, times its runs."""
    return settings.epochs * -(-settings.train_size // settings.batch_size) * settings.seeds * len(settings.contestants)


def said(settings: Race) -> str:
    """A race in words.

    >>> said(Race("mlp", ("relu", "sign:STE"), (3e-3,), epochs=1))
    'ReLU against STE on mlp'
    """
    return f"{' against '.join(label(contestant) for contestant in settings.contestants)} on {settings.network}"
