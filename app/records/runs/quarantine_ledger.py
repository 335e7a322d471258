"""The quarantine's ledger: operations that keep failing, each in the store of its row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, delete, literal, or_, update
from sqlmodel import Session, col, select

from app.domain.batches import BatchStatus
from app.records.database.database import Database, DatabaseSilent, Transaction
from app.records.feed import PersonNeeded, ProjectChanged, RunChanged, StuckChanged
from app.records.runs.run_ledger import RunLedger
from app.records.stores.routing import Stores
from app.records.tables import AccountHold, Batch, Run, Stuck

MOST_TRIES = 5
# duties that start only after their run was released
TOLD, RESUMED, HELD = AFTERWARDS = ("outbox", "resume", "hold")
UNSEALED = "batch"


@dataclass(frozen=True)
class Subject:
    """A duty and the row that it failed on; `owner_id` selects its store (None: control store)."""

    duty: str
    id: str
    owner_id: str | None
    project_id: str | None = None
    run_id: str | None = None

    @property
    def key(self) -> str:
        """The primary key in the quarantine."""
        return f"{self.duty}.{self.id}"


class QuarantineLedger:
    """All rows of the quarantine, which is usually empty."""

    def __init__(self, runs: RunLedger) -> None:
        self._runs = runs
        self._stores: Stores = runs.stores

    def all(self, project_id: str | None = None, session: Session | None = None) -> list[Stuck]:
        """Return failed operations, oldest first, of one project or all; held ones included.

        Reads through `session` if given.
        """
        query = select(Stuck)
        if project_id is not None:
            query = query.where(Stuck.project_id == project_id)
        return sorted(
            self._stores.everywhere(query, session), key=lambda one: (one.first_at, one.key)
        )

    def count(self, subject: Subject, because: str, version: str, now: datetime) -> Stuck:
        """Count a failed attempt; the last allowed one holds the row and notifies people.

        An attempt of another program version does not count: counting restarts. Raises
        DatabaseSilent.
        """
        with self._store_of(subject).transaction() as tx:
            known = tx.get(Stuck, subject.key)
            if known is None:
                known = Stuck(
                    key=subject.key,
                    duty=subject.duty,
                    project_id=subject.project_id,
                    run_id=subject.run_id,
                    tries=0,
                    because=because,
                    version=version,
                    first_at=now,
                    last_at=now,
                )
                tx.add(known)
            known.tries = known.tries + 1 if known.version == version else 1
            known.because, known.version, known.last_at = because, version, now
            if known.tries >= MOST_TRIES and known.held_at is None:
                known.held_at = now
                self._publish(tx, known, now)
            tx.flush()
            return known

    def forget(self, key: str, *, only_held: bool = False) -> Stuck | None:
        """Delete an entry, so that its operation is tried again; return it, or None.

        Raises DatabaseSilent if a store that may have it does not answer.
        """
        silence: DatabaseSilent | None = None
        for database in self._stores.all():
            try:
                with database.transaction() as tx:
                    known = tx.get(Stuck, key)
                    if known is not None and (known.held_at is not None or not only_held):
                        tx.delete(known)
                        _publish_changes(tx, known)
                        return known
            except DatabaseSilent as problem:
                silence = problem
        if silence is not None:
            raise silence
        return None

    def drop_over(self) -> None:
        """Delete moot entries: the run was released, the limit lifted, or the batch sealed."""
        begins_later = col(Stuck.duty).in_(AFTERWARDS)
        is_over = or_(
            and_(~begins_later, col(Run.released_at).is_not(None)),
            and_(col(Stuck.duty) == RESUMED, ~col(Run.may_resume)),
        )
        runs = select(Run.id).where(Run.id == Stuck.run_id, is_over)
        batches = select(Batch.id).where(
            literal(f"{UNSEALED}.") + col(Batch.id) == Stuck.key,
            col(Batch.status) != BatchStatus.PENDING,
        )
        gone = delete(Stuck).where(or_(runs.exists(), batches.exists())).returning(Stuck)
        for database in self._stores.holding_runs():
            with database.transaction() as tx:
                _publish_changes(tx, *tx.scalars(gone).all())
        hold = select(AccountHold.agent).where(AccountHold.run_id == Stuck.run_id)
        is_lifted = and_(col(Stuck.duty) == HELD, ~hold.exists())
        with self._stores.control.transaction() as tx:
            lifted = delete(Stuck).where(is_lifted).returning(Stuck)
            _publish_changes(tx, *tx.scalars(lifted).all())

    def try_anew(self, version: str) -> int:
        """At a start, allow held entries one more attempt, and drop other versions' entries.

        Returns the number of entries.
        """
        return sum(self._try_anew(database, version) for database in self._stores.holding_runs())

    def _try_anew(self, database: Database, version: str) -> int:
        with database.reading() as session:
            if session.exec(select(Stuck.key).limit(1)).first() is None:
                return 0
        with database.transaction() as tx:
            known = tx.exec(select(Stuck)).all()
            _publish_changes(tx, *known)
            tx.exec(delete(Stuck).where(col(Stuck.version) != version))
            last_try = {"tries": MOST_TRIES - 1, "held_at": None}
            tx.exec(update(Stuck).where(col(Stuck.held_at).is_not(None)).values(**last_try))
            return len(known)

    def _store_of(self, subject: Subject) -> Database:
        owner = subject.owner_id
        return self._stores.control if owner is None else self._stores.owner_of(owner)

    def _publish(self, tx: Transaction, held: Stuck, now: datetime) -> None:
        sentence = f"not tried again after {held.tries} times: {held.because}"
        if held.run_id is not None:
            self._runs.append_event(tx, held.run_id, now, "note", sentence)
        _publish_changes(tx, held)
        if held.project_id is not None:
            what = "needs you: Runyard gave up retrying"
            path = f"/runs/{held.run_id}" if held.run_id else f"/projects/{held.project_id}"
            key = f"stuck:{held.key}:{held.first_at.isoformat()}"
            tx.record_event(PersonNeeded(key, held.project_id, what, held.because, path))


def _publish_changes(tx: Transaction, *changed: Stuck) -> None:
    for one in changed:
        tx.publish(StuckChanged())
        if one.project_id is not None:
            tx.publish(ProjectChanged(one.project_id))
            if one.run_id is not None:
                tx.publish(RunChanged(one.run_id, one.project_id))
