"""What the run store has still to tell the control store: written with its cause, told once."""

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

# does what follows, in a transaction of the control store; what the run's timeline says of it
Deliver = Callable[[Transaction, Outgoing], str | None]


class NotNow(Exception):
    """What is to be told has to wait."""


class Outbox:
    """The run store's outbox, and the control store's memory of what it has taken from it."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def put(
        self, tx: Transaction, run_id: str, kind: str, data: Mapping[str, Any], now: datetime
    ) -> None:
        """Add what follows from what this transaction of the run store writes."""
        key = self._stores.mint_control_id("outgoing", now)
        tx.add(Outgoing(key=key, kind=kind, run_id=run_id, data=dict(data), at=now))

    def waiting(self) -> list[Outgoing]:
        """What has not been told yet, in the order in which it happened."""
        if self._stores.runs is None:
            return []
        with self._stores.runs.reading() as session:
            return list(session.exec(select(Outgoing).order_by(col(Outgoing.id))).all())

    def deliver(
        self, deliver: Deliver, failed: Callable[[Outgoing, Exception], None]
    ) -> list[tuple[Outgoing, str | None]]:
        """Tell the control store everything; what it knows now, with its sentences.

        All in one transaction whose lock is taken before the outbox is read: of several servers
        one delivers, and nothing overtakes what came before it. What `deliver` fails on, leaving
        no trace, is told to `failed` and stays; so does what it raises NotNow for.
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
        """Write down in the control store that these have been told, and need not be."""
        known = self._known(tx, {one.key for one in self.waiting()})
        tx.add_all(
            Applied(key=one.key, sentence=sentence) for one in entries if one.key not in known
        )

    def forget(self, tx: Transaction, key: str) -> bool:
        """Delete what has been told, in the run store; False where another was faster."""
        gone = delete(Outgoing).where(col(Outgoing.key) == key).returning(col(Outgoing.key))
        return tx.scalars(gone).one_or_none() is not None

    @staticmethod
    def _known(tx: Session, keys: set[str]) -> dict[str, str | None]:
        # what no outbox holds any more is not asked for again
        tx.execute(delete(Applied).where(col(Applied.key).not_in(keys)))
        return {row.key: row.sentence for row in tx.exec(select(Applied)).all()}
