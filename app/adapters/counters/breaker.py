"""A circuit breaker: what has just failed is left alone for a while, then tried by one caller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic


class Breaker:
    """Open after a failure for `pause` seconds; then one caller may try, the others still not."""

    def __init__(self, pause: float, clock: Callable[[], float] = monotonic) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._is_failing = False
        self._closed_until = 0.0

    def may_try(self) -> bool:
        """True where it works as far as is known, or where it is this caller's turn to look."""
        with self._lock:
            if not self._is_failing:
                return True
            now = self._clock()
            if now < self._closed_until:
                return False
            self._closed_until = now + self._pause
            return True

    def failed(self) -> None:
        """It did not work: nobody tries for a while."""
        with self._lock:
            self._is_failing = True
            self._closed_until = self._clock() + self._pause

    def worked(self) -> None:
        """It worked: everybody may."""
        with self._lock:
            self._is_failing = False
