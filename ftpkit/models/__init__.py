"""Networks that take their activation as an argument, and `harden`, which gives thresholds to any other.

``activation`` is a factory, called once for each place where the network wants one: ``nn.ReLU``, or
``lambda: ftpkit.Sign("FTP-SH")``. Weights start as PyTorch's layers start them. Every model checks the shape of what it
is fed, and does not mind torch.compile, pickle and deepcopy.
"""

from .checks import Factory, count_parameters
from .convnets import AlexNet, ConvNet4, ConvNet8
from .harden import Hardened, harden
from .mlp import MLP
from .resnet import BasicBlock, Bottleneck, ResNet

__all__ = [
    "MLP",
    "AlexNet",
    "BasicBlock",
    "Bottleneck",
    "ConvNet4",
    "ConvNet8",
    "Factory",
    "Hardened",
    "ResNet",
    "count_parameters",
    "harden",
]
