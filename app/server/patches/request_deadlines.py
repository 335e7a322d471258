"""Give incoming requests deadlines, so that unfinished ones cannot block the server.

They apply only to data that the client must send: streams and websockets stay open.

Replaces: methods of uvicorn's `HttpToolsProtocol`, by a subclass.
Why: uvicorn waits for ever for the rest of a request, and limits connections by refusing users.
Gain: none in speed; this is about safety.
Tested: uvicorn>=0.54,<0.55
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS, BODY_IDLE_SECONDS = 10.0, 30.0
MOST_HEADER_BYTES = 64 * 1024
# with more than MOST_WAITING idle connections, the oldest are closed once idle for GRACE_SECONDS;
# with more than MOST_EVER or half the allowed open files, at once
MOST_WAITING, GRACE_SECONDS = 256, 1.0
MOST_EVER = 4096


class Waiting:
    """The idle connections of a server (no request, or none after the last), oldest first.

    Local clients share one address and cannot be limited separately; uvicorn's own
    `limit_concurrency` would refuse the user instead of closing the connections that sit idle.
    """

    def __init__(self) -> None:
        self._since: dict[PageRequests, float] = {}

    def add(self, line: PageRequests) -> None:
        """Register a connection as idle, and close the oldest if there are too many."""
        now = line.loop.time()
        self._since.pop(line, None)
        self._since[line] = now
        while len(self._since) > MOST_WAITING:
            oldest, since = next(iter(self._since.items()))
            if now - since < GRACE_SECONDS and len(self._since) <= _most_open():
                break
            self.discard(oldest)
            oldest.transport.abort()

    def discard(self, line: PageRequests) -> None:
        """Unregister a connection that sends a request or is gone."""
        self._since.pop(line, None)


class PageRequests(HttpToolsProtocol):
    """uvicorn's protocol with deadlines: 10 s for all headers, 30 s between pieces of a body."""

    def __init__(self, waiting: Waiting, **given: Any) -> None:
        super().__init__(**given)
        self._waiting = waiting
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._reads_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting.add(self)
        self._be_patient(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._reads_headers:
            if self._deadline is None:
                self._be_patient(HEADER_SECONDS)
            self._header_bytes += len(data)
        super().data_received(data)
        if self._reads_headers and self._header_bytes > MOST_HEADER_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self._reads_headers, self._header_bytes = False, 0
        self._stop_waiting()
        super().on_headers_complete()
        self._be_patient(BODY_IDLE_SECONDS)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._be_patient(BODY_IDLE_SECONDS)

    def on_message_complete(self) -> None:
        self._reads_headers = True
        self._end_patience()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._reads_headers and not self.transport.is_closing():
            self._waiting.add(self)

    def handle_websocket_upgrade(self) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def _be_patient(self, seconds: float) -> None:
        self._end_patience()
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _end_patience(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_waiting(self) -> None:
        self._end_patience()
        self._waiting.discard(self)

    def _give_up(self) -> None:
        self._deadline = None
        if not self._reads_headers and self.flow.read_paused:
            self._be_patient(BODY_IDLE_SECONDS)  # we paused reading: not the client's fault
        else:
            self.transport.abort()


def _most_open() -> int:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_EVER if allowed == resource.RLIM_INFINITY else min(MOST_EVER, allowed // 2)
