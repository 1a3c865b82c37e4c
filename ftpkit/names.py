"""What a name on a command line stands for: an activation with its rule, a network, and how figures call them."""

from collections.abc import Callable
from functools import partial

from torch import nn

from . import models
from .activations import QuantReLU, SaturatedReLU, Sign, Step
from .losses import Table, UnknownName
from .rules import as_rule

_STAIRCASE = "staircase-K:RULE"

NETWORKS: dict[str, Callable[..., nn.Module]] = Table(
    {
        "mlp": models.MLP,
        "convnet4": models.ConvNet4,
        "convnet8": models.ConvNet8,
        "alexnet": models.AlexNet,
        **{f"resnet{depth}": partial(models.ResNet, depth=depth) for depth in models.ResNet.FORMS["small"]},
        **{
            f"imagenet-resnet{depth}": partial(models.ResNet, depth=depth, form="imagenet")
            for depth in models.ResNet.FORMS["imagenet"]
        },
        **{f"resnet{depth}-real": partial(models.ResNet, depth=depth, skip="real") for depth in (8, 18, 20)},
    },
    kind="network",
)
"""Network by name, called as ``(activation, input_shape, classes)``; activation is a factory, see `as_activation`.

"resnet18" is for small images, "imagenet-resnet18" has the 7x7 stem, "resnet18-real" no threshold on the skip path.
"""


def as_activation(contestant: str) -> Callable[[], nn.Module]:
    """The activation factory that a contestant's name stands for.

    "relu", "saturated-relu", "sign:RULE", "step:RULE", "staircase-K:RULE" with K steps; RULE as for `as_rule`, so a
    rule from a file races as "sign:my_rules.py:MyRule". Raises UnknownName (a ValueError) for anything else.

    >>> as_activation("staircase-3:FTP-SH")()
    QuantReLU(3, 'FTP-SH')
    """
    kind, _, rule = contestant.partition(":")
    if rule and kind.startswith("staircase-") and kind[10:].isdigit():
        return partial(QuantReLU, int(kind[10:]), as_rule(rule))
    factory = Table(
        {"relu": nn.ReLU, "saturated-relu": SaturatedReLU, "sign:RULE": Sign, "step:RULE": Step, _STAIRCASE: None},
        kind="activation",
    )[f"{kind}:RULE" if rule else contestant]
    if factory is None:
        raise UnknownName(f"{_STAIRCASE} wants a number for K and the name of a rule, as staircase-3:FTP-SH")
    return partial(factory, as_rule(rule)) if rule else factory


def label(contestant: str) -> str:
    """How figures and tables call a contestant.

    >>> [label(c) for c in ("relu", "saturated-relu", "sign:FTP-SH", "staircase-3:SSTE")]
    ['ReLU', 'Saturated ReLU', 'FTP-SH', 'SSTE, 3 steps']
    """
    kind, _, rule = contestant.partition(":")
    rule = rule.rpartition(":")[2]  # of my_rules.py:MyRule, the name
    if kind.startswith("staircase-"):
        return f"{rule}, {kind[10:]} steps"
    return {"relu": "ReLU", "saturated-relu": "Saturated ReLU", "sign": rule, "step": f"{rule}, step"}[kind]
