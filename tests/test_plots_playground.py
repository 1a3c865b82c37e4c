"""The playground's figure draws what it is given: lines, rings, numbers and lengths are read back and compared."""

import numpy as np
import pytest

from ftpkit.perceptron import Novikoff
from ftpkit.plots.playground import LINES, playground
from ftpkit.separability import separate

X = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
AND, XOR = np.array([-1, -1, -1, 1]), np.array([-1, 1, 1, -1])
W = {"perceptron": np.array([1, 1, -1.0]), "hinge": np.array([2, 1, 0.0]), "maximum margin": np.array([1, 2, -1.0])}


def drawn(ax):
    return {line.get_label(): np.asarray(line.get_data(), float) for line in ax.lines}


def test_lines_points_and_rings():
    left, _ = playground(X, AND, W, np.array([1]), None, np.array([0, 1.0]), 1, None, "two wrong").axes
    found = drawn(left)
    for name, w in W.items():
        np.testing.assert_allclose(found[name].T @ w[:2] + w[2], 0, atol=1e-9)
    np.testing.assert_array_equal(found["class +1"].T, X[3:])
    np.testing.assert_array_equal(found["class −1"].T, X[:3])
    np.testing.assert_array_equal(found["wrong side"].T, X[[1]])
    edges = [line for line in left.lines if line.get_linestyle() == ":"]
    levels = [np.asarray(line.get_data()).T @ w[:2] + w[2] for line, w in zip(edges, [W["hinge"]] * 2, strict=False)]
    np.testing.assert_allclose(levels, [[-1, -1], [1, 1]], atol=1e-9)
    assert len(edges) == 4 and [text.get_text() for text in left.texts] == ["1", "2", "3", "4"]
    shade = np.asarray(left.images[0].get_array())
    assert shade[-1, -1] and not shade[0, 0]


def test_only_what_is_wanted_stands_in_the_legend():
    fig = playground(X, XOR, {}, np.array([], int), separate(X, XOR), np.zeros(1), 0, None, "")
    (legend,) = fig.legends
    assert {text.get_text() for text in legend.get_texts()} == {"class +1", "class −1"}
    star = fig.axes[0].lines[2]
    assert star.get_marker() == "*" and np.allclose(star.get_data(), 0) and not fig.axes[0].images
    assert set(LINES) == set(W)


@pytest.mark.parametrize("bound", [6.25, 400])
def test_lengths_between_their_bounds(bound):
    lengths, theorem = np.array([0, 1, 1.5, 1.2]), Novikoff(2.0, 2 / bound**0.5)
    _, right = playground(X, AND, W, np.array([], int), None, lengths, 2, theorem, "").axes
    found = drawn(right)
    np.testing.assert_array_equal(found[r"length of $w$ after $k$ mistakes"], [range(4), lengths])
    k, high = found[r"at most $\sqrt{k}\,R$"]
    np.testing.assert_allclose(high, 2 * np.sqrt(k))
    np.testing.assert_allclose(found[r"at least $k\,\gamma$"][1], k * theorem.gamma)
    spots = {
        line.get_marker(): np.ravel(line.get_data()).tolist() for line in right.lines if len(line.get_xdata()) == 1
    }
    assert spots["p"] == [2, 1.5] and ("X" in spots) == (bound < 10)
    if "X" in spots:
        assert spots["X"] == pytest.approx([bound, bound**0.5 * 2])


def test_no_points():
    fig = playground(X[:0], AND[:0], {}, np.array([], int), None, np.zeros(1), 0, None, "no mistake to make")
    assert not fig.legends[0].get_texts() and fig.texts[0].get_text() == "no mistake to make"
