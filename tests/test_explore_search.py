"""The search stepper without a browser: what it says against the searches themselves, every control over its grid."""

import drive
import numpy as np
import pytest
import traitlets
from hypothesis import given, settings
from matplotlib.figure import Figure

from ftpkit.explore import SearchState, SearchStepper
from ftpkit.explore.search import PROBLEMS, course_of, problem_of
from ftpkit.search import Evaluator, hill_climb
from ftpkit.search.steps import METHODS
from ftpkit.separability import separate


def numbers(**state):
    return SearchStepper.numbers(SearchStepper.compute_from(SearchState(**state)))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_is_said_of_the_units_is_so(problem):
    """Verdicts asked for once more, losses and errors by the searches' own evaluator."""
    made = problem_of(problem)
    for method in METHODS:
        last = SearchState(problem=problem, method=method, step=1000).step
        for step in {0, 1, last // 2, last}:
            for flips in ((), ((1, 2),)):
                result = SearchStepper.compute_from(SearchState(problem=problem, method=method, step=step, flips=flips))
                said = SearchStepper.numbers(result)
                for unit in result.units:
                    verdict = separate(unit.X, unit.t)
                    assert (f"{unit.name} (" in said["Infeasible"]) == (verdict.separable is False)
                    shown = ["−·+".index(sign) - 1 for sign in said[f"Targets of {unit.name}"].split()]
                    assert shown == unit.t.tolist()
                outputs = [next(u.X for u in result.units if u.layer == d + 2) for d in range(len(made.hidden))]
                if flips or method not in METHODS[:2]:
                    assert result.errors == Evaluator(made, "errors", None).value([T.astype(np.int8) for T in outputs])
                if all((unit.t != 0).all() for unit in result.units):
                    loss = Evaluator(made, "loss", None).value([T.astype(np.int8) for T in outputs])
                    assert result.loss == pytest.approx(loss)
                    assert (loss == 0) == (said["Infeasible"] == "no unit")
                    if loss == 0:
                        assert result.errors == 0, "Proposition 1"


def test_the_end_is_what_the_search_itself_ends_with():
    for seed in range(10):
        outcome = hill_climb(problem_of("XOR, 2 units"), starts=1, budget=None, seed=seed)
        result = SearchStepper.compute_from(SearchState(method="Hill climbing", seed=seed, step=1000))
        assert result.loss == pytest.approx(outcome.value) and result.errors == outcome.errors
        targets = np.stack([unit.t for unit in result.units[:2]], axis=1)
        assert (targets == outcome.targets[0]).all() or outcome.value == 0


def test_a_flip_by_hand_says_which_units_change():
    demo = SearchStepper(method="Hill climbing", seed=0, step=14)
    assert demo.compute().infeasible == [] and "all 3 units are feasible" in drive.alt(demo)
    came = {}
    for unit in (1, 2):
        for instance in (1, 2, 3, 4):
            demo.state.flips = [(unit, instance)]
            came[unit, instance] = demo.compute().by_hand
            assert f"flipped unit {unit}, instance {instance}: " in drive.alt(demo)
    assert [set(now) for now in came.values()].count({"output"}) == 6
    assert came[1, 3] == {"unit 1": False} and came[2, 2] == {"unit 2": False}
    demo.state.set({"seed": 2, "step": 9, "flips": ()})
    assert demo.numbers(demo.compute())["Infeasible"] == "output (instances 1 and 2)"
    ways = []
    for flips in ([(1, 2)], [(2, 4)], [(1, 2), (1, 3)]):
        demo.state.flips = flips
        ways.append(demo.numbers(demo.compute())["By hand"])
    assert ways == [
        "flipped unit 1, instance 2: unit 1 becomes infeasible and output becomes feasible",
        "flipped unit 2, instance 4: no unit changes",
        "flipped unit 1, instance 2; unit 1, instance 3: output becomes feasible",
    ]


def test_the_questions_have_the_answers_that_surprise():
    flip, layer, feasible = (SearchStepper.compute_from(SearchState(**each.state)) for each in SearchStepper.TRIES)
    assert flip.by_hand == {"output": False} and flip.flips == ((1, 1),)
    assert "stuck" in layer.position.said and layer.loss == 4
    solved = {
        name: sum(course_of(name, "Hill climbing", seed).outcome.value == 0 for seed in range(10))
        for name in ("XOR, 2 units", "XOR, 2 + 2 units")
    }
    assert solved == {"XOR, 2 units": 9, "XOR, 2 + 2 units": 0}
    asked, before = (
        SearchStepper.compute_from(SearchState(**SearchStepper.TRIES[2].state | {"step": k})) for k in (1, 0)
    )
    assert asked.infeasible == [] and "asks layer 1 for 7 flips" in asked.position.said
    assert (before.errors, asked.errors, feasible.errors) == (3, 3, 8)


# --- state ----------------------------------------------------------------------------------------------------------


def test_refused_states():
    for wrong in (dict(problem="AND"), dict(method="descent"), dict(seed=10), dict(step=-1), dict(step=1001)):
        with pytest.raises(traitlets.TraitError):
            SearchState(**wrong)
    for wrong in ([(3, 1)], [(1, 5)], [(0, 1)], 7, "ab", [(1, 1.5)], [(1,)]):
        with pytest.raises(traitlets.TraitError, match="flips are pairs"):
            SearchState(flips=wrong)


def test_a_step_or_a_flip_that_is_not_there_any_more_is_given_up():
    state = SearchState(problem="two moons, 3 units", seed=2, step=78, flips=[(3, 20), (2, 4), (2, 4)])
    assert state.step == 78 and state.flips == ((2, 4), (3, 20))
    state.problem = "XOR, 2 units"
    assert state.step == state.last == 2 and state.flips == ((2, 4),)
    state.problem = "XOR, 1 unit"
    assert state.flips == ()
    state.set({"problem": "two moons, 3 units", "step": 1000, "flips": [(3, 20)]})
    assert state.step == state.last == 78 and state.flips == ((3, 20),)
    with pytest.raises(traitlets.TraitError, match="no target for unit 3, instance 20"):
        state.set({"problem": "XOR, 1 unit", "flips": [(3, 20)]})
    assert (state.problem, state.step, state.flips) == ("two moons, 3 units", 78, ((3, 20),))


def test_the_same_state_gives_the_same_and_is_left_alone():
    state = SearchState(method="Beam of 4", seed=1, step=3, flips=[(1, 1)])
    before = repr(state)
    first, second = (SearchStepper.compute_from(state) for _ in range(2))
    assert SearchStepper.alt(first) == SearchStepper.alt(second) and repr(state) == before
    assert before == ("SearchState(problem='XOR, 2 units', method='Beam of 4', seed=1, step=3, flips=((1, 1),))")


# --- widgets --------------------------------------------------------------------------------------------------------


def test_every_control_over_its_whole_grid():
    demo = SearchStepper()
    assert drive.grid(demo) == 6 + 4 + 10 + 7 + 7 + 2 + 4 + 3


def test_every_step_has_another_picture_and_alt_text():
    demo = SearchStepper(method="Hill climbing", seed=2)
    seen = set()
    for step in range(demo.state.last + 1):
        demo.state.step = step
        seen.add((drive.alt(demo), demo.picture.value))
    assert len(seen) == len({alt for alt, _ in seen}) == len({picture for _, picture in seen}) == 10


class Blank(SearchStepper):
    """With an empty figure, where many changes are tried; figures are drawn over the whole grid, and in their tests."""

    draw = staticmethod(lambda result: Figure(figsize=(0.1, 0.1)))


@settings(max_examples=1)
@given(steps=drive.walks(SearchStepper()))
def test_random_walks(steps):
    assert drive.walk(Blank(), steps) == 30


@pytest.mark.parametrize(("demo", "changes"), [(Blank, 200), (SearchStepper, 20)])
def test_nothing_is_left_behind(demo, changes):
    assert drive.leaks(demo(), changes) == {"figures": 0, "threads": 0, "observers": 0}


def test_it_answers_quickly():
    drive.quick(SearchStepper())


def press(demo, name):
    next(button for button in drive.pressable(demo) if button.description == name).click()


def test_the_step_buttons():
    demo = SearchStepper(method="Hill climbing", seed=4)
    press(demo, "Previous step")
    assert demo.state.step == 0
    press(demo, "Next step")
    press(demo, "Next step")
    assert demo.state.step == 2
    press(demo, "Previous step")
    assert demo.state.step == 1
    press(demo, "Next decision")
    assert demo.state.step == 9 and "is kept: loss 4 to 2" in drive.alt(demo)
    press(demo, "Next decision")
    press(demo, "Next decision")
    press(demo, "Next step")
    assert demo.state.step == demo.state.last == 13 and "solved" in drive.alt(demo)


def test_box_and_slider_end_where_the_search_does():
    demo = SearchStepper(method="Hill climbing", seed=2)
    box, slider = demo.steps
    assert box.max == slider.max == 9
    demo.state.set({"problem": "parity of 3 bits, 3 units", "seed": 1, "step": 60})
    assert box.value == slider.value == demo.state.step == 60 and box.max == slider.max == 72
    slider.value = 72
    demo.state.problem = "XOR, 2 units"
    assert box.value == slider.value == demo.state.step == box.max == slider.max == 4
    assert (demo.unit.max, demo.instance.max) == (2, 4)


def test_targets_are_flipped_by_hand_and_taken_back():
    demo = SearchStepper(problem="two moons, 3 units", method="Hill climbing")
    demo.unit.value, demo.instance.value = 3, 20
    press(demo, "Flip this target")
    demo.unit.value = 1
    press(demo, "Flip this target")
    assert demo.state.flips == ((1, 20), (3, 20))
    press(demo, "Flip this target")
    assert demo.state.flips == ((3, 20),) and "By hand: flipped unit 3, instance 20" in drive.alt(demo)
    demo.state.problem = "XOR, 1 unit"
    assert (demo.unit.value, demo.instance.value, demo.state.flips) == (1, 4, ())
    press(demo, "Flip this target")
    press(demo, "Take back flips")
    assert demo.state.flips == () and "no target flipped" in drive.alt(demo)


def test_reset_goes_back_to_the_first_state():
    demo = SearchStepper(method="Beam of 4", seed=1, step=2)
    before = repr(demo.state), drive.alt(demo)
    demo.state.set({"problem": "two moons, 3 units", "seed": 9, "step": 30, "flips": [(3, 3)]})
    demo.reset.click()  # the box's new maximum is below its old value
    assert (repr(demo.state), drive.alt(demo)) == before


def test_an_error_is_said_in_words(monkeypatch):
    demo = SearchStepper()
    monkeypatch.setattr("ftpkit.explore.search.units", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        demo.state.step = 1
    assert "ZeroDivisionError: division by zero" in demo.status.value


def test_a_strip_of_states():
    strip = SearchStepper.strip({"step": 1}, {"method": "Hill climbing", "seed": 2, "step": 9})
    shown = strip._repr_mimebundle_()
    assert shown["text/html"].count("<img alt=") == 2 and "stuck: none of all 8 flips" in shown["text/plain"]


def test_plain_python():
    demo = SearchStepper(step=3)
    assert demo.compute().step == 3 and len(demo.figure().axes) == 5
