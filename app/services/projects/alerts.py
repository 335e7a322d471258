"""Alerts for every page: undelivered notifications, missing agents, disks that run full."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.domain.formatting import size_words
from app.records.database.database import DatabaseSilent
from app.records.feed import Change, FindingsChanged
from app.services.notifications.notifications import NotificationService
from app.services.projects.overview import Overview
from app.services.system.disk_room import DiskRoom

NOTIFICATIONS, AGENT, DISK = "notifications", "agent", "disk"
NAMED = 3


@dataclass(frozen=True)
class Alert:
    """An alert: the part, since when (UTC, as far as this server knows), and the problem."""

    part: str
    since: datetime
    what: str


class Alerts:
    """Collects alerts from notifications, projects and disks, with the start of each.

    `publish` gets a change when a check finds a different set of alerts than the one before.
    """

    def __init__(
        self,
        notifications: NotificationService,
        overview: Overview,
        disk: DiskRoom,
        clock: Callable[[], datetime],
        publish: Callable[[list[Change]], None],
    ) -> None:
        self._notifications = notifications
        self._overview = overview
        self._disk = disk
        self._clock = clock
        self._publish = publish
        self._since: dict[tuple[str, str], datetime] = {}
        self._published: frozenset[tuple[str, str]] = frozenset()

    def all(self) -> list[Alert]:
        """Return every current alert. Raises DatabaseSilent."""
        now = self._clock()
        told = [(NOTIFICATIONS, what, since) for what, since in self._notifications.waiting()]
        told += [(AGENT, what, now) for what in self._agents()]
        told += [
            (DISK, f"{size_words(one.free)} free for {one.name} ({one.folder})", now)
            for one in self._disk.low()
        ]
        keys = [_key(part, what) for part, what, _ in told]
        self._since = {
            key: min(self._since.get(key, since), since)
            for key, (_, _, since) in zip(keys, told, strict=True)
        }
        return [
            Alert(part, self._since[key], what)
            for key, (part, what, _) in zip(keys, told, strict=True)
        ]

    def words_of(self, part: str) -> list[str]:
        """Return the sentences of a part's alerts; none while the database is silent."""
        try:
            return [one.what for one in self.all() if one.part == part]
        except DatabaseSilent:
            return []

    def check_once(self) -> None:
        """Publish a change if the set of alerts differs from the last check."""
        try:
            found = frozenset(_key(one.part, one.what) for one in self.all())
        except DatabaseSilent:
            return  # unknown: the published set stays
        if found != self._published:
            self._published = found
            self._publish([FindingsChanged()])

    def _agents(self) -> list[str]:
        needed: dict[str, list[str]] = defaultdict(list)
        for view in self._overview.all():
            if view.agent_problem and view.project.archived_at is None:
                needed[view.agent_problem].append(view.project.name)
        return [f"{problem} Needed by {_names(names)}." for problem, names in needed.items()]


def _key(part: str, what: str) -> tuple[str, str]:
    # the texts of disks and notifications hold figures that change all the time
    return part, what if part == AGENT else part


def _names(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
