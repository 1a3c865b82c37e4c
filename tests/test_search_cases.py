"""Cases: the same on every call, solved by what planted them, and none that one perceptron would do for."""

import numpy as np
import pytest

from ftpkit.losses import UnknownName
from ftpkit.search import cases
from ftpkit.search.cases import CELLS, GROWTH, Cell, case, named
from ftpkit.separability import separate

GROUPS = ("logic", "teachers 2-layer", "teachers 3-layer", "real")


@pytest.mark.parametrize("cell", CELLS)
def test_a_case_keeps_the_rules(cell):
    kind = CELLS[cell]
    for seed in (0, 7):
        c = case(cell, seed)
        X, y = c.problem.X, c.problem.y
        assert c.problem.hidden == kind.hidden and c.minority == min((y > 0).mean(), (y < 0).mean()) >= 0.25
        assert separate(X, y).separable is False
        assert (X * 1024 == np.round(X * 1024)).all() and np.abs(X).max() < 100
        if c.teacher is not None:
            assert [W.shape[0] for W in c.teacher] == [*kind.hidden, 1] and c.problem.errors(c.teacher) == 0
        again = case(cell, seed)
        assert (again.problem.X == X).all() and (again.problem.y == y).all() and again.fingerprint == c.fingerprint


def test_seeds_draw_other_cases_unless_there_is_nothing_to_draw():
    for cell, kind in CELLS.items():
        fingerprints = {case(cell, seed).fingerprint for seed in range(3)}
        assert len(fingerprints) == (1 if kind.fixed else 3), cell


def test_cells_are_as_many_and_as_large_as_the_comparison_says():
    told = [cell for cell, kind in CELLS.items() if kind.group in GROUPS]
    assert 20 <= len(told) <= 26 and {CELLS[cell].group for cell in told} == set(GROUPS)
    planted = [kind for cell, kind in CELLS.items() if cell.startswith("teacher")]
    assert {kind.size["n"] for kind in planted} >= {4, 10} and {w for kind in planted for w in kind.hidden} >= {2, 6}
    assert {kind.size["m"] for kind in planted} >= {12, 25, 50, 100, 200}
    assert [CELLS[c].size["m"] for c in GROWTH["growth with m"]] == [12, 25, 50, 100, 200]
    assert [len(CELLS[c].hidden) for c in GROWTH["growth with depth"]] == [1, 2, 3, 4]


@pytest.mark.parametrize("bits", range(2, 7))
def test_parity_counts(bits):
    c = case("XOR" if bits == 2 else f"parity {bits}")
    assert len(c.problem.X) == 2**bits == len({tuple(x) for x in c.problem.X}) and c.problem.hidden == (bits,)
    assert (c.problem.y == -np.prod(-c.problem.X, axis=1)).all()


def test_and_of_ors_is_one():
    for cell in ("AND of 3 ORs, all 32", "AND of 4 ORs, 50 of 256"):
        c = case(cell, 3)
        clauses = c.teacher[0][:, :-1]
        assert (np.count_nonzero(clauses, axis=1) == CELLS[cell].size["literals"]).all()
        by_hand = [
            all(any(w * v > 0 for w, v in zip(clause, x, strict=True)) for clause in clauses) for x in c.problem.X
        ]
        assert (c.problem.y == np.where(by_hand, 1, -1)).all()
        assert len({tuple(x) for x in c.problem.X}) == c.problem.m


def test_teachers_units_all_matter_somewhere():
    """On many inputs every unit is on one side for at least a tenth of them, whatever the seed."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, _, weights = cases.teacher(rng, hidden=(4, 3), n=6, m=2000)
        for W in weights:
            X = cases.sign(cases.affine(X, W))
            assert 0.1 < (X > 0).mean(axis=0).min() <= (X > 0).mean(axis=0).max() < 0.95


def test_more_instances_of_the_same_teacher():
    few, many = (cases.teacher(np.random.default_rng([5, 2]), hidden=(3,), n=5, m=m) for m in (12, 50))
    assert (few[0] == many[0][:12]).all() and (few[1] == many[1][:12]).all()


def test_images_are_of_their_class_and_their_features_orthogonal():
    X, y = cases._projected("Pullover", "Coat", 10)
    assert X.shape == (2000, 10) and (y > 0).sum() == 1000
    np.testing.assert_allclose(X.T @ X / len(X), np.eye(10), atol=1e-3)
    c = case("Pullover or Coat m=50", 1)
    rows = {tuple(x): label for x, label in zip(X, y, strict=True)}
    assert all(rows[tuple(x)] == label for x, label in zip(c.problem.X, c.problem.y, strict=True))


def test_draws_that_break_the_rules_are_made_again_and_counted(monkeypatch):
    seen = []

    def mostly_bad(rng, *, hidden):
        seen.append(rng.integers(1000))
        X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
        y = {1: [-1, -1, -1, 1], 2: [1, 1, 1, 1]}.get(len(seen), [-1, 1, 1, -1])  # separable, lopsided, XOR
        return X, np.array(y), None

    monkeypatch.setitem(CELLS, "mostly bad", Cell("logic", mostly_bad, (2,)))
    assert case("mostly bad").redraws == 2 and len(set(seen)) == 3
    monkeypatch.setattr(cases, "MINORITY", 0.51)
    monkeypatch.setattr(cases, "_MOST_DRAWS", 5)
    with pytest.raises(ValueError, match="5 draws of 'XOR' were all separable or lopsided"):
        case("XOR")


def test_names_groups_and_patterns():
    assert named() == list(CELLS)
    assert named(["parity 3", "XOR"]) == ["XOR", "parity 3"]
    assert named(["teachers 3-layer"]) == [n for n in CELLS if CELLS[n].group == "teachers 3-layer"]
    assert named(["two moons*", "two moons m=20"]) == ["two moons m=20", "two moons m=50"]


def test_bad_input():
    with pytest.raises(UnknownName, match="did you mean 'parity 3'"):
        case("parity3")
    with pytest.raises(UnknownName, match="no cell fits 'moon\\*'"):
        named(["moon*"])
    with pytest.raises(UnknownName, match="no cell 'XR'"):
        named(["XR"])
    for seed in (-1, 0.5, "1"):
        with pytest.raises(ValueError, match="a seed is an integer"):
            case("XOR", seed)
