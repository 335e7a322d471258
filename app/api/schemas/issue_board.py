"""Schemas of the issues of all projects."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.parts import Answer, Moment
from app.domain.tracker.issue_states import IssueState, Tone
from app.domain.words import Priority, Status


class BoardRun(Answer):
    """The open run of an issue."""

    id: str
    status: Status
    started_at: Moment | None = None
    budget_seconds: int


class BoardChange(Answer):
    """The size of an issue's open change request, and what its checks said."""

    additions: int
    deletions: int
    checks: int = Field(description="Required checks of the last round.")
    red: int = Field(description="Those of them that did not pass.")


class BoardIssueOut(Answer):
    """An issue of any project: its state, and what happens next with it."""

    project_id: str
    project_name: str
    number: int
    title: str
    labels: list[str]
    priority: Priority
    rank: int | None = None
    state: IssueState
    next: str = Field(description="What happens next, or why nothing does.")
    tone: Tone = Field(description="`limit`: it waits for one; `alarm`: a person is needed.")
    limit_until: Moment | None = Field(
        default=None, description="When the usage limit that it waits for ends, if that is known."
    )
    blocked_by: list[int] = Field(
        default_factory=list[int], description="Numbers that its text names as blockers."
    )
    may_run: bool = Field(description="A press of Run may start it now.")
    agent: str
    updated_at: Moment
    run: BoardRun | None = None
    run_id: str | None = Field(default=None, description="The run that it leads to.")
    change: int | None = Field(default=None, description="Number of its change request.")
    size: BoardChange | None = None
    url: str | None = Field(default=None, description="Its page at the forge that keeps it.")
    assignees: list[str] = Field(default_factory=list[str])
    milestone: str = ""
    as_of: Moment | None = Field(
        default=None, description="When it was read, if its forge has not answered since then."
    )


class BoardProjectOut(Answer):
    """How many issues a project has; null, which is not zero, while they are not known."""

    project_id: str
    name: str
    open: int | None
    closed: int | None
    because: str | None = Field(default=None, description="Why its issues are not known.")
    url: str | None = Field(default=None, description="Its issues at the forge that keeps them.")
    as_of: Moment | None = Field(
        default=None, description="When they were read, if the forge has not answered since then."
    )


class BoardOut(Answer):
    """The issues of all projects by state, each state in the order of its queue or newest first."""

    items: list[BoardIssueOut]
    counts: dict[IssueState, int] = Field(
        description="How many issues the filter lets through, by state, whatever `limit` is."
    )
    projects: list[BoardProjectOut]
