"""Print constraints.txt: the exact version of everything that `pip install -e ".[dev]"` brought here.

`make constraints` writes the file. What else lies in the environment is left out, so an editor's
plugin or a browser driver never becomes part of the kit.
"""

from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

HEADER = """\
# Exact versions of a working environment: what CI tested. Made by `make constraints`.
# pip install -c constraints.txt -e ".[dev]"
#
# A line here installs nothing by itself; it only says which version, where a package is wanted.
# So the nvidia-* and cuda-* lines, which PyTorch wants on Linux, do no harm elsewhere, and
# torch==X.Y.Z also admits the X.Y.Z+cpu of PyTorch's CPU index.
"""


def tree(requirement: str) -> dict[str, str]:
    """Names and versions of all installed packages that `requirement` stands on, itself included."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    todo = [Requirement(requirement)]
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # wanted on another platform only, or not installed
        found[name] = Version(package.version).public
        for extra in ["", *wanted.extras]:
            if (name, extra) not in seen:
                seen.add((name, extra))
                needs = map(Requirement, package.requires or [])
                todo += [r for r in needs if not r.marker or r.marker.evaluate({"extra": extra})]
    return found


if __name__ == "__main__":
    pins = tree("ftpkit[dev]")
    del pins["ftpkit"]
    print(HEADER, *(f"{name}=={version}" for name, version in sorted(pins.items())), sep="\n")
