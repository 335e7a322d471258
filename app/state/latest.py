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
        self._ask: Callable[[], Awaitable[Answer]] | None = ask
        self._show = show
        self._is_asking = self._is_wanted = False

    def end(self) -> None:
        """Let go of who asked and who shows: what is answered from here on is shown nobody."""
        self._show = lambda _: None
        self._ask = None

    async def look(self) -> None:
        """Ask until nobody wanted it since the last question; what `ask` raises goes through."""
        self._is_wanted = True
        if self._is_asking:
            return
        self._is_asking = True
        try:
            while self._is_wanted and self._ask is not None:
                self._is_wanted = False
                answer = await self._ask()
                self._show(answer)
        finally:
            self._is_asking = False
