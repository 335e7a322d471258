"""Schemas of AFK runs, the auto loop and parked work."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.parts import Answer, Body, BranchName, KeyedBody, Moment, Number


class AfkStart(KeyedBody):
    """The body of `POST /projects/{id}/afk/start`; without an issue the lowest is taken."""

    issue: Number | None = None


class AutoSwitch(Body):
    """The body of `PUT /projects/{id}/afk/auto`."""

    enabled: bool


class WouldStart(Answer):
    """A run that the next sweep would start."""

    issue: int


class IssueHold(Answer):
    """Why an issue is not being started."""

    issue: int
    because: str


class NextPlan(Answer):
    """The next sweep's plan for a project, with its reasons."""

    would: WouldStart | None
    because: str
    holds: list[IssueHold]


class ParkedOut(Answer):
    """Work that is kept: what it holds, why, since when, and how large its copy is.

    `bytes` is null while the copy is being measured, and where it cannot be read. With `is_lock`
    nothing is kept but the issue, which waits until it is freed. With `needs_push_anyway` it was
    kept from being pushed, and is delivered only by somebody who says `push_anyway`.
    """

    project_id: str
    project_name: str = ""
    branch: str
    run_id: str
    issue: int | None = None
    holds: str
    because: str
    kept_since: Moment
    age_seconds: int
    bytes: int | None = None
    can_deliver: bool = False
    needs_push_anyway: bool = False
    is_lock: bool = False


class Parked(Answer):
    """Everything that is kept, oldest first."""

    items: list[ParkedOut]


class Discard(Body):
    """The body of `POST /parked/discard`; `confirm` repeats the branch where work would be lost."""

    project_id: str = Field(min_length=1, max_length=80)
    branch: BranchName
    confirm: str | None = Field(default=None, max_length=300)


class Discarded(Answer):
    """The branch that was deleted, and how many runs it was of."""

    project_id: str
    branch: str
    runs: int
