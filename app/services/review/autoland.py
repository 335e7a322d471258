"""Autoland: merges the changes of agents that pass all rules of their project."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from app.domain.projects.autoland import Autoland, read_autoland
from app.domain.projects.checks import read_checks
from app.domain.review.autoland import (
    ChangeFacts,
    ChangeSize,
    left_words,
    why_left,
    why_too_much,
)
from app.domain.tracker.ci import CiState, was_asked, why_unread
from app.domain.words import CheckStatus, Status
from app.errors import AlreadyEnded, ForgeUnavailable, Refusal
from app.failpoints import failpoint
from app.records.feed import Numbered, ProjectChanged, RunChanged
from app.records.projects.change_ends import undecided
from app.records.projects.landings import begin_landing, count_unsent, leave_to_person
from app.records.runs.check_ledger import CheckLedger
from app.records.runs.handover_ledger import HandoverLedger
from app.records.tables import ChangeRequest, CheckResult, Project, Run
from app.services.concurrency import BoundedQueue, SingleFlight
from app.services.context import Context, repository_of
from app.services.ports import CannotRead
from app.services.protected_paths import size_of
from app.services.push_checks import PUSH_ANYWAY
from app.services.tracker.changes import ChangeService
from app.services.tracker.conflicts import Conflicts

log = structlog.get_logger()
# changes of the feed after which a rule may have another answer
NEWS = (ProjectChanged, RunChanged)
# an origin that did not take a merge is left alone for so long
SILENT_FOR = timedelta(seconds=60)
PROJECTS_AT_ONCE = 2


class AutolandService:
    """Decides about open changes one project at a time, on a worker, and merges what may land.

    A merge is written down before it begins, so that a server that takes over after a crash
    neither loses it nor tells it twice.
    """

    def __init__(self, context: Context, changes: ChangeService, conflicts: Conflicts) -> None:
        self._stores = context.stores
        self._projects = context.ledgers.projects
        self._runs = context.ledgers.runs
        self._checks = CheckLedger(context.ledgers.runs)
        self._handovers = HandoverLedger(context.ledgers.runs)
        self._mirrors = context.adapters.mirrors
        self._clock = context.clock
        self._changes = changes
        # those that may have open changes: the feed passes no other project's
        self.projects = conflicts.projects
        self._queue = BoundedQueue(context.workers, PROJECTS_AT_ONCE)
        locks = context.locks
        self._rounds = SingleFlight(
            self.land_once, lambda key: locks.holding(f"autoland {key}", wait=False)
        )
        self._silent: dict[str, datetime] = {}

    def on_change(self, one: Numbered) -> None:
        """Look at a project after something about it or its runs changed.

        To be called for `projects` only.
        """
        match one.change:
            case ProjectChanged(project_id) | RunChanged(_, project_id):
                self.request(project_id)
            case _:
                pass

    def request(self, project_id: str) -> None:
        """Look at the open changes of a project soon, on a worker thread."""
        self._rounds.request(self._queue, project_id)

    def land_once(self, project_id: str) -> int:
        """Merge what may land of a project's open changes; return how many were merged."""
        project = self._projects.find(project_id)
        if project is None or project.archived_at is not None or project.state != "ready":
            return 0
        rules = read_autoland(project.autoland)
        landed = 0
        for change in undecided(self._stores, project_id):
            if change.merge_waits is not None:
                continue  # its forge merges it
            if not rules.enabled:
                leave_to_person(self._stores, change, None, None)
            elif not project.unreachable:
                landed += self._decide(project, rules, change)
        return landed

    def _decide(self, project: Project, rules: Autoland, change: ChangeRequest) -> bool:
        try:
            tip = self._mirrors.origin_tip(repository_of(project), change.base)
            seen = _fingerprint(rules, change, tip)
            if change.autoland_seen == seen:
                return False
            because = why_left(rules, self._facts(project, change, tip))
            was_dropped = change.merge_note is not None and change.merge_head == change.head_sha
            if because is None and was_dropped:
                because = "its forge was to merge it, and did not."
            if because is not None:
                self._leave(change, because)
                return False
            size = self._size(project, rules, change)
        except (CannotRead, OSError) as problem:
            log.info("change_not_read", change=change.number, because=problem)
            self._leave(change, "")
            return False
        if (because := why_too_much(rules, size)) is not None:
            self._leave(change, because, seen)
            return False
        if (because := self._changes.approvals.lacking(project, change)) is not None:
            # an approval is news of the project, after which this is asked again
            self._leave(change, because[:1].lower() + because[1:])
            return False
        return self._land(project, change, seen, f"checks passed, {size.words}")

    def _land(self, project: Project, change: ChangeRequest, seen: str, reason: str) -> bool:
        now, silent_since = self._clock(), self._silent.get(project.id)
        if silent_since is not None and now - silent_since < SILENT_FOR:
            return False
        begun = begin_landing(self._stores, change, reason)
        if begun is None:
            return False
        failpoint("autoland.before_merge")
        try:
            done = self._changes.merge(project.id, change.number, now, head_sha=change.head_sha)
        except AlreadyEnded:
            return False
        except (Refusal, CannotRead, OSError) as problem:
            # a folder that is away may come back: the same merge may succeed later
            is_over = isinstance(problem, Refusal) and not isinstance(problem, ForgeUnavailable)
            if not is_over:
                self._silent[project.id] = now
            self._leave(begun, _words(problem), seen if is_over else None)
            return False
        self._silent.pop(project.id, None)
        if done.state == "open":
            return False  # its forge merges it by itself
        log.info("change_landed", project_id=project.id, change=change.number)
        return True

    def _leave(self, change: ChangeRequest, because: str, seen: str | None = None) -> None:
        """Leave a change to a person; without a reason it is only too early to say."""
        if because:
            leave_to_person(self._stores, change, left_words(because), seen)
        elif change.landing is not None:
            leave_to_person(self._stores, change, change.autoland_note, change.autoland_seen)

    # --- what is known about a change ------------------------------------------------------------

    def _facts(self, project: Project, change: ChangeRequest, tip: str | None) -> ChangeFacts:
        required = tuple(one.name for one in read_checks(project.checks) if one.required)
        facts = ChangeFacts(by_run=bool(change.run_id), is_draft=change.draft, required=required)
        if not facts.by_run or facts.is_draft or not required:
            return facts
        runs = self._runs_on(change)
        if not any(one.id == change.run_id for one in runs):
            return replace(facts, by_run=False)
        newest = max(runs, key=lambda one: (one.created_at, one.id))
        last = [one for one in self._checks.last_round(newest.id) if one.required]
        passed = [one for one in last if _has_passed(one, change)]
        changed_at = project.checks_changed_at
        is_current = tip is not None and change.conflicts_base == tip
        return replace(
            facts,
            is_worked_on=any(one.released_at is None for one in runs),
            was_forced=any(self._was_forced(one) for one in runs),
            last_succeeded=newest.status == Status.SUCCEEDED,
            passed=tuple(one.name for one in passed),
            all_passed=len(passed) == len(last),
            are_checks_older=changed_at is not None
            and any(one.started_at <= changed_at for one in last),
            unsent_comments=count_unsent(self._stores, change),
            conflicts=change.conflicts if is_current else None,
            ci=self._ci_of(change),
            ci_unread=why_unread(change.ci_seen, change.head_sha),
            reviews_waiting=change.reviews_waiting,
        )

    def _ci_of(self, change: ChangeRequest) -> CiState:
        """Return the CI of a change's head, pending until its forge was asked for it."""
        if change.url is not None and not was_asked(change.ci_seen, change.head_sha):
            return CiState.PENDING
        return CiState(change.ci["state"])

    def _runs_on(self, change: ChangeRequest) -> list[Run]:
        """Return the runs that opened a change or worked on it, and any that holds its branch."""
        own = (change.run_id, change.number)
        return [
            one
            for one in self._handovers.of_branch(change.project_id, change.branch)
            if one.id == own[0] or one.pr_number == own[1] or one.released_at is None
        ]

    def _was_forced(self, run: Run) -> bool:
        return any(line.data.get(PUSH_ANYWAY) for line in self._runs.timeline(run.id))

    def _size(self, project: Project, rules: Autoland, change: ChangeRequest) -> ChangeSize:
        repo = repository_of(project)
        files = self._mirrors.changed_files(repo, change.base_sha, change.head_sha)
        return size_of(rules, files)


def _has_passed(check: CheckResult, change: ChangeRequest) -> bool:
    return check.status == CheckStatus.PASSED and check.sha == change.head_sha


def _words(problem: Exception) -> str:
    words = problem.detail if isinstance(problem, Refusal) else str(problem)
    return words[:1].lower() + words[1:]


def _fingerprint(rules: Autoland, change: ChangeRequest, tip: str | None) -> str:
    """Return a mark of the commits and the rules that a decision depends on."""
    parts = [change.head_sha, change.base_sha, tip, rules.as_data()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
