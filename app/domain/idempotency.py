"""Lifetime of idempotency keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.words import Status

# a run that ended this way may be submitted again with the same key
GIVES_KEY_BACK = frozenset({Status.DIED, Status.TIMED_OUT, Status.NOT_STARTED, Status.EXPIRED})


@dataclass(frozen=True)
class KeyTerms:
    """The lifetime of keys, in seconds after the submit.

    `hold_seconds` is the minimum, even if the run's end releases its key.
    """

    hold_seconds: int
    ttl_seconds: int

    def is_given_back(
        self, status: Status, *, created_at: datetime, is_released: bool, now: datetime
    ) -> bool:
        """Return True if the next use of a run's key creates a new run."""
        if not is_released:
            return False
        age = (now - created_at).total_seconds()
        return age >= self.ttl_seconds or (status in GIVES_KEY_BACK and age >= self.hold_seconds)
