"""Update rules: a layer loss, a target heuristic, and whether the loss is weighted. A rule is a value, not a class."""

import importlib.util
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from .formula import PREFIX, as_loss
from .losses import Loss, Table


def gradient_sign(g: Tensor, z: Tensor, h: Tensor) -> Tensor:
    """The paper's target heuristic, t = -sign(g) (eq. 2): the side to which a unit's output should move.

    g: gradient of the next layer's loss with respect to h; z: pre-activation; h: output; all of one shape, dimension 0
    the batch. Returns t in {-1, 0, +1} of that shape; a unit with zero gradient gets 0 and is left alone.

    >>> gradient_sign(torch.tensor([0.3, 0.0, -2.0]), None, None).tolist()
    [-1.0, 0.0, 1.0]
    """
    return torch.sign(-g)


@dataclass(frozen=True)
class Rule:
    """How a threshold layer learns: ``loss``, ``targets`` and ``weighted``.

    loss: a `Loss`, its name in `LOSSES`, or "formula:" and a formula (see `ftpkit.formula`). targets: ``(g, z, h) ->
    t`` in {-1, 0, +1}, as `gradient_sign`. weighted: multiply the loss of each unit by abs(g) (eq. 3); an unweighted
    rule takes an explicit scale instead, which the training loop sets to 1 / (global batch). The gradient that a rule
    sends to z is ``loss.derivative(z, t) * (abs(g) if weighted else scale)``, and 0 where t = 0.

    Rules compare, copy and pickle as values. Raises ValueError for an unknown loss name, TypeError for a loss or a
    heuristic that is neither; pickling one that cannot be found again (a lambda, a notebook cell) is refused.

    >>> Rule("Hinge", weighted=False)
    Rule('Hinge', weighted=False)
    """

    loss: Loss | str
    targets: Callable[[Tensor, Tensor, Tensor], Tensor] = gradient_sign
    weighted: bool = True
    name: str = ""
    _origin: str = field(default="", init=False, compare=False, repr=False)  # "my_rules.py:MyRule", from a file

    def __post_init__(self):
        if isinstance(self.loss, str):
            object.__setattr__(self, "loss", as_loss(self.loss))
        if not isinstance(self.loss, Loss):
            raise TypeError(f"a rule's loss is an ftpkit.Loss or its name, not {type(self.loss).__name__}")
        if not callable(self.targets):
            raise TypeError("a rule's targets are a function (g, z, h) -> t with t in {-1, 0, +1}")
        if not self.name:
            object.__setattr__(self, "name", self.loss.name + ("" if self.weighted else " (unweighted)"))

    def __repr__(self):
        if RULES.get(self.name) == self:
            return f"RULES[{self.name!r}]"
        targets = (
            "" if self.targets is gradient_sign else f", targets={getattr(self.targets, '__name__', self.targets)}"
        )
        return f"Rule({self.loss.name!r}{targets}{'' if self.weighted else ', weighted=False'})"

    @property
    def fused(self):
        """The loss's fused backward pass where it holds: weighted, targets by the sign of the gradient; else None."""
        return self.loss.fused if self.weighted and self.targets is gradient_sign else None

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self  # immutable, so a copied model may share it; also where its functions cannot be pickled

    def __reduce__(self):
        if self._origin:
            return as_rule, (self._origin,)
        if _BUILT_IN.get(self.name) == self:
            return as_rule, (self.name,)
        functions = [self.loss.value, self.loss.derivative, self.targets, *filter(None, [self.loss.fused])]
        for function in functions:
            home, path = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
            if home in (None, "__main__") or home.startswith(_FROM_FILE) or "<" in path:
                raise pickle.PicklingError(
                    f"rule {self.name!r} cannot be saved, because {path or function!r} exists only in this session; "
                    f"put the rule into a file, say my_rules.py, and name it 'my_rules.py:MyRule'"
                )
        return Rule, (self.loss, self.targets, self.weighted, self.name)


RULES: dict[str, Rule] = Table({}, kind="rule")
for _name, _loss in {
    "STE": "Linear",
    "SSTE": "ClosedSaturatedHinge",
    "FTP-SH": "SoftHinge",
    "Ramp": "Trapezoid",
    "Sigmoid": "Sigmoid",
    "SaturatedHinge": "SaturatedHinge",
    "Hinge": "Hinge",
    "Perceptron": "Perceptron",
    "LogLoss": "LogLoss",
    "SquaredHinge": "SquaredHinge",
}.items():
    RULES[_name] = Rule(_loss, name=_name)
_BUILT_IN = dict(RULES)  # a new process knows these by name; whatever is added to RULES later it does not
_FROM_FILE = "ftpkit_rules_"  # modules made from a named file, which no new process can import


def as_rule(rule: Rule | str) -> Rule:
    """A `Rule` from itself, its name in `RULES`, a file, "my_rules.py:MyRule", or a formula, "formula:max(0, 1 - t*z)".

    Raises UnknownName (a ValueError) for an unknown name, with the nearest one; FormulaError (a ValueError) for what is
    no formula; FileNotFoundError, AttributeError or TypeError when a named file is missing, lacks the rule, or holds
    something else under that name.

    >>> as_rule("SSTE").loss.name
    'ClosedSaturatedHinge'
    """
    if isinstance(rule, Rule):
        return rule
    if not isinstance(rule, str):
        raise TypeError(f"a rule is an ftpkit.Rule or a name in ftpkit.RULES, not {type(rule).__name__}: {rule!r}")
    if rule.startswith(PREFIX):
        return Rule(rule)
    file, colon, name = rule.rpartition(":")
    return _rule_from_file(rule, Path(file), name) if colon and file.endswith(".py") else RULES[rule]


def _rule_from_file(spec: str, file: Path, name: str) -> Rule:
    if not file.is_file():
        raise FileNotFoundError(f"rule {spec!r}: there is no file {file} in {Path.cwd()}; name it with its folder")
    version = abs(hash((file.resolve(), file.stat().st_mtime_ns)))  # one module per state of the file
    module_name = f"{_FROM_FILE}{file.stem}_{version}"
    if module_name not in sys.modules:
        module_spec = importlib.util.spec_from_file_location(module_name, file)
        sys.modules[module_name] = module = importlib.util.module_from_spec(module_spec)
        try:
            module_spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise
    module = sys.modules[module_name]
    found = getattr(module, name, None)
    if found is None:
        rules = [key for key, value in vars(module).items() if isinstance(value, Rule | Loss)]
        raise AttributeError(f"{file} defines no {name!r}; the rules in it are: {', '.join(rules) or 'none'}")
    if isinstance(found, Loss):
        found = Rule(found)
    if not isinstance(found, Rule):
        raise TypeError(f"{name!r} in {file} is a {type(found).__name__}; it must be an ftpkit.Rule")
    found = replace(found, name=name)
    object.__setattr__(found, "_origin", spec)
    return found
