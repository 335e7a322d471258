"""The built-in tracker: issues, what is said on them, and change requests."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import String, Text, cast, func, literal_column, update
from sqlmodel import col, select

from app.records.database.database import Transaction
from app.records.feed import ProjectChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import ChangeRequest, IssueComment, IssueRow, Project

_Id = TypeVar("_Id", str, int)


BATCH = 500
# in the words of the indexes, which SQLite uses for these alone
OPEN = literal_column("'open'", String)


class Overtaken(Exception):
    """Somebody else has changed the issue meanwhile; `row` is how it stands."""

    def __init__(self, row: IssueRow) -> None:
        self.row = row
        super().__init__(f"issue {row.number} was changed meanwhile")


class TrackerLedger:
    """Issues and change requests; numbers are per project and shared by both."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def issue(self, project_id: str, number: int) -> IssueRow | None:
        """One issue."""
        with self.stores.control.reading() as session:
            return session.get(IssueRow, (project_id, number))

    def issues(self, project_id: str) -> list[IssueRow]:
        """A project's issues, lowest number first."""
        query = select(IssueRow).where(IssueRow.project_id == project_id)
        with self.stores.control.reading() as session:
            return list(session.exec(query.order_by(col(IssueRow.number))).all())

    def count_open(self, project_id: str) -> tuple[int, int]:
        """How many issues and how many change requests of a project are open."""
        counts = (
            select(func.count()).where(kind.project_id == project_id, col(kind.state) == OPEN)
            for kind in (IssueRow, ChangeRequest)
        )
        with self.stores.control.reading() as session:
            issues, changes = (session.exec(query).one() for query in counts)
        return issues, changes

    def add_issue(
        self, project_id: str, *, title: str, body: str, labels: list[str], now: datetime
    ) -> IssueRow:
        """Write an issue under the project's next number."""
        with self.stores.control.transaction() as tx:
            issue = IssueRow(
                project_id=project_id,
                number=_take_number(tx, project_id),
                title=title,
                body=body,
                labels=labels,
                created_at=now,
            )
            tx.add(issue)
            record(tx, f"{project_id}/issues/{issue.number}", after={"title": title})
            tx.announce(ProjectChanged(project_id))
        return issue

    def change_issue(
        self,
        project_id: str,
        number: int,
        now: datetime,
        *,
        was: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> IssueRow | None:
        """Write columns of an issue; the new row, None where there is no such issue.

        `was` is what the writer believes stands there. Raises Overtaken where it does not.
        """
        with self.stores.control.transaction() as tx:
            row = tx.get(IssueRow, (project_id, number), with_for_update=True)
            if row is None:
                return None
            if any(getattr(row, name) != value for name, value in (was or {}).items()):
                tx.expunge(row)
                raise Overtaken(row)
            told = {name: columns[name] for name in columns if name != "body"}
            record(tx, before={name: getattr(row, name) for name in told}, after=told)
            state = columns.get("state", row.state)
            if state != row.state:
                row.closed_at = now if state == "closed" else None
            for name, value in columns.items():
                setattr(row, name, value)
            tx.announce(ProjectChanged(project_id))
        return row

    # --- what many projects have, by few questions -----------------------------------------------

    def ready_of(self, project_ids: Collection[str], label: str) -> dict[str, list[Any]]:
        """Open issues with a label, lowest number first, by project."""
        found: dict[str, list[Any]] = {}
        # the text of the column only narrows the search: what the labels are is asked of the rows
        hint = cast(col(IssueRow.labels), Text).contains(json.dumps(label), autoescape=True)
        for some in batched(project_ids):
            query = (
                select(IssueRow.__table__)  # type: ignore[attr-defined]
                .where(col(IssueRow.project_id).in_(some), col(IssueRow.state) == OPEN, hint)
                .order_by(col(IssueRow.project_id), col(IssueRow.number))
            )
            with self.stores.control.reading() as session:
                for row in session.execute(query):
                    if label in row.labels:
                        found.setdefault(row.project_id, []).append(row)
        return found

    def open_numbers_of(self, project_ids: Collection[str]) -> dict[str, set[int]]:
        """Numbers of open issues, by project."""
        found: dict[str, set[int]] = {}
        for some in batched(project_ids):
            query = select(IssueRow.project_id, IssueRow.number).where(
                col(IssueRow.project_id).in_(some), col(IssueRow.state) == OPEN
            )
            with self.stores.control.reading() as session:
                for project_id, number in session.exec(query):
                    found.setdefault(project_id, set()).add(number)
        return found

    def numbers_among(self, project_id: str, numbers: Collection[int]) -> set[int]:
        """Which of these numbers an issue or a change request has, open or not."""
        found: set[int] = set()
        for some in batched(numbers):
            for table in (IssueRow, ChangeRequest):
                query = select(table.number).where(
                    table.project_id == project_id, col(table.number).in_(some)
                )
                with self.stores.control.reading() as session:
                    found.update(session.exec(query))
        return found

    def open_changes_of(self, project_ids: Collection[str]) -> dict[str, dict[str, int]]:
        """Numbers of open change requests by branch, by project."""
        found: dict[str, dict[str, int]] = {}
        for some in batched(project_ids):
            query = select(
                ChangeRequest.project_id, ChangeRequest.branch, ChangeRequest.number
            ).where(col(ChangeRequest.project_id).in_(some), col(ChangeRequest.state) == OPEN)
            with self.stores.control.reading() as session:
                for project_id, branch, number in session.exec(query):
                    found.setdefault(project_id, {})[branch] = number
        return found

    # --- what is said on an issue ----------------------------------------------------------------

    def comments(self, project_id: str, number: int) -> list[IssueComment]:
        """What was said on an issue, oldest first."""
        query = select(IssueComment).where(
            IssueComment.project_id == project_id, IssueComment.number == number
        )
        with self.stores.control.reading() as session:
            return list(session.exec(query.order_by(col(IssueComment.id))).all())

    def add_comment(self, comment: IssueComment) -> IssueComment:
        """Say something on an issue that is there."""
        with self.stores.control.transaction() as tx:
            tx.add(comment)
            record(tx)
            tx.announce(ProjectChanged(comment.project_id))
        return comment

    # --- change requests -------------------------------------------------------------------------

    def changes(self, project_id: str) -> list[ChangeRequest]:
        """A project's change requests, newest first."""
        query = select(ChangeRequest).where(ChangeRequest.project_id == project_id)
        with self.stores.control.reading() as session:
            return list(session.exec(query.order_by(col(ChangeRequest.number).desc())).all())

    def change(self, project_id: str, number: int) -> ChangeRequest | None:
        """One change request."""
        with self.stores.control.reading() as session:
            return session.get(ChangeRequest, (project_id, number))

    def change_of_run(self, run_id: str) -> ChangeRequest | None:
        """The change request that a run opened."""
        with self.stores.control.reading() as session:
            return session.exec(select(ChangeRequest).where(ChangeRequest.run_id == run_id)).first()

    def open_change(self, **columns: Any) -> ChangeRequest:
        """Open a change request under the project's next number, or answer the run's own."""
        project_id, run_id = columns["project_id"], columns["run_id"]
        with self.stores.control.transaction() as tx:
            known = tx.scalars(select(ChangeRequest).where(ChangeRequest.run_id == run_id)).first()
            if known is not None:
                return known
            opened = ChangeRequest(number=_take_number(tx, project_id), **columns)
            tx.add(opened)
            tx.announce(ProjectChanged(project_id))
        return opened

    def end_change(
        self, project_id: str, number: int, *, state: str, now: datetime, merged_sha: str | None
    ) -> ChangeRequest | None:
        """Close an open change request, merged or not, with the issue it closes when merged."""
        with self.stores.control.transaction() as tx:
            ended = tx.scalars(
                update(ChangeRequest)
                .where(
                    col(ChangeRequest.project_id) == project_id,
                    col(ChangeRequest.number) == number,
                    col(ChangeRequest.state) == "open",
                )
                .values(state=state, ended_at=now, merged_sha=merged_sha)
                .returning(ChangeRequest)
            ).one_or_none()
            if ended is not None:
                record(tx, before={"state": "open"}, after={"state": state})
            if ended is not None and state == "merged" and ended.closes is not None:
                tx.execute(
                    update(IssueRow)
                    .where(
                        col(IssueRow.project_id) == project_id,
                        col(IssueRow.number) == ended.closes,
                        col(IssueRow.state) == "open",
                    )
                    .values(state="closed", closed_at=now)
                )
            tx.announce(ProjectChanged(project_id))
            return ended


def batched(ids: Collection[_Id]) -> Iterator[list[_Id]]:
    """The ids in pieces that one statement can name."""
    rest = iter(ids)
    while some := list(islice(rest, BATCH)):
        yield some


def _take_number(tx: Transaction, project_id: str) -> int:
    taken = tx.scalars(
        update(Project)
        .where(col(Project.id) == project_id)
        .values(next_number=col(Project.next_number) + 1)
        .returning(col(Project.next_number))
    ).one()
    return taken - 1


def newest_ended(stores: Stores, *, limit: int) -> list[ChangeRequest]:
    """Change requests that were merged or closed, the latest first."""
    query = select(ChangeRequest).where(ChangeRequest.state != "open")
    query = query.order_by(col(ChangeRequest.ended_at).desc()).limit(limit)
    with stores.control.reading() as session:
        return list(session.exec(query).all())


def undecided(stores: Stores, project_id: str) -> list[ChangeRequest]:
    """A project's change requests that are open, the oldest first."""
    query = select(ChangeRequest).where(
        ChangeRequest.project_id == project_id, ChangeRequest.state == "open"
    )
    with stores.control.reading() as session:
        return list(session.exec(query.order_by(col(ChangeRequest.number))).all())
