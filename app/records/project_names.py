"""What projects are called, remembered for half a minute: every list of runs asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from threading import Lock

from sqlmodel import col, select

from app.records.database import Database
from app.records.feed import FeedBroke, Numbered, ProjectNamed
from app.records.tables import Project

LIFETIME_SECONDS = 30.0
MOST = 4096


@dataclass(frozen=True, slots=True)
class _Known:
    """A project's name, None for one that is known not to be there; when it was asked for."""

    name: str | None
    asked_at: float


class ProjectNames:
    """Names by project, for showing only: nothing that is decided may be read from here.

    What this server writes is seen at once, what another one writes as soon as it is heard of,
    and at the latest after LIFETIME_SECONDS. At most MOST are kept.
    """

    def __init__(self, control: Database, seconds: Callable[[], float] = time.monotonic) -> None:
        self._control = control
        self._seconds = seconds
        self._lock = Lock()
        self._known: dict[str, _Known] = {}
        # how often each project, and all of them, were written to: what was read before is old
        self._epochs: dict[str, int] = {}
        self._epoch = 0

    def of(self, project_ids: Collection[str]) -> dict[str, str]:
        """The names of these projects, without those that are not there. Raises DatabaseSilent.

        One statement for all that is not remembered, none where everything is.
        """
        wanted, now = dict.fromkeys(project_ids), self._seconds()
        with self._lock:
            known = {one: self._known[one] for one in wanted if self._is_fresh(one, now)}
            lacking = {one: self._epoch_of(one) for one in wanted if one not in known}
        names = {one: kept.name for one, kept in known.items()}
        if lacking:
            names |= self._ask(lacking, now)
        return {one: name for one in wanted if (name := names[one]) is not None}

    def one(self, project_id: str) -> str:
        """The name of a project, empty where it is not there. Raises DatabaseSilent."""
        return self.of([project_id]).get(project_id, "")

    def hear(self, told: Numbered) -> None:
        """Listen to the feed: what was written is asked for again."""
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

    def _ask(self, lacking: dict[str, tuple[int, int]], now: float) -> dict[str, str | None]:
        query = select(Project.id, Project.name).where(col(Project.id).in_(lacking))
        with self._control.reading() as session:
            there = dict(session.exec(query).all())
        names = {one: there.get(one) for one in lacking}
        with self._lock:
            for one, name in names.items():
                # what was written while it was asked for must not be hidden by the answer
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
