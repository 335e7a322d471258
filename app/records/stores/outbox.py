"""The outbox: effects that the run store has for the control store, applied exactly once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from app.records.database.database import DatabaseSilent, Transaction, silence_named
from app.records.stores.routing import Stores
from app.records.tables import Applied, Outgoing

STRIKE, CLEAR, LIMIT = "strike", "clear", "limit"
CHECK_HOLD = "check_hold"
APPROVAL_ASKED, APPROVAL_ENDED = "approval_asked", "approval_ended"

# applies an entry in a transaction of the control store; returns the run's timeline sentence
Deliver = Callable[[Transaction, Outgoing], str | None]


class NotNow(Exception):
    """The entry cannot be applied yet; it stays in the outbox."""


class Outbox:
    """The run store's outbox, and the control store's record of the entries it has applied."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def put(
        self, tx: Transaction, run_id: str, kind: str, data: Mapping[str, Any], now: datetime
    ) -> None:
        """Add an entry, in the run store's transaction that writes its cause."""
        key = self._stores.mint_control_id("outgoing", now)
        tx.add(Outgoing(key=key, kind=kind, run_id=run_id, data=dict(data), at=now))

    def waiting(self) -> list[Outgoing]:
        """Return the entries that are still in the outbox, oldest first."""
        if self._stores.runs is None:
            return []
        with self._stores.runs.reading() as session:
            return list(session.exec(select(Outgoing).order_by(col(Outgoing.id))).all())

    def deliver(
        self, deliver: Deliver, failed: Callable[[Outgoing, Exception], None]
    ) -> list[tuple[Outgoing, str | None]]:
        """Apply all entries to the control store; return the applied ones with their sentences.

        Uses one transaction, and takes its lock before the outbox is read: only one server applies
        at a time, oldest entry first. If `deliver` raises, its writes are rolled back, `failed` is
        called and the entry stays; on NotNow it stays too. Later entries are still offered:
        `deliver` raises NotNow for those that must not pass an earlier one.
        """
        told: list[tuple[Outgoing, str | None]] = []
        with self._stores.control.transaction() as tx:
            tx.begin_now()
            waiting = self.waiting()
            known = self._known(tx, {one.key for one in waiting})
            for one in waiting:
                if one.key in known:
                    told.append((one, known[one.key]))
                    continue
                try:
                    with silence_named(), tx.begin_nested():
                        sentence = deliver(tx, one)
                        tx.add(Applied(key=one.key, sentence=sentence))
                except DatabaseSilent:
                    raise
                except NotNow:
                    continue
                except Exception as problem:
                    failed(one, problem)
                    continue
                told.append((one, sentence))
        return told

    def take(self, tx: Transaction, entries: Collection[Outgoing], sentence: str) -> None:
        """Record in the control store that these entries count as applied."""
        known = self._known(tx, {one.key for one in self.waiting()})
        tx.add_all(
            Applied(key=one.key, sentence=sentence) for one in entries if one.key not in known
        )

    def forget(self, tx: Transaction, key: str) -> bool:
        """Delete an applied entry from the run store; False if another server already did."""
        gone = delete(Outgoing).where(col(Outgoing.key) == key).returning(col(Outgoing.key))
        return tx.scalars(gone).one_or_none() is not None

    @staticmethod
    def _known(tx: Session, keys: set[str]) -> dict[str, str | None]:
        # an entry that has left the outbox is never offered again
        tx.exec(delete(Applied).where(col(Applied.key).not_in(keys)))
        return {row.key: row.sentence for row in tx.exec(select(Applied)).all()}
