"""The paper's larger networks: parameter counts, maps and layers; torchvision's residual networks as an oracle."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import ftpkit
from ftpkit import ftprop
from ftpkit.models import AlexNet, BasicBlock, Bottleneck, ConvNet8, ResNet, count_parameters

SIGN = partial(ftpkit.Sign, "FTP-SH")
DEPTHS = {18: 17, 34: 33, 50: 49, 101: 100, 152: 151}  # and how many activations


def thresholds(model):
    return [module for module in model.modules() if isinstance(module, ftpkit.Sign)]


def sign(z):
    return torch.where(z > 0, 1.0, -1.0)


def unbiased(model):
    """Batch norms that do something in evaluation mode."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.normal_(module.weight, generator=generator)
            nn.init.normal_(module.bias, generator=generator)
    return model.eval()


def normed(bn, z):
    return F.batch_norm(z, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=1e-4)


def sizes(model, shape):
    """Height of what leaves each layer that has maps, by name."""
    seen = {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda _, inputs, output, name=name: seen.update({name: tuple(output.shape)}))
    with torch.device("meta"):
        model(torch.empty(2, *shape))
    return {name: shape[2] for name, shape in seen.items() if len(shape) == 4}


# The 8-layer network


@pytest.mark.parametrize("channels, classes", [(3, 10), (1, 10), (3, 100), (5, 2)])
def test_convnet8_counts_the_papers_parameters(channels, classes):
    model = ConvNet8(SIGN, (channels, 32, 32), classes)
    assert count_parameters(model) == 1_492_554 + (channels - 3) * 48 * 25 + (classes - 10) * 513
    assert len(thresholds(model)) == 7
    assert sum(
        p.numel() for n, p in model.named_parameters() if n.endswith("bias") and n.startswith(("conv", "fc"))
    ) == (48 + classes)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (2, 27, 32), (3, 40, 37), (1, 1, 35)])
def test_convnet8_computes_what_the_paper_says(shape):
    model = unbiased(ConvNet8(SIGN, shape, classes=7))
    h = x = torch.randn(2, *shape)
    rows, cols = (max(0, 32 - size) for size in shape[1:])
    h = F.pad(h, (cols // 2, cols - cols // 2, rows // 2, rows - rows // 2))
    h = sign(F.max_pool2d(F.conv2d(h, model.conv1.weight, model.conv1.bias, padding=2), 2))
    h = sign(normed(model.bn2, F.conv2d(h, model.conv2.weight, padding=1)))
    h = sign(F.max_pool2d(normed(model.bn3, F.conv2d(h, model.conv3.weight, padding=1)), 2))
    h = sign(normed(model.bn4, F.conv2d(h, model.conv4.weight)))
    h = sign(normed(model.bn5, F.conv2d(h, model.conv5.weight, padding=1)))
    h = sign(normed(model.bn6, F.conv2d(h, model.conv6.weight)))
    h = sign(normed(model.bn7, F.conv2d(h, model.conv7.weight)))
    torch.testing.assert_close(model(x), F.linear(h.flatten(1), *model.fc8.parameters()))


def test_convnet8_pads_small_images_and_no_others():
    assert "pad" not in dict(ConvNet8(SIGN).named_children())
    model = ConvNet8(SIGN, (1, 28, 29))
    padded = model.pad(torch.ones(1, 1, 28, 29))
    assert padded.shape[2:] == (32, 32) and padded[0, 0, 2:30, 1:30].all() and padded.sum() == 28 * 29
    assert count_parameters(model) == count_parameters(ConvNet8(SIGN, (1, 32, 32)))
    assert "zeros to 32x32" in ConvNet8.__doc__


def test_convnet8_drops_whole_maps_where_the_authors_code_does():
    names = list(dict(ConvNet8(SIGN, dropout=0.5).named_children()))
    assert names[names.index("drop6") - 1 :][:3] == ["act6", "drop6", "conv7"]
    model = ConvNet8(SIGN, dropout=0.5)
    whole = model.drop6(torch.ones(20, 128, 4, 4)).flatten(2)
    assert set(whole.unique().tolist()) == {0.0, 2.0} and (whole == whole[:, :, :1]).all()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(model.eval()(x), model(x))


def test_the_papers_chains_can_be_cut_into_the_layers_of_ftprop():
    model = unbiased(ConvNet8(SIGN, (1, 28, 28)))
    layers = ftprop.split(model)
    assert [layer.activation for layer in layers] == [*thresholds(model), None]
    h = x = torch.randn(2, 1, 28, 28)
    for layer in layers:
        h = layer.transform(h) if layer.activation is None else layer.activation(layer.transform(h))
    torch.testing.assert_close(h, model(x))


# AlexNet


def test_alexnet_has_the_papers_parameters_and_maps():
    with torch.device("meta"):
        model = AlexNet(SIGN)
        assert count_parameters(AlexNet(SIGN, (1, 224, 224), 10)) == 62_394_344 - 2 * 96 * 144 - 990 * 4097
    assert count_parameters(model) == 62_394_344
    assert len(thresholds(model)) == 7
    maps = sizes(model, (3, 224, 224))
    wanted = "conv1 conv2 pool2 conv3 pool3 conv4 conv5 pool5".split()
    assert [maps[name] for name in wanted] == [54, 54, 27, 27, 13, 13, 13, 6]
    assert [name for name, p in model.named_parameters() if name.endswith("bias") and "bn" not in name] == ["fc8.bias"]


@pytest.mark.parametrize("shape", [(2, 60, 92)])
def test_alexnet_computes_what_the_paper_says(shape):
    model = unbiased(AlexNet(SIGN, shape, classes=3))
    x = torch.randn(2, *shape)
    h = sign(F.conv2d(x, model.conv1.weight, stride=4))
    h = sign(F.max_pool2d(normed(model.bn2, F.conv2d(h, model.conv2.weight, padding=2)), 3, 2, 1))
    h = sign(F.max_pool2d(normed(model.bn3, F.conv2d(h, model.conv3.weight, padding=1)), 3, 2))
    h = sign(normed(model.bn4, F.conv2d(h, model.conv4.weight, padding=1)))
    h = sign(F.max_pool2d(normed(model.bn5, F.conv2d(h, model.conv5.weight, padding=1)), 3, 2)).flatten(1)
    h = sign(normed(model.bn6, F.linear(h, model.fc6.weight)))
    h = sign(normed(model.bn7, F.linear(h, model.fc7.weight)))
    torch.testing.assert_close(model(x), F.linear(h, *model.fc8.parameters()))


@pytest.mark.parametrize("size", [60, 61, 63, 67, 91, 92, 225, 256, 299])
def test_alexnet_takes_every_size_from_60(size):
    with torch.device("meta"):
        model = AlexNet(nn.ReLU, (3, size, 60), classes=5)
        assert model(torch.empty(2, 3, size, 60)).shape == (2, 5)


# Residual networks


@pytest.mark.parametrize("depth", DEPTHS)
def test_resnets_are_torchvisions_by_name_shape_and_number(depth):
    import torchvision

    with torch.device("meta"):
        oracle = getattr(torchvision.models, f"resnet{depth}")()
        models = [ResNet(SIGN, (3, 224, 224), 1000, depth, "imagenet", skip) for skip in ("threshold", "real")]
    for model in models:
        shapes = {name: value.shape for name, value in oracle.state_dict().items()}
        assert {name: value.shape for name, value in model.state_dict().items()} == shapes
        assert count_parameters(model) == count_parameters(oracle)
        assert len(thresholds(model)) == DEPTHS[depth]


@pytest.mark.parametrize("depth", [18, 50])
def test_resnets_compute_what_torchvisions_do(depth):
    import torchvision

    with torch.device("meta"):  # neither spends time on weights to start with
        oracle = getattr(torchvision.models, f"resnet{depth}")(num_classes=4)
        model = ResNet(nn.ReLU, (3, 40, 33), 4, depth, "imagenet")
    for value in oracle.to_empty(device="cpu").state_dict().values():
        value.random_(3) if value.dtype == torch.int64 else value.uniform_(0.1, 0.2).sub_(0.15 if value.ndim > 1 else 0)
    model.to_empty(device="cpu").load_state_dict(oracle.state_dict())
    x = torch.randn(2, 3, 40, 33)
    torch.testing.assert_close(model(x), oracle(x))
    torch.testing.assert_close(model.eval()(x), oracle.eval()(x))  # with the statistics of that batch


@pytest.mark.parametrize("depth", [34, 50])
def test_small_form_is_the_same_but_for_the_stem(depth):
    with torch.device("meta"):
        small, full = (ResNet(SIGN, (1, 28, 28), 10, depth, form) for form in ("small", "imagenet"))
        assert count_parameters(full) - count_parameters(small) == 64 * (49 - 9)
        assert small.norm_values == 16 and full.norm_values == 1
        assert small(torch.empty(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("block, width", [(BasicBlock, 6), (Bottleneck, 2)])
@pytest.mark.parametrize("stride, before", [(1, "same"), (2, "same"), (1, 5)])
@pytest.mark.parametrize("skip", ["threshold", "real"])
def test_blocks_compute_their_formula(block, width, stride, before, skip):
    before = width * block.EXPANSION if before == "same" else before
    made = block(SIGN, before, width, stride, skip).eval()
    x = torch.randn(3, before, 7, 5)
    conv = lambda d, h: getattr(made, f"bn{d}")(getattr(made, f"conv{d}")(h))  # noqa: E731
    projected = stride != 1 or before != width * block.EXPANSION
    h, beside = x, made.downsample[1](made.downsample[0](x)) if projected else x
    for d in range(1, 3 if block is BasicBlock else 4):
        if skip == "real" or d > 1:
            h = sign(h)
        h = conv(d, h)
    out = h + beside if skip == "real" else sign(h + beside)
    torch.testing.assert_close(made(x), out)
    assert made(x).shape == (3, width * block.EXPANSION, -(-7 // stride), -(-5 // stride))


@pytest.mark.parametrize("depth", [8, 18])
@pytest.mark.parametrize("skip", ["threshold", "real"])
def test_what_the_skip_path_carries_past_blocks_that_add_nothing(depth, skip):
    model = ResNet(SIGN, (3, 9, 9), depth=depth, skip=skip)
    for block in model.layer1:
        nn.init.zeros_(block.bn2.weight)
    seen = {}
    for name, module in (("stem", model.bn1), ("stage", model.layer1)):
        module.register_forward_hook(lambda _, inputs, out, name=name: seen.update({name: out}))
    model(torch.randn(2, 3, 9, 9))
    assert torch.equal(seen["stage"], seen["stem"] if skip == "real" else sign(seen["stem"]))


@pytest.mark.parametrize("depth", [8, 20, 18])
@pytest.mark.parametrize("skip", ["threshold", "real"])
def test_weights_see_two_values_but_for_the_image_and_real_projections(depth, skip):
    model = ResNet(SIGN, (1, 8, 8), depth=depth, skip=skip)
    real = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(
                lambda _, inputs, name=name: real.append(name) if inputs[0].abs().ne(1).any() else None
            )
    assert model(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    projections = [name for name, module in model.named_modules() if "downsample.0" in name]
    assert len(projections) == {8: 2, 20: 2, 18: 3}[depth]
    assert sorted(real) == sorted(["conv1", *(projections if skip == "real" else [])])


@pytest.mark.parametrize("skip", ["threshold", "real"])
def test_as_many_activations_whichever_way_the_skip_path_goes(skip):
    counts = {depth: len(thresholds(ResNet(SIGN, depth=depth, skip=skip))) for depth in (8, 20, 18)}
    assert counts == {8: 7, 20: 19, 18: 17}


# Bad input


@pytest.mark.parametrize(
    "make, match",
    [
        (partial(ConvNet8, input_shape=(32, 32)), r"must be \(C, H, W\) with H and W of at least 1"),
        (partial(ConvNet8, classes=0), "classes must be"),
        (partial(ConvNet8, dropout=1.0), "dropout is the share .* below 1, got 1.0"),
        (partial(ConvNet8, dropout=-0.1), "got -0.1"),
        (partial(AlexNet, input_shape=(3, 59, 224)), r"H and W of at least 60, got \(3, 59, 224\)"),
        (partial(AlexNet, input_shape=(1, 28, 28)), "at least 60"),
        (partial(ResNet, depth=20, form="imagenet"), "depth 20 in form 'imagenet'; choose from 18, 34, 50, 101, 152"),
        (partial(ResNet, depth=18, form="cifar"), "form is 'small' .* or 'imagenet' .*, got 'cifar'"),
        (partial(ResNet, skip="none"), "skip is 'threshold' .* or 'real', got 'none'"),
    ],
)
def test_networks_that_do_not_exist(make, match):
    with pytest.raises(ValueError, match=match), torch.device("meta"):
        make(SIGN)


@pytest.mark.parametrize(
    "make, one",
    [
        (partial(ConvNet8, input_shape=(1, 28, 28)), True),
        (partial(ConvNet8, input_shape=(1, 36, 32)), False),
        (partial(AlexNet, input_shape=(3, 92, 92)), True),
        (partial(ResNet, input_shape=(3, 32, 32), depth=18, form="imagenet"), True),
        (partial(ResNet, input_shape=(3, 33, 32), depth=18, form="imagenet"), False),
    ],
)
def test_batch_of_one(make, one):
    with torch.device("meta"):
        model = make(SIGN)
        x = torch.empty(1, *model.input_shape)
        if one:
            with pytest.raises(ValueError, match="cannot train on a batch of one"):
                model(x)
            model.eval()
        assert model(x).shape[0] == 1
