"""A real JupyterLab in a real browser: a server on a copy of the notebooks, a notebook run in it, a demo operated.

`find_browser` says which browser is used: the one that FTPKIT_BROWSER names, then the system's Chromium or Chrome, then
Playwright's own.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # every cell is in the page
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
DEMOS = (
    "PerceptronPlayground",
    "SearchStepper",
    "LossExplorer",
    "TargetExplorer",
    "RaceDemo",
    "StaircaseExplorer",
    "ResultsExplorer",
)
HOW = "apt install chromium, or .venv/bin/python -m playwright install chromium, or name one in FTPKIT_BROWSER"


def find_browser(own: str | None = None) -> str | None:
    """The path of a browser, or None; own: where Playwright would put its own."""
    names = [os.environ.get("FTPKIT_BROWSER"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    return found or (own if own and Path(own).exists() else None)


class Server:
    """JupyterLab on a copy of the notebooks, so that what the browser saves changes nothing of ours."""

    def __init__(self, folder: Path, settings: dict = SETTINGS):
        self.folder = folder
        shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".*", "runs"))
        for name, values in settings.items():
            path = folder / "settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        self.url, self.token = f"http://localhost:{port}", secrets.token_hex(8)
        own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "RUNTIME", "DATA")}
        own |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
        options = ["--allow-root", "--no-browser", f"--port={port}", f"--IdentityProvider.token={self.token}"]
        options += [f"--LabApp.user_settings_dir={folder / 'settings'}", f"--ServerApp.root_dir={folder}"]
        command = [sys.executable, "-m", "jupyterlab", *options]
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=self.log, stderr=self.log)
        self._wait()

    def _wait(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/api?token={self.token}", timeout=5).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise RuntimeError(f"JupyterLab did not start:\n{(self.folder / 'log').read_text()}") from None
                time.sleep(0.2)

    def write(self, name: str, *sources: str) -> None:
        """Put a notebook of these code cells beside the others."""
        cells = [nbformat.v4.new_code_cell(source.strip()) for source in sources]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), self.folder / "notebooks" / name)

    def write_demos(self, name: str = "demos.ipynb") -> None:
        """A notebook that has all seven demos and nothing else, so that they are there in seconds."""
        self.write(name, *(f"from ftpkit.explore import {demo}\n\n{demo}()" for demo in DEMOS))

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Book:
    """A notebook in the browser. classic: in Notebook 7 instead of JupyterLab.

    abroad: what the page wanted from any other place than the server.
    """

    def __init__(self, browser: Browser, server: Server, name: str, classic: bool = False):
        self.page: Page = browser.new_page(viewport={"width": 1300, "height": 1400})
        self.page.set_default_timeout(60_000)
        self.abroad: list[str] = []
        self.page.on("request", lambda each: self._note(each.url, server.url))
        place = "notebooks/" if classic else "lab/tree/"
        reset = "" if classic else "reset&"
        self.classic = classic
        self.page.goto(f"{server.url}/{place}notebooks/{name}?{reset}token={server.token}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.idle()

    def _note(self, url: str, home: str) -> None:
        if not url.startswith((home, home.replace("http", "ws", 1), "data:", "blob:")):
            self.abroad.append(url)

    def idle(self, seconds: float = 150) -> None:
        """Wait until the kernel has been idle for a while."""
        quiet, end = 0, time.monotonic() + seconds
        while quiet < 4:
            assert time.monotonic() < end, f"the kernel was not idle within {seconds} s"
            if self.classic:
                idle = self.page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').count() > 0
            else:
                idle = self.page.get_by_text("| Idle").count() > 0
            waits = self.page.locator(".jp-InputPrompt", has_text="[*]").count()
            quiet = quiet + 1 if idle and not waits else 0
            self.page.wait_for_timeout(250)

    def run_all(self, seconds: float = 150) -> "Book":
        """Run All Cells, from the menu; an error in any cell fails, and a cell that was not run."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.page.wait_for_timeout(500)
        self.idle(seconds)
        shown = self.page.locator('[data-mime-type="application/vnd.jupyter.stderr"]')
        errors = shown.filter(has_text="Traceback (most recent call last)")
        assert errors.count() == 0, errors.first.inner_text()
        assert self.page.locator(".jp-CodeCell .jp-InputPrompt", has_text="[ ]").count() == 0, "cells were not run"
        return self

    def theme(self, name: str) -> "Book":
        """Another theme, Light or Dark, from the menu; it is that of the server's later pages as well."""
        self.page.get_by_role("menuitem", name="Settings", exact=True).click()
        self.page.locator(".lm-Menu-item", has_text="Theme").first.hover()
        self.page.get_by_role("menuitem", name=f"JupyterLab {name}", exact=True).click()
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", f"JupyterLab {name}")
        self.page.wait_for_timeout(1000)  # the stylesheet comes after the attribute
        return self

    def width(self, pixels: int) -> "Book":
        """Another width of the window."""
        self.page.set_viewport_size({"width": pixels, "height": 1400})
        self.page.wait_for_timeout(500)
        return self

    def demo(self, name: str) -> "OnPage":
        """The demo of that class, scrolled to; each demo stands once in a notebook."""
        area = self.page.locator(f".ftpkit-{name}")
        expect(area).to_have_count(1, timeout=60_000)
        area.scroll_into_view_if_needed()
        return OnPage(self, area, name)

    def close(self) -> None:
        self.page.close()


class OnPage:
    """A demo as the page shows it."""

    def __init__(self, book: Book, area: Locator, name: str):
        self.book, self.page, self.area, self.name = book, book.page, area, name
        expect(self.area.locator("img").first).to_be_visible()

    @property
    def alt(self) -> str:
        return self.area.locator("img").first.get_attribute("alt")

    @property
    def text(self) -> str:
        return self.area.inner_text()

    def control(self, label: str) -> Locator:
        """The control whose accessible name this is."""
        return self.area.get_by_label(label, exact=True).first

    def button(self, name: str) -> Locator:
        return self.area.get_by_role("button", name=name, exact=True)

    def press(self, control: Locator, *keys: str) -> None:
        """Give a control the focus and press keys: nothing here needs a mouse."""
        control.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def changes(self, act, seconds: float = 20) -> str:
        """Act, wait until the picture's alt text is another, and return it. The numbers beneath arrive before it."""
        before = self.alt
        act()
        end = time.monotonic() + seconds
        while self.alt == before:
            assert time.monotonic() < end, f"{self.name}: the alt text is still {before!r}"
            self.page.wait_for_timeout(50)
        return self.alt

    def violations(self) -> list[str]:
        """What axe-core calls serious or critical in the demo's area.

        JupyterLab's body has no height, so that axe takes all text in it for hidden, and says nothing of its colours.
        """
        self.page.evaluate("document.body.style.height = '100vh'")
        response = Axe().run(self.page, context=f".ftpkit-{self.name}").response
        found, passed = response["violations"], response["passes"]
        assert "color-contrast" in {each["id"] for each in (*found, *passed)}, "axe has seen no text"
        return [
            f"{each['impact']}: {each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]

    def screenshot(self, path: str | Path) -> None:
        self.page.mouse.move(0, 0)  # no button lights up beneath it
        self.page.wait_for_timeout(300)
        self.area.screenshot(path=path)
