"""A session of a run: it trains, writes down each epoch, and ends in order when it is told to or cannot go on."""

import os
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
import torch.distributed as dist
from tqdm import tqdm

from ..finite import NonFiniteError
from ..loop import Training
from ..processes import Processes
from ..race import provenance
from .config import Config
from .folder import Folder


class Ended(Exception):
    """This process has said why it ends, and does not wait for those that it trained with."""

    def __init__(self, status: int):
        super().__init__(status)
        self.status = status


def work(
    training: Training,
    config: Config,
    folder: Folder | None,
    argv: list[str],
    write: Callable[[dict], None] | None = None,
) -> int:
    """Train to the end, or until Ctrl-C or SIGTERM; returns the exit status, 0 or 128 + signal.

    folder: None for a process that is not the first. argv: what stood behind ``python -m ftpkit``. write: what else is
    done with each epoch's record. Raises Ended after an error for which there is a sentence, and after a second Ctrl-C.
    """
    world = training.processes.world

    def on_epoch(record: dict) -> None:
        if folder is None:
            return
        folder.add(record)
        folder.save(training.state_dict())
        if write is not None:
            write(record)
        tqdm.write(_line(training.history, config.epochs))
        sys.stdout.flush()

    start = ["python"] if world == 1 else ["torchrun", f"--nproc_per_node={world}"]
    again = shlex.join([*start, "-m", "ftpkit", *argv, *["--resume"] * ("--resume" not in argv)])
    try:
        if folder is not None:
            folder.begin(**provenance(str(training.device)), processes=world, argv=argv)
        with Stop() as stop:
            training.run(on_epoch, stop, None if folder is not None else False)
            if folder is not None:
                if not training.finished:
                    folder.save(training.state_dict())
                folder.end(training.finished)
    except KeyboardInterrupt as error:
        complain(f"interrupted at once, without saving: {_kept(folder, training)}; go on with {again}")
        raise Ended(128 + signal.SIGINT) from error
    except Exception as error:
        said = sentence(error, config.batch_size)
        if said is None or (config.rule is not None and type(error) in (ValueError, TypeError, AttributeError)):
            raise  # a mistake in an own rule is found by its traceback
        complain(f"stopped in epoch {training.epoch}: {said}; {_kept(folder, training)}")
        raise Ended(1) from error
    if training.finished:
        return 0
    if folder is not None:
        place = f"epoch {training.epoch}, batch {training.step} of {len(training.batches)}"
        complain(f"stopped and saved at {place}; go on with {again}")
    return 128 + (stop.signal or signal.SIGTERM)  # of the processes, only one may have got the signal


def complain(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def shared(processes: Processes, value):
    """What the first process has, in all of them."""
    if not processes.joined:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def _kept(folder: Folder | None, training: Training) -> str:
    return f"{len(training.history)} finished epochs are kept{f' in {folder.path}' if folder else ''}"


def _line(history: list[dict], epochs: int) -> str:
    """An epoch in words, for the log of a long night."""
    record = history[-1]
    shares = ("train_accuracy", "val_accuracy", "test_accuracy")
    said = [f"{key.replace('_', ' ')} {100 * record[key]:.2f} %" for key in shares if key in record]
    best = max(range(len(history)), key=lambda i: history[i]["test_accuracy"])
    said += [f"best {100 * history[best]['test_accuracy']:.2f} % at {history[best]['epoch']}"]
    return f"epoch {record['epoch']} of {epochs}: lr {record['lr']:g}, {', '.join(said)}, {record['seconds']:.1f} s"


def summary_writer() -> Callable[[Path, int], Callable[[dict], None]]:
    """What makes, from a folder and the first epoch, what writes an epoch's record for TensorBoard.

    Raises ImportError where the package is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError("--tensorboard needs a package that is not here: pip install tensorboard") from error

    def make(path: Path, epoch: int) -> Callable[[dict], None]:
        writer = SummaryWriter(path, purge_step=epoch)

        def write(record: dict) -> None:
            for key, value in record.items():
                if isinstance(value, float):
                    writer.add_scalar(key, value, record["epoch"])
            writer.flush()

        return write

    return make


class Stop:
    """Ctrl-C and SIGTERM turned into a wish, which `Training.run` asks about before each batch.

    A context manager. A second Ctrl-C is no wish any more but a KeyboardInterrupt. Signals that are ignored, as under
    nohup, stay so.
    """

    def __init__(self):
        self.signal = 0

    def __call__(self) -> bool:
        return self.signal != 0

    def __enter__(self) -> "Stop":
        heeded = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._hear) for number in heeded}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, _frame) -> None:
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(OSError):
            os.write(2, b"\nfinishing the step and saving\n")  # the signal may have come in the middle of a print


def sentence(error: Exception, batch_size: int) -> str | None:
    """What to tell about an error that is nobody's mistake in a program, None for any other."""
    text = str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
        smaller = f"--batch-size {batch_size // 2}, or " if batch_size > 1 else ""
        return (
            f"out of memory with batches of {batch_size}: try {smaller}--memory packed (with another --out, where "
            f"epochs were done that are to be kept)"
        )
    if isinstance(error, RuntimeError) and text.startswith("DataLoader worker"):
        return f"a process that decodes images has ended ({text}); there may be too little memory: try fewer --workers"
    told = (ValueError, TypeError, AttributeError, OSError, ImportError, NonFiniteError)
    return text if isinstance(error, told) else None


_OUT_OF_MEMORY = ("can't allocate memory", "CUDA out of memory", "ALLOC_FAILED")
