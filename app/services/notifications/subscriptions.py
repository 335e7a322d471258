"""Subscriptions: which kinds of notifications people want, project by project."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from app.domain.notifications import CHOSEN, Kind
from app.errors import NotFound
from app.records.database.database import DatabaseSilent
from app.records.feed import SubscriptionsChanged
from app.records.people.subscription_ledger import SubscriptionLedger
from app.records.tables import Subscription
from app.services.context import Context
from app.services.notifications.remembered import RememberedRows


@dataclass(frozen=True)
class Choice:
    """The kinds that a person chose for a project, None for all projects without a choice."""

    project_id: str | None
    project_name: str
    kinds: tuple[Kind, ...]


class Subscriptions:
    """Keeps what people chose; where nobody chose, `default` holds: the kinds of the setting.

    The receivers of the setting get what at least one person wants, a device what its person wants.
    With `is_kept` choices are remembered until a change: other servers must tell theirs.
    """

    def __init__(self, context: Context, default: frozenset[Kind], *, is_kept: bool = True) -> None:
        self._ledger = SubscriptionLedger(context.stores)
        self._names = context.ledgers.projects.names
        self._default = default
        feed = context.feed
        self._rows = RememberedRows(self._read, feed, SubscriptionsChanged, is_kept=is_kept)

    @property
    def default(self) -> tuple[Kind, ...]:
        """The kinds of the setting, without the digest."""
        return tuple(one for one in CHOSEN if one in self._default)

    def wants(self, project_id: str, kind: Kind) -> bool:
        """Return True if a notification of this kind about this project is to be sent."""
        if kind not in CHOSEN:
            return kind in self._default
        return any(kind in kinds for kinds in self._kinds_of(self._heard(), project_id))

    def wants_for(self, person_id: str, project_id: str, kind: Kind) -> bool:
        """Return True if this person gets a notification of this kind about this project."""
        if kind not in CHOSEN:
            return kind in self._default
        return kind in self._kinds_for(person_id, self._heard(), project_id)

    def _heard(self) -> Sequence[Subscription]:
        try:
            return self._rows.all()
        except DatabaseSilent:
            return ()  # what nobody can look up must not be lost: the setting holds

    def of_person(self, person_id: str) -> list[Choice]:
        """Return a person's choices, that for all projects first. Raises DatabaseSilent."""
        mine = [one for one in self._rows.all() if one.person_id == person_id]
        names = self._names.of([one.project_id for one in mine if one.project_id])
        found = [
            Choice(one.project_id, names.get(one.project_id or "", ""), _in_order(one.kinds))
            for one in mine
        ]
        return sorted(found, key=lambda one: (one.project_id is not None, one.project_name))

    def choose(
        self, person_id: str, project_id: str | None, kinds: Collection[Kind] | None
    ) -> list[Choice]:
        """Set a person's choice, or remove it (None); return all of them. Raises NotFound."""
        if project_id is not None and not self._names.one(project_id):
            raise NotFound
        self._ledger.choose(person_id, project_id, kinds)
        return self.of_person(person_id)

    def _kinds_of(self, rows: Sequence[Subscription], project_id: str) -> Iterator[Collection[str]]:
        """Yield each person's kinds for a project."""
        people = {one.person_id for one in rows}
        if not people:
            yield self._default
        for person_id in people:
            yield self._kinds_for(person_id, rows, project_id)

    def _kinds_for(
        self, person_id: str, rows: Sequence[Subscription], project_id: str
    ) -> Collection[str]:
        mine = {one.project_id: one.kinds for one in rows if one.person_id == person_id}
        return mine.get(project_id, mine.get(None, self._default))

    def _read(self) -> Sequence[Subscription]:
        return self._ledger.all()


def _in_order(kinds: Collection[str]) -> tuple[Kind, ...]:
    return tuple(one for one in CHOSEN if one in kinds)
