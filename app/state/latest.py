"""Asking for the newest state, one question at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Latest(Generic[Answer]):
    """Asks and shows; who wants it while it is asking makes it ask once more.

    So an older answer never replaces a newer one, and a burst of wishes costs two questions.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[Answer]], show: Callable[[Answer], None]
    ) -> None:
        self._ask = ask
        self._show = show
        self._is_asking = self._is_wanted = False

    async def look(self) -> None:
        """Ask until nobody wanted it since the last question; what `ask` raises goes through."""
        self._is_wanted = True
        if self._is_asking:
            return
        self._is_asking = True
        try:
            while self._is_wanted:
                self._is_wanted = False
                self._show(await self._ask())
        finally:
            self._is_asking = False
