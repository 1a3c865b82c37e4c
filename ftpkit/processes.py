"""Training by several processes: torch.distributed does the work, this says who takes part."""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Processes:
    """This process among those that train one network together: rank 0 ... world - 1."""

    rank: int = 0
    world: int = 1

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model that averages its gradients over all processes; alone, the model itself."""
        return model

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them."""
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process: what one is told, all do."""
        return flag


ALONE = Processes()
