"""Alerts for every page: undelivered messages, refused tokens, missing agents, full disks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.formatting import size_words
from app.records.database.database import DatabaseSilent
from app.records.feed import Change, FindingsChanged, Numbered, ProjectChanged
from app.services.notifications.notifications import NotificationService
from app.services.projects.overview import Overview, ProjectView
from app.services.system.disk_room import DiskRoom
from app.services.tracker.forges import ForgeService

NOTIFICATIONS, AGENT, SANDBOX, DISK = "notifications", "agent", "sandbox", "disk"
FORGE = "forge"
NAMED = 3


@dataclass(frozen=True)
class Alert:
    """An alert: the part, since when (UTC, as far as this server knows), and the problem.

    `about` stays the same while the figures in `what` change.
    """

    part: str
    since: datetime
    what: str
    about: str = ""


class Alerts:
    """Collects alerts from notifications, projects and disks, with the start of each.

    `publish` gets a change when a check finds a different set of alerts than the one before.
    """

    def __init__(
        self,
        notifications: NotificationService,
        overview: Overview,
        disk: DiskRoom,
        forges: ForgeService,
        clock: Callable[[], datetime],
        publish: Callable[[list[Change]], None],
    ) -> None:
        self._notifications = notifications
        self._overview = overview
        self._disk = disk
        self._forges = forges
        self._clock = clock
        self._publish = publish
        self._since: dict[tuple[str, str], datetime] = {}
        self._published: frozenset[tuple[str, str]] = frozenset()
        # the changes of forges that were heard of, and the troubles as of one of them
        self._heard = 0
        self._troubles: tuple[int, dict[str, tuple[str, datetime]]] = (-1, {})
        # what this machine lacks for each project, as of the last check
        self._lacks: dict[str, tuple[str | None, str | None]] = {}

    def all(self, views: Sequence[ProjectView] | None = None) -> list[Alert]:
        """Return every current alert; `views` are the projects to look at, all if it is None.

        Raises DatabaseSilent.
        """
        now = self._clock()
        told = [(NOTIFICATIONS, *one) for one in self._notifications.waiting()]
        told += [(FORGE, one, *trouble) for one, trouble in self._troubled().items()]
        told += [(part, what, what, now) for part, what in self._needed(views)]
        told += [
            (
                DISK,
                str(one.folder),
                f"{size_words(one.free)} free for {one.name} ({one.folder})",
                now,
            )
            for one in self._disk.low()
        ]
        self._since = {
            (part, about): min(self._since.get((part, about), since), since)
            for part, about, _, since in told
        }
        return [Alert(part, self._since[part, about], what, about) for part, about, what, _ in told]

    def on_forges(self, _: Numbered) -> None:
        """Read anew what is wrong with forges when it is asked for next."""
        self._heard += 1

    def words_of(self, part: str) -> list[str]:
        """Return the sentences of a part's alerts; none while the database is silent."""
        try:
            return [one.what for one in self.all() if one.part == part]
        except DatabaseSilent:
            return []

    def check_once(self) -> None:
        """Publish a change if the set of alerts differs from the last check.

        Projects whose agent or sandbox has come or gone are published, too: their cards say so.
        """
        try:
            found = frozenset((one.part, one.about) for one in self.all())
            views = self._overview.all()
        except DatabaseSilent:
            return  # unknown: the published set stays
        lacks = {one.project.id: (one.agent_problem, one.sandbox_problem) for one in views}
        before, self._lacks = self._lacks, lacks
        changed = [one for one, lack in lacks.items() if before.get(one, lack) != lack]
        changes: list[Change] = [ProjectChanged(one) for one in changed]
        if found != self._published:
            self._published = found
            changes.append(FindingsChanged())
        if changes:
            self._publish(changes)

    def _troubled(self) -> dict[str, tuple[str, datetime]]:
        heard, (as_of, troubles) = self._heard, self._troubles
        if as_of != heard:
            troubles = self._forges.troubles()
            self._troubles = heard, troubles
        return troubles

    def _needed(self, views: Sequence[ProjectView] | None) -> Iterator[tuple[str, str]]:
        """Yield the part and the sentence of what projects need and this machine lacks."""
        needed: dict[tuple[str, str], list[str]] = defaultdict(list)
        for view in self._overview.all() if views is None else views:
            problems = ((AGENT, view.agent_problem), (SANDBOX, view.sandbox_problem))
            for part, problem in problems if view.project.archived_at is None else ():
                if problem:
                    needed[part, problem].append(view.project.name)
        for (part, problem), names in needed.items():
            yield part, f"{problem} Needed by {_names(names)}."


def _names(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
