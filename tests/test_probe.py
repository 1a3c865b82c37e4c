"""`ftpkit.probe`: numbers against hand-made and independent ones, and no trace left in the model."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ftpkit import QuantReLU, Rule, SaturatedReLU, Sign, Step, probe

ACTIVATIONS = {
    "Sign": lambda: Sign("FTP-SH"),
    "Step": lambda: Step("SSTE"),
    "QuantReLU": lambda: QuantReLU(3, "SSTE"),
    "QuantReLU sum": lambda: QuantReLU(3, "Hinge", form="sum"),
    "SaturatedReLU": SaturatedReLU,
    "ReLU": nn.ReLU,
}
WINDOWS = {"Sign": (-1, 1), "Step": (-1, 1), "QuantReLU": (0, 1), "QuantReLU sum": (-1, 2), "SaturatedReLU": (0, 1)}
each_activation = pytest.mark.parametrize("name", ACTIVATIONS)


def mlp(activation, inputs=6):
    torch.manual_seed(0)
    layers = [nn.Linear(inputs, 8), nn.BatchNorm1d(8), activation(), nn.Dropout(0.3), nn.Linear(8, 7), activation()]
    return nn.Sequential(*layers, nn.Linear(7, 3))


def convnet(activation):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        activation(),
        nn.Conv2d(4, 3, 3),
        activation(),
        nn.Flatten(),
        nn.Linear(12, 3),
    )


NETWORKS = {"mlp": (mlp, (5, 6)), "convnet": (convnet, (5, 2, 6, 6))}
each_network = pytest.mark.parametrize("network", NETWORKS)


def hooks(model):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)


def state(model):
    return [tensor.clone() for tensor in model.state_dict().values()], [module.training for module in model.modules()]


def same_state(one, other):
    return all(map(torch.equal, one[0], other[0])) and one[1] == other[1]


# --- record --------------------------------------------------------------------------------------------------------


def test_a_sign_layer_by_hand():
    # three instances, two units; unit 0 is always -1, unit 1 changes
    z = torch.tensor([[-3.0, 0.5], [-1.0, -0.5], [0.0, 1.5]], requires_grad=True)
    g = torch.tensor([[1.0, -2.0], [-3.0, 4.0], [0.0, 0.0]])
    model = nn.Sequential(Sign("SSTE"))
    with probe.record(model) as log:
        model(z).backward(g)
    [seen] = log.records
    expected = {
        "pass": 1, "layer": "0", "depth": 1, "training": True, "instances": 3, "units": 2,
        "saturated": 2 / 6,  # -3 and 1.5; the window is closed, so -1 is inside
        "dead": 1 / 2,
        "grad_h_mean": 10 / 6, "grad_h_rms": math.sqrt(30 / 6),
        "grad_z_mean": 9 / 6, "grad_z_rms": math.sqrt(29 / 6),  # g without the first entry, at z = -3
        # t = -1, +1; +1, -1; 0, 0 and h = -1, +1; -1, -1; -1, +1: only t = +1 at h = -1 disagrees
        "disagree": 1 / 6, "no_target": 2 / 6,
    }  # fmt: skip
    assert list(seen) == list(expected)
    assert seen == pytest.approx(expected)


@pytest.mark.parametrize(
    "activation, saturated, dead, disagree",
    [
        # z = -1.5, 0, 0.25, 0.75, 1, 2 and t = +1, -1, +1, -1, +1, -1 in one unit
        (Step("SSTE"), 2 / 6, 0, 3 / 6),  # window [-1, 1]; sides - - + + + +, so -1.5, 0.75 and 2 disagree
        (QuantReLU(2, "SSTE"), 2 / 6, 0, 4 / 6),  # window [0, 1]; sides - - - + + +
        (QuantReLU(2, "SSTE", form="sum"), 1 / 6, 0, 4 / 6),  # windows [-1, 1] and [0, 2]
        (SaturatedReLU(), 2 / 6, 0, 4 / 6),
        (nn.ReLU(), 2 / 6, 0, None),  # z <= 0
        (nn.ReLU(inplace=True), 2 / 6, 0, None),
    ],
)
def test_other_activations_by_hand(activation, saturated, dead, disagree):
    z = torch.tensor([[-1.5], [0.0], [0.25], [0.75], [1.0], [2.0]], requires_grad=True)
    t = torch.tensor([[1.0], [-1.0], [1.0], [-1.0], [1.0], [-1.0]])
    with probe.record(activation) as log:
        activation(z.clone()).backward(-t)
    [seen] = log.records
    assert [seen["saturated"], seen["dead"], seen["disagree"]] == pytest.approx([saturated, dead, disagree])
    assert seen["no_target"] == (0 if disagree else None)


@each_activation
@each_network
def test_random_networks_against_a_second_computation(name, network):
    build, shape = NETWORKS[network]
    model = build(ACTIVATIONS[name]).eval()
    x, y = 3 * torch.randn(shape), torch.tensor([0, 1, 2, 0, 1])
    with probe.record(model) as log:
        F.cross_entropy(model(x), y).backward()

    expected = []
    a = x
    for position, module in enumerate(model):  # layer by layer, keeping z and h
        z, a = a, module(a)
        if isinstance(module, nn.ReLU | Sign | Step | QuantReLU | SaturatedReLU):
            expected.append((str(position), z, a))
    zs, hs = [z for _, z, _ in expected], [h for _, _, h in expected]
    grads = torch.autograd.grad(F.cross_entropy(a, y), zs + hs)
    assert len(log.records) == len(expected) == 2

    for depth, (seen, (layer, z, h)) in enumerate(zip(log.records, expected, strict=True)):
        grad_z, g = (grads[depth + offset].double().flatten().tolist() for offset in (0, 2))
        low, high = WINDOWS.get(name, (0, math.inf))
        outside = [not low <= value <= high for value in z.flatten().tolist()]
        columns = h.flatten(1).T.tolist()
        assert (seen["layer"], seen["depth"], seen["training"]) == (layer, depth + 1, False)
        assert (seen["instances"], seen["units"]) == (5, len(columns))
        assert seen["saturated"] == pytest.approx(sum(outside) / len(outside))
        assert seen["dead"] == pytest.approx(sum(len(set(column)) == 1 for column in columns) / len(columns))
        for key, values in [("grad_z", grad_z), ("grad_h", g)]:
            assert seen[f"{key}_mean"] == pytest.approx(sum(map(abs, values)) / len(values), rel=1e-5)
            assert seen[f"{key}_rms"] == pytest.approx(math.sqrt(sum(v * v for v in values) / len(values)), rel=1e-5)
        if name != "ReLU":
            sides = [1 if value > (low + high) / 2 else -1 for value in z.flatten().tolist()]
            wrong = [gradient * side > 0 for gradient, side in zip(g, sides, strict=True)]  # t = -sign(g) = -side
            assert seen["disagree"] == pytest.approx(sum(wrong) / len(wrong))
            assert seen["no_target"] == pytest.approx(sum(gradient == 0 for gradient in g) / len(g))


def test_targets_come_from_the_rule():
    def only_the_first_unit_and_always_up(g: Tensor, z: Tensor, h: Tensor) -> Tensor:
        assert g.shape == z.shape == h.shape and set(h.unique().tolist()) <= {-1, 1}
        return torch.tensor([1.0, 0.0, 0.0, 0.0]).expand_as(z)

    model = nn.Sequential(Sign(Rule("Hinge", only_the_first_unit_and_always_up)))
    z = torch.tensor([[-1.0, -1, 1, 1], [2, 2, 2, 2]], requires_grad=True)
    with probe.record(model) as log:
        model(z).sum().backward()
    assert (log.records[0]["disagree"], log.records[0]["no_target"]) == (1 / 8, 6 / 8)


def test_an_activation_used_twice_is_recorded_twice():
    sign = Sign("STE")
    model = nn.Sequential(nn.Linear(2, 2), sign, nn.Linear(2, 2), sign)
    with probe.record(model) as log:
        for _ in range(2):
            model(torch.ones(3, 2)).sum().backward()
    assert [(r["pass"], r["layer"], r["depth"]) for r in log.records] == [
        (1, "1", 1),
        (1, "1", 2),
        (2, "1", 1),
        (2, "1", 2),
    ]
    first, second = log.records[:2]
    assert second["grad_h_mean"] == 1 and first["grad_h_mean"] != 1  # each call has its own gradient


def test_a_residual_network_records_what_the_activation_alone_sends_back():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = Sign("SSTE")

        def forward(self, z):
            return 2 * z + self.act(z)

    z, model = torch.tensor([[0.5], [3.0]], requires_grad=True), Residual()
    with probe.record(model) as log:
        model(z).sum().backward()
    assert log.records[0]["layer"] == "act"
    assert (log.records[0]["grad_h_mean"], log.records[0]["grad_z_mean"]) == (1, 0.5)
    assert z.grad.tolist() == [[3.0], [2.0]]


def test_vanishing_gradients_do_not_underflow_and_zero_is_zero():
    for size in (1e-30, 0.0):
        z = torch.zeros(2, 2, requires_grad=True)
        with probe.record(model := nn.Sequential(Sign("STE"))) as log:
            model(z).backward(torch.full((2, 2), size))
        assert log.records[0]["grad_z_rms"] == pytest.approx(size, rel=1e-6, abs=0)


def test_what_is_not_there_is_none():
    model = mlp(ACTIVATIONS["Sign"]).eval()
    with probe.record(model) as log, torch.no_grad():
        model(torch.ones(1, 6))
    assert [r["dead"] for r in log.records] == [None, None]  # one instance says nothing about dead units
    assert {r[key] for r in log.records for key in r if key.startswith("grad") or "target" in key} == {None}


def test_records_are_plain_and_fit_a_data_frame():
    model = mlp(ACTIVATIONS["Sign"])
    with probe.record(model) as log:
        model(torch.randn(4, 6)).sum().backward()
    assert {type(value) for record in log.records for value in record.values()} <= {int, float, str, bool}
    pandas = pytest.importorskip("pandas")
    assert pandas.DataFrame(log.records).groupby("layer")["grad_z_rms"].mean().gt(0).all()


@each_activation
@each_network
def test_recording_changes_no_bit(name, network):
    build, shape = NETWORKS[network]
    results = []
    for watched in (False, True):
        model, x = build(ACTIVATIONS[name]), torch.randn(shape, generator=torch.Generator().manual_seed(1))
        torch.manual_seed(5)
        if watched:
            with probe.record(model), probe.largest(model):
                loss = F.cross_entropy(model(x), torch.arange(5) % 3)
                loss.backward()
        else:
            loss = F.cross_entropy(model(x), torch.arange(5) % 3)
            loss.backward()
        grads = [p.grad for p in model.parameters()]
        results.append([loss.detach(), *grads, *model.state_dict().values(), torch.random.get_rng_state()])
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("watch", [probe.record, probe.largest, lambda m: probe.flips(m, torch.ones(4, 6))])
def test_hooks_are_gone_afterwards_also_after_an_exception(watch):
    model = mlp(ACTIVATIONS["Sign"])
    with watch(model):
        model(torch.ones(4, 6))
    assert hooks(model) == 0
    with pytest.raises(ZeroDivisionError), watch(model):
        model(torch.ones(4, 6))
        1 / 0  # noqa: B018
    assert hooks(model) == 0
    with pytest.raises(RuntimeError), watch(model):
        model(torch.ones(4, 5))  # does not fit: the exception comes out of a forward pass
    assert hooks(model) == 0


def test_a_backward_pass_after_the_exit_is_not_recorded():
    model = mlp(ACTIVATIONS["Sign"])
    with probe.record(model) as log:
        loss = model(torch.randn(4, 6)).sum()
    loss.backward()
    assert len(log.records) == 2 and all(record["grad_h_mean"] is None for record in log.records)


# --- flips ---------------------------------------------------------------------------------------------------------


def test_flips_by_hand():
    x = torch.tensor([[-0.6], [-0.2], [0.2], [0.6], [1.2]])
    model = nn.Sequential(nn.Linear(1, 1), Sign("SSTE"), nn.Linear(1, 1), QuantReLU(2, "SSTE"))

    def set_weights(w, b, w2, b2):
        for parameter, value in zip(model.parameters(), (w, b, w2, b2), strict=True):
            parameter.data.fill_(value)

    set_weights(1, 0, 1, 1.5)  # signs - - + + +, staircase of 0.5 or 2.5: levels .5 .5 1 1 1
    with probe.flips(model, x) as since:
        assert since.measure() == {"1": 0, "3": 0}
        set_weights(1, 0.4, 1, 1.5)  # signs - + + + +
        assert since.measure() == pytest.approx({"1": 1 / 5, "3": 1 / 5})
        set_weights(1, 0.4, 1, 0.5)  # the staircase of -0.5 or 1.5: only level .5 falls to 0
        assert since.measure() == pytest.approx({"1": 0, "3": 1 / 5})
        set_weights(-1, 0, 1, 0.5)  # signs + + - - -, against - + + + +
        assert since.measure() == pytest.approx({"1": 4 / 5, "3": 4 / 5})


@pytest.mark.parametrize(
    "activation, before, after, share",
    [
        (nn.ReLU(), [-1.0, 1.0, 2.0, 3.0], [-2.0, 5.0, -2.0, 3.5], 1 / 4),
        (SaturatedReLU(), [-1.0, 0.5, 0.5, 3.0], [-2.0, 0.6, 1.0, 0.0], 2 / 4),
        (Step("STE"), [-1.0, 0.5, 0.5, 3.0], [-2.0, 0.6, 1.0, 0.0], 1 / 4),
    ],
)
def test_flips_of_other_activations(activation, before, after, share):
    x = torch.tensor([before])
    with probe.flips(activation, x) as since:
        x.copy_(torch.tensor([after]))
        assert since.measure() == {"": share}


@each_activation
@each_network
def test_flips_against_a_second_computation_while_training(name, network):
    build, shape = NETWORKS[network]
    model, x = build(ACTIVATIONS[name]), torch.randn(shape)

    def levels():
        copied, a, found = copy.deepcopy(model).eval(), x, {}
        for position, module in enumerate(copied):
            z, a = a, module(a)
            if name == "ReLU" or name == "SaturatedReLU":
                level = (z > 0).int() + ((z >= 1).int() if name == "SaturatedReLU" else 0)
            else:
                level = a
            if type(module).__name__ == name.split()[0]:
                found[str(position)] = level.flatten().tolist()
        return found

    with probe.flips(model, x) as since:
        before, total = levels(), 0
        for _ in range(3):
            optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
            F.cross_entropy(model(x), torch.arange(5) % 3).backward()
            optimizer.step()
            now = levels()
            for layer, share in since.measure().items():
                changed = [a != b for a, b in zip(before[layer], now[layer], strict=True)]
                assert share == pytest.approx(sum(changed) / len(changed))
                total += share
            before = now
    assert total > 0  # the run did flip something


def test_measuring_flips_leaves_no_trace():
    model, x = mlp(ACTIVATIONS["Sign"]), torch.randn(5, 6)
    model[1].eval()  # a frozen batch norm inside a model that trains
    before, generator = state(model), torch.random.get_rng_state()
    with probe.flips(model, x) as since:
        since.measure()
        assert all(p.grad is None for p in model.parameters())
    assert same_state(before, state(model)) and torch.equal(generator, torch.random.get_rng_state())


def test_flips_of_an_activation_used_twice_and_after_the_end():
    sign = Sign("STE")
    model = nn.Sequential(sign, nn.Linear(2, 2), sign)
    with probe.flips(model, torch.randn(3, 2)) as since:
        model[1].weight.data.neg_()
        model[1].bias.data.neg_()
        assert since.measure() == {"0": 0, "0#2": 1}
    with pytest.raises(RuntimeError, match="inside `with probe.flips"):
        since.measure()


# --- largest and undisturbed ---------------------------------------------------------------------------------------


def test_largest_by_hand_and_over_several_batches():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), Sign("SSTE"), nn.Sequential(nn.Linear(1, 1), nn.ReLU()))
    for parameter, value in zip(model.parameters(), (2, 3, -4), strict=True):
        parameter.data.fill_(value)
    with probe.largest(model) as sizes:
        model(torch.tensor([[1.0], [-5.0]]))
        model(torch.tensor([[2.0]]))
    sizes = {layer: size.item() for layer, size in sizes.items()}
    assert list(sizes) == ["0", "1", "2.0", "2.1"]  # the containers only pass on their last layer's tensor
    assert sizes == {"0": 10, "1": 10, "2.0": 7, "2.1": 0}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_largest_shows_what_a_threshold_hides(value):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = Sign("SSTE")

        def forward(self, x):
            return self.act(x + value)  # no layer makes this pre-activation: only the activation sees it

    model = nn.Sequential(Residual(), nn.Linear(2, 2))
    with probe.largest(model) as sizes:
        assert model(torch.ones(3, 2)).isfinite().all()
    assert not sizes["0.act"].isfinite() and sizes["1"].isfinite()


def test_undisturbed_restores_everything_also_after_an_exception():
    model = mlp(ACTIVATIONS["Sign"])
    model[1].eval()
    before, generator = state(model), torch.random.get_rng_state()
    with pytest.raises(ZeroDivisionError), probe.undisturbed(model, training=True):
        assert all(module.training for module in model.modules())
        model(torch.randn(5, 6))
        assert not same_state(before, state(model)) and not torch.equal(generator, torch.random.get_rng_state())
        1 / 0  # noqa: B018
    assert same_state(before, state(model)) and torch.equal(generator, torch.random.get_rng_state())
    assert torch.is_grad_enabled()
