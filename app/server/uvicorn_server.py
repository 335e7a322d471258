"""Runyard's uvicorn server: welcomes the user once it answers, and shuts down in order."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from app.api.live import LiveStream

END_SECONDS = 3
END_AT_LATEST_SECONDS = 9
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class UvicornServer(uvicorn.Server):
    """A server that shuts down in order at the first signal, and exits at once at a second one.

    `begin` starts background work once pages are served: NiceGUI walks through every object when
    it starts, which breaks objects that other threads are just creating. `welcome` is called in a
    thread once the server answers.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        live: LiveStream,
        *,
        begin: Callable[[], Any],
        welcome: Callable[[], Any],
    ) -> None:
        super().__init__(config)
        self._live = live
        self._begin = begin
        self._welcome = welcome
        self._loop: asyncio.AbstractEventLoop | None = None
        self._was_told = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, begin background work, then welcome the user."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._begin()
        await asyncio.to_thread(self._welcome)

    async def main_loop(self) -> None:
        """Wait for a signal; uvicorn's own loop polls for it ten times a second."""
        await self.on_tick(0)
        while not self.should_exit:
            await self._was_told.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down at the first signal, within END_AT_LATEST_SECONDS; exit at once at the next."""
        if self.should_exit:
            _end_now()
        last_word = threading.Timer(END_AT_LATEST_SECONDS, _end_now)
        last_word.daemon = True
        last_word.start()
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._was_told.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the live streams first: the shutdown would wait for them until its timeout."""
        self._live.close()
        await super().shutdown(sockets)


def end_on_signals() -> None:
    """Exit in order on signals that come before uvicorn handles them, or after."""
    for number in _SIGNALS:
        signal.signal(number, _end)


def _end(*_: Any) -> None:
    # uvicorn raises a signal again once it has ended; this exit closes everything else
    for number in _SIGNALS:
        signal.signal(number, _end_now)
    sys.exit(0)


def _end_now(*_: Any) -> None:
    # nothing is lost: agents live under their supervisors, and every row is complete
    os._exit(0)
