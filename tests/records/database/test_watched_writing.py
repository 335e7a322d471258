"""Writes whose answer is lost: they may have succeeded, and subscribers still get them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, text, update
from sqlmodel import col, select

from app.domain.batches import BulkAction, BulkStatus
from app.records.batches.bulk_ledger import BulkLedger
from app.records.database import database as database_module
from app.records.database import engines
from app.records.database.database import Database, DatabaseSilent, Transaction, watched_writing
from app.records.feed import BulkChanged, Change, ProjectChanged
from app.records.stores.sessions import control_of
from app.records.tables import Bulk, Person, Run
from tests.builders.rows import NOW, draft_run, opened_database, run_id, stores_on

PERSON = {"id": "person_1", "name": "p", "created_at": NOW}
WRITES: dict[str, Callable[[Transaction], object]] = {
    "a row": lambda tx: tx.add(Person(**PERSON)),
    "insert": lambda tx: tx.execute(insert(Person), [PERSON]),
    "update": lambda tx: tx.execute(update(Person).values(name="q")),
    "delete": lambda tx: tx.execute(delete(Person)),
    "words": lambda tx: tx.execute(text("UPDATE person SET name = 'q'")),
}
READS: dict[str, Callable[[Transaction], object]] = {
    "nothing": lambda _: None,
    "rows": lambda tx: tx.exec(select(Person)).all(),
    "a locked row": lambda tx: tx.get(Person, "person_1", with_for_update=True),
    "a column": lambda tx: tx.execute(select(col(Person.id))).all(),
}


@pytest.fixture(scope="module")
def told() -> list[Change]:
    return []


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory, told: list[Change]) -> Iterator[Database]:
    database = opened_database(tmp_path_factory.mktemp("watched") / "x.db", told.extend)
    yield database
    database.close()


@pytest.mark.parametrize("name", [*WRITES, *READS])
def test_whatever_is_written_is_known_to_have_begun_and_what_is_read_is_not(
    control: Database, name: str
) -> None:
    does = WRITES.get(name) or READS[name]
    with watched_writing() as writing, control.transaction() as tx:
        does(tx)
    assert writing.has_begun == (name in WRITES)
    with control.transaction() as tx:
        tx.execute(delete(Person))


def test_what_is_undone_has_not_begun(control: Database) -> None:
    def add_and_fail() -> None:
        with control.transaction() as tx:
            tx.add(Person(**PERSON))
            tx.flush()
            raise RuntimeError

    with watched_writing() as writing:
        with pytest.raises(RuntimeError):
            add_and_fail()
        assert not writing.has_begun


def test_an_order_for_many_runs_is_told_of_when_it_is_given(
    control: Database, told: list[Change]
) -> None:
    given = Bulk(
        id="bulk_1",
        action=BulkAction.STOP,
        wanted={},
        status=BulkStatus.PROCESSING,
        correlation_id="test",
        created_by="person_1",
        created_at=NOW,
    )
    told.clear()
    BulkLedger(stores_on(control)).insert(given, ["run_1"])
    assert told == [BulkChanged("bulk_1")]


@pytest.mark.both_databases
def test_what_the_control_store_has_committed_is_told_where_the_run_store_then_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # with a rollback journal, an open reader blocks the commit
    monkeypatch.setattr(engines, "network_of", lambda _: "nfs")
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.1)
    told: list[Change] = []
    control, runs = (opened_database(tmp_path / name, told.extend) for name in ("c.db", "r.db"))
    run = draft_run(id=run_id(split=True))
    told.clear()

    def write_both() -> None:
        with stores_on(control, runs).spanning(run.id, "accept") as tx:
            tx.add(run)
            control_of(tx).add(Person(**PERSON))
            control_of(tx).publish(ProjectChanged("proj_1"))

    with runs.reading() as reader:
        reader.exec(select(Run)).all()
        with pytest.raises(DatabaseSilent):
            write_both()
    with control.reading() as session:
        assert session.get(Person, "person_1") is not None
    with runs.reading() as session:
        assert session.get(Run, run.id) is None
    assert told == [ProjectChanged("proj_1")]
    control.close()
    runs.close()
