"""Empty databases with today's schema: migrated once per process, then copied.

With RUNYARD_TEST_DATABASE=postgresql, tests that do not choose a database get PostgreSQL. With
RUNYARD_TEST_SPLIT=1 each database is a pair, and new runs live in the second one; with
RUNYARD_TEST_SPLIT=mixed that second one is always PostgreSQL.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from sqlalchemy import delete
from sqlmodel import SQLModel

from app.config import Settings
from app.records.database.database import Database
from app.records.database.migration import migrate
from tests.drivers.compiled_once import share_compiled_statements
from tests.drivers.servers.postgresql import PostgresServer, postgres_server
from tests.drivers.spared_disk import spare_the_disk

SQLITE, POSTGRESQL = KINDS = ("sqlite", "postgresql")
# the kind of run store for each value of RUNYARD_TEST_SPLIT; None: the usual kind
SPLITS = {"1": None, "mixed": POSTGRESQL}
TEMPLATE = "fresh"
# copies kept for servers that start again; older ones are dropped if nobody is connected
KEPT = 60
_copies: dict[Path, str] = {}
_free: list[str] = []


def usual_kind() -> str:
    """Return the kind of database for tests that do not choose one."""
    return os.environ.get("RUNYARD_TEST_DATABASE", SQLITE)


def postgresql_in_brief() -> list[Any]:
    """Return both kinds of database as parameters; SQLite, shown elsewhere, is for the soak."""
    marks = {POSTGRESQL: [], SQLITE: [pytest.mark.soak]}
    return [pytest.param(kind, marks=marks[kind]) for kind in KINDS]


def only_on_sqlite(because: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test where PostgreSQL is the usual kind."""
    return pytest.mark.skipif(usual_kind() != SQLITE, reason=because)


def own_database(data_dir: Path) -> dict[str, Any]:
    """Return the settings that name a data folder's databases; none for the file inside it."""
    own: dict[str, Any] = {}
    if usual_kind() == POSTGRESQL:
        own["database_url"] = shared_database(data_dir, POSTGRESQL)
    split = os.environ.get("RUNYARD_TEST_SPLIT")
    if split in SPLITS:
        own["runs_database_url"] = run_store(data_dir, SPLITS[split])
    return own


def run_store(data_dir: Path, kind: str | None = None) -> str:
    """Return the address of a data folder's run store, the same on every call."""
    folder = data_dir / "run-store"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return shared_database(folder, kind)


def put_database(settings: Settings) -> None:
    """Create the SQLite file that a server with these settings expects, if it is missing."""
    share_compiled_statements()
    spare_the_disk()
    file = settings.data_root / "runyard.db"
    if settings.database_url is None and not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_bytes(fresh_database())


def shared_database(folder: Path, kind: str | None = None) -> str:
    """Return the address of a folder's database for several servers, the same on every call."""
    if (kind or usual_kind()) == POSTGRESQL:
        return _copy_of(folder)
    file = folder / "shared.db"
    if not file.exists():
        file.write_bytes(fresh_database())
    return f"sqlite:///{file}"


@cache
def fresh_database() -> bytes:
    """Return the content of an empty SQLite file with today's schema."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "made.db"
        _bring_up_to_date(f"sqlite:///{file}", file.parent)
        return file.read_bytes()


@cache
def one_postgres() -> PostgresServer:
    """Return the PostgreSQL of this process's tests; skip where it is not installed."""
    until_exit = ExitStack()
    server = until_exit.enter_context(postgres_server())
    atexit.register(until_exit.close)
    _bring_up_to_date(server.create(TEMPLATE), Path())
    return server


@contextmanager
def lent_postgresql() -> Iterator[str]:
    """Lend the address of an empty database, and empty it afterwards: faster than a new copy."""
    server = one_postgres()
    name = _free.pop() if _free else f"lent_{os.urandom(4).hex()}"
    if not server.tell("SELECT 1 FROM pg_database WHERE datname = %s", name):
        server.create(name, TEMPLATE)
    yield server.url(name)
    tables = reversed(SQLModel.metadata.sorted_tables)
    emptied = [str(delete(table)) for table in tables]
    anew = "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'"
    # triggers keep audit rows from being deleted
    unguarded = "SET session_replication_role = replica"
    server.tell("; ".join([unguarded, *emptied, anew]), database=name)
    _free.append(name)


def _copy_of(folder: Path) -> str:
    server = one_postgres()
    if folder not in _copies:
        _forget_some(server)
        _copies[folder] = f"copy{len(_copies)}_{os.urandom(3).hex()}"
        server.create(_copies[folder], TEMPLATE)
    return server.url(_copies[folder])


def _forget_some(server: PostgresServer) -> None:
    for folder in list(_copies)[:-KEPT]:
        try:
            server.tell(f'DROP DATABASE "{_copies[folder]}"')
        except psycopg.errors.ObjectInUse:
            continue
        del _copies[folder]


def _bring_up_to_date(url: str, backups: Path) -> None:
    database = Database(url, publish=lambda _: None)
    migrate(database, backups=backups, now=datetime.now(UTC))
    database.close()
