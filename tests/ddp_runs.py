"""What test_processes.py lets two processes do: ``torchrun … ddp_runs.py FOLDER`` leaves what each saw in FOLDER.

``ddp_runs.py dies`` and ``ddp_runs.py stalls``: the second process is lost.
"""

import os
import signal
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from torch import nn

from ftpkit import QuantReLU, Rule, Sign, models
from ftpkit.data import Batches, Split
from ftpkit.loop import Training
from ftpkit.processes import ALONE, ProcessLost, together
from ftpkit.train import NonFiniteError

FTP_SH = partial(Sign, "FTP-SH")
UNWEIGHTED = partial(Sign, Rule("Hinge", weighted=False))
STAIRCASE = partial(QuantReLU, 3, "SSTE")

# name -> activation, settings of `training`: 50 or 20 steps; 67 images are four batches of 15 and one of 7
UNEVEN = {"images": 67, "batch_size": 15, "epochs": 10}
SGD = {"optimizer": "sgd", "lr": 0.01}  # where gradients cancel to 0, Adam makes 1e-11 of their rounding
SPLIT_IN_TWO = {
    "FTP-SH": (FTP_SH, {"images": 160, "batch_size": 16, "epochs": 5}),
    "FTP-SH, uneven": (FTP_SH, UNEVEN),
    "staircase, uneven": (STAIRCASE, UNEVEN | {"epochs": 4}),
    "unweighted, uneven": (UNWEIGHTED, UNEVEN | SGD | {"epochs": 4}),
}


def noise(n, seed=0, size=8):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (n, 1, size, size), generator=generator, dtype=torch.uint8)
    return Split(pixels, torch.arange(n) % 3, mean=0.5, std=0.25)


def convnet4(activation=FTP_SH):
    torch.manual_seed(5)
    return models.ConvNet4(activation, input_shape=(1, 8, 8), classes=3).double()


def normed(dropout=0.0):
    torch.manual_seed(6)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), FTP_SH(), nn.Dropout(dropout),
        nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), FTP_SH(), nn.Flatten(), nn.Linear(64, 3),
    ).double()  # fmt: skip


def batches_of(split, batch_size, shard=(0, 1)):
    drawn = {"shuffle": True, "crop": 1, "flip": True, "generator": torch.Generator().manual_seed(7)}
    return Batches(split, batch_size, dtype=torch.float64, shard=shard, **drawn)


def training(model, processes=ALONE, *, images=67, batch_size=15, epochs=3, **settings):
    batches = batches_of(noise(images), batch_size, processes.shard)
    settings = {"lr": 0.01, "weight_decay": 1e-3, "evaluate": None} | settings
    return Training(model, batches, epochs=epochs, seed=3, processes=processes, **settings)


def copy_of(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def after(calls, of=True):
    """should_stop that is told so by one process, at the call number `calls`."""
    left = iter([False] * calls)
    return lambda: next(left, of)


# --- what the two processes do: each gets them and a folder, and returns what is to be compared ----------------------


def split_in_two(processes, folder):
    runs = {}
    for name, (activation, settings) in SPLIT_IN_TWO.items():
        run = training(convnet4(activation), processes, **settings)
        run.run()
        runs[name] = copy_of(run.model), run.history
    return runs


def batch_norm(processes, folder):
    run = training(normed(), processes, evaluate=copy_of)
    run.run()
    return run.history


def dropout(processes, folder):
    """A run to its end; and one that the second process alone is told to stop, and that goes on from a file."""
    kept, even = [], {"images": 64, "batch_size": 16}
    whole = training(normed(0.5), processes, **even)
    note = whole.model[3].register_forward_hook(lambda module, inputs, out: kept.append(out != 0))
    whole.run()
    note.remove()
    first = training(normed(0.5), processes, **even)
    first.run(should_stop=after(7, of=processes.rank == 1))
    place = first.epoch, first.step
    if processes.first:
        torch.save(first.state_dict(), folder / "stopped.pt")
    processes.wait()
    second = training(normed(0.5), processes, **even)
    second.load_state_dict(torch.load(folder / "stopped.pt", weights_only=True))
    second.run()
    first.run()
    return [copy_of(run.model) for run in (whole, second, first)], [whole.history, second.history], place, kept


def goes_on_alone(processes, folder):
    run = training(convnet4(), processes)
    run.run(should_stop=after(8))
    if processes.first:
        torch.save(run.state_dict(), folder / "by_two.pt")
    return run.epoch, run.step


def went_on_from_one(processes, folder):
    run = training(convnet4(), processes)
    run.load_state_dict(torch.load(folder / "by_one.pt", weights_only=True))
    run.run()
    return copy_of(run.model), run.history


def packed_memory(processes, folder):
    runs = [training(normed(), processes, memory=memory) for memory in ("plain", "packed")]
    for run in runs:
        run.run()
    return [copy_of(run.model) for run in runs]


def sums_and_flags(processes, folder):
    part = torch.arange(7)[processes.part_of(7)]
    return {
        "one": (processes.rank, processes.world, processes.device, processes.first),
        "seen": processes.whole(torch.ones(len(part), dtype=torch.int64), 7),
        "whole": processes.whole(part, 7),
        "fewer": processes.whole(torch.ones(2)[processes.part_of(1)], 1),
        "any": [processes.any(flag) for flag in (False, processes.rank == 0, processes.rank == 1, True)],
        "total": processes.total(torch.tensor([processes.rank + 1.0])),
    }


class Burst(nn.Module):
    """Passes on what it gets; in one process nothing is left of it from the third training batch on."""

    replays = 0

    def __init__(self, bursts):
        super().__init__()
        self.bursts, self.seen = bursts, 0

    def forward(self, x):
        self.seen += self.training
        Burst.replays += self.training and not torch.is_grad_enabled()
        return x * torch.inf if self.bursts and self.seen >= 3 else x


def fails_in_one(processes, folder):
    """The last that is tried, because it parts them: the second process finds out what is wrong, and ends."""
    model = nn.Sequential(normed(), Burst(processes.rank == 1))
    return training(model, processes, check_every=1).run()


TRIALS = [
    split_in_two,
    batch_norm,
    dropout,
    goes_on_alone,
    went_on_from_one,
    packed_memory,
    sums_and_flags,
    fails_in_one,
]


# --- a process that is lost ------------------------------------------------------------------------------------------


def loses_one(way):
    try:
        with together("cpu", timeout=timedelta(seconds=600 if way == "dies" else 3)) as processes:
            processes.wait()
            if not processes.first and way == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if not processes.first:
                time.sleep(600)  # longer than anybody waits for it
            processes.wait()
    except ProcessLost as error:
        print(error)


# ----------------------------------------------------------------------------------------------------------------------


def main(folder):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # to hear what the first process says when the second one ends
    seen = {}
    try:
        with together("cpu") as processes:
            for trial in TRIALS:
                seen[trial.__name__] = trial(processes, folder)
    except (NonFiniteError, ProcessLost) as error:
        seen["error"] = type(error).__name__, str(error), Burst.replays
    torch.save(seen, folder / f"rank{processes.rank}.pt")
    return "error" in seen


if __name__ == "__main__":
    argument = sys.argv[1]
    sys.exit(loses_one(argument) if argument in ("dies", "stalls") else main(Path(argument)))
