"""One round over an order for many runs: who has no room, and who could not be asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.records.tables import Bulk, Run


@dataclass
class Round:
    """What was met so far; `stuck_at` is the position of the last item that got no answer."""

    bulk: Bulk
    stuck_at: int = -1
    _full: set[str] = field(default_factory=set)
    _asked_in_vain: set[str] = field(default_factory=set)

    def note_full_window(self) -> None:
        """Who gave the order has no room for any other run."""
        self._full.add(self.bulk.created_by)

    def note_full(self, run: Run) -> None:
        """The project of a run has no room for any other."""
        self._full.add(run.project_id)

    def note_no_answer(self, position: int, run: Run) -> None:
        """What a run needs outside did not answer."""
        # it may be about that run alone: only a second one says that it is about the project
        if run.project_id in self._asked_in_vain:
            self.note_full(run)
        self._asked_in_vain.add(run.project_id)
        self.stuck_at = position

    def passes_over(self, run: Run | None) -> bool:
        """True where nothing can be done to a run in this round."""
        return run is not None and run.project_id in self._full

    @property
    def is_over(self) -> bool:
        """True where nothing of the order has room: the person, or its only project, has none."""
        wanted = self.bulk.wanted
        is_of_one = bool(wanted.get("project_id") or wanted.get("batch_id"))
        return self.bulk.created_by in self._full or (is_of_one and bool(self._full))
