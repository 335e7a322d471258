"""What the services ask of a store of windows that is faster than the table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.domain.quota import Counted


class CountersSilent(Exception):
    """The counters did not answer in time, or cannot be written; the message says which."""


@dataclass(frozen=True)
class Charge:
    """What takes places of a window: a run takes one, a batch as many as it has items."""

    counted: Counted
    id: str
    items: int = 1


@dataclass(frozen=True)
class Standing:
    """What a window answered: whether the places were taken, and how many were before."""

    taken: bool
    used: int


class Counters(Protocol):
    """Sliding windows, one a person and kind, by the store's own clock.

    Every call may raise CountersSilent. Within a bounded time: an answer or CountersSilent, at once
    while the store is known to be lost.
    """

    def take(self, person_id: str, charge: Charge) -> Standing:
        """Take every place of a charge or none, in one atomic step."""
        ...

    def give_back(self, person_id: str, charge: Charge) -> None:
        """Leave the places of what came to nothing."""
        ...

    def restore(self, person_id: str, counted: Counted, ages: Mapping[Charge, float]) -> None:
        """Make a window what it should be: each charge by its age in seconds.

        Others stay only while they are so young that their row may still be on its way.
        """
        ...

    def probe(self) -> None:
        """Ask for nothing but an answer."""
        ...

    def close(self) -> None:
        """Give every connection back."""
        ...


class ActiveSets(Protocol):
    """For each repository, by its project's id, the ids of its active runs.

    Every call may raise CountersSilent, as those of `Counters`.
    """

    def count(self, project_id: str) -> int:
        """How many there are of a repository."""
        ...

    def change(self, project_id: str, *, added: Collection[str], removed: Collection[str]) -> None:
        """Add and remove runs of a repository."""
        ...

    def make(self, runs: Mapping[str, Collection[str]]) -> None:
        """Make the sets of these repositories what they should be."""
        ...

    def close(self) -> None:
        """Give every connection back."""
        ...
