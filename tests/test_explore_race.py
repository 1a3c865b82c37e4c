"""The race demo without a browser: its controls, its thread, and what its table says against the paired differences."""

import gc
import html
import re
import threading
import time
import weakref

import drive
import ipywidgets as W
import numpy as np
import pytest
import torch
import traitlets
from hypothesis import given, settings
from matplotlib.figure import Figure

from ftpkit import RULES, Rule, data, live, paired, race, train
from ftpkit.explore import RaceDemo, RaceState
from ftpkit.explore.rivals import KIT
from ftpkit.live import Busy
from ftpkit.names import NETWORKS, as_activation

TINY = dict(rival1="sign:FTP-SH", rival2="relu", rival3="", seeds=2, epochs=1, images=500)
LONG = dict(rival1="sign:FTP-SH", rival2="relu", rival3="", seeds=5, epochs=5, images=10_000)


class Blank(RaceDemo):
    """With an empty figure, where many changes are tried; figures are drawn where seconds are counted."""

    draw = staticmethod(lambda result: Figure(figsize=(0.1, 0.1)))


@pytest.fixture(autouse=True)
def nothing_runs_on():
    yield
    if live.running() is not None:
        live.running().stop()
        live.running() and live.running().join(20)
        pytest.fail("a race was left running")
    for name in set(RULES) - KIT:
        del RULES[name]


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def press(demo, name):
    next(button for button in drive.pressable(demo) if button.description == name).click()


def words(widget):
    return html.unescape(re.sub(r"<[^>]+>", " ", widget.value))


def deciding(demo):
    return [control for name, control in drive.controls(demo).items() if not name.startswith("Flips")]


# --- results ---------------------------------------------------------------------------------------------------------


def test_a_race_by_run_and_by_start_is_the_same():
    demo, twin = RaceDemo(**TINY), RaceDemo(**TINY)
    result = demo.run()
    twin.start()
    assert twin.join(60)
    other = twin.compute()
    assert result.phase == other.phase == "finished" and result.alt == other.alt and result.numbers == other.numbers
    assert demo.picture.value == twin.picture.value
    for contestant in result.race.contestants:
        assert (result.progress.correct(contestant) == other.progress.correct(contestant)).all()
    for each in (demo, twin):
        drive.check(each)
        assert isinstance(each.figure(), Figure) and each.state.progress.phase == "finished"


def test_the_numbers_are_the_paired_ones():
    demo = RaceDemo(**TINY | {"rival3": "sign:STE", "seeds": 3})
    result = demo.run()
    hits = {race.label(c): result.progress.correct(c) for c in result.race.contestants}
    said = demo.numbers(result)
    for name, right in hits.items():
        values = 100 * right.mean(axis=1)
        assert said[name] == f"{values.mean():.2f} %, standard error {np.std(values, ddof=1) / 3**0.5:.2f}, seeds: 3"
        assert f"{values.mean():.2f} %" in demo.table.value and f"Test accuracy of {name} {said[name]}" in drive.alt(
            demo
        )
    pairs = {key: value for key, value in said.items() if " minus " in key}
    assert len(pairs) == 3
    for pair, value in pairs.items():
        a, b = pair.split(" minus ")
        difference = paired.difference(hits[a], hits[b])
        assert value == str(difference) and f"{pair}: {difference}." in drive.alt(demo)
        assert ("no difference shown" in value) == (not difference.shown)
        assert (f"{a} above {b}" in said["What it shows"]) == difference.shown
        assert f"{difference.low:+.2f} to {difference.high:+.2f}" in demo.table.value


@pytest.mark.parametrize("network", ["resnet8", "resnet8-real"])
def test_residual_networks_race_as_train_fit_trains_them(network):
    """Notebook 07's race, smaller: the same test images right and wrong, and a gradient in both of its layers."""
    demo = RaceDemo(**TINY | {"network": network, "seeds": 1, "lr": 3e-2})
    result = demo.run()
    images = data.load("fashion-mnist-12k")
    torch.manual_seed(0)
    again = NETWORKS[network](as_activation("sign:FTP-SH"))
    few = data.holdout(images.train, 500)[1]
    train.fit(again, few, epochs=1, lr=3e-2, one_cycle=True, seed=0, progress=False)
    right = train.predict(again, images.test, batch_size=100) == images.test.labels
    assert (right.numpy() == result.progress.correct("sign:FTP-SH")[0]).all()
    run = result.progress.runs[0]
    assert all(np.isfinite(each).all() and np.min(each) > 0 for each in run.gradients) and run.flips


def test_one_seed_shows_nothing_about_others():
    demo = RaceDemo(**TINY | {"seeds": 1})
    said = demo.numbers(demo.run())
    assert said["What it shows"] == "one seed shows nothing about others; take two or more for an interval"
    assert "standard error unknown from one seed" in said["ReLU"] and "one seed shows nothing" in drive.alt(demo)
    assert not [key for key in said if " minus " in key] and "95 % interval" not in demo.table.value


def test_the_same_rule_twice_over_shows_no_difference():
    """The same rule by two names makes the same runs: the interval is a point at 0."""
    demo = RaceDemo(own={"Twin": RULES["SSTE"]}, **TINY | {"rival1": "sign:SSTE", "rival2": "sign:Twin"})
    said = demo.numbers(demo.run())
    assert "+0.00 [+0.00, +0.00], no difference shown" in said.values()
    assert said["What it shows"].startswith("no difference shown between")


def test_the_questions_can_be_answered():
    ahead = race.difference(*(race.correct(race.load("convnet4-live"), c) for c in ("sign:FTP-SH", "relu")))
    asked, small = RaceDemo.TRIES[0].state, race.RACES["convnet4-live"]
    assert ahead.low > 3, "ten seeds of the race of the first question"
    same = (asked["images"], asked["epochs"], asked["lr"]) == (small.train_size, small.epochs, small.lrs[0])
    assert same and small.batch_size == RaceState(**asked).race().batch_size

    demo = RaceDemo(**RaceDemo.TRIES[2].state)

    def flips_at_batch_40():
        runs = demo.run().progress.runs
        return np.mean([run.flips[run.batches.index(40)] for run in runs])

    short = flips_at_batch_40()
    demo.state.epochs = 5
    assert short < 0.04 and flips_at_batch_40() > 1.5 * short, "the learning rate had fallen, nothing had settled"


# --- the thread ------------------------------------------------------------------------------------------------------


def test_start_stop_and_what_is_shown_meanwhile():
    demo = Blank(**LONG)
    press(demo, "Start")
    until(lambda: demo.state.progress is not None and demo.state.progress.batches > 20)
    assert all(control.disabled for control in deciding(demo)) and len(deciding(demo)) == 9
    assert "running, seed 1 of 5" in words(demo.text) and demo.table.value == ""
    assert re.search(r"running, seed 1 of 5, \d+ of 5,000 batches", demo.compute().alt)
    alt = drive.alt(demo)
    until(lambda: drive.alt(demo) != alt)
    layer = drive.controls(demo)["Flips and gradient (Buttons)"]
    layer.value = "last hidden layer"
    assert "in the last hidden layer" in drive.alt(demo)
    before = live.running().batches
    press(demo, "Stop")
    assert demo.join(20)
    result = demo.compute()
    assert result.phase == "stopped" and before <= result.progress.batches <= before + 1
    assert f"stopped after {result.progress.batches:,} of 5,000 batches" in drive.alt(demo)
    assert not any(control.disabled for control in deciding(demo))
    drive.check(demo)
    press(demo, "Stop")
    assert "No race is running." in words(demo.status)


def test_what_is_complete_when_it_is_stopped_is_judged():
    demo = Blank(**LONG | {"images": 500, "epochs": 1})
    demo.start()
    until(lambda: demo.state.progress is not None and demo.state.progress.seeds >= 2)
    demo.stop()
    assert demo.join(20)
    result = demo.compute()
    assert result.phase in ("stopped", "finished") and result.table[0]["seeds"] == result.progress.seeds >= 2
    assert len(result.differences) == 1 and "Differences, paired" in demo.table.value


def test_its_error_is_said_in_words():
    def targets(g, z, h):
        raise ArithmeticError("no targets <today>")

    demo = RaceDemo(own={"Broken": Rule("SoftHinge", targets)}, **TINY | {"rival1": "sign:Broken"})
    press(demo, "Start")
    assert demo.join(60)
    assert "The race ended with an error. ArithmeticError: no targets <today>" in words(demo.status)
    assert "Error: ArithmeticError: no targets <today>." in drive.alt(demo)
    assert demo.compute().phase == "failed" and not any(control.disabled for control in deciding(demo))
    with pytest.raises(ArithmeticError, match="no targets"):
        demo.run()
    demo.state.rival1 = "sign:STE"
    assert demo.run().phase == "finished" and demo.status.value == ""


def test_an_error_while_drawing_ends_the_race_and_is_said():
    class Unlucky(Blank):
        lucky = True

        def refresh(self):
            super().refresh()
            if not type(self).lucky:
                self.say("KeyError: out of paint")
                raise KeyError("out of paint")

    demo = Unlucky(**LONG)
    Unlucky.lucky = False
    demo.start()
    assert demo.join(20)
    assert "out of paint" in words(demo.status) and live.running() is None
    Unlucky.lucky = True
    demo.reset.click()
    assert demo.status.value == "" and demo.state.progress is None


def test_a_second_start_is_refused_in_words():
    first, second = Blank(**LONG), Blank(**TINY)
    first.start()
    try:
        for demo in (first, second):
            press(demo, "Start")
            assert re.search(
                r"Not started: one race at a time: FTP-SH against ReLU on mlp is running, \d+ of 5000 batches",
                words(demo.status),
            )
        for way in (second.start, second.run):
            with pytest.raises(Busy):
                way()
        assert second.state.progress is None and second.join(0)
    finally:
        press(second, "Stop")  # the one that runs, wherever it was started
        assert first.join(20)
    assert second.run().phase == "finished" and first.compute().phase == "stopped"


def test_reset_and_look_end_the_race():
    demo = Blank(**LONG)
    demo.start()
    until(lambda: live.running().batches > 0)
    demo.reset.click()
    assert live.running() is None and demo.state.progress is None and "not started" in drive.alt(demo)
    demo.start()
    demo.tries[1].click()
    until(lambda: demo.state.progress is not None and demo.state.progress.batches > 0)
    assert demo.look.layout.display == "" and "two seeds" in words(demo.question), "the race asks nothing away"
    demo.look.click()
    assert live.running() is None and demo.state.rival2 == "sign:Ramp" and demo.state.progress is None
    drive.check(demo)


def test_a_change_from_python_waits_for_the_next_start():
    demo = Blank(**LONG)
    demo.start()
    until(lambda: demo.state.progress is not None)
    demo.state.rival2 = "sign:STE"
    assert demo.compute().race.contestants == ("sign:FTP-SH", "relu")
    assert "the controls now stand for another race, FTP-SH against STE on mlp" in demo.compute().alt
    demo.stop()
    demo.join(20)
    assert "FTP-SH against ReLU on mlp, stopped" in drive.alt(demo)


def test_at_most_five_updates_a_second():
    told = []

    class Counted(RaceDemo):
        def refresh(self):
            super().refresh()
            told.append((time.monotonic(), threading.current_thread() is threading.main_thread()))

    demo = Counted(**LONG)
    demo.start()
    until(lambda: len(told) > 6)
    demo.stop()
    demo.join(20)
    ours = [at for at, main in told if not main][:-1]  # the last says that it is over
    assert len(ours) >= 4 and min(np.diff(ours)) > 0.15, "0.2 s from begin to begin, less what drawing differs"


def test_it_ends_with_its_demo_and_with_an_interrupted_cell():
    demo = Blank(**LONG)
    demo.start()
    thread, here, open_before = demo._live.thread, weakref.ref(demo), len(W.widget._instances)
    demo.close()
    assert not thread.is_alive() and live.running() is None
    assert len(W.widget._instances) < open_before - 20
    del demo
    gc.collect()
    assert here() is None

    from ftpkit.explore.race import _after_cell

    demo = Blank(**LONG)
    demo.start()
    done = type("Result", (), {"error_in_exec": None})()
    _after_cell(done)
    assert not demo.join(0.2)
    done.error_in_exec = KeyboardInterrupt()
    _after_cell(done)
    assert demo.join(20) and demo.compute().phase == "stopped"


def test_starts_and_stops_leave_no_threads():
    demo, before = Blank(**LONG), threading.active_count()
    observers = {name: len(each.get("change", [])) for name, each in demo.state._trait_notifiers.items()}
    for n in range(20):
        press(demo, "Start")
        if n % 4 == 0:
            until(lambda: live.running().batches > 0)
        press(demo, "Stop")
        assert demo.join(20)
    assert threading.active_count() == before
    assert observers == {name: len(each.get("change", [])) for name, each in demo.state._trait_notifiers.items()}


# --- state and own rules ---------------------------------------------------------------------------------------------


def test_refused_states():
    wrongs = [dict(rival1=""), dict(rival2="sign:Nobody"), dict(rival3="sign:no_file.py:Rule")]
    for wrong in [
        *wrongs,
        dict(network="convnet8"),
        dict(seeds=6),
        dict(epochs=0),
        dict(images=700),
        dict(lr=0.5),
        dict(layer="both"),
        dict(progress=1),
    ]:
        with pytest.raises(traitlets.TraitError):
            RaceState(**wrong)


def test_twice_the_same_rival_is_no_race():
    demo = RaceDemo(rival1="relu", rival2="relu")
    assert "ReLU is chosen twice" in drive.alt(demo)
    press(demo, "Start")
    assert "Not started: ReLU is chosen twice: a race needs different rivals." in words(demo.status)
    with pytest.raises(ValueError, match="chosen twice"):
        demo.run()


def test_rules_of_the_readers_own(tmp_path):
    demo = RaceDemo(own={"Mine": Rule("Hinge", weighted=False)}, **TINY | {"rival1": "staircase-5:Mine"})
    box = drive.controls(demo)["Rival 1 (Dropdown)"]
    assert box.value == "staircase-5:Mine" and ("sign, Mine", "sign:Mine") in box.options
    box.value = "sign:Mine"
    assert demo.run().table[0]["contestant"] == "sign:Mine" and "Mine against ReLU" in drive.alt(demo)
    (tmp_path / "rules.py").write_text("from ftpkit import Rule\nMyRule = Rule('Hinge')\n")
    demo.state.rival2 = f"sign:{tmp_path / 'rules.py'}:MyRule"
    assert (
        drive.controls(demo)["Rival 2 (Dropdown)"].value.endswith("MyRule") and "Mine against MyRule" in demo.run().alt
    )
    RaceDemo(own={"Later": Rule("Hinge")})
    press(demo, "Reset")
    assert ("sign, Later", "sign:Later") in box.options and box.value == "staircase-5:Mine"
    for wrong, error in (
        ({"SSTE": Rule("Hinge")}, ValueError),
        ({"a b": Rule("Hinge")}, ValueError),
        ({"B": 3}, TypeError),
    ):
        with pytest.raises(error):
            RaceDemo(own=wrong)


def test_compute_from_changes_nothing_and_trains_nothing():
    state = RaceState()
    before = repr(state)
    first, second = RaceDemo.compute_from(state), RaceDemo.compute_from(state)
    assert first.alt == second.alt and repr(state) == before and live.running() is None


# --- widgets ---------------------------------------------------------------------------------------------------------


def test_every_control_over_its_whole_grid_without_a_start():
    assert drive.grid(Blank()) == 2 * 22 + 2 * 23 + 4 + 5 + 5 + 5 + 5 + 2 + 3
    assert live.running() is None


def test_it_answers_quickly():
    """Every figure of the whole grid is drawn."""
    drive.quick(RaceDemo())


@settings(max_examples=1)
@given(steps=drive.walks(RaceDemo()))
def test_random_walks(steps):
    assert drive.walk(Blank(), steps) == 30


def test_after_a_race_the_controls_can_be_walked():
    demo = RaceDemo(**TINY)
    demo.run()
    drive.check(demo)
    drive.controls(demo)["Flips and gradient (Buttons)"].value = "last hidden layer"
    drive.check(demo)
    drive.controls(demo)["Epochs (BoundedIntText)"].value = 3
    drive.check(demo)
    assert "the controls now stand for another race" in drive.alt(demo) and demo.compute().race.epochs == 1


@pytest.mark.parametrize(("demo", "changes"), [(Blank, 200), (RaceDemo, 20)])
def test_nothing_is_left_behind(demo, changes):
    assert drive.leaks(demo(), changes) == {"figures": 0, "threads": 0, "observers": 0}


def test_the_strip_shows_races_that_were_run():
    demo = RaceDemo(**TINY | {"seeds": 1})
    demo.run()
    strip = RaceDemo.strip(TINY, demo.state.values())
    assert "not started" in strip.pictures[0].alt and "finished" in strip.pictures[1].alt
