"""How many runs of a repository are active, as a set beside the rows knows it; the rows decide."""

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


class Crowds:
    """Keeps the sets like the rows: after each change of a run, and all of them anew at a sweep.

    Where there are no sets, or they are lost, nothing is known here and the rows are asked.
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
        """Hear of runs that change, where there are sets."""
        if self._sets is not None:
            feed.subscribe(self.hear)

    def hear(self, told: Numbered) -> None:
        """Follow soon; what changes meanwhile is followed together."""
        if not isinstance(told.change, RunChanged):
            return
        with self._lock:
            is_asked = bool(self._changed)
            self._changed.add(told.change.run_id)
        if not is_asked:
            self._submit(self.follow_once)

    def follow_once(self) -> None:
        """Bring the sets in line with the runs that have changed."""
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
            return  # made anew once they answer

    def make_anew(self) -> None:
        """Make every set what the rows say, if both answer."""
        if self._sets is None:
            return
        try:
            self._sets.make(self._open_runs.active_by_project())
        except (CountersSilent, DatabaseSilent):
            return

    def has_room(self, project_id: str, most: int) -> bool:
        """True where a set says so; False says nothing: the rows are to be asked."""
        if self._sets is None:
            return False
        try:
            return self._sets.count(project_id) < most
        except CountersSilent:
            return False

    def close(self) -> None:
        """Give every connection back."""
        if self._sets is not None:
            self._sets.close()
