"""The audit table: a hash chain kept by the database that shows where it was broken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from app.records.database.database import Database
from app.records.people import audit_pages
from app.records.people.audit_ledger import Act, acting, record
from app.records.people.audit_pages import Misfit, first_misfit
from app.records.tables import Audit

pytestmark = pytest.mark.both_databases

NOW = datetime.now(UTC)
UNGUARDED = {
    True: ("DROP TRIGGER audit_is_never_changed", "DROP TRIGGER audit_is_kept"),
    False: ("SET LOCAL session_replication_role = replica",),
}


def act(deed: str = "merge", at: datetime = NOW) -> Act:
    return Act(at, "person_1", "admin", "browser", deed, "c", object="proj_1/changes/2")


def write(database: Database, *acts: Act) -> None:
    for one in acts:
        with acting(one), database.transaction() as tx:
            record(tx, after={"state": "merged", "api_token": "never told", "é": ["ü", 1.5]})


def rows(database: Database) -> list[Audit]:
    with database.reading() as session:
        return list(session.exec(select(Audit).order_by(col(Audit.id))).all())


def tamper(database: Database, *statements: str) -> None:
    with database.transaction() as tx:
        for statement in (*UNGUARDED[database.is_sqlite], *statements):
            tx.execute(text(statement))


def fail_after(database: Database, one: Act) -> None:
    with acting(one), database.transaction() as tx:
        record(tx)
        raise ZeroDivisionError


def test_an_act_is_one_row_however_often_it_is_recorded_and_none_where_it_failed(
    database: Database,
) -> None:
    one = act()
    with pytest.raises(ZeroDivisionError):
        fail_after(database, one)
    assert rows(database) == []
    with acting(one):
        for _ in range(2):
            with database.transaction() as tx:
                record(tx)
                record(tx)
    assert len(rows(database)) == 1
    assert first_misfit(database) == 1


def test_what_nobody_asked_for_is_no_row(database: Database) -> None:
    with database.transaction() as tx:
        record(tx, "proj_1")
    assert rows(database) == []


def test_a_secret_is_told_as_changed_only(database: Database) -> None:
    write(database, act())
    [row] = rows(database)
    assert row.after == {"state": "merged", "api_token": "changed", "é": ["ü", 1.5]}


def test_the_database_refuses_to_change_a_row_or_to_delete_a_young_one(
    database: Database,
) -> None:
    write(database, act())
    refused = ["UPDATE audit SET person = 'person_2'", "DELETE FROM audit"]
    for statement in refused if database.is_sqlite else [*refused, "TRUNCATE audit"]:
        with pytest.raises(DBAPIError, match="the audit is"), database.transaction() as tx:
            tx.execute(text(statement))
    assert len(rows(database)) == 1


@pytest.mark.parametrize(
    ("statement", "row", "because"),
    [
        ("UPDATE audit SET person = 'person_2' WHERE id = 2", 2, "it was changed"),
        ("UPDATE audit SET after = NULL WHERE id = 3", 3, "it was changed"),
        ("DELETE FROM audit WHERE id = 2", 3, "a row before it is gone"),
        ("DELETE FROM audit WHERE id = 1", 2, "the rows before it are gone"),
    ],
)
def test_the_first_row_that_does_not_fit_is_named(
    database: Database, statement: str, row: int, because: str
) -> None:
    write(database, *(act(deed) for deed in ("start", "stop", "merge", "close")))
    assert first_misfit(database) == 4
    tamper(database, statement)
    found = first_misfit(database)
    assert isinstance(found, Misfit)
    assert (found.id, found.because[: len(because)]) == (row, because)


def test_old_rows_go_by_retention_alone_and_the_rest_still_fits(database: Database) -> None:
    old = NOW - timedelta(days=401)
    write(database, act("start", old), act("stop", old), act("merge"))
    until = NOW - timedelta(days=400)
    trimming = act(audit_pages.TRIMMED)
    with acting(trimming), database.transaction() as tx:
        count, last = audit_pages.trim(tx, until)
        record(tx, after={audit_pages.UNTIL: last, "rows": count})
    assert count == 2
    assert [row.deed for row in rows(database)] == ["merge", audit_pages.TRIMMED]
    assert first_misfit(database) == 2
    with database.transaction() as tx:
        assert audit_pages.trim(tx, until) == (0, "")


def test_two_servers_write_one_chain(database: Database) -> None:
    other = Database(database.url, publish=lambda _: None)
    try:
        for server in (database, other, database, other):
            write(server, act())
    finally:
        other.close()
    assert first_misfit(database) == 4
