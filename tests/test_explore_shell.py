"""The shell of the demos and what drives them in tests: each thing that a demo must not do is planted, and found."""

import time
from dataclasses import dataclass

import drive
import ipywidgets as W
import pytest
import traitlets as T
from hypothesis import given, settings

from ftpkit import plots
from ftpkit.explore import controls
from ftpkit.explore.shell import Demo, State, Try


class PowerState(State):
    base = T.Int(2, min=-3, max=9)
    power = T.Enum((1, 2, 3), 2)
    shown = T.Bool(True)
    factor = T.Float(1.0, min=0.0, max=2.0)


@dataclass(frozen=True)
class Power:
    base: int
    power: int
    value: float


class PowerDemo(Demo):
    State = PowerState
    TRIES = (Try("minus three", "What is the cube of -3?", {"base": -3, "power": 3}),)

    def controls(self):
        state = self.state
        return [
            controls.slider(state, "base", "Base"),
            controls.number(state, "base", "Base"),
            W.HBox([controls.buttons(state, "power", "Power", [("one", 1), ("two", 2), ("three", 3)])]),
            controls.check(state, "shown", "Shown"),
            controls.number(state, "factor", "Factor"),
        ]

    @staticmethod
    def compute_from(state):
        return Power(state.base, state.power, state.factor * state.base**state.power)

    @staticmethod
    def draw(result):
        fig, ax = plots.figure(width=2, height=1)
        ax.plot([0, result.value])
        return fig

    @staticmethod
    def alt(result):
        return f"A line from 0 to {result.value:g}, which is {result.base} to the power of {result.power}."

    @staticmethod
    def numbers(result):
        return {"Value": f"{result.value:g}"}


def test_the_grid_visits_every_place_of_every_control():
    assert drive.grid(PowerDemo()) == 13 + 13 + 3 + 2 + 21 + 1


@settings(max_examples=1)
@given(steps=drive.walks(PowerDemo()))
def test_random_walks(steps):
    assert len(set(steps)) > 250  # the simplest example of hypothesis is a walk as well
    assert drive.walk(PowerDemo(), steps) == 30


def test_nothing_is_left_behind():
    assert drive.leaks(PowerDemo()) == {"figures": 0, "threads": 0, "observers": 0}


def test_it_answers_quickly():
    median, largest, silent = drive.latency(PowerDemo())
    assert 0 <= silent <= median <= largest and median > 0


def test_control_and_state_follow_each_other():
    demo = PowerDemo(base=5)
    slider, box = (drive.controls(demo)[name] for name in ("Base (Slider)", "Base (BoundedIntText)"))
    assert slider.value == box.value == 5
    slider.value = 7
    assert demo.state.base == box.value == 7 and "7 to the power" in drive.alt(demo)
    demo.state.base = -1
    assert slider.value == box.value == -1
    slider.value = 99
    assert demo.state.base == 9
    demo.reset.click()
    assert demo.state.base == 5


def test_buttons_press_the_state_and_the_state_presses_buttons():
    demo = PowerDemo(power=3)
    row = drive.controls(demo)["Power (Buttons)"]
    assert (row.labels, row.index, row.value) == (["one", "two", "three"], 2, 3)
    row.set_state({"index": 0})  # as the browser says it
    assert demo.state.power == 1 and "to the power of 1" in drive.alt(demo)
    demo.state.power = 2
    assert row.index == 1
    for wrong in (4, "one"):
        with pytest.raises(T.TraitError, match="Power: .* is none of"):
            row.value = wrong
    assert (row.index, row.value, demo.state.power) == (1, 2, 2)


def test_a_question_comes_before_its_picture():
    demo = PowerDemo()
    [button] = demo.tries
    before = drive.alt(demo)
    button.click()
    assert "What is the cube of -3?" in demo.question.value and drive.alt(demo) == before
    demo.look.click()
    assert "to -27," in drive.alt(demo) and demo.look.layout.display == "none" and "cube" in demo.question.value
    demo.state.base = 4
    assert demo.question.value == ""


def test_moving_on_withdraws_the_question():
    demo = PowerDemo()
    demo.tries[0].click()
    demo.state.base = 3
    assert demo.question.value == "" and demo.look.layout.display == "none"
    demo.look.click()
    assert demo.state.base == 3


def test_several_values_change_at_once_or_none_does():
    demo, seen = PowerDemo(), []
    demo.state.observe(lambda change: seen.append(repr(demo.state)), ["base", "power"])
    demo.state.set({"base": 3, "power": 3})
    assert set(seen) == {"PowerState(base=3, power=3, shown=True, factor=1.0)"}
    with pytest.raises(T.TraitError):
        demo.state.set({"base": 4, "power": 17})
    assert (demo.state.base, demo.state.power) == (3, 3)
    with pytest.raises(T.TraitError, match="PowerState has no exponent; it has PowerState"):
        demo.state.set({"exponent": 1})


def test_one_change_of_several_values_draws_once(monkeypatch):
    drawn, draw = [], PowerDemo.draw
    demo = PowerDemo()
    monkeypatch.setattr(PowerDemo, "draw", staticmethod(lambda result: drawn.append(result) or draw(result)))
    demo.state.set({"base": 3, "power": 3})
    assert len(drawn) == 1


def test_something_may_stand_beside_the_picture():
    class Beside(PowerDemo):
        def stage(self):
            return W.HBox([W.HTML("by hand"), self.picture])

    demo = Beside()
    assert demo.picture in demo.view.children[-2].children
    demo.state.base = 3
    assert "3 to the power" in drive.alt(demo)


def test_a_slow_answer_says_that_it_is_working():
    said = []
    demo = PowerDemo()
    demo.status.observe(lambda change: said.append(change["new"]), "value")
    demo._took = 0.0
    demo.state.base = 3
    assert said == []
    demo._took = 1.0
    demo.state.base = 4
    assert "Working" in said[0] and said[-1] == ""


def test_a_strip_shows_its_states_with_their_alt_texts():
    shown = PowerDemo.strip({}, {"base": 3})._repr_mimebundle_()
    assert shown["text/html"].count("<img alt=") == 2 and "to 9, which is 3 to the power of 2" in shown["text/plain"]


def test_text_that_looks_like_html_is_shown_as_text():
    demo = PowerDemo()
    demo.say("1 < 2 & <b>")
    assert "1 &lt; 2 &amp; &lt;b&gt;" in demo.status.value


# --- what must be found ---------------------------------------------------------------------------------------------


class Raises(PowerDemo):
    @staticmethod
    def compute_from(state):
        if state.base == 6:
            raise ZeroDivisionError("six does not go")
        return PowerDemo.compute_from(state)


def test_a_callback_that_raises_at_one_position_turns_the_tests_red():
    demo = Raises()
    with pytest.raises(ZeroDivisionError, match="six does not go"):
        drive.grid(demo)
    assert "ZeroDivisionError: six does not go" in demo.status.value  # and the reader is told in words


class Mute(PowerDemo):
    @staticmethod
    def alt(result):
        return ""


def test_a_demo_without_alt_text_turns_the_tests_red():
    with pytest.raises(ValueError, match="an alt text says what the figure shows"):
        Mute()


class Unsaid(PowerDemo):
    def refresh(self):
        super().refresh()
        self.picture.value = self.picture.value.replace(" alt=", " title=")


def test_a_picture_without_alt_text_turns_the_tests_red():
    with pytest.raises(ValueError, match="not enough values"):
        drive.grid(Unsaid())


class OneAlt(PowerDemo):
    def refresh(self):
        super().refresh()
        self.picture.value = self.picture.value.replace(
            self.alt(self.compute()), "Always the same text, whatever is shown."
        )


def test_an_alt_text_that_is_not_that_of_the_state_turns_the_tests_red():
    with pytest.raises(AssertionError):
        drive.grid(OneAlt())


class Nameless(PowerDemo):
    def controls(self):
        return [*super().controls(), controls.Slider()]


class Unnameable(PowerDemo):
    def controls(self):
        return [*super().controls(), W.IntSlider(description="Base")]


class Unpressed(PowerDemo):
    def controls(self):
        return [*super().controls(), W.ToggleButtons(options=[1, 2], description="Way")]


@pytest.mark.parametrize("kind", [Nameless, Unnameable, Unpressed])
def test_a_slider_without_a_name_turns_the_tests_red(kind):
    with pytest.raises(AssertionError):
        drive.grid(kind())


class Leaking(PowerDemo):
    kept = []

    def refresh(self):
        super().refresh()
        self.state.observe(lambda change: None)
        self.kept.append(self.figure())


class LeakingWidgets(PowerDemo):
    def refresh(self):
        super().refresh()
        self.picture.observe(lambda change: None)


def test_what_piles_up_turns_the_tests_red():
    found = drive.leaks(Leaking(), changes=20)
    assert found["observers"] > 10 and found["figures"] > 10
    assert drive.leaks(LeakingWidgets(), changes=20)["observers"] > 10


class Slow(PowerDemo):
    def controls(self):
        return [controls.buttons(self.state, "power", "Power", (1, 2, 3))]

    @staticmethod
    def compute_from(state):
        time.sleep(0.25)
        return PowerDemo.compute_from(state)


class Mum(Slow):
    SLOW = 100  # seconds before it would say that it works


def test_a_slow_answer_without_a_word_turns_the_tests_red():
    drive.quick(Slow(), clock=time.perf_counter)
    with pytest.raises(AssertionError):
        drive.quick(Mum(), clock=time.perf_counter)
