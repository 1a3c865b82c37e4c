"""Nothing infinite, nothing undefined: thresholds hide NaN, so somebody has to look for it and say where it began."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .activations import Activation
from .probe import largest, undisturbed
from .processes import ALONE, Processes


class NonFiniteError(RuntimeError):
    """A weight, a pre-activation or the loss is infinite or NaN.

    ``layer``: the name of the layer where it began, as far as can be told when steps were taken since; "input" for the
    images, "loss" for the loss alone. ``history``: the records of the epochs that `fit` had finished.
    """

    def __init__(self, message: str, layer: str = ""):
        super().__init__(message)
        self.layer, self.history = layer, []


class Guard:
    """Looks at loss and weights every few steps, without making the program wait for a GPU.

    The alarm is cheap: one norm over all weights and buffers, and the epoch's sum of losses, which no NaN or infinity
    leaves again. A GPU copies both in its own time, and they are read at the next look. The verdict is exact: the batch
    is replayed with hooks that name the layer, and an alarm without a cause (the norm overflowed) is forgotten.
    Several processes are alarmed together and replay each its own part, so that the one whose images it was can say it.
    """

    def __init__(self, model: nn.Module, every: int, processes: Processes = ALONE):
        self.model, self.every, self.processes, self.step, self.pending = model, every, processes, 0, None
        self.weights = [tensor for tensor in [*model.parameters(), *model.buffers()] if tensor.is_floating_point()]
        self.late = every > 1 and self.weights[0].is_cuda

    @torch.no_grad()
    def look(self, total_loss: Tensor, x: Tensor) -> None:
        if self.step % self.every == 0:
            self.judge()
            norm, of_all = torch.nn.utils.get_total_norm(self.weights), self.processes.total(total_loss)
            values = torch.stack([norm.float(), of_all.float(), total_loss.float()]).to("cpu", non_blocking=True)
            copied = torch.cuda.current_stream(x.device).record_event() if x.is_cuda else None
            self.pending = values, copied, x, f"by training step {self.step + 1}"
            if not self.late:
                self.judge()
        self.step += 1

    def judge(self) -> None:
        """Read what the last look saw; raise NonFiniteError if something really is not finite."""
        if self.pending is None:
            return
        (values, copied, x, when), self.pending = self.pending, None
        if copied is not None:
            copied.synchronize()
        norm, of_all, total_loss = values.tolist()
        if math.isfinite(norm) and math.isfinite(of_all):
            return
        finite_scores(self.model, [(x, None)], when, training=True)
        for layer, module in self.model.named_modules():
            if what := _broken(module):  # though no output shows it
                raise _not_finite(when, f"the {what} of layer {layer!r} ({type(module).__name__})", layer)
        if not math.isfinite(total_loss):
            raise _not_finite(when, "the loss, though every layer's output is", "loss")


def finite_scores(model: nn.Module, batches: Iterable, when: str, *, training: bool = False) -> Tensor:
    """The model's outputs on all batches; raises NonFiniteError when the output of some layer is not finite."""
    with undisturbed(model, training=training), largest(model) as sizes:
        scores = [model(x) for x, _ in batches]
    if not scores:
        return torch.empty(0, 0)
    scores = torch.cat(scores)
    flags = torch.stack([size.isfinite() for size in sizes.values()]).tolist()
    if all(flags):
        return scores
    if not all(x.isfinite().all() for x, _ in batches):
        raise _not_finite(when, "the input, as normalised by the split's mean and std", "input")
    layer = _origin(model, dict(zip(sizes, flags, strict=True)), hidden=bool(scores.isfinite().all()))
    module = model.get_submodule(layer)
    what = _broken(module) or ("pre-activation" if isinstance(module, Activation) else "output")
    others = sum(bool(_broken(model.get_submodule(other))) for other in sizes if other != layer)
    by_now = f", and by now weights of {others} more" if others else ""
    raise _not_finite(when, f"the {what} of layer {layer!r} ({type(module).__name__}){by_now}", layer)


def _origin(model: nn.Module, finite: dict[str, bool], hidden: bool) -> str:
    """The layer where it began, as far as can be told; `finite` is in the order in which the layers run.

    Without a threshold in its way, NaN runs through to the output, and the first layer is the one. A threshold hides
    it from all that follow, but each backward pass since has carried it to the layers in front: then it began in the
    last stretch between two thresholds that has any.
    """
    begun, found = False, ""
    for layer, is_finite in finite.items():
        if not is_finite and not begun:
            begun, found = True, layer
        if hidden and isinstance(model.get_submodule(layer), Activation):
            begun = False
    return found


def _broken(module: nn.Module) -> str:
    """Which of a layer's own weights and buffers are not finite, such as "weight and bias"; "" where all are."""
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return " and ".join(name for name, tensor in own if not tensor.isfinite().all())


def _not_finite(when: str, what: str, layer: str) -> NonFiniteError:
    return NonFiniteError(
        f"{when}, not finite: {what}; look at the data or try a smaller lr, and use fit(check_every=1) to stop at the "
        f"very step. Later layers may look healthy, because a threshold turns NaN into one of its levels.",
        layer,
    )
