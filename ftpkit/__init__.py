"""ftpkit: learn deep networks of hard-threshold units by target propagation (Friesen and Domingos, ICLR 2018)."""

from importlib.metadata import PackageNotFoundError, version

from .activations import (
    QuantReLU,
    SaturatedReLU,
    Sign,
    Step,
    quant_relu,
    saturated_relu,
    set_scale,
    sign,
    step,
)
from .losses import LOSSES, Loss
from .rules import RULES, Rule, as_rule, gradient_sign

try:
    __version__ = version("ftpkit")
except PackageNotFoundError:  # used from a folder on a machine where it was never installed
    __version__ = "not installed"

__all__ = [
    "LOSSES",
    "RULES",
    "Loss",
    "QuantReLU",
    "Rule",
    "SaturatedReLU",
    "Sign",
    "Step",
    "as_rule",
    "gradient_sign",
    "quant_relu",
    "saturated_relu",
    "set_scale",
    "sign",
    "step",
]
