"""The perceptron playground without a browser: what it says against the library, every control, places of points."""

import time
from fractions import Fraction

import drive
import numpy as np
import pytest
import traitlets
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from ftpkit.explore import PerceptronPlayground, PlaygroundState, PointsPad
from ftpkit.explore.one_unit import DRAWN, sets
from ftpkit.explore.perceptron import COSTS
from ftpkit.explore.points import MOST, as_points
from ftpkit.separability import hinge_fit, separate

PLACES = st.integers(-40, 40).map(lambda v: v / 20)
POINTS = st.lists(st.tuples(PLACES, PLACES, st.sampled_from([-1, 1])), max_size=10)


def played(**state):
    return PerceptronPlayground.compute_from(PlaygroundState(**state))


def said(**state):
    return PerceptronPlayground.numbers(played(**state))


def by_hand(points, most):
    """Rosenblatt's rule in fractions."""
    w, erred = [Fraction(0)] * 3, []
    rows = [([Fraction(round(20 * x), 20), Fraction(round(20 * y), 20), Fraction(1)], t) for x, y, t in points]
    while True:
        before = len(erred)
        for i, (x, t) in enumerate(rows):
            if t * sum(a * b for a, b in zip(w, x, strict=True)) <= 0:
                if len(erred) == most:
                    return w, erred
                w = [a + t * b for a, b in zip(w, x, strict=True)]
                erred.append(i)
        if len(erred) == before:
            return w, erred


# --- what is said ---------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(POINTS, st.integers(0, 30))
def test_what_is_said_of_any_points_is_so(points, step):
    result = played(points=points, step=step)
    words = PerceptronPlayground.numbers(result)
    w, erred = by_hand(points, result.step)
    np.testing.assert_allclose(result.lines["perceptron"], np.array(w, float), atol=1e-12)
    z = [w[0] * Fraction(round(20 * x), 20) + w[1] * Fraction(round(20 * y), 20) + w[2] for x, y, _ in points]
    wrong = [i for i, (_, _, t) in enumerate(points) if (1 if z[i] > 0 else -1) != t]
    assert result.wrong.tolist() == wrong and f"{len(wrong)} point" in words["Perceptron"]
    assert result.course.erred[: result.step].tolist() == erred
    labels = {t for _, _, t in points}
    separable = not points or separate(np.rint(20 * result.X), result.t).separable
    assert words["Separable"].startswith("yes" if separable else "no: ")
    assert ("at most" in words["Novikoff's bound"]) == bool(points and separable)
    if points and separable:
        assert len(result.course.erred) <= result.theorem.bound + 1e-6
    if len(labels) < 2:
        assert "no line" in words["Maximum margin"] and "no line" in words["Hinge (SVM, C = 1)"]
        return
    widest = result.lines["maximum margin"]
    assert (widest is not None) == separable
    if separable:
        away = result.t * (np.c_[result.X, np.ones(len(points))] @ widest)
        assert away.min() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose([away[result.t == 1].min(), away[result.t == -1].min()], 1, atol=1e-4)


def objective(w, result):
    z = np.c_[result.X, np.ones(len(result.X))] @ w
    return w[:2] @ w[:2] / 2 + result.C * np.maximum(0, 1 - result.t * z).sum()


@pytest.mark.parametrize("name", ["separable", "narrow margin", "XOR", "one stray point", "overlapping", "two moons"])
def test_the_hinge_line_is_the_best(name):
    """No line near it, no other line and no linear program does better; and with a large C the margin counts."""
    for C in COSTS:
        result = played(points=sets()[name], C=C)
        w, rng = result.lines["hinge"], np.random.default_rng(0)
        best = objective(w, result)
        others = [w + rng.normal(0, size, 3) for size in (1e-2, 1e-1, 1) for _ in range(50)]
        others += [hinge_fit(result.X, result.t)[0], played(points=sets()[name], step=9).lines["perceptron"]]
        assert min(objective(v, result) for v in others) > best - 2e-3 * (1 + best)
        if result.lines["maximum margin"] is not None:
            assert best <= objective(result.lines["maximum margin"], result) * 1.001
    if result.lines["maximum margin"] is not None:
        np.testing.assert_allclose(w, result.lines["maximum margin"], rtol=5e-3, atol=2e-2)


def test_the_sets_are_what_their_names_say():
    words = {name: said(points=points, step=1000) for name, points in sets().items()}
    separable = {name for name, each in words.items() if each["Separable"].startswith("yes")}
    assert separable == {"separable", "narrow margin", "one class only", "no points"}
    assert words["XOR"]["Separable"] == (
        "no: 1/2 of point 2 + 1/2 of point 3 = 1/2 of point 1 + 1/2 of point 4 = (0, 0)"
    )
    assert words["XOR"]["In the end"] == "goes round for ever: after 4 mistakes the weights are those after 0 again"
    assert words["XOR"]["Hinge (SVM, C = 1)"].startswith("no line: the weights rest at 0")
    assert words["two equal points"]["Separable"] == "no: point 2 = point 3 = (0.4, -0.2)"
    assert words["all on one line"]["Points"].endswith("; all on one line")
    assert words["one class only"]["Points"] == "3, all of class +1"
    assert words["one class only"]["Hinge (SVM, C = 1)"] == "no line: it takes points of two classes"
    assert words["no points"] | {"Points": ""} == said(points=[]) | {"Points": ""}
    assert words["no points"]["Perceptron"].startswith("no mistake to make")
    assert words["two moons"]["In the end"] == "never stops; the first 200 mistakes are shown"
    assert words["narrow margin"]["In the end"] == "stops after 73 mistakes in 19 passes"
    assert words["narrow margin"]["Novikoff's bound"].startswith("at most 596 mistakes")
    assert sum("all on one line" in each["Points"] for each in words.values()) == 1


def test_the_certificate_adds_up():
    for name, points in sets().items():
        result = played(points=points)
        if result.verdict is not None and not result.verdict.separable:
            sides = {side: np.zeros(2) for side in (1, -1)}
            for i, c in zip(result.verdict.support, result.verdict.coefficients, strict=True):
                sides[result.t[i]] += float(c) * result.X[i]
            np.testing.assert_allclose(sides[1], sides[-1], atol=1e-9, err_msg=name)
            place = said(points=points)["Separable"].rsplit(" = ", 1)[1]
            np.testing.assert_allclose(eval(place), sides[1], atol=5e-3)


def test_the_questions_have_the_answers_that_surprise():
    first = played(step=1000)
    far, turned, stray = (played(**each.state) for each in PerceptronPlayground.TRIES)
    bounds = [round(result.theorem.bound) for result in (first, far)]
    assert bounds == [30, 76] and len(first.course.erred) == len(far.course.erred) == 5
    np.testing.assert_allclose(first.lines["maximum margin"], far.lines["maximum margin"], rtol=1e-6)
    assert len(turned.course.erred) == 1 and turned.course.stopped
    assert (turned.lines["perceptron"] != first.lines["perceptron"]).any()
    assert len(stray.verdict.support) == 4 and stray.course.cycle == (14, 34)


# --- state ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(0, 3, 1)], r"point 1 must lie on the pad, x and y from -2 to 2, not at \(0.0, 3.0\)"),
        ([(0, 0, 1), (0, float("nan"), 1)], "point 2 must lie on the pad"),
        ([(float("inf"), 0, 1)], "point 1 must lie on the pad"),
        ([(0, 0, 2)], "point 1 must have the label -1 or"),
        ([(0, 0)], r"point 1 must be a triple of numbers \(x, y, label\), not \(0, 0\)"),
        ([("a", 0, 1)], "point 1 must be a triple of numbers"),
        ([(0, None, 1)], "point 1 must be a triple of numbers"),
        ([(0, 0, 1)] * (MOST + 1), "40 points are the most, not 41"),
        (7, "points are triples"),
        ([1, 2], "points are triples"),
    ],
)
def test_refused_points(points, words):
    demo = PerceptronPlayground()
    before = repr(demo.state), drive.alt(demo)
    for refuse in (lambda: setattr(demo.state, "points", points), lambda: setattr(demo.pad, "points", points)):
        with pytest.raises(traitlets.TraitError, match=words):
            refuse()
    assert (repr(demo.state), drive.alt(demo)) == before and demo.pad.points == demo.state.points


def test_refused_states():
    for wrong in (dict(step=-1), dict(step=1001), dict(C=3), dict(hinge="yes"), dict(speed=1)):
        with pytest.raises(traitlets.TraitError):
            PlaygroundState().set(wrong)


def test_places_snap_to_the_grid():
    state = PlaygroundState(points=[[0.513, -1.99, 1.0], (0.1 + 0.2, -0.0, -1)])
    assert state.points == ((0.5, -2.0, 1), (0.3, 0.0, -1)) == as_points(state.points)


def test_a_step_that_is_not_there_any_more_is_given_up():
    state = PlaygroundState(points=DRAWN["narrow margin"], step=70)
    state.points = DRAWN["separable"]
    assert state.step == state.last == 5
    state.set({"points": DRAWN["XOR"], "step": 3})
    assert state.step == 3
    state.points = ()
    assert state.step == state.last == 0


# --- widgets --------------------------------------------------------------------------------------------------------


def test_every_control_over_its_whole_grid():
    assert drive.grid(PerceptronPlayground()) == 12 + 3 * 2 + 4 + 6 + 6 + 3


@pytest.mark.parametrize("name", ["one class only", "XOR"])
def test_every_step_has_another_alt_text_and_picture(name):
    demo, seen = PerceptronPlayground(points=sets()[name]), set()
    for step in range(demo.state.last + 1):
        demo.state.step = step
        seen.add((drive.alt(demo), demo.picture.value))
    assert len(seen) == demo.state.last + 1 == len({picture for _, picture in seen}) == len({alt for alt, _ in seen})


class Blank(PerceptronPlayground):
    """With an empty figure, where many changes are tried; figures are drawn over the whole grid, and in their tests."""

    draw = staticmethod(lambda result: Figure(figsize=(0.1, 0.1)))


def test_a_point_goes_to_every_place():
    """Every point of the pad moved over the plane, through the pad's own callback; some pictures are drawn."""
    demo, states = Blank(), 0
    whole = PerceptronPlayground()
    for i in range(8):
        for x in np.linspace(-2, 2, 6):
            for y in np.linspace(-2, 2, 6):
                points = list(DRAWN["separable"])
                points[i] = (float(x), float(y), points[i][2] if x < y else -points[i][2])
                demo.pad.points = points
                assert demo.state.points == demo.pad.points == as_points(points)
                drive.check(demo)
                if states % 40 == 0:
                    whole.pad.points = points
                    drive.check(whole)
                states += 1
    assert states == 288


PUSHES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 39), PLACES, PLACES), min_size=300, max_size=300)


@settings(max_examples=2, deadline=None)
@given(PUSHES)
def test_random_walks_on_the_pad(pushes):
    """Points moved, added, relabelled and taken away, as the pad reports it, and the perceptron sent to and fro."""
    demo = Blank()
    for n, (kind, which, x, y) in enumerate(pushes):
        points = list(demo.state.points)
        i = which % len(points) if points else None
        if i is None or (kind == 0 and len(points) < 12):
            points.append((x, y, 1 if which % 2 else -1))
        elif kind == 1:
            points[i] = (x, y, points[i][2])
        elif kind == 2:
            points[i] = (*points[i][:2], -points[i][2])
        else:
            del points[i]
        demo.pad.points = points
        if n % 7 == 0:
            demo.steps[n % 2].value = which
        if n % 10 == 0:
            drive.check(demo)
            assert demo.pad.points == demo.state.points and demo.steps[0].max == demo.state.last


@settings(max_examples=1, deadline=None)
@given(steps=drive.walks(PerceptronPlayground()))
def test_random_walks(steps):
    assert drive.walk(Blank(), steps) == 30


@pytest.mark.parametrize(("demo", "changes"), [(Blank, 200), (PerceptronPlayground, 20)])
def test_nothing_is_left_behind(demo, changes):
    assert drive.leaks(demo(), changes) == {"figures": 0, "threads": 0, "observers": 0}


def test_it_answers_quickly():
    demo = PerceptronPlayground()
    drive.quick(demo)
    taken = []
    rng = np.random.default_rng(0)
    for _ in range(10):  # and to a point that is dragged among 40
        points = [(*xy, int(t)) for xy, t in zip(rng.uniform(-2, 2, (40, 2)), rng.choice([-1, 1], 40), strict=True)]
        began = time.process_time()
        demo.pad.points = points
        taken.append(time.process_time() - began)
    print(f"40 points: median {np.median(taken):.3f} s, largest {max(taken):.3f} s")
    assert np.median(taken) < 0.4, "below 0.2 s where nothing else runs"


def press(demo, name):
    next(button for button in drive.pressable(demo) if button.description == name).click()


def test_the_buttons():
    demo = PerceptronPlayground()
    press(demo, "Previous mistake")
    assert demo.state.step == 0
    press(demo, "Next mistake")
    assert demo.state.step == 1 and "after 1 of 5 mistakes; the last was point 1" in drive.alt(demo)
    press(demo, "To the end")
    press(demo, "Next mistake")
    assert demo.state.step == demo.state.last == 5
    press(demo, "Reverse the order")
    assert demo.state.points == DRAWN["separable"][::-1] and demo.state.step == demo.state.last == 1
    assert demo.sets.value == "own points" and demo.pad.points == demo.state.points
    press(demo, "Reverse the order")
    assert demo.sets.value == "separable"


def test_a_perceptron_at_its_end_stays_there_while_points_move():
    demo = PerceptronPlayground(step=5)
    demo.pad.points = [*demo.pad.points, (0.4, 0.4, -1)]
    assert demo.state.step == demo.state.last > 5
    demo.state.step = 2
    demo.pad.points = demo.pad.points[:-1]
    assert demo.state.step == 2


def test_own_points_cannot_be_chosen_only_made():
    demo = PerceptronPlayground()
    demo.sets.value = "own points"
    assert demo.sets.value == "separable"
    demo.pad.points = demo.pad.points[1:]
    assert demo.sets.value == "own points"
    demo.sets.value = "XOR"
    assert demo.state.points == DRAWN["XOR"] == demo.pad.points


def test_the_pad_draws_the_lines_of_the_state():
    demo = PerceptronPlayground(step=5)
    assert [line["shade"] for line in demo.pad.lines] == [True, False, False]
    for line, w in zip(demo.pad.lines, demo.compute().lines.values(), strict=True):
        np.testing.assert_allclose(line["weights"], w)
    demo.state.set({"perceptron": False, "hinge": False})
    assert len(demo.pad.lines) == 1 and "Hinge (SVM, C = 1): not drawn" in drive.alt(demo)
    demo.state.points = DRAWN["XOR"]
    assert demo.pad.lines == []
    assert demo.pad.description


def test_what_says_that_it_is_working_does_not_push_the_pad_away():
    demo = PerceptronPlayground()
    (stage,) = (child for child in demo.view.children if demo.pad in getattr(child, "children", ()))
    assert demo.view.children.index(demo.status) > demo.view.children.index(stage)


def test_what_the_browser_sends_is_checked_and_rounded():
    pad = PointsPad()
    pad.set_state({"points": [[0.51, 1, 1], [0.1, -0.25, -1]]})
    assert pad.points == ((0.5, 1.0, 1), (0.1, -0.25, -1))
    with pytest.raises(traitlets.TraitError, match="must lie on the pad"):
        pad.set_state({"points": [[5, 5, 1]]})
    assert len(pad.points) == 2 and "http" not in pad._esm.replace("http://www.w3.org/", "")


def test_reset_goes_back_to_the_first_state():
    demo = PerceptronPlayground(points=DRAWN["XOR"], step=3)
    before = repr(demo.state), drive.alt(demo)
    demo.state.set({"points": DRAWN["narrow margin"], "step": 70, "C": 100.0})
    demo.pad.points = []
    demo.reset.click()
    assert (repr(demo.state), drive.alt(demo)) == before and demo.sets.value == "XOR"


def test_an_error_is_said_in_words(monkeypatch):
    demo = PerceptronPlayground()
    monkeypatch.setattr("ftpkit.explore.perceptron.verdict_of", lambda points: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        demo.pad.points = []
    assert "ZeroDivisionError: division by zero" in demo.status.value


def test_a_strip_of_states():
    shown = PerceptronPlayground.strip({"step": 5}, {"points": DRAWN["XOR"], "step": 2})._repr_mimebundle_()
    assert shown["text/html"].count("<img alt=") == 2
    assert "Separable: no: 1/2 of point 2" in shown["text/plain"]


def test_plain_python():
    demo = PerceptronPlayground(step=3)
    assert demo.compute().step == 3 and len(demo.figure().axes) == 2
