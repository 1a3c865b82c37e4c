"""Call a reader's answer safely: on copies, in a thread that is given up in time, with an eye on what it calls."""

import copy
import ctypes
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SECONDS = 5.0
_KIT = str(Path(__file__).parents[1])
_OWN = str(Path(__file__).parent)


@dataclass(frozen=True)
class Outcome:
    """What came of one call: the value, or a failure in words ("" if none) and its kind; kit: a kit's function used."""

    value: object = None
    failure: str = ""
    kind: str = ""
    kit: str = ""


class _GivenUp(BaseException):
    """Raised inside an answer that took too long; no `except Exception` of the answer's own catches it."""


def outcomes(answer: Callable, inputs: list[tuple]) -> list[Outcome]:
    """What the answer gives for a copy of each tuple of inputs; all calls together have SECONDS seconds.

    The list ends early, with a failure of kind "too slow", where time ran out. Nothing that an answer does or raises
    comes out of here; KeyboardInterrupt in the caller's thread does, and stops the answer.
    """
    found: list[Outcome] = []
    thread = threading.Thread(
        target=_call_all, args=(answer, [copy.deepcopy(each) for each in inputs], found), daemon=True
    )
    thread.start()
    try:
        thread.join(SECONDS)
    finally:
        late = thread.is_alive()
        _give_up(thread)
    done = list(found)
    if late:
        done.append(Outcome(failure=f"took longer than {SECONDS:g} s and was given up", kind="too slow"))
    return done


def _call_all(answer, inputs, found):
    try:
        for each in inputs:
            found.append(_call(answer, each))
    except _GivenUp:
        pass


def _call(answer, inputs) -> Outcome:
    used: list[str] = []

    def watch(frame, event, argument):
        name = frame.f_code.co_filename
        if event == "call" and not used and name.startswith(_KIT) and not name.startswith(_OWN):
            used.append(f"ftpkit.{Path(name).stem}.{frame.f_code.co_name}")

    sys.setprofile(watch)
    try:
        value = answer(*inputs)
    except _GivenUp:
        raise
    except BaseException as error:  # also sys.exit(), which is for the reader's program and not for ours
        sys.setprofile(None)
        return Outcome(failure=_in_words(error), kind="raised", kit=used[0] if used else "")
    finally:
        sys.setprofile(None)
    return Outcome(value, kit=used[0] if used else "")


def _in_words(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())[:300]
    except Exception:
        text = "and its message cannot be read"
    where = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_KIT)]
    line = f" at `{where[0].line}`" if where and where[0].line else ""
    return f"raised {type(error).__name__}{line}: {text}"


def _give_up(thread: threading.Thread) -> None:
    """Stop a thread that runs Python code. One that sleeps inside a library goes on by itself, without a listener."""
    for _ in range(3):
        if not thread.is_alive():
            return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_GivenUp))
        thread.join(0.1)
