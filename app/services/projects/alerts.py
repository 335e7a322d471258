"""Warnings for every page: messages that wait, agents that are missing, disks that run full."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.domain.formatting import size_words
from app.records.database.database import DatabaseSilent
from app.records.feed import Change, FindingsChanged
from app.services.notifications.desk import NotificationDesk
from app.services.projects.overview import Overview
from app.services.system.disk_room import DiskRoom

NOTIFICATIONS, AGENT, DISK = "notifications", "agent", "disk"
NAMED = 3


@dataclass(frozen=True)
class Alert:
    """A warning: of which part, since when, as far as this server knows, and what is wrong."""

    part: str
    since: datetime
    what: str


class Alerts:
    """Asks notifications, projects and disks; remembers since when each thing is so.

    `tell` hears when a look found another set of warnings than the one before.
    """

    def __init__(
        self,
        notifications: NotificationDesk,
        overview: Overview,
        disk: DiskRoom,
        clock: Callable[[], datetime],
        tell: Callable[[list[Change]], None],
    ) -> None:
        self._notifications = notifications
        self._overview = overview
        self._disk = disk
        self._clock = clock
        self._tell = tell
        self._since: dict[tuple[str, str], datetime] = {}
        self._told: frozenset[tuple[str, str]] = frozenset()

    def all(self) -> list[Alert]:
        """Every warning that holds now. Raises DatabaseSilent."""
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

    def look_once(self) -> None:
        """Tell open pages where something is warned of that was not, or is not any more."""
        try:
            found = frozenset(_key(one.part, one.what) for one in self.all())
        except DatabaseSilent:
            return  # what was told is neither true nor untrue now
        if found != self._told:
            self._told = found
            self._tell([FindingsChanged()])

    def _agents(self) -> list[str]:
        needed: dict[str, list[str]] = defaultdict(list)
        for view in self._overview.all():
            if view.agent_problem and view.project.archived_at is None:
                needed[view.agent_problem].append(view.project.name)
        return [f"{problem} Needed by {_names(names)}." for problem, names in needed.items()]


def _key(part: str, what: str) -> tuple[str, str]:
    # how much is free changes all the time, since when there is too little does not
    return part, what if part == AGENT else part


def _names(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
