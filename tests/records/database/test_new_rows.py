"""Rows inserted by their columns: they wait for the next statement, and keep their order."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from app.records.database.database import Database, Transaction
from app.records.feed import BatchEnded
from app.records.tables import Run, RunEvent
from tests.builders.rows import NOW, draft_project, draft_run

pytestmark = pytest.mark.both_databases


def line(sentence: str, run_id: str = "run_1") -> dict[str, Any]:
    return {"run_id": run_id, "at": NOW, "kind": "note", "sentence": sentence, "data": {"n": 1}}


def columns_of(run: Run) -> dict[str, Any]:
    return {name: one for name, one in run.model_dump().items() if one is not None}


def lines(database: Database) -> list[tuple[int, str, Any]]:
    with database.reading() as session:
        found = session.exec(select(RunEvent).order_by(col(RunEvent.id)))
        return [(one.id or 0, one.sentence, one.data) for one in found]


@pytest.fixture
def database(database: Database) -> Database:
    """A database with a project."""
    with database.transaction() as tx:
        tx.add(draft_project())
    return database


def test_rows_are_written_in_their_order_with_those_of_entities_between(
    database: Database,
) -> None:
    seen: dict[str, int] = {}
    with database.transaction() as tx:
        tx.insert("runs", columns_of(draft_run(id="run_1")))
        tx.insert("run_events", line("first"), lambda id_: seen.update(first=id_))
        tx.add(RunEvent(**line("second")))
        tx.insert("run_events", line("third"))
        tx.insert("run_events", line("fourth"), lambda id_: seen.update(fourth=id_))
        assert seen.keys() == {"first"}
    kept = lines(database)
    assert [(one[1], one[2]) for one in kept] == [
        (word, {"n": 1}) for word in ("first", "second", "third", "fourth")
    ]
    assert seen == {"first": kept[0][0], "fourth": kept[3][0]}


def test_what_reads_in_the_transaction_sees_them(database: Database) -> None:
    def add(tx: Transaction, number: int) -> None:
        tx.insert("runs", columns_of(draft_run(id=f"run_{number}", work_branch=f"b{number}")))

    counted = select(func.count(col(Run.id)))
    with database.transaction() as tx:
        add(tx, 1)
        seen = [tx.exec(counted).one()]
        add(tx, 2)
        seen.append(tx.connection().execute(counted).scalar_one())
        add(tx, 3)
        seen.append(0 if tx.get(Run, "run_3") is None else 3)
    assert seen == [1, 2, 3]


@pytest.mark.expects_error_log
@pytest.mark.parametrize("run_id", ["run_1", "run_that_is_not_there"])
@pytest.mark.parametrize("is_written", [True, False])
def test_they_outlast_a_witness_that_fails_and_nothing_of_it_stays(
    database: Database, run_id: str, is_written: bool
) -> None:
    def fail(tx: Transaction, _: object) -> None:
        tx.insert("run_events", line("of the witness", run_id))
        if is_written:
            tx.flush()
        if run_id == "run_1":
            raise LookupError

    database.witness = fail
    with database.transaction() as tx:
        tx.insert("runs", columns_of(draft_run(id="run_1")))
        tx.insert("run_events", line("before"))
        tx.record_event(BatchEnded("batch_1", "proj_1", 1))
        tx.insert("run_events", line("after"))
    assert [one[1] for one in lines(database)] == ["before", "after"]


def test_one_that_is_refused_leaves_nothing(database: Database) -> None:
    def add() -> None:
        with database.transaction() as tx:
            tx.insert("runs", columns_of(draft_run(id="run_1")))
            tx.insert("run_events", line("first"))
            tx.insert("run_events", line("of nothing", run_id="run_2"))

    with pytest.raises(IntegrityError):
        add()
    assert lines(database) == []
