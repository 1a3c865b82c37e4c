"""The race in JupyterLab, by keyboard: chosen, started, watched, stopped, with the page answering meanwhile."""

import re

import pytest
from playwright.sync_api import expect

READY = "SSTE against STE on mlp, not started."
SOON = 30_000


@pytest.fixture(scope="module")
def demo(open_book):
    return open_book("04_minibatch_ftprop.ipynb").demo("RaceDemo")


@pytest.fixture(autouse=True)
def from_the_start(demo):
    demo.press(demo.button("Reset"), "Space")
    shows(demo, "^" + re.escape(READY))
    yield


def shows(demo, what):
    expect(demo.area.locator("img")).to_have_attribute("alt", re.compile(what), timeout=SOON)


def test_a_race_by_keyboard_from_start_to_stop(demo):
    alt = demo.changes(lambda: demo.control("Rival 2").select_option("ReLU"))
    assert alt.startswith("SSTE against ReLU on mlp, not started.")
    for label in ("Epochs", "Seeds"):
        demo.press(demo.control(label), *3 * ["ArrowUp"])
    shows(demo, "seeds: 5")
    demo.control("Images").select_option("10,000")
    shows(demo, "Each: 500 batches")
    demo.press(demo.button("Start"), "Space")
    shows(demo, r"running, seed 1 of 5, [1-9]\d* of 5,000 batches")
    demo.changes(lambda: None)
    assert demo.control("Rival 1").is_disabled()
    assert demo.violations() == [], "while it runs"

    demo.press(demo.button("last hidden layer"), "Space")
    shows(demo, "running.*in the last hidden layer")
    demo.press(demo.button("Start"), "Space")
    expect(demo.area).to_contain_text("Not started: one race at a time: SSTE against ReLU on mlp is running")

    demo.press(demo.button("Stop"), "Space")
    shows(demo, r"stopped after [\d,]+ of 5,000 batches")
    expect(demo.area).to_contain_text("What it shows: ")
    expect(demo.control("Rival 1")).to_be_enabled()
    stopped = demo.alt
    demo.page.wait_for_timeout(500)
    assert demo.alt == stopped, "nothing runs on"


def test_a_race_to_its_end(demo):
    demo.control("Images").select_option("500")
    shows(demo, "Each: 10 batches")
    demo.press(demo.button("Start"), "Space")
    shows(demo, r"^SSTE against STE on mlp, finished\. Test accuracy of SSTE \d\d")
    expect(demo.area.locator("table")).to_have_count(2)
    expect(demo.area.locator("table").last).to_contain_text(re.compile("SSTE minus STE|STE minus SSTE"))
    assert re.search(r"What it shows: (no difference shown|S?STE above S?STE)", demo.text)
    assert demo.violations() == [], "when it is over"


def test_a_question_is_asked_first(demo):
    before = demo.alt
    demo.press(demo.button("Try: two or five seeds"), "Space")
    expect(demo.button("Look")).to_be_visible()
    assert "How many points must lie between them" in demo.text and demo.alt == before
    alt = demo.changes(lambda: demo.press(demo.button("Look"), "Space"))
    assert alt.startswith("FTP-SH against Ramp on mlp, not started.")
