"""The built-in tracker's ledger: issues, comments and change requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Text, cast, func, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from app.domain.issues import blockers_of
from app.domain.words import AfterClose, Priority
from app.records.database.database import Transaction
from app.records.feed import ChangeDelivered, ProjectChanged
from app.records.people.approval_ledger import ENDED_ALREADY, withdraw_merges
from app.records.people.audit_ledger import record
from app.records.projects.change_ends import close_others, reopen, settle_issue
from app.records.projects.issue_queue import OPEN, Beside, leaves_place, lock_queue, take_place
from app.records.projects.landings import settle_landing
from app.records.stores.routing import Stores
from app.records.tables import ChangeRequest, IssueComment, IssueRow, Project

_Id = TypeVar("_Id", str, int)
BATCH = 500


class Overtaken(Exception):
    """The issue was changed by another writer; `row` is its current state."""

    def __init__(self, row: IssueRow) -> None:
        self.row = row
        super().__init__(f"issue {row.number} was changed by someone else")


class OpenIssue(NamedTuple):
    """The columns of an open issue, because rows of their class are slow to make for thousands."""

    project_id: str
    number: int
    title: str
    body: str
    labels: list[str]
    state: str
    created_at: datetime
    closed_at: datetime | None
    priority: str
    rank: int | None


class ReadyRows(NamedTuple):
    """Open issues with a label, and what may block them, by project.

    `open_numbers` is of the projects whose issues name blockers; `changes` maps each branch to its
    open change request.
    """

    issues: dict[str, list[OpenIssue]]
    open_numbers: dict[str, set[int]]
    changes: dict[str, dict[str, int]]


class TrackerLedger:
    """Issues and change requests of all projects; both share one numbering per project."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def issue(self, project_id: str, number: int) -> IssueRow | None:
        """Return one issue, or None."""
        with self.stores.control.reading() as session:
            return session.get(IssueRow, (project_id, number))

    def issues(self, project_id: str) -> list[IssueRow]:
        """Return a project's issues, lowest number first."""
        query = select(IssueRow).where(IssueRow.project_id == project_id)
        with self.stores.control.reading() as session:
            return list(session.exec(query.order_by(col(IssueRow.number))).all())

    def count_open(self, project_id: str) -> tuple[int, int]:
        """Return how many issues and how many change requests of a project are open."""
        counts = (
            select(func.count()).where(kind.project_id == project_id, col(kind.state) == OPEN)
            for kind in (IssueRow, ChangeRequest)
        )
        with self.stores.control.reading() as session:
            issues, changes = (session.exec(query).one() for query in counts)
        return issues, changes

    def add_issue(
        self,
        project_id: str,
        *,
        title: str,
        body: str,
        labels: list[str],
        now: datetime,
        priority: str = Priority.NORMAL,
    ) -> IssueRow:
        """Create an issue with the project's next number."""
        with self.stores.control.transaction() as tx:
            issue = IssueRow(
                project_id=project_id,
                number=_take_number(tx, project_id),
                title=title,
                body=body,
                labels=labels,
                priority=priority,
                created_at=now,
            )
            tx.add(issue)
            record(tx, f"{project_id}/issues/{issue.number}", after={"title": title})
            tx.publish(ProjectChanged(project_id))
        return issue

    def change_issue(
        self,
        project_id: str,
        number: int,
        now: datetime,
        *,
        was: Mapping[str, Any] | None = None,
        place: Beside | None = None,
        **columns: Any,
    ) -> IssueRow | None:
        """Update columns of an issue; return the new row, or None if there is no such issue.

        `was` has the values that the writer last saw, `place` is where it goes in the queue.
        Raises Overtaken if those have changed, NoPlace.
        """
        with self.stores.control.transaction() as tx:
            if place is not None:
                # before the issue's own row: two people may move two issues
                lock_queue(tx, project_id)
            row = tx.get(IssueRow, (project_id, number), with_for_update=True)
            if row is None:
                return None
            if any(getattr(row, name) != value for name, value in (was or {}).items()):
                tx.expunge(row)
                raise Overtaken(row)
            if place is not None:
                columns |= take_place(tx, row, place, columns)
            elif leaves_place(row, columns):
                columns["rank"] = None
            told = {name: columns[name] for name in columns if name != "body"}
            record(tx, before={name: getattr(row, name) for name in told}, after=told)
            state = columns.get("state", row.state)
            if state != row.state:
                row.closed_at = now if state == "closed" else None
            for name, value in columns.items():
                setattr(row, name, value)
            tx.publish(ProjectChanged(project_id))
        return row

    # --- queries over many projects --------------------------------------------------------------

    def ready_of(self, project_ids: Collection[str], label: str) -> ReadyRows:
        """Return the open issues with a label, and what may block them, in one session."""
        with self.stores.control.reading() as session:
            issues = _labelled(session, project_ids, label)
            naming = [one for one in issues if any(blockers_of(row.body) for row in issues[one])]
            numbers, changes = _open_numbers(session, naming), _open_changes(session, issues)
        return ReadyRows(issues, numbers, changes)

    def open_numbers_of(self, project_ids: Collection[str]) -> dict[str, set[int]]:
        """Return the numbers of open issues, by project."""
        with self.stores.control.reading() as session:
            return _open_numbers(session, project_ids)

    def numbers_among(self, project_id: str, numbers: Collection[int]) -> set[int]:
        """Return those of `numbers` that belong to an issue or a change request, open or not."""
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
        """Return the numbers of open change requests, by project and branch."""
        with self.stores.control.reading() as session:
            return _open_changes(session, project_ids)

    # --- comments --------------------------------------------------------------------------------

    def comments(self, project_id: str, number: int) -> list[IssueComment]:
        """Return an issue's comments, oldest first."""
        with self.stores.control.reading() as session:
            return list(session.exec(_comments_of(project_id, number)).all())

    def said_about(
        self, project_id: str, number: int
    ) -> tuple[list[IssueComment], list[ChangeRequest]]:
        """Return an issue's comments, and its change requests that were closed unmerged."""
        closed = select(ChangeRequest).where(
            ChangeRequest.project_id == project_id,
            ChangeRequest.closes == number,
            ChangeRequest.state == "closed",
        )
        with self.stores.control.reading() as session:
            return (
                list(session.exec(_comments_of(project_id, number)).all()),
                list(session.exec(closed.order_by(col(ChangeRequest.number))).all()),
            )

    def add_comment(
        self, comment: IssueComment, count: Callable[[Transaction], None] = lambda _: None
    ) -> IssueComment:
        """Add a comment to an existing issue, unless `count` raises."""
        with self.stores.control.transaction() as tx:
            count(tx)
            tx.add(comment)
            record(tx)
            tx.publish(ProjectChanged(comment.project_id))
        return comment

    # --- change requests -------------------------------------------------------------------------

    def changes(self, project_id: str) -> list[ChangeRequest]:
        """Return a project's change requests, newest first."""
        query = select(ChangeRequest).where(ChangeRequest.project_id == project_id)
        with self.stores.control.reading() as session:
            return list(session.exec(query.order_by(col(ChangeRequest.number).desc())).all())

    def change(self, project_id: str, number: int) -> ChangeRequest | None:
        """Return one change request, or None."""
        with self.stores.control.reading() as session:
            return session.get(ChangeRequest, (project_id, number))

    def change_of_run(self, run_id: str) -> ChangeRequest | None:
        """Return the change request that a run opened, or None."""
        with self.stores.control.reading() as session:
            return session.exec(select(ChangeRequest).where(ChangeRequest.run_id == run_id)).first()

    def open_change(self, **columns: Any) -> ChangeRequest:
        """Open a change request with the project's next number, or return the known one.

        A run has one, and a merged change has at most one open one that reverts it. One that a
        forge opened brings its `number`; there no other one of its branch is open any more. It
        may be that of an earlier run, which people opened again there.
        """
        project_id = columns["project_id"]
        with self.stores.control.transaction() as tx:
            known = tx.scalars(_known_change(columns)).first()
            if known is not None:
                return known
            if "number" in columns:
                close_others(tx, columns)
                known = tx.get(ChangeRequest, (project_id, columns["number"]))
                if known is not None:
                    reopen(tx, known, columns)
                opened = known or ChangeRequest(**columns)
            else:
                opened = ChangeRequest(number=_take_number(tx, project_id), **columns)
            tx.add(opened)
            if opened.reverts is not None:
                record(tx, after={"reverted_by": opened.number})
            tx.publish(ProjectChanged(project_id), ChangeDelivered(project_id))
        return opened

    def update_change(self, project_id: str, number: int, **columns: Any) -> ChangeRequest | None:
        """Update columns of an open change request; return the new row, None if it is not open."""
        with self.stores.control.transaction() as tx:
            updated = tx.scalars(
                update(ChangeRequest)
                .where(
                    col(ChangeRequest.project_id) == project_id,
                    col(ChangeRequest.number) == number,
                    col(ChangeRequest.state) == "open",
                )
                .values(**columns)
                .returning(ChangeRequest)
            ).one_or_none()
            if updated is not None:
                tx.publish(ProjectChanged(project_id), ChangeDelivered(project_id))
            return updated

    def end_change(
        self,
        project_id: str,
        number: int,
        *,
        state: str,
        now: datetime,
        merged_sha: str | None,
        because: str | None = None,
        after: AfterClose | None = None,
    ) -> ChangeRequest | None:
        """End an open change request, and settle its issue; of a closed one, as `after` says.

        Returns None if it was not open.
        """
        with self.stores.control.transaction() as tx:
            ended = tx.scalars(
                update(ChangeRequest)
                .where(
                    col(ChangeRequest.project_id) == project_id,
                    col(ChangeRequest.number) == number,
                    col(ChangeRequest.state) == "open",
                )
                .values(
                    state=state,
                    ended_at=now,
                    merged_sha=merged_sha,
                    closed_because=because,
                    issue_after=after,
                )
                .returning(ChangeRequest)
            ).one_or_none()
            if ended is not None:
                told = {"state": state} | ({} if after is None else {"issue": after.value})
                record(tx, before={"state": "open"}, after=told)
                settle_landing(tx, ended, now)
                withdraw_merges(tx, project_id, number, now, ENDED_ALREADY)
                settle_issue(tx, ended, now)
            tx.publish(ProjectChanged(project_id))
            return ended


def batched(ids: Collection[_Id]) -> Iterator[list[_Id]]:
    """Split ids into lists that are short enough for one statement."""
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


def _known_change(columns: Mapping[str, Any]) -> SelectOfScalar[ChangeRequest]:
    if columns["run_id"] is not None:
        return select(ChangeRequest).where(ChangeRequest.run_id == columns["run_id"])
    return select(ChangeRequest).where(
        ChangeRequest.project_id == columns["project_id"],
        ChangeRequest.reverts == columns["reverts"],
        ChangeRequest.state == "open",
    )


def _comments_of(project_id: str, number: int) -> SelectOfScalar[IssueComment]:
    return (
        select(IssueComment)
        .where(IssueComment.project_id == project_id, IssueComment.number == number)
        .order_by(col(IssueComment.id))
    )


def _labelled(
    session: Session, project_ids: Collection[str], label: str
) -> dict[str, list[OpenIssue]]:
    """Return the open issues with a label, by project, lowest number first."""
    found: dict[str, list[OpenIssue]] = {}
    columns = [col(getattr(IssueRow, name)) for name in OpenIssue._fields]
    # LIKE on the JSON text only preselects; the labels themselves are compared below
    hint = cast(col(IssueRow.labels), Text).contains(json.dumps(label), autoescape=True)
    for some in batched(project_ids):
        query = (
            Select[*tuple[Any, ...]](*columns)
            .where(col(IssueRow.project_id).in_(some), col(IssueRow.state) == OPEN, hint)
            .order_by(col(IssueRow.project_id), col(IssueRow.number))
        )
        for row in map(OpenIssue._make, session.exec(query)):
            if label in row.labels:
                found.setdefault(row.project_id, []).append(row)
    return found


def _open_numbers(session: Session, project_ids: Collection[str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for some in batched(project_ids):
        query = select(IssueRow.project_id, IssueRow.number).where(
            col(IssueRow.project_id).in_(some), col(IssueRow.state) == OPEN
        )
        for project_id, number in session.exec(query):
            found.setdefault(project_id, set()).add(number)
    return found


def _open_changes(session: Session, project_ids: Collection[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for some in batched(project_ids):
        query = select(ChangeRequest.project_id, ChangeRequest.branch, ChangeRequest.number).where(
            col(ChangeRequest.project_id).in_(some), col(ChangeRequest.state) == OPEN
        )
        for project_id, branch, number in session.exec(query):
            found.setdefault(project_id, {})[branch] = number
    return found
