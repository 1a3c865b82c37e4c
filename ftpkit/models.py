"""Networks that take their activation as an argument: `MLP`, the paper's `ConvNet4`, and `ResNet` for small images.

``activation`` is a factory, called once for each place where the network wants one: ``nn.ReLU``, or
``lambda: ftpkit.Sign("FTP-SH")``. Weights start as PyTorch's layers start them. Every model checks the shape of what it
is fed, and does not mind torch.compile, pickle and deepcopy.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable

from torch import Tensor, nn

Factory = Callable[[], nn.Module]


class _Chain(nn.Sequential):
    """A flat chain of named layers that checks its input; a slice of it is a plain nn.Sequential."""

    def __init__(self, layers: Iterable[tuple[str, nn.Module]], input_shape: tuple[int, ...]):
        super().__init__(OrderedDict(layers))
        self.input_shape = input_shape
        _check_places(self)

    def forward(self, x: Tensor) -> Tensor:
        _check_input(self, x)
        return super().forward(x)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self.named_children())[index]))
        return super().__getitem__(index)


class MLP(_Chain):
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
        input_shape = _sizes(input_shape, "input_shape")
        widths = (math.prod(input_shape), *_sizes(hidden, "hidden"))
        layers = [("flatten", nn.Flatten())]
        for d in range(1, len(widths)):
            layers.append((f"fc{d}", nn.Linear(widths[d - 1], widths[d], bias=not batch_norm)))
            if batch_norm:
                layers.append((f"bn{d}", nn.BatchNorm1d(widths[d])))
            layers.append((f"act{d}", _make(activation)))
        layers.append((f"fc{len(widths)}", nn.Linear(widths[-1], _positive(classes, "classes"))))
        super().__init__(layers, input_shape)
        self.norm_values = 1 if batch_norm and hidden else None


class ConvNet4(_Chain):
    """The 4-layer convolutional network of the paper's Table 1 (Friesen and Domingos 2018), without batch norm.

    Convolution 32 5x5 pad 3, max-pool 2, activation; convolution 64 5x5 pad 2, max-pool 2, activation; fully connected
    1024, activation; fully connected `classes`. The threshold comes after the pool. activation: factory. input_shape:
    (C, H, W), H and W at least 2. Input (B, C, H, W), output (B, classes). Raises as `MLP` does.

    >>> count_parameters(ConvNet4(nn.ReLU, input_shape=(3, 32, 32)))
    4259274
    """

    def __init__(self, activation: Factory, input_shape: tuple[int, int, int] = (1, 28, 28), classes: int = 10):
        channels, height, width = input_shape = _image_shape(input_shape, smallest=2)
        features = 64 * ((height + 2) // 4) * ((width + 2) // 4)
        layers = [
            ("conv1", nn.Conv2d(channels, 32, 5, padding=3)),
            ("pool1", nn.MaxPool2d(2)),
            ("act1", _make(activation)),
            ("conv2", nn.Conv2d(32, 64, 5, padding=2)),
            ("pool2", nn.MaxPool2d(2)),
            ("act2", _make(activation)),
            ("flatten", nn.Flatten()),
            ("fc3", nn.Linear(features, 1024)),
            ("act3", _make(activation)),
            ("fc4", nn.Linear(1024, _positive(classes, "classes"))),
        ]
        super().__init__(layers, input_shape)
        self.norm_values = None


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a skip path around them (He et al. 2016, arXiv:1512.03385, figure 2).

    act2 stands behind the sum, so that a threshold there also cuts the skip path. Where the shape changes, that path
    is a 1x1 convolution with batch norm (their option B). Input (B, before, H, W), output (B, width, H', W') with
    H' = H / stride rounded up.
    """

    def __init__(self, activation: Factory, before: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = _make(activation)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Identity()
        if stride != 1 or before != width:
            self.downsample = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.act2 = _make(activation)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act1(self.bn1(self.conv1(x)))
        return self.act2(self.bn2(self.conv2(h)) + self.downsample(x))


class ResNet(nn.Module):
    """Residual network for small images: a 3x3 stem with stride 1, no max-pool, stages of `BasicBlock`, global average.

    depth 8 and 20: three stages of 1 and 3 blocks, widths 16, 32, 64 (He et al. 2016, section 4.2, with projections
    instead of padded identities); depth 18: four stages of 2 blocks, widths 64, 128, 256, 512. One activation behind
    the stem and two in each block: 7, 19, 17 in all. activation: factory. input_shape: (C, H, W). Names of parameters
    are torchvision's. Input (B, C, H, W), output (B, classes). Raises as `MLP` does, and ValueError for another depth.

    >>> count_parameters(ResNet(nn.ReLU, depth=20, input_shape=(3, 32, 32)))
    272474
    """

    STAGES = {  # depth: (width, blocks) of each stage; all but the first halve the image
        8: ((16, 1), (32, 1), (64, 1)),
        20: ((16, 3), (32, 3), (64, 3)),
        18: ((64, 2), (128, 2), (256, 2), (512, 2)),
    }

    def __init__(
        self,
        activation: Factory,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        classes: int = 10,
        depth: int = 20,
    ):
        super().__init__()
        if depth not in self.STAGES:
            raise ValueError(f"there is no ResNet of depth {depth!r}; choose from {sorted(self.STAGES)}")
        self.input_shape = channels, rows, cols = _image_shape(input_shape, smallest=1)
        stages = self.STAGES[depth]
        self.conv1 = nn.Conv2d(channels, stages[0][0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stages[0][0])
        self.act1 = _make(activation)
        self.layers = [f"layer{s}" for s in range(1, len(stages) + 1)]
        before, stride = stages[0][0], 1
        for name, (width, blocks) in zip(self.layers, stages, strict=True):
            first = BasicBlock(activation, before, width, stride)
            rest = (BasicBlock(activation, width, width, 1) for _ in range(blocks - 1))
            self.add_module(name, nn.Sequential(first, *rest))
            before, stride = width, 2
        self.fc = nn.Linear(before, _positive(classes, "classes"))
        shrink = 2 ** (len(stages) - 1)
        self.norm_values = math.ceil(rows / shrink) * math.ceil(cols / shrink)
        _check_places(self)

    def forward(self, x: Tensor) -> Tensor:
        _check_input(self, x)
        h = self.act1(self.bn1(self.conv1(x)))
        for name in self.layers:
            h = getattr(self, name)(h)
        return self.fc(h.mean((2, 3)))


def count_parameters(model: nn.Module) -> int:
    """How many numbers the model learns; a parameter used twice counts once.

    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in model.parameters())


def _make(activation: Factory) -> nn.Module:
    hint = "activation must be a factory such as activation=lambda: ftpkit.Sign('FTP-SH'), or nn.ReLU"
    if not callable(activation) or isinstance(activation, nn.Module):
        raise TypeError(f"{hint}; got {activation!r}")
    try:
        made = activation()
    except TypeError as error:
        raise TypeError(f"{hint}; calling {activation!r} without arguments failed: {error}") from error
    if not isinstance(made, nn.Module):
        raise TypeError(f"{hint}; {activation!r} made {made!r}, which is no nn.Module")
    return made


def _check_places(model: nn.Module) -> None:
    """One module in two places would be seen once by hooks, by `named_children` and by the probe."""
    names = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if module in names:
            raise TypeError(
                f"{names[module]} and {name} are one and the same {type(module).__name__}; the activation factory must "
                f"make a new module at each call, as activation=lambda: ftpkit.Sign('FTP-SH') does"
            )
        names[module] = name


def _check_input(model: nn.Module, x: Tensor) -> None:
    name, shape = type(model).__name__, ", ".join(map(str, model.input_shape))
    if not x.is_floating_point():
        raise TypeError(f"{name} needs floating-point inputs, got {x.dtype}; use data.Batches or data.normalize")
    if tuple(x.shape[1:]) != model.input_shape:
        raise ValueError(
            f"{name} expects inputs of shape (B, {shape}), got {tuple(x.shape)}; build it with the data's input_shape"
        )
    if model.training and model.norm_values == 1 and x.shape[0] == 1:
        raise ValueError(
            f"{name} cannot train on a batch of one: batch norm would see a single value per channel; use larger "
            f"batches, drop the last image, or call model.eval() to test"
        )


def _positive(value: int, name: str) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return value


def _sizes(values: Iterable[int], name: str) -> tuple[int, ...]:
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise ValueError(f"{name} must be a tuple of whole numbers, such as (256,), got {values!r}")
    return tuple(_positive(value, f"each number of {name}") for value in values)


def _image_shape(input_shape: tuple[int, ...], smallest: int) -> tuple[int, int, int]:
    shape = _sizes(input_shape, "input_shape")
    if len(shape) != 3 or min(shape[1:]) < smallest:
        raise ValueError(f"input_shape must be (C, H, W) with H and W of at least {smallest}, got {shape}")
    return shape
