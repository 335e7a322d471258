"""The quota windows of everybody in an organisation."""

# stands alone: a person's own window is read without it
from __future__ import annotations

from datetime import datetime

from app.records.people.people_ledger import Member, PeopleLedger
from app.records.stores.routing import Stores
from app.services.limits.quota import Quota, QuotaWindow


class PeopleWindows:
    """The windows of accepted runs of everybody in an organisation."""

    def __init__(self, people: PeopleLedger, quota: Quota, stores: Stores) -> None:
        self._people = people
        self._quota = quota
        self._stores = stores

    def all(self, organisation_id: str, now: datetime) -> list[tuple[Member, QuotaWindow]]:
        """Return each person who is not disabled, by name, with their window."""
        members = self._people.members(organisation_id)
        there = [one for one in members if one.person.disabled_at is None]
        limits = {one.person.id: self._quota.limit_of(one.person.id) for one in there}
        with self._stores.looking() as session:
            windows = self._quota.windows(session, limits, now)
        return [(one, windows[one.person.id]) for one in there]
