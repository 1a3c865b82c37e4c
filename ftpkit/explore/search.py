"""Step through target search on a small network, and set targets by hand."""

from dataclasses import dataclass
from functools import lru_cache
from operator import index

import ipywidgets as W
import traitlets as T
from matplotlib.figure import Figure

from ..plots.stepper import stepper
from ..search import Evaluator, Problem, case
from ..search.steps import METHODS, Course, Position, Unit, course, flipped_by_hand, unit_names, units
from .controls import button, buttons, choice, number, row, slider
from .shell import Demo, State, Try

# name -> the cell and seed of a case, and the widths of the hidden layers
PROBLEMS = {
    "XOR, 2 units": ("XOR", 0, (2,)),
    "XOR, 1 unit": ("XOR", 0, (1,)),
    "XOR, 2 + 2 units": ("XOR", 0, (2, 2)),
    "parity of 3 bits, 3 units": ("parity 3", 0, (3,)),
    "two moons, 3 units": ("two moons m=20", 0, (3,)),
    "a teacher with 4 inputs, 2 + 2 units": ("teacher 3-layer n=4 h=2-2 m=12", 3, (2, 2)),
}
MOST_STEPS = 1000


@lru_cache
def problem_of(name: str) -> Problem:
    """The problem of that name in PROBLEMS."""
    cell, seed, hidden = PROBLEMS[name]
    drawn = case(cell, seed).problem
    return Problem(drawn.X, drawn.y, hidden)


@lru_cache(maxsize=100)
def course_of(problem: str, method: str, seed: int) -> Course:
    """The whole search, remembered."""
    return course(problem_of(problem), method, seed)


class SearchState(State):
    """What the demo shows: a problem, a search and its random start, a step of it, and targets flipped by hand.

    problem: a name in PROBLEMS; method: one of `search.steps.METHODS`; seed: 0 to 9. step: 0 is the start; one that is
    too large becomes the last. flips: pairs (unit, instance), counted from 1, hidden units through all layers; each is
    the opposite of what the search has at this step. They stay when the step changes, and those that another problem
    has no place for are dropped. Raises traitlets.TraitError for anything else.

    >>> SearchState(step=99, flips=[(2, 1)])
    SearchState(problem='XOR, 2 units', method='Algorithm 1', seed=0, step=6, flips=((2, 1),))
    """

    problem = T.Enum(tuple(PROBLEMS), "XOR, 2 units")
    method = T.Enum(METHODS, METHODS[0])
    seed = T.Int(0, min=0, max=9)
    step = T.Int(0, min=0, max=MOST_STEPS)
    flips = T.Any(())

    @property
    def last(self) -> int:
        """The last step of this search."""
        return len(course_of(self.problem, self.method, self.seed).positions) - 1

    @T.validate("step")
    def _there(self, proposal):
        return min(proposal["value"], self.last)

    @T.validate("flips")
    def _pairs(self, proposal):
        problem = problem_of(self.problem)
        try:
            flips = tuple(sorted({(index(unit), index(instance)) for unit, instance in proposal["value"]}))
            flipped_by_hand(problem, course_of(self.problem, self.method, self.seed).positions[0], flips)
        except (TypeError, ValueError) as error:
            raise T.TraitError(f"flips are pairs (unit, instance) such as ((1, 3),): {error}") from None
        return flips

    @T.observe("problem", "method", "seed")
    def _fit(self, change):
        problem = problem_of(self.problem)
        with self.hold_trait_notifications():
            self.step = min(self.step, self.last)
            self.flips = tuple(f for f in self.flips if f[0] <= sum(problem.hidden) and f[1] <= problem.m)


@dataclass(frozen=True, eq=False)
class Stopped:
    """A search stopped at a step, with the flips by hand made.

    problem, method, seed, step, flips: as in the state; last: the last step. course, position: of the whole search,
    and at this step. units: every unit with its own training set and verdict, the output last. by_hand: names of the
    units whose verdict the flips have changed -> feasible now? loss: sum of the units' least hinge losses. errors: of
    the network of the moment; if it has none, or targets were flipped, of one fitted to these targets layer by layer.
    """

    problem: str
    method: str
    seed: int
    step: int
    last: int
    flips: tuple
    course: Course
    position: Position
    units: tuple[Unit, ...]
    by_hand: dict[str, bool]
    loss: float
    errors: int

    @property
    def infeasible(self) -> list[Unit]:
        return [unit for unit in self.units if unit.verdict.separable is False]


class SearchStepper(Demo):
    """The demo: step through Algorithm 1, hill climbing or a beam, and flip targets by hand.

    Every unit stands in the plane of its own inputs, with its targets and its line, or with the certificate that it has
    none. Below: all targets, and the recursion of Algorithm 1 or the losses of the settings that were looked at. Keys:
    Tab goes from control to control; Space presses a button, and opens the list of problems for the arrow keys and
    Enter; on the slider and in the boxes the arrow keys count.

    >>> demo = SearchStepper(method="Hill climbing", seed=2, step=9)
    >>> demo.numbers(demo.compute())["Infeasible"]
    'output (instances 1 and 2)'
    >>> demo.state.flips = [(2, 1)]
    >>> demo.compute().by_hand
    {}
    """

    State = SearchState
    TRIES = (
        Try(
            "flip one",
            "Hill climbing has just solved XOR. Flip one target by hand: unit 1, instance 1. Which unit is then left "
            "without a line?",
            {"problem": "XOR, 2 units", "method": "Hill climbing", "seed": 0, "step": 14, "flips": ((1, 1),)},
        ),
        Try(
            "a layer more",
            "With two hidden layers of two units a network can do all that it can do with one. Does hill climbing get "
            "further with them? Go through the ten random starts as well.",
            {"problem": "XOR, 2 + 2 units", "method": "Hill climbing", "seed": 0, "step": 17, "flips": ()},
        ),
        Try(
            "all feasible",
            "Two moons, and eq. 2 to the letter: layer 2 asks for 7 flips, and all units, the output too, have lines "
            "for what is asked. The network makes 3 errors now. How many when it is fitted?",
            {"problem": "two moons, 3 units", "method": "Algorithm 1, eq. 2", "seed": 8, "step": 2, "flips": ()},
        ),
    )

    def controls(self):
        state = self.state
        state.observe(self._bounds, ["problem", "method", "seed", "step"])  # before the boxes take over a value
        self.steps = [number(state, "step", "Step"), slider(state, "step", "Through all steps")]
        look = {"style": {"description_width": "initial"}, "layout": {"width": "9em"}}
        self.unit = W.BoundedIntText(1, min=1, description="Unit", **look)
        self.instance = W.BoundedIntText(1, min=1, description="Instance", **look)
        self._bounds()
        moves = [
            button("Previous step", "One step back", lambda: self._go(state.step - 1)),
            button("Next step", "One step on", lambda: self._go(state.step + 1)),
            button("Next decision", "On to where the search decides what it keeps", self._decide),
        ]
        hand = [
            button("Flip this target", "Turn the target of this unit for this instance", self._flip),
            button("Take back flips", "All targets as the search has them", self._take_back),
        ]
        return [
            row(choice(state, "problem", "Problem", PROBLEMS), number(state, "seed", "Random start")),
            buttons(state, "method", "Search", METHODS),
            row(*moves, *self.steps),
            row(self.unit, self.instance, *hand),
        ]

    @staticmethod
    def compute_from(state: SearchState) -> Stopped:
        """The units at this step; see `Stopped`."""
        problem, whole = problem_of(state.problem), course_of(state.problem, state.method, state.seed)
        position = whole.positions[state.step]
        targets, outputs = flipped_by_hand(problem, position, state.flips)
        now = before = units(problem, targets, outputs, position.weights)
        if state.flips:
            before = units(problem, position.targets, position.outputs, position.weights)
        pairs = [(a.verdict.separable, b.name, b.verdict.separable) for a, b in zip(before, now, strict=True)]
        if state.flips or position.weights is None:
            errors = Evaluator(problem, "errors", None).value(outputs)
        else:
            errors = problem.errors(position.weights)
        return Stopped(
            problem=state.problem,
            method=state.method,
            seed=state.seed,
            step=state.step,
            last=state.last,
            flips=state.flips,
            course=whole,
            position=position,
            units=now,
            by_hand={name: then for was, name, then in pairs if was != then},
            loss=sum(unit.loss for unit in now),
            errors=errors,
        )

    @staticmethod
    def draw(result: Stopped) -> Figure:
        by_hand = f" (and {len(result.flips)} flipped by hand)" if result.flips else ""
        title = f"step {result.step} of {result.last}, {result.position.said}{by_hand}"
        return stepper(result.units, result.position, result.course, result.flips, title)

    @staticmethod
    def alt(result: Stopped) -> str:
        """Where the search stands, which units are infeasible and by which instances, loss and errors, and flips."""
        said = SearchStepper.numbers(result)
        count = len(result.infeasible)
        found = f"all {len(result.units)} units are feasible"
        if count:
            found = f"{count} of {len(result.units)} units infeasible: {said['Infeasible']}"
        return (
            f"{result.method} on {result.problem}, random start {result.seed}, step {said['Step']}. By now {found}; "
            f"loss {said['Loss']}, training errors {said['Training errors']}. By hand: {said['By hand']}."
        )

    @staticmethod
    def numbers(result: Stopped) -> dict[str, str]:
        shown = {1: "+", -1: "−", 0: "·"}
        infeasible = [f"{unit.name} ({_instances(unit.verdict.support)})" for unit in result.infeasible]
        return {
            "Step": f"{result.step} of {result.last}: {result.position.said}",
            "Infeasible": ", ".join(infeasible) or "no unit",
            "Loss": f"{result.loss:.3g}",
            "Training errors": str(result.errors),
            "By hand": _by_hand(result),
            **{f"Targets of {unit.name}": " ".join(shown[int(t)] for t in unit.t) for unit in result.units},
        }

    def _bounds(self, change=None):
        """The boxes and the slider end where the search and the problem do."""
        problem = problem_of(self.state.problem)
        for control, most in ((self.unit, sum(problem.hidden)), (self.instance, problem.m)):
            control.max = most
        for control in self.steps:
            if control.value > self.state.last:  # or a lower maximum would move it, and the state with it
                control.value = self.state.step
            control.max = self.state.last

    def _go(self, step: int) -> None:
        self.state.step = min(max(step, 0), self.state.last)

    def _decide(self):
        positions = course_of(self.state.problem, self.state.method, self.state.seed).positions
        later = [k for k, position in enumerate(positions) if k > self.state.step and position.decision]
        self._go(later[0] if later else self.state.last)

    def _flip(self):
        self.state.flips = set(self.state.flips) ^ {(self.unit.value, self.instance.value)}

    def _take_back(self):
        self.state.flips = ()


def _by_hand(result: Stopped) -> str:
    if not result.flips:
        return "no target flipped"
    names = unit_names(problem_of(result.problem))
    what = "; ".join(f"{names[unit - 1]}, instance {instance}" for unit, instance in result.flips)
    came = [f"{name} becomes {'feasible' if now else 'infeasible'}" for name, now in result.by_hand.items()]
    return f"flipped {what}: {_joined(came) or 'no unit changes'}"


def _instances(indices) -> str:
    return f"instance{'s' * (len(indices) > 1)} {_joined([str(i + 1) for i in indices])}"


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
