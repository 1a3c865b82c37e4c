"""What a module's own forward pass calls, read by torch.fx, and forward passes that call something else instead.

One module at a time: its children are closed boxes, so that only modules whose own calls change are rewritten, and a
forward pass that torch.fx cannot follow hides nothing but itself. A rewritten module keeps its class as a base, its
attributes, hooks and weights; it can be copied, pickled and put into training and evaluation mode as before.
"""

import copy
import functools
import importlib
import inspect
import linecache
import random
from types import CodeType, ModuleType
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn

# torch.fx passes over these without a word: contexts are lost, and no stand-in for a tensor is an instance of Tensor
BLIND = {"isinstance", "no_grad", "enable_grad", "set_grad_enabled", "inference_mode", "autocast"}
BLIND |= {"is_grad_enabled", "is_autocast_enabled"}


class Unseen(Exception):
    """torch.fx cannot tell what a forward pass calls; the message is the reason."""


def read(module: nn.Module) -> dict[bool, fx.Graph]:
    """What the module's forward pass calls in training (True) and in evaluation mode (False).

    The module is left as it is. Raises Unseen where the calls depend on data, on chance or on optional arguments, and
    where the forward pass stores something; what else a graph may not show, a name in `BLIND` tells.
    """
    if isinstance(module, fx.GraphModule):
        return {True: module.graph}
    if "forward" in vars(module):
        raise Unseen("it was put on the object, not its class")
    if hasattr(type(module).forward, "__wrapped__"):
        raise Unseen("it is decorated")
    return {training: _graph(module, training) for training in (True, False)}


def names(module: nn.Module) -> set[str]:
    """Every name that the forward pass mentions, with the methods and functions of its own that it calls."""
    found: set[str] = set()
    forward = inspect.unwrap(type(module).forward)
    known = {**getattr(forward, "__globals__", {}), **{name: getattr(type(module), name) for name in dir(type(module))}}
    todo = [forward]
    while todo:
        here = todo.pop()
        code = getattr(here, "__code__", here)
        if not isinstance(code, CodeType) or str(getattr(here, "__module__", "")).startswith("torch."):
            continue
        new = set(code.co_names) - found
        found |= new
        todo += [*code.co_consts, *(known[name] for name in new & known.keys())]
    return found


class _Tracer(fx.Tracer):
    proxy_buffer_attributes = True  # or what is computed from a buffer alone would become a constant

    def __init__(self, given: bool):
        super().__init__()
        self.given = given  # are the arguments given whose default is None?

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True

    def create_args_for_root(self, root_fn, is_module, concrete_args=None):
        fn, args = super().create_args_for_root(root_fn, is_module, concrete_args)
        absent = [isinstance(arg, fx.Proxy) and arg.node.args == (None,) and not self.given for arg in args]
        return fn, [None if gone else arg for arg, gone in zip(args, absent, strict=True)]


def _graph(module: nn.Module, training: bool) -> fx.Graph:
    before, chance = _state(module), (torch.get_rng_state(), random.getstate())
    collected = {name: copy.copy(value) for name, value in vars(module).items() if isinstance(value, list | dict | set)}
    module.training = training
    try:
        graph = _Tracer(given=True).trace(module)
        optional = [node.target for node in graph.nodes if node.op == "placeholder" and node.args == (None,)]
        without = _Tracer(given=False).trace(module) if optional else graph
    except Exception as error:  # stand-ins for tensors run through foreign code: anything may be raised
        raise Unseen(str(error).strip().partition("\n")[0] or type(error).__name__) from error
    finally:
        module.training = before["training"]
        stored = [name for name, value in _state(module).items() if before.get(name, module) is not value]
        for name in stored:
            delattr(module, name)
            if name in before:
                setattr(module, name, before[name])
        grown = [name for name, value in collected.items() if len(vars(module).get(name, ())) != len(value)]
        vars(module).update({name: collected[name] for name in grown})
        drawn = not torch.equal(chance[0], torch.get_rng_state()) or chance[1] != random.getstate()
        torch.set_rng_state(chance[0])
        random.setstate(chance[1])
    if drawn:
        raise Unseen("it draws random numbers")
    if stored or grown:
        constant = any(name.startswith("_tensor_constant") for name in stored)
        raise Unseen(
            "it makes tensors of its own" if constant else f"it stores {', '.join(stored + grown)} on the module"
        )
    if _calls(graph) != _calls(without):
        raise Unseen(f"it asks whether {', '.join(optional)} is None")
    return graph


def _state(module: nn.Module) -> dict[str, object]:
    return {**vars(module), **module._parameters, **module._buffers, **module._modules}


def _calls(graph: fx.Graph) -> list[tuple[str, str]]:
    return [(node.op, str(node.target)) for node in graph.nodes]


# --- from a graph to a forward pass --------------------------------------------------------------------------------


def redirect(node: fx.Node, target: str, inplace: bool) -> bool:
    """Let a call of an activation call the module `target`, with its first argument alone; was that a change?

    inplace: the module that was called changed its argument; functions show by their name or a True whether they do.
    """
    x = node.args[0] if node.args else node.kwargs["input"]
    before = (node.op, node.target, node.args, dict(node.kwargs))
    if node.op != "call_module":
        name = getattr(node.target, "__name__", node.target)
        inplace = name.endswith("_") or any(arg is True for arg in (*node.args, *node.kwargs.values()))
    node.op, node.target, node.args, node.kwargs = "call_module", target, (x,), {}
    later = _following(node) & set(x.users) if inplace else set()
    for user in later:  # they saw what the activation made of x
        user.replace_input_with(x, node)
    return bool(later) or before != (node.op, node.target, node.args, node.kwargs)


def _following(node: fx.Node) -> set[fx.Node]:
    nodes = list(node.graph.nodes)
    return set(nodes[nodes.index(node) + 1 :])


class _Code(NamedTuple):
    source: str
    names: tuple[tuple[str, object], ...]  # what its global names stand for; a module by its name


def install(module: nn.Module, graphs: dict[bool, fx.Graph]) -> None:
    """Let the module's forward pass do what `graphs` say, in training (True) and in evaluation mode (False)."""
    if isinstance(module, fx.GraphModule):
        module.recompile()
        return
    base = getattr(type(module), "_rewritten_from", type(module))
    module.__class__ = _rewritten(base, _code(graphs[True]), _code(graphs[False]))


def _code(graph: fx.Graph) -> _Code:
    for node in graph.nodes:
        node.type = None  # annotations need names that cannot always be found again
    python = graph.python_code("self")
    known = {name: value.__name__ if isinstance(value, ModuleType) else value for name, value in python.globals.items()}
    used = _function(_Code(python.src, tuple(known.items()))).__code__.co_names
    return _Code(python.src.strip() + "\n", tuple((name, known[name]) for name in used if name in known))


def _function(code: _Code):
    scope = {name: importlib.import_module(value) if isinstance(value, str) else value for name, value in code.names}
    file = f"<forward pass rewritten by harden, {hash(code.source):x}>"
    linecache.cache[file] = (len(code.source), None, code.source.splitlines(keepends=True), file)  # for tracebacks
    exec(compile(code.source, file, "exec"), scope)
    return scope["forward"]


@functools.cache
def _rewritten(base: type[nn.Module], training: _Code, evaluation: _Code) -> type[nn.Module]:
    train = forward = _function(training)
    if training != evaluation:
        test = _function(evaluation)

        @functools.wraps(train)
        def forward(self, *args, **kwargs) -> Tensor:
            return (train if self.training else test)(self, *args, **kwargs)

    def reduce(self, protocol):  # how pickle and deepcopy take an object apart
        _, _, *state = base.__reduce_ex__(self, protocol)
        return _revive, (base, training, evaluation), *state

    body = {"forward": forward, "__reduce_ex__": reduce, "_rewritten_from": base}
    look = {name: getattr(base, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(base)(base.__name__, (base,), {**body, **look})


def _revive(base: type[nn.Module], training: _Code, evaluation: _Code) -> nn.Module:
    rewritten = _rewritten(base, training, evaluation)
    return rewritten.__new__(rewritten)
