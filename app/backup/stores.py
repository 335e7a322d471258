"""Databases of a backup: consistent copies into SQLite files, and filling PostgreSQL from them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from app.backup.places import SETTINGS, CannotKeep
from app.failpoints import failpoint
from app.records.database.database import Database, silence_named
from app.records.database.engines import PATIENT
from app.records.database.migration import HEAD, migrate, migrate_to, revision_of
from app.records.database.row_copies import copy_rows, count_rows
from app.records.database.sqlite_files import (
    copy_seen,
    file_of,
    is_empty_file,
    looked_at,
    merge_wal,
    schema_of,
    turn_of,
)

# writes a snapshot of a database into a new file
Write = Callable[[Path, datetime], None]


class _File:
    """An SQLite database."""

    def __init__(self, name: str, file: Path) -> None:
        self._file = file
        if is_empty_file(file):
            raise CannotKeep(
                f"There is no database at {file}: nothing to back up. "
                "Name the server's folder with --data-dir."
            )
        self.name = name

    def turn(self) -> AbstractContextManager[None]:
        return turn_of(self._file)

    @contextmanager
    def look(self) -> Generator[Write]:
        with looked_at(self._file) as seen:

            def write(target: Path, _: datetime) -> None:
                copy_seen(seen, self._file, target)
                if schema_of(target) is None:
                    raise CannotKeep(f"{self._file} is no database of Runyard's.")

            yield write

    def close(self) -> None:
        """Do nothing: nothing is open."""


class _Server:
    """A PostgreSQL database; its copy is an SQLite file of the same schema and rows."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self._database = Database(address, publish=lambda _: None)

    @contextmanager
    def turn(self) -> Generator[None]:
        with self._database.transaction() as tx:
            tx.begin_now()
            yield

    @contextmanager
    def look(self) -> Generator[Write]:
        with silence_named(), self._database.reading() as session:
            seen = session.connection()
            _take_time(seen)
            schema = revision_of(seen)
            if schema != HEAD:
                raise CannotKeep(
                    f"The database of {SETTINGS[self.name]} has schema {schema or 'none'}, this "
                    f"Runyard {HEAD}: back it up with the Runyard that has written it."
                )
            yield partial(_write_rows, seen)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()


def copy_at_once(stores: Mapping[str, str], folder: Path, now: datetime) -> dict[str, Path]:
    """Copy all rows of the databases, as they are at one moment, into files; return them by name.

    `stores` are URLs by name, the control store first. Two databases cannot be read one after the
    other: the effects of a run's end are in one before they are in the other. So writers of both
    wait, briefly, until a snapshot of each is open, and the copies hold what a crash at that
    moment would have left. Raises CannotKeep, DatabaseDamaged, DatabaseSilent, OSError.
    """
    with ExitStack() as ends:
        found = [_open(name, address) for name, address in stores.items()]
        for store in found:
            ends.callback(store.close)
        with ExitStack() as turns:
            for store in found if len(found) > 1 else ():
                turns.enter_context(store.turn())
            writes = {}
            for store in found:
                writes[store.name] = ends.enter_context(store.look())
                failpoint("backup.after_look")
        for name, write in writes.items():
            write(folder / name, now)
    return {name: folder / name for name in stores}


def fill_servers(files: Mapping[str, Path], stores: Mapping[str, str], now: datetime) -> list[str]:
    """Fill the PostgreSQL databases among `stores` together, and return their names.

    Raises CannotKeep if one of them has rows already, DatabaseSilent.
    """
    servers = {name: url for name, url in stores.items() if file_of(url) is None}
    with ExitStack() as ends:
        databases: dict[str, Database] = {}
        for name, url in servers.items():
            databases[name] = Database(url, publish=lambda _: None)
            ends.callback(databases[name].close)
            with silence_named(), databases[name].engine.connect() as connection:
                _refuse_used(name, connection)
            migrate(databases[name], backups=files[name].parent, now=now)
        with silence_named(), ExitStack() as commits:
            for name, database in databases.items():
                _fill(name, files[name], commits.enter_context(_begun(database.engine)), now)
    return list(servers)


def make_empty(file: Path, schema: str, now: datetime) -> None:
    """Create a database without rows, at a schema that this Runyard knows."""
    made = Database(f"sqlite:///{file}", publish=lambda _: None)
    try:
        migrate_to(made, schema, backups=file.parent, now=now)
    finally:
        made.close()


def _write_rows(seen: Connection, target: Path, now: datetime) -> None:
    made = Database(f"sqlite:///{target}", publish=lambda _: None)
    try:
        migrate(made, backups=target.parent, now=now)
        with silence_named(), made.engine.begin() as into:
            copy_rows(seen, into)
    finally:
        made.close()
    merge_wal(target)


def _open(name: str, address: str) -> _File | _Server:
    file = file_of(address)
    return _Server(name, address) if file is None else _File(name, file)


@contextmanager
def _begun(engine: Engine) -> Generator[Connection]:
    with engine.execution_options(**{PATIENT: True}).begin() as connection:
        _take_time(connection)
        yield connection


def _fill(name: str, file: Path, target: Connection, now: datetime) -> None:
    _refuse_used(name, target)
    source = Database(f"sqlite:///{file}", publish=lambda _: None)
    try:
        migrate(source, backups=file.parent, now=now)
        with source.reading() as session:
            copied = copy_rows(session.connection(), target)
        if count_rows(target) != copied:
            raise CannotKeep(f"{SETTINGS[name]} has not taken every row: nothing was changed.")
    finally:
        source.close()


def _refuse_used(name: str, connection: Connection) -> None:
    if count_rows(connection):
        raise CannotKeep(
            f"{SETTINGS[name]} names a database that holds rows already, and none is written over: "
            "name an empty one."
        )


def _take_time(connection: Connection) -> None:
    """Lift PostgreSQL's time limits for this transaction: a copy may take long."""
    if connection.dialect.name != "sqlite":
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(text(f"SET LOCAL {limit} TO 0"))
