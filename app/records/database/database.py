"""A database: its engines, its transactions. Nothing else in Runyard commits."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.pool import QueuePool
from sqlmodel import Session

from app.records.database.change_codec import tell_others
from app.records.database.engines import is_cramped, postgresql_engine, sqlite_engine
from app.records.feed import Change, Happening
from app.records.people.audit_ledger import PENDING

log = logging.getLogger(__name__)
BUSY_SECONDS = 30
READERS = 8
READ_ONLY = "25006"
# no room for the file, or for what all who use it share
FULL_CODES = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "53100")
BUSY_CODES = ("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "55P03")


FULL = "The disk of the database is full. Nothing was changed; make room, then try again."
BUSY = "The database is busy. Nothing was changed; try again shortly."


class DatabaseSilent(Exception):
    """The database could not be reached or did not answer in time.

    `sentence` is what a person is told of it, None where nothing more is known; `lasts` is True
    where it is so until the server is started again.
    """

    lasts = False

    def __init__(self, message: str, sentence: str | None = None) -> None:
        super().__init__(message)
        self.sentence = sentence


@dataclass
class Writing:
    """Whether a change has been written for good, or may have been, while it was watched."""

    has_begun: bool = False


_watched: ContextVar[Writing | None] = ContextVar("watched", default=None)


@contextmanager
def watched_writing() -> Iterator[Writing]:
    """Watch what is written by whoever is called inside, on whatever thread it is waited for."""
    writing = Writing()
    mark = _watched.set(writing)
    try:
        yield writing
    finally:
        _watched.reset(mark)


def has_begun_to_write() -> bool:
    """True where what is watched has come to write a change for good."""
    writing = _watched.get()
    return writing is not None and writing.has_begun


def begin_to_write() -> None:
    """From here on nobody may say that nothing was changed: before a push to origin is told."""
    writing = _watched.get()
    if writing is not None:
        writing.has_begun = True


class Transaction(Session):
    """A session that tells the feed what changed, once it is committed."""

    is_ended = False
    # from here on it may be written for good, whatever becomes of the answer
    is_committing = False
    has_written = False

    def announce(self, *changes: Change) -> None:
        """Add changes to be told after the commit."""
        self.info.setdefault("changes", []).extend(changes)

    def begin_now(self) -> None:
        """Begin, with the lock that writers take turns by, before the first statement does."""
        self.connection()

    def announced(self) -> list[Change]:
        """What was announced so far, each change once."""
        return list(dict.fromkeys(self.info.get("changes", [])))

    def commit(self) -> None:
        """Commit; what is watched has begun to write where something was changed or told of."""
        writing = _watched.get() or Writing()
        had_begun = writing.has_begun
        writing.has_begun = had_begun or self.has_written or bool(self.announced())
        try:
            super().commit()
        except DBAPIError as error:
            if _sentence_of(error) is not None:
                writing.has_begun = had_begun  # a database that says why has not done it
            raise
        for act in self.info.pop(PENDING, ()):
            act.is_written = True

    def happened(self, happening: Happening) -> None:
        """Tell the database's witness, who may write what follows in this transaction.

        A fault of the witness is logged and undoes only what the witness wrote: the change itself
        stands. Raises DatabaseSilent.
        """
        witness = self.info.get("witness")
        if witness is None:
            return
        try:
            with self.begin_nested():
                witness(self, happening)
        except Exception as problem:
            is_silent = isinstance(problem, DBAPIError) and _is_silence(problem)
            if is_silent or isinstance(problem, DatabaseSilent):
                raise
            log.exception("people could not be notified of %s", type(happening).__name__)


@event.listens_for(Transaction, "after_flush")
def _note_flushed(session: Transaction, _: object) -> None:
    session.has_written = True


@event.listens_for(Transaction, "do_orm_execute")
def _note_executed(asked: ORMExecuteState) -> None:
    # words of our own may do anything: only what is known to read is none
    if not asked.is_select and isinstance(asked.session, Transaction):
        asked.session.has_written = True


class Database:
    """One database: one connection that writes, so that writers take turns, and a few that read."""

    def __init__(self, url: str, *, tell: Callable[[list[Change]], None]) -> None:
        self.url = url
        # what tells this process's messages to other servers from theirs
        self.mark = secrets.token_hex(8)
        self._tell = tell
        self.witness: Callable[[Transaction, Happening], None] | None = None
        # why it is not written to any more, in a sentence; set by its guard
        self.trouble = ""
        # what every session of this database carries
        self.info: dict[str, object] = {}
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        # true where it was opened without room for its side files: no other process can use it
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
            # writers take turns: more connections than one would only wait in the database
            wait = {"busy_seconds": BUSY_SECONDS}
            self._writer = postgresql_engine(url, size=1, may_write=True, **wait)
            self._reader = postgresql_engine(url, size=READERS, may_write=False, **wait)

    @property
    def engine(self) -> Engine:
        """The engine that writes, for migrations."""
        return self._writer

    @property
    def engines(self) -> tuple[Engine, Engine]:
        """The one that writes and the one that reads."""
        return self._writer, self._reader

    @property
    def kind(self) -> str:
        """SQLite or PostgreSQL, as people read it."""
        return "SQLite" if self.is_sqlite else "PostgreSQL"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads; rows stay usable after it. Raises DatabaseSilent."""
        info = dict(self.info)
        with silence_named(), Session(self._reader, expire_on_commit=False, info=info) as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction: commits at its end, rolls back on any exception.

        Raises DatabaseSilent. No outside call belongs inside.
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
                # told only when the connection is free again: a listener may write. And told
                # where the answer to the commit was lost, or another store's commit failed after
                # it: who hears it asks for the rows
                if tx.is_committing and (changes := tx.announced()):
                    self._tell(changes)

    def end(self, tx: Transaction) -> None:
        """Commit one of ours, with the messages that tell other servers of it.

        It ends by itself: this is for who must have it written before another. Raises
        DatabaseSilent.
        """
        tx.flush()
        if not self.is_sqlite:
            tell_others(tx.connection(), tx.announced(), self.mark)
        tx.is_committing = True
        tx.commit()
        tx.is_ended = True

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

    def share(self) -> None:
        """Let other processes use the file again, once there is room for what they share.

        Changes nothing while it is in use here: ask again later. Raises DatabaseSilent.
        """
        file = make_url(self.url).database
        if not self._is_cramped or not file or is_cramped(Path(file)):
            return
        with ExitStack() as held, silence_named():
            # the file is let go only where nobody here has it open any more
            taken = [held.enter_context(self._writer.connect())]
            if self._in_use():
                return
            taken += [held.enter_context(self._reader.connect()) for _ in range(READERS)]
            for one in taken:
                one.invalidate()
            self._is_cramped = False

    def _in_use(self) -> bool:
        # who reads may be waiting to write: to wait for them would stop both
        pool = self._reader.pool
        return isinstance(pool, QueuePool) and pool.checkedout() > 0

    def close(self) -> None:
        """Give every connection back."""
        self._writer.dispose()
        self._reader.dispose()


@contextmanager
def silence_named() -> Iterator[None]:
    """Raise DatabaseSilent for whatever means that the database did not do what it was asked."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseSilent(str(error).splitlines()[0], BUSY) from error
    except DBAPIError as error:
        if not _is_silence(error):
            raise
        said = str(error.orig or error).splitlines()[0]
        raise DatabaseSilent(said, _sentence_of(error)) from error


def _sentence_of(error: DBAPIError) -> str | None:
    """What SQLite and PostgreSQL say by codes of their own."""
    names = (
        getattr(error.orig, "sqlite_errorname", None),
        getattr(error.orig, "sqlstate", None),
    )
    if any(name in FULL_CODES for name in names):
        return FULL
    return BUSY if any(name in BUSY_CODES for name in names) else None


def _is_silence(error: DBAPIError) -> bool:
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return True
    # a copy that only reads answers where the database used to be
    return getattr(error.orig, "sqlstate", None) == READ_ONLY
