"""How long a connection may take to ask something, so that half a request keeps nobody out.

Streams and websockets live on: only what has to come from the other side has a deadline.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS, BODY_IDLE_SECONDS = 10.0, 30.0
MOST_HEADER_BYTES = 64 * 1024
# connections that wait for a request: more than these, and the oldest are closed once they have
# had a moment; at the most that open files allow, at once
MOST_WAITING, GRACE_SECONDS = 256, 1.0
MOST_EVER = 4096


class Waiting:
    """The connections of a server that have asked nothing yet, or nothing more, oldest first.

    Everybody on this machine has the same address, so no peer can be told from another; uvicorn's
    own `limit_concurrency` would refuse the person instead of who fills it up.
    """

    def __init__(self) -> None:
        self._since: dict[PageRequests, float] = {}

    def add(self, line: PageRequests) -> None:
        """A connection waits from now on; the oldest go where there are too many."""
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
        """A connection has asked something, or is gone."""
        self._since.pop(line, None)


class PageRequests(HttpToolsProtocol):
    """uvicorn's protocol with deadlines: headers 10 s in all, content 30 s between two pieces."""

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
            self._be_patient(BODY_IDLE_SECONDS)  # it is we who do not read
        else:
            self.transport.abort()


def _most_open() -> int:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_EVER if allowed == resource.RLIM_INFINITY else min(MOST_EVER, allowed // 2)
