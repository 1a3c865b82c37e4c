"""A race while it runs: all rivals of a seed side by side, in a thread that can be stopped within a batch.

`ftpkit.race.run` makes the same runs one after the other, and keeps no curves.
"""

import atexit
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from copy import deepcopy
from functools import lru_cache

import numpy as np
import torch

from . import data, probe, race
from .loop import Training
from .names import NETWORKS, as_activation
from .standings import WATCHED, Progress, Run, batches_of, said
from .train import predict

PER_SECOND = 5  # no more updates than that


class Busy(RuntimeError):
    """Another race runs in this process."""


@lru_cache(maxsize=8)
def images_of(name: str, size: int) -> data.DataSet:
    """A data set with `size` of its training images, balanced by class, as `race.run` takes them."""
    images = data.load(name)
    few = images.train if size >= len(images.train) else data.holdout(images.train, size)[1]
    return data.DataSet(images.name, few, images.test, images.classes)


# --- one network -------------------------------------------------------------------------------------------------


class _Stopped(Exception):
    """Raised where a race is to end, so that nothing of it runs on."""


class _Rival:
    """A network in a race, which goes on by one stretch of batches at a time."""

    def __init__(self, live: "Live", contestant: str, seed: int):
        self.live, settings, images = live, live.race, live.images
        self.model = deepcopy(live.models[contestant])
        self.model.load_state_dict(live.weights[seed])
        order = torch.Generator().manual_seed(seed)
        batches = data.Batches(images.train, settings.batch_size, shuffle=True, generator=order)
        budget = dict(epochs=settings.epochs, lr=settings.lrs[0], one_cycle=settings.one_cycle, seed=seed)
        self.training = Training(self.model, batches, self._judge, **budget)
        self.stretch = max(5, len(batches) // 10)
        self.run = Run(contestant, seed)
        self.watch = ExitStack()
        self.flips = probe.Flips(self.model, next(data.Batches(images.test, WATCHED).iterate())[0])

    @property
    def batches(self) -> int:
        return (self.training.epoch - 1) * len(self.training.batches) + self.training.step

    def advance(self) -> None:
        """One stretch of batches, or what is left of the epoch; the last batch is watched."""
        training, run = self.training, self.run
        epoch, before = training.epoch, float(training.total_loss)
        steps = min(self.stretch, len(training.batches) - training.step)
        images = min(steps * training.batches.batch_size, len(self.live.images.train))
        self._go(steps - 1)
        with self.watch:
            log = self.watch.enter_context(probe.record(self.model))
            self._go(1)
        whole = training.epoch > epoch
        total = training.history[-1]["train_loss"] * training.batches.images if whole else float(training.total_loss)
        self.run = Run(
            run.contestant,
            run.seed,
            (*run.batches, self.batches),
            (*run.loss, (total - before) / images),
            (*run.flips, tuple(self.flips.measure().values())),
            (*run.gradients, tuple(entry["grad_h_rms"] for entry in log.records)),
            (*run.accuracy, *([(self.batches, float(self.right.mean()))] if whole else [])),
            self.right if training.finished else None,
        )

    def _go(self, steps: int) -> None:
        end = self.batches + steps
        self.training.run(should_stop=lambda: self.live.asked() or self.batches >= end, progress=False)
        self.live.check()

    def _judge(self, model) -> dict:
        """Judge the test images a few at a time, so that a stop need not wait for all of them."""
        self.watch.close()
        test, right = self.live.images.test, []
        for some in torch.arange(len(test)).split(WATCHED):
            self.live.check()
            part = test.subset(some)
            right.append(predict(model, part, WATCHED) == part.labels)
        self.right = torch.cat(right).numpy()
        return {"test_accuracy": float(self.right.mean())}


# --- the race ----------------------------------------------------------------------------------------------------

_PLACE = threading.Lock()
_running: "Live | None" = None


class Live:
    """A race to be run once, by `run` in the caller's thread or by `start` in one of its own.

    settings: a `race.Race` with one learning rate. show: gets a `Progress` at the start and at the end, and in between
    at most `PER_SECOND` times a second, in the thread of the race; with ``show=None`` nobody is told. clock: seconds.
    lock: the race waits for it before each batch, so that whoever holds it has the processor for himself.

    The weights are drawn here, where nobody else draws; the race itself draws from generators of its own and leaves
    torch's alone (`probe.drawing_nothing`), so that a notebook's cells may go on drawing and seeding. A rule that draws
    random numbers would still share them. Raises ValueError as `race.run` does for settings that make no race.
    """

    def __init__(
        self,
        settings: race.Race,
        show: Callable[[Progress], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        lock: AbstractContextManager | None = None,
    ):
        race.check(settings)
        if len(settings.lrs) > 1:
            raise ValueError(f"a live race has one learning rate for all, not {len(settings.lrs)}")
        self.race, self.show, self.clock = settings, show, clock
        self.lock = nullcontext() if lock is None else lock
        self.images = images_of(settings.test, settings.train_size)
        with probe.forked():
            first = settings.contestants[0]
            self.weights = [self._built(first, seed).state_dict() for seed in range(settings.seeds)]
            self.models = {contestant: self._built(contestant, 0) for contestant in settings.contestants}
        self.stopping, self.thread, self.error = False, None, None
        self.finished, self.rivals = [], []
        self.progress = Progress(settings, "running")
        self.shown, self.pause = -np.inf, 0.0

    def _built(self, contestant: str, seed: int):
        torch.random.default_generator.manual_seed(seed)
        shape = tuple(self.images.train.images.shape[1:])
        return NETWORKS[self.race.network](as_activation(contestant), shape)

    @property
    def batches(self) -> int:
        """How many are done, by all rivals and seeds."""
        rivals = list(self.rivals)
        each = self.race.epochs * -(-self.race.train_size // self.race.batch_size)
        return each * len(self.finished) + sum(rival.batches for rival in rivals)

    @property
    def alive(self) -> bool:
        return _running is self

    def asked(self) -> bool:
        """Whether it is to stop; waits for the lock first."""
        with self.lock:
            return self.stopping

    def check(self) -> None:
        if self.asked():
            raise _Stopped

    def start(self) -> None:
        """Run in a daemon thread. Raises `Busy` while another race runs in this process."""
        self._take_place()
        self.thread = threading.Thread(target=self._in_thread, name="ftpkit race", daemon=True)
        self.thread.start()

    def run(self) -> Progress:
        """Run here and now, to the end; raises what goes wrong, and `Busy` while another race runs."""
        self._take_place()
        self._run()
        if self.error is not None:
            raise self.error
        return self.progress

    def stop(self) -> None:
        """Ask it to end, which it does after the batch under way; does not wait for it."""
        self.stopping = True

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its thread to end; returns whether it has. From within the thread it does not wait."""
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join(timeout)
            return not self.thread.is_alive()
        return not self.alive

    def _take_place(self) -> None:
        global _running
        with _PLACE:
            if _running is not None:
                raise Busy(
                    f"one race at a time: {said(_running.race)} is running, {_running.batches} of "
                    f"{batches_of(_running.race)} batches; wait for it, or press Stop, which ends it"
                )
            _running = self

    def _in_thread(self) -> None:
        try:
            self._run()
        except BaseException as error:  # it has nowhere else to go; whoever looks at the progress reads it
            self.error = error

    def _run(self) -> None:
        global _running
        phase, words = "finished", ""
        try:
            with probe.drawing_nothing():
                self._tell()
                self._race()
        except _Stopped:
            phase = "stopped"
        except Exception as error:
            phase, words, self.error = "failed", f"{type(error).__name__}: {error}", error
        except BaseException:  # an interrupt: what is complete is kept, and it goes on its way
            phase = "stopped"
            raise
        finally:
            self._end(phase, words)
            with _PLACE:
                _running = None
            if self.show is not None:
                self.show(self.progress)

    def _race(self) -> None:
        for seed in range(self.race.seeds):
            self.rivals = [_Rival(self, contestant, seed) for contestant in self.race.contestants]
            while not all(rival.training.finished for rival in self.rivals):
                for rival in self.rivals:
                    rival.advance()
                    self._tell()
            self.finished, self.rivals = [*self.finished, *(rival.run for rival in self.rivals)], []

    def _end(self, phase: str, words: str) -> None:
        self.progress = self._now(phase, words)
        self.finished, self.rivals, self.models, self.weights = [], [], {}, []  # the networks are let go

    def _now(self, phase: str, words: str = "") -> Progress:
        runs = (*self.finished, *(rival.run for rival in self.rivals))
        return Progress(self.race, phase, runs, self.batches, words)

    def _tell(self) -> None:
        """Show how it stands, but not too often, nor for more than a quarter of the time."""
        began = self.clock()
        if self.show is None or began - self.shown < max(1 / PER_SECOND, self.pause):
            return
        self.progress = self._now("running")
        self.show(self.progress)
        self.shown, self.pause = began, 4 * (self.clock() - began)


def running() -> Live | None:
    """The race that runs in this process."""
    return _running


@atexit.register
def _at_exit() -> None:  # a thread that is in torch while Python shuts down ends the process with a crash
    live = _running
    if live is not None:
        live.stop()
        live.join(5)
