"""The ledger of notifications: written with their cause, claimed for sending, ended once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, update
from sqlmodel import col, select

from app.domain.notifications import Kind, State
from app.records.database.database import Transaction
from app.records.feed import NoticeWritten
from app.records.stores.routing import Stores
from app.records.tables import Notification

OF_BATCH = "digest:batch "  # prefix of the keys of batch digests
_pending = col(Notification.state) == State.PENDING


@dataclass(frozen=True)
class ReceiverBacklog:
    """The state of one receiver: how many notifications wait, until when, and the last attempt."""

    pending: int
    next_at: datetime | None
    last: Notification | None
    # creation time of the oldest one that was retried and is still not sent
    stuck_since: datetime | None = None


class NoticeLedger:
    """All notifications, each in the store of the row that it is about."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def write(
        self,
        tx: Transaction,
        kind: Kind,
        key: str,
        receivers: Collection[str],
        about: Mapping[str, Any],
        *,
        now: datetime,
        due_at: datetime,
    ) -> list[Notification]:
        """Add notifications, at most one for each key and receiver; return the new rows."""
        query = select(Notification.receiver).where(Notification.key == key)
        told = set(tx.exec(query).all())
        rows = [
            Notification(
                id=self._stores.mint_control_id("notice", now),
                key=key,
                receiver=receiver,
                kind=kind,
                about=dict(about),
                created_at=now,
                due_at=due_at,
            )
            for receiver in receivers
            if receiver not in told
        ]
        tx.add_all(rows)
        if rows:
            tx.publish(NoticeWritten())
        return rows

    # --- sending -------------------------------------------------------------------------------

    def claim(
        self, receiver: str, *, by: str, now: datetime, until: datetime
    ) -> Notification | None:
        """Claim a due notification of a receiver, least tried first; None if there is none.

        A single guarded statement: of several servers only one gets it, until `until`.
        """
        is_free = (*_waits_for(receiver), col(Notification.due_at) <= now, _is_free(now))
        first = (
            select(Notification.id)
            .where(*is_free)
            .order_by(col(Notification.attempts), col(Notification.due_at), col(Notification.id))
            .limit(1)
            .scalar_subquery()
        )
        query = (
            update(Notification)
            .where(col(Notification.id) == first, *is_free)
            .values(
                claimed_by=by,
                claimed_until=until,
                tried_at=now,
                attempts=col(Notification.attempts) + 1,
            )
            .returning(Notification)
            .execution_options(synchronize_session=False)
        )
        for database in self._stores.holding_runs():
            with database.transaction() as tx:
                claimed = tx.scalars(query).one_or_none()
            if claimed is not None:
                return claimed
        return None

    def mark_sent(self, row: Notification, now: datetime) -> bool:
        """Mark a notification, or a digest and its contents, as sent; False if it had ended."""
        is_sent = {"state": State.SENT, "ended_at": now, "because": None}
        free = {"claimed_by": None, "claimed_until": None}
        query = update(Notification).where(col(Notification.id) == row.id, _pending)
        gathered = update(Notification).where(col(Notification.digest_id) == row.id, _pending)
        count = 0
        for database in self._stores.holding_runs():
            with database.transaction() as tx:
                sent = query.values(**is_sent, **free).returning(col(Notification.id))
                count += len(tx.scalars(sent).all())
                if row.kind == Kind.DIGEST:
                    tx.exec(gathered.values(**is_sent))
        return count > 0

    def due_receivers(self, now: datetime) -> set[str]:
        """Return the receivers for which a notification is due, by whomever it is claimed."""
        query = select(Notification.receiver).distinct()
        is_single = col(Notification.digest_id).is_(None)
        query = query.where(_pending, is_single, col(Notification.due_at) <= now)
        return set(self._stores.everywhere(query))

    def put_off(self, row: Notification, because: str, *, now: datetime, until: datetime) -> None:
        """Postpone a failed notification, and all others now due for its receiver."""
        own = update(Notification).where(
            col(Notification.id) == row.id,
            col(Notification.attempts) == row.attempts,
            col(Notification.claimed_by) == row.claimed_by,
            _pending,
        )
        others = update(Notification).where(
            *_waits_for(row.receiver), col(Notification.due_at) <= now, _is_free(now)
        )
        freed = {"claimed_by": None, "claimed_until": None, "because": because}
        for database in self._stores.holding_runs():
            with database.transaction() as tx:
                tx.exec(own.values(due_at=until, **freed))
                tx.exec(others.values(due_at=until))

    def set_aside(self, row: Notification, because: str, until: datetime) -> None:
        """Postpone this one notification only."""
        own = update(Notification).where(col(Notification.id) == row.id, _pending)
        freed = {"claimed_by": None, "claimed_until": None, "because": because}
        for database in self._stores.holding_runs():
            with database.transaction() as tx:
                tx.exec(own.values(due_at=until, **freed))

    def wake(self, id_: str, now: datetime) -> None:
        """Make a postponed notification due now."""
        own = update(Notification).where(col(Notification.id) == id_, _pending)
        for database in self._stores.holding_runs():
            with database.transaction() as tx:
                tx.exec(own.values(due_at=now))
                tx.publish(NoticeWritten())

    def next_due(self, receivers: Collection[str], now: datetime) -> datetime | None:
        """Return the next time at which a notification becomes due or a claim expires, or None."""
        of_ours = (_pending, col(Notification.receiver).in_(receivers))
        moments: list[datetime] = []
        for column in (Notification.due_at, Notification.claimed_until):
            query = select(func.min(column)).where(
                *of_ours, col(column) > now, col(Notification.digest_id).is_(None)
            )
            moments += [one for one in self._stores.everywhere(query) if one is not None]
        return min(moments, default=None)

    def drop_strangers(
        self, known: Collection[str], because: str, before: datetime, now: datetime
    ) -> int:
        """Drop notifications created before `before` whose receivers are gone; return how many."""
        is_old = col(Notification.created_at) < before
        strangers = (_pending, is_old, col(Notification.receiver).not_in(known))
        count = 0
        for database in self._stores.holding_runs():
            with database.reading() as session:
                if session.exec(select(Notification.id).where(*strangers).limit(1)).first() is None:
                    continue
            dropped = update(Notification).where(*strangers)
            dropped = dropped.values(state=State.DROPPED, because=because, ended_at=now)
            with database.transaction() as tx:
                count += len(tx.scalars(dropped.returning(col(Notification.id))).all())
        return count

    def drop(self, receiver: str, because: str, now: datetime) -> None:
        """Drop all notifications that wait for a receiver."""
        dropped = update(Notification).where(col(Notification.receiver) == receiver, _pending)
        dropped = dropped.values(state=State.DROPPED, because=because, ended_at=now)
        for database in self._stores.holding_runs():
            with database.transaction() as tx:
                tx.exec(dropped.values(claimed_by=None, claimed_until=None))

    def forget(self, before: datetime) -> int:
        """Delete notifications that ended before a time; return how many."""
        old = col(Notification.ended_at) < before
        count = 0
        for database in self._stores.holding_runs():
            with database.transaction() as tx:
                query = delete(Notification).where(old).returning(col(Notification.id))
                count += len(tx.scalars(query).all())
        return count

    # --- digests -------------------------------------------------------------------------------

    def told(self, key: str) -> set[str]:
        """Return the receivers for which a notification with this key was written."""
        query = select(Notification.receiver).where(Notification.key == key)
        return set(self._stores.everywhere(query))

    def waiting(self, receiver: str, until: datetime) -> list[Notification]:
        """Return unclaimed notifications that were due by `until`, oldest first."""
        query = select(Notification).where(
            *_waits_for(receiver),
            # the only digests to include are those of batches: a past night has its own
            or_(col(Notification.kind) != Kind.DIGEST, col(Notification.key).startswith(OF_BATCH)),
            col(Notification.due_at) <= until,
            col(Notification.claimed_by).is_(None),
        )
        return sorted(self._stores.everywhere(query), key=lambda one: (one.created_at, one.id))

    def add_digest(
        self,
        key: str,
        receiver: str,
        about: Mapping[str, Any],
        gathered: Collection[str],
        now: datetime,
    ) -> None:
        """Write a digest that replaces these notifications, as far as they are still waiting."""
        with self._stores.control.transaction() as tx:
            rows = self.write(tx, Kind.DIGEST, key, [receiver], about, now=now, due_at=now)
        # a notification left out because of a crash here is sent on its own
        self._stores.between("digest.between_stores")
        free = (*_waits_for(receiver), col(Notification.claimed_by).is_(None))
        query = update(Notification).where(col(Notification.id).in_(gathered), *free)
        for database in self._stores.holding_runs() if rows and gathered else ():
            with database.transaction() as tx:
                tx.exec(query.values(digest_id=rows[0].id))

    # --- state for display ---------------------------------------------------------------------

    def backlog(self, receiver: str) -> ReceiverBacklog:
        """Return the state of a receiver."""
        waits = (col(Notification.receiver) == receiver, _pending)
        counted = select(func.count(), func.min(Notification.due_at)).where(*waits)
        tried = select(Notification).where(
            col(Notification.receiver) == receiver, col(Notification.tried_at).is_not(None)
        )
        found = self._stores.everywhere(counted)
        newest = self._stores.everywhere(tried.order_by(col(Notification.tried_at).desc()).limit(1))
        again = col(Notification.attempts) >= 2
        stuck = self._stores.everywhere(
            select(func.min(Notification.created_at)).where(*waits, again)
        )
        return ReceiverBacklog(
            stuck_since=min((moment for moment in stuck if moment), default=None),
            pending=sum(number for number, _ in found),
            next_at=min((moment for _, moment in found if moment), default=None),
            last=max(newest, key=lambda row: row.tried_at or row.created_at, default=None),
        )


def _waits_for(receiver: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for pending notifications of a receiver that are in no digest."""
    is_single = col(Notification.digest_id).is_(None)
    return (col(Notification.receiver) == receiver, _pending, is_single)


def _is_free(now: datetime) -> ColumnElement[bool]:
    over = col(Notification.claimed_until) <= now
    return or_(col(Notification.claimed_until).is_(None), over)
