"""Whether the databases can be written to: looked at again and again, told when it changes."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.quota import LimitsMode
from app.records.database.database import DatabaseSilent
from app.records.database.migration import stop_where_newer
from app.records.feed import Change, FeedBroke, StoresChanged
from app.records.stores.identity import NewRunsMoved, refuse_moved
from app.records.stores.routing import Stores

log = logging.getLogger(__name__)


WATCH_SECONDS = 5.0
ALONE, CONTROL, RUNS, NEW_RUNS = "database", "control store", "run store", "new runs"
DISK = "disk"
STORES = (ALONE, CONTROL, RUNS)
SILENT = (
    "It does not answer. Agents go on; Runyard continues by itself once it does. Look at the "
    "database."
)


@dataclass(frozen=True)
class PartTrouble:
    """A part that does not work: since when, as far as this server noticed, and what is wrong.

    `brief` says it in one line, `what` with what to do.
    """

    part: str
    since: datetime
    what: str
    brief: str

    @property
    def is_degraded(self) -> bool:
        """True where everything can be read all the same."""
        return self.part == DISK


class StoreWatch:
    """Tells the feed of each change; once all is well again, everybody looks anew.

    `no_room` says which disk is full, if one is.
    """

    def __init__(
        self,
        stores: Stores,
        no_room: Callable[[], str],
        tell: Callable[[list[Change]], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._no_room = no_room
        self._stores = stores
        self._tell = tell
        self._clock = clock
        self._told = ""
        self._since: dict[str, datetime] = {}
        # when the last look at the parts began, by the clock that is never set, and what it saw
        self._looked_at = -math.inf
        self._seen: list[PartTrouble] = []
        self._lock = threading.Lock()

    def look_once(self) -> str:
        """The trouble, in a sentence; empty where there is none."""
        with self._lock:
            self._parts()
            trouble = self._look()
            if trouble != self._told:
                self._told = trouble
                log.warning("%s", trouble or "The databases can be written to again.")
                self._tell([StoresChanged(trouble), *([] if trouble else [FeedBroke()])])
            return trouble

    def parts(self) -> list[PartTrouble]:
        """Each part that does not work now, asked anew; never raises.

        A silent store is waited for by one at a time: a look that began after somebody asked
        answers them, too.
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
            # where it is mounted is nobody's business who has not signed in
            yield DISK, (full, full.partition(":")[0])

    def _moved(self) -> str:
        """Why no new run is accepted here though both stores answer; empty where one is."""
        try:
            with self._stores.control.reading() as session:
                refuse_moved(session, self._stores)
        except NewRunsMoved as moved:
            return moved.sentence or ""
        except DatabaseSilent:
            pass  # that is a trouble of its own
        return ""

    def _look(self) -> str:
        if trouble := self._stores.trouble():
            return trouble
        for database in self._stores.all():
            # between two looks it may go away
            with suppress(DatabaseSilent):
                stop_where_newer(database)
                database.share()
        return self._stores.stopped() or self._moved() or self._no_room()


COUNTER = "shared counter"
STILL_READ = "Pages can be read; nothing can be changed."
NO_NEW_RUNS = "Everything works but starting runs from this server."
GOES_ON = "Agents go on. Runyard continues by itself once it answers."
COUNTED = "Runs are counted in the database."


class Health(StrEnum):
    """How a part is."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    UNREACHABLE = "Unreachable"


@dataclass(frozen=True)
class PartHealth:
    """A part, how it is, since when that is known, and what still works."""

    part: str
    health: Health
    since: datetime | None = None
    works: str = ""


class HealthDesk:
    """Says of every part that this server uses how it is, from what was just seen of it."""

    def __init__(self, clock: Callable[[], datetime], *, is_split: bool) -> None:
        self._clock = clock
        self._stores = (CONTROL, RUNS) if is_split else (ALONE,)
        self._degraded_since: datetime | None = None

    def look(self, troubles: Sequence[PartTrouble], mode: LimitsMode) -> list[PartHealth]:
        """The databases first; `troubles` are those of the stores, `mode` is the limits'."""
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
