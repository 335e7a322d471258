"""The ledger of the items of the inbox that each person has read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col, select

from app.records.feed import ItemsRead
from app.records.projects.tracker_ledger import batched
from app.records.stores.routing import Stores
from app.records.tables import Person, ReadItem


class ReadLedger:
    """Read items, in the control store: as many rows as a person's inbox has items."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def of_person(self, person_id: str) -> dict[str, datetime]:
        """Return since when each item was as this person read it, by id. Raises DatabaseSilent."""
        query = select(ReadItem.item_id, ReadItem.at).where(ReadItem.person_id == person_id)
        with self._stores.control.reading() as session:
            return dict(session.exec(query).all())

    def mark_read(
        self, person_id: str, read: Mapping[str, datetime], gone: Collection[str]
    ) -> None:
        """Mark items as read, and forget those that are `gone` from the inbox."""
        mine = col(ReadItem.person_id) == person_id
        with self._stores.control.transaction() as tx:
            # two tabs may mark the same items at one moment
            tx.exec(select(Person.id).where(Person.id == person_id).with_for_update())
            for ids in batched([*read, *gone]):
                tx.exec(delete(ReadItem).where(mine, col(ReadItem.item_id).in_(ids)))
            tx.add_all(
                [ReadItem(person_id=person_id, item_id=one, at=at) for one, at in read.items()]
            )
            item_id = next(iter(read)) if len(read) == 1 else ""
            tx.publish(ItemsRead(person_id, item_id))
