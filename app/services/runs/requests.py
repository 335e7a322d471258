"""What somebody asks for when a run is to be started, who asks, and what comes of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from app.domain.starts import moment_of
from app.domain.words import READY_LABEL, Delivers, Depth, Trigger
from app.errors import Invalid, IssueClosed
from app.records.database.database import Transaction
from app.records.stores.sessions import control_of
from app.records.tables import IssueRow, Project, Run

# in the first line of a retry's timeline: `parked` where it goes on with kept work, else `fresh`
FROM = "from"


@dataclass(frozen=True)
class Again:
    """The run that an order repeats; with `branch`, it goes on with what is kept there.

    `base_sha` is the commit that the kept work began at; `beside` allows it next to an equal run.
    A resume says how many there were in a
    row with it, and which session of its agent it goes on with.
    """

    run_id: str
    branch: str | None = None
    base_sha: str | None = None
    session_id: str | None = None
    resumes: int = 0
    is_resume: bool = False
    beside: bool = False


@dataclass(frozen=True)
class Order:
    """An order for a run; None stands for the project's own value.

    It starts after `delay_seconds`, or at the moment that the words `starts_on` name.
    """

    project_id: str
    depth: Depth
    framework: str
    branch: str | None = None
    issue: int | None = None
    task: str | None = None
    agent: str | None = None
    model: str | None = None
    delivers: Delivers = Delivers.CHANGE
    delay_seconds: int | None = None
    starts_on: str | None = None
    ttl_seconds: int | None = None
    tags: tuple[str, ...] = ()
    # where somebody asked for less than is ordered (an issue picked for them): their own words
    asked_as: str | None = None
    again: Again | None = None
    # the batch it is an item of: it waits in the queue where another would be refused
    batch_id: str | None = None

    def body_hash(self) -> str:
        """What tells two orders under one key apart."""
        asked = self.asked_as or {
            name: it for name, it in self.__dict__.items() if name not in ("again", "batch_id")
        }
        if isinstance(asked, dict) and self.starts_on is None:
            # what was sent before there was such a word is the same still
            del asked["starts_on"]
        text = json.dumps(asked, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def due_at(self, now: datetime) -> datetime | None:
        """When it is to start, None for at once. Raises Invalid for a moment that has passed."""
        start = self.starts_on or self.delay_seconds
        if not start:
            return None
        try:
            return moment_of(start, now, None)
        except ValueError as problem:
            raise Invalid.field("delay", str(problem)) from problem


@dataclass(frozen=True)
class Asker:
    """Who asks, by which way, under which key, and the ids that tie it together."""

    person_id: str
    trigger: Trigger
    key: str | None
    correlation_id: str
    provenance: dict[str, str]
    is_charged: bool = True


@dataclass(frozen=True)
class Accepted:
    """The run; `replayed` where its key had already made it, and else with its project."""

    run: Run
    replayed: bool
    project: Project | None = None


# asked in the transaction that accepts: raises where what was decided before is no longer true
Still = Callable[[Session, Project], None]
# written in the transaction that accepts, with the run
Also = Callable[[Transaction, Run], None]


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
