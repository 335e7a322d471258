"""A search in a log: its hits, one of which is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.api.schemas import LogHitOut, LogHitsOut

Search = Callable[[str, str | None], Awaitable[LogHitsOut]]


class LogFind:
    """Words, their hits in the whole log, and which of them is shown.

    `search(words, cursor)` answers hits in their order, those behind a cursor or the first.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self.words = self._wanted = ""
        self._forget()

    def _forget(self) -> None:
        self._hits: list[LogHitOut] = []
        self._total: int | None = 0
        self._next: str | None = None
        self._place = -1

    @property
    def hit(self) -> LogHitOut | None:
        """The one that is shown."""
        return self._hits[self._place] if self._hits and self._place >= 0 else None

    @property
    def has_hits(self) -> bool:
        """True where there is something to lead to."""
        return bool(self._hits)

    @property
    def place(self) -> str:
        """Which one is shown, of how many: `3 of 17`; empty where nothing is looked for."""
        if not self.words:
            return ""
        if not self._hits:
            return "not found"
        total = f"{len(self._hits):,}+" if self._total is None else f"{self._total:,}"
        return f"{self._place + 1:,} of {total}" if self._place >= 0 else f"{total} found"

    def want(self, words: str) -> None:
        """Say what is looked for from now on: a look for anything else ends soon."""
        self._wanted = words

    def is_wanted(self, words: str) -> bool:
        """True where nothing else has been typed since."""
        return words == self._wanted

    async def look(self, words: str) -> None:
        """Look for words from the log's beginning on. Raises what `search` raises."""
        self.words = words
        self.want(words)
        self._forget()
        if words:
            await self._more()
            # as much is looked through as it takes to know whether there is one
            while not self._hits and self._next and self.is_wanted(words):
                await self._more()
            self._place = 0

    async def count(self) -> None:
        """Look for the same words again, and show no hit yet. Raises what `search` raises."""
        await self.look(self.words)
        self._place = -1

    async def step(self, by: int) -> None:
        """Show the next hit or the one before; behind the last one, if no more came, the first."""
        if not self._hits:
            return await self.look(self.words)
        if by > 0 and self._place == len(self._hits) - 1:
            await self._more()
        place = self._place + by if self._place >= 0 or by > 0 else -1
        # the last one is known where all are there
        self._place = max(place, 0) if self._next else place % len(self._hits)
        return None

    async def _more(self) -> None:
        cursor = self._next or (str(self._hits[-1].offset) if self._hits else None)
        page = await self._search(self.words, cursor)
        self._hits += page.items
        self._next = page.next_cursor
        is_whole = page.total is None and self._next is None
        self._total = len(self._hits) if is_whole else page.total
