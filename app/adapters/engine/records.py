"""Readers of a run's records, which are untrusted: the agent may have written them.

A record that is missing, malformed, too large or not a regular file reads as None. If the folder
of all runs is missing or the machine fails, nothing is known: RecordUnreadable is raised.
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
# errors that an agent can cause in its own folder; all others are trouble of the machine
_NOT_THERE = {
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM),
    *(errno.ENXIO, errno.ENODEV),
}
_MAX_BYTES = 65536
# the ending of the records of a first turn that was not the last
FIRST = ".1"
_MAX_GRACE = 3600.0

# returns True if the record of that name with these fields is the supervisor's
Doubt = Callable[[str, Mapping[str, Any]], bool]
_LATEST = datetime.max.replace(tzinfo=UTC).timestamp() - 1


def _believe(_name: str, _fields: Mapping[str, Any]) -> bool:
    return True


class RecordUnreadable(Exception):
    """A record could not be read, and its absence is not proved either."""


@dataclass(frozen=True)
class Started:
    """The `started` record: the supervisor's mark and, once it was executed, the agent's."""

    supervisor: ProcessMark
    agent: ProcessMark | None
    grace_seconds: float
    log_from: int | None = None


def open_folder(path: Path) -> int | None:
    """Open a run's folder as a file descriptor; None if that fails."""
    try:
        return os.open(path, _FOLDER)
    except OSError:
        return None


def open_plain_file(folder: int, name: str) -> int | None:
    """Open a file in the folder as a descriptor; None unless it is a regular file."""
    try:
        file = os.open(name, _FILE, dir_fd=folder)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def read_started(path: Path, run_id: str, instance: str, ending: str = "") -> Started | None:
    """Read the `started` record of this run and instance. Raises RecordUnreadable."""
    fields = _read(path, record_files.STARTED, ending)
    if fields is None or fields.get("run_id") != run_id or fields.get("instance") != instance:
        return None
    boot_id = fields.get("boot_id")
    supervisor = mark_of(fields, boot_id)
    grace = fields.get("grace")
    if supervisor is None or not is_number(grace) or not 0 <= grace <= _MAX_GRACE:
        return None
    begins = fields.get("log_from")
    log_from = begins if _is_int(begins) and 0 <= begins < 2**63 else None
    return Started(supervisor, mark_of(fields.get("agent"), boot_id), float(grace), log_from)


def read_exit(path: Path, is_true: Doubt = _believe, ending: str = "") -> ExitRecord | None:
    """Read the `exit` record if it `is_true`. Raises RecordUnreadable."""
    fields = _read(path, record_files.EXIT, ending)
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


def has_gone(path: Path, is_true: Doubt = _believe, ending: str = "") -> bool:
    """Return True if a record that `is_true` says that no process of the run is left.

    Raises RecordUnreadable.
    """
    fields = _read(path, record_files.GONE, ending)
    return fields is not None and is_true(record_files.GONE, fields)


def _read(path: Path, name: str, ending: str) -> dict[str, Any] | None:
    try:
        # the first turn's records get its number once another turn begins
        text = _text(path, name + ending) or (b"" if ending else _text(path, name + FIRST))
    except OSError as problem:
        raise RecordUnreadable(str(problem)) from problem
    try:
        fields = json.loads(text) if len(text) <= _MAX_BYTES else None
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _text(path: Path, name: str) -> bytes:
    """Read a record up to one byte over the limit; empty if missing or not a regular file."""
    with ExitStack() as opened:

        def enter(what: str | Path, flags: int, above: int | None) -> int:
            found = os.open(what, flags, dir_fd=above)
            opened.callback(os.close, found)
            return found

        # the folder of all runs is ours alone: if it is missing, nothing can be concluded
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
    """Parse the process that a record names; None if invalid."""
    if not isinstance(fields, dict) or not isinstance(boot_id, str):
        return None
    pid, started = fields.get("pid"), fields.get("started")
    if not (_is_int(pid) and _is_int(started) and 1 < pid < 2**31 and 0 <= started < 2**63):
        return None
    return ProcessMark(pid, started, boot_id)


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Return True for a JSON number, booleans excluded."""
    return _is_int(value) or isinstance(value, float)


class LocalRunFolders:
    """The run folders directly in `root`; sizes are cached until a folder changes."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._weighed: dict[str, tuple[int, int]] = {}

    def all(self) -> list[RunFolder]:
        """List the folders with time (UTC) and size in bytes, in no order. Raises OSError."""
        before, self._weighed = self._weighed, {}
        with os.scandir(self._root) as entries:
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        return [self._weigh(entry, before.get(entry.name)) for entry in folders]

    def remove(self, run_id: str) -> None:
        """Delete a run's folder without following links. Raises OSError."""
        remove_tree(self._root, checked_id(run_id))

    def _weigh(self, entry: os.DirEntry[str], before: tuple[int, int] | None) -> RunFolder:
        """Return the folder's facts, measured anew only if entries were added or removed.

        A growing log alone does not trigger that; the exit record at the end does.
        """
        facts = entry.stat(follow_symlinks=False)
        is_same = before is not None and before[0] == facts.st_ctime_ns
        size = before[1] if before and is_same else measure(Path(entry.path))
        self._weighed[entry.name] = (facts.st_ctime_ns, size)
        # an agent may have set its folder's time to anything
        seconds = min(max(0.0, facts.st_mtime), _LATEST)
        return RunFolder(entry.name, datetime.fromtimestamp(seconds, UTC), size)
