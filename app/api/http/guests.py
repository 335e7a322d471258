"""Open responses and websockets, re-checked when a session or a token ends."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from app.api.http.response import WatchedSocket, WatchedStream

Guest = WatchedStream | WatchedSocket


class OpenSessions:
    """The open exchanges of one event loop."""

    def __init__(self) -> None:
        self._here: set[Guest] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self._is_due = False

    @contextmanager
    def here(self, guest: Guest) -> Generator[None]:
        """Register an exchange while it is served."""
        self._loop = asyncio.get_running_loop()
        self._here.add(guest)
        try:
            yield
        finally:
            self._here.discard(guest)

    def check_again(self) -> None:
        """Schedule a re-check of all open exchanges; thread-safe."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._is_due = True
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._check())

    async def _check(self) -> None:
        while self._is_due:
            self._is_due = False
            for guest in tuple(self._here):
                await guest.check()
