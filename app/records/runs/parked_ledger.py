"""Parked work: what ended runs have left that is not merged, one branch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, literal_column, or_, update
from sqlmodel import col, select

from app.domain.words import Status
from app.records.database.database import Transaction
from app.records.feed import ProjectChanged, RunChanged
from app.records.people.audit_ledger import Deed, write_down
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run

# the index of parked runs is found only by its own words, not by `parked = 1`
_PARKED: tuple[ColumnElement[bool], ...] = (
    literal_column("runs.parked"),
    col(Run.released_at).is_not(None),
)
_ENDED_UNPROVED: tuple[ColumnElement[bool], ...] = (
    col(Run.ended_at).is_not(None),
    col(Run.released_at).is_(None),
)


class ParkedLedger:
    """The runs whose branch or working copy is kept; the newest of a branch stands for it.

    A branch that an open run works on is in use, not parked.
    """

    def __init__(self, runs: RunLedger) -> None:
        self._runs = runs
        self._stores = runs.stores

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

    def plain(self, *, after: str, limit: int) -> list[Run]:
        """So many parked runs without an issue and a delivery whose id is behind `after`, in order.

        Those at their usage limit are not among them: they go on where they were.
        """
        query = (
            select(Run)
            .where(
                *_PARKED,
                col(Run.issue).is_(None),
                col(Run.may_resume).is_(False),
                Run.status != Status.LIMITED,
                Run.id > after,
            )
            .order_by(col(Run.id))
            .limit(limit)
        )
        found: list[Run] = self._stores.everywhere(query)
        return sorted(found, key=lambda run: run.id)[:limit]

    def counts(self, project_ids: Collection[str]) -> Counter[str]:
        """How many branches of each of these projects are parked."""
        theirs = col(Run.project_id).in_(project_ids)
        query = select(Run.project_id, Run.work_branch).where(theirs, *_PARKED)
        # told apart here: for DISTINCT, SQLite would walk every run by branch, parked or not
        branches: set[tuple[str, str]] = set(self._stores.everywhere(query))
        if branches:
            branches -= self._in_use(theirs)
        return Counter(project_id for project_id, _ in branches)

    def has_left_work(self, heir: Run) -> bool:
        """True where another run has a branch in the runs folder in which this one is launched."""
        for database in self._stores.holding_runs():
            query = select(Run.id).where(
                Run.project_id == heir.project_id,
                Run.id != heir.id,
                # the folder's own mark, or the mark of the server that used to have it
                or_(col(Run.instance) == heir.instance, col(Run.server) == heir.server),
                or_(
                    literal_column("runs.parked"),
                    and_(col(Run.base_sha).is_not(None), col(Run.released_at).is_(None)),
                    col(Run.delivery)["state"].as_string() == "open",
                ),
            )
            with database.reading() as session:
                if session.exec(query.limit(1)).first() is not None:
                    return True
        return False

    def open_run(self, project_id: str, branch: str) -> Run | None:
        """The run that writes to a branch now."""
        for database in self._stores.holding_runs():
            query = select(Run).where(
                Run.project_id == project_id,
                Run.work_branch == branch,
                col(Run.released_at).is_(None),
            )
            with database.reading() as session:
                if found := session.exec(query).first():
                    return found
        return None

    def write(
        self,
        runs: Sequence[Run],
        deed: Deed,
        now: datetime,
        *,
        kind: str,
        data: dict[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        """Write columns of runs, a line in each one's timeline, and the deed."""
        owners = dict.fromkeys(self._stores.owner_of(run.id) for run in runs)
        for number, owner in enumerate(owners):
            if number:
                self._stores.between("discard.between_stores")
            with owner.transaction() as tx:
                for run in runs:
                    if self._stores.owner_of(run.id) is owner:
                        tx.execute(update(Run).where(col(Run.id) == run.id).values(**columns))
                        self._tell(tx, run, deed, now, kind, data)
                if number == 0:
                    write_down(tx, deed, now, about=runs[0].id)

    def give_up(self, run: Run, deed: Deed, now: datetime, *, parked: bool) -> bool:
        """Release an ended run without the proof; False where it has been released meanwhile."""
        with self._stores.owner_of(run.id).transaction() as tx:
            released = tx.scalars(
                update(Run)
                .where(col(Run.id) == run.id, *_ENDED_UNPROVED)
                .values(released_at=now, hold=None, **({"parked": True} if parked else {}))
                .returning(col(Run.id))
            ).one_or_none()
            if released is None:
                return False
            self._tell(tx, run, deed, now, "note")
            write_down(tx, deed, now, about=run.id)
        return True

    def _tell(
        self,
        tx: Transaction,
        run: Run,
        deed: Deed,
        now: datetime,
        kind: str,
        data: dict[str, Any] | None = None,
    ) -> None:
        self._runs.tell(tx, run.id, now, kind, deed.because, data)
        tx.announce(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))

    def _kept(self, *wanted: bool | ColumnElement[bool]) -> list[Run]:
        return sorted(self._stores.everywhere(select(Run).where(*wanted, *_PARKED)), key=_age)

    def _in_use(self, *wanted: bool | ColumnElement[bool]) -> set[tuple[str, str]]:
        query = select(Run.project_id, Run.work_branch)
        is_open = col(Run.released_at).is_(None)
        return set(self._stores.everywhere(query.where(*wanted, is_open)))


def _age(run: Run) -> tuple[object, str]:
    return run.created_at, run.id
