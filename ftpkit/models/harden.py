"""Hard thresholds for any network: `harden` puts new activations where a model has ReLUs and their like."""

import copy
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import fx, nn

from ..activations import Activation
from .checks import Factory, make
from .rewrite import BLIND, Unseen, install, names, read, redirect

_RELU_LIKE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.Hardtanh, nn.Softplus, nn.Threshold),
)
_OTHERS = (
    *(nn.Sigmoid, nn.Hardsigmoid, nn.Tanh, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin, nn.LogSigmoid, nn.GLU),
    *(nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink),
)


def _functions(known: str) -> dict[object, str]:
    """Everything under which torch knows these functions: functions as they are, methods of a tensor by name."""
    named = [(name + end, name) for name in known.split() for end in ("", "_")]
    found = {getattr(home, name): to for home in (F, torch) for name, to in named if hasattr(home, name)}
    return found | {name: to for name, to in named if hasattr(torch.Tensor, name)}


_RELU_LIKE_FUNCTIONS = _functions(
    "relu relu6 leaky_relu prelu rrelu elu celu selu gelu silu mish hardswish hardtanh softplus threshold"
)
_NAMES = {getattr(function, "__name__", function) for function in _RELU_LIKE_FUNCTIONS}
_OTHER_FUNCTIONS = _functions(
    "sigmoid hardsigmoid tanh softmax log_softmax softmin logsigmoid glu softsign softshrink hardshrink tanhshrink"
)
_CLAMPS = _functions("clamp clamp_min clip")


@dataclass(frozen=True)
class Hardened:
    """What `harden` made: the model, what it ``replaced`` and what it ``left``, a sentence each; str() says it all."""

    model: nn.Module = field(repr=False)
    replaced: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        lines = []
        for name, sentences in (("replaced", self.replaced), ("left", self.left)):
            lines += [f"{name}:" if sentences else f"{name}: nothing", *(f"  {sentence}" for sentence in sentences)]
        return "\n".join(lines)


def harden(model: nn.Module, activation: Factory) -> Hardened:
    """A copy of any model in which new activations stand where it has ReLUs and their like; the model stays as it is.

    Replaced are the modules ReLU, ReLU6, LeakyReLU, PReLU, RReLU, ELU, CELU, SELU, GELU, SiLU, Mish, Hardswish,
    Hardtanh, Softplus and Threshold with their subclasses, and the functions and methods of those names where torch.fx
    sees them called. A module that a forward pass calls several times becomes as many. Sigmoid, Tanh, Softmax and other
    gates and outputs are left, thresholds of this kit too. All weights keep their names, but a PReLU's go with it.

    activation: factory, called once for each place. Each forward pass is read by itself, without running it on data,
    and rewritten only where it calls functions or calls one activation several times; the module keeps its class as a
    base. Where that cannot be done (calls that depend on data, on chance or on optional arguments), activations that
    are modules are replaced all the same, each by one however often it is called, and `left` names the rest. What an
    in-place activation does to its input besides is kept where one forward pass shows both. Raises TypeError for a
    model that is no nn.Module, or is compiled, scripted or wrapped for several devices, and as `MLP` does for an
    activation that is no factory.

    >>> hardened = harden(nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid()), nn.Hardtanh)
    >>> print(hardened)
    replaced:
      1: ReLU -> Hardtanh
    left:
      3: Sigmoid is a gate or an output, not ReLU-like
    >>> hardened.model[1]
    Hardtanh(min_val=-1.0, max_val=1.0)
    """
    return _Harden(_copy(model), activation).run()


def _copy(model: nn.Module) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise TypeError(f"harden takes a model, an object of a torch.nn.Module, not {model!r}")
    for module in model.modules():
        home, kind = type(module).__module__, type(module).__name__
        if isinstance(module, torch.jit.ScriptModule) or home.startswith(("torch._dynamo", "torch.nn.parallel")):
            raise TypeError(f"{kind} cannot be taken apart: harden the model first, then script, compile or wrap it")
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever the model's own attributes raise
        raise TypeError(f"harden works on a copy, and this {type(model).__name__} cannot be copied: {error}") from error


@dataclass
class _Place:
    """Where something was replaced: what it was, what it is now, and the names under which it is called now."""

    where: str
    was: str
    now: str = ""
    inplace: bool = False
    note: str = ""
    calls: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        times = f" (called {len(self.calls)} times)" if len(self.calls) > 1 else ""
        names = f" as {', '.join(self.calls)}" if set(self.calls) - {self.where} else ""
        return f"{self.where}{times}: {self.was} -> {self.now}{names}{self.note}"


class _Harden:
    """One run of `harden` over a model that may be changed."""

    def __init__(self, model: nn.Module, activation: Factory):
        self.model, self.activation = model, activation
        self.device = next((parameter.device for parameter in model.parameters()), None)
        self.made: set[nn.Module] = set()
        self.places: dict[object, _Place] = {}  # by the new module, or by the forward pass and the function's name
        self.left: list[str] = []
        self.unread: dict[tuple[type, str], list[str]] = {}  # by class and reason: where

    def run(self) -> Hardened:
        if isinstance(self.model, _RELU_LIKE):
            now = self.new(self.model.training)
            return Hardened(now, (f"the model itself: {_kind(self.model)} -> {_kind(now)}",), ())
        modules = list(self.model.named_modules())
        for path, parent in modules:
            for name, child in list(parent._modules.items()):
                self.replace_module(parent, name, child, _join(path, name))
            self.mend_transformer(parent, path)
        for path, module in modules:
            home = str(type(module).forward.__module__)
            if not home.startswith(("torch.", "ftpkit.")) and not isinstance(module, _RELU_LIKE):  # own, with functions
                self.replace_calls(module, path)
        for (kind, reason), paths in self.unread.items():
            also = f" and {len(paths) - 1} more {kind.__name__}" if len(paths) > 1 else ""
            self.left.append(f"{_forward(paths[0])}{also}: {reason}")
        order = {name: position for position, (name, _) in enumerate(self.model.named_modules())}
        places = sorted(self.places.values(), key=lambda place: order[(*place.calls, place.where)[0]])
        return Hardened(self.model, tuple(map(str, places)), tuple(dict.fromkeys(self.left)))

    def new(self, training: bool) -> nn.Module:
        made = make(self.activation)
        if made in self.made:
            raise TypeError(
                f"the activation factory must make a new module at each call, as lambda: ftpkit.Sign('FTP-SH') does; "
                f"it made the same {_kind(made)} twice"
            )
        self.made.add(made)
        return made.to(self.device).train(training)

    def replace_module(self, parent: nn.Module, name: str, child: nn.Module | None, where: str) -> None:
        if isinstance(child, _RELU_LIKE):
            now = self.new(child.training)
            setattr(parent, name, now)
            hooks = len(child._forward_hooks) + len(child._forward_pre_hooks) + len(child._backward_hooks)
            gone = {"weights": sum(p.numel() for p in child.parameters()), "hooks": hooks}
            note = "".join(f", without its {what} ({number})" for what, number in gone.items() if number)
            self.places[now] = _Place(where, _kind(child), _kind(now), getattr(child, "inplace", False), note)
        elif isinstance(child, Activation):
            self.left.append(f"{where}: {_kind(child)} is one of this kit already")
        elif isinstance(child, _OTHERS):
            self.left.append(f"{where}: {_kind(child)} is a gate or an output, not ReLU-like")
        elif getattr(child, "nonlinearity", None) == "relu" and isinstance(child, (nn.RNN, nn.RNNCell)):
            self.left.append(f"{where}: {_kind(child)} has its ReLU inside PyTorch's own code")

    def mend_transformer(self, module: nn.Module, path: str) -> None:
        """PyTorch's own layers keep their activation as a function, and a fast path that knows ReLU and GELU only."""
        if isinstance(module, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
            if not isinstance(module.activation, nn.Module) and module.activation in _RELU_LIKE_FUNCTIONS:
                was, now = _RELU_LIKE_FUNCTIONS[module.activation], self.new(module.training)
                module.activation = now
                self.places[now] = _Place(_join(path, "activation"), f"{was}()", _kind(now))
            module.activation_relu_or_gelu = 0
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False

    def replace_calls(self, module: nn.Module, path: str) -> None:
        """In one forward pass, functions become modules, and an activation that is called several times several."""
        there = names(module)
        attributes = {name for name in there if any(vars(module).get(name) is f for f in _RELU_LIKE_FUNCTIONS)}
        named = sorted(f"{name}()" for name in _NAMES & there - set(module._modules) | attributes)
        try:
            graphs = read(module)
            calls = [[node for node in graph.nodes if self.is_call(module, node)] for graph in graphs.values()]
            targets = [[node.target for node in nodes] for nodes in calls]
            if targets[0] != targets[-1]:
                raise Unseen("it calls other activations in training than in evaluation")
            blind = sorted(BLIND & there)
            if blind and (named or len(set(targets[0])) < len(targets[0])):
                raise Unseen(f"it uses {', '.join(blind)}")
        except Unseen as reason:
            stays = f"{', '.join(named)} there is left" if named else "no ReLU-like function is named there"
            self.unread.setdefault((type(module), f"torch.fx cannot read it: {reason}; {stays}"), []).append(path)
            return
        for node in graphs[True].nodes:
            if node.target in _OTHER_FUNCTIONS:
                self.left.append(f"{_forward(path)}: {_OTHER_FUNCTIONS[node.target]}() is a gate or an output")
            if node.target in _CLAMPS and 0 in (*node.args[1:2], node.kwargs.get("min")):
                self.left.append(f"{_forward(path)}: {_CLAMPS[node.target]}() at 0 may stand for a ReLU")
        changed = False
        for same in zip(*calls, strict=True):  # one call, in each mode
            place, target = self.place(module, path, same[0])
            place.calls.append(_join(path, target))
            changed |= any([redirect(node, target, place.inplace) for node in same])
        if changed and not blind:
            install(module, graphs)

    def is_call(self, module: nn.Module, node: fx.Node) -> bool:
        if node.op == "call_module":
            return module.get_submodule(node.target) in self.places
        return node.op in ("call_function", "call_method") and node.target in _RELU_LIKE_FUNCTIONS

    def place(self, module: nn.Module, path: str, node: fx.Node) -> tuple[_Place, str]:
        """Where the call belongs, and the name of the module that it is to call from now on."""
        if node.op == "call_module":
            name = node.target
            place = self.places[module.get_submodule(name)]
            if not place.calls:
                return place, name
        else:
            name = _RELU_LIKE_FUNCTIONS[node.target]
            place = self.places.setdefault((module, name), _Place(_forward(path), f"{name}()"))
        now = self.new(module.training)
        place.now = place.now or _kind(now)
        base = name = name.replace(".", "_")
        number = 1
        while hasattr(module, name):
            number += 1
            name = f"{base}_{number}"
        module.add_module(name, now)
        return place, name


def _kind(module: nn.Module) -> str:
    return type(module).__name__


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _forward(path: str) -> str:
    return f"forward pass of {path or 'the model'}"
