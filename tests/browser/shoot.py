"""Screenshots of all seven demos in a real JupyterLab, to be looked at after a change of what they show.

.venv/bin/python tests/browser/shoot.py FOLDER       # each demo: light and dark, wide and narrow, and its questions
.venv/bin/python tests/browser/shoot.py --readme     # data/results/demo.png
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import lab

README = lab.ROOT / "data" / "results" / "demo.png"
WIDE, NARROW = 1300, 1000


@contextmanager
def opened(*sources: str) -> Iterator[lab.Book]:
    """JupyterLab with a notebook of these cells, run; without cells one with all demos."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        path = lab.find_browser(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        server = lab.Server(Path(folder))
        try:
            if sources:
                server.write("shots.ipynb", *sources)
            else:
                server.write_demos("shots.ipynb")
            yield lab.Book(browser, server, "shots.ipynb").run_all()
        finally:
            server.close()
            browser.close()


def shoot(folder: Path) -> None:
    """NAME-light.png, NAME-question1.png ..., and so on, for every demo; the race is run as well."""
    folder.mkdir(parents=True, exist_ok=True)
    with opened() as book:
        for name in lab.DEMOS:
            demo = book.demo(name)
            demo.screenshot(folder / f"{name}-light.png")
            tries = [button.inner_text() for button in demo.area.get_by_role("button", name="Try: ").all()]
            for number, label in enumerate(tries, 1):
                demo.press(demo.button(label), "Space")
                demo.press(demo.button("Look"), "Space")
                book.idle()
                demo.screenshot(folder / f"{name}-question{number}.png")
            if name == "RaceDemo":
                race(demo)
                demo.screenshot(folder / f"{name}-finished.png")
            else:
                demo.press(demo.button("Reset"), "Space")
        book.idle()
        book.theme("Dark")
        for width, end in ((WIDE, "dark"), (NARROW, "dark-narrow")):
            book.width(width)
            for name in lab.DEMOS:
                book.demo(name).screenshot(folder / f"{name}-{end}.png")


def race(demo: lab.OnPage) -> None:
    """A race from Start to its end."""
    demo.press(demo.button("Start"), "Space")
    expect(demo.area.locator("img")).to_have_attribute("alt", re.compile("finished"), timeout=120_000)


def readme() -> None:
    """The picture of the README."""
    with opened("from ftpkit.explore import PerceptronPlayground", "PerceptronPlayground(step=3)") as book:
        book.demo("PerceptronPlayground").screenshot(README)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    readme() if sys.argv[1] == "--readme" else shoot(Path(sys.argv[1]))
