"""The meter of a forge: how much was asked of it, and what it says is left."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic, time

from app.services.ports import Spending

MINUTE = 60.0


class Meter:
    """Counts requests, and keeps the limit that a forge tells with its answers."""

    def __init__(
        self, clock: Callable[[], float] = monotonic, wall: Callable[[], float] = time
    ) -> None:
        self._clock, self._wall = clock, wall
        self._guard = threading.Lock()
        self._requests = 0
        self._recent: deque[float] = deque()
        self._remaining: int | None = None
        self._reset_at: int | None = None

    def count(self) -> None:
        """Count a request."""
        now = self._clock()
        with self._guard:
            self._requests += 1
            self._recent.append(now)
            self._forget(now)

    def note(self, headers: Mapping[str, str]) -> None:
        """Keep what an answer says of the limit."""
        if headers.get("x-ratelimit-resource", "core") != "core":
            return  # GitHub counts GraphQL apart
        remaining = _number(headers.get("x-ratelimit-remaining", ""))
        reset_at = _number(headers.get("x-ratelimit-reset", ""))
        if remaining is None:
            return
        with self._guard:
            self._remaining, self._reset_at = remaining, reset_at

    def read(self) -> Spending:
        """Return what was spent, and what is left until when."""
        with self._guard:
            self._forget(self._clock())
            left = None if self._reset_at is None else self._reset_at - int(self._wall())
            if left is not None and left < 0:
                # what is left since the reset is not known before the next answer
                return Spending(self._requests, len(self._recent))
            return Spending(self._requests, len(self._recent), self._remaining, left)

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0] <= now - MINUTE:
            self._recent.popleft()


def _number(text: str) -> int | None:
    return int(text[:12]) if text.isascii() and text.isdigit() else None
