"""Issues with the reason why each is not started now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.issues import blockers_of, notes_of
from app.domain.words import READY_LABEL, Priority
from app.services.ports import Issue


@dataclass(frozen=True)
class IssueView:
    """An issue with its readiness; `hold` says why it is not claimable.

    `unknown_blockers` are numbers that it names as blockers but the tracker does not have.
    """

    number: int
    title: str
    body: str
    labels: list[str]
    state: str
    ready: bool
    hold: str | None
    url: str | None = None
    created_at: datetime | None = None
    closed_at: datetime | None = None
    unknown_blockers: tuple[int, ...] = ()
    priority: str = Priority.NORMAL
    rank: int | None = None
    dependencies: tuple[int, ...] = ()
    assignees: tuple[str, ...] = ()
    milestone: str = ""
    as_of: datetime | None = None

    @property
    def blocked_by(self) -> list[int]:
        """The numbers that its text, and its forge beside that, name as blockers."""
        return list(dict.fromkeys([*blockers_of(self.body), *self.dependencies]))

    @property
    def notes(self) -> list[str]:
        """Sentences about what people should know of it."""
        return notes_of(self.unknown_blockers)

    @property
    def claimable(self) -> bool:
        """True if a run could claim it now."""
        return self.ready and self.hold is None


def view_of(issue: Issue, hold: str | None, unknown: tuple[int, ...]) -> IssueView:
    """Return an issue with its readiness."""
    return IssueView(
        number=issue.number,
        title=issue.title,
        body=issue.body,
        labels=list(issue.labels),
        state=issue.state,
        ready=issue.state == "open" and READY_LABEL in issue.labels,
        hold=hold,
        url=issue.url,
        created_at=issue.created_at,
        closed_at=issue.closed_at,
        unknown_blockers=unknown,
        priority=issue.priority,
        rank=issue.rank,
        dependencies=issue.dependencies,
        assignees=issue.assignees,
        milestone=issue.milestone,
    )
