"""Whether a database file may be begun with, and gone on with: damage is told, never written on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from app.records.database import FULL_CODES, Database, DatabaseSilent
from app.records.sqlite_files import (
    DatabaseDamaged,
    file_of,
    is_empty_file,
    problem_of,
    with_sides,
)

log = logging.getLogger(__name__)
MADE = "database-made"
# so large a file is looked through only where it was not closed in order
SMALL = 64 * 1024**2
DAMAGE = ("malformed", "not a database")
UNWRITABLE = ("disk i/o error", "readonly database")
LOOK_AT_DISK = "Look at the disk, then start it again."


class WritingStopped(DatabaseSilent):
    """The database is not written to any more until the server is started again."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, sentence)


def refuse_unsound(url: str, data: Path, runs: Path | None) -> None:
    """Raise DatabaseDamaged for a file that is gone, emptied or damaged; nothing is changed.

    A folder that has never had a database of this address may begin with an empty one; `runs` is
    where it is seen whether it had, if the database is one that every folder has.
    """
    file = file_of(url)
    if file is None:
        return
    if is_empty_file(file):
        if _has_been_used(file, data, runs):
            raise DatabaseDamaged(
                f"{file} is gone, and this data folder has been used: no empty database is made "
                f"in its place. {what_to_do(data)}"
            )
        return
    is_open_ended = any(not is_empty_file(side) for side in with_sides(file)[1:])
    is_looked_through = is_open_ended or file.stat().st_size < SMALL or not _is_whole(file)
    if is_looked_through and (problem := problem_of(file, is_quick=True)):
        raise DatabaseDamaged(f"{file} is damaged ({problem}). {what_to_do(data)}")


def what_to_do(data: Path) -> str:
    """The newest backup and the command that restores it."""
    newest = newest_backup(data)
    if newest is None:
        return (
            f"There is no backup in {data / 'backups'}: bring the file back, or run "
            "`runyard restore FILE` with a backup from elsewhere."
        )
    return f"Restore the newest backup: runyard restore {newest} --data-dir {data}"


def newest_backup(data: Path) -> Path | None:
    """The newest of those that stand where Runyard puts them."""
    backups = data / "backups"
    found = [*backups.glob("runyard-*.zip"), *backups.glob("before-*.db")]
    return max(found, key=lambda backup: backup.stat().st_mtime, default=None)


def remember_made(url: str, data: Path) -> None:
    """Write down that a database of this address was made, once."""
    file, known = file_of(url), data / MADE
    if file is not None and str(file) not in _made(known):
        with known.open("a") as opened:
            opened.write(f"{file}\n")


def _has_been_used(file: Path, data: Path, runs: Path | None) -> bool:
    if str(file) in _made(data / MADE):
        return True
    # a folder from before that was written down, or one that was moved
    if runs is None or file.parent != data:
        return False
    return any(_has_entries(runs / name) for name in ("mirrors", "records", "copies"))


def _made(known: Path) -> list[str]:
    try:
        return known.read_text().splitlines()
    except FileNotFoundError:
        return []


def _has_entries(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(not entry.name.startswith(".") for entry in entries)
    except FileNotFoundError:
        return False


def _is_whole(file: Path) -> bool:
    """True where the header is SQLite's and the file as long as it says."""
    with file.open("rb") as opened:
        header = opened.read(32)
    page = int.from_bytes(header[16:18], "big")
    size = (65536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    return header.startswith(b"SQLite format 3\0") and size <= file.stat().st_size


class WriteGuard:
    """Stops writing for good where the file was taken away, or is damaged under the server.

    What was not written is refused with the sentence; reading goes on as far as it can. `stopped`
    tells why this database or the one beside it is not written to: one stops with the other, for
    what the one would say of the other could not be true.
    """

    def __init__(self, database: Database, data: Path, stopped: Callable[[], str]) -> None:
        self._database = database
        self._data = data
        self._stopped = stopped
        self._file = file_of(database.url)
        event.listen(database.engine, "begin", self._look, insert=True)
        if self._file is not None:
            self._mark = _mark_of(self._file)
            event.listen(database.engine, "handle_error", self._hear)

    def _look(self, _: Any) -> None:
        trouble = self._stopped()
        if not trouble and self._file and _mark_of(self._file) != self._mark:
            trouble = self._stop(f"{self._file} was taken away", what_to_do(self._data))
        if trouble:
            raise WritingStopped(trouble)

    def _hear(self, context: Any) -> None:
        said = str(context.original_exception).lower()
        if getattr(context.original_exception, "sqlite_errorname", "") in FULL_CODES:
            return  # it goes on by itself once there is room
        if any(word in said for word in DAMAGE):
            self._stop(f"{self._file} is damaged", what_to_do(self._data))
        elif any(word in said for word in UNWRITABLE):
            # what a failed fsync has left unwritten, a later one does not tell any more
            self._stop(f"{self._file} could not be written ({said})", LOOK_AT_DISK)
        if self._database.trouble:
            raise WritingStopped(self._database.trouble) from context.original_exception

    def _stop(self, what: str, advice: str) -> str:
        trouble = f"{what}: nothing is written any more. Stop Runyard. {advice}"
        log.error("%s", trouble)
        self._database.trouble = trouble
        return trouble


def _mark_of(file: Path) -> tuple[int, int] | None:
    try:
        seen = file.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino
