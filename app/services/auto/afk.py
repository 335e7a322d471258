"""Manual control of AFK runs: start, the Auto switch, Reset, and the plan of the next sweep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlmodel import Session

from app.domain.rules import Launch
from app.errors import (
    ForgeUnavailable,
    InReview,
    IssueBlocked,
    IssueClosed,
    NotFound,
    NothingReady,
    Parked,
    PrLock,
    ProjectArchived,
    ProjectBroken,
    Refusal,
)
from app.failpoints import failpoint
from app.records.people.audit_ledger import Deed, write_down
from app.records.stores.outbox import CLEAR, STRIKE
from app.records.tables import Project
from app.services.auto.loop import AutoLoop
from app.services.context import Ledgers
from app.services.ports import Issue
from app.services.runs.accept import AcceptService
from app.services.runs.requests import Accepted, HeldBack, Requester, is_open, is_ready, order_of
from app.services.system.outbox import OutboxProcessor
from app.services.tracker.issue_views import IssueView
from app.services.tracker.issues import IssueService

log = structlog.get_logger()
GIVEN_UP = "left to a person: its start failed again and again"
NOT_APPROVED = "left to a person: its last start was not approved"
OVERTAKEN = "not counted: the strikes were set to zero first"


@dataclass(frozen=True)
class Plan:
    """The next sweep's plan for a project: the issue to start, and why every other one waits."""

    would: int | None
    because: str
    holds: list[tuple[int, str]]


class AfkService:
    """Starts AFK runs and controls the loop for people; a paused project does not block them."""

    def __init__(
        self,
        ledgers: Ledgers,
        issues: IssueService,
        accept: AcceptService,
        loop: AutoLoop,
        outbox: OutboxProcessor,
        on_changed: Callable[[], None],
    ) -> None:
        self._projects = ledgers.projects
        self._issues = issues
        self._accept = accept
        self._loop = loop
        self._outbox = outbox
        self._on_changed = on_changed

    def start(
        self, project_id: str, issue: int | None, requester: Requester, now: datetime
    ) -> Accepted:
        """Start the chosen issue or the first claimable one, in a paused project too.

        Raises a Refusal; NothingReady if no issue could be taken.
        """
        order = order_of(project_id, issue, "afk/start")
        with self._projects.stores.looking() as session:
            project = self._find(project_id, session)
            known = self._accept.known_in(session, order, requester, now)
        if known is not None:
            return known
        if issue is not None:
            return self._accept.accept(order, requester, now, still=is_open(issue))
        for one in self._claimable(project):
            failpoint("claim.after_select")
            try:
                picked = replace(order, issue=one.number, picked=one)
                return self._accept.accept(picked, requester, now, still=is_ready(one.number))
            except (PrLock, Parked, InReview, IssueClosed, IssueBlocked, HeldBack):
                continue  # no longer available: try the next one
        raise NothingReady

    def _claimable(self, project: Project) -> list[Issue]:
        if project.state == "broken":
            raise ProjectBroken(project.state_because)
        issues = self._issues.claimable_issues(project)
        if issues is None:
            # an unreadable list is not an empty one
            raise ForgeUnavailable("The project's issues could not be read just now. Try again.")
        return issues

    def set_auto(self, project_id: str, deed: Deed, now: datetime, *, enabled: bool) -> None:
        """Switch the loop on or off for a project; strikes are unchanged."""
        self._find(project_id)
        with self._projects.stores.control.transaction() as tx:
            self._projects.switch_auto(tx, project_id, enabled=enabled)
            write_down(tx, deed, now)
        self._on_changed()

    def reset(self, project_id: str, deed: Deed, now: datetime) -> None:
        """Set the strikes to zero, including those not counted yet, and sweep at once."""
        self._find(project_id)
        with self._outbox.overtaking(project_id, (STRIKE, CLEAR), OVERTAKEN) as tx:
            self._projects.clear_strikes(tx, project_id)
            write_down(tx, deed, now)
        self._on_changed()

    def plan(self, project_id: str, now: datetime) -> Plan:
        """Return what the next sweep would do, with one sentence for each issue not started."""
        project = self._find(project_id)
        decision = self._loop.decide(project, now)
        if isinstance(decision, Launch):
            would, because = decision.issue, f"would start #{decision.issue}"
            because += f": {decision.because}" if decision.because else ""
            waits = f"#{would} goes first"
        else:
            would, because = None, decision.reason
            waits = because
        views = [one for one in self._views(project_id) if one.state == "open"]
        numbers = [one.number for one in views] if project.approve_start else []
        left = dict.fromkeys(self._loop.declined(project_id, numbers), NOT_APPROVED)
        holds = [
            (number, view.hold or self._given_up(project, number) or left.get(number) or waits)
            for view in views
            if (number := view.number) != would
        ]
        return Plan(would, because, holds)

    def _given_up(self, project: Project, issue: int) -> str | None:
        return GIVEN_UP if self._loop.is_given_up(project, issue) else None

    def _views(self, project_id: str) -> list[IssueView]:
        try:
            return self._issues.all(project_id)
        except Refusal:
            raise
        except Exception:
            # the project's own reason already says that they could not be read
            log.exception("issues_not_read", project_id=project_id)
            return []

    def _find(self, project_id: str, session: Session | None = None) -> Project:
        project = self._projects.find(project_id, session)
        if project is None:
            raise NotFound
        if project.archived_at is not None:
            raise ProjectArchived
        return project
