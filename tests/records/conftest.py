"""Databases for tests of the records: copies of one that was brought up to date once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.records.database import Database
from app.records.feed import Change
from app.records.routing import Stores
from app.records.run_ledger import RunLedger
from tests.records.samples import opened_database, stores_on


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a database that has just been made."""
    file = tmp_path_factory.mktemp("fresh") / "x.db"
    opened_database(file, lambda _: None).close()
    return file.read_bytes()


@pytest.fixture
def told() -> list[Change]:
    """What the database has told of changes, in order."""
    return []


@pytest.fixture
def open_database(
    tmp_path: Path, told: list[Change], fresh: bytes
) -> Iterator[Callable[[str], Database]]:
    """Opens databases by name; the same name is the same file."""
    opened: list[Database] = []

    def open_one(name: str) -> Database:
        file = tmp_path / name
        if not file.exists():
            file.write_bytes(fresh)
        opened.append(Database(f"sqlite:///{file}", tell=told.extend))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def database(open_database: Callable[[str], Database]) -> Database:
    """One database."""
    return open_database("runyard.db")


@pytest.fixture
def stores(database: Database) -> Stores:
    """One database for everything."""
    return stores_on(database)


@pytest.fixture
def ledger(stores: Stores) -> RunLedger:
    """The runs of one database."""
    return RunLedger(stores)
