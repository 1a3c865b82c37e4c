"""Gradient training: against a network and an optimiser of PyTorch's own, and what it says against a count by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import ftpkit
from ftpkit.losses import UnknownName
from ftpkit.search.cases import case
from ftpkit.search.gradient import LRS, _random_layers, gradient, perceptron
from ftpkit.search.problem import Problem, affine, sign
from ftpkit.separability import fewest_errors

XOR = case("XOR").problem


@pytest.mark.parametrize("rule", ["STE", "SSTE", "FTP-SH"])
@pytest.mark.parametrize("cell", ["teacher 2-layer n=6 h=3 m=25", "teacher 3-layer n=4 h=3-2 m=25"])
def test_one_start_is_an_ordinary_network_trained_by_adam(rule, cell):
    problem = case(cell, 4).problem
    seen = []
    outcome = gradient(problem, rule, budget=40, seed=3, callback=lambda state: seen.append(state.value))

    X = torch.tensor((problem.X - problem.X.mean(0)) / problem.X.std(0), dtype=torch.float32)
    y = torch.tensor(problem.y, dtype=torch.float32)
    widths = (X.shape[1], *problem.hidden, 1)
    layers = []
    for inputs, units, W in zip(widths, widths[1:], _random_layers(widths, 1, 3), strict=False):
        linear = nn.Linear(inputs, units)
        with torch.no_grad():
            linear.weight.copy_(W[0, :, :-1])
            linear.bias.copy_(W[0, :, -1])
        layers += [linear, ftpkit.Sign(rule)]
    net = nn.Sequential(*layers[:-1])
    adam = torch.optim.Adam(net.parameters(), lr=LRS[rule])
    errors = []
    for _ in range(40):
        z = net(X)[:, 0]
        errors.append(int((torch.where(z > 0, 1, -1) != y).sum()))
        if errors[-1] == 0:
            break
        adam.zero_grad()
        F.softplus(-y * z).mean().backward()
        adam.step()
    assert seen[:10] == errors[:10]  # rounding is another one, and a threshold makes much of it after a while
    assert outcome.errors <= min(errors[:10]) and outcome.evaluations == len(seen)


@pytest.mark.parametrize("starts", [1, 7])
def test_what_is_returned_is_the_best_that_was_seen(starts):
    problem = case("teacher 3-layer n=6 h=4-2 m=50", 0).problem
    states = []
    outcome = gradient(problem, "FTP-SH", starts=starts, budget=30, callback=states.append)
    h = problem.X
    for W, T in zip(outcome.weights, [*outcome.targets, problem.y[:, None]], strict=True):
        assert W.dtype == np.float64
        h = sign(affine(h, W))
        assert T is problem.y or (h == T).all() or len(h.T) == 1
    assert outcome.value == outcome.errors == (h[:, 0] != problem.y).sum() == min(s.value for s in states)
    assert [s.evaluations for s in states] == [starts * (i + 1) for i in range(len(states))]
    assert [s.best for s in states] == np.minimum.accumulate([s.value for s in states]).tolist()
    assert outcome.trace[-1][1] == outcome.errors and outcome.objective == "errors" and not outcome.proved
    quiet = gradient(problem, "FTP-SH", starts=starts, budget=30)
    assert quiet.trace == outcome.trace and all(
        (a == b).all() for a, b in zip(quiet.weights, outcome.weights, strict=True)
    )


def test_the_first_start_is_the_same_among_many_and_seeds_differ():
    one, many, other = (_random_layers((5, 4, 1), starts, seed) for starts, seed in ((1, 0), (50, 0), (1, 1)))
    assert all((a[0] == b[0]).all() for a, b in zip(one, many, strict=True))
    assert not any((a == b).any() for a, b in zip(one, other, strict=True))
    assert one[0].abs().max() <= 5**-0.5 and many[1].abs().max() > 0.49 and many[1].abs().max() <= 0.5


def test_it_stops_at_the_first_success():
    solved = gradient(XOR, "FTP-SH", starts=50)
    assert solved.feasible and solved.proved and solved.errors == 0 == XOR.errors(solved.weights)
    assert solved.evaluations == solved.trace[-1][0] < 50 * 1000
    assert gradient(XOR, "FTP-SH", starts=50, budget=solved.evaluations // 50).errors == 0
    assert gradient(XOR, "FTP-SH", starts=50, budget=solved.evaluations // 50 - 1).errors > 0


def test_scales_and_constant_columns_make_no_difference():
    problem = case("teacher 2-layer n=4 h=3 m=25", 2).problem
    X = np.c_[problem.X * [1e-6, 1e6, 1, 1] + [0, 0, 1e3, 0], np.full(25, 3.0)]
    outcome = gradient(Problem(X, problem.y, (3,)), "FTP-SH", starts=50, seed=1)
    assert outcome.errors == 0 and all(np.isfinite(W).all() for W in outcome.weights)


def test_labels_that_no_network_can_fit_are_not_fitted():
    twins = Problem([[0.0], [0.0], [1.0]], [1, -1, 1], hidden=(2,))
    outcome = gradient(twins, budget=20)
    assert outcome.errors == 1 and not outcome.feasible and outcome.evaluations == 20


def test_perceptron_makes_the_errors_of_one_unit_in_a_network_of_any_depth():
    for cell, seed in (("XOR", 0), ("parity 3", 0), ("teacher 3-layer n=4 h=2-2 m=12", 1)):
        problem = case(cell, seed).problem
        outcome = perceptron(problem)
        assert outcome.errors == fewest_errors(problem.X, problem.y)[0] == problem.errors(outcome.weights) > 0
        assert [W.shape[0] for W in outcome.weights] == [*problem.hidden, 1] and outcome.method.endswith(
            "fewest errors"
        )
    problem = case("teacher 2-layer n=6 h=3 m=50").problem
    assert perceptron(problem).method == "perceptron, hinge"
    assert 0 < perceptron(problem).errors < 25 and not perceptron(problem).proved


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (dict(budget=0), "budget must be an integer of 1 or more"),
        (dict(budget=None), "needs a budget of epochs"),
        (dict(starts=0), "starts must be"),
        (dict(lr=0.0), "learning rate is a positive number"),
        (dict(lr=float("nan")), "learning rate is a positive number"),
        (dict(objective="loss"), "judged by training errors"),
        (dict(rule="SSTTE"), "did you mean 'SSTE'"),
        (dict(rule="Ramp"), "no learning rate for the rule 'Ramp'"),
    ],
)
def test_bad_input(bad, message):
    with pytest.raises(ValueError, match=message):
        gradient(XOR, **bad)


def test_unknown_rules_are_named():
    with pytest.raises(UnknownName):
        gradient(XOR, "nonsense")
    assert gradient(XOR, "Ramp", lr=0.01, starts=20).errors == 0
