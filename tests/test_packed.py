"""Packed memory changes no bit of any gradient, and the bytes that are kept are few."""

import gc
import threading
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from test_fused import BITS, with_neighbours
from torch import nn

from ftpkit import LOSSES, RULES, Loss, QuantReLU, Rule, SaturatedReLU, Sign, Step, bits, set_scale
from ftpkit.bits import classes_of
from ftpkit.cost import saved_bytes
from ftpkit.models import ConvNet4, ResNet
from ftpkit.packed import packed

UNITS = {"sign": Sign, "step": Step}
UNITS |= {f"staircase {k}": lambda rule, k=k, **scale: QuantReLU(k, rule, **scale) for k in range(2, 8)}
UNITS["sum"] = lambda rule, **scale: QuantReLU(4, rule, form="sum", **scale)

each_unit = pytest.mark.parametrize("make", UNITS.values(), ids=UNITS)
each_rule = pytest.mark.parametrize("rule", RULES)


def gradients(model, x, *, memory=packed, autocast=False):
    """Output, and the gradients of all parameters and of x, of a loss in which every output has another weight."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    model.zero_grad()
    with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast), memory(model):
        out = model(x)
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype, device=out.device).view(out.shape)
    (out * weight).sum().backward()
    return [out.detach(), x.grad, *(p.grad.clone() for p in model.parameters() if p.requires_grad)]


def assert_same(model, *inputs, **settings):
    """Twice with packed memory: the first pass looks at some things that the second one takes for granted."""
    for x in inputs * 2:
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        expected = gradients(model, x, memory=nullcontext, **settings)
        model.load_state_dict(buffers, strict=False)
        ours = gradients(model, x, **settings)
        assert any(grad.count_nonzero() for grad in expected[1:])
        for a, b in zip(ours, expected, strict=True):
            assert a.dtype == b.dtype and a.stride() == b.stride() and torch.equal(a, b)


def convnet(make, channels=5, norm=True):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, channels, 3), nn.BatchNorm2d(channels) if norm else nn.Identity(), make(),
        nn.Conv2d(channels, 3, 3), nn.BatchNorm2d(3) if norm else nn.Identity(), make(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3, 7), make(), nn.Linear(7, 2),
    )  # fmt: skip


def images(n=3, channels=2, size=7):
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(1))


# --- the same gradients ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", BITS, ids=lambda dtype: str(dtype).removeprefix("torch."))
@each_rule
@each_unit
def test_every_pre_activation_gets_its_own_gradient(make, rule, dtype):
    """Also at and beside every border, in the rounding of each dtype."""
    thirds = [i / 3 + b for i in range(4) for b in (-1, 0, 1)]
    z = torch.cat([with_neighbours([-2.0, -1.0, 0.5, 1.0, 2.0, *thirds], dtype), torch.linspace(-3, 3, 99).to(dtype)])
    z = torch.cat([z, torch.tensor([-torch.inf, torch.inf], dtype=dtype)])
    grads = []
    for memory in (nullcontext, packed):
        activation, leaf = make(rule), z.clone().requires_grad_()
        with memory(activation):
            h = activation(leaf)
        for g in (1.5, -0.7, 0.0):
            grads += torch.autograd.grad(h, leaf, torch.full_like(h, g), retain_graph=True)
    for plain, ours in zip(grads[:3], grads[3:], strict=True):
        assert torch.equal(plain, ours)


@pytest.mark.parametrize("rule", [name for name, rule in RULES.items() if rule.loss.borders])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_every_sum_over_steps_is_told_apart_at_its_own_borders(dtype, rule):
    for k in (3, 6, 7, 13):
        borders = [i / (k - 1) + b for i in range(k) for b in (-1, 0, 1)]
        z, act = with_neighbours(borders, dtype, reach=6), QuantReLU(k, rule, form="sum")
        seen = classes_of(act.unit.windows, act.rule, dtype).keep(z)()
        for g in (torch.ones_like(z), -torch.ones_like(z)):
            assert torch.equal(act.unit.backward(act.rule, g, seen, None), act.unit.backward(act.rule, g, z, None)), k


@each_rule
@each_unit
@pytest.mark.parametrize("norm", [True, False], ids=["batch norm", "no norm"])
def test_a_network_has_the_same_gradients(norm, make, rule):
    assert_same(convnet(lambda: make(rule), norm=norm), images())


RESIDUAL = {
    "Sign, SSTE": lambda: Sign("SSTE"),
    "Sign, FTP-SH": lambda: Sign("FTP-SH"),
    "Step, SaturatedHinge": lambda: Step("SaturatedHinge"),
    "QuantReLU, FTP-SH": lambda: QuantReLU(5, "FTP-SH"),
    "QuantReLU, SSTE": lambda: QuantReLU(3, "SSTE"),
    "SaturatedReLU": SaturatedReLU,
    "ReLU": nn.ReLU,
}
each_residual = pytest.mark.parametrize("make", RESIDUAL.values(), ids=RESIDUAL)


@each_residual
@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
@pytest.mark.parametrize("skip", ["threshold", "real"])
def test_a_residual_network_has_the_same_gradients(skip, form, autocast, make):
    torch.manual_seed(0)
    model = ResNet(make, (3, 9, 9), 10, depth=8, skip=skip).to(memory_format=form)
    x = images(n=3, channels=3, size=9).to(memory_format=form)
    assert_same(model, x, x[:2], autocast=autocast)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@each_residual
@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last], ids=["contiguous", "channels_last"])
def test_a_residual_network_on_cuda(form, autocast, make):
    torch.manual_seed(0)
    model = ResNet(make, (3, 32, 32), 10, depth=18).to(memory_format=form).cuda()
    x = images(n=16, channels=3, size=32).to(memory_format=form).cuda()
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        assert_same(model, x, autocast=autocast)
        if isinstance(make(), Sign | QuantReLU):
            assert kept(model, x) < 0.6 * kept(model, x, nullcontext)  # with z it would be more


def quiet_units(g, z, h):
    return torch.where(z.abs() > 2, 0.0, -g.sign()) * h.sign()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("targets", [{}, {"targets": quiet_units}], ids=["sign of g", "own targets"])
def test_unweighted_rules_and_own_targets(targets, loss):
    model = convnet(lambda: Sign(Rule(loss, weighted=False, **targets)), norm=False)
    set_scale(model, 1 / 3)
    assert_same(model, images())


@pytest.mark.parametrize("rule", ["SSTE", "FTP-SH"])
def test_the_papers_network_with_pools_before_its_thresholds(rule):
    torch.manual_seed(0)
    assert_same(ConvNet4(lambda: Sign(rule), (1, 9, 9), 3), images(channels=1, size=9))


class Changes(nn.Module):
    """Things that one may do to a threshold's input and output on the way."""

    def __init__(self, how, rule):
        super().__init__()
        torch.manual_seed(0)
        self.how, self.act = how, Sign(rule)
        self.conv, self.bn, self.fc = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Linear(100, 2)

    def forward(self, x):
        z = self.bn(self.conv(x))
        return self.fc(getattr(self, self.how)(z).flatten(1))

    def input_scaled_unseen(self, z):
        with torch.no_grad():
            z.mul_(3)
        return self.act(z)

    def input_scaled_in_place(self, z):
        return self.act(z.mul_(3))

    def added_in_place(self, z):
        z += self.bn(self.conv.weight.mean() + z.detach())
        return self.act(z)

    def subtracted(self, z):
        return self.act(z - self.bn(z.detach() * 2))

    def added_with_alpha(self, z):
        return self.act(torch.add(z, self.bn(z.detach() * 2), alpha=2))

    def output_scaled_in_place(self, z):
        h = self.act(z)
        return h.mul_(torch.linspace(0.5, 2, 5)) * h.sigmoid()

    def output_used_then_scaled(self, z):
        h = self.act(z)
        a = F.conv2d(h, self.conv.weight[:, :1].expand(4, 4, 3, 3), padding=1)
        return h.mul(3) + a

    def output_viewed(self, z):
        h = self.act(z)
        return (
            h.transpose(1, 3).reshape(h.shape) * z + (h[:, 1:3] * h[:, :2]).sum() + h.flatten(1)[:, 7].view(-1, 1, 1, 1)
        )

    def twice(self, z):
        return self.act(self.act(z) * 0.5 + z)

    def threshold_of_a_threshold(self, z):
        return self.act(self.act(z))

    def input_with_gaps(self, z):
        return self.act(z[:, ::2]).repeat(1, 2, 1, 1) * self.act(z.transpose(0, 2)).transpose(0, 2)

    def input_expanded(self, z):
        return self.act(z[:, :1].expand(-1, 4, -1, -1)) * z


@pytest.mark.parametrize("rule", ["SSTE", "FTP-SH"])
@pytest.mark.parametrize(
    "how",
    [name for name, value in vars(Changes).items() if callable(value) and "_" not in name[:2] and name != "forward"],
)
def test_whatever_happens_to_inputs_and_outputs(how, rule):
    assert_same(Changes(how, rule), images())


NORMS = {
    "without affine": lambda: nn.BatchNorm2d(4, affine=False),
    "frozen weight": lambda: frozen(nn.BatchNorm2d(4), "weight"),
    "frozen bias": lambda: frozen(nn.BatchNorm2d(4), "bias"),
    "evaluating": lambda: nn.BatchNorm2d(4).eval(),
    "without running statistics": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "layer norm": lambda: nn.LayerNorm(5),
    "group norm": lambda: nn.GroupNorm(2, 4),
}


def frozen(module, name):
    getattr(module, name).requires_grad_(False)
    return module


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_other_norms(norm):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), norm(), Sign("FTP-SH"), nn.Flatten(), nn.Linear(100, 2))
    assert_same(model, images())


def test_two_dimensions_none_and_no_images():
    torch.manual_seed(0)
    assert_same(nn.Sequential(nn.Linear(5, 9), nn.BatchNorm1d(9), Sign("FTP-SH"), nn.Linear(9, 3)), torch.randn(7, 5))
    for shape in [(), (0, 4), (1,)]:
        grads = []
        for memory in (nullcontext, packed):
            z = torch.full(shape, 0.5, requires_grad=True)
            with memory(nn.Identity()):
                loss = (Sign("SSTE")(z) * QuantReLU(3, "Hinge")(z)).sum()
            grads += torch.autograd.grad(loss, z)
        assert torch.equal(*grads) and grads[0].shape == shape


# --- the backward pass, wherever it stands -----------------------------------------------------------------------


def test_backward_inside_and_twice():
    model, x = convnet(lambda: Sign("FTP-SH")), images()
    expected = gradients(model, x, memory=nullcontext)[2:]
    model.zero_grad()
    with packed(model):
        out = model(x)
        loss = (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum()
        loss.backward(retain_graph=True)
    loss.backward()
    for parameter, grad in zip(model.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, 2 * grad)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_it_changes_nothing(mode):
    model = convnet(lambda: Sign("FTP-SH")).eval()
    with mode():
        plain = model(images())
        with packed(model):
            assert torch.equal(model(images()), plain)


def test_a_second_derivative_still_raises():
    z = torch.randn(9, requires_grad=True)
    with packed(nn.Identity()):
        h = Sign("SSTE")(z)
        (slope,) = torch.autograd.grad((h * z**2).sum(), z, create_graph=True)
    with pytest.raises(RuntimeError, match="second derivative"):
        slope.sum().backward()


def test_what_is_kept_as_it_is_must_not_change():
    model, x = convnet(lambda: Sign("FTP-SH")), images()
    with packed(model):
        out = model(x)
    with torch.no_grad():
        model[3].weight.mul_(2)
    with pytest.raises(RuntimeError, match=r"shape \(3, 5, 3, 3\) .* changed in place .* change a copy"):
        out.sum().backward()


def test_a_bias_may_change_before_the_backward_pass():
    """It does without `packed`, too: a batch norm does not keep it."""
    grads = []
    for memory in (nullcontext, packed):
        model = convnet(lambda: Sign("FTP-SH"))
        with memory(model):
            out = model(images())
        with torch.no_grad():
            model[1].bias.add_(1)
        out.sum().backward()
        grads.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_an_output_that_changed_later_was_copied():
    z, w = torch.tensor([-1.0, 2.0]), torch.ones(2, requires_grad=True)
    with packed(nn.Identity()):
        h = Sign("STE")(z)
        loss = (h * w).sum()
    h.zero_()
    loss.backward()
    assert w.grad.tolist() == [-1.0, 1.0]


def test_memory_that_is_used_again_is_not_taken_for_an_output():
    w = torch.ones(1000, requires_grad=True)
    with packed(nn.Identity()):
        addresses, again, total = set(), 0, 0
        for i in range(20):
            h = Sign("STE")(torch.randn(1000))
            addresses.add(h.data_ptr())
            del h
            x = torch.full((1000,), float(i))
            again += x.data_ptr() in addresses
            total = total + (w * x).sum()
    assert again  # or this test shows nothing
    total.backward()
    assert torch.equal(w.grad, torch.full((1000,), 190.0))


def test_only_inside_only_in_this_thread_and_also_after_an_error():
    def kept():
        z, w = torch.randn(8000, requires_grad=True), torch.randn(8000, requires_grad=True)
        return saved_bytes(lambda: (Sign("SSTE")(z) * w).sum())

    plain, elsewhere = kept(), []
    with packed(nn.Identity()):
        assert kept() < plain / 10
        thread = threading.Thread(target=lambda: elsewhere.append(kept()))
        thread.start()
        thread.join()
    assert elsewhere == [plain] and kept() == plain
    with pytest.raises(TypeError, match="floating"), packed(nn.Identity()):
        Sign("SSTE")(torch.arange(3))
    assert kept() == plain


def test_nothing_is_left_when_the_loss_is_gone():
    model, x = convnet(lambda: Sign("FTP-SH")), images()

    def forget():
        with packed(model):
            model(x)
        return torch.zeros(1)

    forget()
    gc.disable()  # what only the garbage collector finds is held in a circle
    try:
        assert saved_bytes(forget) == 4
    finally:
        gc.enable()


@pytest.fixture
def alone():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_under_distributed_data_parallel(alone):
    model = convnet(lambda: QuantReLU(3, "FTP-SH"))
    expected = gradients(model, images(), memory=nullcontext)
    together = nn.parallel.DistributedDataParallel(convnet(lambda: QuantReLU(3, "FTP-SH")))
    for _ in range(2):
        for ours, plain in zip(gradients(together, images()), expected, strict=True):
            assert torch.equal(ours, plain)
    assert kept(together, images()) < 0.6 * kept(together, images(), nullcontext)


def test_a_compiled_model_is_refused():
    for model in (torch.compile(nn.Sequential(Sign("SSTE"))), nn.Sequential(torch.compile(Sign("SSTE")))):
        with pytest.raises(ValueError, match=r"compiled model; leave out torch\.compile"), packed(model):
            pass


# --- bytes -----------------------------------------------------------------------------------------------------


def kept(model, x, memory=packed):
    def forward():
        with memory(model):
            return model(x)

    forward()
    return saved_bytes(forward)


def resnet18(make):
    return ResNet(make, (3, 32, 32), 10, depth=18)


LIMITS = {
    "Sign, SSTE": (lambda: Sign("SSTE"), 0.55),
    "Sign, FTP-SH": (lambda: Sign("FTP-SH"), 0.55),
    "QuantReLU(5), SSTE": (lambda: QuantReLU(5, "SSTE"), 0.58),
    "QuantReLU(5), FTP-SH": (lambda: QuantReLU(5, "FTP-SH"), 0.58),
}


@pytest.fixture(scope="module")
def cifar_images():
    return images(2, 3, 32)


@pytest.fixture(scope="module")
def relu_bytes(cifar_images):
    return kept(resnet18(nn.ReLU), cifar_images, nullcontext)


@pytest.mark.parametrize("make, limit", LIMITS.values(), ids=LIMITS)
def test_the_cifar_resnet_18_keeps_little_more_than_half_of_what_relu_keeps(make, limit, cifar_images, relu_bytes):
    model = resnet18(make)
    assert kept(model, cifar_images) <= limit * relu_bytes
    assert kept(model, cifar_images, nullcontext) > 1.4 * relu_bytes


def test_relu_itself_is_left_alone(cifar_images, relu_bytes):
    assert kept(resnet18(nn.ReLU), cifar_images) == relu_bytes


BITS_OF_Z = {"STE": 0, "SSTE": 1, "Hinge": 2, "Perceptron": 2, "SaturatedHinge": 2, "FTP-SH": 32}


@pytest.mark.parametrize("rule, bits_of_z", BITS_OF_Z.items(), ids=BITS_OF_Z)
def test_bits_of_a_pre_activation(rule, bits_of_z):
    x = torch.randn(8000, requires_grad=True)
    assert saved_bytes(lambda: packed_sum(Sign(rule), x * 1)) == 1000 * bits_of_z + 4


BITS_OF_H = {2: 2, 3: 2, 4: 3, 5: 3, 7: 3, 8: 4, 127: 7, 128: 32}


@pytest.mark.parametrize("steps, bits_of_h", BITS_OF_H.items())
def test_bits_of_an_output_however_many_layers_keep_it(steps, bits_of_h):
    x, w = torch.randn(8000), torch.randn(2, 8000, requires_grad=True)

    def both(z):
        h = QuantReLU(steps, "STE")(z)
        return h * w[0] + h.view(80, 100).flatten() * w[1]

    assert saved_bytes(lambda: packed_sum(both, x)) == 1000 * bits_of_h + 4


def packed_sum(function, x):
    with packed(nn.Identity()):
        return function(x).sum()


# --- bits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1000])
@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_codes_come_back_and_torch_packs_as_numpy_does(width, n, monkeypatch):
    codes = torch.randint(2**width, (n,), dtype=torch.uint8)
    planes = bits.to_bits(codes, width)
    assert planes.shape == (width, (n + 7) // 8) and torch.equal(bits.from_bits(planes, n), codes)
    monkeypatch.setattr(bits, "_pack_numpy", bits._pack_torch)
    monkeypatch.setattr(bits, "_unpack_numpy", bits._unpack_torch)
    assert torch.equal(bits.to_bits(codes, width), planes) and torch.equal(bits.from_bits(planes, n), codes)


@pytest.mark.parametrize("dtype", BITS, ids=lambda dtype: str(dtype).removeprefix("torch."))
def test_every_level_of_every_staircase_comes_back(dtype):
    for steps in range(2, 128):
        z = torch.linspace(-0.1, 1.1, 600).to(dtype)
        w = torch.ones(600, dtype=dtype, requires_grad=True)
        with packed(nn.Identity()):
            h = QuantReLU(steps, "STE")(z)
            loss = (h * w).sum()
        assert torch.equal(torch.autograd.grad(loss, w)[0], h), steps


def test_a_loss_that_states_wrong_borders_is_refused():
    hinge = LOSSES["Hinge"]
    wrong = Loss("my hinge", hinge.value, lambda z, t: -t * (t * z <= 3).to(z.dtype), borders=[-1, 1])
    model = nn.Sequential(nn.Linear(4, 4), Sign(Rule(wrong)))
    with pytest.raises(ValueError, match=r"'my hinge' changes elsewhere than at its borders \(-1, 1\)"), packed(model):
        model(torch.randn(2, 4))


def test_an_own_loss_that_states_its_borders_is_packed():
    wide = Loss("wide hinge", lambda z, t: (2 - t * z).clamp(min=0), lambda z, t: -t * (t * z <= 2), borders=(-2, 2))
    assert len(classes_of(((0.0, 1.0, 1.0),), Rule(wide), torch.float32).values) == 3
    assert_same(convnet(lambda: Sign(Rule(wide)), norm=False), images())
