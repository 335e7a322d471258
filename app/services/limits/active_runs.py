"""Sets of active runs per repository, kept beside the rows for speed; the rows decide."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from app.records.database.database import DatabaseSilent
from app.records.feed import Feed, Numbered, RunChanged
from app.records.runs.run_ledger import RunLedger
from app.records.runs.run_statements import is_active
from app.records.runs.selections import OpenRuns
from app.services.ports import ActiveSets, CountersSilent


class ActiveRunCounts:
    """Keeps the sets in line with the rows: after each run change, and rebuilt at each sweep.

    Without sets, or while they are lost, `has_room` proves nothing and the rows must be read.
    """

    def __init__(
        self,
        sets: ActiveSets | None,
        runs: RunLedger,
        open_runs: OpenRuns,
        submit: Callable[[Callable[[], Any]], None],
    ) -> None:
        self._sets = sets
        self._runs = runs
        self._open_runs = open_runs
        self._submit = submit
        self._lock = threading.Lock()
        self._changed: set[str] = set()

    def listen(self, feed: Feed) -> None:
        """Subscribe to run changes, if there are sets."""
        if self._sets is not None:
            feed.subscribe(self.on_change)

    def on_change(self, told: Numbered) -> None:
        """Schedule an update; runs that change before it starts are updated together."""
        if not isinstance(told.change, RunChanged):
            return
        with self._lock:
            is_asked = bool(self._changed)
            self._changed.add(told.change.run_id)
        if not is_asked:
            self._submit(self.follow_once)

    def follow_once(self) -> None:
        """Update the sets for the runs that changed since the last update."""
        with self._lock:
            ids, self._changed = self._changed, set()
        if self._sets is None or not ids:
            return
        added, removed = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for run in self._runs.find_all(ids).values():
            counts = run.released_at is None and is_active(run)
            (added if counts else removed)[run.project_id].append(run.id)
        try:
            for project_id in {*added, *removed}:
                self._sets.change(project_id, added=added[project_id], removed=removed[project_id])
        except CountersSilent:
            return  # the next sweep rebuilds them

    def make_anew(self) -> None:
        """Rebuild every set from the rows, if both answer."""
        if self._sets is None:
            return
        try:
            self._sets.make(self._open_runs.active_by_project())
        except (CountersSilent, DatabaseSilent):
            return

    def has_room(self, project_id: str, most: int) -> bool:
        """Return True if a set proves that there is room. On False, read the rows."""
        if self._sets is None:
            return False
        try:
            return self._sets.count(project_id) < most
        except CountersSilent:
            return False

    def close(self) -> None:
        """Close every connection."""
        if self._sets is not None:
            self._sets.close()
