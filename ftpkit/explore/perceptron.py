"""A playground for one perceptron: points by hand, its mistakes one by one, two better lines, or the proof of none."""

from dataclasses import dataclass

import ipywidgets as W
import numpy as np
import traitlets as T
from matplotlib.figure import Figure

from ..perceptron import Course, Novikoff
from ..plots.playground import LINES, playground
from ..separability import Certificate, Verdict
from .controls import button, buttons, check, number, row, slider
from .one_unit import (
    DRAWN,
    MOST_STEPS,
    arrays,
    course_of,
    hinge_of,
    points_in_words,
    sets,
    theorem_of,
    verdict_in_words,
    verdict_of,
    widest_of,
    with_bias,
)
from .points import GRID, PointsPad, PointsTrait
from .shell import Demo, State, Try

COSTS = (0.1, 1.0, 10.0, 100.0)
OWN = "own points"
_DASHES = {"perceptron": "", "hinge": "0.14 0.08", "maximum margin": "0.2 0.06 0.03 0.06"}


class PlaygroundState(State):
    """What the demo shows: points, how far the perceptron has come, which lines are drawn, C of the hinge's.

    points: as `explore.points.as_points` takes them; the perceptron goes through them in this order. step: mistakes
    made so far; one that is too large becomes the last. Raises traitlets.TraitError for anything else.

    >>> PlaygroundState(points=[(-1, -1, -1), (1, 1, 1)], step=99).step
    1
    """

    points = PointsTrait()
    step = T.Int(0, min=0, max=MOST_STEPS)
    perceptron = T.Bool(True)
    hinge = T.Bool(True)
    widest = T.Bool(True)
    C = T.Enum(COSTS, 1.0)

    @T.default("points")
    def _separable(self):
        return DRAWN["separable"]

    @property
    def last(self) -> int:
        """How many mistakes there are to step through."""
        return len(course_of(self.points).erred)

    @T.validate("step")
    def _there(self, proposal):
        return min(proposal["value"], self.last)

    @T.observe("points")
    def _fit(self, change):
        self.step = min(self.step, self.last)


@dataclass(frozen=True, eq=False)
class Played:
    """The playground at a step.

    points, step, C: as in the state. X (m, 2), t (m,): the points as arrays. course: all mistakes of the perceptron.
    lines: those that are drawn, name -> weights (3,), or None where there is no such line. wrong: indices of the points
    that the perceptron now has on the wrong side. verdict, theorem: of `separate` and `novikoff`, None where they have
    nothing to say.
    """

    points: tuple
    step: int
    C: float
    X: np.ndarray
    t: np.ndarray
    course: Course
    lines: dict[str, np.ndarray | None]
    wrong: np.ndarray
    verdict: Verdict | None
    theorem: Novikoff | None


class PerceptronPlayground(Demo):
    """The demo: points that you drag, a perceptron that learns them mistake by mistake, and what better lines do.

    Beside the perceptron stand the line of the hinge loss (scikit-learn's linear SVM) and the line of largest margin.
    Mistakes are counted against Novikoff's bound. Where no line separates the classes, a star marks a point that both
    convex hulls hold: the proof. Coordinates snap to multiples of 1/20, and all but the SVM and the margins is exact.
    Keys: Tab leads to the pad and on to the other controls. On the pad arrow keys move the chosen point (Shift:
    further), [ and ] go to another, Space changes its class, A adds one, Delete takes it away. Elsewhere Space presses
    a button, and on the slider and in the boxes the arrow keys count.

    >>> demo = PerceptronPlayground(points=[(-1, -1, -1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)])
    >>> demo.numbers(demo.compute())["Separable"]
    'no: 1/2 of point 2 + 1/2 of point 3 = 1/2 of point 1 + 1/2 of point 4 = (0, 0)'
    >>> demo.state.points = demo.state.points[:3]
    >>> demo.compute().verdict.separable
    True
    """

    State = PlaygroundState
    TRIES = (
        Try(
            "a far point",
            "Point 9 lies far out on its own side. Three things could change by it: Novikoff's bound (30), the number "
            "of the perceptron's mistakes (5), the line of largest margin. Which of them do?",
            {"points": (*DRAWN["separable"], (2.0, 2.0, 1)), "step": 5},
        ),
        Try(
            "the other way round",
            "The perceptron made 5 mistakes on these points. How many when it goes through them from the last to the "
            "first? Does it end with the same line?",
            {"points": DRAWN["separable"][::-1], "step": 5},
        ),
        Try(
            "one stray point",
            "Point 9 strays among the points of the other class, and no line separates them any more. How many of the "
            "nine points does it take to prove that? And what becomes of the perceptron's mistakes?",
            {"points": DRAWN["one stray point"], "step": MOST_STEPS},
        ),
    )

    def __init__(self, **start):
        super().__init__(**start)
        above = [widget for widget in self.view.children if widget is not self.status]
        self.view.children = [*above, self.status]  # what comes and goes must not push the pad from under the hand

    def controls(self):
        state = self.state
        state.observe(self._bounds, ["points", "step"])  # before the boxes take over a value
        self.steps = [number(state, "step", "Mistakes so far"), slider(state, "step", "Through all mistakes")]
        self._bounds()
        self.pad = PointsPad(points=state.points, description="Points of two classes, by hand")
        self.sets = W.Dropdown(options=[*sets(), OWN], description="Begin with", style={"description_width": "initial"})
        self._follow()
        state.observe(self._follow, "points")
        self.pad.observe(lambda change: self._take(change["new"]), "points")
        self.sets.observe(self._begin, "value")
        moves = [
            button("Previous mistake", "One mistake back", lambda: self._go(state.step - 1)),
            button("Next mistake", "On to the next mistake", lambda: self._go(state.step + 1)),
            button("To the end", "On to the last mistake", lambda: self._go(state.last)),
        ]
        lines = [
            check(state, "perceptron", "Perceptron's line"),
            check(state, "hinge", "Hinge line (SVM)"),
            check(state, "widest", "Maximum-margin line"),
        ]
        for each in lines:
            each.layout.width = "auto"
        costs = buttons(state, "C", "C of the SVM", [(f"{C:g}", C) for C in COSTS])
        turn = button("Reverse the order", "The same points, the last one first", self._reverse)
        return [
            row(self.sets, turn),
            row(*lines, costs),
            row(*moves, *self.steps),
        ]

    def stage(self):
        return W.HBox([self.pad, self.picture], layout={"flex_flow": "row wrap"})

    def refresh(self):
        super().refresh()
        lines = {name: w for name, w in self.compute().lines.items() if w is not None and w[:2].any()}
        self.pad.lines = [
            {
                "weights": w.tolist(),
                "color": LINES[name]["color"],
                "dash": _DASHES[name],
                "shade": name == "perceptron",
            }
            for name, w in lines.items()
        ]

    @staticmethod
    def compute_from(state: PlaygroundState) -> Played:
        """Everything about these points at this step; see `Played`."""
        X, t = arrays(state.points)
        course = course_of(state.points)
        w = course.weights[state.step]
        lines = {"perceptron": w / GRID} if state.perceptron else {}
        lines |= {"hinge": hinge_of(state.points, state.C)} if state.hinge else {}
        lines |= {"maximum margin": widest_of(state.points)} if state.widest else {}
        return Played(
            points=state.points,
            step=state.step,
            C=state.C,
            X=X / GRID,
            t=t,
            course=course,
            lines=lines,
            wrong=np.flatnonzero(np.where(with_bias(X) @ w > 0, 1, -1) != t),
            verdict=verdict_of(state.points),
            theorem=theorem_of(state.points),
        )

    @staticmethod
    def draw(result: Played) -> Figure:
        lines = {name: w for name, w in result.lines.items() if w is not None}
        lengths = np.linalg.norm(result.course.weights, axis=1) / GRID
        wrong = result.wrong if result.lines.keys() & {"perceptron"} else result.wrong[:0]
        title = f"{_where(result)}: {len(result.wrong)} on the wrong side"
        if isinstance(result.verdict, Certificate):
            title += "; not separable (star)"
        return playground(result.X, result.t, lines, wrong, result.verdict, lengths, result.step, result.theorem, title)

    @staticmethod
    def alt(result: Played) -> str:
        """Points, whether a line separates them and why not, where the perceptron stands, its bound, other lines."""
        said = PerceptronPlayground.numbers(result)
        return ". ".join(f"{key}: {value}" for key, value in said.items()) + "."

    @staticmethod
    def numbers(result: Played) -> dict[str, str]:
        shown = {name: _line(result, name) for name in ("hinge", "maximum margin")}
        hidden = "" if "perceptron" in result.lines else " (line not drawn)"
        return {
            "Points": points_in_words(result.X, result.t),
            "Separable": verdict_in_words(result.X, result.t, result.verdict),
            "Perceptron": f"{_perceptron(result)}{hidden}",
            "In the end": _ending(result),
            "Novikoff's bound": _bound(result),
            f"Hinge (SVM, C = {result.C:g})": shown["hinge"],
            "Maximum margin": shown["maximum margin"],
        }

    def _bounds(self, change=None):
        """The box and the slider end where the mistakes do."""
        for control in self.steps:
            if control.value > self.state.last:  # or a lower maximum would move it, and the state with it
                control.value = self.state.step
            control.max = self.state.last

    def _go(self, step: int) -> None:
        self.state.step = min(max(step, 0), self.state.last)

    def _take(self, points) -> None:
        """Other points; a perceptron that was at its end goes to its new end."""
        if points != self.state.points:
            ended = self.state.step == self.state.last > 0
            self.state.set({"points": points, "step": MOST_STEPS if ended else self.state.step})

    def _begin(self, change):
        if change["new"] == OWN:
            self._follow()
        else:
            self._take(sets()[change["new"]])

    def _follow(self, change=None):
        """Pad and list show the points of the state."""
        self.pad.points = self.state.points
        named = [name for name, points in sets().items() if points == self.state.points]
        self.sets.value = named[0] if named else OWN

    def _reverse(self):
        self._take(self.state.points[::-1])


def _where(result: Played) -> str:
    last = len(result.course.erred)
    return f"after {result.step} of {_plural(last, 'mistake')}" if last else "no mistake to make"


def _perceptron(result: Played) -> str:
    last = f"; the last was point {result.course.erred[result.step - 1] + 1}" if result.step else ""
    return f"{_where(result)}{last}; {_plural(len(result.wrong), 'point')} on the wrong side"


def _ending(result: Played) -> str:
    course, k = result.course, len(result.course.erred)
    if course.stopped:
        return f"stops after {_plural(k, 'mistake')} in {_plural(len(course.passes), 'pass', 'es')}"
    if course.cycle:
        a, b = course.cycle
        return f"goes round for ever: after {b} mistakes the weights are those after {a} again"
    if isinstance(result.verdict, Certificate):
        return f"never stops; the first {k} mistakes are shown"
    return f"has not stopped after {k} mistakes, but will"


def _bound(result: Played) -> str:
    theorem = result.theorem
    if theorem is None:
        return "none: it speaks of separable points only" if len(result.t) else "none without points"
    return f"at most {theorem.bound:,.0f} mistakes, as R = {theorem.R:.2f} and γ = {theorem.gamma:.3g}"


def _line(result: Played, name: str) -> str:
    if name not in result.lines:
        return "not drawn"
    w = result.lines[name]
    if w is None:
        one = len(set(result.t.tolist())) < 2
        return "no line: it takes points of two classes" if one else "no line separates the classes"
    if not w[:2].any():
        return f"no line: the weights rest at 0, and every output is {'+1' if w[2] > 0 else '−1'}"
    away = 1 / np.linalg.norm(w[:2])
    if name == "maximum margin":
        return f"{away:.3g} from the line to the closest points"
    z = np.c_[result.X, np.ones(len(result.X))] @ w
    wrong = int((np.where(z > 0, 1, -1) != result.t).sum())
    return f"{_plural(wrong, 'point')} on the wrong side; its street is {away:.3g} wide on either side"


def _plural(count: int, word: str, ending: str = "s") -> str:
    return f"{count} {word}{'' if count == 1 else ending}"
