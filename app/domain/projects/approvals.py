"""Approvals: what a person has to agree to before it happens, and a project's rules about that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from app.domain.projects.setting import Kind, Part, ProjectSetting

APPROVAL_DAYS, MOST_DAYS = 7, 365
MOST_APPROVALS = 20
MOST_WORDS = 2000
# why a run is not being started while its approval is pending
WAITING = "Waiting for approval"


class ApprovalKind(StrEnum):
    """The deeds that may need an approval."""

    START = "start"
    MERGE = "merge"


class ApprovalState(StrEnum):
    """The state of an approval; `withdrawn` if what it was about is gone."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


APPROVAL_SETTINGS = (
    ProjectSetting(
        name="approve_start",
        kind=Kind.SWITCH,
        means="Whether a person has to approve each run before it starts",
        more="Only a run that resumes after a usage limit needs no approval again.",
        default=False,
        label="Before a run starts",
        hint="Whether a person approves each run first. It waits without taking a place.",
        part=Part.APPROVALS,
        labels={"no": "No approval", "yes": "A person approves it"},
    ),
    ProjectSetting(
        name="approve_merge",
        kind=Kind.NUMBER,
        means="How many people have to approve a change before it is merged",
        more="The person who started its run is not counted, and new commits need new approvals. "
        "0 needs none.",
        default=0,
        label="Approvals of a change",
        hint=f"How many people approve a change before it is merged, 0 to {MOST_APPROVALS}. Who "
        "started its run is not counted; new commits need new approvals.",
        part=Part.APPROVALS,
        least=0,
        most=MOST_APPROVALS,
    ),
    ProjectSetting(
        name="approval_days",
        kind=Kind.NUMBER,
        means="After how many days a pending approval expires",
        more="A run whose approval expired is stopped.",
        default=APPROVAL_DAYS,
        label="Days to answer",
        hint=f"After how many days a pending approval expires, 1 to {MOST_DAYS}.",
        part=Part.APPROVALS,
        beside=True,
        least=1,
        most=MOST_DAYS,
    ),
)


@dataclass(frozen=True)
class Answer:
    """A person's answer to an approval."""

    person: str
    approves: bool
    comment: str
    at: datetime

    def as_data(self) -> dict[str, Any]:
        """Return the answer as it is stored."""
        return {**vars(self), "at": self.at.isoformat()}


def read_answers(stored: Iterable[Mapping[str, Any]]) -> tuple[Answer, ...]:
    """Return answers as they are stored, the first one first."""
    return tuple(
        Answer(
            person=one["person"],
            approves=one["approves"],
            comment=one["comment"],
            at=datetime.fromisoformat(one["at"]),
        )
        for one in stored
    )


def approvers_of(answers: Iterable[Answer], *, but: str | None) -> frozenset[str]:
    """Return the people whose approval counts: all but the one who started the run."""
    return frozenset(one.person for one in answers if one.approves and one.person != but)


def expiry_of(since: datetime, days: int) -> datetime:
    """Return when an approval that was asked for at a moment expires."""
    return since + timedelta(days=days)


def needed_words(lacking: int, title: str) -> str:
    """Return why a change is not merged while approvals are lacking."""
    what = "1 more approval" if lacking == 1 else f"{lacking} more approvals"
    return f"{title} needs {what} before it is merged."
