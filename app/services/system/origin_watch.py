"""Reachability of the projects' origins: noted at each use, and checked periodically."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from datetime import datetime, timedelta

import structlog

from app.domain.backoff import Backoff
from app.domain.names import OriginKind, origin_kind
from app.domain.words import Cause
from app.records.feed import ObstacleRemoved
from app.records.runs.due_work import HeldProject
from app.records.tables import Project
from app.services.concurrency import BoundedQueue
from app.services.context import Context
from app.services.ports import OriginProblem
from app.services.system.ownership import Leases

log = structlog.get_logger()
LOOK_SECONDS = 10.0
LOOKS_AT_ONCE = 2
# until the next check of an origin that answered, and of one that did not
RESTING = timedelta(minutes=15)
PAUSES = Backoff(timedelta(seconds=30), RESTING)
# a host counts as unreachable only after being silent for this long
PATIENCE = timedelta(seconds=60)
# causes on this side, which say nothing about the origin
OURS = (Cause.DISK_FULL,)


class OriginWatch:
    """Keeps the origin state in projects' rows current; only the server that sweeps checks."""

    def __init__(self, context: Context, leases: Leases) -> None:
        self._projects = context.ledgers.projects
        self._mirrors = context.adapters.mirrors
        self._workers = context.workers
        self._queue = BoundedQueue(context.workers, LOOKS_AT_ONCE)
        self._listeners: list[tuple[Callable[[Project], None], Container[str] | None]] = []
        self._leases = leases
        self._clock = context.clock
        self._publish = context.feed.publish
        self._lock = threading.Lock()
        self._next: dict[str, datetime] = {}
        self._failures: dict[str, int] = {}
        self._looking: set[str] = set()
        self._gone: set[str] = set()

    def check_once(self, now: datetime) -> int:
        """Start a check of every origin that is due. Return how many were started."""
        if not self._leases.may_sweep(now):
            return 0
        active = [p for p in self._projects.all() if p.state == "ready" and p.archived_at is None]
        self._forget_all_but({project.id for project in active})
        due = [project for project in active if self._is_due(project, now)]
        for project in due:
            self._queue.submit(self._check, project)
        return len(due)

    def check_now(self, project: Project, seconds: float, *, notes_it: bool = True) -> str | None:
        """Check origin now, within `seconds`. Return why it cannot be reached, None if it can.

        The answer is kept in the project's row unless `notes_it` is False.
        """
        try:
            self._mirrors.inspect_origin(project.origin, timeout_seconds=seconds)
        except OriginProblem as problem:
            if notes_it:
                self.record_trouble(project, problem)
            return problem.sentence
        if notes_it:
            self.record_answer(project)
        return None

    def record_answer(self, project: Project) -> None:
        """Record that origin answered."""
        with self._lock:
            self._failures.pop(project.id, None)
            self._next[project.id] = self._clock() + RESTING
        if project.origin_because is None:
            return
        if self._projects.set_origin(project.id, None, None, unreachable=False):
            log.info("origin_reached_again", project_id=project.id)
            self._publish([ObstacleRemoved()])

    def on_fetched(
        self, listener: Callable[[Project], None], among: Container[str] | None = None
    ) -> None:
        """Call `listener` with a project when its mirror has origin's latest commits.

        `among` are the projects that it is called for, looked at each time; None for all.
        """
        self._listeners.append((listener, among))

    def record_fetch(self, project: Project) -> None:
        """Record that origin answered, and that its mirror has its latest commits."""
        self.record_answer(project)
        for listener, among in self._listeners:
            if among is None or project.id in among:
                self._workers.submit(listener, project)

    def record_trouble(self, project: Project, problem: OriginProblem) -> None:
        """Record that origin failed; the first silence of a host proves nothing."""
        if problem.cause in OURS:
            return
        now = self._clock()
        since = project.origin_since or now
        with self._lock:
            failures = self._failures[project.id] = self._failures.get(project.id, 0) + 1
            self._next[project.id] = now + PAUSES.after(failures)
        is_away = problem.for_good or project.unreachable or now - since >= PATIENCE
        noted = self._projects.set_origin(project.id, problem.sentence, since, unreachable=is_away)
        if noted:
            log.warning("origin_not_reached", project_id=project.id, because=problem.sentence)

    def _is_due(self, project: Project, now: datetime) -> bool:
        is_folder = origin_kind(project.origin) is OriginKind.PATH
        # a folder is local and cheap to check, so this is done in every round
        is_gone = is_folder and self._is_folder_gone(project)
        with self._lock:
            if project.id in self._looking:
                return False
            came_back = not is_gone and project.id in self._gone
            (self._gone.add if is_gone else self._gone.discard)(project.id)
            at = self._next.setdefault(project.id, now + RESTING)
            is_new = project.origin_because is not None and project.id not in self._failures
            if is_gone:
                is_due = not project.unreachable
            else:
                is_trouble = project.origin_because is not None
                is_due = (now >= at and (is_trouble or not is_folder)) or came_back or is_new
            if is_due:
                self._looking.add(project.id)
        return is_due

    def _is_folder_gone(self, project: Project) -> bool:
        try:
            self._mirrors.check_place(project.origin)
        except OriginProblem:
            return True
        return False

    def _check(self, project: Project) -> None:
        try:
            # the row may have changed while this check waited its turn
            latest = self._projects.find(project.id)
            if latest is not None and latest.archived_at is None:
                self.check_now(latest, LOOK_SECONDS)
        finally:
            with self._lock:
                self._looking.discard(project.id)

    def _forget_all_but(self, known: set[str]) -> None:
        with self._lock:
            for kept in (self._next, self._failures):
                for gone in kept.keys() - known:
                    del kept[gone]
            self._gone &= known


def unreachable_words(project: Project | HeldProject) -> str | None:
    """Return why nothing starts in a project whose origin is unreachable, None if it is not."""
    if not project.unreachable:
        return None
    return f"the repository cannot be reached: {project.origin_because}"
