"""The doctor: run as people run it, in a healthy environment and in broken ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftpkit import doctor

ROOT = Path(__file__).parents[1]
NOTEBOOK_STACK = "jupyterlab notebook ipywidgets ipykernel jupyter_client anywidget matplotlib seaborn pandas".split()

BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is blocked for this test")
sys.meta_path.insert(0, Blocker())
"""


def run(command: str, blocked=(), **environment) -> subprocess.CompletedProcess:
    """Run Python in which the named modules cannot be imported."""
    code = BLOCK.format(blocked=set(blocked)) + command
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, text=True, capture_output=True)


CALL = "from ftpkit.__main__ import main; sys.exit(main(['doctor']))"


def lines(finished, state):
    return [line for line in finished.stdout.splitlines() if line.startswith(f"[{state}]")]


def test_healthy():
    finished = run(CALL)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    ok = "\n".join(lines(finished, "ok"))
    for name in ["Python 3.", "ftpkit 0.", "torch ", "jupyterlab ", "nbval ", "device cpu", "kernel python3", "data "]:
        assert name in ok
    assert not lines(finished, "broken")


def test_without_notebook_stack_the_core_is_still_well():
    finished = run(CALL, blocked=[*NOTEBOOK_STACK, "torchvision"])
    assert finished.returncode == 0, finished.stdout + finished.stderr
    missing = "\n".join(lines(finished, "missing"))
    for name in ["jupyterlab", "ipywidgets", "seaborn", "torchvision"]:
        assert f"{name} (for the notebooks)" in missing
    assert 'pip install -e ".[notebooks]"' in missing


def test_without_scipy_the_core_is_not_well():
    finished = run(CALL, blocked=["scipy"])
    assert finished.returncode == 1
    assert "[missing] scipy  ->  pip install -e ." in finished.stdout


def test_without_torch_the_doctor_still_speaks():
    finished = run(CALL, blocked=["torch", "torchvision"])
    assert finished.returncode == 1, finished.stderr
    assert "[missing] torch  ->  pip install -e ." in finished.stdout
    assert "[ok]      jupyterlab" in finished.stdout


def test_home_directory_is_not_told():
    finished = run(CALL, HOME=str(ROOT.parent), USERPROFILE=str(ROOT.parent), FTPKIT_DATA=str(ROOT.parent / "sets"))
    assert str(ROOT.parent) not in finished.stdout
    assert str(Path("~/sets")) in finished.stdout


def test_torchvision_that_does_not_match(monkeypatch):
    def fails(name):
        raise RuntimeError("operator torchvision::nms does not exist\nand a long story")

    monkeypatch.setattr(doctor, "import_module", fails)
    finding = doctor._package("torchvision", ">=0.26", "notebooks")
    assert finding.state == "broken" and finding.needed
    assert "torchvision::nms does not exist" in finding.text and "long story" not in finding.text
    assert "must match" in finding.advice


def test_ipykernel_7_0_0_is_named(monkeypatch):
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "7.0.0")
    [bounds] = [bounds for name, bounds, _ in doctor._requirements() if name == "ipykernel"]
    finding = doctor._package("ipykernel", bounds, "notebooks")
    assert finding.state == "broken" and "ipykernel 7.0.0, but ftpkit needs" in finding.text


@pytest.mark.parametrize("argv, state", [("python", "ok"), (sys.executable, "ok"), ("/opt/other/bin/python", "broken")])
def test_kernel_of_another_python(monkeypatch, argv, state):
    kernelspec = pytest.importorskip("jupyter_client.kernelspec")
    spec = kernelspec.KernelSpec(argv=[argv, "-m", "ipykernel_launcher"])
    monkeypatch.setattr(kernelspec.KernelSpecManager, "get_kernel_spec", lambda self, name: spec)
    [finding] = doctor._kernel()
    assert finding.state == state
    assert state == "ok" or "/opt/other/bin/python" in finding.text


def test_every_requirement_of_pyproject_is_examined():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert len(list(doctor._requirements())) == len(project["dependencies"]) + sum(map(len, extras.values())) - 1


@pytest.mark.parametrize("argv", [[], ["docter"]])
def test_unknown_command_lists_the_known_ones(argv):
    finished = subprocess.run([sys.executable, "-m", "ftpkit", *argv], cwd=ROOT, text=True, capture_output=True)
    assert finished.returncode == 2
    assert "COMMAND" in finished.stderr if not argv else "doctor" in finished.stderr
