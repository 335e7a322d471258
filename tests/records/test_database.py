"""Transactions: one writer, all or nothing, told after the commit, and a name for silence."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import StatementError
from sqlmodel import col, select

from app.records import database as database_module
from app.records.database import Database, DatabaseSilent
from app.records.feed import Change, ProjectChanged
from app.records.tables import Person, Project
from tests.records.samples import NOW, draft_project, opened_database


def person(number: int = 1) -> Person:
    return Person(id=f"person_{number}", name=f"p{number}", created_at=NOW)


def add_row(database: Database, row: Person) -> None:
    with database.transaction() as tx:
        tx.add(row)


def add_person(database: Database, number: int = 1) -> None:
    add_row(database, person(number))


def count(database: Database) -> int:
    with database.reading() as session:
        return len(session.exec(select(Person)).all())


def test_a_transaction_is_there_once_it_ended(database: Database) -> None:
    with database.transaction() as tx:
        tx.add(person())
        tx.flush()
        # another connection sees nothing of it yet
        assert count(database) == 0
    assert count(database) == 1


def test_an_exception_leaves_nothing_and_tells_nobody(
    database: Database, told: list[Change]
) -> None:
    told.clear()

    def add_and_fail() -> None:
        with database.transaction() as tx:
            tx.add(person())
            tx.flush()
            tx.announce(ProjectChanged("proj_1"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        add_and_fail()
    assert count(database) == 0
    assert told == []
    # the one writing connection is free again
    add_person(database)
    assert count(database) == 1


def test_changes_are_told_once_each_after_the_commit(tmp_path: Path) -> None:
    seen: list[tuple[list[Change], int]] = []
    database = opened_database(
        tmp_path / "x.db", lambda changes: seen.append((changes, count(database)))
    )
    with database.transaction() as tx:
        tx.add(person())
        tx.announce(ProjectChanged("a"), ProjectChanged("b"), ProjectChanged("a"))
    database.close()
    assert seen == [([ProjectChanged("a"), ProjectChanged("b")], 1)]


def test_who_hears_of_a_change_may_write(tmp_path: Path) -> None:
    def write_more(changes: list[Change]) -> None:
        with database.transaction() as tx:
            tx.add(person(2))

    database = opened_database(tmp_path / "x.db", write_more)
    with database.transaction() as tx:
        tx.add(person(1))
        tx.announce(ProjectChanged("a"))
    assert count(database) == 2
    database.close()


def test_f37_fifty_writers_that_read_first_lose_nothing(database: Database) -> None:
    with database.transaction() as tx:
        tx.add(draft_project(strikes=0))
    start = threading.Barrier(50)
    failures: list[BaseException] = []

    def read_then_write() -> None:
        start.wait()
        try:
            with database.transaction() as tx:
                project = tx.scalars(select(Project).where(col(Project.id) == "proj_1")).one()
                project.strikes += 1
                tx.add(project)
        except BaseException as failure:
            failures.append(failure)

    writers = [threading.Thread(target=read_then_write) for _ in range(50)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert failures == []
    with database.reading() as session:
        assert session.get_one(Project, "proj_1").strikes == 50


def test_f37_two_servers_on_one_file_lose_nothing(
    open_database: Callable[[str], Database],
) -> None:
    both = [open_database("shared.db"), open_database("shared.db")]
    with both[0].transaction() as tx:
        tx.add(draft_project(strikes=0))
    failures: list[BaseException] = []

    def read_then_write(database: Database) -> None:
        try:
            for _ in range(10):
                with database.transaction() as tx:
                    project = tx.scalars(select(Project).where(col(Project.id) == "proj_1")).one()
                    project.strikes += 1
                    tx.add(project)
        except BaseException as failure:
            failures.append(failure)

    writers = [threading.Thread(target=read_then_write, args=(one,)) for one in both]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert failures == []
    with both[0].reading() as session:
        assert session.get_one(Project, "proj_1").strikes == 20


def test_readers_go_on_while_somebody_writes(database: Database) -> None:
    with database.transaction() as tx:
        tx.add(person())
        tx.flush()
        assert count(database) == 0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases opened from now on wait a tenth of a second only."""
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
def test_f36_a_database_that_stays_locked_is_silent_and_recovers(
    open_database: Callable[[str], Database], tmp_path: Path
) -> None:
    database = open_database("locked.db")
    other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseSilent, match="locked"):
        add_person(database)
    # reading is possible all the time
    assert database.answers()
    assert count(database) == 0
    other.execute("ROLLBACK")
    other.close()
    add_person(database)
    assert count(database) == 1


@pytest.mark.usefixtures("impatient")
def test_f36_a_writer_that_waits_for_the_writing_connection_too_long_is_told(
    open_database: Callable[[str], Database],
) -> None:
    database = open_database("busy.db")
    with database.transaction() as tx:
        tx.add(person(1))
        tx.flush()
        with pytest.raises(DatabaseSilent):
            add_person(database, 2)
    assert count(database) == 1


def test_a_database_that_cannot_be_opened_is_silent(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/no/such/folder/x.db", tell=lambda _: None)
    assert not database.answers()
    with pytest.raises(DatabaseSilent), database.transaction() as tx:
        tx.execute(text("SELECT 1"))


def test_the_pragmas_that_make_an_accepted_run_last_are_set(database: Database) -> None:
    with database.reading() as session:
        found = {
            name: session.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_a_time_without_a_zone_cannot_be_stored(database: Database) -> None:
    naive = Person(id="person_1", name="p", created_at=datetime(2026, 1, 1))
    with pytest.raises(StatementError, match="without a zone"):
        add_row(database, naive)
    assert count(database) == 0


def test_times_come_back_in_utc_to_the_microsecond(database: Database) -> None:
    east = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    with database.transaction() as tx:
        tx.add(Person(id="person_1", name="p", created_at=east))
    with database.reading() as session:
        stored = session.get_one(Person, "person_1").created_at
    assert stored == NOW
    assert stored.tzinfo is UTC


def test_nothing_is_opened_before_it_is_asked(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path}/x.db", tell=lambda _: None).close()
    assert list(tmp_path.iterdir()) == []
