"""What a person is warned of on every page: messages, agents and room that are missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.domain.sizes import size_words
from app.services.disk_room import DiskRoom
from app.services.notification_desk import NotificationDesk
from app.services.overview import Overview

NOTIFICATIONS, AGENT, DISK = "notifications", "agent", "disk"
NAMED = 3


@dataclass(frozen=True)
class Alert:
    """A warning: of which part, since when, as far as this server knows, and what is wrong."""

    part: str
    since: datetime
    what: str


class Alerts:
    """Asks notifications, projects and disks; remembers since when each thing is so."""

    def __init__(
        self,
        notifications: NotificationDesk,
        overview: Overview,
        disk: DiskRoom,
        clock: Callable[[], datetime],
    ) -> None:
        self._notifications = notifications
        self._overview = overview
        self._disk = disk
        self._clock = clock
        self._since: dict[tuple[str, str], datetime] = {}

    def all(self) -> list[Alert]:
        """Every warning that holds now. Raises DatabaseSilent."""
        now = self._clock()
        told = [(NOTIFICATIONS, what, since) for what, since in self._notifications.waiting()]
        told += [(AGENT, what, now) for what in self._agents()]
        told += [
            (DISK, f"{size_words(one.free)} free for {one.name} ({one.folder})", now)
            for one in self._disk.low()
        ]
        # how much is free changes all the time, since when there is too little does not
        keys = [(part, what if part == AGENT else part) for part, what, _ in told]
        self._since = {
            key: min(self._since.get(key, since), since)
            for key, (_, _, since) in zip(keys, told, strict=True)
        }
        return [
            Alert(part, self._since[key], what)
            for key, (part, what, _) in zip(keys, told, strict=True)
        ]

    def _agents(self) -> list[str]:
        needed: dict[str, list[str]] = defaultdict(list)
        for view in self._overview.all():
            if view.agent_problem and view.project.archived_at is None:
                needed[view.agent_problem].append(view.project.name)
        return [f"{problem} Needed by {_names(names)}." for problem, names in needed.items()]


def _names(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
