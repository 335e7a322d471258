"""The web server of a Runyard: says where it is once it answers, and ends in order."""

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
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.utilities import LocalProtocolError

from app.api.live import LiveStream

END_SECONDS = 3
END_AT_LATEST_SECONDS = 9
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class PageSocket(WSProtocol):
    """A page's web socket; it ends in order, too, where the page has just closed it by itself."""

    def shutdown(self) -> None:
        """Tell the page that the server ends."""
        try:
            super().shutdown()
        except LocalProtocolError:
            self.transport.close()


class AnnouncedServer(uvicorn.Server):
    """Says where it is once it answers; ends in order when asked, at once when asked again.

    `begin` begins what goes on beside the pages, once they are served: NiceGUI looks through
    every object at its start, and what other threads are making then does not bear it. `welcome`
    is called in a thread once people can come in.
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
        """Start, then let the person in who started it."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._begin()
        await asyncio.to_thread(self._welcome)

    async def main_loop(self) -> None:
        """Wait for a signal; uvicorn's own looks ten times a second whether one has come."""
        await self.on_tick(0)
        while not self.should_exit:
            await self._was_told.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: the first ends in order, but in time, whatever still waits for an answer."""
        if self.should_exit:
            _end_now()
        last_word = threading.Timer(END_AT_LATEST_SECONDS, _end_now)
        last_word.daemon = True
        last_word.start()
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._was_told.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first: nothing else would, and everybody would wait for them."""
        self._live.close()
        await super().shutdown(sockets)


def end_on_signals() -> None:
    """Before the server listens for signals, and after: let them end what is open, in order."""
    for number in _SIGNALS:
        signal.signal(number, _end)


def _end(*_: Any) -> None:
    # the server hands a signal on once it has ended: what is open is then closed
    for number in _SIGNALS:
        signal.signal(number, _end_now)
    sys.exit(0)


def _end_now(*_: Any) -> None:
    # agents live under their supervisors, and every row is whole: nothing is lost by it
    os._exit(0)
