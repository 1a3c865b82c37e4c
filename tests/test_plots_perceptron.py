"""The figures of one perceptron draw what they are given: lines, points and colours are read back and compared."""

import numpy as np
import pytest
import torch

from ftpkit import LOSSES, plots
from ftpkit.plots import perceptron as pictures

X = np.array([[-1.0, -1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]])
AND = np.array([-1, -1, -1, 1])
PATH = np.array([[0, 0, 0], [1, 1, 0], [1, 1, -1.0]])


def lines(ax):
    return {line.get_label(): np.asarray(line.get_data(), dtype=float) for line in ax.lines}


def on_line(line, w, level=0.0):
    """Both ends fulfil the equation, lie apart, and lie outside the picture."""
    ends = np.asarray(line.get_data(), dtype=float).T
    np.testing.assert_allclose(ends @ w[:2] + w[2], level, atol=1e-9)
    assert abs(ends).max(axis=1).min() > line.axes.get_xlim()[1]


def test_strip_rings_what_is_wrong_and_draws_the_line():
    fig = pictures.line_strip(X, AND, PATH, (1, 2), limit=2)
    for ax, k in zip(fig.axes, (1, 2), strict=True):
        assert lines(ax)["wrong side"].size == 0
        on_line(ax.lines[-1], PATH[k])
    fig = pictures.line_strip(X, -AND, PATH, (2,), limit=2)
    assert len(lines(fig.axes[0])["wrong side"].T) == 4 and "4 wrong" in fig.axes[0].get_title()


def test_strip_without_a_direction_has_no_line_and_everything_on_one_side():
    fig = pictures.line_strip(X, AND, PATH, (0,), limit=2)
    (ax,) = fig.axes
    assert list(lines(ax)) == ["t = +1", "t = -1", "wrong side"]
    np.testing.assert_array_equal(lines(ax)["wrong side"].T, [[1, 1]])  # sign(0) = -1, so only the +1 is wrong
    assert not ax.images[0].get_array().any()


def test_strip_shades_the_side_of_plus_one():
    (ax,) = pictures.line_strip(X, AND, PATH, (2,), limit=2).axes
    shade = np.asarray(ax.images[0].get_array())  # origin below: rows are x2, columns x1
    assert shade[-1, -1] and not shade[0, 0] and ax.images[0].origin == "lower"
    assert tuple(ax.images[0].get_extent()) == (-2, 2, -2, 2)


def test_points_are_the_examples():
    drawn = lines(pictures.line_strip(X, AND, PATH, (1,)).axes[0])
    np.testing.assert_array_equal(drawn["t = +1"].T, X[AND > 0, :2])
    np.testing.assert_array_equal(drawn["t = -1"].T, X[AND < 0, :2])


def test_novikoff_draws_both_inequalities_and_every_set():
    norms, runs, tight = [0, 1, 1.5], [(10, 3), (1000, 20)], [(4, 4)]
    left, right = pictures.novikoff(norms, gamma=0.5, R=2, runs=runs, tight=tight).axes
    drawn = lines(left)
    np.testing.assert_allclose(drawn[r"at most $\sqrt{k}\,R$"][1], [0, 2, 2 * np.sqrt(2)])
    np.testing.assert_allclose(drawn[r"at least $k\gamma$"][1], [0, 0.5, 1])
    np.testing.assert_array_equal(drawn[r"length of $w$ after $k$ mistakes"][1], norms)
    drawn = lines(right)
    np.testing.assert_array_equal(drawn["random sets"].T, runs)
    np.testing.assert_array_equal(drawn["one-hot sets"].T, tight)
    np.testing.assert_array_equal(*drawn[r"the bound $(R/\gamma)^2$"])


def test_losses_are_the_kits_and_lines_are_where_they_belong():
    w, svm = np.array([1, 2, -0.5]), np.array([1, 1, -1.0])
    left, right = pictures.losses_and_lines(X, AND, [w, w + 1], svm, limit=2).axes
    drawn = lines(left)
    for name in ("Perceptron", "Hinge"):
        z, value = drawn[name.lower() + " loss"]
        np.testing.assert_array_equal(value, LOSSES[name].value(torch.tensor(z), torch.ones(len(z))).numpy())
    by_label = {line.get_label(): line for line in right.lines}
    on_line(by_label["2 perceptrons"], w)
    on_line(by_label["SVM"], svm)
    on_line(by_label["its margin"], svm, level=1)
    assert sum(line.get_linestyle() == "--" for line in right.lines) == 2


def test_cycle_draws_lines_counts_and_lengths():
    counts, lengths = {"XOR": [0, 4, 8], "AND": [0, 1, 1]}, {"Perceptron": [0, 2, 0], "Hinge": [2, 1, 0.5]}
    first, second, third = pictures.cycle(X, AND, PATH[1:], counts, lengths).axes
    by_label = {line.get_label(): line for line in first.lines}
    on_line(by_label["w = (1, 1, 0)"], PATH[1])
    on_line(by_label["w = (1, 1, -1)"], PATH[2])
    assert {name: list(y) for name, (_, y) in lines(second).items()} == counts
    assert {name: list(y) for name, (_, y) in lines(third).items()} == lengths
    assert {line.get_color() for line in third.lines} == {plots.style(name)["color"] for name in lengths}


def test_weights_are_pictures_with_white_at_zero():
    image, weights = np.arange(784.0).reshape(28, 28), np.linspace(-1, 3, 784).reshape(28, 28)
    grey, signed = pictures.weight_pictures([{"mean": image, "weights": weights}]).axes
    assert (grey.get_title(), signed.get_title()) == ("mean", "weights")
    np.testing.assert_array_equal(grey.images[0].get_array(), image)
    np.testing.assert_array_equal(signed.images[0].get_array(), weights)
    norm, colours = signed.images[0].norm, signed.images[0].cmap
    assert norm(0.0) == 0.5 and min(colours(0.5)[:3]) > 0.95
    (red, _, blue), (low_red, _, low_blue) = colours(0.95)[:3], colours(0.05)[:3]
    assert red > blue and low_blue > low_red  # orange above 0, purple below


@pytest.mark.parametrize("length", [1, 7])
def test_accuracies_by_pass(length):
    run = {"title": "A or B", "train": np.linspace(80, 100, length), "test": np.linspace(70, 90, length), "svm": 85.0}
    (ax,) = pictures.accuracy_by_pass([run]).axes
    drawn = lines(ax)
    np.testing.assert_array_equal(drawn["perceptron, training"], [np.arange(1, length + 1), run["train"]])
    np.testing.assert_array_equal(drawn["perceptron, test"][1], run["test"])
    assert set(drawn["linear SVM, test"][1]) == {85.0} and ax.get_title() == "A or B"


def test_every_figure_becomes_a_picture():
    fig = pictures.line_strip(X, AND, PATH, (0, 1, 2))
    shown = plots.show(fig, "Three pictures of four points, the last with none on the wrong side.")
    assert shown.png.startswith(b"\x89PNG")
