"""Numbers that take few values, or of which few things need be known, as one or a few bits each."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .activations import Unit
from .rules import Rule, gradient_sign


def to_bits(codes: Tensor, bits: int) -> Tensor:
    """Codes 0 ... 2**bits - 1 as `bits` planes: plane j holds bit j of all codes, bit i of a byte that of code i.

    codes: uint8, shape (n,), any device. Returns uint8, shape (bits, ceil(n / 8)).

    >>> to_bits(torch.tensor([0, 1, 2, 3], dtype=torch.uint8), bits=2).tolist()
    [[10], [12]]
    """
    planes = torch.empty(bits, math.ceil(len(codes) / 8), dtype=torch.uint8, device=codes.device)
    for j, plane in enumerate(planes):
        plane.copy_(_pack(codes & 1 << j if bits > 1 else codes))
    return planes


def from_bits(planes: Tensor, n: int) -> Tensor:
    """The codes that `to_bits` was given: uint8, shape (n,).

    >>> from_bits(torch.tensor([[10], [12]], dtype=torch.uint8), n=4).tolist()
    [0, 1, 2, 3]
    """
    codes = _unpack(planes[0], n)
    for j, plane in enumerate(planes[1:], start=1):
        codes.add_(_unpack(plane, n), alpha=1 << j)
    return codes


def _pack(bits: Tensor) -> Tensor:
    """bits: 0, or anything else for 1; uint8, shape (n,)"""
    return _pack_numpy(bits) if bits.device.type == "cpu" else _pack_torch(bits)


def _pack_numpy(bits):
    return torch.from_numpy(np.packbits(bits.numpy(), bitorder="little"))


def _pack_torch(bits):
    eights = F.pad(bits != 0, (0, -len(bits) % 8)).view(-1, 8).view(torch.uint8)
    return (eights << torch.arange(8, dtype=torch.uint8, device=bits.device)).sum(1, dtype=torch.uint8)


def _unpack(plane: Tensor, n: int) -> Tensor:
    return _unpack_numpy(plane, n) if plane.device.type == "cpu" else _unpack_torch(plane, n)


def _unpack_numpy(plane, n):
    return torch.from_numpy(np.unpackbits(plane.numpy(), count=n, bitorder="little"))


def _unpack_torch(plane, n):
    return (plane[:, None] >> torch.arange(8, dtype=torch.uint8, device=plane.device) & 1).view(-1)[:n]


def at_least(x: Tensor, cut: float) -> Tensor:
    """x >= cut as 0 or 1, uint8."""
    if x.device.type == "cpu" and x.dtype != torch.bfloat16:
        return torch.from_numpy(x.numpy() >= cut).view(torch.uint8)  # a sixth of torch's time
    return (x >= cut).view(torch.uint8)


@lru_cache(maxsize=100)
def _table(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The values; of two values the eight for each byte of bits, shape (256, 8)."""
    values = torch.tensor(values, dtype=dtype, device=device)
    bits = torch.arange(256, device=device)[:, None] >> torch.arange(8, device=device) & 1
    return values[bits] if len(values) == 2 else values


def look_up(values: tuple[float, ...], planes: Tensor, n: int, dtype: torch.dtype) -> Tensor:
    """``values[codes]`` for the codes that `to_bits` was given: shape (n,), of `dtype`, on the device of the planes.

    >>> look_up((-1.0, 1.0), torch.tensor([[5]], dtype=torch.uint8), n=4, dtype=torch.float32).tolist()
    [1.0, -1.0, 1.0, -1.0]
    """
    codes = planes[0] if len(values) == 2 else from_bits(planes, n)
    return _table(values, dtype, planes.device).index_select(0, codes.to(torch.int32)).view(-1)[:n]


# --- classes of pre-activations ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Classes:
    """Numbers z in groups: ``groups[i]`` lies from ``cuts[i - 1]``, included, up to ``cuts[i]``.

    values: one number of each group, which in the backward pass stands for all of them.
    """

    cuts: tuple[float, ...]
    groups: tuple[int, ...]
    values: tuple[float, ...]

    def keep(self, z: Tensor) -> Callable[[], Tensor]:
        """z: without gaps in memory, its numbers in any order."""
        flat = z.detach().as_strided((z.numel(),), (1,), z.storage_offset())
        codes = torch.zeros_like(flat, dtype=torch.uint8)  # that of groups[0]
        for cut, before, after in zip(self.cuts, self.groups, self.groups[1:], strict=False):
            codes.bitwise_xor_(at_least(flat, cut).mul_(before ^ after))
        planes = to_bits(codes, (len(self.values) - 1).bit_length())
        return partial(self.recall, planes, z.size(), z.stride(), z.dtype)

    def recall(self, planes: Tensor, size, stride, dtype) -> Tensor:
        if len(self.values) == 1:
            return torch.empty_strided(size, stride, dtype=dtype, device=planes.device).fill_(self.values[0])
        return look_up(self.values, planes, size.numel(), dtype).as_strided(size, stride)


@lru_cache(maxsize=100)
def classes_of(windows: tuple[tuple[float, float, float], ...], rule: Rule, dtype: torch.dtype) -> Classes | None:
    """The classes of z that `rule` cannot tell apart in a `Unit` with these windows; None where it must know z itself.

    They are found by asking the rule, number by number, so that they hold for its own rounding. Raises ValueError for
    a loss whose derivative changes elsewhere than at the borders that it states.

    >>> classes_of(((0.0, 1.0, 1.0),), Rule("ClosedSaturatedHinge"), torch.float32)
    Classes(cuts=(-1.0, 1.0000001192092896), groups=(0, 1, 0), values=(-2.0, -1.0))
    """
    borders = rule.loss.borders
    if borders is None or rule.targets is not gradient_sign:
        return None
    unit = Unit(torch.sign, windows)

    def answers(z):
        return torch.stack([unit.backward(rule, torch.full_like(z, g), z, 1.0) for g in (-1, 1)], dim=1)

    ends = torch.tensor([c + w * b for c, w, _ in windows for b in borders] or [0.0], dtype=torch.float64).unique()
    grain = torch.finfo(dtype).eps / 4 * ends.abs().clamp(min=1)  # a border itself may be a class of one number
    beside = torch.cat([ends + i * grain for i in range(-8, 9)])
    z = torch.cat([ends[:1] - 1, beside, (ends[1:] + ends[:-1]) / 2, ends[-1:] + 1]).to(dtype).unique()
    low, high = z[:-1], z[1:]
    changes = (answers(low) != answers(high)).any(1)
    low, high = low[changes], high[changes]
    while True:  # halve each interval until its ends are neighbours
        middle = ((low.double() + high.double()) / 2).to(dtype)
        between = (low < middle) & (middle < high)
        if not between.any():
            break
        as_low = (answers(middle) == answers(low)).all(1)
        low = torch.where(between & as_low, middle, low)
        high = torch.where(between & ~as_low, middle, high)
    first = torch.cat([z[:1], high])  # of each class
    distinct: dict[tuple[float, ...], int] = {}
    groups = tuple(distinct.setdefault(tuple(answer), len(distinct)) for answer in answers(first).tolist())
    values = tuple(first[groups.index(group)].item() for group in distinct.values())
    classes = Classes(tuple(high.tolist()), groups, values)
    z = torch.cat([z, torch.linspace(-9, 9, 999, dtype=dtype)])
    if not torch.equal(answers(z), answers(classes.keep(z)())):
        raise ValueError(f"the derivative of loss {rule.loss.name!r} changes elsewhere than at its borders {borders}")
    return classes
