"""The window of batch items per person, read from the batches themselves (api.md, Quota)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from app.records.batch_ledger import BatchLedger, Spent
from app.services.quota import Window


@dataclass(frozen=True)
class BatchQuota:
    """The rule: at most `limit` items of batches in any `seconds`, charged when one is made."""

    ledger: BatchLedger
    limit: int
    seconds: int

    def window(self, session: Session, person_id: str, now: datetime, items: int = 1) -> Window:
        """How a person stands who asks for a batch of so many items."""
        spent = self.ledger.spent(session, person_id, now - timedelta(seconds=self.seconds))
        reset_at = spent[0].at + timedelta(seconds=self.seconds) if spent else None
        free_at = room_at(spent, items, self.limit, self.seconds)
        used = sum(one.items for one in spent)
        return Window(self.limit, used, self.seconds, reset_at, free_at)


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
