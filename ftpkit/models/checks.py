"""What all models ask of their arguments and inputs, and how many numbers a model learns."""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

Factory = Callable[[], nn.Module]


def count_parameters(model: nn.Module) -> int:
    """How many numbers the model learns; a parameter used twice counts once.

    >>> count_parameters(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in model.parameters())


def make(activation: Factory) -> nn.Module:
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


def check_places(model: nn.Module) -> None:
    """One module in two places would be seen once by hooks, by `named_children` and by the probe."""
    names = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if module in names:
            raise TypeError(
                f"{names[module]} and {name} are one and the same {type(module).__name__}; the activation factory must "
                f"make a new module at each call, as activation=lambda: ftpkit.Sign('FTP-SH') does"
            )
        names[module] = name


def check_input(model: nn.Module, x: Tensor) -> None:
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


def positive(value: int, name: str) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return value


def sizes(values: Iterable[int], name: str) -> tuple[int, ...]:
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise ValueError(f"{name} must be a tuple of whole numbers, such as (256,), got {values!r}")
    return tuple(positive(value, f"each number of {name}") for value in values)


def image_shape(input_shape: tuple[int, ...], smallest: int) -> tuple[int, int, int]:
    shape = sizes(input_shape, "input_shape")
    if len(shape) != 3 or min(shape[1:]) < smallest:
        raise ValueError(f"input_shape must be (C, H, W) with H and W of at least {smallest}, got {shape}")
    return shape
