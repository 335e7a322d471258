"""SQLite databases as files: copying them while in use, and checking their header and contents."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from app.records.database.engines import cramped_uri, is_cramped
from app.records.database.migration import REVISIONS

HEADER = b"SQLite format 3\0"
BUSY_SECONDS = 30
SIDES = ("-wal", "-shm", "-journal")


class DatabaseDamaged(Exception):
    """A database is lost or damaged; the message says what to do."""


def file_of(url: str) -> Path | None:
    """Return the absolute path of a database URL's file; None if it is not SQLite."""
    parts = make_url(url)
    if parts.get_backend_name() != "sqlite" or not parts.database:
        return None
    return Path(parts.database).expanduser().absolute()


def has_header(file: Path) -> bool:
    """Return True if the file starts with SQLite's header. Raises OSError."""
    with file.open("rb") as opened:
        return opened.read(len(HEADER)) == HEADER


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as of one moment, even while it is written to, and check the copy.

    The copy is a single file. Raises DatabaseDamaged, OSError.
    """
    with looked_at(source) as seen:
        copy_seen(seen, source, target)


@contextmanager
def looked_at(file: Path) -> Generator[sqlite3.Connection]:
    """Open a connection with a snapshot of the database; it blocks no writer.

    Raises DatabaseDamaged, OSError.
    """
    if not has_header(file):
        raise DatabaseDamaged(f"{file} is not an SQLite database.")
    with _explained(file), closing(_read_only(file)) as seen:
        seen.execute("BEGIN")
        seen.execute("SELECT count(*) FROM sqlite_master")
        yield seen


def copy_seen(seen: sqlite3.Connection, source: Path, target: Path) -> None:
    """Copy the snapshot that a connection has of `source`, and check the copy.

    The copy is a single file. Raises DatabaseDamaged, OSError.
    """
    target.touch(mode=0o600, exist_ok=False)
    with _explained(source), closing(_connect(target)) as new:
        seen.backup(new)
    merge_wal(target)
    if problem := problem_of(target):
        raise DatabaseDamaged(f"{source} is damaged: {problem}.")


def merge_wal(file: Path) -> None:
    """Merge the write-ahead log into a database that is not in use, so that it is a single file.

    Raises DatabaseDamaged, OSError.
    """
    with _explained(file), closing(_connect(file)) as database:
        database.execute("PRAGMA journal_mode=DELETE")


@contextmanager
def turn_of(file: Path) -> Generator[None]:
    """Hold the write lock of a database. Raises DatabaseDamaged, OSError."""
    with _explained(file), closing(_connect(file)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield


def problem_of(file: Path, *, is_quick: bool = False) -> str:
    """Check a database file; return SQLite's description of the problem, or an empty string.

    The quick check does not compare indexes with their tables.
    """
    if not has_header(file):
        return "it does not begin as an SQLite database"
    look = "quick_check" if is_quick else "integrity_check"
    try:
        # a full disk is not damage: the file can still be checked
        with closing(_read_only(file, in_memory=is_cramped(file))) as database:
            found = [str(row[0]) for row in database.execute(f"PRAGMA {look}(3)")]
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == ["ok"] else "; ".join(" ".join(line.split()) for line in found)


def schema_of(file: Path) -> str | None:
    """Return the schema's revision, or None if the database is not Runyard's.

    Raises DatabaseDamaged.
    """
    with _explained(file), closing(_read_only(file)) as database:
        tables = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
        if database.execute(tables).fetchone() is None:
            return None
        row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def is_known(schema: str | None) -> bool:
    """Return True for a schema that this program can upgrade."""
    return schema in REVISIONS


def is_empty_file(file: Path) -> bool:
    """Return True if the file is empty or missing. Raises OSError."""
    try:
        return file.stat().st_size == 0
    except FileNotFoundError:
        return True


def with_sides(file: Path) -> list[Path]:
    """Return the database's file, followed by the side files that SQLite may keep."""
    return [file, *(file.with_name(file.name + side) for side in SIDES)]


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)


def _connect_cramped(file: Path) -> sqlite3.Connection:
    uri = cramped_uri(file)
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _read_only(file: Path, *, in_memory: bool = False) -> sqlite3.Connection:
    # not `immutable`: that would skip the write-ahead log
    connection = _connect_cramped(file) if in_memory else _connect(file)
    connection.execute("PRAGMA query_only=ON")
    return connection


@contextmanager
def _explained(file: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise OSError(f"{file} is locked by another program.") from error
        raise DatabaseDamaged(f"{file} is damaged: {error}.") from error
