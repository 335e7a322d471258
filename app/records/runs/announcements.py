"""Runs whose issues at a forge are yet to be told how they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import literal_column, update
from sqlmodel import col, select

from app.domain.lifecycle import WAITING
from app.domain.words import Status
from app.records.stores.routing import Stores
from app.records.tables import Run

_BEGUN = [one.value for one in Status if one not in WAITING]


class AnnouncementLedger:
    """The announcements of runs, kept in their own rows."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def due(self) -> list[Run]:
        """Return begun and ended runs to tell of, ended ones first, the oldest of each first."""
        # exactly as in its partial index, or SQLite does not use it
        query = select(Run).where(literal_column("runs.announce"), col(Run.status).in_(_BEGUN))
        found = self._stores.everywhere(query)
        return sorted(found, key=lambda run: (run.ended_at is None, run.created_at, run.id))

    def keep(self, run_id: str, told: Mapping[str, Any] | None, *, is_over: bool = False) -> None:
        """Keep what stands on the issue; with `is_over` nothing more is told."""
        columns: dict[str, Any] = {"announced": told} if told is not None else {}
        if is_over:
            columns["announce"] = False
        with self._stores.owner_of(run_id).transaction() as tx:
            tx.exec(update(Run).where(col(Run.id) == run_id).values(**columns))
