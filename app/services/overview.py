"""The read model of projects: built once, rebuilt for what changed, never from history."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.holds import Stand, stand_of
from app.errors import NotFound
from app.records.feed import Feed, FeedBroke, Numbered, ProjectChanged
from app.records.hold_ledger import facts_of
from app.records.project_ledger import ProjectLedger
from app.records.routing import Stores
from app.records.tables import AccountHold, Project
from app.services.project_views import ProjectView, ProjectViews

# where the others' changes are told by the database: as long as one of them may stay unheard
HEARSAY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Known:
    """A view, and when it was built."""

    view: ProjectView
    built_at: float


@dataclass(frozen=True, slots=True)
class _Listed:
    """Which projects there were, after how many changes, and when they were read."""

    ids: tuple[str, ...]
    changes: int
    read_at: float


class Overview:
    """What the cards show.

    `lifetime` is for how many seconds a view is shown that no change was heard of.
    """

    def __init__(
        self,
        projects: ProjectLedger,
        views: ProjectViews,
        feed: Feed,
        clock: Callable[[], datetime],
        *,
        lifetime: float,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._projects = projects
        self._builder = views
        self._clock = clock
        self._lifetime = lifetime
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        # how often each project, and all of them, have changed: what was read before is old
        self._epochs: dict[str, int] = {}
        self._epoch = self._changes = 0
        self._listed = _Listed((), -1, 0.0)
        feed.subscribe(self._hear)

    def all(self) -> list[ProjectView]:
        """Every project by name, by as few statements for many as for one, or by none."""
        with self._lock:
            listed, changes = self._listed, self._changes
            known = [self._fresh(one) for one in listed.ids]
            if listed.changes == changes and self._is_young(listed.read_at) and all(known):
                return [self._as_of_now(one) for one in known if one is not None]
            now = self._seconds()
        views = self._views(self._projects.all_to_show)
        with self._lock:
            self._listed = _Listed(tuple(one.project.id for one in views), changes, now)
        return views

    def of(self, project_id: str) -> ProjectView:
        """One project. Raises NotFound."""
        with self._lock:
            known = self._fresh(project_id)
        if known is not None:
            return self._as_of_now(known)
        return self._views(lambda: [self._find(project_id)])[0]

    def _views(self, read: Callable[[], list[Project]]) -> list[ProjectView]:
        with self._lock:
            # what changes while it is being read must not be hidden by what was read
            epoch, epochs = self._epoch, dict(self._epochs)
        projects = read()
        with self._lock:
            known = {one.id: view for one in projects if (view := self._fresh(one.id))}
        built = self._builder.build([one for one in projects if one.id not in known])
        with self._lock:
            now = self._seconds()
            for project_id, view in built.items():
                was = epoch, epochs.get(project_id, 0)
                is_news = was != (self._epoch, self._epochs.get(project_id, 0))
                if self._lifetime and not is_news and _is_whole(view):
                    self._known[project_id] = _Known(view, now)
        views = known | built
        return [self._as_of_now(views[project.id]) for project in projects]

    def _fresh(self, project_id: str) -> ProjectView | None:
        known = self._known.get(project_id)
        return known.view if known is not None and self._is_young(known.built_at) else None

    def _is_young(self, read_at: float) -> bool:
        return self._seconds() - read_at < self._lifetime

    def _as_of_now(self, view: ProjectView) -> ProjectView:
        standing = _standing(view.holds, self._clock())
        return replace(view, usage_hold=standing) if standing else view

    def _hear(self, told: Numbered) -> None:
        match told.change:
            case ProjectChanged(project_id):
                with self._lock:
                    self._known.pop(project_id, None)
                    self._changes += 1
                    self._epochs[project_id] = self._epochs.get(project_id, 0) + 1
            case FeedBroke():
                with self._lock:
                    self._known.clear()
                    self._changes += 1
                    self._epoch += 1

    def _find(self, project_id: str) -> Project:
        project = self._projects.find_to_show(project_id)
        if project is None:
            raise NotFound
        return project


def shown_for(stores: Stores, *, is_alone: bool) -> float:
    """How many seconds a view may be remembered: as surely as every change to it is heard of."""
    if is_alone:
        return math.inf
    # servers on one SQLite file hear nothing of each other
    return 0.0 if any(one.is_sqlite for one in stores.all()) else HEARSAY_SECONDS


def _standing(holds: tuple[AccountHold, ...], now: datetime) -> AccountHold | None:
    """The hold that lets nothing pass now, of several the one that lasts longest."""
    stops = (Stand.HELD, Stand.PROBING)
    found = [hold for hold in holds if stand_of(facts_of(hold), now) in stops]
    return max(found, key=lambda hold: (hold.until is None, hold.until or now), default=None)


def _is_whole(view: ProjectView) -> bool:
    # what one failed read did not tell is asked again, not remembered
    return view.ready_count is not None or view.project.state != "ready"
