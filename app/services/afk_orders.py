"""What AFK runs are ordered as, and what is asked once more when they are accepted."""

from __future__ import annotations

from sqlmodel import Session

from app.domain.words import READY_LABEL, Depth
from app.errors import IssueClosed
from app.records.spans import control_of
from app.records.tables import IssueRow, Project
from app.services.trigger import Order, Still


class HeldBack(Exception):
    """Something changed between the decision and the transaction: nothing is started."""


def order_of(project_id: str, issue: int | None, asked: str) -> Order:
    """An AFK run of an issue; under one key, what was asked is what counts, not what was picked."""
    return Order(
        project_id=project_id,
        depth=Depth.STANDARD,
        framework="auto",
        issue=issue,
        asked_as=f"{asked} {issue or 'lowest'}",
    )


def is_open(number: int) -> Still:
    """An issue that a person chose is still open."""

    def still(session: Session, project: Project) -> None:
        issue = control_of(session).get(IssueRow, (project.id, number))
        if issue is not None and issue.state != "open":
            raise IssueClosed(f"Issue #{number} is closed.")

    return still


def is_ready(number: int) -> Still:
    """An issue that was picked is still open and labelled."""

    def still(session: Session, project: Project) -> None:
        issue = control_of(session).get(IssueRow, (project.id, number))
        if issue is not None and (issue.state != "open" or READY_LABEL not in issue.labels):
            raise HeldBack(f"#{number} is not ready any more")

    return still
