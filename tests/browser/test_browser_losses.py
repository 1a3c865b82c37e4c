"""The loss explorer in JupyterLab, by keyboard."""

import pytest


@pytest.fixture(scope="module")
def demo(open_book):
    return open_book("03_layer_losses_and_targets.ipynb").demo("LossExplorer")


def test_by_keyboard(demo):
    assert "Layer loss SoftHinge on Sign, target t = +1" in demo.alt
    alt = demo.changes(lambda: demo.press(demo.button("t = -1"), "Space"))
    assert "target t = -1" in alt


def test_axe_finds_nothing_serious(demo):
    assert demo.violations() == []
