"""Models: parameter counts in closed form, torchvision's ResNet-18 as an oracle, thresholds in place, clear errors."""

import copy
import io
import pickle
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import ftpkit
from ftpkit import ftprop
from ftpkit.models import MLP, ConvNet4, ConvNet8, ResNet, count_parameters

SIGN = partial(ftpkit.Sign, "FTP-SH")

SMALL = {  # one of each kind, quick to run; factory -> model, and a batch for it
    "MLP": (partial(MLP, input_shape=(1, 4, 4), hidden=(8, 8)), (5, 1, 4, 4)),
    "ConvNet4": (partial(ConvNet4, input_shape=(1, 8, 8)), (5, 1, 8, 8)),
    "ConvNet8": (partial(ConvNet8, input_shape=(1, 9, 8)), (5, 1, 9, 8)),
    "ResNet": (partial(ResNet, input_shape=(3, 8, 8), depth=8), (5, 3, 8, 8)),
    "ResNet, real skip": (partial(ResNet, input_shape=(3, 8, 8), depth=8, skip="real"), (5, 3, 8, 8)),
}


@pytest.fixture(params=SMALL)
def small(request):
    make, shape = SMALL[request.param]
    return make, torch.randn(shape, generator=torch.Generator().manual_seed(0))


def thresholds(model):
    return [module for module in model.modules() if isinstance(module, ftpkit.Sign)]


# What they are


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    hidden=st.lists(st.integers(1, 5), max_size=3).map(tuple),
    classes=st.integers(1, 4),
    batch_norm=st.booleans(),
)
def test_mlp_has_the_layers_it_was_asked_for(shape, hidden, classes, batch_norm):
    model = MLP(SIGN, shape, classes, hidden, batch_norm)
    widths = (torch.Size(shape).numel(), *hidden)
    per_layer = sum(a * b + (2 * b if batch_norm else b) for a, b in zip(widths, widths[1:], strict=False))
    assert count_parameters(model) == per_layer + (widths[-1] + 1) * classes
    assert len(thresholds(model)) == len(hidden)
    assert model(torch.randn(3, *shape)).shape == (3, classes)


def test_mlp_is_flat_with_readable_names():
    model = MLP(SIGN, hidden=(6, 5))
    assert list(dict(model.named_children())) == "flatten fc1 bn1 act1 fc2 bn2 act2 fc3".split()
    without = MLP(SIGN, hidden=(6, 5), batch_norm=False)
    assert list(dict(without.named_children())) == "flatten fc1 act1 fc2 act2 fc3".split()
    assert model.fc1.bias is None and model.fc3.bias is not None and without.fc1.bias is not None


def test_convnet4_has_the_papers_parameters_and_order():
    model = ConvNet4(SIGN, input_shape=(3, 32, 32))
    assert count_parameters(model) == 4_259_274
    assert list(dict(model.named_children())) == ("conv1 pool1 act1 conv2 pool2 act2 flatten fc3 act3 fc4".split())
    assert count_parameters(ConvNet4(SIGN)) == 832 + 51_264 + (64 * 49 + 1) * 1024 + 10_250


@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 28, 28), (3, 32, 32), (2, 9, 13), (1, 5, 30)])
def test_convnet4_computes_what_the_paper_says_for_every_size(shape):
    model = ConvNet4(SIGN, shape, classes=7)
    x = torch.randn(2, *shape)
    h = torch.where(F.max_pool2d(F.conv2d(x, *model.conv1.parameters(), padding=3), 2) > 0, 1.0, -1.0)
    h = torch.where(F.max_pool2d(F.conv2d(h, *model.conv2.parameters(), padding=2), 2) > 0, 1.0, -1.0)
    h = torch.where(F.linear(h.flatten(1), *model.fc3.parameters()) > 0, 1.0, -1.0)
    torch.testing.assert_close(model(x), F.linear(h, *model.fc4.parameters()))


def test_resnet18_is_torchvisions_up_to_the_stem():
    from torchvision.models import resnet18

    oracle, model = resnet18(num_classes=10), ResNet(nn.ReLU, (3, 16, 16), depth=18)
    oracle.conv1, oracle.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    assert count_parameters(model) == count_parameters(oracle) == 11_173_962
    model.load_state_dict(oracle.state_dict())  # the names are the same
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(model.eval()(x), oracle.eval()(x))


@pytest.mark.parametrize("depth", [8, 20])
@pytest.mark.parametrize("channels", [1, 3])
def test_small_resnets_count_their_parameters_in_closed_form(depth, channels):
    n = (depth - 2) // 6
    conv = lambda a, b, k: a * b * k * k + 2 * b  # noqa: E731  with its batch norm
    stages = sum(
        conv(before, width, 3) + (2 * n - 1) * conv(width, width, 3) + (before != width) * conv(before, width, 1)
        for before, width in ((16, 16), (16, 32), (32, 64))
    )
    model = ResNet(SIGN, (channels, 28, 28), classes=100, depth=depth)
    assert count_parameters(model) == conv(channels, 16, 3) + stages + 65 * 100


@pytest.mark.parametrize("depth, places", [(8, 7), (18, 17), (20, 19)])
def test_resnet_thresholds_also_behind_every_sum(depth, places):
    model = ResNet(SIGN, (3, 9, 6), depth=depth)
    assert len(thresholds(model)) == places
    seen = []
    for block in (m for m in model.modules() if type(m).__name__ == "BasicBlock"):
        block.register_forward_hook(lambda module, inputs, output: seen.append(output))
    assert model(torch.randn(2, 3, 9, 6)).shape == (2, 10)
    assert len(seen) == (places - 1) // 2 and all((h.abs() == 1).all() for h in seen)
    assert [tuple(h.shape[2:]) for h in seen][-1] == ((2, 1) if depth == 18 else (3, 2))


def test_weights_start_as_pytorchs_do():
    torch.manual_seed(0)
    expected = nn.Linear(16, 8, bias=False).weight
    torch.manual_seed(0)
    assert torch.equal(MLP(SIGN, (1, 4, 4), hidden=(8,)).fc1.weight, expected)


def test_activation_factory_is_called_once_for_each_place(small):
    make, x = small
    made = []

    def activation():
        made.append(nn.Tanh())
        return made[-1]

    model = make(activation)
    assert [m for m in model.modules() if isinstance(m, nn.Tanh)] == made and len(made) == len(thresholds(make(SIGN)))
    assert model(x).shape == (5, 10)


# What one can do with them


@pytest.mark.parametrize("activation", [SIGN, partial(ftpkit.QuantReLU, 3, "SSTE"), ftpkit.SaturatedReLU, nn.ReLU])
def test_every_parameter_learns(small, activation):
    make, x = small
    torch.manual_seed(0)
    model = make(activation)
    F.cross_entropy(model(x), torch.arange(5)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for name, p in model.named_parameters() if name.endswith("weight"))


@pytest.mark.parametrize("kind", ["MLP", "ConvNet4"])
def test_chains_can_be_cut_into_the_layers_of_ftprop(kind):
    model = SMALL[kind][0](SIGN)
    layers = ftprop.split(model)
    assert [layer.activation for layer in layers] == [*thresholds(model), None]
    x = torch.randn(SMALL[kind][1])
    h = x
    for layer in layers:
        h = layer.transform(h)
        h = h if layer.activation is None else layer.activation(h)
    torch.testing.assert_close(h, model(x))


def test_a_slice_of_a_chain_is_a_sequential_with_the_same_layers():
    model = MLP(SIGN, (2,), hidden=(3,))
    head = model[:-1]
    assert type(head) is nn.Sequential and head.act1 is model.act1 and len(head) == 4
    assert model[-1] is model.fc2


def test_save_pickle_and_deepcopy(small):
    make, x = small
    model = make(SIGN).eval()
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for again in (torch.load(file, weights_only=False), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(again(x), model(x))
        with pytest.raises(ValueError, match="expects inputs of shape"):
            again(x[:, :, 1:])
    other = make(SIGN).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


def test_compiles_whole(small):
    make, x = small
    model = make(SIGN)
    model(x)  # batch statistics
    model.eval()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), model(x))
    with pytest.raises((ValueError, RuntimeError)):  # the compiler wraps the sentence in one of its own
        compiled(x[:, :, 1:])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_cpus_outputs(small):
    make, x = small
    model = make(nn.Tanh).eval()  # smooth: no rounding flips a sign
    on_cpu = model(x)
    torch.testing.assert_close(model.cuda()(x.cuda()).cpu(), on_cpu, atol=1e-3, rtol=1e-3)


def test_count_parameters_counts_a_shared_one_once():
    shared = nn.Linear(3, 3)
    assert count_parameters(nn.Sequential(shared, nn.ReLU(), shared)) == 12


# Bad input


@pytest.mark.parametrize(
    "activation, match",
    [
        ("FTP-SH", r"lambda: ftpkit.Sign\('FTP-SH'\), or nn.ReLU; got 'FTP-SH'"),
        (nn.ReLU(), r"got ReLU\(\)"),
        (None, "got None"),
        (ftpkit.sign, "without arguments failed"),
        (ftpkit.Sign, "without arguments failed"),
        (lambda: torch.tanh, "which is no nn.Module"),
    ],
)
def test_activation_that_is_no_factory(small, activation, match):
    with pytest.raises(TypeError, match=match):
        small[0](activation)


def test_factory_that_returns_the_same_module_twice(small):
    one = ftpkit.Sign("FTP-SH")
    with pytest.raises(TypeError, match=r"act1 and .*act\d are one and the same Sign.*a new module at each call"):
        small[0](lambda: one)


def test_input_of_another_shape_names_both(small):
    make, x = small
    model = make(SIGN)
    expected = ", ".join(map(str, x.shape[1:]))
    for wrong in (x[:, :, 1:], x[0], x.flatten(1), torch.cat([x, x], 1), torch.tensor(1.0)):
        with pytest.raises(ValueError, match="expects inputs of shape") as caught:
            model(wrong)
        assert f"(B, {expected})" in str(caught.value) and str(tuple(wrong.shape)) in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.complex64])
def test_input_that_is_not_floating_point(small, dtype):
    make, x = small
    with pytest.raises(TypeError, match=f"needs floating-point inputs, got {dtype}; use data.Batches"):
        make(SIGN)(x.to(dtype))


@pytest.mark.parametrize(
    "make",
    [
        partial(MLP, input_shape=(3, 8, 8)),
        partial(ResNet, input_shape=(3, 4, 4), depth=8),
        partial(ResNet, input_shape=(3, 8, 8), depth=18),
    ],
)
def test_batch_of_one_with_batch_norm(make):
    model = make(SIGN)
    x = torch.randn(1, *model.input_shape)
    with pytest.raises(ValueError, match="cannot train on a batch of one.*drop the last image"):
        model(x)
    assert model.eval()(x).shape == (1, 10)


@pytest.mark.parametrize(
    "make, shape",
    [
        (partial(MLP, hidden=(3,), batch_norm=False), (3, 8, 8)),
        (partial(MLP, hidden=()), (3, 8, 8)),
        (ConvNet4, (3, 8, 8)),
        (partial(ResNet, depth=8), (3, 5, 4)),
        (partial(ResNet, depth=18), (3, 9, 8)),
    ],
)
def test_batch_of_one_where_it_is_no_trouble(make, shape):
    assert make(SIGN, input_shape=shape)(torch.randn(1, *shape)).shape == (1, 10)


@pytest.mark.parametrize(
    "make, match",
    [
        (partial(MLP, input_shape=(0,)), "each number of input_shape must be a whole number of at least 1, got 0"),
        (partial(MLP, input_shape=784), r"input_shape must be a tuple of whole numbers, such as \(256,\), got 784"),
        (partial(MLP, hidden=256), "hidden must be a tuple"),
        (partial(MLP, hidden=(256, 2.5)), "each number of hidden"),
        (partial(MLP, classes=0), "classes must be a whole number of at least 1, got 0"),
        (partial(ConvNet4, classes="ten"), "classes must be"),
        (partial(ConvNet4, input_shape=(1, 1, 28)), r"\(C, H, W\) with H and W of at least 2, got \(1, 1, 28\)"),
        (partial(ConvNet4, input_shape=(28, 28)), r"must be \(C, H, W\)"),
        (partial(ResNet, input_shape=(28, 28)), r"must be \(C, H, W\)"),
        (partial(ResNet, depth=19), r"no ResNet of depth 19 in form 'small'; choose from 8, 18, 20, 34"),
        (partial(ResNet, depth="18"), "no ResNet of depth '18'"),
    ],
)
def test_sizes_that_no_network_has(make, match):
    with pytest.raises(ValueError, match=match):
        make(SIGN)
