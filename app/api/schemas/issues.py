"""Issues and change requests over the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.api.schemas.parts import Answer, Body, Moment, Prose, Tag, Title
from app.api.schemas.runs import DeliveryOut


class NewIssue(Body):
    """The body of `POST /projects/{id}/issues`."""

    title: Title
    body: Prose = Field(default="", max_length=256 * 1024)
    labels: list[Tag] = Field(default_factory=list, max_length=20)


class IssueChange(Body):
    """The body of `PATCH /projects/{id}/issues/{n}`."""

    title: Title | None = None
    body: Prose | None = Field(default=None, max_length=256 * 1024)
    labels: list[Tag] | None = Field(default=None, max_length=20)
    state: Literal["open", "closed"] | None = None


class IssueOut(Answer):
    """An issue of a project's tracker."""

    number: int
    title: str
    body: str
    labels: list[str]
    state: Literal["open", "closed"]
    ready: bool
    claimable: bool
    hold: str | None = None
    url: str | None = None


class Issues(Answer):
    """A project's issues, lowest number first."""

    items: list[IssueOut]


class ChangeOut(DeliveryOut):
    """A change request of the built-in tracker."""

    title: str
    body: str = ""
    base: str
    run_id: str | None = None
    closes: int | None = None
    merged_sha: str | None = None
    created_at: Moment
    ended_at: Moment | None = None


class Changes(Answer):
    """A project's change requests, newest first."""

    items: list[ChangeOut]
