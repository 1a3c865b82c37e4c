"""What is installed, found and missing, one line each: `python -m ftpkit doctor`.

Nothing of the kit or of what it stands on is imported at the top: the doctor must also speak where
they are broken.
"""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module, metadata, util
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    "python-flint": "flint",
    "scikit-learn": "sklearn",
    "pytest-xdist": "xdist",
    "pyyaml": "yaml",
    "axe-playwright-python": "axe_playwright_python",
}
INSTALL = {
    "": "pip install -e .",
    "notebooks": 'pip install -e ".[notebooks]"',
    "dev": 'pip install -e ".[dev]"',
}


class Finding(NamedTuple):
    """One line of the report. What is `needed` and not ok makes the doctor's exit status 1."""

    state: Literal["ok", "missing", "broken"]
    text: str
    advice: str = ""
    needed: bool = True

    def __str__(self) -> str:
        return f"{f'[{self.state}]':<10}{self.text}" + (f"  ->  {self.advice}" if self.advice else "")


def examine() -> Iterator[Finding]:
    """All findings, in the order in which a reader wants them."""
    yield _python()
    yield _kit()
    for name, bounds, extra in _requirements():
        yield _package(name, bounds, extra)
    yield from _devices()
    yield from _kernel()
    yield from _data()


def report() -> str:
    """The findings as text."""
    return _private("\n".join(map(str, examine())))


def add_arguments(parser) -> None:
    """The doctor takes no arguments."""


def main(args=None) -> int:
    findings = list(examine())
    print(_private("\n".join(map(str, findings))))
    return int(any(f.needed and f.state != "ok" for f in findings))


def _private(text: str) -> str:
    """The kit's folder written as . and the home directory as ~: people paste this in public."""
    for folder, short in ((ROOT, "."), (Path.home(), "~")):
        if len(folder.parts) > 1:
            text = re.sub(re.escape(str(folder)) + r"(?![\w-])", short, text)
    return text


def _python() -> Finding:
    release = platform.release().partition("-")[0]  # without what a distribution or a host adds
    system = f"{platform.system()} {release} {platform.machine()}"
    return Finding("ok", f"Python {platform.python_version()} on {system}")


def _kit() -> Finding:
    try:
        version = metadata.version("ftpkit")
    except metadata.PackageNotFoundError:
        return Finding("missing", "ftpkit is not installed in this Python", INSTALL[""])
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        commit = subprocess.check_output(git, text=True, stderr=subprocess.DEVNULL).strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    return Finding("ok", f"ftpkit {version}, commit {commit if (ROOT / '.git').exists() else 'unknown'}")


def _requirements() -> Iterator[tuple[str, str, str]]:
    """(name, bounds, extra) of every requirement in pyproject.toml, as the installed kit remembers it."""
    try:
        lines = metadata.requires("ftpkit") or []
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        name, bounds, extra = re.fullmatch(
            r"""([\w.-]+)(?:\[[^]]*\])?\s*([^;]*?)\s*(?:;.*extra == ["'](\w+)["'])?""", line
        ).groups()
        if name != "ftpkit":
            yield name, bounds, extra or ""


def _package(name: str, bounds: str, extra: str) -> Finding:
    """Is it installed, within bounds, and can it be found? torch and torchvision are really imported."""
    install, needed = INSTALL[extra], extra == ""
    purpose = {"": "", "notebooks": " (for the notebooks)", "dev": " (for the tests)"}[extra]
    module = MODULES.get(name, name.replace("-", "_"))
    try:
        version = metadata.version(name)
        if util.find_spec(module) is None:
            raise ImportError(module)
    except (ImportError, ValueError):
        return Finding("missing", name + purpose, install, needed)
    if not _within(version, bounds):
        return Finding("broken", f"{name} {version}, but ftpkit needs {name}{bounds}", install)
    if name in ("torch", "torchvision"):
        try:
            import_module(module)
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            advice = "the two must match: pip install --force-reinstall torch torchvision"
            return Finding("broken", f"{name} {version} does not start: {reason}", advice)
    return Finding("ok", f"{name} {version}")


def _within(version: str, bounds: str) -> bool:
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:  # a bare machine: pip has seen to it
        return True
    return SpecifierSet(bounds).contains(version, prereleases=True)


def _devices() -> Iterator[Finding]:
    try:
        import torch
    except Exception:  # said already
        return
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        gpu = torch.cuda.get_device_properties(i)
        yield Finding("ok", f"device cuda:{i}: {gpu.name}, {gpu.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        yield Finding("ok", "device mps: untested with ftpkit")
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    threads = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads in use"
    yield Finding("ok", f"device cpu: {threads}; PyTorch {torch.__version__} built for {build}")


def _kernel() -> Iterator[Finding]:
    """Do notebooks start this Python? A kernel of the same name in the user's folder can be in the way."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:  # said already
        return
    try:
        starts = Path(KernelSpecManager().get_kernel_spec("python3").argv[0])
    except NoSuchKernel:
        yield Finding("missing", "kernel python3", INSTALL["notebooks"])
        return
    # Jupyter itself puts its own Python in the place of a bare "python".
    here = Path(sys.executable).absolute().parent
    if starts.is_absolute() and starts.parent != here:
        advice = "jupyter kernelspec remove python3, or set JUPYTER_PREFER_ENV_PATH=1"
        yield Finding("broken", f"kernel python3 starts another Python: {starts}", advice)
    else:
        yield Finding("ok", "kernel python3 starts this Python")


def _data() -> Iterator[Finding]:
    try:
        from ftpkit import data

        found, places = data.locations(), data.search_path()
    except Exception as error:
        yield Finding("broken", f"ftpkit.data does not start: {error}", "see the lines above")
        return
    for name, place in found.items():
        if place:
            yield Finding("ok", f"data {name}: {place}")
        else:
            advice = f'ftpkit.data.load("{name}", download=True), or set FTPKIT_DATA to where it lies'
            yield Finding("missing", f"data {name}", advice, needed=False)
    yield Finding("ok", "data looked for in " + ", ".join(map(str, places)))
