"""A cache of the names of projects, for display."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from threading import Lock

from sqlmodel import Session, col, select

from app.records.database.database import Database
from app.records.feed import FeedBroke, Numbered, ProjectNamed
from app.records.people.reach import REACH, can_see, within
from app.records.tables import Project

LIFETIME_SECONDS = 30.0
MOST = 4096


@dataclass(frozen=True, slots=True)
class _Known:
    """A cached project name, None if the project does not exist, and the time it was read."""

    name: str | None
    asked_at: float


class ProjectNames:
    """A cache of project names for display; do not base decisions on it.

    This server's changes appear at once; another server's when its notification arrives, or after
    LIFETIME_SECONDS at the latest. Keeps at most MOST names.
    """

    def __init__(self, control: Database, seconds: Callable[[], float] = time.monotonic) -> None:
        self._control = control
        self._seconds = seconds
        self._lock = Lock()
        self._known: dict[str, _Known] = {}
        # counts writes to each project, and to all: a name read before a write is stale
        self._epochs: dict[str, int] = {}
        self._epoch = 0

    def of(self, project_ids: Collection[str], session: Session | None = None) -> dict[str, str]:
        """Return the names of the projects that exist, by id. Raises DatabaseSilent.

        Takes one statement for all names that are not cached, none if all are; through `session` if
        given, which must have read nothing yet, because what it reads is kept.
        """
        wanted, now = dict.fromkeys(project_ids), self._seconds()
        with self._lock:
            known = {one: self._known[one] for one in wanted if self._is_fresh(one, now)}
            lacking = {one: self._epoch_of(one) for one in wanted if one not in known}
        names = {one: kept.name for one, kept in known.items()}
        if REACH.get() is None:
            if lacking:
                names |= self._ask(lacking, now, session)
            return {one: name for one in wanted if (name := names[one]) is not None}
        if lacking:
            with within(None):  # everybody uses what is read here
                names |= self._ask(lacking, now, session)
        return {one: name for one in wanted if (name := names[one]) is not None and can_see(one)}

    def one(self, project_id: str) -> str:
        """Return a project's name, empty if it does not exist. Raises DatabaseSilent."""
        return self.of([project_id]).get(project_id, "")

    def on_change(self, told: Numbered) -> None:
        """Handle a change from the feed: drop the names that it makes stale."""
        change = told.change
        if isinstance(change, FeedBroke):
            self._forget_all()
        elif isinstance(change, ProjectNamed):
            with self._lock:
                self._known.pop(change.project_id, None)
                self._epochs[change.project_id] = self._epochs.get(change.project_id, 0) + 1
                is_full = len(self._epochs) > MOST
            if is_full:
                self._forget_all()

    def _ask(
        self, lacking: dict[str, tuple[int, int]], now: float, session: Session | None
    ) -> dict[str, str | None]:
        if session is None:
            with self._control.reading() as session:
                return self._ask(lacking, now, session)
        query = select(Project.id, Project.name).where(col(Project.id).in_(lacking))
        there = dict(session.exec(query).all())
        names = {one: there.get(one) for one in lacking}
        with self._lock:
            for one, name in names.items():
                # a write during the query makes its answer stale
                if self._epoch_of(one) == lacking[one]:
                    self._known.pop(one, None)
                    self._known[one] = _Known(name, now)
            while len(self._known) > MOST:
                self._known.pop(next(iter(self._known)))
        return names

    def _is_fresh(self, project_id: str, now: float) -> bool:
        known = self._known.get(project_id)
        return known is not None and now - known.asked_at < LIFETIME_SECONDS

    def _epoch_of(self, project_id: str) -> tuple[int, int]:
        return self._epoch, self._epochs.get(project_id, 0)

    def _forget_all(self) -> None:
        with self._lock:
            self._epoch += 1
            self._known.clear()
            self._epochs.clear()
