"""Reading a run's records, believing nothing: its agent may have written there.

What is missing, no plain file, too large or of a wrong shape reads as None. Where that cannot be
told, as the folder of all runs is away or the machine is in trouble, it is RecordUnreadable.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeGuard

from app.adapters.git.layout import checked_id, measure, remove_tree
from app.adapters.supervisor import record_files
from app.domain.end_causes import PLACES, ExitReason, ExitRecord
from app.services.ports import ProcessMark
from app.services.ports.processes import RunFolder

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a named pipe in a record's place must not hold the reader
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# what an agent can make of its own folder; anything else is trouble of the machine
_NOT_THERE = {
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM),
    *(errno.ENXIO, errno.ENODEV),
}
_MAX_BYTES = 65536
_MAX_GRACE = 3600.0

# whether the record of that name, with these fields, is one of the supervisor's
Doubt = Callable[[str, Mapping[str, Any]], bool]


def _believe(_name: str, _fields: Mapping[str, Any]) -> bool:
    return True


class RecordUnreadable(Exception):
    """Whether there is a record could not be told: that proves nothing."""


@dataclass(frozen=True)
class Started:
    """Who runs a run: the supervisor's mark and, once it was executed, the agent's."""

    supervisor: ProcessMark
    agent: ProcessMark | None
    grace_seconds: float


def open_folder(path: Path) -> int | None:
    """A run's folder as a file descriptor; None where it is none."""
    try:
        return os.open(path, _FOLDER)
    except OSError:
        return None


def open_plain_file(folder: int, name: str) -> int | None:
    """A file of the folder as a descriptor; None unless it is a plain file of its own."""
    try:
        file = os.open(name, _FILE, dir_fd=folder)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def read_started(path: Path, run_id: str, instance: str) -> Started | None:
    """The `started` record of this run and instance. Raises RecordUnreadable."""
    fields = _read(path, record_files.STARTED)
    if fields is None or fields.get("run_id") != run_id or fields.get("instance") != instance:
        return None
    boot_id = fields.get("boot_id")
    supervisor = mark_of(fields, boot_id)
    grace = fields.get("grace")
    if supervisor is None or not is_number(grace) or not 0 <= grace <= _MAX_GRACE:
        return None
    return Started(supervisor, mark_of(fields.get("agent"), boot_id), float(grace))


def read_exit(path: Path, is_true: Doubt = _believe) -> ExitRecord | None:
    """The `exit` record, if it `is_true`. Raises RecordUnreadable."""
    fields = _read(path, record_files.EXIT)
    if fields is None or not is_true(record_files.EXIT, fields):
        return None
    code, signal = fields.get("code"), fields.get("signal")
    try:
        reason = ExitReason(fields.get("reason"))
        at = datetime.fromisoformat(fields.get("at", ""))
    except (ValueError, TypeError):
        return None
    ends = [end for end in (code, signal) if end is not None]
    if not all(_is_int(end) and 0 <= end <= 255 for end in ends):
        return None
    if len(ends) != (0 if reason is ExitReason.NOT_SPAWNED else 1) or at.tzinfo is None:
        return None
    full = fields.get("full")
    place = full if isinstance(full, str) and full in PLACES else ""
    limit = fields.get("limit")
    figure = limit if _is_int(limit) and 0 < limit < 2**63 else None
    return ExitRecord(code, signal, reason, at.astimezone(UTC), place, figure)


def has_gone(path: Path, is_true: Doubt = _believe) -> bool:
    """True where the supervisor recorded that nothing of the run is left, if that `is_true`.

    Raises RecordUnreadable.
    """
    fields = _read(path, record_files.GONE)
    return fields is not None and is_true(record_files.GONE, fields)


def _read(path: Path, name: str) -> dict[str, Any] | None:
    try:
        text = _text(path, name)
    except OSError as problem:
        raise RecordUnreadable(str(problem)) from problem
    try:
        fields = json.loads(text) if len(text) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _text(path: Path, name: str) -> bytes:
    """What a record holds, one byte more than it may at most; empty where there is none."""
    with ExitStack() as opened:

        def enter(what: str | Path, flags: int, above: int | None) -> int:
            found = os.open(what, flags, dir_fd=above)
            opened.callback(os.close, found)
            return found

        # the folder of all runs is nobody's but ours: it is there, or nothing can be told
        root = enter(path.parent, _FOLDER & ~os.O_NOFOLLOW, None)
        try:
            file = enter(name, _FILE, enter(path.name, _FOLDER, root))
        except OSError as problem:
            if problem.errno in _NOT_THERE:
                return b""
            raise
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return b""
        with os.fdopen(file, "rb", closefd=False) as record:
            return record.read(_MAX_BYTES + 1)


def mark_of(fields: Any, boot_id: Any) -> ProcessMark | None:
    """The process that a record names; None for anything that is none."""
    if not isinstance(fields, dict) or not isinstance(boot_id, str):
        return None
    pid, started = fields.get("pid"), fields.get("started")
    if not (_is_int(pid) and _is_int(started) and 1 < pid < 2**31 and 0 <= started < 2**63):
        return None
    return ProcessMark(pid, started, boot_id)


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """True for a number of JSON."""
    return _is_int(value) or isinstance(value, float)


_LATEST = datetime.max.replace(tzinfo=UTC).timestamp() - 1


class LocalRunFolders:
    """The folders directly below `root`, one a run."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._weighed: dict[str, tuple[int, int]] = {}

    def all(self) -> list[RunFolder]:
        """Each run's folder, in no order. Raises OSError."""
        before, self._weighed = self._weighed, {}
        with os.scandir(self._root) as entries:
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        return [self._weigh(entry, before.get(entry.name)) for entry in folders]

    def remove(self, run_id: str) -> None:
        """Delete a run's folder, links not followed. Raises OSError."""
        remove_tree(self._root, checked_id(run_id))

    def _weigh(self, entry: os.DirEntry[str], before: tuple[int, int] | None) -> RunFolder:
        """Its bytes as they were known, unless something in it was made or ended since.

        A log grows without that, until its run's end is written beside it.
        """
        facts = entry.stat(follow_symlinks=False)
        is_same = before is not None and before[0] == facts.st_ctime_ns
        size = before[1] if before and is_same else measure(Path(entry.path))
        self._weighed[entry.name] = (facts.st_ctime_ns, size)
        # an agent may have set its folder's time to anything
        seconds = min(max(0.0, facts.st_mtime), _LATEST)
        return RunFolder(entry.name, datetime.fromtimestamp(seconds, UTC), size)
