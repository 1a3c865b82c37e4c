"""Forward passes of every kind, for harden: those that torch.fx can read, and those that hide something from it."""

import random

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

import ftpkit

RELUS = {F.relu, torch.relu, torch.relu_, F.relu6, F.hardtanh, torch.Tensor.relu, torch.Tensor.relu_}


def thresholds(model):
    return [module for module in model.modules() if isinstance(module, ftpkit.Sign)]


class NoReLU(TorchFunctionMode):
    """Fails where one of PyTorch's ReLUs is called."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        assert function not in RELUS, f"{function} was called"
        return function(*args, **(kwargs or {}))


def snapshot(model):
    """Everything about a model that harden might disturb."""
    modules = [(name, module, type(module), module.training, len(module._forward_hooks), set(vars(module)))
               for name, module in model.named_modules(remove_duplicate=False)]  # fmt: skip
    tensors = [
        (name, tensor, tensor.clone(), tensor.requires_grad)
        for name, tensor in model.state_dict(keep_vars=True).items()
    ]
    return modules, tensors


def assert_untouched(model, before):
    modules, tensors = snapshot(model)
    assert modules == before[0]
    for (name, tensor, values, grad), (was_name, was, was_values, was_grad) in zip(tensors, before[1], strict=True):
        assert (name, grad) == (was_name, was_grad) and tensor is was and torch.equal(values, was_values)


def run(model, x):
    torch.manual_seed(5)
    x = x.clone().requires_grad_()
    out = model(x)
    sum(o.square().sum() for o in (out if isinstance(out, tuple) else (out,))).backward()
    return out, x.grad


# Forward passes of every kind. Each is a module whose only activation is ReLU, so that hardening it with ReLU must
# change nothing, in training and in evaluation.


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.register_buffer("shift", torch.arange(6.0))
        self.gain = nn.Parameter(torch.full((6,), 2.0))


class Classic(Base):
    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.dropout(x, training=self.training)
        x = F.relu(self.fc2(x), inplace=True)
        return F.log_softmax(self.fc3(x), dim=1)


class Methods(Base):
    def forward(self, x):
        return self.fc3((torch.relu(self.fc2(self.fc1(x).relu())) - 1).relu_() + self.shift[1:].sum() * self.gain)


class Reused(Base):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.fc3(self.act(self.fc2(self.act(self.fc1(x))))))


class TwoNames(Base):
    def __init__(self):
        super().__init__()
        self.a = self.b = nn.ReLU()

    def forward(self, x):
        return self.fc3(self.b(self.fc2(self.a(self.fc1(x)))))


class InPlace(Base):
    """What is added at the end has been changed in place by the activation before it."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.fc1(x)
        h = self.fc2(self.act(x))
        F.relu_(h)
        return self.fc3(h + x)


class Helpers(Base):
    def forward(self, x):
        return self.head(helper(self.fc1(x)), scale=0.5)

    def head(self, x, scale):
        return self.fc3(helper(input=self.fc2(x)) * scale)


def helper(input):
    return F.relu(input=input)


class Attribute(Base):
    def __init__(self):
        super().__init__()
        self.act = F.relu

    def forward(self, x):
        return self.fc3(self.act(self.fc2(self.act(self.fc1(x)))))


class Grandchild(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x, unused=None):
        return self.part[2](self.part[1](self.part[0](self.part[1](x - 1))))


class Optional(Base):
    """The argument is passed on: nothing depends on whether it is there."""

    def __init__(self):
        super().__init__()
        self.inner = Added()

    def forward(self, x, bias=None, *, factor=2.0):
        return self.fc3(F.relu(self.inner(self.fc1(x), bias) * factor))


class Added(nn.Module):
    def forward(self, x, bias=None):
        return x if bias is None else x + bias


class Auxiliary(Base):
    """Other results in training than in evaluation, from the same activations."""

    def forward(self, x):
        h = torch.relu(self.fc1(x))
        out = self.fc3(h)
        if self.training:
            return out, self.fc2(h)
        return out


KINDS = {Classic: 2, Methods: 3, Reused: 3, TwoNames: 2, InPlace: 2, Helpers: 2, Attribute: 2, Grandchild: 2,
         Optional: 1, Auxiliary: 1}  # fmt: skip


# What cannot be seen


class Branches(Base):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x):
        h = self.act(self.fc1(x))
        if h.sum() > 3:
            h = F.relu(h)
        return self.fc3(self.act(h))


class Chance(Base):
    def forward(self, x):
        return F.relu(x) if random.random() < 0.5 else F.relu(-x)


class TorchChance(Base):
    def forward(self, x):
        return F.relu(x) if torch.rand(1) < 0.5 else F.relu(-x)


class Stores(Base):
    def forward(self, x):
        self.last = F.relu(self.fc1(x))
        return self.last


class Collects(Base):
    def __init__(self):
        super().__init__()
        self.seen = ["nothing yet"]

    def forward(self, x):
        self.seen.append(F.relu(self.fc1(x)))
        return self.seen[-1]


class Context(Base):
    def forward(self, x):
        with torch.no_grad():
            h = F.relu(self.fc1(x))
        return self.fc2(h)


class Instance(Base):
    def forward(self, x):
        return F.relu(self.fc1(x if isinstance(x, torch.Tensor) else x[0]))


class Makes(Base):
    def forward(self, x):
        return F.relu(x * torch.tensor([1.0, 2.0, 3.0, 4.0]))


class Asks(Base):
    def forward(self, x, mask=None):
        h = F.relu(self.fc1(x))
        return h if mask is None else h * mask


class Decorated(Base):
    @torch.no_grad()
    def forward(self, x):
        return F.relu(self.fc1(x))


class Modes(Base):
    def forward(self, x):
        return F.relu(x) if self.training else torch.relu(x).relu()


class Listed(Base):
    def forward(self, x):
        return [F.relu(part) for part in x]


class ByName(Base):
    def __init__(self):
        super().__init__()
        self.f = F.relu

    def forward(self, x):
        return hidden_helper(self, x) if x.max() > 0 else self.f(x)


def hidden_helper(module, x):
    return torch.relu_(x)


HIDING = {  # and what harden says of them
    Branches: "symbolically traced variables cannot be used as inputs to control flow; relu() there is left",
    Chance: "it draws random numbers; relu() there",
    TorchChance: "it draws random numbers; relu() there",
    Stores: "it stores last on the module; relu() there",
    Collects: "it stores seen on the module; relu() there",
    Context: "it uses no_grad; relu() there",
    Instance: "it uses isinstance; relu() there",
    Makes: "it makes tensors of its own; relu() there",
    Asks: "it asks whether mask is None; relu() there",
    Decorated: "it is decorated; relu() there",
    Modes: "it calls other activations in training than in evaluation; relu() there",
    Listed: "relu() there is left",
    ByName: "f(), relu_() there is left",
}
