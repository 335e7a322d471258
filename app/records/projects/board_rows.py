"""The rows of the issues board: issues of many projects with their runs and change requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select

from app.records.projects.issue_queue import OPEN
from app.records.projects.tracker_ledger import OpenIssue, batched
from app.records.stores.routing import Stores
from app.records.tables import ChangeRequest, IssueRow, Run

# an issue is named by its project and its number
Key = tuple[str, int]


class ClosedIssue(NamedTuple):
    """The columns of a closed issue that the board shows."""

    project_id: str
    number: int
    title: str
    labels: list[str]
    priority: str
    created_at: datetime
    closed_at: datetime | None


class IssueRun(NamedTuple):
    """The columns of an open run for an issue."""

    id: str
    project_id: str
    issue: int
    status: str
    agent: str
    created_at: datetime
    started_at: datetime | None
    budget_seconds: int
    hold: str | None


@dataclass(frozen=True)
class BoardRows:
    """The rows of some projects, as one session saw them.

    `closed` are the newest closed issues, `closed_counts` how many there are by project; `merged`
    maps a closed issue to the change request that closed it.
    """

    open: list[OpenIssue]
    closed: list[ClosedIssue] = field(default_factory=list[ClosedIssue])
    closed_counts: Counter[str] = field(default_factory=Counter[str])
    merged: dict[Key, int] = field(default_factory=dict[Key, int])
    runs: dict[Key, IssueRun] = field(default_factory=dict[Key, IssueRun])


def read_board(
    stores: Stores, session: Session, project_ids: Collection[str], *, closed: int
) -> BoardRows:
    """Read the open issues of these projects, and at most `closed` closed ones, newest first."""
    ended = _newest_closed(session, project_ids, closed)
    return BoardRows(
        _open(session, project_ids),
        ended,
        _closed_counts(session, project_ids),
        _merged(session, ended),
        _runs(stores, session, project_ids),
    )


def _open(session: Session, project_ids: Collection[str]) -> list[OpenIssue]:
    columns = [col(getattr(IssueRow, name)) for name in OpenIssue._fields]
    found: list[OpenIssue] = []
    for some in batched(project_ids):
        query = Select[*tuple[Any, ...]](*columns).where(
            col(IssueRow.project_id).in_(some), col(IssueRow.state) == OPEN
        )
        found += map(OpenIssue._make, session.exec(query))
    return found


def _newest_closed(session: Session, project_ids: Collection[str], limit: int) -> list[ClosedIssue]:
    columns = [col(getattr(IssueRow, name)) for name in ClosedIssue._fields]
    found: list[ClosedIssue] = []
    for some in batched(project_ids):
        query = (
            Select[*tuple[Any, ...]](*columns)
            .where(col(IssueRow.project_id).in_(some), col(IssueRow.state) == "closed")
            .order_by(col(IssueRow.closed_at).desc(), col(IssueRow.number).desc())
            .limit(limit)
        )
        found += map(ClosedIssue._make, session.exec(query))
    found.sort(key=lambda row: (row.closed_at or row.created_at, row.number), reverse=True)
    return found[:limit]


def _closed_counts(session: Session, project_ids: Collection[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for some in batched(project_ids):
        query = (
            select(IssueRow.project_id, func.count())
            .where(col(IssueRow.project_id).in_(some), col(IssueRow.state) == "closed")
            .group_by(col(IssueRow.project_id))
        )
        found.update(dict(session.exec(query).all()))
    return found


def _merged(session: Session, issues: Collection[ClosedIssue]) -> dict[Key, int]:
    keys = {(one.project_id, one.number) for one in issues}
    found: dict[Key, int] = {}
    for numbers in batched({number for _, number in keys}):
        query = select(ChangeRequest.project_id, ChangeRequest.closes, ChangeRequest.number).where(
            col(ChangeRequest.closes).in_(numbers), ChangeRequest.state == "merged"
        )
        for project_id, closes, number in session.exec(query):
            if closes is not None and (project_id, closes) in keys:
                found[project_id, closes] = number
    return found


def _runs(stores: Stores, session: Session, project_ids: Collection[str]) -> dict[Key, IssueRun]:
    columns = [col(getattr(Run, name)) for name in IssueRun._fields]
    found: dict[Key, IssueRun] = {}
    for some in batched(project_ids):
        query = Select[*tuple[Any, ...]](*columns).where(
            col(Run.released_at).is_(None),
            col(Run.issue).is_not(None),
            col(Run.project_id).in_(some),
        )
        for row in map(IssueRun._make, stores.everywhere(query, session)):
            known = found.get((row.project_id, row.issue))
            if known is None or known.created_at < row.created_at:
                found[row.project_id, row.issue] = row
    return found
