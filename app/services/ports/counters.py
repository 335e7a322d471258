"""Port to a store of sliding windows that is faster than the table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.domain.quota import Counted


class CountersSilent(Exception):
    """The counters did not answer in time or cannot be written; the message says which."""


@dataclass(frozen=True)
class Charge:
    """Places taken in a window: one for a run, one per item for a batch."""

    counted: Counted
    id: str
    items: int = 1


@dataclass(frozen=True)
class WindowState:
    """Answer of a window: whether the places were taken, and how many were used before."""

    taken: bool
    used: int


class Counters(Protocol):
    """Sliding windows, one per person and kind, by the store's own clock.

    Every call returns or raises CountersSilent within a bounded time, and at once while the store
    is known to be lost.
    """

    def take(self, person_id: str, charge: Charge, limit: int) -> WindowState:
        """Take all places of a charge or none, atomically; the window holds at most `limit`."""
        ...

    def release(self, person_id: str, charge: Charge) -> None:
        """Release the places of a charge that came to nothing."""
        ...

    def restore(self, person_id: str, counted: Counted, ages: Mapping[Charge, float]) -> None:
        """Set a window to these charges, each with its age in seconds.

        Other charges stay only while they are so young that their row may not be committed yet.
        """
        ...

    def probe(self) -> None:
        """Check that the store answers."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


class ActiveSets(Protocol):
    """Ids of active runs per repository, by project id.

    Every call may raise CountersSilent, as in `Counters`.
    """

    def count(self, project_id: str) -> int:
        """Return the number of active runs of a repository."""
        ...

    def change(self, project_id: str, *, added: Collection[str], removed: Collection[str]) -> None:
        """Add and remove runs of a repository."""
        ...

    def make(self, runs: Mapping[str, Collection[str]]) -> None:
        """Replace the sets of these repositories."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...
