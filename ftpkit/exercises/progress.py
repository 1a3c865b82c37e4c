"""Which exercises are solved: kept in one small file on this machine, and only if the reader asks for it."""

import contextlib
import datetime
import json
import os
from pathlib import Path

from .values import Said

_BESIDE = Path(__file__).parents[2] / "progress.json"
_ORDER = ("TODO", "NOT YET", "RIGHT")


def path() -> Path:
    """The file: progress.json in the kit's folder, or what the environment variable FTPKIT_PROGRESS names."""
    return Path(os.environ.get("FTPKIT_PROGRESS") or _BESIDE)


def keep_progress() -> Said:
    """Keep from now on which exercises you have solved, in one small file that never leaves this machine.

    A file that is there and is no such record stays as it is. Raises OSError where the file cannot be written.
    """
    if not path().exists():
        _write({})
    if _read() is None:
        return _not_ours()
    return Said(f"Your progress is kept in {path().name} from now on; `forget_progress()` deletes the file.")


def forget_progress() -> Said:
    """Delete the file, and keep nothing from now on; a file that is no record of progress stays as it is."""
    if path().exists() and _read() is None:
        return _not_ours()
    path().unlink(missing_ok=True)
    return Said("Nothing is kept from now on; `keep_progress()` begins anew.")


def _not_ours() -> Said:
    return Said(
        f"{path().name} holds no progress that can be read, and was left as it is: move it away, or name another file "
        "in the environment variable FTPKIT_PROGRESS."
    )


def summary(exercises: dict) -> Said:
    """How far the reader is with these exercises, notebook by notebook."""
    if not path().exists():
        return Said("Nothing is kept. `keep_progress()` keeps which exercises you have solved, in a file of yours.")
    kept = _read()
    if kept is None:
        return _not_ours()
    lines = []
    for notebook in sorted({each.notebook for each in exercises.values()}):
        states = {
            name: kept.get(name, {}).get("state") for name, each in exercises.items() if each.notebook == notebook
        }
        begun = [name for name, state in states.items() if state == "NOT YET"]
        right = list(states.values()).count("RIGHT")
        lines.append(
            f"* notebook {notebook}: {right} of {len(states)} right{'; begun: ' * bool(begun)}{', '.join(begun)}"
        )
    return Said("\n".join(lines))


def note(name: str, state: str) -> None:
    """Write down a verdict if the reader has asked for it; what was RIGHT once stays so.

    A file that cannot be read is left as it is, and a disk that takes nothing withholds no verdict.
    """
    kept = _read()
    if kept is None:
        return
    before = kept.get(name, {"state": "TODO", "tries": 0})
    kept[name] = {
        "state": max(before["state"], state, key=_ORDER.index),
        "tries": before["tries"] + (state != "TODO" and before["state"] != "RIGHT"),
        "last": datetime.date.today().isoformat(),
    }
    with contextlib.suppress(OSError):
        _write(kept)


def _read() -> dict[str, dict] | None:
    """What is kept, by the names of the exercises: state, tries, day; None where nothing is kept or can be read."""
    try:
        kept = json.loads(path().read_text(encoding="utf-8"))
        sound = all(each["state"] in _ORDER and each["tries"] >= 0 for each in kept.values())
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return None
    return kept if sound else None


def _write(kept: dict) -> None:
    target = path()
    temporary = target.with_name(target.name + ".tmp")
    temporary.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(temporary, target)
