"""Training memory: thresholds, and the layers behind them, keep for the backward pass a few bits for each number.

A float that is one of two levels needs one bit, and a rule whose derivative is made of pieces need not know z, only on
which piece it lies. What a smooth rule needs is z itself; behind a batch norm it is computed a second time, from what
that layer keeps anyway. Every gradient is the same to the last bit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, reduce

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node, saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.weak import WeakTensorKeyDictionary

from .activations import APPLY, Unit
from .bits import at_least, classes_of, from_bits, look_up, to_bits
from .rules import Rule

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
    if any(type(m).__name__ == "OptimizedModule" or m._compiled_call_impl for m in model.modules()):
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
        if torch.is_grad_enabled() and 1 < len(unit.levels) <= 128:  # an int8 counts them, bfloat16 tells them apart
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


# --- outputs ---------------------------------------------------------------------------------------------------


class _Output:
    """The output h of a threshold. It is not held itself; once a layer keeps it, the levels of its numbers are."""

    def __init__(self, h: Tensor, levels: tuple[float, ...]):
        self.storage = StorageWeakRef(h.untyped_storage())  # as long as it lives, no other storage has this address
        self.n, self.dtype, self.version, self.levels = h.numel(), h.dtype, h._version, levels
        self.whole = h.size(), h.stride(), 0
        self.planes: Tensor | None = None

    def holds(self, tensor: Tensor) -> bool:
        return tensor._version == self.version and tensor.dtype == self.dtype

    def keep(self, tensor: Tensor) -> Recall:
        """tensor: h or a view of it."""
        if self.planes is None:
            steps = len(self.levels) - 1
            h = tensor.detach().as_strided((self.n,), (1,), 0)
            codes = torch.add(0.5, h, alpha=steps).to(torch.int8) if steps > 1 else at_least(h, self.levels[1])
            self.planes = to_bits(codes.view(torch.uint8), steps.bit_length())
        return partial(self.recall, tensor.size(), tensor.stride(), tensor.storage_offset())

    def recall(self, size, stride, offset) -> Tensor:
        steps = len(self.levels) - 1
        if steps > 1:  # by the same division as in the forward pass
            h = from_bits(self.planes, self.n).to(self.dtype).div_(steps)
        else:
            h = look_up(self.levels, self.planes, self.n, self.dtype)
        return h.as_strided(size, stride, offset)


# --- inputs ----------------------------------------------------------------------------------------------------


def _pre_activation(z: Tensor, unit: Unit, rule: Rule) -> Recall | None:
    recipe = _recipe(z)
    if recipe:
        return recipe
    classes = classes_of(unit.windows, rule, z.dtype)
    dense = z.permute(sorted(range(z.dim()), key=z.stride, reverse=True)).is_contiguous()
    return classes.keep(z) if classes and dense else None


# --- inputs that are computed again ----------------------------------------------------------------------------


_NORMS = "NativeBatchNormBackward0", "CudnnBatchNormBackward0", "MiopenBatchNormBackward0"
_PROVED = WeakTensorKeyDictionary()  # weight of a batch norm: {z's form: was it the same, bit for bit, the first time?}


def _recipe(z: Tensor) -> Recall | None:
    """How to compute z again from what its history keeps anyway; None where that is not known to give the same bits."""
    node = z.grad_fn
    nodes = [node]
    if type(node).__name__ == "AddBackward0" and node._saved_alpha == 1:
        nodes = [node for node, _ in node.next_functions]
    terms = [_term(node) for node in nodes]
    norms = [node for node in nodes if type(node).__name__ in _NORMS]
    if None in terms or not norms or z._version >= len(nodes):  # a sum may have been taken in place
        return None
    recipe = partial(_sum, terms)
    proved = _PROVED.setdefault(norms[0].next_functions[1][0].variable, {})
    key = len(terms), z.size(), z.stride(), z.dtype, z.device
    if key not in proved:
        again = recipe()
        proved[key] = again.stride() == z.stride() and again.dtype == z.dtype and torch.equal(again, z)
    return recipe if proved[key] else None


def _term(node: Node | None) -> Recall | None:
    output = getattr(node, "output", None)
    if isinstance(output, _Output) and output.planes is not None:
        return partial(output.recall, *output.whole)
    if type(node).__name__ in _NORMS and node._saved_training:
        weight, bias = (getattr(node, "variable", None) for node, _ in node.next_functions[1:])  # if these are trained
        if weight is not None and bias is not None:
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
