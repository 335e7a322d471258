"""The rows of the issues board: issues of many projects with their runs and change requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, func, null
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select

from app.records.projects.forge_issue_ledger import read_listings
from app.records.projects.issue_queue import OPEN
from app.records.projects.tracker_ledger import OpenIssue, batched
from app.records.stores.routing import Stores
from app.records.tables import (
    ChangeRequest,
    ForgeIssue,
    ForgeListing,
    ForgeServer,
    IssueRow,
    IssueText,
    Run,
)

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


class AtForge(NamedTuple):
    """Columns that only an issue of a forge has."""

    url: str | None
    assignees: list[str]
    milestone: str
    dependencies: list[int]
    blocked_elsewhere: list[str]
    stranger: str
    updated_at: datetime


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
    maps a closed issue to the change request that closed it. `at_forge` has the issues that a
    forge keeps, `texts` their texts that count, `listings` how the lists of their projects stand,
    `forges` the forges' addresses.
    """

    open: list[OpenIssue]
    closed: list[ClosedIssue] = field(default_factory=list[ClosedIssue])
    closed_counts: Counter[str] = field(default_factory=Counter[str])
    merged: dict[Key, int] = field(default_factory=dict[Key, int])
    runs: dict[Key, IssueRun] = field(default_factory=dict[Key, IssueRun])
    at_forge: dict[Key, AtForge] = field(default_factory=dict[Key, AtForge])
    texts: dict[Key, IssueText] = field(default_factory=dict[Key, IssueText])
    listings: dict[str, ForgeListing] = field(default_factory=dict[str, ForgeListing])
    forges: dict[str, str] = field(default_factory=dict[str, str])


def read_board(
    stores: Stores,
    session: Session,
    project_ids: Collection[str],
    elsewhere: Collection[str] = (),
    *,
    closed: int,
) -> BoardRows:
    """Read the open issues of these projects, and at most `closed` closed ones, newest first.

    `elsewhere` are those of them whose issues a forge keeps.
    """
    here = [one for one in project_ids if one not in elsewhere]
    opened, ended = _open(session, IssueRow, here), _newest_closed(session, IssueRow, here, closed)
    counts = _closed_counts(session, IssueRow, here)
    at_forge: dict[Key, AtForge] = {}
    if elsewhere:
        opened += _open(session, ForgeIssue, elsewhere)
        ended += _newest_closed(session, ForgeIssue, elsewhere, closed)
        ended = _newest(ended, closed)
        counts.update(_closed_counts(session, ForgeIssue, elsewhere))
        kept_there = [one for one in (*opened, *ended) if one.project_id in elsewhere]
        at_forge = _at_forge(session, elsewhere, kept_there)
    return BoardRows(
        opened,
        ended,
        counts,
        _merged(session, ended),
        _runs(stores, session, project_ids),
        at_forge,
        _texts(session, elsewhere),
        read_listings(session) if elsewhere else {},
        dict(session.exec(select(ForgeServer.id, ForgeServer.url)).all()) if elsewhere else {},
    )


def _open(
    session: Session, table: type[IssueRow | ForgeIssue], project_ids: Collection[str]
) -> list[OpenIssue]:
    # a forge keeps no order of its own
    columns = [getattr(table, name, null()) for name in OpenIssue._fields]
    found: list[OpenIssue] = []
    for some in batched(project_ids):
        query = Select[*tuple[Any, ...]](*columns).where(
            col(table.project_id).in_(some), col(table.state) == OPEN
        )
        found += map(OpenIssue._make, session.exec(query))
    return found


def _newest_closed(
    session: Session,
    table: type[IssueRow | ForgeIssue],
    project_ids: Collection[str],
    limit: int,
) -> list[ClosedIssue]:
    columns = [col(getattr(table, name)) for name in ClosedIssue._fields]
    found: list[ClosedIssue] = []
    for some in batched(project_ids):
        query = (
            Select[*tuple[Any, ...]](*columns)
            .where(col(table.project_id).in_(some), col(table.state) == "closed")
            .order_by(col(table.closed_at).desc(), col(table.number).desc())
            .limit(limit)
        )
        found += map(ClosedIssue._make, session.exec(query))
    return _newest(found, limit)


def _newest(found: list[ClosedIssue], limit: int) -> list[ClosedIssue]:
    found.sort(key=lambda row: (row.closed_at or row.created_at, row.number), reverse=True)
    return found[:limit]


def _at_forge(
    session: Session, project_ids: Collection[str], shown: Collection[OpenIssue | ClosedIssue]
) -> dict[Key, AtForge]:
    names = ("project_id", "number", *AtForge._fields)
    columns = [col(getattr(ForgeIssue, name)) for name in names]
    closed = {(one.project_id, one.number) for one in shown if isinstance(one, ClosedIssue)}
    found: dict[Key, AtForge] = {}
    for some in batched(project_ids):
        mine = Select[*tuple[Any, ...]](*columns).where(col(ForgeIssue.project_id).in_(some))
        for row in session.exec(mine.where(col(ForgeIssue.state) == OPEN)):
            found[row[0], row[1]] = AtForge._make(row[2:])
    for numbers in batched({number for _, number in closed}):
        of_these = Select[*tuple[Any, ...]](*columns).where(
            col(ForgeIssue.project_id).in_({one for one, _ in closed}),
            col(ForgeIssue.number).in_(numbers),
        )
        for row in session.exec(of_these):
            if (row[0], row[1]) in closed:
                found[row[0], row[1]] = AtForge._make(row[2:])
    return found


def _texts(session: Session, project_ids: Collection[str]) -> dict[Key, IssueText]:
    """Return the texts that count of open issues at forges."""
    is_its = (
        col(ForgeIssue.project_id) == IssueText.project_id,
        col(ForgeIssue.number) == IssueText.number,
    )
    found: dict[Key, IssueText] = {}
    for some in batched(project_ids):
        query = select(IssueText).join(ForgeIssue, and_(*is_its))
        query = query.where(col(ForgeIssue.project_id).in_(some), col(ForgeIssue.state) == OPEN)
        found |= {(one.project_id, one.number): one for one in session.exec(query).all()}
    return found


def _closed_counts(
    session: Session, table: type[IssueRow | ForgeIssue], project_ids: Collection[str]
) -> Counter[str]:
    found: Counter[str] = Counter()
    for some in batched(project_ids):
        query = (
            select(table.project_id, func.count())
            .where(col(table.project_id).in_(some), col(table.state) == "closed")
            .group_by(col(table.project_id))
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
