"""The convolutional networks of the paper's Table 1 that are plain chains: `ConvNet4`, `ConvNet8`, `AlexNet`."""

import math
from functools import partial

from torch import nn

from .checks import Factory, image_shape, make, positive
from .mlp import Chain


class ConvNet4(Chain):
    """The 4-layer convolutional network of the paper's Table 1 (Friesen and Domingos 2018), without batch norm.

    Convolution 32 5x5 pad 3, max-pool 2, activation; convolution 64 5x5 pad 2, max-pool 2, activation; fully connected
    1024, activation; fully connected `classes`. The threshold comes after the pool. activation: factory. input_shape:
    (C, H, W), H and W at least 2. Input (B, C, H, W), output (B, classes). Raises as `MLP` does.

    >>> from ftpkit.models import count_parameters
    >>> count_parameters(ConvNet4(nn.ReLU, input_shape=(3, 32, 32)))
    4259274
    """

    def __init__(self, activation: Factory, input_shape: tuple[int, int, int] = (1, 28, 28), classes: int = 10):
        channels, height, width = input_shape = image_shape(input_shape, smallest=2)
        features = 64 * ((height + 2) // 4) * ((width + 2) // 4)
        layers = [
            ("conv1", nn.Conv2d(channels, 32, 5, padding=3)),
            ("pool1", nn.MaxPool2d(2)),
            ("act1", make(activation)),
            ("conv2", nn.Conv2d(32, 64, 5, padding=2)),
            ("pool2", nn.MaxPool2d(2)),
            ("act2", make(activation)),
            ("flatten", nn.Flatten()),
            ("fc3", nn.Linear(features, 1024)),
            ("act3", make(activation)),
            ("fc4", nn.Linear(1024, positive(classes, "classes"))),
        ]
        super().__init__(layers, input_shape)
        self.norm_values = None


class ConvNet8(Chain):
    """The 8-layer convolutional network of the paper's Table 1 (Friesen and Domingos 2018), made for 32x32 images.

    Convolution 48 5x5 pad 2, max-pool 2; 64 3x3 pad 1; 64 3x3 pad 1, max-pool 2; 128 3x3; 128 3x3 pad 1; 128 3x3;
    512 4x4; fully connected `classes`. From the second convolution on each has batch norm (eps 1e-4) instead of a bias,
    before the pool; the activation stands behind all of it. 7 activations.
    activation: factory. input_shape: (C, H, W). **Images smaller than 32x32 are padded with zeros to 32x32**, evenly on
    both sides, by a first layer "pad" that is there only then (28x28: 2 pixels on each side); zero is the mean of
    normalised images. Larger ones give larger maps and more weights in the last layer. dropout: of whole maps before
    the 4x4 convolution; 0 as in the paper, 0.5 in the authors' code.
    Input (B, C, H, W), output (B, classes). Raises as `MLP` does, and ValueError for a dropout outside [0, 1).

    >>> from ftpkit.models import count_parameters
    >>> count_parameters(ConvNet8(nn.ReLU, input_shape=(3, 32, 32)))
    1492554
    """

    def __init__(
        self,
        activation: Factory,
        input_shape: tuple[int, int, int] = (3, 32, 32),
        classes: int = 10,
        dropout: float = 0.0,
    ):
        channels, height, width = input_shape = image_shape(input_shape, smallest=1)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is the share of maps to leave out, at least 0 and below 1, got {dropout!r}")
        missing = [max(0, 32 - width), max(0, 32 - height)]
        cells = math.prod(max(32, size) // 4 - 7 for size in (height, width))
        layers = []
        if any(missing):
            layers.append(("pad", nn.ZeroPad2d([side for gap in missing for side in (gap // 2, gap - gap // 2)])))
        layers += [("conv1", nn.Conv2d(channels, 48, 5, padding=2)), ("pool1", nn.MaxPool2d(2))]
        layers.append(("act1", make(activation)))
        layers += _normed(2, nn.Conv2d(48, 64, 3, padding=1, bias=False), activation)
        layers += _normed(3, nn.Conv2d(64, 64, 3, padding=1, bias=False), activation, nn.MaxPool2d(2))
        layers += _normed(4, nn.Conv2d(64, 128, 3, bias=False), activation)
        layers += _normed(5, nn.Conv2d(128, 128, 3, padding=1, bias=False), activation)
        layers += _normed(6, nn.Conv2d(128, 128, 3, bias=False), activation)
        if dropout:
            layers.append(("drop6", nn.Dropout2d(dropout)))
        layers += _normed(7, nn.Conv2d(128, 512, 4, bias=False), activation)
        layers += [("flatten", nn.Flatten()), ("fc8", nn.Linear(512 * cells, positive(classes, "classes")))]
        super().__init__(layers, input_shape)
        self.norm_values = cells


class AlexNet(Chain):
    """The AlexNet of the paper's Table 1: DoReFa-Net's (Zhou et al. 2016, arXiv:1606.06160), for 224x224 images.

    Convolution 96 12x12 stride 4; 256 5x5 pad 2, batch norm, max-pool 3 stride 2 pad 1; 384 3x3 pad 1, batch norm,
    max-pool 3 stride 2; 384 3x3 pad 1, batch norm; 256 3x3 pad 1, batch norm, max-pool 3 stride 2; fully connected
    4096, batch norm, twice; fully connected `classes`, the only layer with a bias. An activation ends each line but the
    last: 7. Batch norm with eps 1e-4; no dropout, no local normalisation, no split convolutions: not torchvision's.
    activation: factory. input_shape: (C, H, W), H and W at least 60. Input (B, C, H, W), output (B, classes). Raises as
    `MLP` does.

    >>> import torch
    >>> from ftpkit.models import count_parameters
    >>> with torch.device("meta"):  # shapes without numbers
    ...     model = AlexNet(nn.ReLU)
    >>> count_parameters(model)
    62394344
    """

    def __init__(self, activation: Factory, input_shape: tuple[int, int, int] = (3, 224, 224), classes: int = 1000):
        channels, height, width = input_shape = image_shape(input_shape, smallest=60)
        cells = math.prod((size // 4 - 7) // 8 for size in (height, width))
        layers = [("conv1", nn.Conv2d(channels, 96, 12, stride=4, bias=False)), ("act1", make(activation))]
        pool = partial(nn.MaxPool2d, 3, stride=2)
        layers += _normed(2, nn.Conv2d(96, 256, 5, padding=2, bias=False), activation, pool(padding=1))
        layers += _normed(3, nn.Conv2d(256, 384, 3, padding=1, bias=False), activation, pool())
        layers += _normed(4, nn.Conv2d(384, 384, 3, padding=1, bias=False), activation)
        layers += _normed(5, nn.Conv2d(384, 256, 3, padding=1, bias=False), activation, pool())
        layers.append(("flatten", nn.Flatten()))
        for d, features in ((6, 256 * cells), (7, 4096)):
            layers.append((f"fc{d}", nn.Linear(features, 4096, bias=False)))
            layers += [(f"bn{d}", nn.BatchNorm1d(4096, eps=1e-4)), (f"act{d}", make(activation))]
        layers.append(("fc8", nn.Linear(4096, positive(classes, "classes"))))
        super().__init__(layers, input_shape)
        self.norm_values = 1


def _normed(d: int, conv: nn.Conv2d, activation: Factory, pool: nn.Module | None = None) -> list[tuple[str, nn.Module]]:
    layers = [(f"conv{d}", conv), (f"bn{d}", nn.BatchNorm2d(conv.out_channels, eps=1e-4))]
    return [*layers, *([(f"pool{d}", pool)] if pool else []), (f"act{d}", make(activation))]
