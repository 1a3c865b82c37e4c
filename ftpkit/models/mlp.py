"""Chains of layers: what all of them share, and the fully connected `MLP`."""

import math
from collections import OrderedDict
from collections.abc import Iterable

from torch import Tensor, nn

from .checks import Factory, check_input, check_places, make, positive, sizes


class Chain(nn.Sequential):
    """A flat chain of named layers that checks its input; a slice of it is a plain nn.Sequential."""

    def __init__(self, layers: Iterable[tuple[str, nn.Module]], input_shape: tuple[int, ...]):
        super().__init__(OrderedDict(layers))
        self.input_shape = input_shape
        check_places(self)

    def forward(self, x: Tensor) -> Tensor:
        check_input(self, x)
        return super().forward(x)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self.named_children())[index]))
        return super().__getitem__(index)


class MLP(Chain):
    """Fully connected: Flatten, then Linear, BatchNorm1d, activation for each hidden layer, and a last Linear.

    activation: factory. input_shape: of one input, any rank, such as (1, 28, 28) or (2,). hidden: widths of the hidden
    layers, first one first; () gives a linear classifier. batch_norm: without it the hidden Linear layers have a bias.
    Input (B, *input_shape), output (B, classes). Raises ValueError for sizes below 1, for an input of another shape and
    for a batch of one in training with batch norm; TypeError for an activation that is no factory.

    >>> print(*dict(MLP(nn.ReLU, input_shape=(2,), classes=3, hidden=(4, 4)).named_children()))
    flatten fc1 bn1 act1 fc2 bn2 act2 fc3
    """

    def __init__(
        self,
        activation: Factory,
        input_shape: tuple[int, ...] = (1, 28, 28),
        classes: int = 10,
        hidden: tuple[int, ...] = (256, 256),
        batch_norm: bool = True,
    ):
        input_shape = sizes(input_shape, "input_shape")
        widths = (math.prod(input_shape), *sizes(hidden, "hidden"))
        layers = [("flatten", nn.Flatten())]
        for d in range(1, len(widths)):
            layers.append((f"fc{d}", nn.Linear(widths[d - 1], widths[d], bias=not batch_norm)))
            if batch_norm:
                layers.append((f"bn{d}", nn.BatchNorm1d(widths[d])))
            layers.append((f"act{d}", make(activation)))
        layers.append((f"fc{len(widths)}", nn.Linear(widths[-1], positive(classes, "classes"))))
        super().__init__(layers, input_shape)
        self.norm_values = 1 if batch_norm and hidden else None
