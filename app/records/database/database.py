"""A database with its engines and transactions. Nothing else in Runyard commits."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Executable, event, text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.pool import QueuePool
from sqlmodel import Session

from app.records.database.change_codec import commit_with, written
from app.records.database.engines import (
    GLANCE,
    is_cramped,
    postgresql_engine,
    sqlite_engine,
)
from app.records.database.new_rows import NewRow, insert_rows
from app.records.feed import Change, Happening, without_rows
from app.records.people.audit_ledger import PENDING
from app.records.stores.sessions import SHARED

log = structlog.get_logger()
# of a transaction on PostgreSQL: its messages to other servers
NEWS = "news"
BUSY_SECONDS = 30
READERS = 8
READ_ONLY = "25006"
# no room for the file, or for SQLite's shared memory
FULL_CODES = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "53100")
BUSY_CODES = ("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "55P03")
FULL = "The disk of the database is full. Nothing was changed; make room, then try again."
BUSY = "The database is busy. Nothing was changed; try again shortly."


class DatabaseSilent(Exception):
    """The database could not be reached or did not answer in time.

    `sentence` explains it to people, None if no more is known; `lasts` is True if only a restart of
    the server helps.
    """

    lasts = False

    def __init__(self, message: str, sentence: str | None = None) -> None:
        super().__init__(message)
        self.sentence = sentence


@dataclass
class Writing:
    """The state of one watched operation: `has_begun` once a change is, or may be, committed."""

    has_begun: bool = False


_watched: ContextVar[Writing | None] = ContextVar("watched", default=None)


@contextmanager
def watched_writing() -> Generator[Writing]:
    """Watch whether the code inside commits a change, also in threads that it waits for."""
    writing = Writing()
    mark = _watched.set(writing)
    try:
        yield writing
    finally:
        _watched.reset(mark)


def has_begun_to_write() -> bool:
    """Return True if the watched operation has begun to commit a change."""
    writing = _watched.get()
    return writing is not None and writing.has_begun


def watched() -> Writing | None:
    """Return the state of the watched operation, None if it is not watched."""
    return _watched.get()


def begin_to_write() -> None:
    """Mark the watched operation as having side effects. Call it before a push to origin.

    A later failure then reads "outcome unknown" and not "nothing was changed".
    """
    writing = _watched.get()
    if writing is not None:
        writing.has_begun = True


class Transaction(Session):
    """A session that publishes its changes to the feed once it is committed."""

    is_ended = False
    # True once it may be committed, even if the database's answer is lost
    is_committing = False
    has_written = False

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._rows: list[NewRow] = []

    def publish(self, *changes: Change) -> None:
        """Add changes to publish after the commit."""
        self.info.setdefault("changes", []).extend(changes)

    def begin_now(self) -> None:
        """Begin, and take the write lock, before the first statement."""
        self.connection()

    def insert(
        self, table: str, values: Mapping[str, Any], then: Callable[[int], None] | None = None
    ) -> None:
        """Insert a row by its table's columns, not as an entity, which costs far more.

        It is written before the next statement or the commit, together with others that wait for
        that. `then` is called with its id.
        """
        if self.new or self.dirty or self.deleted:
            self.flush()  # rows are written in the order in which they were added
        self.has_written = True
        self._rows.append(NewRow(table, values, then))

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        """Write all that was added."""
        self.insert_rows()
        super().flush(objects)

    def connection(self, *given: Any, **more: Any) -> Connection:
        """Return the connection, after writing the rows that wait."""
        self.insert_rows()
        return super().connection(*given, **more)

    def insert_rows(self) -> None:
        """Write the rows that wait."""
        rows, self._rows = self._rows, []
        if rows:
            insert_rows(super().connection(), rows)

    def drop_rows(self) -> None:
        """Drop the rows that wait."""
        self._rows.clear()

    def pending_changes(self) -> list[Change]:
        """Return the changes announced so far, without duplicates."""
        return list(dict.fromkeys(self.info.get("changes", [])))

    def commit(self) -> None:
        """Commit; mark the watched operations as begun if anything was written or announced."""
        # one that commits for others may have written nothing itself
        shared: list[Writing] | None = self.info.get(SHARED)
        writings = [_watched.get() or Writing()] if shared is None else shared
        before = [(one, one.has_begun) for one in writings]
        begins = self.has_written or bool(self.pending_changes())
        for writing, had_begun in before:
            writing.has_begun = had_begun or begins
        try:
            if news := self.info.pop(NEWS, ()):
                commit_with(self.connection(), news)
            super().commit()
        except DBAPIError as error:
            if _sentence_of(error) is not None:
                for writing, had_begun in before:
                    writing.has_begun = had_begun  # refused with a reason: not committed
            raise
        for act in self.info.pop(PENDING, ()):
            act.is_written = True

    def record_event(self, happening: Happening) -> None:
        """Pass a domain event to the witness, which may write its effects in this transaction.

        An error of the witness is logged and rolls back only its own writes; the change stands.
        Raises DatabaseSilent.
        """
        witness = self.info.get("witness")
        if witness is None:
            return
        try:
            with self.begin_nested():
                witness(self, happening)
        except Exception as problem:
            is_silent = isinstance(problem, DBAPIError) and is_silence(problem)
            if is_silent or isinstance(problem, DatabaseSilent):
                raise
            log.exception("notification_not_queued", about=type(happening).__name__)


@event.listens_for(Transaction, "after_flush")
def _note_flushed(session: Transaction, _: object) -> None:
    session.has_written = True


@event.listens_for(Transaction, "before_commit")
def _write_rows_of_savepoint(session: Transaction) -> None:
    # SQLAlchemy flushes here only if an entity waits, and these rows belong to the savepoint
    session.insert_rows()


@event.listens_for(Transaction, "after_soft_rollback")
def _drop_rows_of_savepoint(session: Transaction, _: object) -> None:
    # those from before the savepoint were written when it began
    session.drop_rows()


@event.listens_for(Transaction, "do_orm_execute")
def _note_executed(asked: ORMExecuteState) -> None:
    if isinstance(asked.session, Transaction):
        asked.session.insert_rows()
        # raw SQL may do anything: only a known SELECT counts as no write
        asked.session.has_written |= not asked.is_select


class Database:
    """One database: a single writing connection, so that writers take turns, and some readers."""

    def __init__(self, url: str, *, publish: Callable[[list[Change]], None]) -> None:
        self.url = url
        # marks this process's notifications, so that it can skip its own
        self.mark = secrets.token_hex(8)
        self._publish = publish
        self.witness: Callable[[Transaction, Happening], None] | None = None
        # why writing has stopped, as a sentence; set by the write guard
        self.trouble = ""
        # copied into the info of every session
        self.info: dict[str, object] = {}
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        # True if opened without room for the side files: no other process can use the file
        self._is_cramped = False
        if self.is_sqlite:
            file = make_url(url).database
            self._is_cramped = bool(file) and is_cramped(Path(str(file)))
            how: dict[str, Any] = {
                "busy_seconds": BUSY_SECONDS,
                "is_cramped": lambda: self._is_cramped,
            }
            self._writer = sqlite_engine(url, size=1, begin="BEGIN IMMEDIATE", **how)
            self._reader = sqlite_engine(url, size=READERS, begin="BEGIN", **how)
        else:
            # writers take turns: more connections would only wait in the database
            wait = {"busy_seconds": BUSY_SECONDS}
            self._writer = postgresql_engine(url, size=1, may_write=True, **wait)
            self._reader = postgresql_engine(url, size=READERS, may_write=False, **wait)
        self._glances = self._reader.execution_options(**{GLANCE: True})

    @property
    def engine(self) -> Engine:
        """The writing engine, for migrations."""
        return self._writer

    @property
    def engines(self) -> tuple[Engine, Engine]:
        """The writing and the reading engine."""
        return self._writer, self._reader

    @property
    def kind(self) -> str:
        """The display name, `SQLite` or `PostgreSQL`."""
        return "SQLite" if self.is_sqlite else "PostgreSQL"

    @contextmanager
    def reading(self) -> Generator[Session]:
        """Open a read-only session; its rows stay usable after it. Raises DatabaseSilent."""
        info = dict(self.info)
        with silence_named(), Session(self._reader, expire_on_commit=False, info=info) as session:
            yield session

    def glance(self, query: Executable, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """Return the first row of one SELECT, without a transaction. Raises DatabaseSilent."""
        with silence_named():
            try:
                return self._glance(query, values)
            except DBAPIError as error:
                # the pool replaces connections that have died, and reading twice changes nothing
                if not error.connection_invalidated:
                    raise
                return self._glance(query, values)

    def _glance(self, query: Executable, values: Mapping[str, Any]) -> Sequence[Any] | None:
        with self._glances.connect() as connection:
            return connection.execute(query, values).first()

    @contextmanager
    def transaction(self) -> Generator[Transaction]:
        """Open a transaction that commits at its end, and rolls back on any exception.

        Raises DatabaseSilent. Make no external calls inside.
        """
        with silence_named():
            info = {"witness": self.witness, **self.info}
            tx = Transaction(self._writer, expire_on_commit=False, info=info)
            try:
                with tx:
                    yield tx
                    tx.flush()
                    if tx.in_transaction() or not tx.is_ended:
                        self.end(tx)
            finally:
                # published only once the connection is free, because a listener may write; and also
                # if the commit's answer was lost or the other store's commit failed: listeners then
                # read every row
                if tx.is_committing and (changes := tx.pending_changes()):
                    self._publish(changes if tx.is_ended else without_rows(changes))

    def end(self, tx: Transaction) -> None:
        """Commit a transaction now, with the notifications for other servers.

        `transaction` does this at its end: call it only if another commit must come after this one.
        Raises DatabaseSilent.
        """
        tx.flush()
        if not self.is_sqlite:
            tx.info[NEWS] = list(written(tx.pending_changes(), self.mark))
        tx.is_committing = True
        tx.commit()
        tx.is_ended = True

    def answers(self) -> bool:
        """Return True if the database answers a query and, for SQLite, its file is in place."""
        file = make_url(self.url).database if self.is_sqlite else None
        if file and not Path(file).is_file():
            return False  # an open file still answers after it is deleted, but its writes are lost
        try:
            with self.reading() as session:
                session.connection().execute(text("SELECT 1"))
        except DatabaseSilent:
            return False
        return True

    def share(self) -> None:
        """Let other processes use the file again, once there is room for the side files.

        Does nothing while this process uses the file: call it again later. Raises DatabaseSilent.
        """
        file = make_url(self.url).database
        if not self._is_cramped or not file or is_cramped(Path(file)):
            return
        with ExitStack() as held, silence_named():
            # SQLite unlocks the file only after its last connection is closed
            taken = [held.enter_context(self._writer.connect())]
            if self._in_use():
                return
            taken += [held.enter_context(self._reader.connect()) for _ in range(READERS)]
            for one in taken:
                one.invalidate()
            self._is_cramped = False

    def _in_use(self) -> bool:
        # a reader may be waiting to write, so waiting for it would deadlock
        pool = self._reader.pool
        return isinstance(pool, QueuePool) and pool.checkedout() > 0

    def close(self) -> None:
        """Close all connections, last the one that writes: SQLite then empties its log."""
        self._reader.dispose()
        self._writer.dispose()


@contextmanager
def silence_named() -> Generator[None]:
    """Turn errors by which a database fails to answer into DatabaseSilent."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseSilent(str(error).splitlines()[0], BUSY) from error
    except DBAPIError as error:
        if not is_silence(error):
            raise
        said = str(error.orig or error).splitlines()[0]
        raise DatabaseSilent(said, _sentence_of(error)) from error


def _sentence_of(error: DBAPIError) -> str | None:
    """Return the sentence for a full or busy database, by its error code, or None."""
    names = (
        getattr(error.orig, "sqlite_errorname", None),
        getattr(error.orig, "sqlstate", None),
    )
    if any(name in FULL_CODES for name in names):
        return FULL
    return BUSY if any(name in BUSY_CODES for name in names) else None


def is_silence(error: DBAPIError) -> bool:
    """Return True if the database did not answer, False if it refused the statement."""
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return True
    # a read-only replica answers at this address after a failover
    return getattr(error.orig, "sqlstate", None) == READ_ONLY
