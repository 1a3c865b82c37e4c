"""What all tests share. Fixtures that one file needs live in that file."""

import os
import tempfile
from pathlib import Path

import hygiene
import hypothesis

# On a busy machine a slow example is no failure; in CI the same examples are drawn every time.
hypothesis.settings.register_profile("ftpkit", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("ftpkit")

# Answers that tests give are no progress of whoever runs them.
os.environ["FTPKIT_PROGRESS"] = str(Path(tempfile.gettempdir()) / "ftpkit-tests-keep-no-progress.json")


def pytest_terminal_summary(terminalreporter, config):
    """Say what was not run for want of a browser and, whenever notebooks ran, how much of them was not compared."""
    waiting = [r.longrepr[2] for r in terminalreporter.stats.get("skipped", []) if "NOT RUN" in str(r.longrepr)]
    if waiting:
        terminalreporter.write_line(f"{len(waiting)} tests of the demos: {waiting[0].removeprefix('Skipped: ')}")
    notebooks = sorted((config.rootpath / "notebooks").glob("*.ipynb"))
    if not config.option.nbval or not notebooks:
        return
    books = [hygiene.read(path) for path in notebooks]
    cells = sum(cell["cell_type"] == "code" for nb in books for cell in nb["cells"])
    excused = sum(len(hygiene.excused(nb)) for nb in books)
    terminalreporter.write_line(f"notebooks: {cells} code cells, {excused} of them excused from comparison")
