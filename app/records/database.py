"""A database: its engines, its transactions. Nothing else in Runyard commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from sqlmodel import Session

from app.records.feed import Change
from app.records.happenings import Happening

BUSY_SECONDS = 30
READERS = 8
SWITCHES = 10


class DatabaseSilent(Exception):
    """The database could not be reached or did not answer in time."""


class Transaction(Session):
    """A session that tells the feed what changed, once it is committed."""

    def announce(self, *changes: Change) -> None:
        """Add changes to be told after the commit."""
        self.info.setdefault("changes", []).extend(changes)

    def happened(self, happening: Happening) -> None:
        """Tell the database's witness, who may write what follows in this transaction."""
        witness = self.info.get("witness")
        if witness is not None:
            witness(self, happening)


class Database:
    """One database. SQLite gets one writing connection and a few reading ones."""

    def __init__(self, url: str, *, tell: Callable[[list[Change]], None]) -> None:
        self.url = url
        self._tell = tell
        self.witness: Callable[[Transaction, Happening], None] | None = None
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._writer = _sqlite_engine(url, size=1, begin="BEGIN IMMEDIATE")
            self._reader = _sqlite_engine(url, size=READERS, begin="BEGIN")
        else:
            self._writer = self._reader = create_engine(
                url, pool_size=READERS, max_overflow=0, pool_pre_ping=True
            )

    @property
    def engine(self) -> Engine:
        """The engine that writes, for migrations."""
        return self._writer

    @property
    def kind(self) -> str:
        """SQLite or PostgreSQL, as people read it."""
        return "SQLite" if self.is_sqlite else "PostgreSQL"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads; rows stay usable after it. Raises DatabaseSilent."""
        with _silence_named(), Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction: commits at its end, rolls back on any exception.

        Raises DatabaseSilent. No outside call belongs inside.
        """
        with _silence_named():
            info = {"witness": self.witness}
            with Transaction(self._writer, expire_on_commit=False, info=info) as session:
                yield session
                session.commit()
                changes = session.info.get("changes", [])
            # told only when the connection is free again: a listener may write
            if changes:
                self._tell(list(dict.fromkeys(changes)))

    def answers(self) -> bool:
        """True where the database can be asked something, and SQLite's file is in its place."""
        file = make_url(self.url).database if self.is_sqlite else None
        if file and not Path(file).is_file():
            return False  # what is open still answers, but what it writes is lost
        try:
            with self.reading() as session:
                session.execute(text("SELECT 1"))
        except DatabaseSilent:
            return False
        return True

    def close(self) -> None:
        """Give every connection back."""
        self._writer.dispose()
        self._reader.dispose()


@contextmanager
def _silence_named() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise DatabaseSilent(str(error).splitlines()[0]) from error


def _sqlite_engine(url: str, *, size: int, begin: str) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: Any) -> None:
        # the driver must not begin by itself: `begin` below decides which lock is taken
        connection.isolation_level = None
        _switch_to_wal(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # of several that switch a new file at once SQLite refuses some without waiting: those
    # wait for the write lock, and then find it done
    for _ in range(SWITCHES):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        else:
            return
    connection.execute("PRAGMA journal_mode=WAL")
