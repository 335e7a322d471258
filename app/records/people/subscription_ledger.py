"""The ledger of subscriptions: which notifications each person chose."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, delete
from sqlmodel import col, select

from app.records.feed import SubscriptionsChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import Person, Subscription


class SubscriptionLedger:
    """Subscriptions, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def all(self) -> list[Subscription]:
        """Return everybody's choices. Raises DatabaseSilent."""
        with self._stores.control.reading() as session:
            return list(session.exec(select(Subscription).order_by(col(Subscription.id))).all())

    def choose(self, person_id: str, project_id: str | None, kinds: Collection[str] | None) -> None:
        """Replace a person's choice for a project, or for all others (None).

        Without kinds (None) the choice is removed.
        """
        with self._stores.control.transaction() as tx:
            # two tabs may choose at one moment
            tx.exec(select(Person.id).where(Person.id == person_id).with_for_update())
            tx.exec(
                delete(Subscription).where(
                    col(Subscription.person_id) == person_id, _is_of(project_id)
                )
            )
            if kinds is not None:
                chosen = Subscription(
                    person_id=person_id, project_id=project_id, kinds=sorted(kinds)
                )
                tx.add(chosen)
            tx.publish(SubscriptionsChanged(person_id))
            record(tx, project_id)


def _is_of(project_id: str | None) -> ColumnElement[bool]:
    column = col(Subscription.project_id)
    return column.is_(None) if project_id is None else column == project_id
