"""Training memory: thresholds, and the layers behind them, keep for the backward pass a few bits for each number.

A float that is one of two levels needs one bit, and a rule whose derivative is made of pieces need not know z, only on
which piece it lies. What a smooth rule needs is z itself; behind a batch norm it is computed a second time, from what
that layer keeps anyway. Every gradient is the same to the last bit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial, reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import Node, saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.weak import WeakTensorKeyDictionary

from .activations import APPLY, Unit
from .rules import Rule, gradient_sign

Recall = Callable[[], Tensor]  # what stands in for a saved tensor: called in the backward pass, it gives the tensor


@contextmanager
def packed(model: nn.Module) -> Iterator[None]:
    """Put around a forward pass of `model`; the backward pass may stand inside or outside, and needs nothing said.

    A threshold's output that following layers keep is kept once, at 1 bit for `Sign` and `Step` and at the bits of
    ``steps`` for `QuantReLU` (up to 127 steps). A threshold's input z is not kept where it is the output of a batch
    norm in training, or the sum of two of them, or of one and of a threshold's output: it is computed again. Elsewhere
    a rule with targets by the sign of the gradient and a loss with `borders` (STE, SSTE, the hinges, Perceptron) keeps
    0 to a few bits of it, and any other rule z itself.

    Gradients are those without `packed`, bit for bit, except where z is NaN. Changing a kept tensor in place before
    the backward pass raises RuntimeError, unless it is a threshold's output, which was copied. Raises ValueError for
    a compiled model.

    >>> from ftpkit import Sign
    >>> model = nn.Sequential(Sign("SSTE"), nn.Linear(4, 1))
    >>> z = torch.tensor([[-2.0, -1.0, 0.0, 3.0]], requires_grad=True)
    >>> with packed(model):
    ...     h = model(z)
    >>> h.sum().backward()
    >>> z.grad == model[1].weight * (z.abs() <= 1)
    tensor([[True, True, True, True]])
    """
    if any(hasattr(module, "_orig_mod") or module._compiled_call_impl for module in model.modules()):
        raise ValueError("memory cannot be packed in a compiled model; leave out torch.compile or the packing")
    memory = _Memory()
    before = APPLY.set(partial(memory.threshold, APPLY.get()))
    try:
        with saved_tensors_hooks(memory.keep, lambda recall: recall()):
            yield
    finally:
        APPLY.reset(before)


class _Memory:
    """What one forward pass knows: the outputs of its thresholds, and the threshold that runs just now."""

    def __init__(self):
        self.outputs: dict[int, _Output] = {}
        self.running: tuple[Tensor, Unit, Rule] | None = None

    def threshold(self, apply, z: Tensor, unit: Unit, rule: Rule, scale: float | None) -> Tensor:
        self.running = z, unit, rule
        try:
            h = apply(z, unit, rule, scale)  # saves z, and nothing else
        finally:
            self.running = None
        if unit.levels and unit.levels[2] < 128:  # as int8, and told apart in bfloat16
            output = _Output(h, unit.levels)
            self.outputs[output.storage.cdata] = output
            if h.grad_fn is not None:
                h.grad_fn.output = output
        return h

    def keep(self, tensor: Tensor) -> Recall:
        if self.running:
            recall = _pre_activation(*self.running)
            if recall:
                return recall
        elif tensor.layout is torch.strided:
            output = self.outputs.get(tensor.untyped_storage()._cdata)
            if output and output.holds(tensor):
                return output.keep(tensor)
        return partial(_unchanged, tensor.detach(), tensor._version)


def _unchanged(tensor: Tensor, version: int) -> Tensor:
    if tensor._version != version:  # torch does not look where hooks are at work
        raise RuntimeError(
            f"a tensor of shape {tuple(tensor.shape)} that the backward pass needs was changed in place after the "
            f"forward pass; change a copy of it"
        )
    return tensor


# --- bits ------------------------------------------------------------------------------------------------------


def _to_bits(codes: Tensor, bits: int) -> Tensor:
    """Codes 0 ... 2**bits - 1, uint8 of shape (n,), as `bits` planes of uint8, shape (bits, ceil(n / 8))."""
    rows = (F.pad(codes, (0, -len(codes) % 8)) if len(codes) % 8 else codes).view(8, -1)
    places = torch.arange(8, dtype=torch.uint8, device=codes.device)[:, None]
    planes = [(rows >> j & 1 if bits > 1 else rows) << places for j in range(bits)]
    return torch.stack([plane.sum(0, dtype=torch.uint8) for plane in planes])


def _from_bits(planes: Tensor, n: int) -> Tensor:
    """The codes that `_to_bits` was given."""
    places = torch.arange(8, dtype=torch.uint8, device=planes.device)[:, None]
    rows = reduce(torch.bitwise_or, ((plane >> places & 1) << j for j, plane in enumerate(planes)))
    return rows.view(-1)[:n]


# --- outputs ---------------------------------------------------------------------------------------------------


class _Output:
    """The output h of a threshold, which itself is not held: its levels, counted from 0, once a layer keeps it."""

    def __init__(self, h: Tensor, levels: tuple[float, float, int]):
        self.storage = StorageWeakRef(h.untyped_storage())  # as long as it lives, no other storage has this address
        self.n, self.dtype, self.version, self.levels = h.numel(), h.dtype, h._version, levels
        self.whole = h.size(), h.stride(), 0
        self.planes: Tensor | None = None

    def holds(self, tensor: Tensor) -> bool:
        return tensor._version == self.version and tensor.dtype == self.dtype

    def keep(self, tensor: Tensor) -> Recall:
        """tensor: h or a view of it."""
        if self.planes is None:
            low, high, steps = self.levels
            h = tensor.detach().as_strided((self.n,), (1,), 0)
            codes = (h - low).mul_(steps / (high - low)).round_().to(torch.int8).view(torch.uint8)
            self.planes = _to_bits(codes, steps.bit_length())
        return partial(self.recall, tensor.size(), tensor.stride(), tensor.storage_offset())

    def recall(self, size, stride, offset) -> Tensor:
        low, high, steps = self.levels
        h = _from_bits(self.planes, self.n).to(self.dtype)
        if steps != 1:
            h.div_(steps)
        if (low, high) != (0, 1):
            h.mul_(high - low).add_(low)
        return h.as_strided(size, stride, offset)


# --- inputs ----------------------------------------------------------------------------------------------------


def _pre_activation(z: Tensor, unit: Unit, rule: Rule) -> Recall | None:
    recall = _recipe(z)
    if recall:
        return recall
    order = sorted(range(z.dim()), key=z.stride, reverse=True)
    classes = _classes(unit.windows, rule, z.dtype)
    if classes and z.permute(order).is_contiguous():
        planes = classes.planes(z.detach().permute(order).reshape(-1))
        return partial(classes.recall, planes, z.size(), z.stride(), z.device)
    return None


@dataclass(frozen=True)
class _Classes:
    """Numbers z that a unit and its rule cannot tell apart: ``groups[i]`` from ``cuts[i - 1]`` up to ``cuts[i]``.

    values: a number of each group, which in the backward pass stands for all of them.
    """

    cuts: tuple[float, ...]
    groups: tuple[int, ...]
    values: Tensor

    def planes(self, z: Tensor) -> Tensor:
        if not self.cuts:
            return torch.empty(0)
        codes = torch.zeros_like(z, dtype=torch.uint8)  # that of groups[0]
        for cut, before, after in zip(self.cuts, self.groups, self.groups[1:], strict=False):
            codes.bitwise_xor_((z >= cut).view(torch.uint8).mul_(before ^ after))
        return _to_bits(codes, (len(self.values) - 1).bit_length())

    def recall(self, planes: Tensor, size, stride, device) -> Tensor:
        values = self.values.to(device)
        if not len(planes):
            return torch.empty_strided(size, stride, dtype=values.dtype, device=device).fill_(values[0])
        codes = _from_bits(planes, size.numel()).to(torch.int32)
        return values.index_select(0, codes).as_strided(size, stride)


@lru_cache(maxsize=100)
def _classes(windows: tuple[tuple[float, float, float], ...], rule: Rule, dtype: torch.dtype) -> _Classes | None:
    """Found by asking the rule itself, so that they hold for its own rounding; None where z must be known."""
    borders = rule.loss.borders
    if borders is None or rule.targets is not gradient_sign:
        return None
    unit = Unit(torch.sign, windows)

    def answers(z):
        return torch.stack([unit.backward(rule, torch.full_like(z, g), z, 1.0) for g in (-1, 1)], dim=1)

    ends = torch.tensor([c + w * b for c, w, _ in windows for b in borders] or [0.0], dtype=torch.float64).unique()
    eps = torch.finfo(dtype).eps
    beside = torch.cat([ends * (1 + i * eps) for i in range(-2, 3)])
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
    values = torch.cat([z[:1], high])
    distinct: dict[tuple[float, ...], int] = {}
    groups = tuple(distinct.setdefault(tuple(answer), len(distinct)) for answer in answers(values).tolist())
    classes = _Classes(tuple(high.tolist()), groups, values[[groups.index(group) for group in distinct.values()]])
    z = torch.cat([z, torch.linspace(-9, 9, 999, dtype=dtype)])
    if not torch.equal(answers(z), answers(classes.recall(classes.planes(z), z.size(), z.stride(), z.device))):
        raise ValueError(f"the derivative of loss {rule.loss.name!r} changes elsewhere than at its borders {borders}")
    return classes


# --- inputs that are computed again ----------------------------------------------------------------------------


_NORMS = "NativeBatchNormBackward0", "CudnnBatchNormBackward0", "MiopenBatchNormBackward0"
_PROVED: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # weight of a batch norm: {what came of it: is it z?}


def _recipe(z: Tensor) -> Recall | None:
    """How to compute z again from what its history keeps anyway; None where that is not known to give the same bits."""
    node = z.grad_fn
    nodes = [node]
    if type(node).__name__ == "AddBackward0" and node._saved_alpha == 1:
        nodes = [node for node, _ in node.next_functions]
    terms = [_term(node) for node in nodes]
    weights = [node.next_functions[1][0].variable for node in nodes if type(node).__name__ in _NORMS]
    if None in terms or not weights or z._version >= len(nodes):  # a sum may have been taken in place
        return None
    recipe = partial(_sum, terms)
    proved = _PROVED.setdefault(weights[0], {})
    key = len(terms), z.size(), z.stride(), z.dtype
    if key not in proved:
        again = recipe()
        proved[key] = again.stride() == z.stride() and again.dtype == z.dtype and torch.equal(again, z)
    return recipe if proved[key] else None


def _term(node: Node | None) -> Recall | None:
    output = getattr(node, "output", None)
    if isinstance(output, _Output) and output.planes is not None:
        return partial(output.recall, *output.whole)
    if type(node).__name__ in _NORMS and node._saved_training:
        bias = getattr(node.next_functions[2][0], "variable", None)
        if bias is not None and hasattr(node.next_functions[1][0], "variable"):
            return partial(_normalized, node, bias.detach().clone())
    return None


def _sum(terms: list[Recall]) -> Tensor:
    with torch.no_grad():
        return reduce(torch.add, (term() for term in terms))


def _normalized(node: Node, bias: Tensor) -> Tensor:
    """The output of a batch norm, from the input that its node keeps."""
    x, weight = node._saved_input, node._saved_weight
    if x.device.type == "cpu":  # one pass instead of three: its mean and deviation are kept, too
        mean, inverse_deviation = node._saved_result1, node._saved_result2
        weight = weight * inverse_deviation
        return torch.native_batch_norm(x, weight, bias, mean, torch.ones_like(mean), False, 0.0, 0.0)[0]
    eps = node._saved_eps if hasattr(node, "_saved_eps") else node._saved_epsilon
    return torch.batch_norm(x, weight, bias, None, None, True, 0.0, eps, torch.backends.cudnn.enabled)
