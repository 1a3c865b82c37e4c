"""What a formula may be made of, and the tree that its text is; whatever is not listed here is refused."""

import ast
import difflib
import operator
import re
import warnings
from functools import reduce

import torch
import torch.nn.functional as F

LONGEST, LARGEST, STEEPEST = 200, 1e6, 20  # characters in a formula, size of a number, of an exponent

# name -> what it does, and how many arguments it takes
FUNCTIONS = {
    "abs": (torch.abs, (1,)),
    "clamp": (lambda x, low, high: torch.minimum(torch.maximum(x, low), high), (3,)),
    "exp": (torch.exp, (1,)),
    "log": (torch.log, (1,)),
    "max": (lambda *xs: reduce(torch.maximum, xs), range(2, 9)),
    "min": (lambda *xs: reduce(torch.minimum, xs), range(2, 9)),
    "sigmoid": (torch.sigmoid, (1,)),
    "sign": (torch.sign, (1,)),
    "softplus": (F.softplus, (1,)),
    "sqrt": (torch.sqrt, (1,)),
    "tanh": (torch.tanh, (1,)),
    "where": (lambda condition, x, y: torch.where(condition != 0, x, y), (3,)),
}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
SIGNS = {ast.USub: operator.neg, ast.UAdd: operator.pos}
COMPARISONS = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
NAMES = ("z", "t", "a")
KNOWN = f"known are {', '.join(NAMES)}, numbers, + - * / **, < <= > >= == !=, and {', '.join(FUNCTIONS)}"


class FormulaError(ValueError):
    """A formula that is no layer loss: one sentence that says what is wrong, and where."""


def tree_of(text: str, longest: int = LONGEST) -> ast.expr:
    """The tree of a text in which everything is known; raises FormulaError."""
    if not text:
        raise FormulaError(f"the formula is empty; {KNOWN}")
    if len(text) > longest:
        raise FormulaError(f"a formula has at most {LONGEST} characters, and this one has {len(text)}")
    strange = re.search(r"[^A-Za-z0-9_ .,+\-*/()<>=!^|&%]", text)
    if strange:
        raise FormulaError(_unknown(repr(strange.group()), text, strange.start()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "1if" and the like; such a text is refused below
            tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        product = re.search(r"[\w.)] +[\w.(]|\d[a-df-zA-Z(]|\)[\w(]", text)
        where = product.start() + 1 if product else min(error.offset or 1, len(text))
        hint = "; a product is written with a star, t*z" if product else ""
        raise FormulaError(f"{text!r} cannot be read at character {where}: {error.msg}{hint}") from None
    except (ValueError, MemoryError, RecursionError):
        raise FormulaError(f"{text!r} cannot be read: it is nested too deeply or holds a number that is none") from None
    _check(tree, text)
    if not any(isinstance(node, ast.Name) and node.id == "z" for node in ast.walk(tree)):
        raise FormulaError(f"{text!r} does not look at z, so there is nothing to learn from; {KNOWN}")
    return tree


def _unknown(what: str, text: str, place: int, hint: str = "") -> str:
    return f"{what} at character {place + 1} of {text!r} is not known{hint}; {KNOWN}"


def _check(node: ast.expr, text: str) -> None:
    """Raise FormulaError for the first part of the tree that is not on the list."""
    here = node.col_offset
    match node:
        case ast.Constant() if type(node.value) in (int, float):
            if not abs(node.value) <= LARGEST:
                raise FormulaError(f"the number at character {here + 1} of {text!r} is above {LARGEST:g}")
        case ast.Name():
            if node.id in FUNCTIONS:
                raise FormulaError(f"{node.id!r} at character {here + 1} of {text!r} wants its arguments in brackets")
            if node.id not in NAMES:
                raise FormulaError(_unknown(repr(node.id), text, here, _near(node.id)))
        case ast.UnaryOp() if type(node.op) in SIGNS:
            _check(node.operand, text)
        case ast.BinOp() if type(node.op) is ast.Pow:
            _check(node.left, text)
            _check(node.right, text)
            exponent = exponent_of(node.right)
            if exponent is None or not abs(exponent) <= STEEPEST:
                raise FormulaError(
                    f"the exponent at character {node.right.col_offset + 1} of {text!r} must be a number, "
                    f"at most {STEEPEST}, or a"
                )
        case ast.BinOp() if type(node.op) in OPERATORS:
            _check(node.left, text)
            _check(node.right, text)
        case ast.BinOp() if type(node.op) is ast.BitXor:
            raise FormulaError(f"'^' in {text!r} is not known: a power is written with two stars, z**2")
        case ast.Compare() if all(type(op) in COMPARISONS for op in node.ops):
            for each in (node.left, *node.comparators):
                _check(each, text)
        case ast.Call() if isinstance(node.func, ast.Name) and not node.keywords:
            _check_call(node, text)
        case _:
            raise FormulaError(_unknown(repr(ast.get_source_segment(text, node)), text, here))


def _check_call(node: ast.Call, text: str) -> None:
    name, here = node.func.id, node.col_offset
    if name in NAMES:
        raise FormulaError(
            f"{name!r} at character {here + 1} of {text!r} is no function; "
            f"a product is written with a star, {name}*(...)"
        )
    if name not in FUNCTIONS:
        raise FormulaError(_unknown(repr(name), text, here, _near(name)))
    counts = FUNCTIONS[name][1]
    if len(node.args) not in counts:
        wanted = counts[0] if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        raise FormulaError(
            f"{name!r} at character {here + 1} of {text!r} takes {wanted} argument{'s' * (wanted != 1)}, "
            f"not {len(node.args)}"
        )
    for each in node.args:
        _check(each, text)


def _near(name: str) -> str:
    if set(name) <= set(NAMES):
        return f" (did you mean {'*'.join(name)!r}?)"
    near = difflib.get_close_matches(name.lower(), [*FUNCTIONS, *NAMES], n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def exponent_of(node: ast.expr) -> float | None:
    """The number that an exponent is, 1 for the parameter a (its size is looked at when it is known), else None."""
    match node:
        case ast.UnaryOp():
            inner = exponent_of(node.operand)
            return None if inner is None else SIGNS[type(node.op)](inner)
        case ast.Constant():
            return float(node.value)
        case ast.Name(id="a"):
            return 1.0
    return None
