"""The ledger of runs: acceptance, status changes and timelines; each change is guarded."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import func, update
from sqlalchemy.orm.base import instance_dict
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.domain.agents.reports import Usage
from app.domain.formatting import iso
from app.domain.lifecycle import DONE, Signal, next_status
from app.domain.words import Status, Trigger
from app.records.batches.batch_ledger import settle
from app.records.database.database import Transaction
from app.records.feed import (
    NothingKept,
    ProjectChanged,
    QuotaChanged,
    RunChanged,
    RunEnded,
    RunEventAppended,
    WorkParked,
)
from app.records.people.approval_ledger import withdraw_with_run
from app.records.people.audit_ledger import record
from app.records.people.reach import UNLIMITED
from app.records.runs import run_statements
from app.records.runs.daily_totals import add_to_day, figures_of_run
from app.records.runs.run_columns import RunColumns
from app.records.runs.run_pages import ListedRun, RunFilter, list_runs
from app.records.stores.routing import Stores
from app.records.stores.sessions import every
from app.records.tables import Run, RunEvent
from app.records.tables.drafts import drafted

# columns that no project card shows
OFF_CARDS = frozenset({"base_sha", "supervisor", "provenance"})
DUE_NOW = "due now"


class RunLedger:
    """All runs of both stores. Returned rows are copies: changing one writes nothing."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    # --- one run -------------------------------------------------------------------------------

    def find(self, run_id: str) -> Run | None:
        """Return the run with this full id, or None."""
        with self.stores.owner_of(run_id).reading() as session:
            return session.get(Run, run_id)

    def find_in(self, session: Session, run_id: str) -> Run | None:
        """Return the same as a session sees it that sees both stores."""
        return self.stores.part(session, run_id).get(Run, run_id)

    def find_all(self, run_ids: Iterable[str]) -> dict[str, Run]:
        """Return the runs that exist among these, by id, with one statement per store."""
        found: dict[str, Run] = {}
        for database, ids in self.stores.by_owner(run_ids).items():
            with database.reading() as session:
                rows = session.exec(select(Run).where(col(Run.id).in_(ids)))
                found |= {run.id: run for run in rows}
        return found

    def insert(
        self, tx: Transaction, run: Run, *, sentence: str, data: dict[str, Any] | None = None
    ) -> None:
        """Add an accepted run and the first line of its timeline."""
        given = instance_dict(run)  # by the entity, each value costs far more
        columns = SQLModel.metadata.tables["runs"].columns.keys()
        values = ((name, given[name]) for name in columns)
        tx.insert("runs", {name: one for name, one in values if one is not None})
        record(tx, None if run.batch_id else run.id)
        if run.ended_at is not None:
            add_to_day(tx, run)  # an item of a batch that is refused at once
        self.append_event(tx, run.id, run.created_at, "accepted", sentence, data)
        tx.publish(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))
        if run.charged_to:
            tx.publish(QuotaChanged(run.charged_to))

    def move(
        self,
        tx: Transaction,
        run: Run,
        signal: Signal,
        *,
        now: datetime,
        kind: str,
        sentence: str,
        data: dict[str, Any] | None = None,
        **columns: Unpack[RunColumns],
    ) -> Run | None:
        """Apply a signal to a run; return the new row, or None.

        None means that the move is illegal, or the status changed since `run` was read. `columns`
        are written with it; `kind`, `sentence` and `data` form the timeline's line.
        """
        status = next_status(Status(run.status), signal)
        if status is None:
            return None
        if status in DONE:
            columns.setdefault("ended_at", now)
        # who refuses a start ends its approval; any other end leaves nothing to approve
        is_withdrawn = status in DONE and run.awaits_approval and "awaits_approval" not in columns
        if is_withdrawn:
            columns["awaits_approval"] = False
        moved = tx.scalars(
            update(Run)
            .where(col(Run.id) == run.id, col(Run.status) == run.status)
            .values(status=status, **columns)
            .returning(Run)
            .execution_options(synchronize_session=False, populate_existing=True)
        ).one_or_none()
        if moved is None:
            return None
        add_to_day(tx, moved)
        if is_withdrawn:
            withdraw_with_run(self.stores, tx, moved, now)
        if status in DONE and moved.batch_id is not None:
            settle(tx, moved.batch_id, now)
        self.append_event(tx, run.id, now, kind, sentence, data)
        tx.publish(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))
        if status in DONE:
            tx.record_event(RunEnded(moved))
        return moved

    def fall_due(self, tx: Transaction, run: Run, now: datetime) -> Run | None:
        """Queue a delayed run that is due; None if it is not due, or not delayed anymore."""
        latest = tx.get(Run, run.id, with_for_update=True, populate_existing=True)
        if latest is None or latest.due_at is None or latest.due_at > now:
            return None
        return self.move(tx, latest, Signal.DUE, now=now, kind="note", sentence=DUE_NOW)

    def fall_due_together(self, tx: Transaction, run_ids: Collection[str], now: datetime) -> int:
        """Queue those of a store's delayed runs that are due, at once; return how many."""
        is_due = (col(Run.status) == Status.DELAYED, col(Run.due_at) <= now)
        moved = tx.exec(
            update(Run)
            .where(col(Run.id).in_(run_ids), *is_due)
            .values(status=next_status(Status.DELAYED, Signal.DUE))
            .returning(col(Run.id), col(Run.project_id))
            .execution_options(synchronize_session=False)
        ).all()
        if moved:
            lines = run_statements.insert_event_of_each()
            line: dict[str, Any] = {"at": now, "kind": "note", "sentence": DUE_NOW, "data": {}}
            added = tx.connection().execute(lines, [{"run_id": one, **line} for one, _ in moved])
            for event_id, run_id in added:
                event = drafted(RunEvent, {"id": event_id, "run_id": run_id, **line})
                tx.publish(RunEventAppended(run_id, event_id, event))
            tx.publish(*(RunChanged(*one) for one in moved))
            tx.publish(*(ProjectChanged(one) for one in sorted({one for _, one in moved})))
        return len(moved)

    def plan(
        self,
        tx: Transaction,
        run: Run,
        at: datetime,
        *,
        now: datetime,
        sentence: str,
        **also: Unpack[RunColumns],
    ) -> Run | None:
        """Change the start time of a delayed run; return None if it is not delayed anymore."""
        moved = tx.scalars(
            update(Run)
            .where(col(Run.id) == run.id, col(Run.status) == Status.DELAYED)
            .values(**{**also, "due_at": at})
            .returning(Run)
            .execution_options(synchronize_session=False, populate_existing=True)
        ).one_or_none()
        if moved is None:
            return None
        self.append_event(tx, run.id, now, "note", sentence, {"starts_at": iso(at)})
        tx.publish(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))
        return moved

    def update_fields(self, run_id: str, project_id: str, **columns: Unpack[RunColumns]) -> None:
        """Update columns without changing the status, such as the host."""
        with self.stores.owner_of(run_id).transaction() as tx:
            tx.exec(update(Run).where(col(Run.id) == run_id).values(**columns))
            tx.publish(RunChanged(run_id, project_id))
            if not OFF_CARDS.issuperset(columns):
                tx.publish(ProjectChanged(project_id))

    def record_proof(self, run: Run, kept: dict[str, Any]) -> None:
        """Record that the step that was read is proved gone, unless another one has begun."""
        with self.stores.owner_of(run.id).transaction() as tx:
            latest = tx.get_one(Run, run.id, with_for_update=True)
            if latest.supervisor == run.supervisor:
                latest.supervisor = kept
                tx.publish(RunChanged(run.id, run.project_id))

    def update_usage(self, run_id: str, **usage: Unpack[Usage]) -> None:
        """Record usage that the agent reported; if the run has ended, update its day's totals."""
        with self.stores.owner_of(run_id).transaction() as tx:
            run = tx.get_one(Run, run_id, with_for_update=True)
            before = figures_of_run(run)
            for name, value in usage.items():
                setattr(run, name, value)
            tx.flush()
            add_to_day(tx, run, before)
            tx.publish(RunChanged(run_id, run.project_id), ProjectChanged(run.project_id))

    def set_hold(self, run: Run, hold: str) -> None:
        """Set why an open run waits, if that changed and its status is still as read."""
        if run.hold == hold:
            return
        is_as_read = (col(Run.status) == run.status, col(Run.released_at).is_(None))
        query = update(Run).where(col(Run.id) == run.id, *is_as_read).values(hold=hold)
        with self.stores.owner_of(run.id).transaction() as tx:
            if tx.scalars(query.returning(col(Run.id))).one_or_none() is not None:
                tx.publish(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))

    def take_over(self, run: Run, *, server: str) -> bool:
        """Make an orphaned run this server's; return False if another server took it."""
        with self.stores.owner_of(run.id).transaction() as tx:
            taken = tx.scalars(
                update(Run)
                .where(col(Run.id) == run.id, col(Run.server) == run.server)
                .values(server=server)
                .returning(col(Run.id))
            ).one_or_none()
        return taken is not None

    def release(
        self,
        run: Run,
        *,
        now: datetime,
        sentence: str,
        parked: bool = False,
        holds_work: bool = False,
    ) -> bool:
        """Record the proof that an ended run is gone; return False if it was released already.

        `parked`: its branch or copy is kept. `holds_work`: there is work in them. A run that was
        parked otherwise, such as by closing its change request, stays parked.
        """
        columns = {"parked": True} if parked else {}
        with self.stores.owner_of(run.id).transaction() as tx:
            released = tx.scalars(
                update(Run)
                .where(
                    col(Run.id) == run.id,
                    col(Run.released_at).is_(None),
                    col(Run.ended_at).is_not(None),
                )
                .values(released_at=now, hold=None, **columns)
                .returning(col(Run.id))
            ).one_or_none()
            if released is None:
                return False
            self.append_event(tx, run.id, now, "kill_verified", sentence)
            tx.publish(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))
            tx.record_event(WorkParked(run, holds_work) if parked else NothingKept(run))
            return True

    # --- timeline ------------------------------------------------------------------------------

    def append_event(
        self,
        tx: Transaction,
        run_id: str,
        at: datetime,
        kind: str,
        sentence: str,
        data: dict[str, Any] | None = None,
    ) -> None:
        """Append a line to a run's timeline."""
        values: dict[str, Any] = {"run_id": run_id, "at": at, "kind": kind, "sentence": sentence}
        values["data"] = data or {}

        def publish(event_id: int) -> None:
            event = drafted(RunEvent, {"id": event_id, **values})
            tx.publish(RunEventAppended(run_id, event_id, event))

        tx.insert("run_events", values, publish)

    def append_event_once(
        self, run_id: str, at: datetime, kind: str, sentence: str, **data: Any
    ) -> None:
        """Append a line to a run's timeline, in a separate transaction."""
        with self.stores.owner_of(run_id).transaction() as tx:
            self.append_event(tx, run_id, at, kind, sentence, data)

    def timeline(self, run_id: str, *, after: int = 0) -> list[RunEvent]:
        """Return a run's events with ids above `after`, oldest first."""
        with self.stores.owner_of(run_id).reading() as session:
            query = select(RunEvent).where(RunEvent.run_id == run_id, col(RunEvent.id) > after)
            return list(session.exec(query.order_by(col(RunEvent.id))).all())

    # --- many runs -----------------------------------------------------------------------------

    def open_runs(self, project_id: str | None = None) -> list[Run]:
        """Return runs that are accepted and not yet released, oldest first."""
        query = select(Run).where(col(Run.released_at).is_(None))
        if project_id is not None:
            query = query.where(Run.project_id == project_id)
        return self._everywhere(query)

    def begun_runs(self) -> list[Run]:
        """Return open runs that have left the queue, oldest first."""
        return self._everywhere(select(Run).where(run_statements.BEGUN))

    def asked_for(self) -> list[Run]:
        """Return open runs, oldest first, except batch items that still wait."""
        return self._everywhere(select(Run).where(run_statements.ASKED_FOR))

    def newest_of(
        self, project_id: str, *, limit: int, trigger: Trigger | None = None
    ) -> list[ListedRun]:
        """Return a project's newest runs, newest first, of one trigger or all."""
        wanted = RunFilter(project_id, trigger=trigger)
        return list_runs(self.stores, wanted, limit=limit, cursor=None).items

    def _everywhere(self, query: SelectOfScalar[Run]) -> list[Run]:
        return sorted(self.stores.everywhere(query), key=lambda run: (run.created_at, run.id))

    # --- charged runs --------------------------------------------------------------------------

    def charged_runs(self, person_id: str, moment: datetime) -> dict[str, datetime]:
        """Return the runs charged to a person after a time, each with its acceptance time."""
        query = select(Run.id, Run.created_at)
        query = query.where(Run.charged_to == person_id, col(Run.created_at) > moment)
        return dict(self.stores.everywhere(query.execution_options(**UNLIMITED)))

    def charged_people(self, moment: datetime) -> set[str]:
        """Return the ids of all people charged for a run after a time."""
        query = select(Run.charged_to).where(col(Run.created_at) > moment).distinct()
        return {person_id for person_id in self.stores.everywhere(query) if person_id}


def count_open(session: Session, project_id: str) -> int:
    """Count a project's open runs for its concurrency limit."""
    query, asked = run_statements.count_active(), {"project_id": project_id}
    return sum(one.exec(query, params=asked).one() for one in every(session))


def count_live(session: Session) -> int:
    """Count the open runs of all projects that have left the queue."""
    query = select(func.count()).select_from(Run).where(run_statements.BEGUN)
    return sum(one.exec(query).one() for one in every(session))


def find_by_key(session: Session, project_id: str, key: str) -> list[Run]:
    """Return the runs with an idempotency key, at most one per store."""
    asked = {"project_id": project_id, "key": key}
    return [run for one in every(session) for run in _runs_of_key(one, asked)]


def _runs_of_key(session: Session, asked: dict[str, str]) -> list[Run]:
    # a key is nearly always new, and a statement for entities costs far more
    if session.connection().execute(run_statements.id_by_key(), asked).first() is None:
        return []
    return list(session.exec(run_statements.by_key(), params=asked))


def find_open_on_branch(session: Session, project_id: str, work_branch: str) -> Run | None:
    """Return the open run that writes to a branch, or None."""
    query = run_statements.open_on_branch()
    asked = {"project_id": project_id, "work_branch": work_branch}
    return next((run for one in every(session) for run in one.exec(query, params=asked)), None)


def find_open(session: Session, project_id: str) -> Iterable[Run]:
    """Return all open runs of a project."""
    query = select(Run).where(Run.project_id == project_id, col(Run.released_at).is_(None))
    return [run for one in every(session) for run in one.exec(query)]


def find_open_retry(session: Session, run: Run) -> Run | None:
    """Return an open retry of this run, or None."""
    query = select(Run).where(
        Run.project_id == run.project_id, Run.retry_of == run.id, col(Run.released_at).is_(None)
    )
    return next((found for one in every(session) for found in one.exec(query)), None)


def count_active(session: Session) -> list[tuple[str, str, int]]:
    """Count the runs that count for a concurrency limit: projects and triggers with their runs."""
    query = run_statements.count_active_alike()
    return [(*row,) for one in every(session) for row in one.connection().execute(query)]


def charged_since(
    session: Session, person_id: str, moment: datetime
) -> tuple[int, datetime | None]:
    """Return how many runs a person was charged for after a time, and when the first was."""
    query, asked = run_statements.charged(), {"person_id": person_id, "moment": moment}
    found = [one.exec(query, params=asked).one() for one in every(session)]
    return sum(count for count, _ in found), min((at for _, at in found if at), default=None)
