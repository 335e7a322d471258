"""Leases: time-limited roles that one of several servers on one database holds."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from app.records.stores.routing import Stores
from app.records.tables import Lease


class LeaseLedger:
    """Leases, in the control store.

    Times are the servers' own: NTP must keep their clocks in step.
    """

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def acquire(self, name: str, holder: str, *, now: datetime, until: datetime) -> int | None:
        """Take or renew a lease; return its fence, or None while another server holds it."""
        try:
            return self._acquire(name, holder, now, until)
        except IntegrityError:
            # another server took a new one at the same moment
            return None

    def _acquire(self, name: str, holder: str, now: datetime, until: datetime) -> int | None:
        with self.stores.control.transaction() as tx:
            renewed = tx.scalars(
                update(Lease)
                .where(col(Lease.name) == name, col(Lease.holder) == holder)
                .values(expires_at=until)
                .returning(col(Lease.fence))
            ).one_or_none()
            if renewed is not None:
                return renewed
            taken = tx.scalars(
                update(Lease)
                .where(col(Lease.name) == name, col(Lease.expires_at) <= now)
                .values(holder=holder, expires_at=until, fence=col(Lease.fence) + 1)
                .returning(col(Lease.fence))
            ).one_or_none()
            if taken is not None or tx.get(Lease, name) is not None:
                return taken
            tx.add(Lease(name=name, holder=holder, fence=1, expires_at=until))
            return 1

    def release(self, holder: str, now: datetime) -> None:
        """End all leases of a holder now."""
        with self.stores.control.transaction() as tx:
            tx.exec(
                update(Lease)
                .where(col(Lease.holder) == holder, col(Lease.expires_at) > now)
                .values(expires_at=now)
            )

    def drop(self, name: str, holder: str) -> None:
        """Remove a lease that its holder needs no more, so that names are not kept for good."""
        is_its = (col(Lease.name) == name, col(Lease.holder) == holder)
        with self.stores.control.transaction() as tx:
            tx.exec(delete(Lease).where(*is_its))

    def is_held(self, name: str, now: datetime) -> bool:
        """Return True while any server holds the lease."""
        with self.stores.control.reading() as session:
            query = select(Lease).where(Lease.name == name, col(Lease.expires_at) > now)
            return session.exec(query).first() is not None
