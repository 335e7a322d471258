"""Integrity checks at start and at run time: damage is reported, and never written to."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from app.records.database.database import Database, DatabaseSilent
from app.records.database.engines import network_of
from app.records.database.migration import revision_of
from app.records.database.sqlite_files import (
    DatabaseDamaged,
    file_of,
    is_empty_file,
    problem_of,
    with_sides,
)

MADE = "database-made"
# a larger file is checked only if it was not closed properly
SMALL = 64 * 1024**2
# PostgreSQL: data_corrupted, index_corrupted, undefined_file
DAMAGE_CODES = ("XX001", "XX002", "58P01")


def refuse_unsound(
    database: Database, data: Path, traces: Path | None, *, is_recorded: bool = False
) -> None:
    """Raise DatabaseDamaged if a database is gone, emptied or damaged; change nothing.

    An empty database is accepted only if nothing shows that it was used before. Signs of use are
    the data folder's list of databases, the folders in `traces` (for the default database), and
    `is_recorded`: another database refers to it. Raises DatabaseSilent.
    """
    file = file_of(database.url)
    if file is None:
        _refuse_unsound_server(database, data, is_used=is_recorded or _is_made(database, data))
        return
    if is_empty_file(file):
        if is_recorded or _has_been_used(database, file, data, traces):
            raise DatabaseDamaged(_lost(str(file), "is gone", database, data))
        return
    is_open_ended = any(not is_empty_file(side) for side in with_sides(file)[1:])
    is_looked_through = is_open_ended or file.stat().st_size < SMALL or not _is_whole(file)
    if is_looked_through and (problem := problem_of(file, is_quick=True)):
        raise DatabaseDamaged(f"{file} is damaged ({problem}). {what_to_do(database, data)}")


def refuse_incomplete(database: Database, data: Path) -> None:
    """Raise DatabaseDamaged if tables of the current schema are missing."""
    with database.reading() as session:
        found = inspect(session.connection()).get_table_names()
    if missing := sorted(set(SQLModel.metadata.tables) - set(found)):
        what = f"{where_is(database)} has lost tables ({', '.join(missing)})."
        raise DatabaseDamaged(f"{what} {what_to_do(database, data)}")


@contextmanager
def damage_explained(database: Database, data: Path) -> Generator[None]:
    """Turn PostgreSQL's errors about damaged storage into DatabaseDamaged."""
    try:
        yield
    except (DBAPIError, DatabaseSilent) as problem:
        if not is_damage(problem):
            raise
        what = f"{where_is(database)} is damaged ({first_line(_origin_of(problem))})."
        raise DatabaseDamaged(f"{what} {what_to_do(database, data)}") from problem


def is_damage(problem: BaseException) -> bool:
    """Return True if PostgreSQL reports its storage as damaged."""
    return code_of(_origin_of(problem)) in DAMAGE_CODES


def _origin_of(problem: BaseException) -> BaseException | None:
    error = problem if isinstance(problem, DBAPIError) else problem.__cause__
    return getattr(error, "orig", None)


def where_is(database: Database) -> str:
    """Return a database's file, or its name and host; never its password."""
    file, parts = file_of(database.url), make_url(database.url)
    if file is not None:
        return str(file)
    host = parts.host or parts.query.get("host") or "localhost"
    hosts = host if isinstance(host, str) else ",".join(host)
    return f"{parts.database} on {hosts}" + (f":{parts.port}" if parts.port else "")


def what_to_do(database: Database, data: Path) -> str:
    """Return the advice for a lost database: the newest backup and the command that restores it."""
    newest = newest_backup(data)
    if newest is None:
        return (
            f"There is no backup in {data / 'backups'}: bring the database back, or run "
            "`runyard restore FILE` with a backup from elsewhere."
        )
    # a restore fills an empty PostgreSQL database, and never overwrites one
    first = "" if database.is_sqlite else "Put an empty database in its place. "
    return f"{first}Restore the newest backup: runyard restore {newest} --data-dir {data}"


def newest_backup(data: Path) -> Path | None:
    """Return the newest backup in the data folder's `backups`, or None."""
    backups = data / "backups"
    found = [*backups.glob("runyard-*.zip"), *backups.glob("before-*.db")]
    return max(found, key=lambda backup: backup.stat().st_mtime, default=None)


def remember_made(database: Database, data: Path) -> None:
    """Record once, in the data folder, that this database was created."""
    if not _is_made(database, data):
        with (data / MADE).open("a") as opened:
            opened.write(f"{where_is(database)}\n")


def _refuse_unsound_server(database: Database, data: Path, *, is_used: bool) -> None:
    where = where_is(database)
    try:
        with database.reading() as session:
            is_empty = revision_of(session.connection()) is None
    except DatabaseSilent as silence:
        if is_used and says_gone(database, str(silence)):
            raise DatabaseDamaged(_lost(where, "is gone", database, data)) from silence
        raise
    if is_empty and is_used:
        raise DatabaseDamaged(_lost(where, "is empty", database, data))


def _lost(where: str, how: str, database: Database, data: Path) -> str:
    return (
        f"{where} {how}, and there was something in it: no empty database is made in its place. "
        f"{what_to_do(database, data)}"
    )


def says_gone(database: Database, said: str) -> bool:
    """Return True if PostgreSQL's message says that the database does not exist.

    The text is matched because an error at connect has no code.
    """
    return f'database "{make_url(database.url).database}" does not exist' in said


def _is_made(database: Database, data: Path) -> bool:
    return where_is(database) in _made(data / MADE)


def _has_been_used(database: Database, file: Path, data: Path, traces: Path | None) -> bool:
    if _is_made(database, data):
        return True
    # the data folder may be older than this list, or was moved
    if traces is None or file.parent != data:
        return False
    return any(_has_entries(traces / name) for name in ("mirrors", "records", "copies"))


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
    """Return True if the header is SQLite's and the file is as long as the header says."""
    with file.open("rb") as opened:
        header = opened.read(32)
    page = int.from_bytes(header[16:18], "big")
    size = (65536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    return header.startswith(b"SQLite format 3\0") and size <= file.stat().st_size


def code_of(error: object) -> str:
    """Return PostgreSQL's SQLSTATE of an error; empty if it has none."""
    return getattr(error, "sqlstate", None) or ""


def first_line(error: object) -> str:
    """Return the first line of an error's message, without the details that a server adds."""
    return str(error).partition("\n")[0]


SILENT = "It does not answer: check it. Runyard resumes once it answers."


@dataclass(frozen=True)
class StoreFacts:
    """The state of one database; `where` has no password.

    `size` is in bytes, with SQLite's side files, or None if the database did not answer. `trouble`
    is a sentence that says why it cannot be changed. `network` names the network file system that
    holds it.
    """

    kind: str
    where: str
    version: tuple[int, ...]
    size: int | None
    trouble: str
    network: str = ""


@dataclass(frozen=True)
class Backup:
    """The newest backup in the data folder, with its time (UTC)."""

    name: str
    made_at: datetime


def inspect_database(database: Database) -> StoreFacts:
    """Inspect a database; one that does not answer is reported as such, without an error."""
    where = where_is(database)
    try:
        if not database.answers():
            raise DatabaseSilent(SILENT)
        version, size = _of_file(database) if database.is_sqlite else _of_server(database)
    except (DatabaseSilent, OSError):
        silent = sqlite3.sqlite_version_info if database.is_sqlite else ()
        return StoreFacts(database.kind, where, silent, None, database.trouble or SILENT)
    file = file_of(database.url)
    network = network_of(file) if file else ""
    return StoreFacts(database.kind, where, version, size, database.trouble, network)


def find_backup(data: Path) -> Backup | None:
    """Return the newest backup in the data folder, or None if there is none to read."""
    try:
        found = newest_backup(data)
        return found and Backup(found.name, datetime.fromtimestamp(found.stat().st_mtime, UTC))
    except OSError:
        return None  # deleted by another program in between


def _of_file(database: Database) -> tuple[tuple[int, ...], int]:
    file = file_of(database.url)
    files = [] if file is None else [one for one in with_sides(file) if one.exists()]
    return sqlite3.sqlite_version_info, sum(one.stat().st_size for one in files)


def _of_server(database: Database) -> tuple[tuple[int, ...], int]:
    asked = text(
        "SELECT current_setting('server_version_num')::int, pg_database_size(current_database())"
    )
    with database.reading() as session:
        number, size = session.connection().execute(asked).one()
    return divmod(number, 10_000), size
