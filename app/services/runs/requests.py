"""Requests for runs: the order, the requester, the drafted run and the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from app.domain.formatting import iso
from app.domain.ids import shorten
from app.domain.projects.approvals import WAITING
from app.domain.review.sent import SentComment, as_rows
from app.domain.starts import moment_of
from app.domain.words import BUILTIN, READY_LABEL, Delivers, Depth, Status, Trigger
from app.errors import ChangeClosed, ForgeUnavailable, Invalid, IssueClosed, NoRun
from app.records.database.database import Transaction
from app.records.runs import run_ledger
from app.records.runs.run_columns import drafted_run
from app.records.runs.run_pages import ListedRun
from app.records.runs.run_statements import is_active
from app.records.stores.sessions import control_of
from app.records.tables import ChangeRequest, IssueRow, Project, Run
from app.services.context import repository_of
from app.services.ports import Change, Forge, ForgeSilent, Issue

# in the first event of a retry's timeline: `parked` if it continues kept work, else `fresh`
FROM = "from"
# in a run's provenance: the template that makes its prompt, as `name@version`
TEMPLATE = "template"
# fields of an order that no request contains
_NOT_ASKED = frozenset({"again", "batch_id", "picked", "review", "merging"})
# called in the accepting transaction; raises if an earlier decision no longer holds
Still = Callable[[Session, Project], None]
# called in the accepting transaction to write more rows together with the run
Also = Callable[[Transaction, Run], None]


@dataclass(frozen=True)
class RetryOf:
    """The run that an order repeats; with `branch`, the work kept there is continued.

    `base_sha` is the commit the kept work began at; `beside` allows an equal run at the same time.
    For a resume, `resumes` counts the resumes in a row and `session_id` is the agent's session to
    continue.
    """

    run_id: str
    branch: str | None = None
    base_sha: str | None = None
    session_id: str | None = None
    resumes: int = 0
    is_resume: bool = False
    beside: bool = False


@dataclass(frozen=True)
class RunRequest:
    """An order for a run; None means the project's own value.

    The run starts after `delay_seconds`, or at the time that `starts_on` describes.
    """

    project_id: str
    depth: Depth
    framework: str
    branch: str | None = None
    issue: int | None = None
    # the change request on whose branch it works
    pr_number: int | None = None
    task: str | None = None
    # the name of a template, or the name with a version
    template: str | None = None
    agent: str | None = None
    model: str | None = None
    delivers: Delivers = Delivers.CHANGE
    delay_seconds: int | None = None
    starts_on: str | None = None
    ttl_seconds: int | None = None
    tags: tuple[str, ...] = ()
    # the original request, if the order was derived from it (such as a picked issue)
    asked_as: str | None = None
    again: RetryOf | None = None
    # the batch it belongs to: a batch item is queued where another run would be refused
    batch_id: str | None = None
    # the issue as it was just read, if it was found free to be claimed: it is not read again
    picked: Issue | None = None
    # comments of a review, for the agent
    review: tuple[SentComment, ...] = ()
    # the merge of the change's base that the agent is to conclude; empty until the launch makes it
    merging: dict[str, Any] | None = None

    def body_hash(self) -> str:
        """Return the hash that distinguishes two orders under one key."""
        asked = self.asked_as or {
            name: it for name, it in self.__dict__.items() if name not in _NOT_ASKED
        }
        if isinstance(asked, dict):
            # keep hashes equal to those computed before these fields existed
            for name in ("starts_on", "template", "pr_number"):
                if asked[name] is None:
                    del asked[name]
        text = json.dumps(asked, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def due_at(self, now: datetime) -> datetime | None:
        """Return the start time, None for now. Raises Invalid for a time in the past."""
        start = self.starts_on or self.delay_seconds
        if not start:
            return None
        try:
            return moment_of(start, now, None)
        except ValueError as problem:
            raise Invalid.field("delay", str(problem)) from problem


@dataclass(frozen=True)
class Requester:
    """The requester: person, trigger, idempotency key, correlation id and provenance."""

    person_id: str
    trigger: Trigger
    key: str | None
    correlation_id: str
    provenance: dict[str, str]
    is_charged: bool = True


@dataclass(frozen=True)
class Accepted:
    """The run; `replayed` if its key had already created it, otherwise with its project."""

    run: Run
    replayed: bool
    project: Project | None = None


class HeldBack(Exception):
    """Raised if something changed between the decision and the transaction; nothing is started."""


@dataclass(frozen=True)
class Settled:
    """Facts settled of a new run besides its order: its place, title, agent, budget and start."""

    run_id: str
    project_id: str
    batch_id: str | None
    title: str
    branch: str
    work_branch: str
    agent: str
    model: str | None
    budget_seconds: int
    due_at: datetime | None = None
    expires_at: datetime | None = None
    hold: str | None = None
    awaits_approval: bool = False


def model_for(order: RunRequest, project: Project | None) -> str | None:
    """Return the model of a run: the order's, or the project's unless another agent is wanted."""
    is_own_agent = project is not None and order.agent in (None, project.agent)
    return order.model or (project.model if project and is_own_agent else None)


def needs_approval(order: RunRequest, project: Project) -> bool:
    """Return True if a person has to approve a run before it starts.

    Not for a resume, which continues a run that was approved.
    """
    return project.approve_start and not (order.again is not None and order.again.is_resume)


def may_have_twin(order: RunRequest) -> bool:
    """Return True if an equal order may be under way without being refused."""
    # runs that share a branch are kept apart by the branch lock, which also names the holder
    if order.again is not None:
        has_branch = order.issue is not None or order.again.branch is not None
        return has_branch or order.again.beside
    if order.batch_id is not None:
        return True  # its position in the batch makes it unique
    return order.asked_as is not None


def draft_run(order: RunRequest, requester: Requester, settled: Settled, now: datetime) -> Run:
    """Draft the row of a new run: delayed until its start, or queued to start at once."""
    again = order.again
    return drafted_run(
        {
            "id": settled.run_id,
            "project_id": settled.project_id,
            "status": Status.DELAYED if settled.due_at else Status.QUEUED,
            "trigger": _trigger_of(order, requester),
            "title": settled.title,
            "depth_level": order.depth,
            "target_framework": order.framework,
            "branch_name": settled.branch,
            "work_branch": settled.work_branch,
            "base_sha": again.base_sha if again else None,
            "retry_of": again.run_id if again else None,
            "session_id": again.session_id if again else None,
            "resumes": again.resumes if again else 0,
            "batch_id": settled.batch_id,
            "issue": order.issue,
            "pr_number": order.pr_number,
            "review": as_rows(order.review) if order.review else None,
            "merging": order.merging,
            "task": order.task,
            "agent": settled.agent,
            "model": settled.model,
            "delivers": order.delivers,
            "tags": list(order.tags),
            "budget_seconds": settled.budget_seconds,
            "idempotency_key": requester.key,
            "body_hash": order.body_hash(),
            "correlation_id": requester.correlation_id,
            "created_by": requester.person_id,
            "charged_to": requester.person_id if requester.is_charged else None,
            "provenance": requester.provenance,
            "created_at": now,
            # one that waits for approval takes no place in its project until it starts
            "due_at": settled.due_at or (now if settled.awaits_approval else None),
            "expires_at": settled.expires_at,
            "hold": WAITING if settled.awaits_approval else settled.hold,
            "awaits_approval": settled.awaits_approval,
        }
    )


def _trigger_of(order: RunRequest, requester: Requester) -> Trigger:
    is_review = order.pr_number is not None and order.again is None
    return Trigger.REVIEW if is_review else requester.trigger


def order_of(project_id: str, issue: int | None, asked: str) -> RunRequest:
    """Return the order for an issue's AFK run; its key covers the request, not the picked issue."""
    return RunRequest(
        project_id=project_id,
        depth=Depth.STANDARD,
        framework="auto",
        issue=issue,
        asked_as=f"{asked} {issue or 'lowest'}",
    )


def is_open(number: int) -> Still:
    """Return the check that an issue a person chose is still open."""

    def still(session: Session, project: Project) -> None:
        issue = control_of(session).get(IssueRow, (project.id, number))
        if issue is not None and issue.state != "open":
            raise IssueClosed(f"Issue #{number} is closed.")

    return still


def is_ready(number: int) -> Still:
    """Return the check that a picked issue is still open and labeled as ready."""

    def still(session: Session, project: Project) -> None:
        issue = control_of(session).get(IssueRow, (project.id, number))
        if issue is not None and (issue.state != "open" or READY_LABEL not in issue.labels):
            raise HeldBack(f"#{number} is not ready any more")

    return still


def has_open_change(number: int) -> Still:
    """Return the check that a change request is still open."""

    def still(session: Session, project: Project) -> None:
        change = control_of(session).get(ChangeRequest, (project.id, number))
        if change is not None and change.state != "open":
            raise ChangeClosed.of(number, change.state)

    return still


@contextmanager
def as_unavailable() -> Generator[None]:
    """Turn ForgeSilent into ForgeUnavailable, the refusal for people."""
    try:
        yield
    except ForgeSilent as silence:
        members = {"retry_after": silence.retry_after} if silence.retry_after else {}
        sentence = "This project's tracker did not answer."
        if silence.needs_attention:
            sentence = f"This project's tracker cannot be asked: {silence}."
        raise ForgeUnavailable(sentence, **members) from silence


def open_change_of(
    order: RunRequest, project: Project, forge_of: Callable[[Project], Forge]
) -> Change | None:
    """Return the open change request that an order names, if any. Raises a Refusal."""
    number = order.pr_number
    if number is None:
        return None
    if project.tracker != BUILTIN and project.forge_id is None:
        sentence = "Runs on a pull request of this tracker cannot be started yet."
        raise Invalid.field("pr_number", sentence)
    if order.issue is not None:
        raise Invalid.field("pr_number", "Name an issue or a change request, not both.")
    with as_unavailable():
        change = forge_of(project).change(repository_of(project), number)
    if change is None:
        raise Invalid.field("pr_number", f"There is no change request #{number}.")
    if change.state != "open":
        raise ChangeClosed.of(number, change.state)
    if change.reverts is not None:
        raise NoRun
    if order.branch not in (None, change.base, change.branch):
        sentence = f"Change request #{number} is of {change.branch}, for {change.base}."
        raise Invalid.field("branch", sentence)
    return change


def ttl_of(run: Run | ListedRun) -> int | None:
    """Return how many seconds a run may wait in the queue, None if there is no limit."""
    since = run.due_at or run.created_at
    return round((run.expires_at - since).total_seconds()) if run.expires_at else None


def accepted_words(run: Run) -> str:
    """Return the first sentence of a run's timeline."""
    what = f"issue #{run.issue}" if run.issue else f"branch {run.branch_name}"
    if run.pr_number:
        what = f"change request #{run.pr_number} on {run.work_branch}"
    of = f" of {shorten(run.retry_of)}" if run.retry_of else ""
    continued = f" · continues on {run.work_branch}" if run.retry_of and run.base_sha else ""
    is_planned = run.due_at is not None and run.status == Status.DELAYED
    starts = f" · starts at {run.due_at:%d %b %H:%M} UTC" if is_planned else ""
    waits = " · waits for approval" if run.awaits_approval else ""
    return f"{run.trigger}{of} · {what}{continued}{starts}{waits}"


def accepted_data(run: Run) -> dict[str, Any]:
    """Return the data of the first event of a run's timeline."""
    source = ("parked" if run.base_sha else "fresh") if run.retry_of else None
    starts_at = run.due_at if run.status == Status.DELAYED else None
    told = {"starts_at": starts_at and iso(starts_at), "ttl": ttl_of(run), FROM: source}
    return {name: it for name, it in told.items() if it is not None}


def no_room(session: Session, run: Run, project: Project) -> str | None:
    """Return why a run must wait for room in its project, None if it need not.

    Only for runs not refused when accepted (batch items, planned runs). Call in the transaction
    that takes the run.
    """
    if is_active(run):
        return None
    active, most = run_ledger.count_open(session, project.id), project.max_concurrency
    if active < most:
        return None
    return f"waits for this project's other runs: {active} of {most} are active"
