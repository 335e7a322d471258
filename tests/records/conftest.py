"""Databases for the records tests, copied from one that was migrated once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.records.database.database import Database
from app.records.feed import Change
from app.records.runs.run_ledger import RunLedger
from app.records.stores.routing import Stores
from tests.builders.databases import (
    KINDS,
    POSTGRESQL,
    fresh_database,
    lent_postgresql,
    usual_kind,
)
from tests.builders.rows import stores_on
from tests.drivers.compiled_once import share_compiled_statements


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on the usual database, and on both if it is marked `both_databases`."""
    if "kind" not in metafunc.fixturenames:
        return
    if any("kind" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")):
        return  # the test chooses itself
    marked = metafunc.definition.get_closest_marker("both_databases") is not None
    kinds = KINDS if marked else (usual_kind(),)
    metafunc.parametrize("kind", kinds, indirect=True)


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Kind of database for a test."""
    return str(request.param)


@pytest.fixture
def told() -> list[Change]:
    """Changes the database has published, in order."""
    return []


@pytest.fixture
def address_of(tmp_path: Path, kind: str) -> Iterator[Callable[[str], str]]:
    """Return the address of a fresh database by name; one name is always one database."""
    addresses: dict[str, str] = {}
    with ExitStack() as lent:

        def address(name: str) -> str:
            if kind == POSTGRESQL and name not in addresses:
                addresses[name] = lent.enter_context(lent_postgresql())
            elif name not in addresses:
                addresses[name] = f"sqlite:///{tmp_path / name}"
                (tmp_path / name).write_bytes(fresh_database())
            return addresses[name]

        yield address


@pytest.fixture
def open_database(
    address_of: Callable[[str], str], told: list[Change]
) -> Iterator[Callable[..., Database]]:
    """Open databases by name; `tell` receives their changes. All are closed after the test."""
    share_compiled_statements()
    opened: list[Database] = []

    def open_one(name: str, tell: Callable[[list[Change]], None] = told.extend) -> Database:
        opened.append(Database(address_of(name), publish=tell))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[..., Database]) -> Database:
    """A single open database."""
    return open_database("runyard")


@pytest.fixture
def stores(database: Database) -> Stores:
    """Stores with one database for both roles."""
    return stores_on(database)


@pytest.fixture
def ledger(stores: Stores) -> RunLedger:
    """Run ledger on a single database."""
    return RunLedger(stores)
