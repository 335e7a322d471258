"""What the services ask of a store of windows that is faster than the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class CountersSilent(Exception):
    """The counters did not answer in time, or cannot be written; the message says which."""


@dataclass(frozen=True)
class Standing:
    """What a window answered: whether a place was taken, and how many were before."""

    taken: bool
    used: int


class Counters(Protocol):
    """Sliding windows, one a person, by the store's own clock. Every call may raise CountersSilent.

    Within a bounded time: an answer or CountersSilent, at once while the store is known to be lost.
    """

    def take(self, person_id: str, run_id: str) -> Standing:
        """Take a place for a run, or not, in one atomic step."""
        ...

    def give_back(self, person_id: str, run_id: str) -> None:
        """Leave the place of a run that came to nothing."""
        ...

    def restore(self, person_id: str, ages: Mapping[str, float]) -> None:
        """Make a window what it should be: the age in seconds of each run by its id.

        Others stay only while they are so young that their run may still be on its way.
        """
        ...

    def probe(self) -> None:
        """Ask for nothing but an answer."""
        ...

    def close(self) -> None:
        """Give every connection back."""
        ...
