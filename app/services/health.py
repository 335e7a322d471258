"""How the parts that Runyard stands on are: which do not work, since when, and what stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.quota_rules import LimitsMode
from app.services.store_watch import ALONE, CONTROL, NEW_RUNS, RUNS, SILENT, PartTrouble

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
