"""Change requests that end: those still open, those ended last, and the issues they close."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from app.domain.words import READY_LABEL, AfterClose
from app.records.database.database import Transaction
from app.records.stores.routing import Stores
from app.records.tables import ChangeRequest, IssueRow


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
