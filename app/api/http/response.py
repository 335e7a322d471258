"""One HTTP exchange: limits the request body, adds our headers, ends when the session ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager

from starlette.types import Message, Receive, Send

SIGNED_OUT = 1008
Headers = list[tuple[bytes, bytes]]
_BEGINNINGS = frozenset(
    {"http.response.start", "websocket.http.response.start", "websocket.accept"}
)
# no other site may read anything, so CORS headers set by libraries are dropped
_NEVER = b"access-control-"


class BodyTooLarge(Exception):
    """The request body exceeds the limit."""


class Exchange:
    """Sits between the application and the server for one request.

    Buffers nothing except a 500 response, which is held until it is known if it hides a fault.
    """

    def __init__(
        self, receive: Receive, send: Send, *, headers: Headers, body_cap: int | None
    ) -> None:
        self._receive = receive
        self._send = send
        self._headers = headers
        self._names = frozenset(name for name, _ in headers)
        self._room = body_cap
        self._held: list[Message] = []
        self.has_started = False
        self.is_streaming = False
        self.has_left = False
        self.is_too_large = False

    async def receive(self) -> Message:
        """Return the next message from the client. Raises BodyTooLarge."""
        message = await self._receive()
        self.has_left = self.has_left or message["type"] == "http.disconnect"
        if self._room is not None and message["type"] == "http.request":
            self._room -= len(message.get("body", b""))
            if self._room < 0:
                self.is_too_large = True
                raise BodyTooLarge
        return message

    async def send(self, message: Message) -> None:
        """Pass on a message of the application's response."""
        if self.has_started:
            self.is_streaming = bool(message.get("more_body"))
            await self._send(message)
        elif self.is_too_large:
            return  # discard the response to half a body: the gate answers instead
        elif self._held or (message["type"] == "http.response.start" and message["status"] == 500):
            self._held.append(message)
        else:
            await self._begin(message)

    async def answer(self, message: Message) -> None:
        """Send a message of our own response, in place of a held one."""
        self._held.clear()
        if self.has_started:
            await self._send(message)
        else:
            await self._begin(message)

    async def finish(self) -> None:
        """Send a held 500: the application returned it on purpose."""
        held, self._held = self._held, []
        for message in held:
            await (self._send(message) if self.has_started else self._begin(message))

    async def end(self) -> None:
        """End a streaming response."""
        self.is_streaming = False
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, message: Message) -> None:
        if message["type"] in _BEGINNINGS:
            self.has_started = True
            message = {**message, "headers": self._with_ours(message.get("headers", ()))}
        await self._send(message)

    def _with_ours(self, given: Sequence[tuple[bytes, bytes]]) -> Headers:
        kept = [(name, value) for name, value in given if not name.lower().startswith(_NEVER)]
        set_already = self._names.intersection(name.lower() for name, _ in kept)
        kept += [pair for pair in self._headers if pair[0] not in set_already]
        return kept


class WatchedStream:
    """A response that ends, if it streams, as soon as its reader is signed out."""

    def __init__(self, exchange: Exchange, is_signed_in: Callable[[], Awaitable[bool]]) -> None:
        self._exchange = exchange
        self._is_signed_in = is_signed_in
        self._task = asyncio.current_task()
        self.is_over = False

    async def send(self, message: Message) -> None:
        """Pass on a message; between two of them the stream can be ended."""
        await self._exchange.send(message)
        if self._exchange.is_streaming:
            await self.check()

    async def check(self) -> None:
        """End the stream if its reader is no longer signed in."""
        if self._exchange.is_streaming and not self.is_over and not await self._is_signed_in():
            self.is_over = True
            if self._task is not None:
                self._task.cancel()


class WatchedSocket:
    """A websocket that is closed as soon as its session ends."""

    def __init__(self, exchange: Exchange, is_signed_in: Callable[[], Awaitable[bool]]) -> None:
        self._exchange = exchange
        self._is_signed_in = is_signed_in
        self._is_over = False

    async def check(self) -> None:
        """Close the websocket if its session has ended."""
        await self._ends()

    async def receive(self) -> Message:
        """Return the next message, or a disconnect if the session has ended."""
        message = await self._exchange.receive()
        if message["type"] == "websocket.receive" and await self._ends():
            return {"type": "websocket.disconnect", "code": SIGNED_OUT}
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on while the session lasts."""
        if message["type"] != "websocket.send" or not await self._ends():
            await self._exchange.send(message)

    async def _ends(self) -> bool:
        # checked again after the await: two callers may check at once
        if not self._is_over and not await self._is_signed_in() and not self._is_over:
            self._is_over = True
            await self._exchange.send({"type": "websocket.close", "code": SIGNED_OUT})
        return self._is_over


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
