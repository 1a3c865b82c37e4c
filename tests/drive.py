"""Demos driven without a browser: every control over its whole grid, random walks, leaks and seconds.

The controls are moved as a browser moves them, by setting their value, so that the real callbacks run; an exception in
one of them comes out of the test.
"""

import gc
import html
import random
import re
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from unittest.mock import patch

import ipywidgets as W
from hypothesis import strategies as st
from matplotlib.figure import Figure

from ftpkit.explore.controls import Buttons, Slider

CONTROLS = (Buttons, Slider, W.Dropdown, W.BoundedIntText, W.BoundedFloatText, W.Checkbox, W.Text)
REFUSED = (W.IntSlider, W.FloatSlider, W.ToggleButtons, W.Play, W.Output, W.Image)
IMAGE = re.compile(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]+)"')


def descendants(widget: W.Widget) -> Iterator[W.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from descendants(child)


def controls(demo) -> dict[str, W.Widget]:
    """Every control of a demo that has a value, by its name and kind."""
    found = [widget for widget in descendants(demo.view) if isinstance(widget, CONTROLS)]
    return {f"{widget.description} ({type(widget).__name__})": widget for widget in found}


def pressable(demo) -> list[W.Button]:
    return [widget for widget in descendants(demo.view) if isinstance(widget, W.Button)]


def positions(control: W.Widget, texts: tuple = ()) -> list:
    """The whole grid of a control; of a box for floats 21 places; of a line of text the `texts`."""
    if isinstance(control, W.Checkbox):
        return [False, True]
    if isinstance(control, Buttons):
        return list(control.values)
    if isinstance(control, W.Dropdown):
        return [value for _, value in control._options_full]
    if isinstance(control, W.BoundedIntText):
        return list(range(control.min, control.max + 1))
    if isinstance(control, W.BoundedFloatText):
        return [control.min + i / 20 * (control.max - control.min) for i in range(21)]
    if isinstance(control, Slider):
        steps = round((control.max - control.min) / control.step)
        return [control.min + i * control.step for i in range(steps + 1)]
    return list(texts)


def alt(demo) -> str:
    """The alt text of the demo's one picture, which must be there and be a PNG."""
    ((text, _),) = IMAGE.findall(demo.picture.value)
    return html.unescape(text)


def check(demo) -> None:
    """The shell shows what the pure functions say of its state."""
    result = demo.compute()
    assert alt(demo) == " ".join(demo.alt(result).split()), demo.state
    shown = html.unescape(re.sub(r"<[^>]+>", " ", demo.text.value))
    for key, value in demo.numbers(result).items():
        assert key in shown and value in shown, (demo.state, key, value)
    assert demo.status.value == "", demo.status.value


def grid(demo, texts: tuple = ()) -> int:
    """Every control over its whole grid, each from the demo's first state; returns how many states were checked."""
    names(demo)
    states = 0
    for name, control in controls(demo).items():
        places = positions(control, texts)
        assert places, f"{name}: no places to go to"
        for place in [*places[1:], places[0]]:
            if control.disabled:
                continue
            control.value = place
            check(demo)
            states += 1
        demo.reset.click()
    for button in demo.tries:
        button.click()
        assert demo.question.value and demo.look.layout.display == ""
        demo.look.click()
        check(demo)
        states += 1
    demo.reset.click()
    check(demo)
    return states


def walks(demo, texts: tuple = ()) -> st.SearchStrategy:
    """Random walks of 300 steps for hypothesis: lists of (control's number, share of its grid).

    Hypothesis draws the seed of a walk, never 0: its first example is the simplest one, with max_examples=1 the only
    one, and a walk drawn step by step would then take the same step 300 times.
    """
    count = len(controls(demo))

    def walked(seed: int) -> list[tuple[int, float]]:
        chance = random.Random(seed)
        return [(chance.randrange(count), chance.random()) for _ in range(300)]

    return st.integers(0, 2**32).filter(bool).map(walked)


def walk(demo, steps: list[tuple[int, float]], texts: tuple = ()) -> int:
    """Take the steps of `walks`; what is shown is checked every tenth time. Returns how often it was checked.

    Between two checks figures are made and not turned into pixels, which would take most of the time.
    """
    checked = 0
    moved = list(controls(demo).values())
    for n, (which, share) in enumerate(steps):
        control = moved[which]
        places = positions(control, texts)
        with nullcontext() if n % 10 == 0 else patch.object(Figure, "savefig", _blank):
            if not control.disabled:
                control.value = places[round(share * (len(places) - 1))]
        if n % 10 == 0:
            check(demo)
            checked += 1
    return checked


def _blank(figure: Figure, file, **_) -> None:
    file.write(b"no pixels")


def names(demo) -> None:
    """Every control and button has a name, and no two of one kind share one."""
    widgets = [*controls(demo).values(), *pressable(demo)]
    assert widgets and all(widget.description.strip() for widget in widgets), [w for w in widgets if not w.description]
    said = [(type(widget).__name__, widget.description) for widget in widgets]
    assert len(set(said)) == len(said), said
    refused = [widget for widget in descendants(demo.view) if isinstance(widget, REFUSED)]
    assert not refused, f"nameless to a screen reader, or different at each run: {refused}"


def latency(demo, texts: tuple = (), clock=time.perf_counter) -> tuple[float, float, float]:
    """Seconds of an answer over the control grid (each control's first 40 places): median, largest, silent.

    silent: the median again, of the seconds until the answer, or until the demo said that it was working. clock:
    time.process_time leaves out what other processes take, for a demo that computes in one thread.
    """
    taken, heard = [], []
    demo.status.observe(lambda change: heard.append(clock()) if "Working" in change["new"] else None, "value")
    silent = []
    for control in controls(demo).values():
        for place in positions(control, texts)[:40]:
            if control.disabled or control.value == place:
                continue
            heard.clear()
            began = clock()
            control.value = place
            taken.append(clock() - began)
            silent.append(heard[0] - began if heard else taken[-1])
        demo.reset.click()
    demo.status.unobserve_all("value")
    return statistics.median(taken), max(taken), statistics.median(silent)


def quick(demo, texts: tuple = (), clock=time.process_time) -> None:
    """The median answer comes within 200 ms, or word that it is coming does; and it comes within twice as long.

    (Twice, because two tests on two cores that share their caches are slower than one reader.)
    """
    median, largest, silent = latency(demo, texts, clock)
    print(f"{type(demo).__name__}: median {median:.3f} s, largest {largest:.3f} s, silent {silent:.3f} s")
    assert silent <= 0.2 and median <= 0.4, (median, largest, silent)


def leaks(demo, changes: int = 200, texts: tuple = ()) -> dict[str, int]:
    """What `changes` changes in a row leave behind: figures, threads and observers more than after the first ten.

    Observers of the state, and of every widget of the demo.
    """
    moves = [(c, place) for c in controls(demo).values() for place in positions(c, texts) if not c.disabled]

    def move(count):
        for n in range(count):
            control, place = moves[n % len(moves)]
            control.value = place

    def counted():
        gc.collect()
        figures = sum(type(thing) is Figure for thing in gc.get_objects())
        observed = [demo.state, *descendants(demo.view)]
        kinds = [kind for each in observed for kinds in each._trait_notifiers.values() for kind in kinds.values()]
        observers = sum(map(len, kinds))
        return {"figures": figures, "threads": threading.active_count(), "observers": observers}

    move(10)
    before = counted()
    move(changes)
    return {key: value - before[key] for key, value in counted().items()}
