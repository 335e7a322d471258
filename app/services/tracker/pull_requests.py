"""Pull requests at forges: merged, closed and opened again there, by us or by anybody."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

import structlog

from app.records.projects.change_ends import closed_since, reopen_closed, undecided
from app.records.tables import ChangeRequest, Project
from app.services.concurrency import SingleFlight
from app.services.context import Context, repository_of
from app.services.ports import (
    CannotRead,
    ForgeSilent,
    OriginProblem,
    PullRequests,
    RequestState,
)
from app.services.system.origin_watch import OriginWatch
from app.services.system.ownership import Leases
from app.services.tracker.changes import ChangeService
from app.services.tracker.ci_watch import CiWatch
from app.services.tracker.scheduled_merges import ScheduledMerges

log = structlog.get_logger()
# how long after its close a pull request that people open again is still followed
REOPENED_WITHIN = timedelta(days=90)
# called with a project, its forge, how its pull requests stand there, and the time
Listener = Callable[[Project, PullRequests, Mapping[int, RequestState], datetime], object]


class PullRequestWatch:
    """Notices what became of pull requests; only the server that sweeps asks for all of them."""

    def __init__(
        self, context: Context, changes: ChangeService, leases: Leases, origins: OriginWatch
    ) -> None:
        self._stores = context.stores
        self._projects = context.ledgers.projects
        self._tracker = context.ledgers.tracker
        self._mirrors = context.adapters.mirrors
        self._forges = context.adapters.forges
        self._workers = context.workers
        self._clock = context.clock
        self._changes = changes
        self._leases = leases
        self._origins = origins
        self._ci = CiWatch(context)
        self.merges = ScheduledMerges(context, changes)
        self._listeners: tuple[Listener, ...] = ()
        self._rounds = SingleFlight(self._go_round)

    def on_looked(self, listener: Listener) -> None:
        """Call the listener with each project that has open pull requests, and how they stand."""
        self._listeners = (*self._listeners, listener)

    def request(self, project_id: str = "") -> None:
        """Look soon, on a worker thread: at one project, or at all."""
        self._rounds.request(self._workers, project_id)

    def _go_round(self, project_id: str) -> None:
        if not project_id:
            self.look_once(self._clock())
        elif project := self._projects.find(project_id):
            # something was told to have happened there: CI may have said something, too
            self._ci.forget(project_id)
            self._try_to_look(project, self._clock())

    def look_once(self, now: datetime) -> int:
        """Ask every forge for our pull requests; return how many have ended, moved or come back.

        A forge that is silent says nothing about them.
        """
        if not self._forges.is_any() or not self._leases.may_sweep(now):
            return 0
        changed = 0
        for project in self._projects.all():
            changed += self._try_to_look(project, now)
        return changed

    def _try_to_look(self, project: Project, now: datetime) -> int:
        if project.forge_id is None or project.archived_at is not None:
            return 0
        try:
            return self._look_at(project, now)
        except ForgeSilent as silence:
            log.info("forge_silent", project_id=project.id, because=silence)
        except Exception:
            log.exception("pull_requests_not_read", project_id=project.id)
        return 0

    def _look_at(self, project: Project, now: datetime) -> int:
        is_open = undecided(self._stores, project.id)
        closed = closed_since(self._stores, project.id, now - REOPENED_WITHIN)
        requests = self._forges.requests_of(project) if is_open or closed else None
        if requests is None:
            return 0
        states = requests.states(repository_of(project), [one.number for one in is_open])
        # before anything else: what nobody has seen must not be merged
        count = self.merges.follow(project, requests, is_open, states, now)
        reopened = self._reopen(project, states, closed)
        if reopened:
            is_open = undecided(self._stores, project.id)
        moved = [one for one in is_open if one.number in states]
        moved = [one for one in moved if _differs(one, states[one.number])]
        if moved or self._has_other_base(project, is_open, states):
            self._fetch(project)
        count += sum(self._follow(project, one, states[one.number], now) for one in moved)
        count += reopened
        rest = [one for one in is_open if states.get(one.number) and one not in moved]
        count += self._take_merged(project, rest, now)
        self._ci.look(project, requests, now)
        for listener in self._listeners:
            listener(project, requests, states, now)
        return count

    def _has_other_base(
        self,
        project: Project,
        is_open: Collection[ChangeRequest],
        states: Mapping[int, RequestState],
    ) -> bool:
        """Return True if a base has commits that the mirror has not: they may conflict."""
        tips = {
            (one.base, states[one.number].base_sha)
            for one in is_open
            if one.number in states and states[one.number].state == "open"
        }
        repo = repository_of(project)
        try:
            return any(sha and self._mirrors.origin_tip(repo, base) != sha for base, sha in tips)
        except (CannotRead, OSError) as problem:
            log.info("base_not_read", project_id=project.id, because=problem)
            return False

    def _reopen(
        self, project: Project, states: Mapping[int, RequestState], closed: Collection[int]
    ) -> int:
        """Open again here what was closed and is open there; return how many."""
        are_open = [number for number in closed if number in states]
        return sum(
            reopen_closed(self._stores, project.id, number)
            for number in are_open
            if states[number].state == "open"
        )

    def _take_merged(self, project: Project, rest: list[ChangeRequest], now: datetime) -> int:
        """Record merges that were pushed by hand, which a forge does not notice."""
        repo, count = repository_of(project), 0
        for change in rest:
            try:
                is_merged = self._changes.merger.is_in_base(repo, change)
            except (CannotRead, OSError) as problem:
                log.info("base_not_read", project_id=project.id, because=problem)
                return count
            if is_merged:
                self._changes.record_end(change, "merged", now, merged_sha=change.head_sha)
                count += 1
        return count

    def _follow(
        self, project: Project, change: ChangeRequest, state: RequestState, now: datetime
    ) -> bool:
        if state.state == "merged":
            # before it is recorded: what fails is tried again at the next look
            self._settle(project, change)
        if state.state != "open":
            self._changes.record_end(change, state.state, now, merged_sha=state.merged_sha)
            return True
        # people may push to it, too
        repo = repository_of(project)
        if self._mirrors.origin_tip(repo, change.branch) != state.head_sha:
            return False
        base = self._mirrors.origin_tip(repo, change.base) or change.base_sha
        stat = self._mirrors.stat(repo, base, state.head_sha)
        self._tracker.update_change(
            project.id,
            change.number,
            head_sha=state.head_sha,
            **asdict(stat),
        )
        return True

    def _settle(self, project: Project, change: ChangeRequest) -> None:
        """Have the issue of a merge closed. Raises ForgeSilent if that may succeed later."""
        try:
            requests = self._forges.requests_of(project)
            if requests is not None:
                requests.settle(repository_of(project), change.number)
        except ForgeSilent as silence:
            # an issue that cannot be closed must not hide the merge, or what comes after it
            if not silence.needs_attention:
                raise
            log.warning("issue_not_settled", change=change.number, because=silence)

    def _fetch(self, project: Project) -> None:
        try:
            self._mirrors.fetch(repository_of(project))
            self._origins.record_fetch(project)
        except (OriginProblem, CannotRead) as problem:
            log.info("mirror_not_fetched", project_id=project.id, because=problem)


def _differs(change: ChangeRequest, state: RequestState) -> bool:
    return state.state != "open" or state.head_sha != change.head_sha
