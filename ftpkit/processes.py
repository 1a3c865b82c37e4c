"""Training by several processes, one for each GPU: torch.distributed does the work, this says who takes part.

``torchrun --nproc_per_node=4 -m ftpkit train …`` starts them, and each finds the others by `together`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .splits import as_device

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
_GONE = ("Connection closed", "Connection reset", "Broken pipe", "remote process")  # so torch says that one has ended


class ProcessLost(RuntimeError):
    """Another of the processes that train together has ended or does not answer."""


@dataclass(frozen=True)
class Processes:
    """This process among those that train one network together: rank 0 ... world - 1. `together` makes them.

    device: where this one trains. joined: whether there is a group to talk to; one process alone talks to nobody, and
    then each of these methods gives back what it gets. What one of them calls, all must call, in the same order.
    Tensors travel from where they are: on a CPU by gloo, which makes no GPU wait, on a GPU by NCCL.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")
    joined: bool = False

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and speaks."""
        return self.rank == 0

    @property
    def shard(self) -> tuple[int, int]:
        """What `ftpkit.batches.Batches` needs to give each process its part of a batch."""
        return self.rank, self.world

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model that averages its gradients over all processes, and begins with the weights of the first.

        On GPUs batch norm becomes nn.SyncBatchNorm, in `model` itself, which takes its statistics from the whole batch.
        On a CPU each process takes those of its own part, and the running ones are those of the first process.
        Raises ValueError for a model that is not on this process's device.
        """
        if not self.joined:
            return model
        device = next(model.parameters()).device
        if device != self.device:
            raise ValueError(
                f"process {self.rank} trains on {self.device}, but its model is on {device}: move it there"
            )
        if device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return DistributedDataParallel(model)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them; `values` has the same shape and dtype everywhere."""
        if self.joined:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def whole(self, part: Tensor, n: int) -> Tensor:
        """What the processes know of `n` things, each of its `part` of them (`part_of`), put together in each of them.

        >>> ALONE.whole(torch.tensor([1, 2, 3]), 3)
        tensor([1, 2, 3])
        """
        values = part.new_zeros(n, *part.shape[1:])
        values[self.part_of(n)] = part
        return self.total(values)

    def part_of(self, n: int) -> slice:
        """This process's part of `n` things, none of which is in two; as `Batches` cuts a batch.

        >>> [Processes(rank, 3).part_of(8) for rank in range(3)]
        [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        return slice(self.rank * n // self.world, (self.rank + 1) * n // self.world)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process: what one is told, all do. No GPU waits."""
        return bool(self.total(torch.tensor(bool(flag)).int()))

    def wait(self) -> None:
        """Until all processes are here."""
        self.any(False)

    def same_buffers(self, model: nn.Module) -> None:
        """Give all processes the first one's buffers: the running statistics of batch norm, before they are used."""
        if self.joined:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)


ALONE = Processes()


@contextmanager
def together(
    device: torch.device | str | None = None, timeout: timedelta = timedelta(minutes=10)
) -> Iterator[Processes]:
    """Join the processes that torchrun started, and leave them together; without torchrun, one process alone.

    device: "cpu", "cuda" (each process takes the GPU of its own), or by default "cuda" where there is one; one process
    alone may have any. timeout: how long a process waits for the others before it takes them for lost.
    Raises ValueError where there are fewer GPUs than processes, for a single GPU named for several, and where torch has
    not got what the processes talk by; ProcessLost where another one ends or does not answer. Whoever fails leaves at
    once and does not wait for the others: torchrun ends them.

    >>> with together("cpu") as processes:
    ...     processes.rank, processes.world, processes.device, processes.first
    (0, 1, device(type='cpu'), True)
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if "LOCAL_RANK" not in os.environ:
        yield Processes(device=as_device(device))
        return
    rank, world, local_rank, local_world = _places()
    device = _own_device(torch.device(device), local_rank, local_world)
    backends = [f"{kind}:{_BACKENDS[kind]}" for kind in dict.fromkeys(["cpu", device.type])]
    bound = {"device_id": device} if device.type == "cuda" else {}
    try:
        dist.init_process_group(",".join(backends), timeout=timeout, **bound)
        processes = Processes(rank, world, device, joined=True)
        yield processes
        processes.wait()
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        why = _why(str(error), timeout)
        raise ProcessLost(f"process {rank} of {world} cannot go on with the others: {why}") from error
    dist.destroy_process_group()


def _why(text: str, timeout: timedelta) -> str:
    if "imed out" in text:
        return f"one has not answered for {timeout.total_seconds():g} seconds"
    if any(sign in text for sign in _GONE):
        return "one has ended, and what it said is the reason"
    return text.splitlines()[0]


def _places() -> tuple[int, int, int, int]:
    """RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE."""
    missing = [name for name in _VARIABLES if name not in os.environ]
    if missing:
        raise ValueError(
            f"LOCAL_RANK is set, but not {', '.join(missing)}: start several processes by torchrun "
            f"--nproc_per_node=N -m ftpkit …, or unset LOCAL_RANK for one alone"
        )
    return tuple(int(os.environ[name]) for name in _VARIABLES[:4])


def _own_device(device: torch.device, local_rank: int, local_world: int) -> torch.device:
    if device.type not in _BACKENDS:
        raise ValueError(f"several processes train on cuda or on cpu, not on {device.type}")
    for backend in {_BACKENDS["cpu"], _BACKENDS[device.type]}:
        if not (dist.is_available() and getattr(dist, f"is_{backend}_available")()):
            raise ValueError(f"this PyTorch was built without {backend}, by which processes on {device} would talk")
    if device.type != "cuda":
        return device
    if device.index is not None and local_world > 1:
        raise ValueError(f"{local_world} processes cannot share {device}: say cuda, and each takes its own")
    if local_world > (here := torch.cuda.device_count()) > 0:
        raise ValueError(
            f"torchrun --nproc_per_node={local_world}, but {here} GPU{'s are' if here > 1 else ' is'} here: take "
            f"--nproc_per_node={here}, or train on the CPU with --device cpu"
        )
    device = as_device(torch.device("cuda", local_rank) if device.index is None else device)
    torch.cuda.set_device(device)
    return device
