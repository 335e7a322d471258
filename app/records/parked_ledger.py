"""Parked work: what ended runs have left that is not merged, one branch at a time."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, literal_column, update
from sqlmodel import Session, col, select

from app.records.database import Transaction
from app.records.feed import ProjectChanged, RunChanged
from app.records.routing import Stores
from app.records.tables import Run

# the index of parked runs is found only by its own words, not by `parked = 1`
_PARKED: tuple[ColumnElement[bool], ...] = (
    literal_column("runs.parked"),
    col(Run.released_at).is_not(None),
)


class ParkedLedger:
    """The runs whose branch or working copy is kept; the newest of a branch stands for it.

    A branch that an open run works on is in use, not parked.
    """

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def all(self) -> list[Run]:
        """The newest parked run of every branch, oldest first."""
        newest: dict[tuple[str, str], Run] = {}
        for run in self._kept():
            newest[run.project_id, run.work_branch] = run
        for place in self._in_use():
            newest.pop(place, None)
        return sorted(newest.values(), key=_age)

    def of_branch(self, project_id: str, branch: str) -> list[Run]:
        """Every run that has something kept on a branch, oldest first, whoever uses it now."""
        return self._kept(Run.project_id == project_id, Run.work_branch == branch)

    def count(self, project_id: str) -> int:
        """How many branches of a project are parked."""
        branches: set[str] = set()
        for database in self.stores.holding_runs():
            query = select(Run.work_branch).where(Run.project_id == project_id, *_PARKED)
            with database.reading() as session:
                branches |= set(session.exec(query.distinct()).all())
        if not branches:
            return 0
        return len(branches - {branch for _, branch in self._in_use(Run.project_id == project_id)})

    def clear(self, tx: Transaction, runs: Iterable[Run]) -> None:
        """Write that nothing of these runs is kept any more."""
        for run in runs:
            tx.execute(update(Run).where(col(Run.id) == run.id).values(parked=False))
            tx.announce(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))

    def _kept(self, *wanted: bool | ColumnElement[bool]) -> list[Run]:
        found: list[Run] = []
        for database in self.stores.holding_runs():
            with database.reading() as session:
                found += session.exec(select(Run).where(*wanted, *_PARKED)).all()
        return sorted(found, key=_age)

    def _in_use(self, *wanted: bool | ColumnElement[bool]) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for database in self.stores.holding_runs():
            with database.reading() as session:
                found |= _open_branches(session, *wanted)
        return found


def _open_branches(session: Session, *wanted: bool | ColumnElement[bool]) -> set[tuple[str, str]]:
    query = select(Run.project_id, Run.work_branch)
    return set(session.exec(query.where(*wanted, col(Run.released_at).is_(None))).all())


def _age(run: Run) -> tuple[object, str]:
    return run.created_at, run.id
