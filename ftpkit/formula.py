"""A layer loss from a formula that somebody typed: ``max(0, 1 - t*z)**2``.

The text is never run as Python. It is read into a tree, every part of the tree is looked up in a short list of what is
known, and the tree is then worked out with torch. What is not on the list is refused with one sentence.
"""

import ast
from dataclasses import InitVar, dataclass, field
from functools import lru_cache, partial, reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from .grammar import COMPARISONS, FUNCTIONS, LARGEST, LONGEST, OPERATORS, SIGNS, FormulaError, exponent_of, tree_of
from .losses import LOSSES, Loss

PREFIX = "formula:"  # what a formula is called by wherever the name of a loss or rule is asked for


@dataclass(frozen=True)
class Formula:
    """The loss L(z, t) that a text stands for; called with z and t it gives the value, in z's shape and dtype.

    text: made of z, t, the parameter a, numbers below 1e6, + - * / **, comparisons (1 where true, else 0) and the
    functions in `grammar.FUNCTIONS`; ``where(condition, x, y)`` is x where the condition holds, else y. An exponent is
    a number of size 20 or less, or a. a: a number, written into the text in place of the letter. At most 200
    characters. Where two arguments of max, min or clamp are equal the derivative is the mean of both.

    Formulas compare, hash and pickle as their text. Raises FormulaError (a ValueError) with one sentence for all else,
    for a text without z, and for a loss whose value or derivative is not finite somewhere on -20 <= z <= 20.

    >>> Formula("tanh(-a * t*z) + 1", a=2)
    Formula(text='tanh(-2 * t*z) + 1')
    >>> Formula("max(0, 1 - t*z)**2")(torch.tensor([-1.0, 0.5, 2.0]), 1).tolist()
    [4.0, 0.25, 0.0]
    >>> Formula("exp(-t*y)")
    Traceback (most recent call last):
    ...
    ftpkit.grammar.FormulaError: 'y' at character 8 of 'exp(-t*y)' is not known; known are z, t, a, numbers, ...
    """

    text: str
    a: InitVar[float] = 1.0
    _tree: ast.expr = field(init=False, compare=False, repr=False)

    def __post_init__(self, a):
        text, tree = _read(self.text, float(a))
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "_tree", tree)

    def __call__(self, z: Tensor, t: float | Tensor) -> Tensor:
        return _worked_out(self._tree, z, t)

    def __reduce__(self):
        return Formula, (self.text,)

    def derivative(self) -> "Derivative":
        return Derivative(self)

    def loss(self) -> Loss:
        """The layer loss, whose name is "formula:" and the text.

        >>> Formula("max(0, 1 - t*z)").loss().derivative(torch.tensor([-3.0, 0.0]), -1).tolist()
        [0.0, 1.0]
        """
        return Loss(PREFIX + self.text, self, self.derivative(), self.text, "a formula of one's own")


@dataclass(frozen=True)
class Derivative:
    """The derivative of a formula with respect to z, by torch's automatic differentiation.

    >>> Derivative(Formula("tanh(-t*z) + 1"))(torch.tensor([0.0]), -1).tolist()
    [1.0]
    """

    formula: Formula

    def __call__(self, z: Tensor, t: float | Tensor) -> Tensor:
        return torch.func.grad(lambda z: self.formula(z, t).sum())(z)


def as_loss(loss: Loss | str) -> Loss:
    """A `Loss` from itself, from its name in `LOSSES`, or from "formula:" and a formula.

    Raises UnknownName (a ValueError) for an unknown name, FormulaError (a ValueError) for what is no formula.

    >>> as_loss("formula:max(0, -t*z)").name
    'formula:max(0, -t*z)'
    """
    if isinstance(loss, str) and loss.startswith(PREFIX):
        return Formula(loss.removeprefix(PREFIX)).loss()
    return LOSSES[loss] if isinstance(loss, str) else loss


# --- reading ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=200)
def _read(text: str, a: float) -> tuple[str, ast.expr]:
    """The text with a's value in its place, and its tree."""
    if not isinstance(text, str):
        raise TypeError(f"a formula is a text such as 'max(0, 1 - t*z)', not {type(text).__name__}")
    text = " ".join(text.split())
    tree = tree_of(text)
    letters = [node.col_offset for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "a"]
    if letters:
        if not 0 < a <= LARGEST:
            raise FormulaError(f"the parameter a is a number above 0 and at most {LARGEST:g}, not {a:g}")
        for place in sorted(letters, reverse=True):
            text = f"{text[:place]}{a:g}{text[place + 1 :]}"
        tree = tree_of(text, longest=2 * LONGEST)
    _check_finite(text, tree)
    return text, tree


# --- working it out --------------------------------------------------------------------------------------------


def _worked_out(tree: ast.expr, z: Tensor, t: float | Tensor) -> Tensor:
    t = torch.as_tensor(t, dtype=z.dtype, device=z.device)
    return _value(tree, {"z": z, "t": t}).to(z.dtype).expand(z.shape)


def _value(node: ast.expr, known: dict[str, Tensor]) -> Tensor:
    """The tree's value; numbers are tensors without dimensions, which take over the dtype of what they meet."""
    match node:
        case ast.Constant():
            return torch.full((), float(node.value), dtype=known["z"].dtype, device=known["z"].device)
        case ast.Name():
            return known[node.id]
        case ast.UnaryOp():
            return SIGNS[type(node.op)](_value(node.operand, known))
        case ast.BinOp(op=ast.Pow()):
            return _value(node.left, known) ** exponent_of(node.right)
        case ast.BinOp():
            return OPERATORS[type(node.op)](_value(node.left, known), _value(node.right, known))
        case ast.Compare():
            sides = [_value(each, known) for each in (node.left, *node.comparators)]
            true = [COMPARISONS[type(op)](*pair) for op, *pair in zip(node.ops, sides, sides[1:], strict=False)]
            return reduce(torch.logical_and, true).to(known["z"].dtype)
        case ast.Call(func=ast.Name(id="log"), args=[ast.BinOp(op=ast.Add(), left=left, right=right)]):
            for one, exp in ((left, right), (right, left)):
                match one, exp:
                    case ast.Constant(value=1), ast.Call(func=ast.Name(id="exp"), args=[x]):
                        return F.softplus(_value(x, known))  # log(1 + exp(x)) without the overflow
            return torch.log(_value(left, known) + _value(right, known))
        case ast.Call():
            return FUNCTIONS[node.func.id][0](*(_value(each, known) for each in node.args))


def _check_finite(text: str, tree: ast.expr) -> None:
    z = torch.arange(-20 * 16, 20 * 16 + 1, dtype=torch.float64) / 16
    for sign in (-1, 1):
        value = partial(_worked_out, tree, t=sign)
        for what, out in (("loss", value(z)), ("derivative", torch.func.grad(lambda z, f=value: f(z).sum())(z))):
            bad = z[~out.isfinite()]
            if len(bad):
                place = bad[bad.abs().argmin()].item()
                both = " (where() works out both its branches)" if what == "derivative" and "where" in text else ""
                raise FormulaError(
                    f"{text!r} is no layer loss: "
                    f"at z = {place:g}, t = {sign:+d} the {what} is not a finite number{both}"
                )
