"""The projects and their built-in tracker: issues and change requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import case, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from app.domain.words import PAUSE_THRESHOLD
from app.records.database import Transaction
from app.records.feed import ProjectChanged
from app.records.routing import Stores
from app.records.tables import ChangeRequest, IssueRow, Project, Run


class NameInUse(Exception):
    """Another project has this name."""


class ProjectLedger:
    """Every project, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def find(self, project_id: str) -> Project | None:
        """The project with this id."""
        with self.stores.control.reading() as session:
            return session.get(Project, project_id)

    def find_named(self, name: str) -> Project | None:
        """The project with this name, archived or not."""
        with self.stores.control.reading() as session:
            return session.exec(select(Project).where(Project.name == name)).first()

    def all(self) -> list[Project]:
        """Every project by name, archived ones too."""
        with self.stores.control.reading() as session:
            return list(session.exec(select(Project).order_by(col(Project.name))).all())

    def swept(self) -> list[Project]:
        """The projects whose loop is on and neither paused nor archived, by id."""
        query = select(Project).where(
            col(Project.auto_enabled).is_(True),
            col(Project.archived_at).is_(None),
            col(Project.strikes) < PAUSE_THRESHOLD,
        )
        with self.stores.control.reading() as session:
            return list(session.exec(query.order_by(col(Project.id))).all())

    def insert(self, project: Project) -> None:
        """Register a project. Raises NameInUse."""
        try:
            with self.stores.control.transaction() as tx:
                tx.add(project)
                tx.announce(ProjectChanged(project.id))
        except IntegrityError as error:
            raise NameInUse(project.name) from error

    def change(self, project_id: str, **columns: Any) -> Project | None:
        """Write columns of a project; the new row. Raises NameInUse."""
        try:
            with self.stores.control.transaction() as tx:
                changed = tx.scalars(
                    update(Project)
                    .where(col(Project.id) == project_id)
                    .values(**columns)
                    .returning(Project)
                ).one_or_none()
                tx.announce(ProjectChanged(project_id))
                return changed
        except IntegrityError as error:
            raise NameInUse(str(columns.get("name"))) from error

    def archive(self, project_id: str, now: datetime) -> Project | None:
        """Archive a project; None where a run of this store is open, however lately accepted."""
        open_run = select(Run.id).where(
            Run.project_id == project_id, col(Run.released_at).is_(None)
        )
        with self.stores.control.transaction() as tx:
            tx.announce(ProjectChanged(project_id))
            return tx.scalars(
                update(Project)
                .where(col(Project.id) == project_id, ~open_run.exists())
                .values(archived_at=now)
                .returning(Project)
            ).one_or_none()

    def clear_strikes(self, tx: Transaction, project_id: str) -> None:
        """Set the count to zero; a pause ends with it."""
        tx.execute(
            update(Project)
            .where(col(Project.id) == project_id)
            .values(strikes=0, paused_because=None)
        )
        tx.announce(ProjectChanged(project_id))

    def add_strike(self, tx: Transaction, project_id: str, because: str) -> None:
        """Count one failure, in SQL, so that no two counts can be lost in each other.

        `because` is what the pause says of itself where this strike begins or goes on with one.
        """
        counted = col(Project.strikes) + 1
        tx.execute(
            update(Project)
            .where(col(Project.id) == project_id)
            .values(
                strikes=counted,
                paused_because=case((counted >= PAUSE_THRESHOLD, because), else_=None),
            )
        )
        tx.announce(ProjectChanged(project_id))


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
