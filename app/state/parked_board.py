"""The kept work that one person sees: rows go at once where they are discarded, and come back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from app.api.schemas import ParkedOut, RunOut
from app.domain.sizes import size_words
from app.state.optimistic import OptimisticRows

DISCARDING, DELIVERING = "Discarding…", "Delivering…"


def key_of(row: ParkedOut) -> str:
    """What names a row: a project has each branch once."""
    return f"{row.project_id} {row.branch}"


class ParkedBoard:
    """Rows by project and branch, oldest first."""

    def __init__(self) -> None:
        self._rows: OptimisticRows[ParkedOut] = OptimisticRows(key_of, _order)

    def load(self, items: Iterable[ParkedOut]) -> None:
        """Take in a fresh snapshot; what is being done stays."""
        self._rows.load(items)

    def rows(self) -> list[ParkedOut]:
        """What is shown: what is being discarded is gone already."""
        shown = [row for row in self._rows.visible() if self.word_of(row) != DISCARDING]
        return shown[::-1]

    def find(self, key: str) -> ParkedOut | None:
        """The row of this key."""
        return self._rows.get(key)

    def word_of(self, row: ParkedOut) -> str:
        """What is being done to a row, empty where nothing is."""
        return self._rows.word_of(key_of(row))

    async def discard(
        self, row: ParkedOut, act: Callable[[], Awaitable[Any]], show: Callable[[], object]
    ) -> None:
        """Take a row away at once, and bring it back where `act` fails. Raises what it raises."""
        await self._rows.attempt(row, self._dropping(row, act), word=DISCARDING, show=show)

    async def deliver(
        self, row: ParkedOut, act: Callable[[], Awaitable[RunOut]], show: Callable[[], object]
    ) -> RunOut | None:
        """Deliver a row's commits; the run, None where that is under way already."""
        made: list[RunOut] = []

        async def deliver() -> None:
            made.append(await act())

        await self._rows.attempt(row, deliver, word=DELIVERING, show=show)
        return made[0] if made else None

    def summary(self) -> str:
        """What all of it takes: `1.8 GB`, and how many are not measured."""
        sizes = [row.bytes for row in self.rows()]
        known = [size for size in sizes if size is not None]
        unknown = len(sizes) - len(known)
        parts = [size_words(sum(known))] if sum(known) else []
        return " · ".join([*parts, f"{unknown} of unknown size"] if unknown else parts)

    def _dropping(
        self, row: ParkedOut, act: Callable[[], Awaitable[Any]]
    ) -> Callable[[], Awaitable[None]]:
        async def drop() -> None:
            await act()
            self._rows.drop(key_of(row))

        return drop


def loss_words(row: ParkedOut) -> str:
    """What a person is told before a discard: what would be lost, and what comes of it."""
    requeues = f" Issue #{row.issue} becomes claimable again." if row.issue else ""
    sure = "No safety checks apply and there is no undo."
    return f"{row.branch} holds {row.holds}. {sure}{requeues}"


def _order(row: ParkedOut) -> tuple[Any, ...]:
    return row.kept_since, row.project_id, row.branch
