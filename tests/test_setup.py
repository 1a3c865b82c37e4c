"""pyproject.toml, environment.yml and constraints.txt agree; the core needs no Jupyter."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pins
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch", "ortools": "ortools-python"}
CORE = "activations losses rules separability search ftprop models data train probe".split()
NOT_FOR_THE_CORE = """
    jupyterlab notebook IPython ipykernel ipywidgets matplotlib seaborn pandas torchvision sklearn flint ortools
""".split()


# The three files


def project_requirements(folder: Path) -> dict[str, Requirement]:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    return {r.name: r for r in map(Requirement, lines) if r.name != project["name"]}


def disagreements(folder: Path) -> list[str]:
    """What the three files of `folder` say differently, a sentence each."""
    wanted = project_requirements(folder)
    wrong = []

    entries = yaml.safe_load((folder / "environment.yml").read_text())["dependencies"]
    by_pip = [e for entry in entries if isinstance(entry, dict) for e in entry["pip"] if e != "-e ."]
    conda = {r.name: r for r in map(Requirement, [*(e for e in entries if isinstance(e, str)), *by_pip])}
    python = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["requires-python"]
    if str(conda.pop("python").specifier) != python:
        wrong.append(f"environment.yml and pyproject.toml want different Pythons; the latter wants {python}")
    conda.pop("pip")
    for name, requirement in wanted.items():
        there = conda.pop(CONDA_NAMES.get(name, name), None)
        if there is None:
            wrong.append(f"environment.yml lacks {name}")
        elif there.specifier != requirement.specifier:
            wrong.append(f"environment.yml wants {there}, pyproject.toml {requirement}")
    wrong += [f"environment.yml has {name}, which pyproject.toml does not know" for name in conda]

    lines = (folder / "constraints.txt").read_text().splitlines()
    pinned = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, separator, version = line.partition("==")
            if not separator:
                wrong.append(f"constraints.txt: {line!r} is no exact pin")
            pinned[canonicalize_name(name)] = version
    for name, requirement in wanted.items():
        version = pinned.get(canonicalize_name(name))
        if version is None:
            wrong.append(f"constraints.txt does not pin {name}")
        elif not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"constraints.txt pins {name} {version}, but pyproject.toml wants {requirement}")
    return wrong


def test_files_agree():
    assert not disagreements(ROOT)


@pytest.mark.parametrize(
    "file, old, new, complaint",
    [
        (
            "environment.yml",
            "pytorch>=2.11",
            "pytorch>=2.4",
            "environment.yml wants pytorch>=2.4, pyproject.toml torch",
        ),
        ("environment.yml", "  - seaborn>=0.13\n", "", "environment.yml lacks seaborn"),
        ("environment.yml", "      - playwright>=1.49\n", "", "environment.yml lacks playwright"),
        ("environment.yml", "  - pip\n", "  - pip\n  - flask\n", "environment.yml has flask"),
        ("environment.yml", "python>=3.11", "python>=3.9", "different Pythons"),
        ("pyproject.toml", "!=7.0.0", "!=7.0.1", "environment.yml wants ipykernel"),
        ("pyproject.toml", '"torch>=2.11"', '"torch>=99"', "constraints.txt pins torch"),
        ("constraints.txt", "\nnbval==", "\nnbval>=", "is no exact pin"),
        ("constraints.txt", "\nscikit-learn==", "\nscikit-lurn==", "does not pin scikit-learn"),
    ],
)
def test_a_planted_disagreement_is_found(tmp_path, file, old, new, complaint):
    for name in ("pyproject.toml", "environment.yml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    assert any(complaint in sentence for sentence in disagreements(tmp_path)), disagreements(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="the pins were made on Linux; others need a few packages more")
def test_what_the_requirements_stand_on_is_pinned_too():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0] for line in lines}
    assert pins.tree("ftpkit[dev]").keys() - pinned <= {"ftpkit"}, "new packages: run `make constraints`"


# The core on a bare machine

BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"the core imported {{name}}")
sys.meta_path.insert(0, Blocker())
"""


def import_without(modules, blocked=NOT_FOR_THE_CORE, **options) -> subprocess.CompletedProcess:
    """Import modules in a Python that has none of the blocked ones."""
    code = BLOCKER.format(blocked=set(blocked)) + f"import {', '.join(modules)}"
    return subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, **options)


def test_core_imports_without_jupyter_and_plotting():
    finished = import_without(["ftpkit", *(f"ftpkit.{name}" for name in CORE)], cwd=ROOT)
    assert finished.returncode == 0, finished.stderr


def test_a_core_module_that_imports_pandas_is_found(tmp_path):
    (tmp_path / "greedy.py").write_text("import torch, pandas\n")
    finished = import_without(["greedy"], cwd=tmp_path)
    assert finished.returncode != 0 and "the core imported pandas" in finished.stderr
