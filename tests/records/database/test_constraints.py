"""Invalid states that database constraints reject."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.domain.words import Status
from app.records.database.database import Database
from app.records.runs.run_ledger import RunLedger
from app.records.tables import ChangeRequest, IssueRow, LoginLink, RunEvent, SignIn
from tests.builders.rows import NOW, add_run, draft_change, draft_project, draft_run

pytestmark = pytest.mark.both_databases

RELEASED = {"status": Status.DIED, "ended_at": NOW, "released_at": NOW}


def refuse(database: Database, *rows: Any) -> None:
    """Assert that the database rejects these rows together and keeps none of them."""

    def add() -> None:
        with database.transaction() as tx:
            tx.add_all(rows)

    with pytest.raises(IntegrityError):
        add()


@pytest.mark.parametrize("first", [Status.QUEUED, Status.RUNNING, Status.STOPPED])
def test_a_branch_has_one_open_run(ledger: RunLedger, database: Database, first: Status) -> None:
    ended = NOW if first is Status.STOPPED else None
    add_run(ledger, status=first, ended_at=ended, work_branch="afk/1")
    refuse(database, draft_run(work_branch="afk/1"))
    # another project, or a run that is already released, may use the branch
    add_run(ledger, work_branch="afk/1", project_id="proj_2")
    add_run(ledger, work_branch="afk/1", **RELEASED)
    add_run(ledger, work_branch="afk/2")


def test_a_branch_may_be_worked_on_again_after_the_release(ledger: RunLedger) -> None:
    for _ in range(2):
        add_run(ledger, work_branch="afk/1", **RELEASED)
    add_run(ledger, work_branch="afk/1")


def test_a_key_belongs_to_one_run_of_a_project(ledger: RunLedger, database: Database) -> None:
    add_run(ledger, idempotency_key="k", **RELEASED)
    refuse(database, draft_run(idempotency_key="k"))
    add_run(ledger, idempotency_key="k", project_id="proj_2")
    add_run(ledger, idempotency_key="K")
    for _ in range(2):
        add_run(ledger, idempotency_key=None)


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "lost"},
        {"status": "Queued"},
        {"status": ""},
        {"trigger": "cron"},
        {"depth_level": "shallow"},
        {"delivers": "nothing"},
        {"released_at": NOW},
    ],
)
def test_a_run_of_no_known_word_is_refused(database: Database, columns: dict[str, Any]) -> None:
    refuse(database, draft_run(**columns))


def test_an_id_is_used_once(ledger: RunLedger, database: Database) -> None:
    refuse(database, draft_run(id=add_run(ledger).id))


@pytest.mark.parametrize(
    "columns",
    [{"state": "gone"}, {"strikes": -1}, {"budget_seconds": 0}],
)
def test_a_project_out_of_bounds_is_refused(database: Database, columns: dict[str, Any]) -> None:
    refuse(database, draft_project(**columns))


def test_a_project_s_name_is_used_once(database: Database) -> None:
    refuse(database, draft_project(), draft_project(id="proj_2"))


def change(number: int, **columns: Any) -> ChangeRequest:
    return ChangeRequest(**draft_change(**{"number": number, "run_id": f"run_{number}"} | columns))


def test_a_branch_has_one_open_change_request(database: Database) -> None:
    with database.transaction() as tx:
        tx.add(draft_project())
        tx.flush()
        tx.add_all([change(1, state="closed"), change(2, state="merged"), change(3)])
    refuse(database, change(4))
    refuse(database, change(5, branch="afk/2", run_id="run_3"))
    refuse(database, change(6, branch="afk/2", state="lost"))


def test_a_change_has_one_open_revert_and_reverts_need_no_run(database: Database) -> None:
    def revert(number: int, **columns: Any) -> ChangeRequest:
        return change(number, **{"run_id": None, "reverts": 1, "branch": f"r/{number}"} | columns)

    with database.transaction() as tx:
        tx.add(draft_project())
        tx.flush()
        tx.add_all([change(1, state="merged"), revert(2, state="closed"), revert(3)])
        tx.add(revert(4, reverts=2))
    refuse(database, revert(5))


@pytest.mark.parametrize(
    "row",
    [
        RunEvent(run_id="run_none", at=NOW, kind="note", sentence="x", data={}),
        IssueRow(project_id="none", number=1, title="t", body="", labels=[], created_at=NOW),
        change(1, project_id="none"),
        SignIn(
            cookie_hash="h",
            id="session_1",
            person_id="none",
            csrf="c",
            created_at=NOW,
            proved_at=NOW,
            used_at=NOW,
            expires_at=NOW,
        ),
        LoginLink(token_hash="h", person_id="none", created_at=NOW, expires_at=NOW),
    ],
)
def test_a_row_of_something_that_is_not_there_is_refused(database: Database, row: Any) -> None:
    refuse(database, type(row)(**row.model_dump()))


@pytest.mark.parametrize(("number", "state"), [(1, "open"), (2, "done")])
def test_an_issue_has_a_number_and_a_state(database: Database, number: int, state: str) -> None:
    with database.transaction() as tx:
        tx.add(draft_project())
        tx.flush()
        tx.add(_issue(1, "open"))
    refuse(database, _issue(number, state))


def _issue(number: int, state: str) -> IssueRow:
    return IssueRow(
        project_id="proj_1",
        number=number,
        title="t",
        body="",
        labels=[],
        state=state,
        created_at=NOW,
    )
