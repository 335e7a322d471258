"""Back-off: how long to wait after repeated failures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Backoff:
    """Delays that grow from `first` by `factor` with each failure, up to `longest`."""

    first: timedelta
    longest: timedelta
    factor: int = 2

    def after(self, failures: int) -> timedelta:
        """Return the delay after this many consecutive failures; fewer than one count as one."""
        delay = self.first
        # step by step: a power of a large number of failures would overflow
        for _ in range(failures - 1):
            if delay >= self.longest:
                break
            delay *= self.factor
        return min(delay, self.longest)
