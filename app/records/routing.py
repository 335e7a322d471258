"""Which store owns a row: one function, asked for every statement (stores.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.domain import ids
from app.records.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stores:
    """The control store and, where runs are split off, the run store; ids say who owns what."""

    control: Database
    runs: Database | None
    entropy: Callable[[int], bytes]

    @property
    def are_split(self) -> bool:
        """True where new runs live in a database of their own."""
        return self.runs is not None

    def owner_of(self, id_: str) -> Database:
        """The database that owns the row with this id."""
        try:
            store = ids.store_of(id_)
        except ids.Unclassifiable:
            log.warning("an id of unknown shape is treated as the control store's: %r", id_[:60])
            store = ids.Store.CONTROL
        return self.runs if store is ids.Store.RUNS and self.runs is not None else self.control

    def holding_runs(self) -> list[Database]:
        """Every database that may hold runs, the one that gets new ones first."""
        return [self.control] if self.runs is None else [self.runs, self.control]

    def mint_run_id(self, now: datetime, *, beside: str | None = None) -> str:
        """The id of a new run: a root run's by the setting, another's in its parent's store."""
        split = self._is_split(beside) if beside else self.are_split
        return ids.mint_run_store_id(
            "run", at_ms=_milliseconds(now), entropy=self.entropy(10), split=split
        )

    def mint_batch_id(self, now: datetime, *, beside: str | None) -> str:
        """The id of a new batch, in the store of its parent where it has one."""
        split = self._is_split(beside) if beside else self.are_split
        return ids.mint_run_store_id(
            "batch", at_ms=_milliseconds(now), entropy=self.entropy(10), split=split
        )

    @staticmethod
    def _is_split(id_: str) -> bool:
        return ids.store_of(id_) is ids.Store.RUNS

    def mint_control_id(self, prefix: str, now: datetime) -> str:
        """The id of a new row of the control store."""
        return ids.mint_control_id(prefix, at_ms=_milliseconds(now), entropy=self.entropy(10))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
