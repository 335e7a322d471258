"""Schemas of approvals."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from app.api.schemas.parts import Answer, Body, Moment, NoNul
from app.domain.projects.approvals import MOST_WORDS, ApprovalKind, ApprovalState

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MOST_WORDS), NoNul]


class ApprovalAnswer(Body):
    """A person's approval, with a comment if there is something to say."""

    comment: Words = ""


class ApprovalRefusal(Body):
    """A person's refusal, with the reason."""

    comment: Words


class ApprovalAnswerOut(Answer):
    """The answer of one person."""

    person: str
    name: str = Field(description="The name of that person.")
    approves: bool
    comment: str
    at: Moment


class ApprovalOut(Answer):
    """A start or a merge that needs a person's approval."""

    id: str
    kind: ApprovalKind
    state: ApprovalState
    project_id: str
    project_name: str
    title: str
    run_id: str | None = Field(default=None, description="The run that is to start, or worked.")
    issue: int | None = None
    change: int | None = Field(default=None, description="Of a merge: its change request.")
    head_sha: str | None = Field(default=None, description="Of a merge: the commit it is for.")
    asked_by: str | None = Field(
        default=None, description="The person who started the run; null for the auto loop's."
    )
    asked_by_name: str | None = None
    needed: int = Field(description="How many approvals it needs.")
    approvals: int = Field(description="How many of them it has.")
    answers: list[ApprovalAnswerOut]
    because: str | None = Field(default=None, description="Why it ended as it did.")
    url: str = Field(description="The page of what is to be approved.")
    created_at: Moment
    expires_at: Moment
    ended_at: Moment | None = None


class ApprovalsPage(Answer):
    """A page of approvals, newest first."""

    items: list[ApprovalOut]
    next_cursor: str | None = None
    prev_cursor: str | None = None
