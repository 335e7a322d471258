"""Transactions: one writer, atomic, published after commit, and an error for no answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import StatementError
from sqlmodel import col, select

from app.records.database import database as database_module
from app.records.database import engines
from app.records.database.database import BUSY, Database, DatabaseSilent, watched_writing
from app.records.database.engines import WRITER_LOCK
from app.records.database.migration import migrate
from app.records.feed import Change, ProjectChanged
from app.records.projects.project_ledger import ProjectLedger
from app.records.tables import Outgoing, Person, Project
from tests.builders.databases import POSTGRESQL, SQLITE, one_postgres
from tests.builders.rows import NOW, draft_project, opened_database, stores_on
from tests.fakes.agents.runs import until

pytestmark = pytest.mark.both_databases


def person(number: int = 1) -> Person:
    return Person(id=f"person_{number}", name=f"p{number}", created_at=NOW)


def add_row(database: Database, row: Outgoing | Person | Project) -> None:
    with database.transaction() as tx:
        tx.add(row)


def add_person(database: Database, number: int = 1) -> None:
    add_row(database, person(number))


def count(database: Database) -> int:
    with database.reading() as session:
        return len(session.exec(select(Person)).all())


def cut_off(database: Database) -> int:
    """End all sessions of a PostgreSQL database; return how many there were."""
    query = (
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = %s AND pid <> pg_backend_pid()"
    )
    return len(one_postgres().tell(query, str(make_url(database.url).database)))


def test_a_transaction_is_there_once_it_ended(database: Database) -> None:
    with database.transaction() as tx:
        tx.add(person())
        tx.flush()
        # a second connection does not see the uncommitted row
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
            tx.publish(ProjectChanged("proj_1"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        add_and_fail()
    assert count(database) == 0
    assert told == []
    # the writer connection was returned
    add_person(database)
    assert count(database) == 1


def test_changes_are_told_once_each_after_the_commit(
    open_database: Callable[..., Database],
) -> None:
    seen: list[tuple[list[Change], int]] = []
    database = open_database("x", lambda changes: seen.append((changes, count(database))))
    with database.transaction() as tx:
        tx.add(person())
        tx.publish(ProjectChanged("a"), ProjectChanged("b"), ProjectChanged("a"))
    assert seen == [([ProjectChanged("a"), ProjectChanged("b")], 1)]


def test_who_hears_of_a_change_may_write(open_database: Callable[..., Database]) -> None:
    def write_more(changes: list[Change]) -> None:
        with database.transaction() as tx:
            tx.add(person(2))

    database = open_database("x", write_more)
    with database.transaction() as tx:
        tx.add(person(1))
        tx.publish(ProjectChanged("a"))
    assert count(database) == 2


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


def test_f37_two_servers_on_one_database_lose_nothing(
    open_database: Callable[..., Database],
) -> None:
    both = [open_database("shared"), open_database("shared")]
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
    """Limit the lock wait of databases opened from now on to 0.1 seconds."""
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.1)


@contextmanager
def locked(address: str) -> Iterator[None]:
    """Hold the write lock, as a hung server does."""
    engine = create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as other:
        if engine.name == "sqlite":
            other.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            other.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
        yield
        other.rollback()
    engine.dispose()


@pytest.mark.usefixtures("impatient")
def test_f36_a_database_that_stays_locked_is_silent_and_recovers(
    open_database: Callable[..., Database], address_of: Callable[[str], str]
) -> None:
    database = open_database("locked")
    with locked(address_of("locked")):
        with pytest.raises(DatabaseSilent, match="lock"):
            add_person(database)
        # reads still work
        assert database.answers()
        assert count(database) == 0
    add_person(database)
    assert count(database) == 1


@pytest.mark.usefixtures("impatient")
def test_f36_a_writer_that_waits_for_the_writing_connection_too_long_is_told(
    open_database: Callable[..., Database],
) -> None:
    database = open_database("busy")
    with database.transaction() as tx:
        tx.add(person(1))
        tx.flush()
        with pytest.raises(DatabaseSilent):
            add_person(database, 2)
    assert count(database) == 1


@pytest.mark.parametrize("address", ["sqlite:///{}/no/such/x.db", "postgresql:///x?host={}"])
def test_a_database_that_cannot_be_opened_is_silent(tmp_path: Path, address: str) -> None:
    database = Database(address.format(tmp_path), publish=lambda _: None)
    assert not database.answers()
    with pytest.raises(DatabaseSilent), database.transaction() as tx:
        tx.execute(text("SELECT 1"))
    with pytest.raises(DatabaseSilent):
        migrate(database, backups=tmp_path, now=NOW)
    database.close()


@pytest.mark.parametrize("kind", [POSTGRESQL], indirect=True)
def test_connections_that_died_idle_are_replaced_unnoticed(database: Database) -> None:
    asked = select(func.count(col(Person.id)))
    seen: list[tuple[int, Any]] = []
    for number in (1, 2, 3):
        add_person(database, number)
        seen += [(count(database), *(database.glance(asked, {}) or ()))]
        assert cut_off(database) == 2
        # after it, each of the two begins with something else
        if number == 2:
            assert database.glance(asked, {}) == (2,)
    assert seen == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize("kind", [SQLITE], indirect=True)
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


@pytest.mark.parametrize("kind", [SQLITE], indirect=True)
def test_the_writing_connection_waits_for_the_disk(database: Database) -> None:
    # not through SQLAlchemy's connection, which the tests' own setting changes
    connection = database.engine.raw_connection()
    try:
        [found] = connection.cursor().execute("PRAGMA synchronous").fetchone()
    finally:
        connection.close()
    assert found == 2


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
    Database(f"sqlite:///{tmp_path}/x.db", publish=lambda _: None).close()
    assert list(tmp_path.iterdir()) == []


def test_no_nul_comes_into_a_database(database: Database) -> None:
    name, words = "p" + ("" if database.is_sqlite else "\0"), ["a\0b", "\\u0000"]
    add_row(database, Person(id="person_1", name=name, created_at=NOW))
    add_row(database, draft_project(frameworks=words))
    with database.reading() as session:
        found = session.get_one(Project, "proj_1").frameworks
        stored = session.get_one(Person, "person_1").name
    if not database.is_sqlite:
        assert (stored, found) == ("p\ufffd", ["a\ufffdb", "\\u0000"])


@pytest.mark.parametrize("kind", [POSTGRESQL], indirect=True)
class TestPostgreSQL:
    """Guarantees that SQLite gives by itself."""

    def test_one_reading_sees_one_moment(self, database: Database) -> None:
        with database.reading() as session:
            assert session.exec(select(Person)).all() == []
            add_person(database)
            assert session.exec(select(Person)).all() == []
        assert count(database) == 1

    def test_a_reading_writes_nothing(self, database: Database) -> None:
        with pytest.raises(DatabaseSilent, match="read-only"), database.reading() as session:
            session.execute(text("DELETE FROM person"))

    @pytest.mark.usefixtures("impatient")
    def test_a_writer_that_has_come_to_a_stop_loses_its_place(
        self, open_database: Callable[..., Database]
    ) -> None:
        stuck, other = open_database("x"), open_database("x")

        def come_to_a_stop() -> None:
            with stuck.transaction() as tx:
                tx.add(person(1))
                tx.flush()
                until(lambda: can_write(other, person(2)), "the other gets its turn")

        with pytest.raises(DatabaseSilent):
            come_to_a_stop()
        assert count(other) == 1

    def test_connections_that_were_cut_off_are_made_again(self, database: Database) -> None:
        add_person(database)
        name = make_url(database.url).database
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
        assert one_postgres().tell(cut, name) == [(1,)]
        assert count(database) == 1
        add_person(database, 2)
        assert count(database) == 2


def can_write(database: Database, row: Person) -> bool:
    try:
        add_row(database, row)
    except DatabaseSilent:
        return False
    return True


def test_a_commit_that_the_database_refused_has_changed_nothing_and_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # with a rollback journal, an open reader blocks the commit
    monkeypatch.setattr(engines, "network_of", lambda _: "nfs")
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.1)
    database = opened_database(tmp_path / "runyard.db", lambda _: None)
    ledger = ProjectLedger(stores_on(database))
    ledger.insert(draft_project())
    change = partial(ledger.change, "proj_1", budget_seconds=7)
    with watched_writing() as writing:
        with database.reading() as reader:
            reader.exec(select(Project)).all()
            with pytest.raises(DatabaseSilent) as silence:
                change()
        assert (silence.value.sentence, writing.has_begun) == (BUSY, False)
        change()
        assert writing.has_begun
    database.close()


@pytest.mark.parametrize("odd", ["half a pair: \ud800", 2**70, {"deep": [1.5, None, True]}])
def test_json_is_read_as_it_was_written(database: Database, odd: object) -> None:
    add_row(database, Outgoing(key="odd", kind="odd", run_id="run_1", data={"odd": odd}, at=NOW))
    with database.reading() as session:
        assert session.exec(select(Outgoing.data)).one() == {"odd": odd}
