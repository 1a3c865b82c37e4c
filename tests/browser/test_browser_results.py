"""The results explorer in JupyterLab, by keyboard."""

import re

import pytest
from playwright.sync_api import expect

START = re.compile(
    r"^8-layer convnet, bundled images: 60 runs, .*Test accuracy in %, selected epoch: sign, SSTE 89.0 ± 0.1, .*"
    r"The curves of the test accuracy in % end at: "
)


@pytest.fixture(scope="module")
def demo(open_book):
    return open_book("08_the_papers_table.ipynb").demo("ResultsExplorer")


@pytest.fixture(autouse=True)
def from_the_start(demo):
    demo.press(demo.button("Reset"), "Space")
    expect(demo.area.locator("img")).to_have_attribute("alt", START, timeout=20_000)
    yield


def test_by_keyboard(demo):
    assert "FTP-SH minus SSTE, signs: +0.26 [-0.22, +0.73], no difference shown (10 pairs of runs)" in demo.text
    alt = demo.changes(lambda: demo.press(demo.button("last"), "Space"))
    assert "last epoch: sign, SSTE 89.0 ± 0.2" in alt
    alt = demo.changes(lambda: demo.press(demo.button("staircases"), "Space"))
    assert "20 runs" in alt and "sign" not in alt
    alt = demo.changes(lambda: demo.press(demo.control("Curves"), "Space", "ArrowDown", "Enter"))
    assert "The curves of the training accuracy in % end at: qReLU, SSTE 92.3" in alt
    alt = demo.changes(lambda: demo.press(demo.control("Row"), "Space", "ArrowDown", "Enter"))
    assert alt.startswith("ResNet-8, bundled images: 20 runs")
    assert "qReLU, FTP-SH: 86.5 ± 0.1 % (n = 10 seeds)" in demo.text
    alt = demo.changes(lambda: demo.press(demo.button("val"), "Space"))
    assert "FTP-SH minus SSTE, staircases: no figure by this protocol" in alt
    assert "which needs runs with --val N" in demo.text


def test_what_was_not_run_says_how(demo):
    demo.press(demo.button("Try: the largest network"), "Space")
    expect(demo.button("Look")).to_be_visible()
    assert "which of the two rules is ahead there" in demo.text
    alt = demo.changes(lambda: demo.press(demo.button("Look"), "Space"))
    assert alt.startswith("ResNet-18, ImageNet: no finished run here. The paper, one run each: sign, SSTE 49.1")
    assert "no finished run here: python -m ftpkit train resnet18-sign-sste --data FOLDER" in demo.text


def test_axe_finds_nothing_serious(demo):
    assert demo.violations() == []
    demo.press(demo.button("Try: another protocol"), "Space")
    expect(demo.button("Look")).to_be_visible()
    assert demo.violations() == []
