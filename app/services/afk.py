"""AFK runs: started by hand or by the loop, with pause and Reset (engine.md §5)."""

from __future__ import annotations

import itertools
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from sqlmodel import Session

from app.domain.rules import AutoFacts, Hold, Launch, may_launch_auto
from app.domain.words import READY_LABEL, Depth, Status, Trigger
from app.errors import (
    IssueBlocked,
    IssueClosed,
    NotFound,
    NothingReady,
    Parked,
    PrLock,
    ProjectArchived,
    Refusal,
)
from app.failpoints import reach
from app.records import run_ledger
from app.records.audit_ledger import Deed, write_down
from app.records.tables import IssueRow, Project, Run
from app.services.floor import Ledgers, Outside
from app.services.issues import IssueDesk
from app.services.leases import Leases
from app.services.trigger import Accepted, Asker, Order, Still, TriggerDesk

log = logging.getLogger(__name__)
LOOP = "auto"
Claimable = list[int] | None
Missing = Callable[[str, tuple[str, ...] | None], str | None]


@dataclass(frozen=True)
class Plan:
    """What the next sweep would do with a project, and why each other open issue waits."""

    would: int | None
    because: str
    holds: list[tuple[int, str]]


class HeldBack(Exception):
    """Something changed between the decision and the transaction: nothing is started."""


class AfkDesk:
    """Starts AFK runs; the pause is a term of the loop's decision and of nothing else."""

    def __init__(
        self,
        ledgers: Ledgers,
        outside: Outside,
        issues: IssueDesk,
        trigger: TriggerDesk,
        leases: Leases,
        max_live_runs: int,
        provenance: dict[str, str],
        on_changed: Callable[[], None],
    ) -> None:
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._agents = outside.agents
        self._issues = issues
        self._trigger = trigger
        self._leases = leases
        self._max_live_runs = max_live_runs
        self._provenance = provenance
        self._on_changed = on_changed
        self._turn = itertools.count(1)
        self._turns: dict[str, int] = {}

    # --- what people do ------------------------------------------------------------------------

    def start(self, project_id: str, issue: int | None, asker: Asker, now: datetime) -> Accepted:
        """Start the chosen issue, or the lowest claimable one; a paused project starts, too.

        Raises a Refusal; NothingReady where no issue could be taken.
        """
        project = self._find(project_id)
        order = _order(project_id, issue, "afk/start")
        if issue is not None:
            return self._trigger.accept(order, asker, now, still=_is_open(issue))
        known = self._trigger.replay(order, asker, now)
        if known is not None:
            return known
        for number in sorted(self._issues.claimable(project) or ()):
            reach("claim.after_select")
            try:
                picked = replace(order, issue=number)
                return self._trigger.accept(picked, asker, now, still=_is_ready(number))
            except (PrLock, Parked, IssueClosed, IssueBlocked, HeldBack):
                continue  # somebody was faster: the next one, then
        raise NothingReady

    def set_auto(self, project_id: str, deed: Deed, now: datetime, *, enabled: bool) -> None:
        """Switch the loop on or off for a project; the strikes stay as they are."""
        self._find(project_id)
        self._projects.change(project_id, auto_enabled=enabled)
        with self._projects.stores.control.transaction() as tx:
            write_down(tx, deed, now)
        self._on_changed()

    def reset(self, project_id: str, deed: Deed, now: datetime) -> None:
        """Set the strikes to zero; one sweep follows at once."""
        self._find(project_id)
        with self._projects.stores.control.transaction() as tx:
            self._projects.clear_strikes(tx, project_id)
            write_down(tx, deed, now)
        self._on_changed()

    # --- what the loop does --------------------------------------------------------------------

    def plan(self, project_id: str) -> Plan:
        """What the next sweep would do, and for every issue not started one sentence."""
        project = self._find(project_id)
        decision = self._decide(project, _Room.of(self._runs.open_runs()))
        if isinstance(decision, Launch):
            would, because = decision.issue, f"would start #{decision.issue}"
            waits = f"#{would} goes first"
        else:
            would, because = None, decision.reason
            waits = because
        holds = [
            (view.number, view.hold or waits)
            for view in self._issues.all(project_id)
            if view.state == "open" and view.number != would
        ]
        return Plan(would, because, holds)

    def fill_once(self, now: datetime) -> int:
        """Start what the loop may start, at most one run a project; how many."""
        room = _Room.of(self._runs.open_runs())
        if not self._leases.may_sweep(now) or room.taken >= self._max_live_runs:
            return 0
        missing = cache(self._missing)
        free = [
            project
            for project in self._projects.swept()
            if not isinstance(may_launch_auto(self._facts(project, room, missing)), Hold)
        ]
        # who had a run longest ago goes first: where slots are few, nobody waits for ever
        free.sort(key=lambda project: self._turns.get(project.id, 0))
        started = 0
        for project, claimable in self._with_claimable(free):
            if room.taken >= self._max_live_runs:
                break
            if self._is_filled(project, claimable, room, now):
                started, room = started + 1, _Room.of(self._runs.open_runs())
        return started

    def _with_claimable(self, projects: list[Project]) -> Iterator[tuple[Project, Claimable]]:
        try:
            found = self._issues.claimable_of(projects)
        except Exception:
            log.exception("the issues of some project could not be read; each is asked alone")
            found = {project.id: self._claimable_alone(project) for project in projects}
        for project in projects:
            yield project, found.get(project.id)

    def _claimable_alone(self, project: Project) -> Claimable:
        try:
            return self._issues.claimable(project)
        except Exception:
            # one broken project never stops the others
            log.exception("the issues of project %s could not be read", project.id)
            return None

    def _is_filled(
        self, project: Project, claimable: Claimable, room: _Room, now: datetime
    ) -> bool:
        facts = replace(self._facts(project, room, self._missing), claimable=claimable)
        decision = may_launch_auto(facts)
        if not isinstance(decision, Launch):
            return False
        reach("claim.after_select")
        asker = Asker(LOOP, Trigger.AUTO, None, uuid.uuid4().hex, self._provenance, False)
        order = _order(project.id, decision.issue, "auto")
        try:
            self._trigger.accept(order, asker, now, still=self._still_may(decision.issue))
        except (Refusal, HeldBack) as reason:
            log.info("project %s: #%s not started: %s", project.id, decision.issue, reason)
            return False
        except Exception:
            log.exception("project %s could not be swept", project.id)
            return False
        self._turns[project.id] = next(self._turn)
        return True

    def _decide(self, project: Project, room: _Room) -> Launch | Hold:
        # the dearest question is asked last, and only where its answer matters
        facts = self._facts(project, room, self._missing)
        decision = may_launch_auto(facts)
        if isinstance(decision, Hold):
            return decision
        return may_launch_auto(replace(facts, claimable=self._issues.claimable(project)))

    def _still_may(self, issue: int) -> Still:
        is_ready = _is_ready(issue)

        def still(session: Session, project: Project) -> None:
            open_runs = run_ledger.find_open_everywhere(session)
            facts = self._facts(project, _Room.of(open_runs), self._missing)
            decision = may_launch_auto(facts)
            if isinstance(decision, Hold):
                raise HeldBack(decision.reason)
            is_ready(session, project)

        return still

    def _missing(self, agent: str, command: tuple[str, ...] | None) -> str | None:
        return self._agents.missing(agent, command)

    def _facts(self, project: Project, room: _Room, missing: Missing) -> AutoFacts:
        command = tuple(project.agent_command) if project.agent_command else None
        return AutoFacts(
            state=project.state,
            is_archived=project.archived_at is not None,
            auto_enabled=project.auto_enabled,
            strikes=project.strikes,
            has_open_auto_run=project.id in room.with_auto_run,
            repository_room=project.max_concurrency - room.open_runs[project.id],
            global_room=self._max_live_runs - room.taken,
            agent_problem=missing(project.agent, command),
            held_until=None,
            claimable=(0,),
        )

    def _find(self, project_id: str) -> Project:
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        if project.archived_at is not None:
            raise ProjectArchived
        return project


@dataclass(frozen=True)
class _Room:
    """What open runs take: per project, and of the slots that all share."""

    open_runs: Counter[str]
    with_auto_run: frozenset[str]
    taken: int

    @classmethod
    def of(cls, runs: list[Run]) -> _Room:
        return cls(
            open_runs=Counter(run.project_id for run in runs),
            with_auto_run=frozenset(run.project_id for run in runs if run.trigger == Trigger.AUTO),
            taken=sum(run.status != Status.DELAYED for run in runs),
        )


def _is_open(number: int) -> Still:
    def still(session: Session, project: Project) -> None:
        issue = session.get(IssueRow, (project.id, number))
        if issue is not None and issue.state != "open":
            raise IssueClosed(f"Issue #{number} is closed.")

    return still


def _is_ready(number: int) -> Still:
    def still(session: Session, project: Project) -> None:
        issue = session.get(IssueRow, (project.id, number))
        if issue is not None and (issue.state != "open" or READY_LABEL not in issue.labels):
            raise HeldBack(f"#{number} is not ready any more")

    return still


def _order(project_id: str, issue: int | None, asked: str) -> Order:
    return Order(
        project_id=project_id,
        depth=Depth.STANDARD,
        framework="auto",
        issue=issue,
        asked_as=f"{asked} {issue or 'lowest'}",
    )
