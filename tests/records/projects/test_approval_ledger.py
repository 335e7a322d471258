"""The ledger of approvals: guarded ends, pages, and costs that do not follow what was answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from app.domain.projects.approvals import ApprovalState
from app.records.database.database import Database
from app.records.people import approval_ledger
from app.records.people.approval_ledger import ApprovalFilter, ApprovalLedger
from app.records.review.open_changes import pending_approvals
from app.records.runs.approved_starts import projects_asking
from app.records.stores.routing import Stores
from app.records.tables import Approval, ChangeRequest, Run
from app.records.tables.drafts import drafted
from tests.builders.databases import KINDS, shared_database
from tests.builders.rows import NOW, draft_project, draft_run, run_id
from tests.drivers.query_plans import steps_of

MANY = 4_000
# of SQLite's virtual machine; looking at every answered approval takes 40,000
STEPS = 2_000


def approval(number: int, **columns: Any) -> dict[str, Any]:
    """Return the columns of an answered approval of a start."""
    at = NOW - timedelta(minutes=number)
    usual: dict[str, Any] = {
        "id": f"approval_{number:024}",
        "project_id": "proj_1",
        "kind": "start",
        "state": "approved",
        "title": f"Task {number}",
        "run_id": f"run_{number}",
        "issue": number,
        "change": None,
        "head_sha": None,
        "answers": [],
        "created_at": at,
        "expires_at": at + timedelta(days=7),
        "ended_at": at,
    }
    return usual | columns


def merge(number: int, change: int, **columns: Any) -> dict[str, Any]:
    """Return the columns of an approval of a merge."""
    of = {"kind": "merge", "change": change, "head_sha": "a" * 40, "issue": None}
    return approval(number, **of | columns)


PENDING = {"state": "pending", "ended_at": None}


@pytest.fixture(params=KINDS)
def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stores]:
    address = shared_database(tmp_path_factory.mktemp("approvals"), request.param)
    with closing(Database(address, publish=lambda _: None)) as database:
        with database.transaction() as tx:
            tx.add(draft_project(id="proj_1", approve_merge=1))
        yield Stores(database, None, lambda count: b"x" * count)


def add(stores: Stores, *rows: dict[str, Any]) -> None:
    """Add approvals."""
    with stores.control.transaction() as tx:
        tx.connection().execute(insert(Approval), list(rows))


def test_of_two_ends_of_an_approval_only_the_first_counts(stores: Stores) -> None:
    add(stores, approval(1, **PENDING))
    id_ = approval(1)["id"]
    with stores.control.transaction() as tx:
        ended = approval_ledger.end(tx, id_, ApprovalState.EXPIRED, NOW)
        assert ended is not None
        assert approval_ledger.end(tx, id_, ApprovalState.APPROVED, NOW) is None
    found = ApprovalLedger(stores).find(id_)
    assert found is not None
    assert (found.state, found.ended_at) == ("expired", NOW)


@pytest.mark.parametrize(
    "rows",
    [
        (approval(1), approval(2, run_id="run_1")),
        (merge(1, 7, **PENDING), merge(2, 7, head_sha="b" * 40, **PENDING)),
        (approval(1, state="pending"),),
        (approval(1, ended_at=None),),
        (approval(1, state="maybe"),),
        (approval(1, change=3),),
        (approval(1, run_id=None),),
        (merge(1, 7, head_sha=None),),
    ],
)
def test_the_database_refuses_what_cannot_be(
    stores: Stores, rows: tuple[dict[str, Any], ...]
) -> None:
    with pytest.raises(IntegrityError):
        add(stores, *rows)


def test_an_issue_is_declined_by_its_last_start_alone(stores: Stores) -> None:
    add(
        stores,
        approval(1, issue=1, state="rejected"),
        approval(2, issue=1),
        approval(3, issue=2),
        approval(4, issue=2, state="expired"),
        approval(5, issue=3, state="expired"),
        approval(6, issue=4, **PENDING),
        approval(7, issue=5, state="withdrawn"),
        approval(8, issue=6, state="rejected"),
    )
    assert ApprovalLedger(stores).declined("proj_1", [1, 2, 3, 4, 5]) == {1, 3}


def test_pages_have_every_approval_once(stores: Stores) -> None:
    add(stores, *(approval(number, created_at=NOW) for number in range(7)))
    ledger, every = ApprovalLedger(stores), ApprovalFilter(None)
    found, cursor = list[str](), None
    for _ in range(4):
        rows, cursor, _before = ledger.page(every, limit=2, cursor=cursor)
        found += [one.id for one in rows]
    assert (sorted(set(found)), cursor) == (sorted(approval(n)["id"] for n in range(7)), None)
    assert len(found) == 7


def test_answered_approvals_cost_nothing(stores: Stores) -> None:
    add(stores, *(approval(number) for number in range(MANY)))
    add(stores, *(merge(MANY + number, number) for number in range(MANY)))
    waits = approval(9_000, project_id="proj_1", run_id="run_waits", **PENDING)
    add(stores, waits, merge(9_001, 9_001, **PENDING))
    with stores.control.transaction() as tx:
        usual = draft_run(status="queued", awaits_approval=True, hold="Waiting for approval")
        row = usual.model_dump()
        runs = [
            row | {"id": run_id(NOW - timedelta(seconds=n)), "work_branch": f"run/{n}"}
            for n in range(MANY)
        ]
        tx.connection().execute(insert(Run), runs)
    ledger = ApprovalLedger(stores)
    change = drafted(ChangeRequest, {"project_id": "proj_1", "number": 9_001, "head_sha": "a" * 40})
    with stores.control.reading() as session:
        asked: dict[str, Callable[[], object]] = {
            "inbox": lambda: pending_approvals(session),
            "overdue": lambda: ledger.overdue(NOW),
            "asking": lambda: ledger.asking_projects("proj_1"),
            "change": lambda: ledger.of_change(change),
            "merges": lambda: approval_ledger.pending_merges(session, "proj_1"),
            "declined": lambda: ledger.declined("proj_1", [1, 2, 3]),
            "run": lambda: ledger.page(ApprovalFilter(run_id="run_waits"), limit=50, cursor=None),
            "page": lambda: ledger.page(ApprovalFilter(), limit=50, cursor=None),
        }
        for name, ask in asked.items():
            assert ask() is not None
            if stores.control.is_sqlite:
                assert steps_of(stores.control, ask) <= STEPS, name
        assert len(pending_approvals(session)) == 2
        assert projects_asking(session) == frozenset()
