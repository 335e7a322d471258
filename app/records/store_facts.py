"""What there is to know of a database: where it is, its version and size, its newest backup."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from app.records.database import Database, DatabaseSilent
from app.records.mounts import network_of
from app.records.soundness import newest_backup, where_is
from app.records.sqlite_files import file_of, with_sides

SILENT = "It does not answer: look at it. Runyard goes on by itself once it answers."


@dataclass(frozen=True)
class StoreFacts:
    """One database as it is now; `where` has no password.

    `size` is in bytes, its log included, None where it did not answer; `trouble` says in a sentence
    why it cannot be changed. `network` names the file system of the network that it lies on.
    """

    kind: str
    where: str
    version: tuple[int, ...]
    size: int | None
    trouble: str
    network: str = ""


@dataclass(frozen=True)
class Backup:
    """The newest backup in the data folder, and when it was made (UTC)."""

    name: str
    made_at: datetime


def look_at(database: Database) -> StoreFacts:
    """Ask a database what it is; one that does not answer is told as such."""
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


def look_for_backup(data: Path) -> Backup | None:
    """The newest backup that stands where Runyard puts them."""
    try:
        found = newest_backup(data)
        return found and Backup(found.name, datetime.fromtimestamp(found.stat().st_mtime, UTC))
    except OSError:
        return None  # another program tidies up


def _of_file(database: Database) -> tuple[tuple[int, ...], int]:
    file = file_of(database.url)
    files = [] if file is None else [one for one in with_sides(file) if one.exists()]
    return sqlite3.sqlite_version_info, sum(one.stat().st_size for one in files)


def _of_server(database: Database) -> tuple[tuple[int, ...], int]:
    asked = text(
        "SELECT current_setting('server_version_num')::int, pg_database_size(current_database())"
    )
    with database.reading() as session:
        number, size = session.execute(asked).one()
    return divmod(number, 10_000), size
