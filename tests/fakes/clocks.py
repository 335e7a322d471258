"""A clock in seconds that stands still until a test moves it."""

from __future__ import annotations


class StillClock:
    """The clock of a client of a forge, and its pauses, which move it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        """Let the time pass."""
        self.pauses.append(seconds)
        self.now += seconds
