"""Issues with the reason why each is not started now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from app.domain.issues import IssueFacts, blockers_of, branch_of_issue, issue_hold, notes_of
from app.domain.names import TakenNames
from app.domain.words import READY_LABEL, Priority
from app.records.tables import Project
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


@dataclass(frozen=True)
class Around:
    """Claims, runs and changes of a project; `claims` is None if they could not be read."""

    claims: TakenNames | None
    running: Collection[int]
    changes: Mapping[str, int]


def hold_of(
    project: Project, issue: Issue, around: Around, open_numbers: Collection[int]
) -> str | None:
    """Return why an issue is not started now, None if it may be."""
    branch = branch_of_issue(project.branch_pattern, issue.number)
    standing = around.claims.in_the_way_of(branch) if around.claims else None
    facts = IssueFacts(
        number=issue.number,
        body=issue.body,
        labels=issue.labels,
        is_open=issue.state == "open",
        branch=branch,
        branch_exists=None if around.claims is None else standing == branch,
        has_open_run=issue.number in around.running,
        open_change=around.changes.get(branch),
        in_the_way=standing,
        dependencies=issue.dependencies,
        blocked_elsewhere=issue.blocked_elsewhere,
        doubt=issue.doubt,
    )
    return issue_hold(facts, open_numbers)


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
