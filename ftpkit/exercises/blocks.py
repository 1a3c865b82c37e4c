"""The exercise of notebook 07 about the block that keeps the skip path real."""

import torch
from torch import Tensor, nn

from .card import Case, Exercise, Property


class RealBlock(nn.Module):
    """A residual block of thresholds whose skip path carries the input as it is.

    RealBlock(activation, before, width, stride). activation: a factory, called once for each of the two thresholds,
    such as `lambda: Sign("SSTE")`. Its layers have the names and shapes of `Block`: conv1, bn1, conv2, bn2, skip (a 1x1
    convolution with batch norm where the shape changes, else nothing with weights). forward(x): x of shape
    (images, before, rows, columns), any numbers. Returns (images, width, rows / stride, columns / stride).
    """

    def __init__(self, activation, before, width, stride):
        super().__init__()
        self.act1 = activation()
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act2 = activation()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.skip = nn.Identity()
        if stride > 1 or before != width:
            self.skip = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        h = self.bn1(self.conv1(self.act1(x)))
        return self.bn2(self.conv2(self.act2(h))) + self.skip(x)


def _branch(b, x):
    return b.bn2(b.conv2(b.act2(b.bn1(b.conv1(b.act1(x))))))


def _papers_branch(b, x):
    return b.bn2(b.conv2(b.act1(b.bn1(b.conv1(x)))))


_WIRINGS = {
    "That is the paper's block: where can its second threshold stand, if not behind the sum?": lambda b, x: b.act2(
        _papers_branch(b, x) + b.skip(x)
    ),
    "The branch is right, but there is still a threshold behind the sum.": lambda b, x: b.act2(
        _branch(b, x) + b.skip(x)
    ),
    "x meets a threshold on its way to the sum: the skip path carries x itself, as it is.": lambda b, x: (
        _branch(b, x) + b.skip(b.act1(x))
    ),
    "Each threshold stands behind a batch norm: conv1 sees real numbers, the sum coarse ones.": lambda b, x: (
        b.act2(_papers_branch(b, x)) + b.skip(x)
    ),
    "The thresholds stand between convolution and batch norm: they belong in front of the convolutions.": lambda b, x: (
        b.bn2(b.act2(b.conv2(b.bn1(b.act1(b.conv1(x)))))) + b.skip(x)
    ),
    "Batch norm stands in front of the convolutions: in the figure it stands behind them.": lambda b, x: (
        b.conv2(b.act2(b.bn2(b.conv1(b.act1(b.bn1(x)))))) + b.skip(x)
    ),
    "conv1 sees real numbers: one of the two thresholds is never called.": lambda b, x: (
        _papers_branch(b, x) + b.skip(x)
    ),
    "conv2 sees real numbers: one of the two thresholds is never called.": lambda b, x: (
        b.bn2(b.conv2(b.bn1(b.conv1(b.act1(x))))) + b.skip(x)
    ),
    "conv2 sees real numbers: the threshold that stands behind the sum belongs in front of it.": lambda b, x: b.act2(
        b.bn2(b.conv2(b.bn1(b.conv1(b.act1(x))))) + b.skip(x)
    ),
    "No threshold is called: both convolutions see real numbers.": lambda b, x: (
        b.bn2(b.conv2(b.bn1(b.conv1(x)))) + b.skip(x)
    ),
    "bn2 belongs to the branch: here the sum passes it, and with it what the skip path carries.": lambda b, x: b.bn2(
        b.conv2(b.act2(b.bn1(b.conv1(b.act1(x))))) + b.skip(x)
    ),
    "The convolutions and the thresholds are right, but no batch norm is called.": lambda b, x: (
        b.conv2(b.act2(b.conv1(b.act1(x)))) + b.skip(x)
    ),
    "The branch is right, but what went into the block is not added.": lambda b, x: _branch(b, x),
    "That is the skip path alone.": lambda b, x: b.skip(x),
}


def _wrong_weights(block: nn.Module, right: nn.Module) -> str:
    """Do its weights differ from those of the right block in name or shape?"""
    mine, theirs = ({k: tuple(v.shape) for k, v in each.state_dict().items()} for each in (block, right))
    on_skip_path = any(key.startswith("skip.") for key in theirs)
    if mine == theirs:
        return ""
    if not on_skip_path and any(key.startswith("skip.") for key in mine):
        return "The shape does not change here, so the skip path needs no convolution: it carries x as it is."
    if on_skip_path and not any(key.startswith("skip.") for key in mine):
        return "The shape changes here: the skip path, `skip`, needs a 1x1 convolution with batch norm, as in Block."
    if any(key.startswith("conv") and key.endswith("bias") for key in mine):
        return "A convolution has a bias: batch norm takes it away again, and Block has none."
    if more := sorted(mine.keys() - theirs.keys()):
        return f"It has weights that Block does not have: {', '.join(more[:4])}. Parameters and names are to stay."
    if missing := sorted(theirs.keys() - mine.keys()):
        return f"It lacks weights that Block has: {', '.join(missing[:4])}. Layers are found by their names."
    key = next(key for key in theirs if mine[key] != theirs[key])
    return f"{key} has the shape {mine[key]}, in Block {theirs[key]}."


def _wrong_block(activation: type[nn.Module], before: int, width: int, stride: int, images: int = 3):
    def wrong(block) -> str:
        if not isinstance(block, nn.Module):
            return "It is to be a class that inherits from nn.Module, with __init__ and forward."
        torch.manual_seed(0)
        right = RealBlock(activation, before, width, stride)
        if amiss := _wrong_weights(block, right):
            return amiss
        thresholds = sum(isinstance(module, activation) for module in block.modules())
        if thresholds == 1:
            return "There is one module made by activation(): call the factory once for each of the two thresholds."
        if thresholds != 2:
            return f"It holds {thresholds} modules made by activation(), and two are wanted, made in __init__."
        block.load_state_dict(right.state_dict())
        return _wrong_outputs(block, right, torch.randn(images, before, 6, 4))

    return wrong


def _computes(wiring, right, x: Tensor, obtained: Tensor) -> bool:
    """Does this wiring of the right block give what was obtained? Not where its layers do not fit one another."""
    try:
        return torch.allclose(obtained, wiring(right, x), atol=1e-5)
    except RuntimeError:
        return False


def _wrong_outputs(block, right, x: Tensor) -> str:
    leaves = [x.clone().requires_grad_() for _ in range(2)]
    try:
        obtained = block(leaves[0])
    except Exception as error:
        if "in-place" in str(error):
            return "forward changes its input in place, and torch refuses: write x + ..., not x += ..."
        way = " (Does x pass self.skip on its way to the sum?)"
        if isinstance(right.skip, nn.Identity):
            way = " (Has each 3x3 convolution padding=1?)" if "size of tensor" in str(error) else ""
        return f"forward raises {type(error).__name__} on x of shape {tuple(x.shape)}: {error}{way}"
    expected = right(leaves[1])
    if not isinstance(obtained, Tensor):
        return "forward gives back no tensor: does it end with `return`?"
    if obtained.shape != expected.shape:
        return (
            f"forward gives the shape {tuple(obtained.shape)}, and {tuple(expected.shape)} is wanted: where is stride?"
        )
    if not torch.equal(leaves[0].detach(), x):
        return "forward changes its input x: make no use of x += ... or of other operations in place."
    if not torch.allclose(obtained, expected, atol=1e-5):
        known = (hint for hint, wiring in _WIRINGS.items() if _computes(wiring, right, x, obtained))
        if getattr(block.conv1, "stride", right.conv1.stride) != right.conv1.stride:
            return "In Block conv1 has the stride, and conv2 sees the smaller image."
        return next(known, "forward computes something else. Follow the right-hand figure from x upwards.")
    if not obtained.requires_grad:
        return "forward runs without gradients: nothing could be learned."
    weight = torch.randn_like(expected)
    for out in (obtained, expected):
        out.backward(weight)
    if leaves[0].grad is None or not torch.allclose(leaves[0].grad, leaves[1].grad, atol=1e-4):
        return "The outputs are right, but the gradient of x is not: is something detached?"
    return ""


def _block_cases():
    def case(about, activation, before, width, stride, images=3):
        wanted = "two thresholds in the branch, none on the skip path, the weights of Block"
        given = (activation, before, width, stride)
        return Case(about, given, Property(wanted, _wrong_block(activation, before, width, stride, images)))

    yield case("the shape stays; a smooth activation shows more than a threshold", nn.Tanh, 4, 4, 1)
    yield case("half the size, twice the maps", nn.Tanh, 4, 8, 2)
    yield case("more maps, the same size", nn.Hardtanh, 2, 6, 1)
    yield case("half the size, as many maps", nn.Tanh, 4, 4, 2)
    yield case("a batch of one image", nn.Hardtanh, 3, 3, 1, images=1)


_BLOCK = Exercise(
    notebook="07",
    title="a residual block that keeps the skip path real",
    goal="move two thresholds, and nothing else.",
    difficulty="middling",
    minutes=15,
    reference=RealBlock,
    cases=_block_cases,
    mistakes=(),
    hints=(
        "Which two places do the thresholds of the right-hand figure have, and what stands behind its sum?",
        "Copy `Block`; make two activations in __init__ and call them as self.act1 and self.act2 in forward.",
        "Branch: act1, conv1, bn1, act2, conv2, bn2. Then add self.skip(x), with the x that forward was given.",
    ),
    explanation=(
        "Each convolution still sees thresholded numbers, and weights and thresholds are as many as before. But from "
        "sum to sum nothing cuts the stream, so that signal and gradient pass at least along the skip path."
    ),
)

EXERCISES = (_BLOCK,)
