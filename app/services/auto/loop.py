"""The auto loop: which issue it starts in each project, or why none (engine.md §5)."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import takewhile

import structlog
from sqlmodel import Session

from app.domain.backoff import Backoff
from app.domain.rules import AutoFacts, Hold, Launch, may_launch_auto
from app.domain.words import Cause, Status, Trigger
from app.errors import Refusal
from app.failpoints import failpoint
from app.records.people.approval_ledger import ApprovalLedger
from app.records.people.audit_ledger import acting, by_loop
from app.records.runs import approved_starts, run_ledger
from app.records.runs.quarantine_ledger import Subject
from app.records.runs.run_ledger import RunLedger
from app.records.runs.run_pages import ListedRun
from app.records.tables import Project
from app.services.context import Context
from app.services.limits.usage_limits import UsageLimits
from app.services.ports import Issue, Unready
from app.services.runs.accept import AcceptService
from app.services.runs.prechecks import Readiness
from app.services.runs.requests import HeldBack, Requester, Still, is_ready, order_of
from app.services.system.build import SystemServices
from app.services.system.origin_watch import unreachable_words
from app.services.tracker.issues import IssueService

log = structlog.get_logger()


PAUSES = Backoff(timedelta(seconds=30), timedelta(hours=1))
PAUSES_AFTER_WORK = Backoff(timedelta(minutes=10), timedelta(hours=1))
MOST = 8
# environmental causes: not the agent's fault, and the next issue's run would hit them too
SURROUNDINGS = {Cause.PUSH_REFUSED, Cause.AUTH, Cause.NETWORK, Cause.DISK_FULL, Cause.AGENT_MISSING}
LOOP = "auto"
# stands for an issue while nobody has looked if there is one
ANY_ISSUE = Issue(0, "", "", (), "open")
Claimable = list[Issue] | None
Ask = Callable[[str, tuple[str, ...] | None], Unready | None]


def launch_pause(runs: RunLedger, project_id: str, now: datetime) -> str | None:
    """Return why the loop waits after consecutive environmental failures of auto runs, or None.

    The pause doubles with each failure; any other end of an auto run clears it. Derived from the
    runs, so it survives restarts.
    """
    newest = runs.newest_of(project_id, limit=MOST, trigger=Trigger.AUTO)
    failed = list(takewhile(_is_held_back, newest))
    if not failed or failed[0].ended_at is None:
        return None
    was_launched = failed[0].status != Status.NOT_STARTED
    pauses = PAUSES_AFTER_WORK if was_launched else PAUSES
    until = failed[0].ended_at + pauses.after(len(failed))
    if now >= until:
        return None
    what = "run could do nothing about it" if was_launched else "launch failed"
    return f"the last {what} ({failed[0].because}); tried again at {until:%H:%M:%S} UTC"


def _is_held_back(run: ListedRun) -> bool:
    if run.status == Status.NOT_STARTED:
        return not run.parked  # a claimed issue is not tried again
    return run.status == Status.DIED and run.cause in SURROUNDINGS


class AutoLoop:
    """Starts AFK runs automatically wherever every condition of the rule holds."""

    def __init__(
        self,
        context: Context,
        system: SystemServices,
        issues: IssueService,
        limits: UsageLimits,
        accept: AcceptService,
    ) -> None:
        self._runs = context.ledgers.runs
        self._no_room = system.disk.hold
        self._projects = context.ledgers.projects
        self._agents = context.adapters.agents
        self._readiness = Readiness(context.adapters)
        self._issues = issues
        self._limits = limits
        # issues whose last start was refused, or not approved in time
        self.declined = ApprovalLedger(context.stores).declined
        self._accept = accept
        self._leases = system.leases
        self._max_live_runs = context.settings.max_live_runs
        self._provenance = context.identity.as_dict()
        self._quarantine = system.quarantine
        self._turn_numbers = itertools.count(1)
        self._last_turns: dict[str, int] = {}

    def decide(self, project: Project, now: datetime) -> Launch | Hold:
        """Return what the loop would do with a project now."""
        # the most expensive query comes last, and only if its answer matters
        problem = self._agent_problem(project, self._agents.unready)
        facts = self._facts(project, self._room(), problem)
        decision = may_launch_auto(facts)
        if isinstance(decision, Hold):
            return decision
        if hold := self._limits.reason(project.agent, None, now):
            return may_launch_auto(replace(facts, usage_hold=hold))
        pause = launch_pause(self._runs, project.id, now)
        claimable = self._untried(project, self._claimable_alone(project))
        return may_launch_auto(replace(facts, claimable=claimable, launch_pause=pause))

    def fill_once(self, now: datetime) -> int:
        """Start what the loop may start, at most one run per project; return how many."""
        swept = self._projects.swept() if self._leases.may_sweep(now) else []
        room = self._room() if swept else _Room.of([])
        if not swept or room.taken >= self._max_live_runs:
            return 0
        ask = cache(self._agents.unready)
        hold_of = cache(partial(self._limits.reason, model=None, now=now))
        free = [one for one in swept if self._may_be_free(one, room, ask)]
        free = [one for one in free if hold_of(one.agent) is None]
        # least recently started first, so that no project starves when slots are few
        free.sort(key=lambda project: self._last_turns.get(project.id, 0))
        started = 0
        for project, claimable in self._with_claimable(free):
            if room.taken >= self._max_live_runs:
                break
            if self._is_filled(project, claimable, room, now):
                started, room = started + 1, self._room()
        return started

    def _room(self) -> _Room:
        with self._runs.stores.looking() as session:
            return _Room.seen(session)

    def _may_be_free(self, project: Project, room: _Room, ask: Ask) -> bool:
        def may_be() -> bool:
            facts = self._facts(project, room, self._agent_problem(project, ask))
            return isinstance(may_launch_auto(facts), Launch)

        # one broken project must not stop the others
        subject = Subject("look", project.id, project.id, project.id)
        return bool(self._quarantine.guard(subject, may_be))

    def _with_claimable(self, projects: list[Project]) -> Iterator[tuple[Project, Claimable]]:
        try:
            found = self._issues.claimable_issues_of(projects)
        except Exception:
            log.exception("issues_not_read_together")
            found = {project.id: self._claimable_alone(project) for project in projects}
        for project in projects:
            yield project, found.get(project.id)

    def _claimable_alone(self, project: Project) -> Claimable:
        try:
            return self._issues.claimable_issues(project)
        except Exception:
            log.exception("issues_not_read", project_id=project.id)
            return None

    def _is_filled(
        self, project: Project, claimable: Claimable, room: _Room, now: datetime
    ) -> bool:
        # reads the disk, so it comes before the transaction
        problem = self._agent_problem(project, self._agents.unready)
        untried = self._untried(project, claimable)
        facts = replace(self._facts(project, room, problem), claimable=untried)
        decision = may_launch_auto(facts)
        if not isinstance(decision, Launch) or launch_pause(self._runs, project.id, now):
            return False
        start = partial(self._is_started, project, decision, problem, now)
        return bool(self._quarantine.guard(_of_issue(project, decision.issue), start))

    def is_given_up(self, project: Project, issue: int) -> bool:
        """Return True if starting this issue failed repeatedly and it is left to a person."""
        return self._quarantine.is_held(_of_issue(project, issue).key)

    def _untried(self, project: Project, claimable: Claimable) -> Claimable:
        # an issue left to a person must not block the others
        if not claimable:
            return claimable
        numbers = [one.number for one in claimable] if project.approve_start else []
        left = self.declined(project.id, numbers) if numbers else set[int]()
        return [
            one
            for one in claimable
            if one.number not in left and not self.is_given_up(project, one.number)
        ]

    def _is_started(
        self, project: Project, decision: Launch, problem: str | None, now: datetime
    ) -> bool:
        failpoint("claim.after_select")
        requester = Requester(LOOP, Trigger.AUTO, None, uuid.uuid4().hex, self._provenance, False)
        order = order_of(project.id, decision.issue, "auto")
        try:
            still = self._still_may(decision.issue, problem, now)
            with acting(by_loop("start", requester.correlation_id, now)):
                self._accept.accept(order, requester, now, still=still)
        except (Refusal, HeldBack) as reason:
            log.info(
                "issue_not_started", project_id=project.id, issue=decision.issue, because=reason
            )
            return False
        self._last_turns[project.id] = next(self._turn_numbers)
        return True

    def _still_may(self, issue: int, problem: str | None, now: datetime) -> Still:
        is_still_ready = is_ready(issue)

        def still(session: Session, project: Project) -> None:
            active = _Room.seen(session)
            facts = self._facts(project, active, problem)
            hold = self._limits.reason_in(session, project.agent, None, now)
            decision = may_launch_auto(replace(facts, usage_hold=hold))
            if isinstance(decision, Hold):
                raise HeldBack(decision.reason)
            is_still_ready(session, project)

        return still

    def _agent_problem(self, project: Project, ask: Ask) -> str | None:
        command = tuple(project.agent_command) if project.agent_command else None
        known = ask(project.agent, command)
        unready = self._readiness.in_project(known, project, project.base_branch)
        return unready.sentence if unready else None

    def _facts(self, project: Project, room: _Room, problem: str | None) -> AutoFacts:
        return AutoFacts(
            state=project.state,
            is_archived=project.archived_at is not None,
            auto_enabled=project.auto_enabled,
            strikes=project.strikes,
            has_open_auto_run=project.id in room.with_auto_run,
            repository_room=project.max_concurrency - room.open_runs[project.id],
            global_room=self._max_live_runs - room.taken,
            agent_problem=problem,
            usage_hold=None,
            launch_pause=None,
            claimable=(ANY_ISSUE,),
            unreachable=unreachable_words(project),
            no_room=self._no_room(),
            checks_error=project.checks_error,
            trust_hold=project.trust_hold,
            forge_hold=project.forge_hold,
        )


def _of_issue(project: Project, issue: int) -> Subject:
    return Subject("issue", f"{project.id}.{issue}", project.id, project.id)


@dataclass(frozen=True)
class _Room:
    """Places taken by active runs: per project, and of the shared slots."""

    open_runs: Counter[str]
    with_auto_run: frozenset[str]
    taken: int

    @classmethod
    def seen(cls, session: Session) -> _Room:
        """Return the places as a session sees them; the loop asks for one approval at a time."""
        seen = cls.of(run_ledger.count_active(session))
        asking = approved_starts.projects_asking(session)
        return replace(seen, with_auto_run=seen.with_auto_run | asking)

    @classmethod
    def of(cls, counted: list[tuple[str, str, int]]) -> _Room:
        open_runs: Counter[str] = Counter()
        for project_id, _, count in counted:
            open_runs[project_id] += count
        with_auto_run = {project for project, trigger, _ in counted if trigger == Trigger.AUTO}
        return cls(open_runs, frozenset(with_auto_run), open_runs.total())
