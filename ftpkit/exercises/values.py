"""Are two answers the same, and how is a value shown in a line or two?"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType

import numpy as np
import torch
from torch import Tensor

_NUMBERS = bool | int | float | np.number | np.bool_


def same(obtained, expected) -> bool:
    """Numbers and arrays: of one shape and equal up to rounding; texts and collections: equal entry by entry.

    A number may stand for a tensor of one entry without dimensions, a list for a tuple, and a numpy array for a tensor.

    >>> same(torch.tensor([0.1, 0.2]), np.array([0.1, 0.2])), same([1, 2.0], (1.0, 2)), same(0.5, torch.tensor(0.5))
    (True, True, True)
    >>> same(torch.zeros(2), torch.zeros(2, 1)), same("1", 1), same(None, 0)
    (False, False, False)
    """
    if isinstance(expected, Tensor | np.ndarray | _NUMBERS):
        return shape(obtained) == shape(expected) and _close(obtained, expected)
    if isinstance(expected, Mapping):
        return isinstance(obtained, Mapping) and (
            set(obtained) == set(expected) and all(same(obtained[key], expected[key]) for key in expected)
        )
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        return isinstance(obtained, Sequence | np.ndarray | Tensor) and not isinstance(obtained, str) and (
            len(obtained) == len(expected) and all(map(same, obtained, expected))
        )  # fmt: skip
    return bool(obtained == expected)


def shape(value) -> tuple[int, ...] | None:
    """The shape of an array, () of a number, None of anything else.

    >>> shape(torch.zeros(2, 3)), shape(1.5), shape("1.5")
    ((2, 3), (), None)
    """
    if isinstance(value, Tensor | np.ndarray):
        return tuple(value.shape)
    return () if isinstance(value, _NUMBERS) else None


def finite(value) -> bool:
    """Is nothing in it infinite or not a number? What holds no numbers is finite.

    >>> finite(torch.tensor([1.0, float("nan")])), finite([1.0, [2.0]]), finite("nan")
    (False, True, True)
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(map(finite, value))
    return shape(value) is None or bool(np.isfinite(_array(value)).all())


def _array(value) -> np.ndarray:
    value = value.detach().cpu() if isinstance(value, Tensor) else value
    return np.asarray(value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value)


def _close(obtained, expected) -> bool:
    a, b = _array(obtained), _array(expected)
    if a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        return bool((a == b).all())
    return bool(np.allclose(a.astype(np.float64), b.astype(np.float64), rtol=1e-5, atol=1e-6, equal_nan=True))


def show(value) -> str:
    """A value in a line, cut where it is long; arrays with their shape, functions by their name.

    >>> show(torch.tensor([[0.25, -1.0]])), show(1 / 3), show(np.arange(100))
    ('tensor of shape (1, 2): [[0.25, -1]]', '0.333333', 'array of shape (100,): [0, 1, 2, ..., 97, 98, 99]')
    >>> show(show)
    'show'
    """
    if isinstance(value, FunctionType):
        return value.__name__
    if isinstance(value, Tensor | np.ndarray) and value.ndim:
        kind = "tensor" if isinstance(value, Tensor) else "array"
        digits = {"float_kind": lambda x: f"{x + 0.0:.6g}", "bool": str}
        text = np.array2string(_array(value), separator=", ", threshold=24, edgeitems=3, formatter=digits)
        return _cut(f"{kind} of shape {tuple(value.shape)}: {_tight(text)}")
    if isinstance(value, float | np.floating) or (isinstance(value, Tensor) and value.is_floating_point()):
        return f"{float(value) + 0.0:.6g}"
    if isinstance(value, Tensor | np.generic):
        return str(value.item())
    if isinstance(value, list | tuple):
        inside = ", ".join(map(show, value[:12])) + (", ..." if len(value) > 12 else "")
        return _cut(f"[{inside}]" if isinstance(value, list) else f"({inside})")
    return _cut(repr(value))


def _tight(text: str) -> str:
    """Without the blanks that line up the columns of numbers."""
    return re.sub(r"\[ +", "[", re.sub(r", +", ", ", " ".join(text.split())))


def _cut(text: str, length: int = 300) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 4] + " ..."


@dataclass(frozen=True)
class Said:
    """Text for a reader: rendered in a notebook, plain elsewhere."""

    text: str

    def __repr__(self):
        return self.text

    def _repr_markdown_(self):
        return self.text
