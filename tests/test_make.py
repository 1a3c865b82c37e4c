"""The Makefile, driven with a stub for Python that only writes down what it is asked to do."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUB = """#!/bin/sh
echo "$*" >> calls.log
case "$*" in
  "-V") echo Python 3.9.2 ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
esac
if [ -n "$FAIL" ]; then case "$*" in *"$FAIL"*) exit 1 ;; esac; fi
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


class Folder:
    """A clone in a folder whose name trips a Makefile that does not quote."""

    def __init__(self, path: Path):
        self.path = path
        (path / "notebooks").mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, path)
        (path / "stub").write_text(STUB)
        (path / "stub").chmod(0o755)

    def make(self, *arguments, fail="", **environment):
        """Run make; returns the finished process and what Python was asked to do."""
        (self.path / "calls.log").unlink(missing_ok=True)
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "PYTHON"))}
        finished = subprocess.run(
            ["make", "PYTHON=./stub", *arguments],
            cwd=self.path,
            env=outside | {"FAIL": fail} | environment,
            text=True,
            capture_output=True,
        )
        log = self.path / "calls.log"
        calls = log.read_text().splitlines() if log.exists() else []
        return finished, [call for call in calls if call.startswith("-m")]


@pytest.fixture
def clone(tmp_path):
    return Folder(tmp_path / "it's a $HOME kit (1)")


INSTALL = "-m pip install --disable-pip-version-check -c constraints.txt -e .[dev]"


def test_first_start_installs_and_the_second_does_not(clone):
    finished, calls = clone.make("lint")
    assert finished.returncode == 0, finished.stderr
    assert calls[:2] == ["-m venv .venv", INSTALL]
    finished, calls = clone.make("lint")
    assert finished.returncode == 0 and len(calls) == 2
    assert all(call.startswith("-m ruff") for call in calls)


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_description_installs_again_into_the_same_environment(clone, name):
    clone.make("lint")
    later = time.time() + 10
    os.utime(clone.path / name, (later, later))
    _, calls = clone.make("lint")
    assert INSTALL in calls and "-m venv .venv" not in calls


def test_an_installation_cut_short_begins_again(clone):
    clone.make("lint")
    (clone.path / ".venv" / ".installed").rename(clone.path / ".venv" / ".installing")
    _, calls = clone.make("lint")
    assert calls[:2] == ["-m venv .venv", INSTALL]


def test_a_failed_installation_stops_make_and_is_tried_again(clone):
    finished, calls = clone.make("lint", fail="pip install")
    assert finished.returncode != 0 and calls[-1] == INSTALL
    finished, calls = clone.make("lint")
    assert finished.returncode == 0 and INSTALL in calls and "-m venv .venv" not in calls


def test_a_moved_folder_is_installed_again(clone):
    clone.make("lint")
    clone.path = clone.path.rename(clone.path.with_name("moved"))
    _, calls = clone.make("lint")
    assert INSTALL in calls


def test_a_vanished_python_gives_a_new_environment(clone):
    clone.make("lint")
    (clone.path / ".venv" / "bin" / "python").unlink()
    _, calls = clone.make("lint")
    assert calls[:2] == ["-m venv .venv", INSTALL]


def test_an_old_python_is_refused(clone):
    finished, calls = clone.make("lab", fail="version_info")
    assert finished.returncode != 0 and not calls
    assert "ftpkit needs Python 3.11 or newer, and './stub' is Python 3.9.2." in finished.stderr


def test_a_missing_python_is_named(clone):
    finished, _ = clone.make("lab", "PYTHON=python-of-tomorrow")
    assert finished.returncode != 0 and "'python-of-tomorrow' is not there" in finished.stderr


def test_a_python_without_venv_is_refused(clone):
    finished, calls = clone.make("lab", fail="ensurepip")
    assert finished.returncode != 0 and not calls
    assert "sudo apt install python3-venv" in finished.stderr


@pytest.mark.parametrize("display", [{}, {"DISPLAY": ":0"}, {"WAYLAND_DISPLAY": "wayland-0"}])
def test_lab_opens_a_browser_only_where_there_is_a_display(clone, display):
    _, calls = clone.make("lab", **{"DISPLAY": "", "WAYLAND_DISPLAY": ""} | display)
    lab = calls[-1]
    assert lab.startswith("-m jupyterlab") and lab.endswith("/lab/tree/notebooks/00_start_here.ipynb")
    if os.uname().sysname != "Darwin":
        assert ("--no-browser" in lab) == (not display)
    assert ("--allow-root" in lab) == (os.getuid() == 0)


def test_notebooks_are_executed_all_or_by_name(clone):
    for name in ("00_a", "01_b"):
        (clone.path / "notebooks" / f"{name}.ipynb").touch()
    _, calls = clone.make("notebooks")
    assert [call.split("/")[-1] for call in calls if "nbconvert" in call] == ["00_a.ipynb", "01_b.ipynb"]
    _, calls = clone.make("notebooks/01_b.ipynb")
    assert [call.split("/")[-1] for call in calls if "nbconvert" in call] == ["01_b.ipynb"]


def test_help_is_the_default_and_names_every_target(clone):
    finished, calls = clone.make()
    assert finished.returncode == 0 and not calls
    for target in "lab test lint format notebooks bench doctor constraints clean".split():
        assert f"make {target} " in finished.stdout


def test_ci_installs_what_a_bare_machine_lacks(tmp_path):
    """With a PATH of a few stubs: Python without venv, no make and no browser until apt-get has brought them."""
    path = tmp_path / "bin"
    path.mkdir()
    stubs = {
        "python3": f'test -e "{path}/make"',
        "apt-get": f'echo "$@"; for name in make chromium; do cp "{path}/python3" "{path}/$name"; done',
        "id": "echo 0",
    }
    for name, line in stubs.items():
        (path / name).write_text(f"#!/bin/sh\n{line}\n")
        (path / name).chmod(0o755)
    for name in ("bash", "sh", "dirname", "cp"):
        (path / name).symlink_to(shutil.which(name))
    run = [str(path / "bash"), str(ROOT / ".ci" / "run")]
    first, second = (subprocess.run(run, env={"PATH": str(path)}, text=True, capture_output=True) for _ in range(2))
    update, install = first.stdout.splitlines()
    assert first.returncode == 0 and update.split()[0] == "update", first.stderr
    assert install.startswith("install") and install.endswith("make python3 python3-venv chromium")
    assert (second.returncode, second.stdout) == (0, ""), second.stderr
