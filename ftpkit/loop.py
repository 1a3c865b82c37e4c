"""The one training loop. `Training` can stop between any two batches and go on later, on a CPU to the last bit.

`ftpkit.train.fit` is the short way to it; ``python -m ftpkit train`` keeps its state in a folder.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from numbers import Integral

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from .activations import set_scale
from .finite import Guard, NonFiniteError, finite_scores
from .losses import Table
from .packed import packed
from .probe import forked
from .processes import ALONE, Processes

OPTIMIZERS = Table(
    {
        "adam": partial(torch.optim.Adam, fused=True),
        "sgd": partial(torch.optim.SGD, momentum=0.9, fused=True),
    },
    kind="optimizer",
)
PRECISIONS = Table({"float32": None, "bf16": torch.bfloat16}, kind="precision")
COMPILE_MODES = Table({"no": None, "yes": "default", "cuda-graphs": "reduce-overhead"}, kind="way to compile")


MEMORY = Table({"plain": None, "packed": packed}, kind="way to keep what the backward pass needs")


class Training:
    """A network on its way: model, optimizer, schedule, generators, the place in the epoch, the records so far.

    model: trained in place, on its device. batches: what an epoch is made of, such as `Batches`: ``len(batches)``,
    ``images``, ``batch_size``, ``generator`` (draws order and augmentation) and ``iterate(skip)``. evaluate: model ->
    what is added to each epoch's record, or None. epochs ... one_cycle, seed, check_every: see `ftpkit.train.fit`.

    precision: "float32", or "bf16" for torch's autocast; a threshold sees the rounded pre-activation. channels_last:
    the memory format that GPUs and most CPUs like best. compile: "no", "yes", "cuda-graphs" (torch.compile without and
    with CUDA graphs). memory: "plain", or "packed" for `ftpkit.packed`. processes: who trains together.
    Raises ValueError for a budget or a combination that makes no sense.
    """

    def __init__(
        self,
        model: nn.Module,
        batches,
        evaluate: Callable[[nn.Module], dict] | None = None,
        *,
        epochs: int,
        lr: float,
        optimizer: str | Callable = "adam",
        weight_decay: float = 0.0,
        milestones: Iterable[int] = (),
        one_cycle: bool = False,
        seed: int = 0,
        check_every: int = 20,
        precision: str = "float32",
        channels_last: bool = False,
        compile: str = "no",
        memory: str = "plain",
        processes: Processes = ALONE,
    ):
        milestones = list(milestones)
        check_budget(epochs, lr, batches.batch_size, milestones, one_cycle, check_every)
        _check_options(model, batches, compile, memory, processes)
        self.device = device_of(model)
        self.model = model.to(memory_format=torch.channels_last) if channels_last else model
        self.batches, self.evaluate, self.epochs, self.processes = batches, evaluate, epochs, processes
        self.precision, self.channels_last, self.memory = PRECISIONS[precision], channels_last, MEMORY[memory]
        self.forward = processes.wrap(self.model)
        if mode := COMPILE_MODES[compile]:
            self.forward = torch.compile(self.forward, mode=mode)
        make = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
        self.optimizer = make(_trainable(model), lr=lr, weight_decay=weight_decay)
        self.schedule = _schedule(self.optimizer, lr, epochs, len(batches), milestones, one_cycle)
        self.guard = Guard(model, check_every, processes)

        self.epoch, self.step = 1, 0  # the epoch under way, and how many of its batches are done
        self.history = []  # the records of those before it
        self.drawn = self._of_all(_draws_from(seed + processes.rank, self.device))  # generators that the model uses
        self._begin()

    def _begin(self) -> None:
        """An epoch: remember what its order is drawn from, forget what the last one added up."""
        generator = self.batches.generator
        self.order = None if generator is None else generator.get_state()
        self.lr = self.schedule.get_last_lr()[0]
        self.total_loss = torch.zeros((), device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self.seconds = self.data_seconds = 0.0

    @property
    def finished(self) -> bool:
        return self.epoch > self.epochs

    def run(
        self,
        on_epoch: Callable[[dict], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        progress: bool | None = None,
    ) -> list[dict]:
        """Train to the end, or until `should_stop`, asked before each batch, says True; returns the records so far.

        `on_epoch` gets each record when its epoch is over. Then, and after a stop, `state_dict` is what to go on from.
        """
        steps = len(self.batches)
        done = (self.epoch - 1) * steps + self.step
        disable = None if progress is None else not progress
        with self._generators(), tqdm(total=self.epochs * steps, initial=done, unit="batch", disable=disable) as bar:
            try:
                while not self.finished and self._train_epoch(should_stop, bar):
                    record = self._record()
                    bar.set_postfix({key: record[key] for key in record if key.endswith("accuracy")})
                    if on_epoch is not None:
                        on_epoch(record)
            except NonFiniteError as error:
                error.history = self.history
                raise
            finally:
                self.model.eval()
        return self.history

    def _train_epoch(self, should_stop, bar) -> bool:
        """Train on what is left of the epoch; False when it was stopped before its end."""
        self.model.train()
        if self.order is not None:
            self.batches.generator.set_state(self.order)
        images, size, world = self.batches.images, self.batches.batch_size, self.processes.world
        began = time.perf_counter() - self.seconds
        for x, y in self._timed(self.batches.iterate(skip=self.step)):
            if should_stop is not None and self.processes.any(should_stop()):
                self._pool()
                self._keep_sums_in_the_first()
                self.seconds = time.perf_counter() - began
                return False
            whole = min(size, images - self.step * size)  # images in the whole batch, of all processes
            set_scale(self.model, world / whole)  # their mean, which is what comes out, has the scale 1 / whole
            with self._options():
                scores = self.forward(x)
            scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
            loss = F.cross_entropy(scores, y)
            self.optimizer.zero_grad()
            (loss * (len(x) * world / whole)).backward()  # times 1 where all processes have equally many images
            self.total_loss = self.total_loss + len(x) * loss.detach()
            self.correct += (scores.argmax(dim=1) == y).sum()
            self.guard.look(self.total_loss, x)
            self.optimizer.step()
            self.schedule.step()
            self.step += 1
            bar.update()
        self.last_batch = x
        self._pool()
        float(self.total_loss)  # the first wait for the device
        self.seconds = time.perf_counter() - began
        return True

    def _pool(self) -> None:
        """Give every process the sums over all of them."""
        self.total_loss, self.correct = self.processes.total(self.total_loss), self.processes.total(self.correct)

    def _keep_sums_in_the_first(self) -> None:
        if not self.processes.first:  # or they would be counted again when the epoch ends
            self.total_loss, self.correct = torch.zeros_like(self.total_loss), torch.zeros_like(self.correct)

    def _timed(self, batches: Iterable) -> Iterator:
        iterator, end = iter(batches), object()
        while True:
            began = time.perf_counter()
            batch = next(iterator, end)
            self.data_seconds += time.perf_counter() - began
            if batch is end:
                return
            x, y = batch
            yield (x.to(memory_format=torch.channels_last) if self.channels_last else x), y

    @contextmanager
    def _options(self):
        """What surrounds the forward pass."""
        with ExitStack() as stack:
            if self.precision is not None:
                stack.enter_context(torch.autocast(self.device.type, self.precision))
            if self.memory is not None:
                stack.enter_context(self.memory(self.model))
            yield

    def _record(self) -> dict:
        """Judge the epoch that has ended, and turn to the next."""
        images = self.batches.images
        record = {"epoch": self.epoch, "lr": self.lr}
        record["train_loss"] = float(self.total_loss) / images
        record["train_accuracy"] = int(self.correct) / images
        record |= {"seconds": self.seconds, "data_seconds": self.data_seconds}
        record["images_per_second"] = images / self.seconds
        self.processes.same_buffers(self.model)
        with self._options():
            if self.evaluate is None:
                finite_scores(self.model, [(self.last_batch, None)], f"after epoch {self.epoch}")
            else:
                record |= self.evaluate(self.model)
        self.history.append(record)
        self.epoch, self.step = self.epoch + 1, 0
        self._begin()
        self.drawn = self._of_all(_states(self.device))
        return record

    def _of_all(self, states: dict[str, Tensor]) -> dict[str, Tensor]:
        """The states of every process's generators, one row for each."""
        return {name: self.processes.whole(state[None], self.processes.world) for name, state in states.items()}

    @contextmanager
    def _generators(self):
        """Let the model draw from generators of its own, and leave the caller's as they were."""
        with forked([self.device] if self.device.type == "cuda" else []) as draws:
            if draws:
                _set_states({name: rows[self.processes.rank] for name, rows in self.drawn.items()}, self.device)
            yield
            if draws:
                self.drawn = self._of_all(_states(self.device))

    def state_dict(self) -> dict:
        """All that the rest of the run depends on, as plain data that torch.load(weights_only=True) takes.

        It holds the tensors themselves: save or copy them before the run goes on.
        """
        parts = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "schedule")}
        place = {name: getattr(self, name) for name in ("epoch", "step", "lr", "seconds", "data_seconds")}
        sums = {"total_loss": self.total_loss.cpu(), "correct": self.correct.cpu(), "looks": self.guard.step}
        return parts | place | sums | {"history": self.history, "order": self.order, "drawn": self.drawn}

    def load_state_dict(self, state: dict) -> None:
        """Go on where `state` was taken, which must be of a Training made with the same arguments.

        As many processes as before go on as they would have; other numbers of them may, too. Each loads the state that
        the first of them had.
        """
        for name in ("model", "optimizer", "schedule"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("epoch", "step", "lr", "seconds", "data_seconds", "order"):
            setattr(self, name, state[name])
        self.total_loss, self.correct = state["total_loss"].to(self.device), state["correct"].to(self.device)
        self._keep_sums_in_the_first()
        self.history, self.guard.step = list(state["history"]), state["looks"]
        if state["drawn"].keys() == self.drawn.keys():  # another device, or a new process, draws what its seed gives
            pairs = {key: (state["drawn"][key], new) for key, new in self.drawn.items()}
            self.drawn = {key: torch.cat([old[: len(new)], new[len(old) :]]) for key, (old, new) in pairs.items()}


# --- the generators that dropout and its like draw from ----------------------------------------------------------


def _draws_from(seed: int, device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.Generator().manual_seed(seed).get_state()}
    if device.type == "cuda":
        states["cuda"] = torch.Generator(device).manual_seed(seed).get_state()
    return states


def _states(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_states(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"].clone())  # a row of a larger tensor is a segmentation fault
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"].clone(), device)


# --- what it asks of its arguments -------------------------------------------------------------------------------


def check_budget(epochs, lr, batch_size, milestones, one_cycle, check_every) -> None:
    """Raises ValueError for a budget that makes no sense."""
    counts = {"epochs": epochs, "batch_size": batch_size, "check_every": check_every}
    counts |= {f"milestones[{i}]": epoch for i, epoch in enumerate(milestones)}
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} is a whole number of at least 1, not {value!r}")
    if not (math.isfinite(lr) and lr > 0):
        raise ValueError(f"lr is a positive number, for Adam about 1e-3, not {lr!r}")
    if one_cycle and milestones:
        raise ValueError("one_cycle and milestones are two schedules for the same learning rate: choose one")


def _check_options(model: nn.Module, batches, compile: str, memory: str, processes: Processes) -> None:
    if compile == "cuda-graphs" and device_of(model).type != "cuda":
        raise ValueError("CUDA graphs need a CUDA device; leave them out, or train on one with device='cuda'")
    if compile != "no" and memory == "packed":
        raise ValueError("packed memory works on tensors that a compiled network does not show: choose one of the two")
    last = batches.images % batches.batch_size or batches.batch_size
    if last < processes.world:
        raise ValueError(
            f"with {batches.images} images and batch_size={batches.batch_size} the last batch has {last}, too few for "
            f"{processes.world} processes: take another batch_size"
        )


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("the model has no weights to train: no parameter of it requires a gradient")
    return parameters


def device_of(model: nn.Module) -> torch.device:
    """The one device that the model is on. Raises ValueError where there are several."""
    devices = {tensor.device for tensor in [*model.parameters(), *model.buffers()]} or {torch.device("cpu")}
    if len(devices) > 1:
        names = ", ".join(sorted(map(str, devices)))
        raise ValueError(f"the model lies on several devices ({names}): move it to one with model.to(device)")
    return devices.pop()


def _schedule(optimizer, lr, epochs, steps, milestones, one_cycle) -> torch.optim.lr_scheduler.LRScheduler:
    """A schedule that is told of every step, not of every epoch, so that both kinds look alike to the loop."""
    if one_cycle:
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * steps)
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, [epoch * steps for epoch in milestones], gamma=0.1)
