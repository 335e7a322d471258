"""Schemas of the inbox and the report."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.api.schemas.parts import Answer, Body, Dollars, Moment, NoNul
from app.domain.review.inbox import Group, ItemKind
from app.domain.words import MergeWait


class ChangeFactsOut(Answer):
    """Facts about an open change request, for its row."""

    branch: str
    base: str
    agent: str | None = None
    model: str | None = None
    commits: int
    files_changed: int
    additions: int
    deletions: int
    draft: bool
    checks: int = Field(description="Required checks of the last round.")
    red: int = Field(description="Those of them that did not pass.")
    cost_usd: Dollars | None = Field(
        default=None, description="Cost of all runs that worked on it; null if none reported one."
    )
    cost_unknown: int = Field(default=0, description="Those of them that did not report theirs.")
    conflicts: list[str] | None = Field(
        default=None, description="Files in which its merge conflicts; null while unknown."
    )
    ci_failed: bool = Field(default=False, description="CI of its forge failed on its head.")
    reviews_waiting: int = Field(
        default=0, description="Review comments at its forge that no run works through."
    )
    merge_waits: MergeWait | None = Field(
        default=None, description="What its forge waits for before it merges by itself."
    )
    merge_note: str | None = Field(
        default=None, description="Why its forge will not merge it by itself after all."
    )


class InboxItem(Answer):
    """One thing that waits for a person."""

    id: str
    kind: ItemKind
    group: Group
    project_id: str | None = Field(
        default=None, description="Null for what concerns all projects, such as a full disk."
    )
    title: str
    sentence: str
    at: Moment = Field(description="Since when it waits.")
    action: str = Field(description="The words of its main action.")
    url: str = Field(description="The path of its page.")
    run_id: str | None = None
    change: int | None = Field(default=None, description="Number of the change request.")
    issue: int | None = None
    approval: str | None = Field(
        default=None, description="What waits for an approval; see `/approvals`."
    )
    until: Moment | None = Field(
        default=None, description="When it resolves itself, such as a usage limit that ends."
    )
    facts: ChangeFactsOut | None = Field(default=None, description="Of a change request.")
    unread: bool = Field(default=False, description="Whether you have not read it yet.")


class InboxCounts(Answer):
    """How many items each group has."""

    attention: int = 0
    review: int = 0
    parked: int = 0


class InboxOut(Answer):
    """Everything that waits for a person, by group, newest first in each."""

    items: list[InboxItem]
    counts: InboxCounts


class ReadBody(Body):
    """The items to mark as read: those of these ids, or all (null)."""

    ids: list[Annotated[str, Field(max_length=1000), NoNul]] | None = Field(
        default=None, max_length=500
    )


class UnreadOut(Answer):
    """The items that you have not read."""

    unread: int
    ids: list[str]


class ReportSums(Answer):
    """Sums of the runs that ended; `failed` counts died, timed out and not started ones."""

    delivered: int
    failed: int
    waiting_for_limit: int = Field(description="Runs that wait for an account at its limit now.")
    agent_seconds: float
    cost_usd: Dollars | None = Field(default=None, description="Null if no run reported a cost.")
    cost_unknown: int = Field(description="Runs that began and did not report a cost.")


class ProjectReportOut(ReportSums):
    """A project's part of a report."""

    project_id: str
    project_name: str


class ReportOfRuns(ReportSums):
    """The sums of the runs that ended since a moment, in all and by project."""

    since: Moment
    until: Moment
    projects: list[ProjectReportOut]
