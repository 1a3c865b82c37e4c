"""What the activations do forward, which dtypes and inputs they take, and what travels with a saved model."""

import copy
import io
import pickle

import closed_forms
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import ftpkit
from ftpkit import RULES, QuantReLU, Rule, SaturatedReLU, Sign, Step

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
ALL = {
    "sign": Sign,
    "step": Step,
    "staircase": lambda rule: QuantReLU(3, rule),
    "staircase, sum": lambda rule: QuantReLU(4, rule, form="sum"),
    "saturated relu": lambda rule: SaturatedReLU(),
}

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
each_activation = pytest.mark.parametrize("make", ALL.values(), ids=ALL)
each_rule = pytest.mark.parametrize("rule", RULES)


def gradient(activation, z, g):
    z = z.detach().clone().requires_grad_()
    return torch.autograd.grad(activation(z), z, g)[0]


# --- forward ---------------------------------------------------------------------------------------------------


@each_dtype
def test_sign_and_step_at_and_around_0(dtype):
    smallest = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    z = torch.tensor([-1e4, -1.0, -smallest, -0.0, 0.0, smallest, 1.0, 1e4], dtype=dtype)
    assert Sign("SSTE")(z).tolist() == [-1, -1, -1, -1, -1, 1, 1, 1]
    assert Step("SSTE")(z).tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert torch.equal(Step("SSTE")(z), (Sign("SSTE")(z) + 1) / 2)
    assert not Step("SSTE")(z).signbit()[:5].any()


@pytest.mark.parametrize("size", [1, 7, 64, 1003])  # whole vector registers and what is left over
@each_dtype
def test_nan_takes_the_lower_side_of_a_threshold_and_stays_in_a_staircase(dtype, size):
    z = torch.full((size,), torch.nan, dtype=dtype)
    assert (Sign("SSTE")(z) == -1).all()
    assert (Step("SSTE")(z) == 0).all()
    assert QuantReLU(3, "SSTE")(z).isnan().all()
    assert SaturatedReLU()(z).isnan().all()


@each_dtype
@pytest.mark.parametrize("k", range(2, 17))
def test_staircase_levels(k, dtype):
    z = torch.linspace(-1, 2, 3001, dtype=torch.float64).to(dtype)
    h = QuantReLU(k, "STE")(z)
    levels = torch.arange(k + 1, dtype=dtype) / k
    assert torch.equal(h.unique(), levels)
    assert (h.diff() >= 0).all()
    assert QuantReLU(k, "STE")(torch.tensor([-3.0, 0.0, 1.0, 1.5, 1e4], dtype=dtype)).tolist() == [
        *(levels[0], levels[0], levels[k - 1], levels[k], levels[k])
    ]
    first_step = torch.tensor(1 / (k - 1), dtype=torch.float64).to(dtype)
    assert QuantReLU(k, "STE")(first_step / 2).item() == levels[1]


@each_dtype
@pytest.mark.parametrize("k", [2, 3, 5, 7])
def test_staircase_has_no_negative_0(k, dtype):
    z = torch.tensor([-0.0, -1e-7, -0.3, -1.0, -1e4] * 13, dtype=dtype)
    h = QuantReLU(k, "STE")(z)
    assert not h.any() and not h.signbit().any()


@pytest.mark.parametrize("k", range(2, 16))
@pytest.mark.parametrize(
    "dtype, numpy_dtype, unequal",
    [(torch.float32, np.float32, {7, 11, 13, 14, 15}), (torch.float64, np.float64, {4, 7, 8, 10, 12, 13, 15})],
    ids=["float32", "float64"],
)
def test_staircase_is_the_mean_of_its_steps_but_for_an_ulp_at_thresholds(dtype, numpy_dtype, unequal, k):
    """The mean of step(z - i / (k - 1)) in the same floats, at every threshold and eight floats to either side."""
    thresholds = np.array([i / (k - 1) for i in range(k)], dtype=numpy_dtype)
    z, up, down = [thresholds], thresholds, thresholds
    for _ in range(8):
        up, down = np.nextafter(up, numpy_dtype(2)), np.nextafter(down, numpy_dtype(-2))
        z += [up, down]
    z = np.concatenate([*z, np.linspace(-0.5, 1.5, 4001, dtype=numpy_dtype)])
    passed = (z[:, None] > thresholds).sum(1)  # the sum form: one comparison for each step
    level = np.round(QuantReLU(k, "STE")(torch.tensor(z)).double().numpy() * k)
    differ = level != passed
    assert differ.any() == (k in unequal)
    if k - 1 in (1, 2, 4, 8):
        assert not differ.any()
    nearest = thresholds[np.abs(z[differ, None] - thresholds).argmin(1)]
    assert (np.abs(z[differ] - nearest) <= np.spacing(nearest)).all()


def test_staircase_equals_its_closed_form_away_from_thresholds():
    z = torch.linspace(-0.7, 1.7, 1000, dtype=torch.float64)
    for k in (2, 3, 4, 5, 7, 15):
        np.testing.assert_allclose(QuantReLU(k, "STE")(z), closed_forms.staircase(z.numpy(), k), atol=1e-15)


@pytest.mark.parametrize("steps", [1, 0, -3, True, 3.0, "3", None])
def test_steps_below_2_or_no_integers_are_refused(steps):
    with pytest.raises(ValueError, match="a staircase needs steps >= 2, an integer, not .*use ftpkit.Step"):
        QuantReLU(steps, "SSTE")
    with pytest.raises(ValueError, match="a staircase needs steps >= 2"):
        ftpkit.quant_relu(torch.zeros(3), steps, "SSTE")


def test_another_form_is_refused():
    with pytest.raises(ValueError, match="form is 'single' .* or 'sum' .*, not 'mean'"):
        QuantReLU(3, "SSTE", form="mean")


def test_functions_equal_modules():
    z = torch.linspace(-2, 2, 41)
    unweighted = Rule("Hinge", weighted=False)
    for function, module in [
        (lambda z: ftpkit.sign(z, "Hinge"), Sign("Hinge")),
        (lambda z: ftpkit.sign(z, unweighted, scale=0.5), Sign(unweighted, scale=0.5)),
        (lambda z: ftpkit.step(z, "LogLoss"), Step("LogLoss")),
        (lambda z: ftpkit.quant_relu(z, 4, "FTP-SH"), QuantReLU(4, "FTP-SH")),
        (lambda z: ftpkit.quant_relu(z, 4, "Hinge", form="sum"), QuantReLU(4, "Hinge", form="sum")),
        (ftpkit.saturated_relu, SaturatedReLU()),
    ]:
        assert torch.equal(function(z), module(z))
        assert torch.equal(gradient(function, z, z + 0.1), gradient(module, z, z + 0.1))


# --- what is refused -------------------------------------------------------------------------------------------


@each_activation
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64], ids=str)
def test_tensors_that_are_not_floating_are_refused(make, dtype):
    activation = make("SSTE")
    with pytest.raises(TypeError, match=f"{type(activation).__name__} takes a tensor of floating-point .* not {dtype}"):
        activation(torch.ones(3, dtype=dtype))


@each_activation
@pytest.mark.parametrize("z", [1.0, [1.0], np.ones(3), None], ids=lambda z: type(z).__name__)
def test_what_is_no_tensor_is_refused(make, z):
    with pytest.raises(TypeError, match=f"takes a tensor of floating-point numbers, not {type(z).__name__}"):
        make("SSTE")(z)


@pytest.mark.parametrize("make", list(ALL.values())[:4], ids=list(ALL)[:4])
def test_unweighted_without_a_scale_is_refused_where_gradients_are_wanted(make):
    activation = make(Rule("Hinge", weighted=False))
    z = torch.linspace(0.1, 0.9, 4)
    assert activation(z).shape == (4,)  # no gradient is wanted
    z.requires_grad_()
    with torch.no_grad():
        assert activation(z).shape == (4,)
    with pytest.raises(ValueError, match=r"rule 'Hinge \(unweighted\)' is unweighted and has no scale: pass scale=1/b"):
        activation(z)
    ftpkit.set_scale(nn.Sequential(nn.Sequential(activation)), 0.25)
    activation(z).sum().backward()
    assert z.grad.abs().max() > 0


@pytest.mark.parametrize("scale", [0, -0.5, float("nan"), float("inf")])
def test_wrong_scales_are_refused_wherever_they_are_given(scale):
    rule = Rule("Hinge", weighted=False)
    for give in (
        lambda: Sign(rule, scale=scale),
        lambda: QuantReLU(3, rule, scale=scale),
        lambda: ftpkit.step(torch.zeros(2), rule, scale=scale),
        lambda: ftpkit.set_scale(nn.Sequential(Sign(rule)), scale),
    ):
        with pytest.raises(ValueError, match="scale is a positive number"):
            give()


# --- dtypes, batches, copies -----------------------------------------------------------------------------------


@each_dtype
@each_activation
@each_rule
def test_dtype_and_shape_in_are_dtype_and_shape_out(rule, make, dtype):
    for shape in [(), (0,), (2, 3), (2, 0, 4)]:
        z = torch.randn(shape).to(dtype).requires_grad_()
        h = make(rule)(z)
        h.sum().backward()
        assert h.dtype == z.grad.dtype == dtype
        assert h.shape == z.grad.shape == shape
        assert z.grad.isfinite().all()


@each_activation
def test_memory_formats_do_not_matter(make):
    z, g = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    plain = gradient(make("Hinge"), z, g)
    assert torch.equal(gradient(make("Hinge"), z.to(memory_format=torch.channels_last), g), plain)
    assert torch.equal(gradient(make("Hinge"), z.mT, g.mT).mT, plain)
    assert not gradient(make("Perceptron"), z, torch.zeros(()).expand(z.shape)).any()


@each_activation
@each_rule
def test_weighted_rules_do_not_depend_on_batch_size(rule, make):
    z, g = torch.randn(64, 33), torch.randn(64, 33)
    whole = gradient(make(rule), z, g)
    halves = [gradient(make(rule), a, b) for a, b in zip(z.split(32), g.split(32), strict=True)]
    assert torch.equal(whole, torch.cat(halves))


@pytest.mark.parametrize("backward_inside", [False, True])
@pytest.mark.parametrize("rule", ["SSTE", "FTP-SH", "LogLoss"])
def test_autocast(rule, backward_inside):
    """Weights and inputs are small integers, so bfloat16 computes the same z, and the same thresholds, as float32."""

    def run(dtype):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 16), Sign(rule), nn.Linear(16, 8), QuantReLU(3, rule), nn.Linear(8, 3))
        x, y, seen = torch.randint(-1, 2, (10, 6)).float(), torch.randint(0, 3, (10,)), []
        for layer in net:
            if isinstance(layer, nn.Linear):
                layer.weight.data = torch.randint(-1, 2, layer.weight.shape).float()
                layer.bias.data = torch.randint(-1, 2, layer.bias.shape).float()
            layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = F.cross_entropy(net(x), y)
            if backward_inside:
                loss.backward()
        if not backward_inside:
            loss.backward()
        assert set(seen) == {dtype}
        return [p.grad for p in net.parameters()]

    for low, full in zip(run(torch.bfloat16), run(torch.float32), strict=True):
        assert low.dtype == torch.float32 and full.any()
        torch.testing.assert_close(low, full, rtol=0.03, atol=0.01 * full.abs().max().item())


def roundtrips(module):
    def through_file(obj, **options):
        file = io.BytesIO()
        torch.save(obj, file)
        file.seek(0)
        return torch.load(file, **options)

    yield through_file(module, weights_only=False)
    yield pickle.loads(pickle.dumps(module))
    yield copy.deepcopy(module)
    again = copy.deepcopy(module)
    nn.init.zeros_(again[0].weight)
    again.load_state_dict(through_file(module.state_dict(), weights_only=True))
    yield again


@each_activation
@pytest.mark.parametrize("rule", ["SSTE", "Hinge", Rule("LogLoss", weighted=False)], ids=str)
def test_saved_models_come_back_the_same(make, rule):
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(3, 5), make(rule), nn.Linear(5, 2)), torch.randn(7, 3)
    ftpkit.set_scale(model, 0.125)

    def outputs_and_gradients(net):
        out = net(x)
        return [out, *torch.autograd.grad(out.sum(), list(net.parameters()))]

    before = outputs_and_gradients(model)
    for again in roundtrips(model):
        assert again is not model and repr(again) == repr(model) and again[1].scale == 0.125
        assert all(torch.equal(a, b) for a, b in zip(before, outputs_and_gradients(again), strict=True))


def test_what_a_model_prints():
    net = nn.Sequential(Sign("SSTE"), QuantReLU(3, "FTP-SH"), QuantReLU(5, "Hinge", form="sum"), SaturatedReLU())
    assert [repr(module) for module in net] == [
        "Sign('SSTE')",
        "QuantReLU(3, 'FTP-SH')",
        "QuantReLU(5, 'Hinge', form='sum')",
        "SaturatedReLU()",
    ]
