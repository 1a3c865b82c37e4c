"""Local searches: what each of them promises, step by step, on problems small enough to look at everything."""

import numpy as np
import pytest

from ftpkit.search import Problem, beam, exhaustive, hill_climb, local_search, madaline
from ftpkit.search.local import change_by_flip, flipped, random_network
from ftpkit.search.madaline import _Run
from ftpkit.search.problem import Evaluator, affine, sign
from ftpkit.separability import hinge_fit, separate

SQUARE = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
XOR = Problem(SQUARE, [-1, 1, 1, -1], hidden=(2,))
XOR_1 = Problem(SQUARE, [-1, 1, 1, -1], hidden=(1,))  # cannot be solved
DEEP = Problem(SQUARE, [-1, 1, 1, -1], hidden=(1, 1))  # nor can this
SEARCHES = {"hill climbing": hill_climb, "beam": beam, "local search": local_search, "madaline": madaline}
ON_TARGETS = {name: search for name, search in SEARCHES.items() if search is not madaline}
ALL = pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
TARGETS = pytest.mark.parametrize("search", ON_TARGETS.values(), ids=ON_TARGETS)
OBJECTIVES = pytest.mark.parametrize("objective", ["loss", "errors"])


def random_problem(seed, m=8, n=3, hidden=(2,)):
    rng = np.random.default_rng(seed)
    return Problem(rng.standard_normal((m, n)), rng.choice([-1, 1], m), hidden)


def watched(search, problem, **options):
    """The outcome, and all states that the callback saw."""
    states = []
    return search(problem, callback=states.append, **options), states


def value(problem, targets, objective):
    return Evaluator(problem, objective, None).value(targets)


def least_hinge_loss(problem, targets):
    """The objective "loss" from its definition."""
    inputs, wanted = [problem.X, *targets], [*targets, problem.y[:, None]]
    return sum(hinge_fit(h, t)[1] for h, T in zip(inputs, wanted, strict=True) for t in T.T)


# --- what all of them promise ---------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("hidden", [(2,), (2, 2)])
def test_xor_is_solved(search, hidden):
    for seed in range(2):
        outcome = search(Problem(SQUARE, XOR.y, hidden), seed=seed)
        assert outcome.errors == outcome.value == 0 and outcome.feasible and outcome.proved


@ALL
def test_the_outcome_is_what_it_says(search):
    for seed in range(2):
        problem = random_problem(seed, hidden=(2, 2) if seed else (3,))
        outcome = search(problem, budget=40, seed=seed)
        assert outcome.errors == problem.errors(outcome.weights)
        outputs, z = problem.forward(outcome.weights)
        assert outcome.feasible == (
            (sign(z) == problem.y).all() and all((H == T).all() for H, T in zip(outputs, outcome.targets, strict=True))
        )
        if outcome.objective == "loss":
            assert outcome.value == pytest.approx(least_hinge_loss(problem, outcome.targets), abs=1e-6)
        else:
            assert outcome.value == outcome.errors


@ALL
@pytest.mark.parametrize("budget", [1, 2, 37])
def test_the_budget_is_kept_and_every_state_is_seen(search, budget):
    outcome, states = watched(search, random_problem(5, m=10, hidden=(1, 2)), budget=budget)
    assert [state.evaluations for state in states] == list(range(1, outcome.evaluations + 1))
    assert outcome.evaluations == budget or outcome.value == 0
    assert outcome.value == min(state.value for state in states) == states[-1].best
    assert [state.best for state in states] == np.minimum.accumulate([state.value for state in states]).tolist()


@ALL
def test_a_seed_fixes_everything(search):
    problem = random_problem(1, hidden=(3,))
    a, b, other = (watched(search, problem, budget=50, seed=seed) for seed in (7, 7, 8))
    assert [s.value for s in a[1]] == [s.value for s in b[1]] and a[0].trace == b[0].trace
    assert all((v == w).all() for v, w in zip(a[0].weights, b[0].weights, strict=True))
    assert [s.targets[0].tolist() for s in a[1]] != [s.targets[0].tolist() for s in other[1]]


@ALL
def test_states_are_copies(search):
    _, states = watched(search, XOR_1, budget=20)
    assert len({state.targets[0].tobytes() for state in states}) > 1


@TARGETS
@OBJECTIVES
def test_the_value_of_a_state_is_the_objective_at_its_targets(search, objective):
    problem = random_problem(3, hidden=(2, 1))
    _, states = watched(search, problem, budget=40, objective=objective)
    assert all(state.value == value(problem, state.targets, objective) for state in states)


@TARGETS
@OBJECTIVES
def test_starts_are_counted(search, objective):
    one, two = (search(XOR_1, budget=None, objective=objective, starts=k) for k in (1, 2))
    assert one.evaluations < two.evaluations and two.trace[: len(one.trace)] == one.trace


@ALL
def test_bad_input(search):
    with pytest.raises(ValueError, match="budget must be"):
        search(XOR, budget=0)
    with pytest.raises(ValueError, match="budget"):
        search(XOR, budget=None)
    with pytest.raises(ValueError, match="objective"):
        search(XOR, objective="mistakes")
    with pytest.raises(ValueError, match="without hidden units"):
        search(Problem(SQUARE, XOR.y, ()))


def test_more_bad_input():
    with pytest.raises(ValueError, match="starts must be"):
        hill_climb(XOR, starts=0)
    with pytest.raises(ValueError, match="shapes"):
        hill_climb(XOR, start=[np.ones((4, 3))])
    with pytest.raises(ValueError, match="-1 or \\+1"):
        beam(XOR, start=[np.zeros((4, 2))])
    with pytest.raises(ValueError, match="width must be"):
        beam(XOR, width=0)
    with pytest.raises(ValueError, match="temperature"):
        local_search(XOR, temperature=0)
    with pytest.raises(ValueError, match="real network"):
        madaline(XOR, objective="loss")
    for rate in (0, 2, float("nan")):
        with pytest.raises(ValueError, match="rate"):
            madaline(XOR, rate=rate)


# --- Props. 1 and 3 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(3,), (2, 2), (3, 2, 2)])
def test_proposition_1_feasible_targets_make_no_error(hidden):
    rng = np.random.default_rng(0)
    for _ in range(5):
        X = rng.standard_normal((12, 3))
        hidden_outputs, z = Problem(X, np.ones(12), hidden).forward(
            random_network(Problem(X, np.ones(12), hidden), rng)
        )
        problem = Problem(X, sign(z), hidden)
        layers = zip([X, *hidden_outputs], [*hidden_outputs, problem.y[:, None]], strict=True)
        assert all(verdict.separable for h, T in layers for verdict in separate(h, T))
        weights = Evaluator(problem, "errors", None).weights(hidden_outputs)  # every layer on its own
        assert problem.errors(weights) == 0 == value(problem, hidden_outputs, "loss")


@OBJECTIVES
def test_proposition_3_a_climb_falls_and_ends_where_no_flip_falls(objective):
    stuck = 0
    for seed in range(4):
        problem = random_problem(seed, m=6, hidden=(2, 1) if seed % 2 else (2,))
        outcome, states = watched(hill_climb, problem, objective=objective, budget=None, starts=1, seed=seed)
        stood = [states[at - 1].targets for at, _ in outcome.trace]
        values = [v for _, v in outcome.trace]
        assert values == [states[at - 1].value for at, _ in outcome.trace]
        assert all(np.diff(values) < 0) and values[-1] == outcome.value
        for before, after in zip(stood, stood[1:], strict=False):
            assert sum(int((A != B).sum()) for A, B in zip(before, after, strict=True)) == 1
        least = min(value(problem, flipped(stood[-1], [bit]), objective) for bit in range(problem.bits))
        assert least >= outcome.value or outcome.value == 0
        stuck += outcome.value > 0
    assert stuck


def test_a_climb_takes_the_best_of_all_flips():
    choices = 0
    for seed in range(3):
        start = [np.random.default_rng(seed).choice([-1, 1], (8, 2))]  # far from what units can do
        outcome, states = watched(hill_climb, random_problem(seed), budget=None, starts=1, start=start)
        assert (states[0].targets[0] == start[0]).all()
        for (at, value), (_, reached) in zip(outcome.trace, outcome.trace[1:], strict=False):
            here = states[at - 1].targets[0]
            near = [s.value for s in states if (s.targets[0] != here).sum() == 1]
            assert reached == min(near) < value
            choices += len({v for v in near if v < value}) > 1
    assert choices


def test_hill_climbing_can_be_stuck_on_xor_and_gets_on_by_another_start():
    alone = hill_climb(XOR, seed=2, starts=1)
    assert alone.value == 2 and not alone.proved and not alone.feasible
    assert hill_climb(XOR, seed=2).value == 0


# --- beam: from hill climbing to everything -------------------------------------------------------------------------


@OBJECTIVES
def test_hill_climbing_is_the_narrow_end_of_beam(objective):
    for seed in range(4):
        problem = random_problem(seed, m=6)
        options = dict(objective=objective, seed=seed, budget=100)
        a, b = watched(hill_climb, problem, **options), watched(beam, problem, width=1, **options)
        assert [s.targets[0].tolist() for s in a[1]] == [s.targets[0].tolist() for s in b[1]]
        assert a[0].value == b[0].value and a[0].trace == b[0].trace


@OBJECTIVES
@pytest.mark.parametrize("problem", [XOR_1, DEEP, Problem([[0], [1], [2]], [1, -1, 1], (2,))], ids=["XOR", "deep", "2"])
def test_an_unlimited_beam_is_exhaustive(problem, objective):
    outcome, states = watched(beam, problem, objective=objective, budget=None, width=None, pruned=False)
    visited = {tuple(np.concatenate([T.ravel() for T in state.targets]).tolist()): state.value for state in states}
    assert outcome.value == min(visited.values()) and outcome.proved
    if outcome.value == 0:  # there is nothing better to be looked for
        return
    assert len(states) == len(visited) == outcome.evaluations == 2**problem.bits
    if objective == "loss":
        everything, all_states = watched(exhaustive, problem, objective="loss", every=True)
        assert everything.value == outcome.value and len(all_states) == len(states)
        for state in all_states:
            assert visited[tuple(np.concatenate([T.ravel() for T in state.targets]).tolist())] == state.value


def test_a_wider_beam_finds_no_worse_on_xor_and_visits_nothing_twice():
    values = []
    for width in (1, 4, 16, None):
        outcome, states = watched(beam, XOR, width=width, starts=1, seed=2, pruned=False, budget=256)
        keys = [state.targets[0].tobytes() for state in states]
        assert len(set(keys)) == len(keys)
        values.append(outcome.value)
    assert values[-1] == 0 and values == sorted(values, reverse=True)


# --- guided local search --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [dict(width=1), dict(width=3, pruned=False), dict(width=4)])
def test_every_front_is_the_best_of_the_neighbours_of_the_one_before(options):
    looks, fronts = [], []
    kept = []
    found = beam(
        XOR_1,
        seed=0,
        starts=1,
        callback=looks.append,
        on_front=lambda front: fronts.append((len(looks), front)),
        **options,
    )
    assert [(front[0].evaluations, front[0].value) for _, front in fronts] == list(found.trace)
    assert fronts[0][0] == 1 and [state.evaluations for state in fronts[0][1]] == [1]
    for (start, before), (end, front) in zip(fronts, fronts[1:], strict=False):
        lower = [s for s in looks[start:end] if not options.get("pruned", True) or s.value < parent_of(s, before).value]
        best = sorted(lower, key=lambda s: (s.value, s.evaluations))[: options["width"]]
        assert [s.evaluations for s in front] == [s.evaluations for s in best]
        kept += front
    assert all((s.targets[0] == looks[s.evaluations - 1].targets[0]).all() for s in kept)
    assert kept, "something was kept, or this test compares nothing"


def parent_of(state, front):
    """The first setting of a front that is one flip away."""
    return next(s for s in front if sum((a != b).sum() for a, b in zip(s.targets, state.targets, strict=True)) == 1)


def test_the_guide_is_exact_for_the_weights_kept_and_an_upper_bound():
    for seed in range(3):
        problem = random_problem(seed, m=6, hidden=(2, 2))
        evaluator = Evaluator(problem, "loss", None)
        targets = problem.forward(random_network(problem, np.random.default_rng(seed)))[0]
        change = change_by_flip(evaluator, targets)
        inputs, wanted = [problem.X, *targets], [*targets, problem.y[:, None]]
        weights = [np.stack([evaluator.fit(h, t)[0] for t in T.T]) for h, T in zip(inputs, wanted, strict=True)]

        def loss(targets, problem=problem, weights=weights):
            total = 0
            for h, T, W in zip([problem.X, *targets], [*targets, problem.y[:, None]], weights, strict=True):
                total += np.maximum(0, 1 - T * (h @ W[:, :-1].T + W[:, -1])).sum()
            return total

        for bit in range(problem.bits):
            near = flipped(targets, [bit])
            assert change[bit] == pytest.approx(loss(near) - loss(targets), abs=1e-7)
            assert evaluator.value(near) <= evaluator.value(targets) + change[bit] + 1e-7


def test_local_search_never_rises_between_starts_and_the_guide_helps():
    for seed in range(3):
        values = [v for _, v in local_search(XOR_1, seed=seed, starts=1, budget=None).trace]
        assert values == sorted(values, reverse=True)
    problem = random_problem(0, m=10, n=4, hidden=(3,))
    guided, blind = (
        np.median([local_search(problem, seed=seed, guided=guide, budget=500).evaluations for seed in range(5)])
        for guide in (True, False)
    )
    assert guided < blind


def test_flipped_numbers_bits_row_by_row_and_leaves_the_original():
    targets = [np.ones((2, 2), np.int8), np.ones((2, 1), np.int8)]
    near = flipped(targets, [1, 2, 5])
    assert near[0].tolist() == [[1, -1], [-1, 1]] and near[1].tolist() == [[1], [-1]]
    assert all((T == 1).all() for T in targets)


# --- MADALINE Rule II -----------------------------------------------------------------------------------------------


def test_madaline_turns_the_least_certain_unit_first_then_pairs():
    lengths = set()
    for seed in range(20):
        states = []
        run = _Run(Evaluator(random_problem(seed, m=6, hidden=(3,)), "errors", None, states.append), rate=1.0)
        run.begin(np.random.default_rng(seed))
        for i in np.flatnonzero(run.wrong).tolist()[:1]:
            z = affine(run.X, run.weights[0])[i]
            singles = sorted([[j] for j in range(3)], key=lambda units: abs(z[units]).sum())
            pairs = sorted([[0, 1], [0, 2], [1, 2]], key=lambda units: abs(z[units]).sum())
            assert run.correct(i, together=2)
            trials = [np.flatnonzero(s.targets[0][i] != states[0].targets[0][i]).tolist() for s in states[1:]]
            assert trials == [*singles, *pairs, []][: len(trials)]  # the last is the output unit
            assert not run.wrong[i]
            lengths.add(len(trials))
    assert {1, 2, 7} < lengths  # it stops at the first trial that helps


def test_madaline_trials_come_from_real_networks():
    problem = random_problem(2, m=9, hidden=(2, 2))
    _, states = watched(madaline, problem, seed=0, budget=40)
    for state in states:
        assert all(v.separable for v in separate(problem.X, state.targets[0]))
        assert all(v.separable for v in separate(*state.targets))


@pytest.mark.parametrize("scale, offset", [(1e-6, 0), (1e6, 0), (1, 1e5)])
def test_madaline_is_indifferent_to_units_of_measurement(scale, offset):
    problem = Problem(SQUARE * scale + offset, XOR.y, (2,))
    assert madaline(problem, seed=0).errors == 0
