"""FTPROP-MB, the paper's Algorithm 2, written out layer by layer: no gradient flows through a threshold here.

The letters are the paper's: h_0 = x, z_d = W_d h_{d-1}, h_d = g(z_d), targets t_d and layer loss L_d for d = 1 ... l.
The same update as ``loss(model(x), y).backward()``, because the activations' backward pass is this loop's line 6.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..activations import Activation
from ..rules import Rule


@dataclass(frozen=True)
class Layer:
    """One layer of a network: the affine part that computes z_d from h_{d-1}, and the threshold behind it.

    transform: modules without a threshold (linear or convolution, with the batch norm and pooling that follow it).
    activation: the `Activation`, or None behind the last layer, whose z goes to the output loss.
    """

    transform: nn.Sequential
    activation: Activation | None


@dataclass(frozen=True)
class LayerStep:
    """What one mini-batch did to one layer: z, h, target t, weight (each of z's shape) and the loss, a 0-dim tensor.

    The last layer has no targets but labels: t and weight are None, h is z, and loss is the output loss.
    """

    z: Tensor
    h: Tensor
    t: Tensor | None
    weight: Tensor | None
    loss: Tensor


def split(model: nn.Module) -> list[Layer]:
    """Cut a network at its thresholds into the layers d = 1 ... l that target propagation trains one by one.

    model: an nn.Sequential, nested ones allowed, such as `MLP` or `ConvNet4`. Raises TypeError for another module (a
    residual network is no chain of layers: train it through autograd, which is the same update) and ValueError where
    no threshold is found.

    >>> from ftpkit import Sign
    >>> net = nn.Sequential(nn.Linear(2, 3), Sign("SSTE"), nn.Linear(3, 2))
    >>> [type(layer.activation).__name__ for layer in split(net)]
    ['Sign', 'NoneType']
    """
    layers, transform = [], []
    for module in _flat(model):
        if isinstance(module, Activation):
            layers.append(Layer(nn.Sequential(*transform), module))
            transform = []
        elif any(isinstance(part, Activation) for part in module.modules()):
            raise TypeError(
                f"{type(module).__name__} has thresholds inside and is no chain of layers; train it with "
                f"loss(model(x), y).backward(), which makes the same update"
            )
        else:
            transform.append(module)
    if not layers:
        raise ValueError("the model has no threshold activation, so there are no targets to set; use ftpkit.Sign")
    return [*layers, Layer(nn.Sequential(*transform), None)]


def _flat(model: nn.Module):
    if isinstance(model, nn.Sequential):
        for module in model:
            yield from _flat(module)
    else:
        yield model


def minibatch_step(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> list[LayerStep]:
    """One step of FTPROP-MB (Algorithm 2 of Friesen and Domingos 2018) on one mini-batch.

    model: as for `split`. x: inputs, dimension 0 the batch of size B. y: labels, as ``loss(z_l, y)`` takes them.
    optimizer: holds the weights W_1 ... W_l; all layers' gradients are taken at the weights of the forward pass, then
    it takes one step. An unweighted rule uses its activation's scale, or 1 / B where none is set.
    Returns one `LayerStep` per layer, first layer first. Raises as `split`, and ValueError for an empty batch,
    for labels that are not as many as the inputs, and for targets outside {-1, 0, +1}.

    >>> from ftpkit import Sign
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(2, 4), Sign("FTP-SH"), nn.Linear(4, 2))
    >>> x, y = torch.tensor([[-1.0, 1.0], [1.0, 1.0]]), torch.tensor([0, 1])
    >>> steps = minibatch_step(net, x, y, torch.optim.SGD(net.parameters(), lr=0.1))
    >>> sorted(set(steps[0].t.flatten().tolist()))
    [-1.0, 1.0]
    """
    layers = split(model)
    if len(x) == 0 or len(x) != len(y):
        raise ValueError(f"a mini-batch has at least one instance and as many labels, not {len(x)} and {len(y)}")
    optimizer.zero_grad()

    # Forward: every layer starts from a detached copy of the activations below it.
    below, Z, H = [], [], []
    h = x
    for layer in layers:
        h_below = h.detach().requires_grad_(bool(below))  # the data need no targets, so no gradient
        z = layer.transform(h_below)
        h = z.detach() if layer.activation is None else layer.activation.unit.forward(z.detach())
        below.append(h_below)
        Z.append(z)
        H.append(h)

    # Backward, from the last layer to the first: L_d gives W_d its step, and the layer below its targets.
    steps = []
    for d in reversed(range(len(layers))):
        if layers[d].activation is None:
            L = loss(Z[d], y)
            steps.append(LayerStep(Z[d].detach(), H[d], None, None, L.detach()))
            g = _descend(layers[d], below[d], L, None)
        else:
            unit, rule = layers[d].activation.unit, layers[d].activation.rule
            z = Z[d].detach()
            t = _checked(rule, rule.targets(g, z, H[d]), z)  # eq. 2
            weight = g.abs() if rule.weighted else torch.full_like(z, layers[d].activation.scale or 1 / len(x))  # eq. 3
            L = (unit.loss_value(rule, z, t) * weight).sum()
            steps.append(LayerStep(z, H[d], t, weight, L))
            g = _descend(layers[d], below[d], Z[d], unit.loss_derivative(rule, z, t) * weight)
    optimizer.step()
    return steps[::-1]


def _descend(layer: Layer, h_below: Tensor, z: Tensor, dL_dz: Tensor | None) -> Tensor | None:
    """Add dL_d/dW_d to the weights' .grad and return dL_d/dh_{d-1}; None at the first layer, above the data."""
    weights = [w for w in layer.transform.parameters() if w.requires_grad]
    wanted = [h_below, *weights] if h_below.requires_grad else weights
    if not wanted:
        return None
    grads = list(torch.autograd.grad(z, wanted, dL_dz))
    g = grads.pop(0) if h_below.requires_grad else None
    for w, dw in zip(weights, grads, strict=True):
        w.grad = dw if w.grad is None else w.grad + dw
    return g


def _checked(rule: Rule, t: Tensor, z: Tensor) -> Tensor:
    if t.shape != z.shape or not ((t == 0) | (t.abs() == 1)).all():
        raise ValueError(
            f"the target heuristic of rule {rule.name!r} must return -1, 0 or +1 for each of the {tuple(z.shape)} "
            f"pre-activations; it returned shape {tuple(t.shape)} with values {t.unique()[:5].tolist()}"
        )
    return t
