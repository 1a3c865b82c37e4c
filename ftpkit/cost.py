"""What passes over memory and what is kept for the backward pass, counted: the same numbers on every machine."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Cost:
    """What one forward and one backward pass of an activation move, per element of its input.

    forward, backward: operations that read or write a tensor of at least the input's size. bytes_moved: what they read
    and write. saved: tensors of at least that size that are kept for the backward pass; saved_bytes: theirs.
    """

    forward: int
    backward: int
    bytes_moved: float
    saved: int
    saved_bytes: float

    @property
    def passes(self) -> int:
        return self.forward + self.backward


def cost(activation: Callable[[Tensor], Tensor], size: int = 1024) -> Cost:
    """Count what `activation` does to a float32 tensor of `size` numbers; the same on every machine.

    Views and memory that is only reserved cost nothing; a pass that writes in place reads and writes.

    >>> cost(torch.nn.ReLU())
    Cost(forward=1, backward=1, bytes_moved=20.0, saved=1, saved_bytes=4.0)
    """
    z, g, kept = torch.randn(size, requires_grad=True), torch.randn(size), {}

    def keep(tensor):
        if tensor.numel() >= size:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), Counter(size) as forward:
        h = activation(z)
    with Counter(size) as backward:
        torch.autograd.grad(h, z, g)
    moved = (forward.bytes + backward.bytes) / size
    return Cost(forward.passes, backward.passes, moved, len(kept), sum(kept.values()) / size)


def saved_bytes(forward: Callable[[], Tensor]) -> int:
    """Bytes that `forward` leaves in memory for its backward pass: all that it made and that its result keeps alive.

    The result itself is among them, weights and inputs are not. Exact, and the same on every machine with one torch.

    >>> x, w = torch.randn(100), torch.randn(100, requires_grad=True)
    >>> saved_bytes(lambda: (x * w).exp().sum())  # 100 numbers for exp, and the sum
    404
    """
    with _Storages() as made:
        result = forward()
    kept = sum(size for storage, size in made.sizes.values() if not storage.expired())
    del result
    return kept


class Counter(TorchDispatchMode):
    """Counts the ATen operations that touch a tensor of at least `size` numbers, and the bytes they read and write."""

    def __init__(self, size: int):
        super().__init__()
        self.size, self.passes, self.bytes = size, 0, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        if not operation.is_view and "empty" not in operation.name():
            tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, Tensor) and x.numel() >= self.size]
            self.passes += bool(tensors)
            self.bytes += sum(x.numel() * x.element_size() for x in tensors)
        return out


class _Storages(TorchDispatchMode):
    """Knows every piece of memory that an operation made, and holds none."""

    def __init__(self):
        super().__init__()
        self.sizes: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        before, after = ({s._cdata: s for s in _storages(tree)} for tree in ((args, kwargs), out))
        for address, storage in after.items():
            if address not in before:
                self.sizes[address] = StorageWeakRef(storage), storage.nbytes()
        return out


def _storages(tree):
    return (leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))
