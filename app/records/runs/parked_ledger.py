"""The ledger of parked work: unmerged work that ended runs left, by branch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import ColumnElement, and_, literal_column, or_, update
from sqlmodel import Session, col, select

from app.domain.words import Status
from app.records.database.database import Transaction
from app.records.feed import ProjectChanged, RunChanged
from app.records.people.audit_ledger import Deed, write_down
from app.records.runs.run_columns import RunColumns
from app.records.runs.run_ledger import RunLedger
from app.records.runs.selections import are_few
from app.records.tables import Run

# SQLite uses the partial index only for its exact condition, not for `parked = 1`
_PARKED: tuple[ColumnElement[bool], ...] = (
    literal_column("runs.parked"),
    col(Run.released_at).is_not(None),
)
_ENDED_UNPROVED: tuple[ColumnElement[bool], ...] = (
    col(Run.ended_at).is_not(None),
    col(Run.released_at).is_(None),
)


class ParkedLedger:
    """Runs whose branch or working copy is kept; the newest run of a branch represents it.

    A branch with an open run is in use, and not parked.
    """

    def __init__(self, runs: RunLedger) -> None:
        self._runs = runs
        self._stores = runs.stores

    def all(self, session: Session | None = None) -> list[Run]:
        """Return the newest parked run of every branch, oldest first.

        Reads through `session` if given.
        """
        newest: dict[tuple[str, str], Run] = {}
        for run in self._kept(session=session):
            newest[run.project_id, run.work_branch] = run
        for place in self._in_use(session=session) if newest else ():
            newest.pop(place, None)
        return sorted(newest.values(), key=_age)

    def of_branch(self, project_id: str, branch: str) -> list[Run]:
        """Return all parked runs of a branch, oldest first, even if the branch is in use."""
        return self._kept(Run.project_id == project_id, Run.work_branch == branch)

    def plain(self, *, after: str, limit: int) -> list[Run]:
        """Return up to `limit` parked runs without an issue, with an id after `after`, in order.

        Excludes runs at their usage limit, because they resume in their own copy.
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

    def counts(self, project_ids: Collection[str], session: Session | None = None) -> Counter[str]:
        """Count the parked branches of each of these projects; read through `session` if given."""
        theirs = col(Run.project_id).in_(project_ids)
        query = select(Run.project_id, Run.work_branch).where(theirs, *_PARKED)
        # deduplicated here: for DISTINCT, SQLite would scan all runs by branch
        branches: set[tuple[str, str]] = set(self._stores.everywhere(query, session))
        names = {branch for _, branch in branches}
        if are_few(project_ids, names):
            theirs = and_(theirs, col(Run.work_branch).in_(names))
        if branches:
            branches -= self._in_use(theirs, session=session)
        return Counter(project_id for project_id, _ in branches)

    def has_left_work(self, successor: Run) -> bool:
        """Return True if another run has a branch in the runs folder that this one starts in."""
        for database in self._stores.holding_runs():
            query = select(Run.id).where(
                Run.project_id == successor.project_id,
                Run.id != successor.id,
                # the folder's id, or the id of the server that used it before
                or_(col(Run.instance) == successor.instance, col(Run.server) == successor.server),
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
        """Return the open run that writes to a branch, or None."""
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
        **columns: Unpack[RunColumns],
    ) -> None:
        """Update columns of runs, add a line to each one's timeline, and audit the deed."""
        owners = dict.fromkeys(self._stores.owner_of(run.id) for run in runs)
        for number, owner in enumerate(owners):
            if number:
                self._stores.between("discard.between_stores")
            with owner.transaction() as tx:
                for run in runs:
                    if self._stores.owner_of(run.id) is owner:
                        tx.exec(update(Run).where(col(Run.id) == run.id).values(**columns))
                        self._publish(tx, run, deed, now, kind, data)
                if number == 0:
                    write_down(tx, deed, now, about=runs[0].id)

    def give_up(self, run: Run, deed: Deed, now: datetime, *, parked: bool) -> bool:
        """Release an ended run without proof that it is gone; False if it was released already."""
        with self._stores.owner_of(run.id).transaction() as tx:
            released = tx.scalars(
                update(Run)
                .where(col(Run.id) == run.id, *_ENDED_UNPROVED)
                .values(released_at=now, hold=None, **({"parked": True} if parked else {}))
                .returning(col(Run.id))
            ).one_or_none()
            if released is None:
                return False
            self._publish(tx, run, deed, now, "note")
            write_down(tx, deed, now, about=run.id)
        return True

    def _publish(
        self,
        tx: Transaction,
        run: Run,
        deed: Deed,
        now: datetime,
        kind: str,
        data: dict[str, Any] | None = None,
    ) -> None:
        self._runs.append_event(tx, run.id, now, kind, deed.because, data)
        tx.publish(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))

    def _kept(
        self, *wanted: bool | ColumnElement[bool], session: Session | None = None
    ) -> list[Run]:
        query = select(Run).where(*wanted, *_PARKED)
        return sorted(self._stores.everywhere(query, session), key=_age)

    def _in_use(
        self, *wanted: bool | ColumnElement[bool], session: Session | None = None
    ) -> set[tuple[str, str]]:
        query = select(Run.project_id, Run.work_branch)
        is_open = col(Run.released_at).is_(None)
        return set(self._stores.everywhere(query.where(*wanted, is_open), session))


def _age(run: Run) -> tuple[object, str]:
    return run.created_at, run.id
