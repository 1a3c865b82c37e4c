"""Algorithm 1: what it returns is feasible, what it counts is so, and proposals are what their names say."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from ftpkit.ftprop import PROPOSALS, View, ftprop
from ftpkit.ftprop.batch import FAILURES, SOLVERS
from ftpkit.search import Problem
from ftpkit.search.cases import case
from ftpkit.separability import separate

SQUARE = [[0, 0], [0, 1], [1, 0], [1, 1]]
XOR = Problem(SQUARE, [-1, 1, 1, -1], (2,))
IMPOSSIBLE = Problem([[0.0], [0.0], [1.0], [2.0]], [-1, 1, 1, -1], (2,))  # one instance with both labels


def outputs_of(X, weights):
    """Hidden outputs and the last output of a network of hard thresholds, written out."""
    h, hidden = np.asarray(X, float), []
    for W in weights:
        z = np.c_[h, np.ones(len(h))] @ np.asarray(W).T
        h = np.where(z > 0, 1, -1)
        hidden.append(h)
    return hidden[:-1], hidden[-1][:, 0]


@pytest.mark.parametrize(
    "cell",
    [
        "XOR",
        "parity 3",
        "parity 4",
        "AND of 3 ORs, all 32",
        "teacher 2-layer n=4 h=2 m=12",
        "teacher 2-layer n=6 h=3 m=50",
        "teacher 3-layer n=4 h=2-2 m=12",
        "teacher 3-layer n=6 h=4-2 m=50",
    ],
)
def test_what_it_finds_is_feasible_and_right(cell):
    for seed in range(2):
        problem = case(cell, seed).problem
        found = ftprop(problem, seed=seed)
        assert found.feasible and found.errors == 0 and found.proved
        hidden, last = outputs_of(problem.X, found.weights)
        assert (last == problem.y).all()
        inputs = problem.X
        for T, H in zip(found.targets, hidden, strict=True):
            assert (T == H).all()
            assert all(verdict.separable for verdict in separate(inputs, T))  # feasible, proven for every unit
            inputs = T
        assert separate(inputs, problem.y).separable


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("proposal", PROPOSALS)
def test_it_never_claims_what_is_not_so(proposal, failure, solver):
    for problem in (XOR, IMPOSSIBLE, case("teacher 3-layer n=4 h=2-2 m=12", 0).problem):
        found = ftprop(problem, proposal=proposal, failure=failure, solver=solver, budget=12, seed=3)
        hidden, last = outputs_of(problem.X, found.weights)
        assert found.errors == (last != problem.y).sum() == problem.errors(found.weights)
        assert found.feasible == (found.errors == 0)
        assert all((T == H).all() for T, H in zip(found.targets, hidden, strict=True))
        assert len(found.trace) == found.evaluations <= 12


def test_an_impossible_case_ends_at_the_budget():
    found = ftprop(IMPOSSIBLE, budget=40)
    assert (found.evaluations, found.feasible, found.proved) == (40, False, False)
    assert found.errors == 1  # the best that can be done, but not proved
    assert "not proved" in str(found)


def test_the_trace_says_what_was_proposed_and_what_came_of_it():
    problem = case("teacher 3-layer n=4 h=3-2 m=25", 1).problem
    found = ftprop(problem, budget=200, seed=5)
    assert {step.layer for step in found.trace} == {1, 2}
    for step in found.trace:
        if step.reached is None:
            continue
        assert step.targets.shape == (problem.m, problem.hidden[step.layer - 1])
        assert set(np.unique(step.targets)) <= {-1, 0, 1} and step.loss >= 0
        if step.layer == 1 and step.reached:
            assert all(verdict.separable for verdict in separate(problem.X, step.targets))
    refused = [step for step in found.trace if step.layer == 1 and not step.reached]
    assert refused, "this case has refused proposals, or the next line tests nothing"
    assert not all(verdict.separable for verdict in separate(problem.X, refused[0].targets))


def test_the_callback_sees_every_proposal():
    seen = []
    found = ftprop(case("parity 4").problem, seed=2, callback=seen.append)
    assert [state.evaluations for state in seen] == list(range(1, found.evaluations + 1))
    assert seen[-1].value == found.errors == 0
    assert all(state.best <= state.value for state in seen)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_watcher_sees_every_start_every_proposal_and_what_came_of_it(failure):
    problem, moments = case("teacher 3-layer n=4 h=2-2 m=12", 3).problem, []
    options = dict(failure=failure, budget=30, seed=5)
    found = ftprop(problem, watch=moments.append, **options)
    assert found.evaluations == ftprop(problem, **options).evaluations  # watching changes nothing
    start, *rest = moments
    assert start.line is None and start.trace == ()
    hidden, _ = outputs_of(problem.X, start.weights)
    assert all((T == H).all() for T, H in zip(start.targets, hidden, strict=True))
    asked = [m for m in rest if m.trace[m.line].kept is None]
    settled = [m for m in rest if m.trace[m.line].kept is not None]
    assert [m.line for m in asked] == list(range(found.evaluations))
    assert sorted(m.line for m in settled) == [k for k, p in enumerate(found.trace) if p.kept is not None]
    for moment in asked:
        proposed = found.trace[moment.line]
        assert len(moment.trace) == moment.line + 1
        assert (moment.targets[proposed.layer - 1] == proposed.targets).all()
    undone = [m for m in settled if not found.trace[m.line].kept]
    assert bool(undone) == (failure == "outputs"), "of all ways only this one calls something undone"
    for moment in undone:
        layer = found.trace[moment.line].layer
        before = moments[moments.index(next(m for m in asked if m.line == moment.line)) - 1]
        assert all((a == b).all() for a, b in zip(before.weights[:layer], moment.weights[:layer], strict=True))
        assert (before.targets[layer - 1] == moment.targets[layer - 1]).all()


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 17])
def test_no_budget_is_exceeded_at_any_depth(budget):
    problem = Problem(IMPOSSIBLE.X, IMPOSSIBLE.y, (2, 2, 2))
    seen = []
    found = ftprop(problem, budget=budget, tries=2, callback=seen.append)
    assert len(found.trace) == found.evaluations == budget
    unsettled = [step for step in found.trace if step.reached is None]
    assert len(unsettled) <= 2 and len(seen) == budget - len(unsettled)
    assert [state.evaluations for state in seen] == list(range(1, len(seen) + 1))


def test_a_seed_decides_everything():
    problem = case("teacher 2-layer n=4 h=3 m=25", 0).problem
    first, again, other = (ftprop(problem, seed=seed) for seed in (0, 0, 1))
    assert first.evaluations == again.evaluations
    assert all((a == b).all() for a, b in zip(first.weights, again.weights, strict=True))
    assert any((a != b).any() for a, b in zip(first.weights, other.weights, strict=True))


@pytest.mark.parametrize("hidden", [(3,), (3, 3), (3, 2, 2), (2, 2, 2, 2)])
def test_any_depth(hidden):
    found = ftprop(Problem(SQUARE, XOR.y, hidden), seed=1)
    assert found.feasible and [T.shape for T in found.targets] == [(4, width) for width in hidden]


def test_one_class_needs_no_proposal():
    assert ftprop(Problem(SQUARE, [1, 1, 1, 1], (2,))).evaluations == 0


def test_keeps_the_best_network_of_several_starts():
    values = []
    found = ftprop(IMPOSSIBLE, budget=60, patience=5, callback=lambda state: values.append(state.value))
    assert found.errors == min(values) < max(values)


def test_an_own_proposal_in_a_few_lines():
    def at_random(view, rng):
        return rng.choice([-1, 1], size=view.h.shape), np.ones(view.h.shape)

    assert ftprop(XOR, proposal=at_random, budget=500).feasible


# --- the proposals ---------------------------------------------------------------------------------------------------


@pytest.fixture
def view():
    rng = np.random.default_rng(0)
    m, below, n, units = 30, 4, 5, 3
    inputs, W_below = rng.standard_normal((m, below)), rng.standard_normal((n, below + 1))
    z_below = inputs @ W_below[:, :-1].T + W_below[:, -1]
    h, W = np.where(z_below > 0, 1, -1), rng.standard_normal((units, n + 1))
    z = h @ W[:, :-1].T + W[:, -1]
    t, importance = rng.choice([-1, 0, 1], size=z.shape), rng.random(z.shape)
    return View(h, W, z, t, importance, rng.random(m) < 0.5, inputs, W_below, z_below)


def layer_loss(view, h):
    """The weighted hinge loss of every instance, (m,), as torch calculates it from h."""
    h = torch.as_tensor(h, dtype=torch.float64)
    W = torch.as_tensor(view.W)
    z = h @ W[:, :-1].T + W[:, -1]
    t, importance = torch.as_tensor(view.t), torch.as_tensor(view.importance)
    return (importance * (1 - t * z).clamp(min=0) * (t != 0)).sum(dim=1)


def test_gradient_is_eq_2_and_eq_3(view):
    h = torch.tensor(view.h, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(layer_loss(view, h).sum(), h)
    T, importance = PROPOSALS["gradient"](view, None)
    assert (T == -g.sign().numpy()).all() and np.allclose(importance, g.abs().numpy())


def test_gain_is_what_flips_are_worth(view):
    gain = view.gain()
    for j, value in product(range(view.h.shape[1]), (-1, 1)):
        h = view.h.copy()
        h[:, j] = value
        there, here = layer_loss(view, h).numpy(), layer_loss(view, view.h).numpy()
        flipped = view.h[:, j] != value
        assert np.allclose((here - there)[flipped], (value * gain[:, j])[flipped])


@pytest.mark.parametrize("name", ["one-unit gradient", "one-unit flips", "pooled flips", "realisable", "conflict"])
def test_all_units_but_one_are_to_stay(view, name):
    for seed in range(20):
        T, importance = PROPOSALS[name](view, np.random.default_rng(seed))
        changed = [(T[:, j] != view.h[:, j]).any() for j in range(T.shape[1])]
        assert sum(changed) <= 1 and (importance >= 0).all()


def test_conflict_flips_one_output_of_an_instance_in_a_conflict(view):
    for seed in range(20):
        T, importance = PROPOSALS["conflict"](view, np.random.default_rng(seed))
        ((i, j),) = np.argwhere(view.h != T)
        assert view.conflict[i] and importance[i, j] >= importance[:, j].sum() / 2 - 1e-9
        assert (view.h * view.gain())[i, j] < 0  # the flip makes the loss smaller


def test_what_is_realisable_can_be_given(view):
    for seed in range(20):
        T, _ = PROPOSALS["realisable"](view, np.random.default_rng(seed))
        assert all(verdict.separable for verdict in separate(view.inputs, T))


def test_what_is_held_and_woken(view):
    g, gain = view.gradient(), view.gain()
    T, importance = PROPOSALS["held gradient"](view, None)
    free = g == 0
    assert free.any() and (T == np.sign(g))[~free].all() and np.allclose(importance[~free], np.abs(g[~free]))
    held = free & (view.h * gain > 0)
    assert held.any() and (T == view.h)[held].all() and np.allclose(importance[held], (view.h * gain)[held])

    W = view.W.copy()
    W[:, 2] = 0  # nobody listens to unit 2
    idle = replace(view, W=W, z=view.h @ W[:, :-1].T + W[:, -1])
    for name in ("held gradient", "flips"):
        T, _ = PROPOSALS[name](idle, None)
        one = (idle.t != 0).sum(axis=1) == 1  # instances with one wish above: that is what the unit is to say
        violated = (idle.t * idle.z < 1).any(axis=1)
        assert (one & violated).any()
        assert (T[one & violated, 2] == idle.t[one & violated].sum(axis=1)).all()
    assert not PROPOSALS["gradient"](idle, None)[0][:, 2].any()


def test_held_and_woken_it_solves_what_the_paper_s_rule_does_not():
    """Why the default is another rule."""
    cells = ["teacher 2-layer n=4 h=2 m=12", "teacher 2-layer n=4 h=3 m=25", "teacher 2-layer n=10 h=6 m=50"]
    problems = [case(cell, seed).problem for cell in cells for seed in (0, 1)]
    solved = {
        rule: sum(ftprop(problem, proposal=rule, budget=100).feasible for problem in problems)
        for rule in ("gradient", "held gradient", "one-unit flips")
    }
    assert solved["gradient"] <= 1 and min(solved["held gradient"], solved["one-unit flips"]) >= 5, solved


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"proposal": "gradients"}, "no proposal rule is called 'gradients'; there are gradient, "),
        ({"solver": "lp"}, "solver is one of 'hinge', 'exact', not 'lp'"),
        ({"failure": "ignore"}, "failure is one of 'outputs', "),
        ({"budget": 0}, "budget must be an integer of 1 or more"),
        ({"budget": None}, "need not end by itself"),
        ({"tries": 0}, "tries must be"),
        ({"patience": 2.5}, "patience must be"),
    ],
)
def test_bad_arguments(arguments, says):
    with pytest.raises(ValueError, match=says):
        ftprop(XOR, **arguments)


def test_no_hidden_units_no_targets():
    with pytest.raises(ValueError, match="no targets to set"):
        ftprop(Problem(SQUARE, XOR.y, ()))


def test_a_proposal_that_is_none_is_named():
    with pytest.raises(ValueError, match="proposal returned"):
        ftprop(XOR, proposal=lambda view, rng: (view.h * 2, np.ones(view.h.shape)))
    with pytest.raises(ValueError, match="proposal returned"):
        ftprop(XOR, proposal=lambda view, rng: (view.h[:2], np.ones(view.h.shape)))
    with pytest.raises(ValueError, match="proposal returned"):
        ftprop(XOR, proposal=lambda view, rng: (view.h, -np.ones(view.h.shape)))
