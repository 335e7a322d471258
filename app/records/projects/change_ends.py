"""Change requests that end, and those that people open again: their rows and their issues."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from app.domain.words import READY_LABEL, AfterClose
from app.records.database.database import Transaction
from app.records.feed import ChangeDelivered, ProjectChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import ChangeRequest, IssueRow

# what a run tells of a change request that was opened again
REOPENED = {"head_sha", "commits", "files_changed", "additions", "deletions", "draft"}


def newest_ended(stores: Stores, *, limit: int) -> list[ChangeRequest]:
    """Return change requests of all projects that were merged or closed, latest first."""
    query = select(ChangeRequest).where(ChangeRequest.state != "open")
    query = query.order_by(col(ChangeRequest.ended_at).desc()).limit(limit)
    with stores.control.reading() as session:
        return list(session.exec(query).all())


def undecided(stores: Stores, project_id: str) -> list[ChangeRequest]:
    """Return a project's open change requests, oldest first."""
    query = select(ChangeRequest).where(
        ChangeRequest.project_id == project_id, ChangeRequest.state == "open"
    )
    with stores.control.reading() as session:
        return list(session.exec(query.order_by(col(ChangeRequest.number))).all())


def closed_since(stores: Stores, project_id: str, since: datetime) -> set[int]:
    """Return the numbers of a project's change requests that were closed at `since` or later.

    Those that were merged are not among them.
    """
    query = select(ChangeRequest.number).where(
        ChangeRequest.project_id == project_id,
        ChangeRequest.state == "closed",
        col(ChangeRequest.ended_at) >= since,
    )
    with stores.control.reading() as session:
        return set(session.exec(query).all())


def reopen(tx: Transaction, ended: ChangeRequest, columns: Mapping[str, Any]) -> None:
    """Open an ended change request again, with the head and the size that these columns tell."""
    ended.state, ended.ended_at, ended.merged_sha = "open", None, None
    ended.closed_because, ended.issue_after = None, None
    for name in REOPENED & columns.keys():
        setattr(ended, name, columns[name])


def reopen_closed(stores: Stores, project_id: str, number: int) -> bool:
    """Record that a forge opened a closed change request again; False if it stays as it was.

    One whose branch has another open change request stays closed.
    """
    with stores.control.transaction() as tx:
        ended = tx.get(ChangeRequest, (project_id, number), with_for_update=True)
        if ended is None or ended.state != "closed" or _has_open(tx, ended):
            return False
        record(tx, before={"state": "closed"}, after={"state": "open"})
        reopen(tx, ended, {})
        tx.publish(ProjectChanged(project_id), ChangeDelivered(project_id))
    return True


def _has_open(tx: Transaction, ended: ChangeRequest) -> bool:
    query = select(ChangeRequest.number).where(
        ChangeRequest.project_id == ended.project_id,
        ChangeRequest.branch == ended.branch,
        ChangeRequest.state == "open",
    )
    return tx.scalars(query).first() is not None


def close_others(tx: Transaction, columns: Mapping[str, Any]) -> None:
    """Close what is still open here of a branch whose newest request a forge has just opened."""
    tx.exec(
        update(ChangeRequest)
        .where(
            col(ChangeRequest.project_id) == columns["project_id"],
            col(ChangeRequest.branch) == columns["branch"],
            col(ChangeRequest.state) == "open",
        )
        .values(state="closed", ended_at=columns["created_at"])
    )


def settle_issue(tx: Transaction, ended: ChangeRequest, now: datetime) -> None:
    """Close the issue of a merged change request; of a closed one, do as `issue_after` says."""
    closes = ended.state == "merged" or ended.issue_after == AfterClose.CLOSE
    if ended.closes is None or not (closes or ended.issue_after == AfterClose.QUEUE):
        return
    issue = tx.get(IssueRow, (ended.project_id, ended.closes), with_for_update=True)
    if issue is None:
        return
    if not closes:
        issue.state, issue.closed_at = "open", None
        issue.labels = list(dict.fromkeys([*issue.labels, READY_LABEL]))
    elif issue.state == "open":
        issue.state, issue.closed_at, issue.rank = "closed", now, None
