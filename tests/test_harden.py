"""harden on torchvision's networks and the kit's, on models of every shape, and what it says about them."""

import copy
import pickle
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from forward_passes import Classic, NoReLU, Reused, assert_untouched, run, snapshot, thresholds
from torch import fx, nn

import ftpkit
from ftpkit.models import MLP, ResNet, harden

SIGN = partial(ftpkit.Sign, "SSTE")

# torchvision's networks


def network(name):
    """One of torchvision's with few classes, its largest layers made small."""
    import torchvision

    with torch.device("meta" if name in ("alexnet", "vgg11") else "cpu"):
        model = getattr(torchvision.models, name)(num_classes=3)
    if name == "alexnet":
        model.classifier[1], model.classifier[4] = (
            nn.Linear(256 * 36, 32, device="meta"),
            nn.Linear(32, 16, device="meta"),
        )
        model.classifier[6] = nn.Linear(16, 3, device="meta")
    if name == "vgg11":
        model.classifier[0], model.classifier[3] = (
            nn.Linear(512 * 49, 16, device="meta"),
            nn.Linear(16, 16, device="meta"),
        )
        model.classifier[6] = nn.Linear(16, 3, device="meta")
    if name in ("alexnet", "vgg11"):
        model.to_empty(device="cpu")
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.05)
    return model


@pytest.mark.parametrize(
    "name, places, size",
    [
        ("resnet18", 17, 32),
        ("resnet50", 49, 32),
        ("alexnet", 7, 63),
        ("vgg11", 10, 32),
        ("mobilenet_v2", 35, 32),
        ("densenet121", 121, 32),
    ],
)
def test_torchvisions_networks_train_a_step_with_thresholds(name, places, size):
    torch.manual_seed(0)
    model = network(name).train()
    before = snapshot(model)
    hardened = harden(model, SIGN)
    assert_untouched(model, before)
    assert hardened.left == ()
    net = hardened.model
    assert len(thresholds(net)) == places and not any(isinstance(m, (nn.ReLU, nn.ReLU6)) for m in net.modules())
    assert list(net.state_dict()) == list(model.state_dict())

    called = []
    for module in thresholds(net):
        module.register_forward_hook(lambda module, inputs, out: called.append(module))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with NoReLU():
        loss = F.cross_entropy(net(torch.randn(2, 3, size, size)), torch.tensor([0, 2]))
    loss.backward()
    optimizer.step()
    assert sorted(map(id, called)) == sorted(map(id, thresholds(net)))  # each once
    changed = [not torch.equal(new, old) for new, old in zip(net.parameters(), model.parameters(), strict=True)]
    assert loss.isfinite() and sum(changed) > 0.9 * len(changed)
    assert all(parameter.isfinite().all() for parameter in net.parameters())


def test_the_same_activation_changes_nothing():
    torch.manual_seed(0)
    model = network("resnet18")
    net = harden(model, nn.ReLU).model
    x = torch.randn(2, 3, 32, 32)
    for training in (True, False):  # evaluation with the statistics that training left
        outs = []
        for each in (model, net):
            torch.manual_seed(1)  # for dropout
            outs.append(each.train(training)(x))
        assert torch.equal(*outs)


def test_a_hardened_resnet18_is_the_kits():
    import torchvision

    theirs = torchvision.models.resnet18(num_classes=3)
    ours = ResNet(SIGN, (3, 32, 32), 3, 18, "imagenet")
    ours.load_state_dict(theirs.state_dict())
    hardened = harden(theirs, SIGN)
    assert hardened.replaced[:2] == (
        "relu: ReLU -> Sign",
        "layer1.0.relu (called 2 times): ReLU -> Sign as layer1.0.relu, layer1.0.relu_2",
    )
    assert len(hardened.replaced) == 9
    x = torch.randn(2, 3, 32, 32)
    outs = [net(x) for net in (hardened.model, ours)]
    torch.testing.assert_close(*outs)
    for out in outs:
        out.square().sum().backward()
    for (name, parameter), (_, other) in zip(hardened.model.named_parameters(), ours.named_parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, msg=name)


def test_what_the_report_says_in_full():
    hardened = harden(nn.Sequential(Classic(), nn.PReLU(3), nn.Sigmoid()), partial(ftpkit.QuantReLU, 3, "FTP-SH"))
    assert str(hardened).splitlines() == [
        "replaced:",
        "  forward pass of 0 (called 2 times): relu() -> QuantReLU as 0.relu, 0.relu_2",
        "  1: PReLU -> QuantReLU, without its weights (3)",
        "left:",
        "  2: Sigmoid is a gate or an output, not ReLU-like",
        "  forward pass of 0: log_softmax() is a gate or an output",
    ]
    assert str(harden(nn.Linear(1, 1), SIGN)) == "replaced: nothing\nleft: nothing"
    assert "Classic" not in repr(hardened)


@pytest.mark.parametrize(
    "module",
    [
        *(nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.PReLU(), nn.RReLU(), nn.ELU(), nn.CELU(), nn.SELU(), nn.GELU()),
        *(nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.Hardtanh(), nn.Softplus(), nn.Threshold(0.1, 0.0)),
        type("MyReLU", (nn.ReLU,), {})(inplace=True),
    ],
    ids=lambda module: type(module).__name__,
)
def test_every_relu_like_module_is_replaced(module):
    hardened = harden(nn.Sequential(nn.Linear(2, 2), nn.Sequential(module)), SIGN)
    assert isinstance(hardened.model[1][0], ftpkit.Sign) and hardened.left == ()
    assert hardened.replaced[0].startswith(f"1.0: {type(module).__name__} -> Sign")
    assert isinstance(harden(module, SIGN).model, ftpkit.Sign)


def test_the_kits_own_networks():
    torch.manual_seed(0)
    model = MLP(nn.ReLU, (4,), hidden=(5, 5))
    hardened = harden(model, SIGN)
    oracle = MLP(SIGN, (4,), hidden=(5, 5))
    oracle.load_state_dict(model.state_dict())
    x = torch.randn(6, 4)
    assert torch.equal(hardened.model(x), oracle(x))
    assert hardened.replaced == ("act1: ReLU -> Sign", "act2: ReLU -> Sign") and hardened.left == ()
    again = harden(hardened.model, SIGN)
    assert again.replaced == ()
    assert again.left == ("act1: Sign is one of this kit already", "act2: Sign is one of this kit already")


def test_gates_and_clamps_are_left_and_named():
    class Gates(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.rnn = nn.Hardsigmoid(), nn.RNN(2, 2, nonlinearity="relu")

        def forward(self, x):
            return self.gate(x) * x.clamp(min=0) * torch.clamp(x, 0) * x.clamp(1, 2) * torch.sigmoid(x)

    hardened = harden(Gates(), SIGN)
    assert hardened.replaced == ()
    assert hardened.left == (
        "gate: Hardsigmoid is a gate or an output, not ReLU-like",
        "rnn: RNN has its ReLU inside PyTorch's own code",
        "forward pass of the model: clamp() at 0 may stand for a ReLU",
        "forward pass of the model: sigmoid() is a gate or an output",
    )


# Shapes of models


def test_one_activation_in_many_places_becomes_many():
    act = nn.ReLU()
    block = nn.Sequential(nn.Linear(2, 2), act)
    model = nn.Sequential(block, act, nn.Sequential(act), act, block)
    hardened = harden(model, SIGN)
    assert len(thresholds(hardened.model)) == 4  # the block that stands twice stays one
    assert hardened.model[0] is hardened.model[4]
    assert [line.split(":")[0] for line in hardened.replaced] == ["0.1", "1", "2.0", "3"]


def test_graph_modules_stay_graph_modules():
    torch.manual_seed(0)
    traced = fx.symbolic_trace(nn.Sequential(Classic(), nn.ReLU()))
    code = traced.code
    hardened = harden(traced, SIGN)
    assert traced.code == code and isinstance(hardened.model, fx.GraphModule)
    assert len(thresholds(hardened.model)) == 3
    x = torch.randn(5, 4)
    with NoReLU():
        out = hardened.model.eval()(x)
    again = copy.deepcopy(hardened.model)
    assert again(x).shape == out.shape and len(thresholds(again)) == 3
    unchanged = harden(traced, nn.ReLU).model
    torch.testing.assert_close(run(unchanged, x), run(traced, x))


@pytest.mark.parametrize("function", [F.relu, "gelu", nn.ReLU()])
@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_pytorchs_transformer_layers_without_their_fast_path(kind, function):
    torch.manual_seed(0)
    layer = getattr(nn, f"Transformer{kind.title()}Layer")(8, 2, 16, activation=function, batch_first=True)
    model = getattr(nn, f"Transformer{kind.title()}")(layer, 2).eval()
    hardened = harden(model, nn.Tanh)
    assert [line.split(":")[0] for line in hardened.replaced] == ["layers.0.activation", "layers.1.activation"]
    x = torch.randn(2, 5, 8)
    inputs = (x,) if kind == "encoder" else (x, x)
    with torch.no_grad():  # where the fast path would be taken
        fast = hardened.model(*inputs)
    torch.testing.assert_close(fast, hardened.model(*inputs).detach())
    assert not torch.allclose(fast, model(*inputs), atol=1e-3)


def test_hooks_attributes_modes_and_frozen_weights_stay():
    torch.manual_seed(0)
    model = Reused()
    model.note = "kept"
    seen = []
    model.register_forward_hook(lambda module, inputs, out: seen.append(type(module).__name__))
    model.act.register_forward_hook(lambda module, inputs, out: None)
    model.fc1.requires_grad_(False)
    model.fc2.eval()
    hardened = harden(model, SIGN)
    net = hardened.model
    assert hardened.replaced == ("act (called 3 times): ReLU -> Sign as act, act_2, act_3, without its hooks (1)",)
    assert net.note == "kept" and not net.fc1.weight.requires_grad and not net.fc2.training and net.fc3.training
    assert not any(module.training for module in thresholds(harden(Reused().eval(), SIGN).model))
    net(torch.randn(2, 4))
    assert seen == ["Reused"]
    assert type(model) is Reused and isinstance(model.act, nn.ReLU)


def test_hardened_twice():
    torch.manual_seed(0)
    model = Classic()
    first = harden(model, nn.GELU).model
    twice = harden(first, SIGN).model
    x = torch.randn(5, 4)
    assert len(thresholds(twice)) == 2 and not any(isinstance(module, nn.GELU) for module in twice.modules())
    assert isinstance(first.relu, nn.GELU) and type(twice).__mro__[1] is Classic
    for again in (twice, pickle.loads(pickle.dumps(twice))):
        assert torch.equal(run(again, x)[0], run(harden(model, SIGN).model, x)[0])


def test_weights_of_new_activations_are_where_the_model_is():
    with torch.device("meta"):
        model = Classic()
    net = harden(model, nn.PReLU).model
    assert net.relu.weight.device.type == net.relu_2.weight.device.type == "meta"


def test_an_error_in_a_rewritten_forward_pass_shows_its_line():
    net = harden(Classic(), SIGN).model
    with pytest.raises(RuntimeError) as caught:
        net(torch.randn(5, 3))
    assert any("self.fc1(x)" in str(entry.statement) for entry in caught.traceback)


# Bad input

ONE = nn.ReLU()


class Uncopied(nn.Module):
    def __deepcopy__(self, memo):
        raise RuntimeError("this holds a file")


@pytest.mark.parametrize(
    "model, activation, match",
    [
        (nn.ReLU, SIGN, "harden takes a model, an object of a torch.nn.Module, not <class"),
        ("resnet18", SIGN, "not 'resnet18'"),
        (nn.Sequential(nn.ReLU()), "FTP-SH", "activation must be a factory"),
        (nn.Sequential(nn.ReLU()), nn.ReLU(), r"got ReLU\(\)"),
        (nn.Sequential(nn.ReLU(), nn.ReLU()), lambda: ONE, "made the same ReLU twice"),
        (nn.DataParallel(nn.ReLU()), SIGN, "DataParallel cannot be taken apart: harden the model first, then script"),
        (torch.compile(nn.Sequential(nn.ReLU())), SIGN, "OptimizedModule cannot be taken apart"),
        (Uncopied(), SIGN, "works on a copy, and this Uncopied cannot be copied: this holds a file"),
    ],
)
def test_bad_input(model, activation, match):
    with pytest.raises(TypeError, match=match):
        harden(model, activation)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_scripted_models():
    with pytest.raises(TypeError, match="RecursiveScriptModule cannot be taken apart"):
        harden(torch.jit.script(nn.Sequential(nn.ReLU())), SIGN)
