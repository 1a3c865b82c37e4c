"""harden on forward passes of every kind: with the same activation it changes nothing, with another no ReLU is left."""

import copy
import io
import pickle
import random
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from forward_passes import (
    HIDING,
    KINDS,
    Branches,
    Classic,
    Grandchild,
    Listed,
    NoReLU,
    Optional,
    Reused,
    assert_untouched,
    helper,
    run,
    snapshot,
    thresholds,
)
from torch import nn

import ftpkit
from ftpkit.models import harden

SIGN = partial(ftpkit.Sign, "SSTE")


@pytest.fixture(params=KINDS)
def kind(request):
    torch.manual_seed(0)
    return request.param


def test_every_kind_stays_itself_with_its_own_activation(kind):
    model = kind()
    before, chance = snapshot(model), torch.get_rng_state()
    hardened = harden(model, nn.ReLU)
    assert torch.equal(chance, torch.get_rng_state())
    assert_untouched(model, before)
    assert sum(isinstance(m, nn.ReLU) for m in hardened.model.modules()) == KINDS[kind]
    assert isinstance(hardened.model, kind) and type(hardened.model).__name__ == kind.__name__
    x = torch.randn(5, 4)
    for training in (True, False, True):
        torch.testing.assert_close(run(hardened.model.train(training), x), run(model.train(training), x))


def test_every_kind_calls_thresholds_and_no_relu(kind):
    hardened = harden(kind(), SIGN)
    called = []
    for module in thresholds(hardened.model):
        module.register_forward_hook(lambda module, inputs, out: called.append(module))
    for training in (True, False):
        called.clear()
        with NoReLU():
            hardened.model.train(training)(torch.randn(5, 4))
        assert len(called) == len(set(called)) == KINDS[kind]


def test_every_kind_can_be_copied_pickled_saved_and_compiled(kind):
    net = harden(kind(), SIGN).model
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    x = torch.randn(5, 4)
    others = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), torch.load(file, weights_only=False)]
    others.append(harden(kind(), SIGN).model)
    others[-1].load_state_dict(net.state_dict())
    own = {parameter.data_ptr() for parameter in net.parameters()}
    assert not own & {parameter.data_ptr() for other in others for parameter in other.parameters()}
    for training in (True, False):
        expected = run(net.train(training), x)
        for other in others:
            assert type(other) is type(net)
            torch.testing.assert_close(run(other.train(training), x), expected)
        compiled = torch.compile(copy.deepcopy(net), fullgraph=True, backend="eager")
        torch.testing.assert_close(run(compiled, x), expected)


def test_arguments_are_passed_on_as_they_came():
    torch.manual_seed(0)
    model = Optional()
    net = harden(model, nn.ReLU).model
    x, bias = torch.randn(5, 4), torch.randn(6)
    for args, kwargs in [((x,), {}), ((x, bias), {}), ((x,), {"bias": bias, "factor": 3.0})]:
        assert torch.equal(net(*args, **kwargs), model(*args, **kwargs))


def test_replaced_says_what_became_of_each():
    assert harden(Classic(), SIGN).replaced == (
        "forward pass of the model (called 2 times): relu() -> Sign as relu, relu_2",
    )
    assert harden(Reused(), SIGN).replaced == ("act (called 3 times): ReLU -> Sign as act, act_2, act_3",)
    assert harden(nn.Sequential(Grandchild()), SIGN).replaced == (
        "0.part.1 (called 2 times): ReLU -> Sign as 0.part.1, 0.part_1",
    )


class Calls(nn.Module):
    def __init__(self, name, home=None):
        super().__init__()
        self.name, self.home, self.slope = name, home, nn.Parameter(torch.tensor([0.2]))

    def forward(self, x):
        more = {"prelu": (self.slope,), "threshold": (0.1, 0.0), "threshold_": (0.1, 0.0)}.get(self.name, ())
        return getattr(self.home, self.name)(x + 0, *more) if self.home else getattr(x + 0, self.name)(*more)

    def __deepcopy__(self, memo):  # a module of functions cannot be copied
        return Calls(self.name, self.home)


@pytest.mark.parametrize(
    "home, names",
    [
        (F, "relu relu_ relu6 leaky_relu leaky_relu_ prelu rrelu rrelu_ elu elu_ celu celu_ selu selu_ gelu silu mish"),
        (F, "hardswish hardtanh hardtanh_ softplus threshold threshold_"),
        (torch, "relu relu_ prelu rrelu rrelu_ celu celu_ selu selu_ threshold threshold_"),
        (None, "relu relu_ prelu"),
    ],
)
def test_every_relu_like_function_and_method_is_replaced(home, names):
    for name in names.split():
        hardened = harden(Calls(name, home), SIGN)
        x = torch.tensor([-1.0, 0.05, 3.0])
        assert hardened.model(x).tolist() == [-1, 1, 1], name
        assert hardened.replaced == (f"forward pass of the model: {name.rstrip('_')}() -> Sign as {name.rstrip('_')}",)
        assert x.tolist() == [-1, pytest.approx(0.05), 3]


@pytest.mark.parametrize("unseen, reason", HIDING.items())
def test_forward_passes_that_cannot_be_read_are_named_and_left_as_they_are(unseen, reason):
    torch.manual_seed(0)
    model = nn.Sequential(unseen(), unseen())
    chance = torch.get_rng_state(), random.getstate()
    before = snapshot(model)
    hardened = harden(model, SIGN)
    assert torch.equal(chance[0], torch.get_rng_state()) and chance[1] == random.getstate()
    assert_untouched(model, before)
    (said,) = hardened.left
    assert said.startswith(f"forward pass of 0 and 1 more {unseen.__name__}: torch.fx cannot read it: ")
    assert reason in said
    net = hardened.model
    assert [type(module) for module in net] == [unseen, unseen] and set(vars(net[0])) == set(vars(model[0]))
    assert len(thresholds(net)) == (2 if unseen is Branches else 0)  # modules are replaced all the same
    if unseen not in (Branches, Listed):
        x = torch.randn(3, 4)
        for each in (random.seed, torch.manual_seed):
            each(1)
        expected = model[0](x.clone())
        for each in (random.seed, torch.manual_seed):
            each(1)
        assert torch.equal(net[0](x.clone()), expected)


def test_modules_in_a_forward_pass_that_cannot_be_read():
    torch.manual_seed(0)
    net = harden(Branches(), SIGN).model
    x = torch.randn(5, 4)
    h = torch.where(net.fc1(x) > 0, 1.0, -1.0)
    h = F.relu(h) if h.sum() > 3 else h
    torch.testing.assert_close(net(x), net.fc3(torch.where(h > 0, 1.0, -1.0)))


def test_a_graph_may_hide_what_needs_no_change():
    class Block(nn.Module):  # as torchvision's dense layers
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(x[0] if isinstance(x, list) else x)

    hardened = harden(Block(), SIGN)
    assert hardened.replaced == ("act: ReLU -> Sign",) and hardened.left == ()
    assert hardened.model([torch.tensor([-1.0, 2.0])]).tolist() == [-1, 1]


def test_a_forward_pass_put_on_the_object():
    model = Reused()
    model.forward = partial(helper)
    (said,) = harden(model, SIGN).left
    assert "it was put on the object, not its class" in said
