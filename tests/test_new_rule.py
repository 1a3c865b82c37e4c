"""One new, asymmetric rule of five lines, taken through everything that a built-in rule goes through."""

import copy
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ftpkit import LOSSES, RULES, Loss, QuantReLU, Rule, Sign, Step, as_rule
from ftpkit.ftprop import minibatch_step

FIVE_LINES = """\
from ftpkit import Loss, Rule
def value(z, t): return (1 - t * z).clamp(min=0) ** 3 + 0.1 * (t * z - 2).clamp(min=0) ** 2
def derivative(z, t): return t * (0.2 * (t * z - 2).clamp(min=0) - 3 * (1 - t * z).clamp(min=0) ** 2)
def targets(g, z, h): return -g.sign() * (g.abs() > 0.1 * g.abs().amax(0))  # the batch decides who is left alone
MyRule = Rule(Loss("cubic hinge with a pull back", value, derivative), targets)
"""

ACTIVATIONS = {
    "sign": Sign,
    "step": Step,
    "staircase": lambda rule: QuantReLU(3, rule),
    "staircase, sum": lambda rule: QuantReLU(4, rule, form="sum"),
}
WINDOWS = {
    "sign": [(0, 1, 1)],
    "step": [(0, 1, 1 / 2)],
    "staircase": [(1 / 2, 1 / 2, 1)],
    "staircase, sum": [(0, 1, 1 / 4), (1 / 3, 1, 1 / 4), (2 / 3, 1, 1 / 4), (1, 1, 1 / 4)],
}
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def in_this_cell():
    """The rule as a notebook cell defines it."""
    cell = {"__name__": "__main__"}
    exec(FIVE_LINES, cell)
    return cell["MyRule"]


@pytest.fixture
def from_file(tmp_path, monkeypatch):
    """The rule as a file that is named, in the current folder."""
    (tmp_path / "my_rules.py").write_text(FIVE_LINES)
    monkeypatch.chdir(tmp_path)
    return "my_rules.py:MyRule"


def network(rule, activation="sign"):
    torch.manual_seed(0)
    make = ACTIVATIONS[activation]
    return nn.Sequential(nn.Linear(5, 8), make(rule), nn.Linear(8, 6), make(rule), nn.Linear(6, 3))


def batch():
    torch.manual_seed(1)
    return torch.randn(20, 5), torch.randint(0, 3, (20,))


def gradients(net):
    x, y = batch()
    return torch.autograd.grad(F.cross_entropy(net(x), y), list(net.parameters()))


def test_it_is_five_lines_and_asymmetric():
    assert len(FIVE_LINES.splitlines()) == 5
    z = torch.linspace(-3, 3, 61)
    loss = in_this_cell().loss
    assert not torch.equal(loss.surrogate(z, 1), loss.surrogate(z, -1))


@each_activation
def test_backward_equals_the_closed_form(activation):
    torch.manual_seed(0)
    z, g = torch.randn(64, 9, dtype=torch.float64, requires_grad=True), torch.randn(64, 9, dtype=torch.float64)
    ACTIVATIONS[activation](in_this_cell())(z).backward(g)
    x, weight = z.detach().numpy(), g.abs().numpy()
    t = np.where(weight > 0.1 * weight.max(0), -np.sign(g.numpy()), 0)

    def slope(u):
        return t * (0.2 * np.maximum(t * u - 2, 0) - 3 * np.maximum(1 - t * u, 0) ** 2)

    exact = sum(factor * slope((x - center) / half_width) for center, half_width, factor in WINDOWS[activation])
    np.testing.assert_allclose(z.grad.numpy(), exact * weight, rtol=1e-12, atol=1e-12)
    assert (t == 0).any() and not z.grad.numpy()[t == 0].any()


@each_activation
def test_minibatch_step_makes_the_same_update(activation):
    x, y = batch()
    through_autograd, by_layers = network(in_this_cell(), activation), network(in_this_cell(), activation)
    optimizer = torch.optim.SGD(through_autograd.parameters(), lr=0.1)
    F.cross_entropy(through_autograd(x), y).backward()
    optimizer.step()
    minibatch_step(by_layers, x, y, torch.optim.SGD(by_layers.parameters(), lr=0.1))
    before = network(in_this_cell(), activation)
    for a, b, start in zip(through_autograd.parameters(), by_layers.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-7)
        assert not torch.equal(a, start)


def test_compiles_in_one_graph():
    nets = [network(in_this_cell(), activation) for activation in ACTIVATIONS]
    both = nn.ModuleList(nets)
    x, _ = batch()

    def outputs(x):
        return torch.stack([net(x) for net in both])

    torch._dynamo.reset()
    compiled = torch.compile(outputs, fullgraph=True, backend="aot_eager")  # test_compile.py goes to machine code
    ours = torch.autograd.grad(compiled(x).square().sum(), list(both.parameters()))
    expected = torch.autograd.grad(outputs(x).square().sum(), list(both.parameters()))
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert sum(g.abs().sum() for g in ours) > 0
    torch._dynamo.reset()


LOAD_IN_A_NEW_PROCESS = """\
import pickle
import torch
from ftpkit import Loss, Rule

x, outputs, gradients, state = torch.load("expected.pt", weights_only=True)
model = torch.load("model.pt", weights_only=False)
again = model(x)
assert torch.equal(again, outputs)
for ours, theirs in zip(torch.autograd.grad(again.square().sum(), list(model.parameters())), gradients, strict=True):
    assert torch.equal(ours, theirs)

def value(z, t): return -t * z
def derivative(z, t): return -t + 0 * z
try:
    pickle.dumps(Rule(Loss("made in __main__", value, derivative)))
except pickle.PicklingError as error:
    print(error)
"""


def test_saved_and_loaded_in_a_new_process(from_file, tmp_path):
    widths = zip((5, 6, 7, 8), (6, 7, 8, 9), ACTIVATIONS.values(), strict=True)
    model = nn.Sequential(*(nn.Sequential(nn.Linear(n, m), make(from_file)) for n, m, make in widths), nn.Linear(9, 2))
    x, _ = batch()
    out = model(x)
    gradients = list(torch.autograd.grad(out.square().sum(), list(model.parameters())))
    assert gradients[0].any()
    torch.save(model, "model.pt")
    torch.save([x, out.detach(), gradients, model.state_dict()], "expected.pt")
    (tmp_path / "load.py").write_text(LOAD_IN_A_NEW_PROCESS)
    done = subprocess.run([sys.executable, "load.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "'made in __main__' cannot be saved, because 'value' exists only in this session" in done.stdout
    assert "name it 'my_rules.py:MyRule'" in done.stdout


def test_weights_alone_are_saved_whatever_the_rule(tmp_path):
    model, again = network(in_this_cell()), network("SSTE")
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    nn.init.zeros_(again[0].weight)
    again.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(again(batch()[0]), model(batch()[0]))


def test_the_file_and_the_cell_are_the_same_rule(from_file):
    for activation in ACTIVATIONS:
        pairs = zip(
            gradients(network(from_file, activation)), gradients(network(in_this_cell(), activation)), strict=True
        )
        assert all(torch.equal(a, b) for a, b in pairs)
    assert as_rule(from_file) == as_rule(from_file) == pickle.loads(pickle.dumps(as_rule(from_file)))
    assert as_rule(from_file).name == "MyRule"


def local_function_rule():
    def value(z, t):
        return -t * z

    return Rule(Loss("local", value, LOSSES["Linear"].derivative))


UNSAVEABLE = {
    "notebook cell": in_this_cell,
    "lambda": lambda: Rule(Loss("lambda", lambda z, t: -t * z, LOSSES["Linear"].derivative)),
    "lambda targets": lambda: Rule("Hinge", targets=lambda g, z, h: -g.sign()),
    "local function": local_function_rule,
}


@pytest.mark.parametrize("make_rule", UNSAVEABLE.values(), ids=UNSAVEABLE)
def test_what_only_this_session_knows_is_copied_but_not_saved(make_rule, tmp_path):
    model = network(make_rule())
    assert all(torch.equal(a, b) for a, b in zip(gradients(copy.deepcopy(model)), gradients(model), strict=True))
    for save in (pickle.dumps, lambda model: torch.save(model, tmp_path / "model.pt")):
        with pytest.raises(
            pickle.PicklingError, match="exists only in this session; put the rule into a file"
        ) as error:
            save(model)
        assert "'my_rules.py:MyRule'" in str(error.value)


def test_a_variant_of_a_filed_rule_is_not_saved_as_the_filed_one(from_file):
    variant = replace(as_rule(from_file), weighted=False)
    with pytest.raises(pickle.PicklingError, match="put the rule into a file"):
        pickle.dumps(variant)
    assert as_rule(from_file).weighted


def test_an_edited_file_is_read_again(from_file, tmp_path):
    before = as_rule(from_file)
    (tmp_path / "my_rules.py").write_text(FIVE_LINES.replace("derivative), targets)", "derivative), weighted=False)"))
    assert before.weighted and not as_rule(from_file).weighted


def test_files_may_hold_anything_that_a_module_may(tmp_path):
    lines = (
        "from __future__ import annotations",
        "from dataclasses import dataclass",
        "@dataclass",
        "class A:",
        "    x: int",
    )
    (tmp_path / "rich.py").write_text("\n".join([*lines, FIVE_LINES]))
    assert as_rule(f"{tmp_path / 'rich.py'}:MyRule").name == "MyRule"


def test_what_is_wrong_with_a_named_file_is_said(from_file, tmp_path, monkeypatch):
    for missing in ("no_such.py:MyRule", str(tmp_path / "no_such.py") + ":MyRule"):
        with pytest.raises(FileNotFoundError, match="there is no file .*no_such.py"):
            as_rule(missing)
    with pytest.raises(AttributeError, match="my_rules.py defines no 'MyRul'; the rules in it are: MyRule"):
        as_rule("my_rules.py:MyRul")
    with pytest.raises(TypeError, match="'derivative' in my_rules.py is a function; it must be an ftpkit.Rule"):
        as_rule("my_rules.py:derivative")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(AttributeError, match="the rules in it are: none"):
        as_rule("empty.py:MyRule")
    (tmp_path / "broken.py").write_text("MyRule = 1 / 0")
    for _ in range(2):  # the second time too: no half-made module stays behind
        with pytest.raises(ZeroDivisionError):
            as_rule("broken.py:MyRule")
    for no_file in ("my_rules.py", "my_rules:MyRule", "MyRule"):
        with pytest.raises(ValueError, match="there is no rule"):
            as_rule(no_file)


def test_a_loss_in_a_file_becomes_the_rule_of_that_loss(from_file, tmp_path):
    (tmp_path / "losses.py").write_text(FIVE_LINES.replace("MyRule = Rule(", "MyLoss = (").replace(", targets)", ")"))
    rule = as_rule("losses.py:MyLoss")
    assert (rule.name, rule.weighted, rule.targets) == ("MyLoss", True, RULES["SSTE"].targets)
    assert rule.loss.name == "cubic hinge with a pull back"
    assert pickle.loads(pickle.dumps(rule)) == rule
