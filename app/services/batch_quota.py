"""The window of batch items per person, read from the batches themselves (api.md, Quota)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from app.errors import BatchOverQuota
from app.records.batch_ledger import BatchLedger, Spent
from app.services.quota import Window, refusal_of


@dataclass(frozen=True)
class BatchQuota:
    """The rule: at most `limit` items of batches in any `seconds`, charged when one is made."""

    ledger: BatchLedger
    limit: int
    seconds: int

    def refuse_oversized(self, items: int) -> None:
        """Refuse what no waiting would make room for. Raises BatchOverQuota."""
        if items > self.limit:
            raise BatchOverQuota(
                f"A batch may have {self.limit} items at most here; this one has {items}.",
                limit=self.limit,
            )

    def charge(self, session: Session, person_id: str, items: int, now: datetime) -> None:
        """Refuse where all of them do not fit; read in the transaction that adds the batch."""
        spent = self.ledger.spent(session, person_id, now - timedelta(seconds=self.seconds))
        free_at = room_at(spent, items, self.limit, self.seconds)
        if free_at is not None:
            raise refusal_of(Window(self.limit, self.limit, self.seconds, free_at), now)

    def window(self, session: Session, person_id: str, now: datetime) -> Window:
        """How a person stands: items used, and when the oldest batch leaves the window."""
        spent = self.ledger.spent(session, person_id, now - timedelta(seconds=self.seconds))
        reset_at = spent[0].at + timedelta(seconds=self.seconds) if spent else None
        return Window(self.limit, sum(one.items for one in spent), self.seconds, reset_at)


def room_at(spent: Sequence[Spent], items: int, limit: int, seconds: int) -> datetime | None:
    """When so many items will fit, None where they do now; `spent` is oldest first."""
    used = sum(one.items for one in spent)
    if used + items <= limit:
        return None
    for one in spent:
        used -= one.items
        if used + items <= limit:
            return one.at + timedelta(seconds=seconds)
    raise ValueError("more items than the window ever holds")
