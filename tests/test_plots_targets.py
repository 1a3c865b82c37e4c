"""The figure of one mini-batch: markers, tables, crosses and bars are read back."""

import numpy as np
import pytest
import torch

from ftpkit.explore import TargetExplorer, TargetState
from ftpkit.plots import style


@pytest.fixture(params=[{"unit": 5, "image": 3, "second": "Perceptron"}, {"layer": 3, "rule": "Perceptron"}])
def drawn(request):
    result = TargetExplorer.compute_from(TargetState(**request.param))
    names = ("sent", "passed", "image", "differ", "alone", "effects")
    return result, dict(zip(names, TargetExplorer.draw(result).axes, strict=True))


def line(ax, label):
    return next(each for each in ax.lines if each.get_label() == label)


def test_each_rule_has_its_markers_at_what_it_sends(drawn):
    result, axes = drawn
    unit = result.unit - 1
    for name, sent in result.sent.items():
        markers = line(axes["sent"], name)
        assert (markers.get_color(), markers.get_marker()) == (style(name)["color"], style(name)["marker"])
        np.testing.assert_array_equal(markers.get_xydata().T, [result.hidden.z[:, unit], sent[:, unit]])
    assert [text.get_text() for text in axes["sent"].get_legend().get_texts()] == list(result.sent)


def test_the_table_shows_every_letter_with_its_sign_and_scale(drawn):
    result, axes = drawn
    hidden, unit = result.hidden, result.unit - 1
    rows = [row.numpy() for row in (hidden.z, hidden.h, hidden.g, hidden.t, hidden.weight, *result.sent.values())]
    shown = np.asarray(axes["passed"].images[0].get_array())
    assert shown.shape == (len(rows), 32) and shown.min() >= -1 and shown.max() <= 1
    for row, values in zip(shown, rows, strict=True):
        np.testing.assert_array_equal(np.sign(row), np.sign(values[:, unit]))
    g = np.abs(shown[2]).max() / np.abs(rows[2][:, unit]).max()
    for row, values in list(zip(shown, rows, strict=True))[4:]:
        np.testing.assert_allclose(row, g * values[:, unit], rtol=1e-12)
    marks = [each for each in axes["passed"].lines if each.get_marker() == "+"]
    plus = {tuple(place) for each in marks for place in each.get_xydata().astype(int).tolist()}
    assert plus == {(i, row) for row, i in np.argwhere(shown > 0).tolist()}
    labels = [text.get_text() for text in axes["passed"].get_yticklabels()]
    assert labels[0] == f"z  ±{hidden.z[:, unit].abs().max():.2g}" and labels[1] == "h  ±1"
    (frame,) = axes["passed"].patches
    assert frame.get_x() == result.image - 1.5


def test_crosses_and_dots_stand_where_the_rules_disagree(drawn):
    result, axes = drawn
    for marker, code in ((".", 1), ("x", 2)):
        (marks,) = [each for each in axes["differ"].lines if each.get_marker() == marker]
        places = torch.zeros_like(result.differ)
        for example, unit in marks.get_xydata().astype(int):
            places[example, unit] = code
        assert torch.equal(places == code, result.differ == code)
    share = 100 * (result.differ > 0).double().mean().item()
    assert axes["differ"].get_title() == f"{result.first} and {result.second} disagree: {share:.1f} %"


def test_single_flips_left_of_0_are_asked_for_and_crosses_are_wrong(drawn):
    result, axes = drawn
    labels = ("target right", "target wrong", "this unit")
    right, wrong, this = (line(axes["alone"], label).get_xydata() for label in labels)
    assert len(right) + len(wrong) == 640 and len(this) == 32
    assert ((right[:, 0] < 0) == (right[:, 1] < 0)).all()
    assert ((wrong[:, 0] < 0) == (wrong[:, 1] >= 0)).all()
    assert (np.concatenate([right, wrong])[:, 0] < 0).sum() == result.asked.sum()
    np.testing.assert_array_equal(this[:, 1], result.alone[:, result.unit - 1])
    np.testing.assert_allclose(np.abs(this[:, 0]), 2 * result.hidden.g[:, result.unit - 1].abs())


def test_bars_are_as_long_as_the_changes(drawn):
    result, axes = drawn
    hollow, filled = axes["effects"].containers
    for effect, bar, other in zip(result.effects.values(), hollow, filled, strict=True):
        assert (bar.get_width(), other.get_width()) == (effect.predicted, effect.real)
    labels = [text.get_text() for text in axes["effects"].get_yticklabels()]
    assert labels == [f"{name}\n({effect.flips} flips)" for name, effect in result.effects.items()]


def test_the_image_is_the_chosen_one(drawn):
    result, axes = drawn
    np.testing.assert_array_equal(axes["image"].images[0].get_array(), result.pixels)
    assert result.label in axes["image"].get_title()
