"""Schemas of AFK runs, the auto loop and parked work."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.parts import Answer, Body, BranchName, KeyedBody, Moment, Number


class AfkStart(KeyedBody):
    """The body of `POST /projects/{id}/afk/start`; without an issue, the first starts."""

    issue: Number | None = None


class AutoSwitch(Body):
    """The body of `PUT /projects/{id}/afk/auto`."""

    enabled: bool


class WouldStart(Answer):
    """A run that the next sweep would start."""

    issue: int


class IssueHold(Answer):
    """An issue that is not started now, and why."""

    issue: int
    because: str


class NextPlan(Answer):
    """The next sweep's plan for a project, with its reasons."""

    would: WouldStart | None
    because: str
    holds: list[IssueHold]


class StateOut(Answer):
    """The newest known commit of a project's base, and what a person has to look at there."""

    commit: str | None = Field(description="Null while the repository is being cloned.")
    trusted_commit: str | None = Field(
        default=None, description="The commit that a person looked at last."
    )
    hold: str | None = Field(default=None, description="Why the loop waits for a person.")
    files: list[str] = Field(
        default_factory=list[str], description="Files for agents and hooks that differ, by path."
    )
    diff: str = Field(default="", description="The difference of these files, at most 2 MiB.")
    is_cut: bool = Field(default=False, description="The difference is longer than that.")


class TrustOrder(Body):
    """The body of `POST /projects/{id}/trust`."""

    commit: str = Field(
        pattern="^[0-9a-f]{40,64}$", description="The commit that a person looked at."
    )


class ParkedOut(Answer):
    """Kept work: what it holds, why, since when, and the size of its copy.

    `bytes` is null while the copy is being measured, or if it cannot be read. With `is_lock` only
    the issue is kept, until it is freed. With `needs_push_anyway` a push check refused the work; it
    is delivered only with `push_anyway`.
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
    """All kept work, oldest first."""

    items: list[ParkedOut]


class Discard(Body):
    """The body of `POST /parked/discard`; `confirm` repeats the branch if work would be lost."""

    project_id: str = Field(min_length=1, max_length=80)
    branch: BranchName
    confirm: str | None = Field(default=None, max_length=300)


class Discarded(Answer):
    """The deleted branch, and the number of runs that had it."""

    project_id: str
    branch: str
    runs: int
