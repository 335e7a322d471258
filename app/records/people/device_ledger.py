"""The ledger of devices that get notifications by web push, and of the key that signs for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import delete, func, update
from sqlmodel import col, select

from app.records.feed import DevicesChanged
from app.records.people.audit_ledger import record
from app.records.projects.forge_ledger import PUSH_KEY, held_check
from app.records.stores.routing import Stores
from app.records.tables import Device, Person, Setting


class TooManyDevices(Exception):
    """A person has as many devices as are allowed."""


class DeviceLedger:
    """Devices, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def all(self) -> list[Device]:
        """Return everybody's devices, oldest first. Raises DatabaseSilent."""
        with self.stores.control.reading() as session:
            return list(session.exec(select(Device).order_by(col(Device.id))).all())

    def keep(self, device: Device, *, most: int) -> tuple[Device, bool]:
        """Keep a browser's subscription; return its row, and True if it is new.

        A known endpoint keeps its row, which is its person's from now on. Raises TooManyDevices.
        """
        with self.stores.control.transaction() as tx:
            # two tabs may do so at one moment
            tx.exec(select(Person.id).where(Person.id == device.person_id).with_for_update())
            query = select(Device).where(Device.endpoint == device.endpoint)
            known = tx.scalars(query.with_for_update()).one_or_none()
            if known is None or known.person_id != device.person_id:
                mine = select(func.count()).where(col(Device.person_id) == device.person_id)
                if tx.scalars(mine).one() >= most:
                    raise TooManyDevices
            if known is None:
                tx.add(device)
                kept = device
            else:
                if known.person_id != device.person_id:
                    tx.publish(DevicesChanged(known.person_id))
                known.person_id, known.name = device.person_id, device.name
                known.p256dh, known.auth = device.p256dh, device.auth
                known.failed_at = known.because = None
                kept = known
            record(tx, kept.id, after={"name": kept.name})
            tx.publish(DevicesChanged(kept.person_id))
            return kept, known is None

    def remove(self, device_id: str, person_id: str | None = None) -> bool:
        """Remove a device, if it is this person's (None: whose ever it is); False without one."""
        query = delete(Device).where(col(Device.id) == device_id)
        if person_id is not None:
            query = query.where(col(Device.person_id) == person_id)
        with self.stores.control.transaction() as tx:
            owner = tx.scalars(query.returning(col(Device.person_id))).one_or_none()
            if owner is None:
                return False
            record(tx, device_id)
            tx.publish(DevicesChanged(owner))
            return True

    def note(self, device_id: str, because: str | None, now: datetime) -> None:
        """Note why a device did not take a message, or (None) that it took one."""
        values = {"because": because, "failed_at": None if because is None else now}
        query = update(Device).where(col(Device.id) == device_id).values(**values)
        with self.stores.control.transaction() as tx:
            owner = tx.scalars(query.returning(col(Device.person_id))).one_or_none()
            if owner is not None:
                tx.publish(DevicesChanged(owner))

    def key(self) -> str | None:
        """Return the encrypted key that signs pushes, None before its first use."""
        with self.stores.control.reading() as session:
            row = session.get(Setting, PUSH_KEY)
            return row.value if row is not None else None

    def keep_key(self, seal: Callable[[str], str]) -> str:
        """Keep an encrypted key, unless there is one; return the one that is kept."""
        with self.stores.control.transaction() as tx:
            check = held_check(tx)
            known = tx.get(Setting, PUSH_KEY)
            if known is None:
                known = Setting(name=PUSH_KEY, value=seal(check))
                tx.add(known)
            return known.value
