"""What goes is shown for an hour first, and said once: logs and working copies alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.records.run_ledger import RunLedger
from app.services.retention_terms import Leaving, Terms

SHOWN_FOR = timedelta(hours=1)


class Showing:
    """Since when each thing is shown to go: by this server, since it was started."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}

    def show(self, leaving: Iterable[Leaving], now: datetime) -> tuple[Leaving, ...]:
        """Show these, and nothing else any more; each with the moment from which it goes."""
        some = tuple(leaving)
        self._since = {one.run_id: self._since.get(one.run_id, now) for one in some}
        return tuple(replace(one, goes_at=self._since[one.run_id] + SHOWN_FOR) for one in some)


def are_due(leaving: Iterable[Leaving], now: datetime) -> list[Leaving]:
    """Those that were shown long enough."""
    return [one for one in leaving if one.goes_at is not None and one.goes_at <= now]


def next_to_go(leaving: Iterable[Leaving], now: datetime) -> datetime | None:
    """When the first of those goes that were not shown long enough yet."""
    return min((one.goes_at for one in leaving if one.goes_at and one.goes_at > now), default=None)


@dataclass(frozen=True)
class Removed:
    """What of a run is removed: the kind of its line, and what people call it."""

    kind: str
    name: str

    def say(self, runs: RunLedger, terms: Terms, one: Leaving, now: datetime) -> None:
        """Write in a run's timeline that it goes, before it does, and once."""
        # whoever is killed in between comes here again
        if any(line.kind == self.kind for line in runs.timeline(one.run_id)):
            return
        data = {"bytes": one.bytes, "because": one.because.value}
        runs.tell_once(one.run_id, now, self.kind, terms.sentence(self.name, one.because), **data)
