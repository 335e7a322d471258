"""Which store owns a row: one function, asked for every statement (stores.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, overload

from sqlmodel import Session
from sqlmodel.sql.expression import SelectOfScalar

from app.domain import ids
from app.records.database.database import Database, Transaction
from app.records.stores.sessions import APART, every, join

log = logging.getLogger(__name__)
Row = TypeVar("Row")


@dataclass(frozen=True)
class Stores:
    """The control store and, where runs are split off, the run store; ids say who owns what."""

    control: Database
    runs: Database | None
    entropy: Callable[[int], bytes]
    # False where the run store only keeps what it has: new runs live in the control store again
    fills_runs: bool = True
    # called after the first of two commits, with a name for what they are of
    between: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        if self.runs is not None:
            self.control.info[APART], self.runs.info[APART] = "control", "runs"

    @property
    def are_split(self) -> bool:
        """True where new runs live in a database of their own."""
        return self.runs is not None and self.fills_runs

    def owner_of(self, id_: str) -> Database:
        """The database that owns the row with this id."""
        try:
            store = ids.store_of(id_)
        except ids.Unclassifiable:
            log.warning("an id of unknown shape is treated as the control store's: %r", id_[:60])
            store = ids.Store.CONTROL
        return self.runs if store is ids.Store.RUNS and self.runs is not None else self.control

    def by_owner(self, ids_: Iterable[str]) -> dict[Database, list[str]]:
        """These ids by the database that owns the row of each, in their order."""
        found: dict[Database, list[str]] = {}
        for id_ in ids_:
            found.setdefault(self.owner_of(id_), []).append(id_)
        return found

    def holding_runs(self) -> list[Database]:
        """Every database that may hold runs, the one that gets new ones first."""
        return [self.control] if self.runs is None else [self.runs, self.control]

    @overload
    def everywhere(self, query: SelectOfScalar[Row]) -> list[Row]: ...

    @overload
    def everywhere(self, query: Any) -> list[Any]: ...

    def everywhere(self, query: Any) -> list[Any]:
        """What is found in every store that may hold runs, one store's behind the other's."""
        found: list[Any] = []
        for database in self.holding_runs():
            with database.reading() as session:
                found += session.exec(query).all()
        return found

    def all(self) -> list[Database]:
        """Every database there is, the control store first."""
        return [self.control] if self.runs is None else [self.control, self.runs]

    def answers(self) -> bool:
        """True where every database can be asked something."""
        return all(database.answers() for database in self.all())

    def stopped(self) -> str:
        """Why a database is not written to any more, in a sentence; empty where each is."""
        return next((one.trouble for one in self.all() if one.trouble), "")

    def trouble(self) -> str:
        """Why nothing can be changed now, and what to do, in a sentence; empty where it can."""
        if (stopped := self.stopped()) or self.answers():
            return stopped
        return (
            "The database does not answer: nothing can be changed, and this page may be old. "
            "Agents go on. Look at the database; Runyard goes on by itself once it answers."
        )

    # --- both at once --------------------------------------------------------------------------

    @contextmanager
    def spanning(self, id_: str, act: str) -> Iterator[Transaction]:
        """A transaction of the store that owns this id, with one of the other store beside it.

        Writers of either store wait meanwhile. The control store is committed first: only what
        is put right by itself where the rest does not follow may be written there. `act` names
        what is done. Raises DatabaseSilent, for either of them.
        """
        if self.runs is None:
            with self.control.transaction() as tx:
                yield tx
            return
        # always in this order, so that no two ever wait for each other
        with self.control.transaction() as control, self.runs.transaction() as runs:
            control.begin_now()
            runs.begin_now()
            own, other = (runs, control) if self.owner_of(id_) is self.runs else (control, runs)
            yield join(own, other, control=control)
            runs.flush()
            self.control.end(control)
            self.between(f"{act}.between_stores")

    @contextmanager
    def looking(self) -> Iterator[Session]:
        """A session that only reads, and sees both stores. Raises DatabaseSilent."""
        with self.control.reading() as control:
            if self.runs is None:
                yield control
                return
            with self.runs.reading() as runs:
                yield join(control, runs, control=control)

    def part(self, tx: Transaction, id_: str) -> Transaction:
        """Of a transaction that spans both stores the one that owns this id."""
        store = self.owner_of(id_).info.get(APART)
        return next(one for one in every(tx) if one.info.get(APART) == store)

    # --- new ids -------------------------------------------------------------------------------

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
