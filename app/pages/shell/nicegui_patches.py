"""Patches to NiceGUI, Socket.IO and Engine.IO that make idle and large pages cheap."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from types import MethodType, SimpleNamespace
from typing import Any, TypeVar

from engineio import async_socket
from engineio.async_socket import AsyncSocket
from engineio.packet import PING
from engineio.packet import Packet as LinkPacket
from nicegui import core, helpers, outbox
from socketio.packet import Packet

log = logging.getLogger(__name__)
Result = TypeVar("Result")


TAB_SECONDS = 60.0


class TextPacket(Packet):
    """A Socket.IO packet without binary data: saves a search for bytes in every message."""

    uses_binary_events = False


class RestingSocket(AsyncSocket):
    """An Engine.IO socket without its own ping task; `ask_all` pings all sockets."""

    def schedule_ping(self) -> None:
        """Mark the page as alive: it has just connected or answered a ping."""
        self.last_ping = None


def rest_links() -> None:
    """Stop the polling for idle pages; safe to call twice.

    By default each outbox wakes every second to check for messages, and each socket has its own
    ping task: with a hundred idle pages, 120 wake-ups a second.
    """
    setattr(outbox, "asyncio", _PATIENT)  # noqa: B010 (the module's name for it, not ours)
    setattr(async_socket, "AsyncSocket", RestingSocket)  # noqa: B010
    core.sio.packet_class = TextPacket
    sockets = core.sio.eio
    setattr(sockets, "_service_task", partial(_beat, sockets))  # noqa: B010
    # pages use no tab storage, but NiceGUI would keep an entry per tab for a month
    core.app.storage.max_tab_storage_age = TAB_SECONDS


async def ask_all(sockets: Any) -> None:
    """Ping every page of an Engine.IO server and close those that missed the last ping.

    Calls are farther apart than the ping timeout.
    """
    for sid, socket in list(sockets.sockets.items()):
        try:
            if socket.closed:
                sockets.sockets.pop(sid, None)
            elif not socket.closing and await socket.check_ping_timeout():
                socket.last_ping = time.time()
                await socket.send(LinkPacket(PING))
        except Exception:
            log.exception("a page could not be asked whether it is there")


async def _beat(sockets: Any) -> None:
    over = sockets.service_task_event = sockets.create_event()
    while not over.is_set():
        try:
            await asyncio.wait_for(over.wait(), sockets.ping_interval)
        except TimeoutError:
            await ask_all(sockets)


async def _wait(awaitable: Awaitable[Result], timeout: float) -> Result:
    # no timeout: every message put into an outbox wakes it, and so does its end
    return await awaitable


_PATIENT = SimpleNamespace(
    CancelledError=asyncio.CancelledError,
    Event=asyncio.Event,
    TimeoutError=asyncio.TimeoutError,
    sleep=asyncio.sleep,
    wait_for=_wait,
)


_ask = helpers.expects_arguments


def remember_signatures() -> None:
    """Make NiceGUI cache whether a method expects arguments; safe to call twice.

    Without the cache it calls `inspect.signature` three times per element, a fifth of the cost of a
    page of cards. Only methods are cached: the program has a fixed number of them.
    """
    helpers.expects_arguments = expects_arguments


def expects_arguments(func: Callable[..., Any]) -> bool:
    """Return True if a call needs arguments; replaces NiceGUI's function of the same name."""
    return _of_method(func.__func__) if isinstance(func, MethodType) else _ask(func)


@lru_cache(1024)
def _of_method(func: Callable[..., Any]) -> bool:
    # the arguments do not depend on the instance, so bind the method to anything
    return _ask(MethodType(func, func))
