"""Search in a log: the hits and the current one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.api.schemas import LogHitOut, LogHitsOut

Search = Callable[[str, str | None], Awaitable[LogHitsOut]]


class LogFind:
    """Search words, their hits in the whole log, and the current hit.

    `search(words, cursor)` returns hits in log order, after the cursor or from the start.
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
        """The current hit, None without one."""
        return self._hits[self._place] if self._hits and self._place >= 0 else None

    @property
    def has_hits(self) -> bool:
        """True if there are hits."""
        return bool(self._hits)

    @property
    def place(self) -> str:
        """The position of the current hit: `3 of 17`; "" without a search."""
        if not self.words:
            return ""
        if not self._hits:
            return "not found"
        total = f"{len(self._hits):,}+" if self._total is None else f"{self._total:,}"
        return f"{self._place + 1:,} of {total}" if self._place >= 0 else f"{total} found"

    def want(self, words: str) -> None:
        """Set the wanted words; a running search for other words stops soon."""
        self._wanted = words

    def is_wanted(self, words: str) -> bool:
        """Return True if no other words were entered since."""
        return words == self._wanted

    async def look(self, words: str) -> None:
        """Search from the start of the log. Raises what `search` raises."""
        self.words = words
        self.want(words)
        self._forget()
        if words:
            await self._more()
            # read pages only until the first hit is known
            while not self._hits and self._next and self.is_wanted(words):
                await self._more()
            self._place = 0

    async def count(self) -> None:
        """Repeat the search without selecting a hit. Raises what `search` raises."""
        await self.look(self.words)
        self._place = -1

    async def step(self, by: int) -> None:
        """Move to the next or previous hit; after the last known one, load more or wrap around."""
        if not self._hits:
            return await self.look(self.words)
        if by > 0 and self._place == len(self._hits) - 1:
            await self._more()
        place = self._place + by if self._place >= 0 or by > 0 else -1
        # wrap around only when all hits are loaded
        self._place = max(place, 0) if self._next else place % len(self._hits)
        return None

    async def _more(self) -> None:
        cursor = self._next or (str(self._hits[-1].offset) if self._hits else None)
        page = await self._search(self.words, cursor)
        self._hits += page.items
        self._next = page.next_cursor
        is_whole = page.total is None and self._next is None
        self._total = len(self._hits) if is_whole else page.total
