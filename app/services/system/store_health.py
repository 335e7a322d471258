"""Health of the databases and disks, checked periodically and published when it changes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import structlog

from app.domain.quota import LimitsMode
from app.records.database.database import DatabaseSilent
from app.records.database.migration import stop_where_newer
from app.records.feed import Change, FeedBroke, StoresChanged
from app.records.stores.identity import NewRunsMoved, refuse_moved
from app.records.stores.routing import Stores

log = structlog.get_logger()


WATCH_SECONDS = 5.0
ALONE, CONTROL, RUNS, NEW_RUNS = "database", "control store", "run store", "new runs"
DISK = "disk"
STORES = (ALONE, CONTROL, RUNS)
SILENT = (
    "No answer. Agents keep running; Runyard resumes once the database answers. Check the database."
)
COUNTER = "shared counter"
STILL_READ = "Pages can be read; nothing can be changed."
NO_NEW_RUNS = "Everything works but starting runs from this server."
GOES_ON = "Agents keep running. Runyard resumes once it answers."
COUNTED = "Runs are counted in the database."


@dataclass(frozen=True)
class PartTrouble:
    """A part that does not work, since when (UTC, as noticed by this server), and the problem.

    `brief` is one line, `what` includes what to do.
    """

    part: str
    since: datetime
    what: str
    brief: str

    @property
    def is_degraded(self) -> bool:
        """True if everything can still be read."""
        return self.part == DISK


class StoreWatch:
    """Publishes each change of health; after a recovery FeedBroke makes all listeners reload.

    `no_room` returns a sentence about a full disk, or an empty string.
    """

    def __init__(
        self,
        stores: Stores,
        no_room: Callable[[], str],
        publish: Callable[[list[Change]], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._no_room = no_room
        self._stores = stores
        self._publish = publish
        self._clock = clock
        self._published = ""
        self._since: dict[str, datetime] = {}
        # start of the last check of the parts (monotonic seconds), and its result
        self._looked_at = -math.inf
        self._seen: list[PartTrouble] = []
        self._lock = threading.Lock()

    def check_once(self) -> str:
        """Check once and publish any change. Return the trouble in a sentence, empty if none."""
        with self._lock:
            self._parts()
            trouble = self._check()
            if trouble != self._published:
                self._published = trouble
                log.warning(
                    "stores_changed", because=trouble or "The databases can be written to again."
                )
                self._publish([StoresChanged(trouble), *([] if trouble else [FeedBroke()])])
            return trouble

    def parts(self) -> list[PartTrouble]:
        """Check all parts and return those that do not work now; never raises.

        Only one caller at a time waits for a silent store: a check that began after a caller's
        request serves that caller, too.
        """
        asked_at = time.monotonic()
        with self._lock:
            return self._seen if self._looked_at >= asked_at else self._parts()

    def _parts(self) -> list[PartTrouble]:
        began = time.monotonic()
        found = dict(self._troubles())
        now = self._clock()
        self._since = {part: self._since.get(part, now) for part in found}
        self._seen = [
            PartTrouble(part, self._since[part], what, brief)
            for part, (what, brief) in found.items()
        ]
        self._looked_at = began
        return self._seen

    def _troubles(self) -> Iterator[tuple[str, tuple[str, str]]]:
        names = (ALONE,) if self._stores.runs is None else (CONTROL, RUNS)
        has_answered = True
        for name, database in zip(names, self._stores.all(), strict=True):
            if database.trouble:
                yield name, (database.trouble, f"the {name} is not written to")
            elif not database.answers():
                has_answered = False
                yield name, (SILENT, f"the {name} does not answer")
        if has_answered and (moved := self._moved()):
            yield NEW_RUNS, (moved, "new runs are not accepted")
        if full := self._no_room():
            # `brief` is shown without sign-in, so it must not name the folder
            yield DISK, (full, full.partition(":")[0])

    def _moved(self) -> str:
        """Return why no new run is accepted though both stores answer, empty if one is."""
        try:
            with self._stores.control.reading() as session:
                refuse_moved(session, self._stores)
        except NewRunsMoved as moved:
            return moved.sentence or ""
        except DatabaseSilent:
            pass  # reported as a trouble of its own
        return ""

    def _check(self) -> str:
        if trouble := self._stores.trouble():
            return trouble
        for database in self._stores.all():
            # it may go silent between two calls
            with suppress(DatabaseSilent):
                stop_where_newer(database)
                database.share()
        return self._stores.stopped() or self._moved() or self._no_room()


class Health(StrEnum):
    """Health of a part."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    UNREACHABLE = "Unreachable"


@dataclass(frozen=True)
class PartHealth:
    """A part, its health, since when that is known (UTC), and what still works."""

    part: str
    health: Health
    since: datetime | None = None
    works: str = ""


class HealthService:
    """Reports the health of every part that this server uses, from its latest check."""

    def __init__(self, clock: Callable[[], datetime], *, is_split: bool) -> None:
        self._clock = clock
        self._stores = (CONTROL, RUNS) if is_split else (ALONE,)
        self._degraded_since: datetime | None = None

    def inspect(self, troubles: Sequence[PartTrouble], mode: LimitsMode) -> list[PartHealth]:
        """Return each part's health, databases first.

        `troubles` are from StoreWatch, `mode` is the mode of the limits.
        """
        known = {one.part: one for one in troubles}
        found: list[PartHealth] = []
        for name in dict.fromkeys((*self._stores, *known)):
            if (trouble := known.get(name)) is None:
                found.append(PartHealth(name, Health.HEALTHY))
            elif trouble.what == SILENT:
                found.append(PartHealth(name, Health.UNREACHABLE, trouble.since, GOES_ON))
            else:
                works = NO_NEW_RUNS if name == NEW_RUNS else STILL_READ
                found.append(PartHealth(name, Health.DEGRADED, trouble.since, works))
        return found + self._counter(mode)

    def _counter(self, mode: LimitsMode) -> list[PartHealth]:
        if mode is not LimitsMode.DEGRADED:
            self._degraded_since = None
            return [PartHealth(COUNTER, Health.HEALTHY)] if mode is LimitsMode.REDIS else []
        self._degraded_since = self._degraded_since or self._clock()
        return [PartHealth(COUNTER, Health.UNREACHABLE, self._degraded_since, COUNTED)]
