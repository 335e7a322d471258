"""How long an idempotency key belongs to its run (api.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.words import Status

# a run that ended so may be asked for again with the same key
GIVES_KEY_BACK = frozenset({Status.DIED, Status.TIMED_OUT, Status.NOT_STARTED, Status.EXPIRED})


@dataclass(frozen=True)
class KeyTerms:
    """How long keys are kept, in seconds after the submit.

    `hold_seconds` is the least, also for a run that gives its key back.
    """

    hold_seconds: int
    ttl_seconds: int

    def is_given_back(
        self, status: Status, *, created_at: datetime, is_released: bool, now: datetime
    ) -> bool:
        """True where the next use of a run's key makes a new run."""
        if not is_released:
            return False
        age = (now - created_at).total_seconds()
        return age >= self.ttl_seconds or (status in GIVES_KEY_BACK and age >= self.hold_seconds)
