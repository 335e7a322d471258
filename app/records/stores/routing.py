"""Routing of rows to the store that owns them, by id."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, TypeVarTuple, overload

import structlog
from sqlmodel import Session
from sqlmodel.sql.expression import Select, SelectOfScalar

from app.domain import ids
from app.records.database.database import Database, Transaction
from app.records.stores.sessions import APART, every, join

log = structlog.get_logger()
S = TypeVar("S", bound=Session)
Row = TypeVar("Row")
Columns = TypeVarTuple("Columns")


@dataclass(frozen=True)
class Stores:
    """The control store and, if runs are split off, the run store; ids show which owns a row."""

    control: Database
    runs: Database | None
    entropy: Callable[[int], bytes]
    # False if new runs live in the control store again, and the run store only keeps the old ones
    fills_runs: bool = True
    # failpoint: called between two commits, with the operation's name
    between: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        if self.runs is not None:
            self.control.info[APART], self.runs.info[APART] = "control", "runs"

    @property
    def are_split(self) -> bool:
        """True if new runs live in the run store."""
        return self.runs is not None and self.fills_runs

    def owner_of(self, id_: str) -> Database:
        """Return the database that owns the row with this id."""
        try:
            store = ids.store_of(id_)
        except ids.Unclassifiable:
            log.warning("id_of_unknown_shape", id=id_[:60])
            store = ids.Store.CONTROL
        return self.runs if store is ids.Store.RUNS and self.runs is not None else self.control

    def by_owner(self, ids_: Iterable[str]) -> dict[Database, list[str]]:
        """Group ids by the database that owns them; each group keeps their order."""
        found: dict[Database, list[str]] = {}
        for id_ in ids_:
            found.setdefault(self.owner_of(id_), []).append(id_)
        return found

    def holding_runs(self) -> list[Database]:
        """Return every database that may hold runs, the one for new runs first."""
        return [self.control] if self.runs is None else [self.runs, self.control]

    @overload
    def everywhere(
        self, query: SelectOfScalar[Row], session: Session | None = None
    ) -> list[Row]: ...

    @overload
    def everywhere(
        self, query: Select[*Columns], session: Session | None = None
    ) -> list[tuple[*Columns]]: ...

    def everywhere(
        self,
        query: SelectOfScalar[Any] | Select[*tuple[Any, ...]],
        session: Session | None = None,
    ) -> list[Any]:
        """Run a query in every store that may hold runs; return the results store by store.

        Reads through `session` if given, which has to see both stores.
        """
        if session is not None:
            return [row for one in every(session) for row in one.exec(query)]
        found: list[Any] = []
        for database in self.holding_runs():
            with database.reading() as session:
                found += session.exec(query).all()
        return found

    def all(self) -> list[Database]:
        """Return all databases, the control store first."""
        return [self.control] if self.runs is None else [self.control, self.runs]

    def answers(self) -> bool:
        """Return True if every database answers a query."""
        return all(database.answers() for database in self.all())

    def stopped(self) -> str:
        """Return why writing to a database has stopped, as a sentence; empty if it has not."""
        return next((one.trouble for one in self.all() if one.trouble), "")

    def trouble(self) -> str:
        """Return why nothing can be changed now, with advice, as a sentence; empty if it can."""
        if (stopped := self.stopped()) or self.answers():
            return stopped
        return (
            "The database does not answer: nothing can be changed, and this page may be old. "
            "Agents keep running. Check the database; Runyard resumes once it answers."
        )

    # --- spanning both stores ------------------------------------------------------------------

    def spanning(self, id_: str, act: str) -> AbstractContextManager[Transaction]:
        """Open a transaction in the store that owns this id, linked to one in the other store.

        Takes the write lock of both. The control store commits first: write there only what repairs
        itself if the run store's commit fails. `act` names the operation for the failpoint between
        the two. Raises DatabaseSilent, for either store.
        """
        return self.writing_to(self.owner_of(id_), act)

    @contextmanager
    def writing_to(self, owner: Database, act: str) -> Generator[Transaction]:
        """Do the same in this store, linked to the other one."""
        if self.runs is None:
            with self.control.transaction() as tx:
                yield tx
            return
        # always lock in this order, so that two operations cannot deadlock
        with self.control.transaction() as control, self.runs.transaction() as runs:
            control.begin_now()
            runs.begin_now()
            own, other = (runs, control) if owner is self.runs else (control, runs)
            yield join(own, other, control=control)
            runs.flush()
            self.control.end(control)
            self.between(f"{act}.between_stores")

    @contextmanager
    def looking(self) -> Generator[Session]:
        """Open a read-only session that sees both stores. Raises DatabaseSilent."""
        with self.control.reading() as control:
            if self.runs is None:
                yield control
                return
            with self.runs.reading() as runs:
                yield join(control, runs, control=control)

    def part(self, session: S, id_: str) -> S:
        """Return the part of a session that spans both stores whose store owns this id."""
        store = self.owner_of(id_).info.get(APART)
        return next(one for one in every(session) if one.info.get(APART) == store)

    # --- new ids -------------------------------------------------------------------------------

    def mint_run_id(self, now: datetime, *, beside: str | None = None) -> str:
        """Make the id of a new run: in its parent's store, or without one by the setting."""
        split = self._is_split(beside) if beside else self.are_split
        return ids.mint_run_store_id(
            "run", at_ms=_milliseconds(now), entropy=self.entropy(10), split=split
        )

    def mint_batch_id(self, now: datetime, *, beside: str | None) -> str:
        """Make the id of a new batch: in its parent's store, or without one by the setting."""
        split = self._is_split(beside) if beside else self.are_split
        return ids.mint_run_store_id(
            "batch", at_ms=_milliseconds(now), entropy=self.entropy(10), split=split
        )

    @staticmethod
    def _is_split(id_: str) -> bool:
        return ids.store_of(id_) is ids.Store.RUNS

    def mint_control_id(self, prefix: str, now: datetime) -> str:
        """Make the id of a new row of the control store."""
        return ids.mint_control_id(prefix, at_ms=_milliseconds(now), entropy=self.entropy(10))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
