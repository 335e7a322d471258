"""The built-in tracker: issues, what is said on them, and change requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from app.records.database import Transaction
from app.records.feed import ProjectChanged
from app.records.routing import Stores
from app.records.tables import ChangeRequest, IssueRow, Project


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
            tx.announce(ProjectChanged(project_id))
        return issue

    def change_issue(self, project_id: str, number: int, **columns: Any) -> IssueRow | None:
        """Write columns of an issue; the new row."""
        with self.stores.control.transaction() as tx:
            tx.announce(ProjectChanged(project_id))
            return tx.scalars(
                update(IssueRow)
                .where(col(IssueRow.project_id) == project_id, col(IssueRow.number) == number)
                .values(**columns)
                .returning(IssueRow)
            ).one_or_none()

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


def _take_number(tx: Transaction, project_id: str) -> int:
    taken = tx.scalars(
        update(Project)
        .where(col(Project.id) == project_id)
        .values(next_number=col(Project.next_number) + 1)
        .returning(col(Project.next_number))
    ).one()
    return taken - 1
