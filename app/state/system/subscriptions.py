"""Notifications that a person chose, as rows of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.api.schemas import SubscriptionsOut

COLUMNS = (
    ("needs_you", "Needs attention"),
    ("delivered", "Deliveries"),
    ("failed", "Failures"),
    ("paused", "Pauses"),
)
ALL = "All projects"


@dataclass(frozen=True)
class SubscriptionRow:
    """The kinds for a project, None for all without a choice; `is_chosen` if someone set them."""

    project_id: str | None
    name: str
    kinds: tuple[str, ...]
    is_chosen: bool = True

    def toggled(self, kind: str) -> list[str]:
        """Return the kinds with this one added, or left out if it was among them."""
        return [one for one, _ in COLUMNS if (one in self.kinds) != (one == kind)]


class SubscriptionBoard:
    """The row for all projects, then those with a choice of their own, by name."""

    def __init__(self, seen: SubscriptionsOut) -> None:
        self._rows = [
            SubscriptionRow(one.project_id, one.project_name or ALL, tuple(one.kinds))
            for one in seen.items
        ]
        if not any(one.project_id is None for one in self._rows):
            self._rows.insert(0, SubscriptionRow(None, ALL, tuple(seen.kinds), is_chosen=False))

    def rows(self) -> Sequence[SubscriptionRow]:
        """Return the rows in the order of the page."""
        return self._rows

    def row_of(self, project_id: str | None) -> SubscriptionRow | None:
        """Return the row of a project, or of all others (None)."""
        return next((one for one in self._rows if one.project_id == project_id), None)

    def toggle(self, project_id: str | None, kind: str) -> list[str] | None:
        """Add a kind to a row at once, or leave it out; return its kinds, None without the row."""
        row = self.row_of(project_id)
        if row is None:
            return None
        kinds = row.toggled(kind)
        chosen = replace(row, kinds=tuple(kinds), is_chosen=True)
        self._rows = [chosen if one is row else one for one in self._rows]
        return kinds

    @property
    def kinds_for_all(self) -> tuple[str, ...]:
        """The kinds of the first row."""
        return self._rows[0].kinds
