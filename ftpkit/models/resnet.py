"""Residual networks (He et al. 2016, arXiv:1512.03385), with thresholds on the skip path or beside it."""

from torch import Tensor, nn

from .checks import Factory, check_input, check_places, image_shape, make, positive


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a skip path around them (He et al. 2016, figure 2).

    skip="threshold": act2 stands behind the sum, so that a threshold there also cuts the skip path,
    ``act2(bn2(conv2(act1(bn1(conv1(x))))) + downsample(x))``. skip="real": no threshold on the way from sum to sum,
    ``bn2(conv2(act2(bn1(conv1(act1(x)))))) + downsample(x)``, the idea of Bi-Real Net (Liu et al. 2018,
    arXiv:1808.00278). Where the shape changes, downsample is a 1x1 convolution with batch norm (option B of He et al.),
    which sees x as it is. Input (B, before, H, W), output (B, width, H', W') with H' = H / stride rounded up.
    """

    EXPANSION = 1

    def __init__(self, activation: Factory, before: int, width: int, stride: int, skip: str = "threshold"):
        super().__init__()
        self.skip = skip
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = make(activation)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(before, width, stride)
        self.act2 = make(activation)

    def forward(self, x: Tensor) -> Tensor:
        if self.skip == "real":
            h = self.bn1(self.conv1(self.act1(x)))
            return self.bn2(self.conv2(self.act2(h))) + self.downsample(x)
        h = self.act1(self.bn1(self.conv1(x)))
        return self.act2(self.bn2(self.conv2(h)) + self.downsample(x))


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3 and 1x1 with batch norm and a skip path around them (He et al. 2016, figure 5).

    The 3x3 one has the stride, as in torchvision; the last has 4 * width channels. skip and downsample as in
    `BasicBlock`: with "threshold" act3 stands behind the sum, with "real" each activation stands before its
    convolution. Input (B, before, H, W), output (B, 4 * width, H', W').
    """

    EXPANSION = 4

    def __init__(self, activation: Factory, before: int, width: int, stride: int, skip: str = "threshold"):
        super().__init__()
        self.skip = skip
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = make(activation)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.act2 = make(activation)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _projection(before, 4 * width, stride)
        self.act3 = make(activation)

    def forward(self, x: Tensor) -> Tensor:
        if self.skip == "real":
            h = self.bn1(self.conv1(self.act1(x)))
            h = self.bn2(self.conv2(self.act2(h)))
            return self.bn3(self.conv3(self.act3(h))) + self.downsample(x)
        h = self.act1(self.bn1(self.conv1(x)))
        h = self.act2(self.bn2(self.conv2(h)))
        return self.act3(self.bn3(self.conv3(h)) + self.downsample(x))


def _projection(before: int, after: int, stride: int) -> nn.Module:
    if stride == 1 and before == after:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


class ResNet(nn.Module):
    """Residual network: a stem, stages that halve the image and double the width, global average, one linear layer.

    depth: 8 and 20, three stages of 1 and 3 `BasicBlock`, widths 16 to 64 (He et al. 2016, section 4.2, with
    projections instead of padded identities); 18 and 34, four stages of basic blocks, widths 64 to 512; 50, 101 and
    152, four stages of `Bottleneck`. form: "small", a 3x3 stem with stride 1, or "imagenet", a 7x7 stem with stride 2
    and a max-pool, for depth 18 and more; names, shapes and number of parameters are then torchvision's.
    skip: "threshold", the paper's: every ReLU replaced, behind the stem and behind each sum. "real": no sum is
    thresholded, activations stand before the convolutions of a block and one before the global average. Parameters and
    number of activations are the same in both: one, plus 2 in a basic block and 3 in a bottleneck (ResNet-18: 17).
    activation: factory. input_shape: (C, H, W). Input (B, C, H, W), output (B, classes). Raises as `MLP` does, and
    ValueError for another depth, form or skip.

    >>> from ftpkit.models import count_parameters
    >>> count_parameters(ResNet(nn.ReLU, depth=20, input_shape=(3, 32, 32)))
    272474
    """

    STAGES = {  # depth: block, width of the first stage, blocks in each
        8: (BasicBlock, 16, (1, 1, 1)),
        18: (BasicBlock, 64, (2, 2, 2, 2)),
        20: (BasicBlock, 16, (3, 3, 3)),
        34: (BasicBlock, 64, (3, 4, 6, 3)),
        50: (Bottleneck, 64, (3, 4, 6, 3)),
        101: (Bottleneck, 64, (3, 4, 23, 3)),
        152: (Bottleneck, 64, (3, 8, 36, 3)),
    }
    FORMS = {"small": tuple(STAGES), "imagenet": (18, 34, 50, 101, 152)}

    def __init__(
        self,
        activation: Factory,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        classes: int = 10,
        depth: int = 20,
        form: str = "small",
        skip: str = "threshold",
    ):
        super().__init__()
        if form not in self.FORMS:
            raise ValueError(f"form is 'small' (3x3 stem) or 'imagenet' (7x7 stem with stride 2), got {form!r}")
        if depth not in self.FORMS[form]:
            depths = ", ".join(map(str, self.FORMS[form]))
            raise ValueError(f"there is no ResNet of depth {depth!r} in form {form!r}; choose from {depths}")
        if skip not in ("threshold", "real"):
            raise ValueError(f"skip is 'threshold' (behind every sum, as the paper's) or 'real', got {skip!r}")
        self.input_shape = channels, rows, cols = image_shape(input_shape, smallest=1)
        block, width, blocks = self.STAGES[depth]
        small, real = form == "small", skip == "real"
        stem = dict(kernel_size=3, padding=1) if small else dict(kernel_size=7, stride=2, padding=3)
        self.conv1 = nn.Conv2d(channels, width, bias=False, **stem)
        self.bn1 = nn.BatchNorm2d(width)
        self.act1 = nn.Identity() if real else make(activation)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        before, stride, shrink = width, 1, 1 if small else 4
        self.layers = [f"layer{s}" for s in range(1, len(blocks) + 1)]
        for name, number in zip(self.layers, blocks, strict=True):
            stage = [block(activation, before, width, stride, skip)]
            before = width * block.EXPANSION
            stage += [block(activation, before, width, 1, skip) for _ in range(number - 1)]
            self.add_module(name, nn.Sequential(*stage))
            width, shrink, stride = 2 * width, shrink * stride, 2
        self.act_last = make(activation) if real else nn.Identity()
        self.fc = nn.Linear(before, positive(classes, "classes"))
        self.norm_values = -(-rows // shrink) * -(-cols // shrink)
        check_places(self)

    def forward(self, x: Tensor) -> Tensor:
        check_input(self, x)
        h = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        for name in self.layers:
            h = getattr(self, name)(h)
        return self.fc(self.act_last(h).mean((2, 3)))
