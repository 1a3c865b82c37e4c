"""A race between two to four rivals that you start, watch, and stop."""

import threading
import time
import weakref
from collections.abc import Mapping

import ipywidgets as W
import traitlets as T
from IPython import get_ipython
from matplotlib.figure import Figure

from ..live import Live, running
from ..names import as_activation, label
from ..plots import live as pictures
from ..race import Race, check
from ..rules import Rule
from ..standings import Progress, said
from .controls import button, buttons, choice, number, row
from .rivals import RivalList, add
from .shell import Demo, State, Try
from .standing import LAYERS, Standing

RIVALS = ("rival1", "rival2", "rival3", "rival4")
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


class RaceState(State):
    """What the demo shows: who is to race, how, and the race that was started last.

    rival1 ... rival4: a contestant as `names.as_activation` takes it, such as "sign:SSTE", "staircase-5:FTP-SH", "relu"
    or "sign:my_rules.py:MyRule"; rival3 and rival4 may be "", nobody. network: "mlp", "convnet4", "resnet8", or with a
    real skip path "resnet8-real". seeds, epochs: 1 to 5. images: of the bundled training images, in batches of 100. lr:
    the one learning rate, the peak of a one-cycle schedule. layer: whose flips and gradient the picture shows, a key of
    LAYERS. progress: a `Progress`, or None; a race under way writes it. Raises traitlets.TraitError for anything else.
    """

    rival1 = T.Unicode("sign:FTP-SH")
    rival2 = T.Unicode("sign:SSTE")
    rival3 = T.Unicode("sign:STE")
    rival4 = T.Unicode("")
    network = T.Enum(("mlp", "convnet4", "resnet8", "resnet8-real"), "mlp")
    seeds = T.Int(2, min=1, max=5)
    epochs = T.Int(2, min=1, max=5)
    images = T.Enum((500, 1000, 2000, 5000, 10_000), 2000)
    lr = T.Enum(RATES, 3e-3)
    layer = T.Enum(tuple(LAYERS), "first hidden layer")
    progress = T.Instance(Progress, allow_none=True)

    def __init__(self, **start):
        self.lock = threading.RLock()  # a race under way writes from a thread of its own
        super().__init__(**start)

    @T.validate(*RIVALS)
    def _known(self, proposal):
        name = proposal["value"]
        if name or proposal["trait"].name in RIVALS[:2]:
            try:
                as_activation(name)()
            except (ValueError, TypeError, AttributeError, OSError) as error:
                raise T.TraitError(f"{proposal['trait'].name}: {error}") from None
        return name

    def set(self, values: dict) -> None:
        with self.lock:
            super().set(values)

    def settings(self) -> Race:
        """What the controls say, each rival once, be it a race or not."""
        chosen = [name for rival in RIVALS if (name := getattr(self, rival))]
        return Race(
            network=self.network,
            contestants=tuple(dict.fromkeys(chosen)),
            lrs=(self.lr,),
            epochs=self.epochs,
            seeds=self.seeds,
            train_size=self.images,
            test="fashion-mnist-12k",
        )

    def race(self) -> Race:
        """The race that the controls stand for; ValueError where they stand for none."""
        settings = self.settings()
        chosen = [name for rival in RIVALS if (name := getattr(self, rival))]
        for name in settings.contestants:
            if chosen.count(name) > 1:
                raise ValueError(f"{label(name)} is chosen twice: a race needs different rivals")
        check(settings)
        return settings


class RaceDemo(Demo):
    """The demo: choose rivals, start them, watch, stop. All get the same weights, batches and learning rate per seed.

    Start trains in a thread; the page goes on working, and so do other cells. While it runs its controls rest, all but
    the choice of the layer; Stop ends it after the batch under way, with a table of the seeds that are complete; Reset
    and Look stop it, too. One race runs at a time. Keys: Tab goes from control to control, Space presses a button and
    opens a list, arrow keys choose.

    own: rules of yours by name, added to `RULES`, so that they are in the lists; of other rules in `RULES` the lists
    hear at the next picture. Without a browser: ``run()`` races here and now and returns what ``compute()`` does;
    ``start()``, ``stop()`` and ``join()`` use the thread. ``close()`` takes the demo and its race away.

    >>> demo = RaceDemo(rival1="relu", rival2="sign:SSTE", rival3="", seeds=1, epochs=1, images=500)
    >>> demo.numbers(demo.compute())["Race"]
    'ReLU against SSTE on mlp: not started. Each: 5 batches of 100 images, seeds: 1, learning rate 0.003'
    >>> demo.run().phase
    'finished'
    >>> demo.numbers(demo.compute())["What it shows"]
    'one seed shows nothing about others; take two or more for an interval'
    """

    State = RaceState
    TRIES = (
        Try(
            "forty batches",
            "Forty batches each: the paper's small convolutional network with ReLU, and with hidden units that can say "
            "only -1 or +1. Which is ahead at the end, and by how much? (After Look press Start; it takes a minute.)",
            {"network": "convnet4", "rival1": "relu", "rival2": "sign:FTP-SH", "rival3": "", "rival4": "", "seeds": 2,
             "epochs": 2, "images": 2000, "lr": 1e-3},
        ),
        Try(
            "two or five seeds",
            "FTP-SH against Ramp, with two seeds. How many points must lie between them before the interval leaves out "
            "0? After Look press Start and read how wide it is; then do the same with five seeds.",
            {"network": "mlp", "rival1": "sign:FTP-SH", "rival2": "sign:Ramp", "rival3": "", "rival4": "", "seeds": 2,
             "epochs": 3, "images": 2000, "lr": 3e-3},
        ),
        Try(
            "settled?",
            "Near the end hardly any hidden output flips. Have the networks settled after two epochs? After Look press "
            "Start and note the flips at batch 40; then take five epochs and look at batch 40 again.",
            {"network": "mlp", "rival1": "sign:FTP-SH", "rival2": "sign:STE", "rival3": "", "rival4": "", "seeds": 2,
             "epochs": 2, "images": 2000, "lr": 3e-3},
        ),
    )  # fmt: skip

    def __init__(self, *, own: Mapping[str, Rule] | None = None, **start):
        add(own or {})
        self._live, self.table, self.clock = None, W.HTML(), time.monotonic
        super().__init__(**start)
        self.view.children = (*self.view.children, self.table)

    def controls(self):
        state = self.state
        self.lists = [RivalList(state, name, f"Rival {n}", name in RIVALS[2:]) for n, name in enumerate(RIVALS, 1)]
        self.settings = [
            *(each.box for each in self.lists),
            buttons(state, "network", "Network", state.traits()["network"].values),
            number(state, "seeds", "Seeds"),
            number(state, "epochs", "Epochs"),
            choice(state, "images", "Images", [(f"{n:,}", n) for n in state.traits()["images"].values]),
            choice(state, "lr", "Learning rate", [(f"{rate:g}", rate) for rate in RATES]),
        ]
        for each, width in zip(self.settings[-2:], ("11em", "14em"), strict=True):
            each.layout.width = width
        actions = [
            button("Start", "Train all rivals, in the background", self._press_start),
            button("Stop", "End the race after the batch under way", self.stop),
            buttons(state, "layer", "Flips and gradient", LAYERS),
        ]
        return [row(*each) for each in (self.settings[:4], self.settings[4:], actions)]

    # What is shown

    @staticmethod
    def compute_from(state: RaceState) -> Standing:
        """How the race stands, and whether the controls still speak of it; nothing is trained here."""
        progress, chosen, note = state.progress, state.settings(), ""
        try:
            state.race()
        except ValueError as error:
            note = f"the controls stand for no race: {error}"
        if progress is not None and chosen != progress.race and not note:
            note = f"the controls now stand for another race, {said(chosen)}; Start begins it"
        return Standing(chosen if progress is None else progress.race, progress, note, state.layer)

    @staticmethod
    def draw(result: Standing) -> Figure:
        names = f"{said(result.race)}: {result.where}", result.layer
        return pictures.live(result.race, result.progress, LAYERS[result.layer], names)

    @staticmethod
    def alt(result: Standing) -> str:
        return result.alt

    @staticmethod
    def numbers(result: Standing) -> dict[str, str]:
        return result.numbers

    def refresh(self):
        with self.state.lock:
            if self.state.progress is not None and self.state.progress.phase == "running":
                self._took = 0.0  # a race says by itself that it is under way
            super().refresh()
            result = self.compute()
            self.table.value = result.html
            if result.phase == "failed":
                self.say(f"The race ended with an error. {result.progress.error}")

    def _draw(self, change=None):
        if change is not None and change["name"] == "progress" and change["new"] is not None:
            self._drawn = repr(self.state)
            self.refresh()  # and a question that was asked stays
        else:
            self._offer_all()
            super()._draw(change)

    def _take(self, live: Live) -> None:
        """Show how a race of this demo stands; called in the thread of the race."""
        with self.state.lock:
            if live is self._live:
                for control in self.settings:
                    control.disabled = live.alive
                self.state.progress = live.progress

    def _offer_all(self):
        for each in self.lists:
            each.offer()

    # What is done

    def start(self) -> None:
        """Race in a thread. Raises `ftpkit.live.Busy` while a race runs, ValueError where the controls make none."""
        demo = weakref.ref(self)

        def show(progress):
            if (there := demo()) is not None:
                there._take(live)
            else:
                live.stop()

        live = Live(self.state.race(), show, self.clock, self.state.lock)
        before, self._live = self._live, live
        try:
            live.start()
        except RuntimeError:
            self._live = before
            raise
        _watch_interrupts()

    def run(self) -> Standing:
        """Race here and now and return the result; what goes wrong is raised. An interrupt keeps what is complete."""
        live = Live(self.state.race())
        try:
            live.run()
        finally:
            if not live.alive and live.progress.phase != "running":
                self._live = live
                self._take(live)
        return self.compute()

    def stop(self) -> None:
        """End the race that runs, wherever it was started, after the batch under way; does not wait for it."""
        live = running()
        if live is None:
            self.say("No race is running.")
        else:
            live.stop()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for this demo's race to end; returns whether it has. An interrupt while waiting ends the race."""
        try:
            return self._live is None or self._live.join(timeout)
        except KeyboardInterrupt:
            self._live.stop()
            raise

    def close(self) -> None:
        """End this demo's race and take its widgets away."""
        self._end()
        self.state.unobserve_all()
        _close(self.view)

    def _end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live.join(5)

    def _press_start(self):
        self._offer_all()
        try:
            self.start()
        except (ValueError, RuntimeError) as refusal:
            self.say(f"Not started: {refusal}.")

    def _reset(self):
        self._end()
        super()._reset()

    def _look(self):
        self._end()
        super()._look()


def _close(widget: W.Widget) -> None:
    for child in getattr(widget, "children", ()):
        _close(child)
    widget.close()


def _watch_interrupts() -> None:
    """Let an interrupt that ends a cell end the race as well: it reaches no thread but the main one."""
    shell = get_ipython()
    if shell is not None and _after_cell not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _after_cell)


def _after_cell(result) -> None:
    live = running()
    if live is not None and isinstance(result.error_in_exec, KeyboardInterrupt):
        live.stop()
