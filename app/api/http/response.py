"""One exchange, seen from the application: content is capped, every answer carries our headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from starlette.types import Message, Receive, Send

SIGNED_OUT = 1008
Headers = list[tuple[bytes, bytes]]
_BEGINNINGS = frozenset(
    {"http.response.start", "websocket.http.response.start", "websocket.accept"}
)
# no other page may read anything, whatever a library below thinks of it
_NEVER = b"access-control-"


class BodyTooLarge(Exception):
    """More content came than the cap allows."""


class Exchange:
    """Stands between the application and the server for one request. Nothing is buffered,
    but an answer 500: it is held until it is known whether it hides a fault."""

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
        """The next piece of content. Raises BodyTooLarge."""
        message = await self._receive()
        self.has_left = self.has_left or message["type"] == "http.disconnect"
        if self._room is not None and message["type"] == "http.request":
            self._room -= len(message.get("body", b""))
            if self._room < 0:
                self.is_too_large = True
                raise BodyTooLarge
        return message

    async def send(self, message: Message) -> None:
        """Pass the application's answer on."""
        if self.has_started:
            self.is_streaming = bool(message.get("more_body"))
            await self._send(message)
        elif self.is_too_large:
            return  # whatever it makes of half a body, the answer is ours
        elif self._held or (message["type"] == "http.response.start" and message["status"] == 500):
            self._held.append(message)
        else:
            await self._begin(message)

    async def answer(self, message: Message) -> None:
        """Pass on a message of an answer of our own, in place of one that is held."""
        self._held.clear()
        if self.has_started:
            await self._send(message)
        else:
            await self._begin(message)

    async def finish(self) -> None:
        """Send what is held: the application meant it."""
        held, self._held = self._held, []
        for message in held:
            await (self._send(message) if self.has_started else self._begin(message))

    async def end(self) -> None:
        """End an answer that goes on for as long as somebody reads it."""
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
    """An answer that ends, if it goes on for long, as soon as nobody is signed in to read it."""

    def __init__(self, exchange: Exchange, is_signed_in: Callable[[], Awaitable[bool]]) -> None:
        self._exchange = exchange
        self._is_signed_in = is_signed_in
        self._task = asyncio.current_task()
        self.is_over = False

    async def send(self, message: Message) -> None:
        """Pass a piece of the answer on; between two of them it can end."""
        await self._exchange.send(message)
        if self._exchange.is_streaming:
            await self.look()

    async def look(self) -> None:
        """End the answer where its reader is not signed in any more."""
        if self._exchange.is_streaming and not self.is_over and not await self._is_signed_in():
            self.is_over = True
            if self._task is not None:
                self._task.cancel()


class WatchedSocket:
    """A websocket that ends as soon as the session it was opened with is over."""

    def __init__(self, exchange: Exchange, is_signed_in: Callable[[], Awaitable[bool]]) -> None:
        self._exchange = exchange
        self._is_signed_in = is_signed_in
        self._is_over = False

    async def look(self) -> None:
        """End it where nobody is signed in any more."""
        await self._ends()

    async def receive(self) -> Message:
        """The next message, or the end of the connection."""
        message = await self._exchange.receive()
        if message["type"] == "websocket.receive" and await self._ends():
            return {"type": "websocket.disconnect", "code": SIGNED_OUT}
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on, while somebody is signed in to read it."""
        if message["type"] != "websocket.send" or not await self._ends():
            await self._exchange.send(message)

    async def _ends(self) -> bool:
        # asked again behind the wait: two may look at once
        if not self._is_over and not await self._is_signed_in() and not self._is_over:
            self._is_over = True
            await self._exchange.send({"type": "websocket.close", "code": SIGNED_OUT})
        return self._is_over
