"""A run's folder: who may write into it, what it holds, and how that stays whole whenever the power goes.

    config.json        what decides the result, see `config.Config`
    rules/FILE.py      the file of an own rule, as it was when the run began
    environment.json   one entry for each session that worked on the run
    metrics.jsonl      one line for each epoch that is done
    checkpoint.pt      the state after the last of them, or where the run was stopped
    lock               held by the process that trains

Every file but the metrics is written under another name, brought to the disk and renamed. After an epoch its line is
added to the metrics, then the checkpoint is replaced; the checkpoint is the truth. So a process that is killed leaves
at most one line too many, or a piece of one, which `Folder.load` takes away again.
"""

import errno
import json
import os
import shlex
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import torch
from filelock import FileLock, Timeout  # torch brings it along

from .config import Config, differences

_NAMES = ("config.json", "rules", "environment.json", "metrics.jsonl", "checkpoint.pt", "lock", "tensorboard")
_NEW = "new-"  # begins the name of a file that is not yet whole
_ELSEWHERE = "name another --out"


class Folder:
    """A run's folder as a context manager, which holds its lock.

    path: made where it is not there. resume: whether a run that is in it may go on; without, only a folder that is
    empty, or in which nothing was trained, will do. Entering raises FileExistsError for a folder that is not free,
    BlockingIOError for one in which another process trains, ValueError for files that are not as they were written;
    other OSErrors come as they are. Where nothing was begun, nothing is left behind at the exit.
    """

    def __init__(self, path: str | Path, *, resume: bool = False):
        self.path, self.resume = Path(path), resume
        self.config: Config | None = None
        self.sessions: list[dict] = []
        self._lock = FileLock(self.path / "lock")

    def __enter__(self) -> "Folder":
        self._new = [path for path in (self.path / "lock", self.path, *self.path.parents) if not path.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise BlockingIOError(
                f"{self.path} is in use by another process, which trains in it: wait for its end, or {_ELSEWHERE}"
            ) from error
        try:
            self._look()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._leave()

    def _leave(self) -> None:
        if not (self.path / "config.json").exists():
            for path in self._new:
                if path.is_file():
                    path.unlink()
                elif not os.listdir(path):
                    path.rmdir()
        self._lock.release()

    def _look(self) -> None:
        strange = [name for name in sorted(os.listdir(self.path)) if name not in _NAMES and not name.startswith(_NEW)]
        if strange and not (self.path / "config.json").exists():
            raise FileExistsError(f"{self.path} holds no run but other things ({', '.join(strange[:3])}): {_ELSEWHERE}")
        if not self._trained():
            return  # nothing is lost when it begins anew
        self.config = self._read("config.json", Config.from_json)
        self.sessions = self._read("environment.json", _sessions)
        if self.resume:
            return
        if self.finished:
            raise FileExistsError(f"{self.path} holds a finished run, which is left as it is: {_ELSEWHERE}")
        raise FileExistsError(
            f"{self.path} holds a run that is not finished: go on with it by --resume, or {_ELSEWHERE}"
        )

    def _trained(self) -> bool:
        return any((self.path / name).exists() for name in ("metrics.jsonl", "checkpoint.pt"))

    def _read(self, name: str, parse: Callable):
        try:
            return parse((self.path / name).read_text())
        except FileNotFoundError as error:
            raise ValueError(
                f"{self.path} holds a run without its {name}; nothing was changed: {_ELSEWHERE}"
            ) from error
        except ValueError as error:
            raise ValueError(f"{self.path / name}: {error}; nothing was changed: {_ELSEWHERE}") from error

    @property
    def finished(self) -> bool:
        return bool(self.sessions) and self.sessions[-1].get("finished", False)

    @property
    def rules(self) -> Path:
        """The folder that holds the file of an own rule."""
        return self.path / "rules"

    def settle(self, config: Config) -> None:
        """Begin the run, or see that the one that is here is the same; FileExistsError says in what it is another."""
        if self.config is None:
            if config.rule is not None:
                self.rules.mkdir(exist_ok=True)
                self._replace(f"rules/{config.rule.file}", config.rule.text.encode())
            self._replace("config.json", config.to_json().encode())
            self.config, self.sessions = config, []
        elif differing := differences(self.config, config):
            raise FileExistsError(
                f"{self.path} holds a run of another configuration: {'; '.join(differing)}; it was started by "
                f"{_command(self.sessions)}: give that with --resume, or {_ELSEWHERE}"
            )

    def load(self) -> dict | None:
        """What the training goes on from, None at the beginning; the metrics then hold the epochs before it, no more.

        Raises ValueError, and changes nothing, for a checkpoint or metrics that are damaged, missing, or do not belong
        together.
        """
        lines, rest = self._lines()
        state = self._checkpoint()
        history = state["history"] if state else []
        for number, (line, record) in enumerate(zip(lines, history, strict=False), start=1):
            if line != record:
                raise self._damaged(
                    f"metrics.jsonl, line {number}", "it is not what the checkpoint holds of that epoch"
                )
        if not len(history) <= len(lines) <= len(history) + 1:
            other = f"checkpoint.pt {len(history)}" if state else "checkpoint.pt is missing"
            raise self._damaged("metrics.jsonl", f"it holds {len(lines)} epochs, and {other}")
        if rest or len(lines) > len(history):
            self._replace("metrics.jsonl", b"".join(map(_as_line, history)))
        for left in self.path.glob(f"{_NEW}*"):
            left.unlink()
        return state

    def _lines(self) -> tuple[list[dict], bytes]:
        """The epochs in the metrics, and what stands behind the last whole line."""
        path = self.path / "metrics.jsonl"
        *lines, rest = path.read_bytes().split(b"\n") if path.exists() else [b""]
        found = []
        for number, line in enumerate(lines, start=1):
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise self._damaged(f"metrics.jsonl, line {number}", f"it is no JSON ({error})") from error
        return found, rest

    def _checkpoint(self) -> dict | None:
        path = self.path / "checkpoint.pt"
        if not path.exists():
            return None
        try:
            with zipfile.ZipFile(path) as archive:
                if broken := archive.testzip():  # torch.load does not look at the checksums
                    raise ValueError(f"the checksum of {broken} is wrong")
            state = torch.load(path, map_location="cpu", weights_only=True)
            state["history"], state["epoch"]  # noqa: B018  (a KeyError where it is another kind of file)
            return state
        except MemoryError:
            raise
        except Exception as error:  # what a damaged file leads to, neither zipfile nor torch says
            raise self._damaged("checkpoint.pt", f"{type(error).__name__}: {error}") from error

    def _damaged(self, what: str, why: str) -> ValueError:
        return ValueError(
            f"{self.path / what} is damaged or was changed: {why}; nothing was changed: bring back a copy, or begin "
            f"again and {_ELSEWHERE}"
        )

    def begin(self, **session) -> None:
        """Note in environment.json that a session begins; session: what it runs on."""
        self.sessions.append({"start": _now(), **session, "finished": False})
        self._write_sessions()

    def end(self, finished: bool) -> None:
        """Note that this session ends; finished: and the run with it, so that it is never taken up again."""
        self.sessions[-1] |= {"end": _now(), "finished": finished}
        self._write_sessions()

    def _write_sessions(self) -> None:
        self._replace("environment.json", (json.dumps(self.sessions, indent=1) + "\n").encode())

    def add(self, record: dict) -> None:
        """One more epoch's line; on the disk when this returns."""
        with self._explained("metrics.jsonl"), open(self.path / "metrics.jsonl", "ab") as file:
            file.write(_as_line(record))
            _to_disk(file)

    def save(self, state: dict) -> None:
        """Replace the checkpoint. Raises OSError where the disk is full; then the one before is still there."""
        self._replace("checkpoint.pt", lambda file: torch.save(state, file))

    def _replace(self, name: str, content: bytes | Callable[[BinaryIO], None]) -> None:
        path = self.path / name
        new = path.with_name(_NEW + path.name)
        with self._explained(name):
            try:
                with open(new, "wb") as file:
                    content(file) if callable(content) else file.write(content)
                    _to_disk(file)
                os.replace(new, path)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
            if os.name != "nt":  # Windows has no way to bring a folder to the disk
                folder = os.open(path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)  # the renaming, too
                finally:
                    os.close(folder)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """A write that fails is an OSError with what to do; torch.save hides it in a RuntimeError."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            full = " (free some space)" if cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""
            raise OSError(
                cause.errno,
                f"{self.path / name} could not be written: {cause.strerror}{full}; what was saved before is still "
                f"there: go on with --resume",
            ) from error


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _as_line(record: dict) -> bytes:
    return json.dumps(record).encode() + b"\n"


def _sessions(text: str) -> list[dict]:
    sessions = json.loads(text)
    if not isinstance(sessions, list) or not all(isinstance(session, dict) for session in sessions):
        raise ValueError("this is no list of sessions")
    return sessions


def _command(sessions: list[dict]) -> str:
    return shlex.join(["python", "-m", "ftpkit", *(sessions[0].get("argv", ["..."]) if sessions else ["..."])])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
