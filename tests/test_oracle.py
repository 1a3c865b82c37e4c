"""The oracle and the checker of proofs, held against counts that are known and against each other."""

import copy
import json
from itertools import product
from pathlib import Path

import check_proof
import numpy as np
import oracle
import pytest

SQUARE = [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
XOR = [-1, 1, 1, -1]


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 1), (7, 1), (8, 2), (11, 2), (4, 3), (10, 3), (9, 4)])
def test_points_in_general_position_have_as_many_dichotomies_as_cover_counted(m, n):
    X = np.random.default_rng(m).standard_normal((m, n))
    assert len(oracle.dichotomies(X)) == oracle.cover(m, n)


@pytest.mark.parametrize(("n", "functions"), [(1, 4), (2, 14), (3, 104), (4, 1882)])
def test_cubes_have_as_many_dichotomies_as_there_are_threshold_functions(n, functions):
    found = oracle.dichotomies(oracle.cube(n))
    assert len(found) == functions and functions <= oracle.cover(2**n, n)
    assert {tuple(-s for s in t) for t in found} == found


def test_degenerate_points():
    assert oracle.dichotomies([[3.0]]) == {(1,), (-1,)}
    assert oracle.dichotomies([[2.0], [2.0], [5.0]]) == {(1, 1, 1), (1, 1, -1), (-1, -1, 1), (-1, -1, -1)}
    line = [[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]
    assert len(oracle.dichotomies(line)) == oracle.cover(4, 1) < oracle.cover(4, 2)
    assert len(oracle.dichotomies(np.c_[line, np.ones(4)])) == oracle.cover(4, 1)


def test_one_dimension_by_hand_where_floats_are_close():
    X = [[0.0], [1.0], [1.0 + 2**-52], [2.0]]
    assert oracle.separable(X, [1, 1, -1, -1]) and not oracle.separable(X, [1, -1, 1, -1])
    assert oracle.dichotomies(X) == {tuple(s if i < k else -s for i in range(4)) for k in range(4) for s in (1, -1)}


def test_separable_agrees_with_the_cells_and_its_weights_separate():
    for X, _, _ in oracle.random_cases(3, 60):
        X, realised = X[:7], oracle.dichotomies(X[:7])
        for t in product((-1, 1), repeat=len(X)):
            w = oracle.witness(X, t)
            assert (w is not None) == (t in realised)
            rows = oracle.homogeneous(X)
            assert w is None or all(
                s * sum(a * b for a, b in zip(w, v, strict=True)) > 0 for s, v in zip(t, rows, strict=True)
            )


def test_ignored_targets_are_left_out():
    for X, _, _ in oracle.random_cases(4, 20):
        t = np.random.default_rng(len(X)).integers(-1, 2, len(X))
        assert oracle.separable(X, t) == any((np.array(d)[t != 0] == t[t != 0]).all() for d in oracle.dichotomies(X))
    assert oracle.separable(SQUARE, [0, 0, 0, 0])


@pytest.mark.parametrize(
    ("bits", "hidden", "errors"), [(3, (), 2), (3, (1,), 2), (3, (2,), 1), (3, (3,), 0), (3, (2, 1), 1)]
)
def test_errors_on_parity(bits, hidden, errors):
    X = oracle.cube(bits)
    assert oracle.fewest_errors(X, X.prod(axis=1), hidden) == errors


def test_errors_agree_with_all_columns_tried_one_by_one():
    """Every one of the 2^bits settings of the targets, each column of every layer asked for by itself."""

    def least(H, y, hidden):
        if not hidden:
            return min(sum(np.array(t) != y) for t in oracle.dichotomies(H))
        columns = [t for t in product((-1, 1), repeat=len(y)) if oracle.separable(H, t)]
        return min(least(np.array(T).T, y, hidden[1:]) for T in product(columns, repeat=hidden[0]))

    for i, (X, y, _) in enumerate(oracle.random_cases(5, 60)):
        X, y, hidden = X[:4], y[:4], [(1,), (2,), (1, 1)][i % 3]
        assert oracle.fewest_errors(X, y, hidden) == least(X, y, hidden)


def test_no_network_makes_fewer_errors():
    rng = np.random.default_rng(0)
    for X, y, hidden in oracle.random_cases(6, 60):
        least = oracle.fewest_errors(X, y, hidden)
        for _ in range(100):
            h = X - X.mean(axis=0)
            for width in [*hidden, 1]:
                h = np.where(h @ rng.standard_normal((h.shape[1], width)) + rng.standard_normal(width) > 0, 1, -1)
            assert least <= (h[:, 0] != y).sum()


def test_random_cases_are_the_same_every_time_and_of_many_kinds():
    cases = oracle.random_cases(0, 500)
    assert repr(cases[:20]) == repr(oracle.random_cases(0, 20))
    errors = [oracle.fewest_errors(*case) for case in cases]
    assert sum(e > 0 for e in errors) >= 500 / 3 and sum(e == 0 for e in errors) >= 500 / 4
    assert sum(len(hidden) == 2 for *_, hidden in cases) >= 500 / 3
    assert all(len(X) <= 10 and len(X) * sum(hidden) <= 24 and max(hidden) <= 3 for X, _, hidden in cases)
    assert {X.shape[1] for X, _, _ in cases} == {1, 2, 3}
    repeated = [(X, y) for X, y, _ in cases if len(np.unique(X, axis=0)) < len(X)]
    torn = [X for X, y in repeated if len(np.unique(np.c_[X, y], axis=0)) > len(np.unique(X, axis=0))]
    assert len(torn) >= 50


# ---------------------------------------------------------------------------------------------------- the proof checker

HALVES = ["1/2"] * 4
XOR_CUT = {"layer": 1, "points": SQUARE, "signs": XOR, "coefficients": HALVES, "instances": [0, 1, 2, 3]}
XOR_CUT_BELOW = {**XOR_CUT, "layer": 2, "instances": None}
PERCEPTRON = {
    "X": SQUARE,
    "y": XOR,
    "hidden": [],
    "value": 1,
    "bound": 1,
    "proved": True,
    "targets": [],
    "weights": [[[1, 1, "3/2"]]],
    "cuts": [XOR_CUT],
}
TWO_UNITS = {
    **PERCEPTRON,
    "hidden": [2],
    "value": 0,
    "bound": 0,
    "targets": [[[-1, 1], [1, 1], [1, 1], [1, -1]]],
    "weights": [[[1, 1, 1], [-1, -1, 1]], [[1, 1, -1]]],
    "cuts": [],
}
# XOR by one hidden unit after another
CHAIN = {
    **PERCEPTRON,
    "hidden": [1, 1],
    "targets": [[[-1], [1], [1], [1]], [[-1], [1], [1], [1]]],
    "weights": [[[1, 1, 1]], [[1, 0]], [[0.5, "-1/3"]]],
}
# Four points on a line, alternating: wants three units; two cuts say that two are not enough
LINE = {
    **TWO_UNITS,
    "X": [[0.0], [1.0], [2.0], [3.0]],
    "y": [1, -1, 1, -1],
    "value": 1,
    "bound": 1,
    "targets": [[[-1, 1], [1, 1], [1, -1], [1, -1]]],
    "weights": [[[1, -0.5], [-1, 1.5]], [[-1, -1, 1.0]]],
    "cuts": [
        {"layer": 1, "points": [[0.0], [1.0], [2.0]], "signs": [1, -1, 1], "coefficients": ["1/2", 1, "1/2"]}
        | {"instances": [0, 1, 2]},
        {"layer": 1, "points": [["0.0"], ["2.0"], ["3.0"]], "signs": [1, -1, 1], "coefficients": ["1/3", "1", "2/3"]}
        | {"instances": [0, 2, 3]},
    ],
}
# Five points that two units could tell apart if the output might be their XOR: wants cuts of both layers
PLANE = {
    **TWO_UNITS,
    "X": [[1.0, 1.0], [-1.0, 1.0], [0.0, 1.0], [1.0, 2.0], [2.0, 0.0]],
    "y": [1, 1, -1, -1, -1],
    "value": 1,
    "bound": 1,
    "targets": [[[-1, -1], [1, -1], [-1, -1], [-1, -1], [-1, -1]]],
    "weights": [[[-1, 0, -0.5], [0, 0, 0]], [[1, 0, 0]]],
    "cuts": [
        {"layer": 1, "points": [[-1, 1], [0, 1], [1, 1]], "signs": [1, -1, 1], "coefficients": ["1/2", "1", "1/2"]}
        | {"instances": [1, 2, 0]},
        {"layer": 1, "points": [[1, 1], [0, 1], [1, 2], [2, 0]], "signs": [1, -1, -1, -1], "instances": [0, 2, 3, 4]}
        | {"coefficients": ["1", "1/3", "1/3", "1/3"]},
        XOR_CUT_BELOW,
    ],
}
PROOFS = {"perceptron": PERCEPTRON, "two units": TWO_UNITS, "chain": CHAIN, "line": LINE, "plane": PLANE}


def changed(proof, **changes):
    """A copy with other entries; `cut__signs=...` changes the first cut."""
    proof = copy.deepcopy(proof)
    for key, value in changes.items():
        if key.startswith("cut__"):
            proof["cuts"][0][key.removeprefix("cut__")] = value
        else:
            proof[key] = value
    return proof


@pytest.mark.parametrize("name", PROOFS)
def test_a_right_proof_holds(name):
    proof = json.loads(json.dumps(PROOFS[name]))
    assert f"{proof['value']} errors are the optimum" in check_proof.check(proof)
    assert proof["value"] == oracle.fewest_errors(proof["X"], proof["y"], proof["hidden"])


def test_a_bound_below_the_value_is_not_called_proved():
    assert "not proved" in check_proof.check(changed(PERCEPTRON, bound=0, proved=False))
    with pytest.raises(check_proof.Refused, match="proved"):
        check_proof.check(changed(PERCEPTRON, bound=0))


def test_the_network_is_run_exactly_and_the_sign_of_0_is_minus_1():
    check_proof.check(changed(PERCEPTRON, weights=[[[1, 1, 2]]]))
    check_proof.check(changed(PERCEPTRON, weights=[[["1/3", "1/3", "2/3"]]]))
    with pytest.raises(check_proof.Refused, match="makes 2 errors"):
        check_proof.check(changed(PERCEPTRON, weights=[[[1, 1, 2 + 2**-50]]]))


WRONG = {
    "a wrong coefficient": (PERCEPTRON, {"cut__coefficients": ["1/2", "1/3", "2/3", "1/2"]}, "means differ"),
    "coefficients that add up to 2": (PERCEPTRON, {"cut__coefficients": ["1"] * 4}, "add up"),
    "a coefficient of 0": (LINE, {"cut__coefficients": ["1", "1", "0"]}, "not positive"),
    "a negative one": (LINE, {"cut__coefficients": ["3/2", "1", "-1/2"]}, "not positive"),
    "a realisable column": (PERCEPTRON, {"cut__signs": [-1, -1, 1, 1]}, "means differ"),
    "one sign only": (PERCEPTRON, {"cut__signs": [1, 1, 1, 1]}, "add up"),
    "other rows": (LINE, {"cut__instances": [0, 1, 3]}, "not these rows"),
    "a row that is not there": (LINE, {"cut__instances": [0, 1, -2]}, "not these rows"),
    "no corners": (CHAIN, {"cut__layer": 2, "cut__instances": None}, "support|corners"),
    "no such layer": (PERCEPTRON, {"cut__layer": 2}, "no layer 2"),
    "a support too large": (
        changed(PERCEPTRON, X=[[0.0]] * 4, weights=[[[0, 0]]], value=2, bound=0, proved=False),
        {"cut__points": [[0.0]] * 4},
        "at most 3",
    ),
    "a bound too high": (changed(PERCEPTRON, weights=[[[0, 0, 0]]], value=2), {"bound": 2}, "cuts allow 1"),
    "a bound above the value": (PERCEPTRON, {"bound": 2}, "does not fit"),
    "another value": (PERCEPTRON, {"value": 2, "proved": False}, "makes 1 errors, not 2"),
    "other targets": (TWO_UNITS, {"targets": [[[1, 1]] * 4]}, "do not give the targets"),
    "weights of another shape": (PERCEPTRON, {"weights": [[[1, 1]]]}, "shape"),
    "no cuts": (PERCEPTRON, {"cuts": []}, "cuts allow 0"),
    "NaN": (PERCEPTRON, {"X": [[float("nan"), 0.0]] * 4}, "format"),
    "labels of 0": (PERCEPTRON, {"y": [0, 1, 1, 0]}, "label"),
    "an entry missing": ({"X": SQUARE, "y": XOR}, {}, "format"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_proof_is_refused(name):
    proof, changes, reason = WRONG[name]
    with pytest.raises(check_proof.Refused, match=reason):
        check_proof.check(changed(proof, **changes))


@pytest.mark.parametrize(("name", "missing"), [("line", 0), ("line", 1), *(("plane", k) for k in range(3))])
def test_a_proof_with_a_cut_missing_is_refused(name, missing):
    cuts = [cut for k, cut in enumerate(PROOFS[name]["cuts"]) if k != missing]
    with pytest.raises(check_proof.Refused, match="cuts allow 0"):
        check_proof.check(changed(PROOFS[name], cuts=cuts))


def all_cuts(X, hidden):
    """Every column and every table that no perceptron gives, as one cut each, whole: only for `least_errors`."""
    cuts = []
    for layer, points in enumerate([X, *map(oracle.cube, hidden)], start=1):
        realised, numbers = oracle.dichotomies(points), list(range(len(points)))
        for t in product((-1, 1), repeat=len(points)):
            if t[0] == 1 and t not in realised:
                cuts.append({"layer": layer, "points": points, "signs": t, "instances": numbers})
    return cuts


@pytest.mark.parametrize("start", range(0, 150, 50))
def test_all_cuts_together_give_the_oracles_optimum(start):
    for X, y, hidden in oracle.random_cases(7, 150)[start : start + 50]:
        value = oracle.fewest_errors(X, y, hidden)
        least = check_proof.least_errors(y, hidden, all_cuts(X, hidden), max(value, 1))
        assert least == (value, "by enumeration")


def test_the_integer_program_agrees_with_the_enumeration():
    values = []
    for X, y, hidden in oracle.random_cases(8, 24):
        clauses = check_proof.clauses_of(all_cuts(X[:5], hidden)[::2], hidden)  # half of them
        values.append(check_proof.enumerated(y[:5], hidden, clauses, 5))
        for enough in (5, values[-1] or 1):
            found = check_proof.programmed(y[:5], hidden, clauses, enough)
            assert found == min(values[-1], enough)
    assert 0 in values and any(values)


def test_the_command(tmp_path, capsys):
    path = Path(tmp_path / "proof.json")
    path.write_text(json.dumps(LINE))
    assert check_proof.main([str(path)]) == 0 and "proof holds: 1 errors" in capsys.readouterr().out
    path.write_text(json.dumps(changed(LINE, value=0)))
    assert check_proof.main([str(path)]) == 1 and "proof refused:" in capsys.readouterr().out
    assert "usage" in check_proof.main([])
