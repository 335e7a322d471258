"""The write guard: stops writing if the database is lost or damaged while the server runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import structlog
from sqlalchemy import Connection, event
from sqlmodel import col, select

from app.records.database.database import FULL_CODES, Database, DatabaseSilent
from app.records.database.integrity import (
    DAMAGE_CODES,
    code_of,
    first_line,
    says_gone,
    what_to_do,
    where_is,
)
from app.records.database.migration import stop_where_newer
from app.records.database.sqlite_files import file_of
from app.records.stores.identity import NONCE
from app.records.tables import Setting

log = structlog.get_logger()
DAMAGE = ("malformed", "not a database")
UNWRITABLE = ("disk i/o error", "readonly database")
# PostgreSQL: undefined_table
NO_TABLE = "42P01"
# key in a connection's info: it was checked to be the database that this server started with
KNOWN = "is_known"
ITS_NONCE = select(Setting.value).where(col(Setting.name) == NONCE)
LOOK_AT_DISK = "Look at the disk, then start it again."


class WritingStopped(DatabaseSilent):
    """Writing to the database has stopped until the server is restarted."""

    lasts = True

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, sentence)


class WriteGuard:
    """Stops writing for good if the database disappears or is damaged while the server runs.

    Writes are refused with a sentence; reading continues as far as it can. `stopped` returns why
    this database or the other store is not written to: both stop together, because each refers to
    the other.
    """

    def __init__(self, database: Database, data: Path, stopped: Callable[[], str]) -> None:
        self._database = database
        self._data = data
        self._stopped = stopped
        self._where = where_is(database)
        self._file = file_of(database.url)
        self._mark = self._file and _mark_of(self._file)
        self._nonce: str | None = None
        self._asking = Lock()
        # after the engine's own listener, which may replace a connection that has died
        event.listen(database.engine, "begin", self._check_before_use)
        for engine in database.engines:
            event.listen(engine, "handle_error", self._on_error)
            event.listen(engine, "do_connect", self._before_connect)

    def _check_before_use(self, connection: Connection) -> None:
        trouble = self._stopped() or self._why_missing()
        if not trouble and self._file is None:
            trouble = self._check_identity(connection)
        if trouble:
            raise WritingStopped(trouble)

    def _before_connect(self, *_: Any) -> None:
        # SQLite would create an empty file, even for a reader
        if trouble := self._why_missing():
            raise WritingStopped(trouble)

    def _why_missing(self) -> str:
        """Return why the file is gone or replaced; empty if it is not, and for PostgreSQL."""
        if self._file is None or _mark_of(self._file) == self._mark:
            return ""
        return self._database.trouble or self._stop(f"{self._where} was taken away")

    def _check_identity(self, connection: Connection) -> str:
        """Check once per connection that it still leads to the database this server began with."""
        if KNOWN in connection.info:
            return ""
        found = connection.execute(ITS_NONCE).scalar()
        if self._nonce not in (None, found):
            return self._stop(f"{self._where} is another database than this server began with")
        self._nonce = found
        if found is not None:
            connection.info[KNOWN] = True
        return ""

    def _on_error(self, context: Any) -> None:
        error = context.original_exception
        if context.is_pre_ping:
            return  # the next connection reports the problem, if there is one
        if self._database.trouble:
            raise WritingStopped(self._database.trouble) from error
        if getattr(error, "sqlite_errorname", "") in FULL_CODES:
            return  # works again by itself once there is room
        if self._file is None:
            self._judge_server(error)
        else:
            is_writing = context.engine is self._database.engine
            self._judge_file(str(error).lower(), is_writing=is_writing)
        if self._database.trouble:
            raise WritingStopped(self._database.trouble) from error

    def _judge_file(self, said: str, *, is_writing: bool) -> None:
        if any(word in said for word in DAMAGE):
            self._stop(f"{self._where} is damaged")
        elif is_writing and any(word in said for word in UNWRITABLE):
            # after a failed fsync, a later one may succeed without having written the lost pages
            self._stop(f"{self._where} could not be written ({said})", LOOK_AT_DISK)

    def _judge_server(self, error: BaseException) -> None:
        code = code_of(error)
        if code == NO_TABLE:
            # the check needs another connection: if all of them fail alike, only one checks
            if not self._asking.acquire(blocking=False):
                return
            # a newer Runyard may have dropped the table
            with ExitStack() as until_asked, suppress(DatabaseSilent):
                until_asked.callback(self._asking.release)
                stop_where_newer(self._database)
        if self._database.trouble:
            return
        if code in (*DAMAGE_CODES, NO_TABLE):
            self._stop(f"{self._where} is damaged ({first_line(error)})")
        elif says_gone(self._database, str(error)):
            self._stop(f"{self._where} is gone")

    def _stop(self, what: str, advice: str = "") -> str:
        advice = advice or what_to_do(self._database, self._data)
        trouble = f"{what}: nothing is written any more. Stop Runyard. {advice}"
        log.error("database_closed_to_writes", because=trouble)
        self._database.trouble = trouble
        return trouble


def _mark_of(file: Path) -> tuple[int, int] | None:
    try:
        seen = file.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino
