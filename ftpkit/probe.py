"""What happens inside a network: saturation, dead units, gradients and targets by layer, and outputs that flip.

Whatever watches a model here is a context manager that takes its hooks away on exit, also after an exception, and that
changes no output, gradient or generator. Layers are named as in ``model.named_modules()``. Activations that are called
as functions (`ftpkit.sign`, `F.relu`) have no module to watch and are not seen; models under ``torch.compile`` are not
supported, so watch them before compiling.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import torch
from torch import Tensor, nn

from .activations import Activation, SaturatedReLU, Unit

# --- looking without leaving a trace -----------------------------------------------------------------------------

_DRAWS_NOTHING = ContextVar("draws nothing", default=False)  # of this thread


@contextmanager
def drawing_nothing() -> Iterator[None]:
    """Promise that what this thread runs inside draws no random number but from generators of its own.

    All threads share torch's generators. To leave them as they were, the kit notes their state and puts it back, and
    what another thread drew or seeded in between would be lost; after this promise it does not touch them at all. It
    holds for models without dropout and its like; weights are drawn before.

    >>> before = torch.get_rng_state()
    >>> with drawing_nothing(), forked():
    ...     _ = torch.manual_seed(7)
    >>> torch.equal(before, torch.get_rng_state())
    False
    >>> torch.set_rng_state(before)
    """
    token = _DRAWS_NOTHING.set(True)
    try:
        yield
    finally:
        _DRAWS_NOTHING.reset(token)


@contextmanager
def forked(devices: Iterable[torch.device] = ()) -> Iterator[bool]:
    """Leave torch's generators, the CPU's and those of `devices`, on exit as they were; see `drawing_nothing`.

    Yields whether the model may draw from them: not where the thread has promised to draw nothing.
    """
    if _DRAWS_NOTHING.get():
        yield False
    else:
        with torch.random.fork_rng(devices=list(devices)):
            yield True


@contextmanager
def undisturbed(model: nn.Module, *, training: bool = False) -> Iterator[nn.Module]:
    """Look at a model without leaving a trace: inside no gradients and evaluation mode, outside all as it was.

    Restored on exit: the training flag of every module, every buffer (batch norm's running statistics), and the random
    generators of the CPU and of the GPUs that the model is on, by `forked`. training=True puts the model into training
    mode instead.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    >>> with undisturbed(model):
    ...     model.training, model(torch.ones(1, 2)).requires_grad
    (False, False)
    >>> model.training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    gpus = {p.device for p in [*model.parameters(), *model.buffers()] if p.device.type == "cuda"}
    with forked(gpus), torch.no_grad():
        try:
            yield model.train(training)
        finally:
            for module, mode in modes:
                module.training = mode
            for buffer, saved in buffers:
                buffer.copy_(saved)


@contextmanager
def _hooked(handles: list) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def largest(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """The largest absolute value that leaves each layer, or enters it where it is an activation; NaN beats numbers.

    Yields a dict from layer to a scalar tensor, in the order in which the layers first ran: the first value that is not
    finite stands at the layer that made it. A threshold turns NaN into a level, so its output would show nothing; its
    pre-activation does. A container that passes on its last layer's tensor as it is has no entry.

    >>> from ftpkit import Sign
    >>> model = nn.Sequential(nn.Linear(1, 1), Sign("SSTE"), nn.Linear(1, 1))
    >>> _ = model[0].weight.data.fill_(torch.nan), model[2].weight.data.fill_(2), model[2].bias.data.fill_(0)
    >>> with undisturbed(model), largest(model) as sizes:
    ...     model(torch.ones(1, 1)).item()
    -2.0
    >>> {layer: size.item() for layer, size in sizes.items()}
    {'0': nan, '1': nan, '2': 2.0}
    """
    sizes, latest, size = {}, None, None

    def note(layer, value):
        nonlocal latest, size
        if not (isinstance(value, Tensor) and value.is_floating_point() and value.numel()):
            return
        if value is not latest:  # a tensor that goes straight from one layer to the next is measured once
            low, high = torch.aminmax(value.detach())
            latest, size = value, torch.maximum(-low, high)
        sizes[layer] = torch.maximum(sizes[layer], size) if layer in sizes else size

    def hook(layer, module):
        if isinstance(module, Activation):
            return module.register_forward_pre_hook(lambda _, inputs: note(layer, inputs[0]))
        return module.register_forward_hook(lambda _, inputs, out: None if out is latest else note(layer, out))

    with _hooked([hook(layer, module) for layer, module in model.named_modules()]):
        yield sizes


# --- one record per call of an activation ------------------------------------------------------------------------


@contextmanager
def record(model: nn.Module) -> Iterator["Log"]:
    """Record what every `Activation` and every nn.ReLU in `model` does, forward and backward, while the context lasts.

    Yields a `Log`; its ``records``, one plain dict per call of an activation, are ready for ``pandas.DataFrame``. z, h:
    pre-activation and output, dimension 0 the batch, everything behind it one unit per element (in a feature map each
    channel has one unit per position). "Share" is a mean over all units and instances unless it says otherwise.

    * ``pass``, ``layer``, ``depth``: the how-manieth call of the model, the layer's name, the how-manieth activation in
      that pass (1 is the first; an activation that is used twice has two depths); ``training``: the layer's mode;
      ``instances``, ``units``: how many there were.
    * ``saturated``: share of z outside the layer loss's window: abs(z) > 1 for Sign and Step, outside [0, 1] for
      QuantReLU and SaturatedReLU ([-1, 2] in the form "sum"), z <= 0 for ReLU. The window is the activation's own,
      whether or not the rule's loss is flat outside it.
    * ``dead``: share of units whose output is the same for every instance of the batch; None for a batch of one.
    * ``grad_h_mean``, ``grad_h_rms``: mean(abs(g)) and sqrt(mean(g^2)) of g = dL/dh; ``grad_z_mean``, ``grad_z_rms``:
      the same of what the activation sends back to z. With a loss averaged over the batch, g is 1/batch of one
      instance's.
    * ``disagree``: share with t = -side, where t = rule.targets(g, z, h) and side is +1 if z lies above the middle of
      the window, else -1 (so it is h itself for Sign); ``no_target``: share with t = 0. None for ReLU.

    What needs g is None until a backward pass has come by; a backward pass after the exit is not recorded. Reading
    ``records`` waits for the device; recording does not. Each call holds on to z until its graph is freed.

    >>> from ftpkit import Sign
    >>> model = nn.Sequential(Sign("SSTE"))
    >>> z = torch.tensor([[-2.0, 0.5], [-3.0, -0.5]], requires_grad=True)
    >>> with record(model) as log:
    ...     model(z).backward(torch.tensor([[1.0, 1.0], [0.0, -1.0]]))
    >>> [record] = log.records
    >>> {key: record[key] for key in ["saturated", "dead", "grad_h_mean", "grad_z_mean", "disagree", "no_target"]}
    {'saturated': 0.5, 'dead': 0.5, 'grad_h_mean': 0.75, 'grad_z_mean': 0.5, 'disagree': 0.5, 'no_target': 0.25}
    """
    log = Log()
    handles = [model.register_forward_pre_hook(log._begin)]
    for layer, module in model.named_modules():
        if isinstance(module, Activation | nn.ReLU):
            handles.append(module.register_forward_hook(partial(log._forward, layer)))
    with _hooked(handles):
        try:
            yield log
        finally:
            log._open = False


class Log:
    """What `record` has seen so far: ``records``, a list of plain dicts."""

    def __init__(self):
        self._entries, self._pass, self._depth, self._open = [], 0, 0, True

    @property
    def records(self) -> list[dict]:
        return [
            {key: value.item() if isinstance(value, Tensor) else value for key, value in entry.items()}
            for entry in self._entries
        ]

    def _begin(self, model, inputs):
        self._pass, self._depth = self._pass + 1, 0

    @torch.no_grad()
    def _forward(self, layer, module, inputs, h):
        self._depth += 1
        entry = {
            "pass": self._pass,
            "layer": layer,
            "depth": self._depth,
            "training": module.training,
            "instances": len(h),
            "units": h[0].numel(),
            "saturated": _share(_saturated(module, inputs[0], h)),
            "dead": _share((h == h[:1]).all(dim=0)) if len(h) > 1 else None,
        }
        entry |= dict.fromkeys("grad_h_mean grad_h_rms grad_z_mean grad_z_rms disagree no_target".split())
        self._entries.append(entry)
        if h.grad_fn is not None:
            h.grad_fn.register_hook(partial(self._backward, entry, module, inputs[0].detach()))

    @torch.no_grad()
    def _backward(self, entry, module, z, grad_inputs, grad_outputs):
        if not self._open:
            return
        (g, *_), (grad_z, *_) = grad_outputs, grad_inputs
        entry |= {"grad_h_mean": g.abs().mean(), "grad_h_rms": _rms(g)}
        entry |= {"grad_z_mean": grad_z.abs().mean(), "grad_z_rms": _rms(grad_z)}
        if isinstance(module, Activation):
            t = module.rule.targets(g, z, module.unit.forward(z))
            above = z > sum(_window(module.unit)) / 2
            entry |= {"disagree": _share(torch.where(above, t < 0, t > 0)), "no_target": _share(t == 0)}


def _window(unit: Unit) -> tuple[float, float]:
    """The ends of the interval on which a unit's layer loss is centred."""
    return min(c - w for c, w, _ in unit.windows), max(c + w for c, w, _ in unit.windows)


def _saturated(module: nn.Module, z: Tensor, h: Tensor) -> Tensor:
    if isinstance(module, nn.ReLU):
        return h <= 0  # not z <= 0: an in-place ReLU has overwritten it
    low, high = _window(module.unit)
    return (z < low) | (z > high)


def _share(mask: Tensor) -> Tensor:
    return mask.sum() / mask.numel()


def _rms(x: Tensor) -> Tensor:
    """sqrt(mean(x^2)), scaled by the largest so that vanishing gradients do not underflow when squared."""
    top = x.abs().amax()
    return torch.where(top == 0, 0.0, (x / top).square().mean().sqrt() * top)


# --- outputs that flip -------------------------------------------------------------------------------------------


@contextmanager
def flips(model: nn.Module, x: Tensor) -> Iterator["Flips"]:
    """Measure how many hidden outputs on a fixed batch `x` change between one moment of training and the next.

    Yields a `Flips`. ``measure()`` gives, for each activation, the flip ratio since the last measurement (the first one
    is taken on entry): the share of outputs h, over all units and instances, whose level differs. Sign and Step have
    two levels, QuantReLU steps + 1; for ReLU and SaturatedReLU a level is the linear piece that h lies on. The model
    runs in evaluation mode and is left as it was, as in `undisturbed`. x: whatever the model takes, on its device.

    >>> from ftpkit import Sign
    >>> model = nn.Sequential(nn.Linear(1, 1, bias=False), Sign("SSTE"))
    >>> _ = model[0].weight.data.fill_(1)
    >>> with flips(model, torch.tensor([[-1.0], [0.0], [1.0], [2.0]])) as since:
    ...     _ = model[0].weight.data.fill_(-1)
    ...     since.measure(), since.measure()
    ({'1': 0.75}, {'1': 0.0})
    """
    since = Flips(model, x)
    try:
        yield since
    finally:
        since._levels = None


class Flips:
    """The levels of a model's hidden outputs on a fixed batch, kept for comparison; made by `flips`."""

    def __init__(self, model: nn.Module, x: Tensor):
        self._model, self._x = model, x
        self._levels = self._look()

    def measure(self) -> dict[str, float]:
        """Layer -> share of outputs whose level changed since the last call; "name#2" is a layer's second call.

        Raises RuntimeError after the context has ended, when there is nothing left to compare with.
        """
        if self._levels is None:
            raise RuntimeError("these flips are over: call measure() inside `with probe.flips(model, x) as since:`")
        before, self._levels = self._levels, self._look()
        return {layer: _share(levels != before[layer]).item() for layer, levels in self._levels.items()}

    def _look(self) -> dict[str, Tensor]:
        found, calls = {}, Counter()

        def note(layer, module, inputs, h):
            calls[layer] += 1
            found[layer if calls[layer] == 1 else f"{layer}#{calls[layer]}"] = _level(module, h)

        handles = [
            module.register_forward_hook(partial(note, layer))
            for layer, module in self._model.named_modules()
            if isinstance(module, Activation | nn.ReLU)
        ]
        with undisturbed(self._model), _hooked(handles):
            self._model(self._x)
        return found


def _level(module: nn.Module, h: Tensor) -> Tensor:
    if isinstance(module, nn.ReLU):
        return h > 0
    if isinstance(module, SaturatedReLU):
        return torch.ceil(h) + (h >= 1)  # 0, 1, 2: below, between and above its borders
    return h.clone()
