"""The links of open pages at rest: what NiceGUI and its sockets do for them, and nothing else."""

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
    """A message without bytes in it: ours have none, and socket.io need not look for them."""

    uses_binary_events = False


class RestingSocket(AsyncSocket):
    """A page's socket; whether the page is still there is asked of all together."""

    def schedule_ping(self) -> None:
        """The page is there: it has just come, or has answered."""
        self.last_ping = None


def rest_links() -> None:
    """Let the links of open pages rest until there is something to send; safe to repeat.

    As they come, each outbox looks every second whether there is something in it, and each socket
    is pinged and looked at in a moment of its own: with a hundred pages, a hundred and twenty
    times a second somebody wakes for nothing.
    """
    setattr(outbox, "asyncio", _PATIENT)  # noqa: B010 (the module's name for it, not ours)
    setattr(async_socket, "AsyncSocket", RestingSocket)  # noqa: B010
    core.sio.packet_class = TextPacket
    sockets = core.sio.eio
    setattr(sockets, "_service_task", partial(_beat, sockets))  # noqa: B010
    # pages keep nothing of a tab; NiceGUI would hold a place for each one for a month
    core.app.storage.max_tab_storage_age = TAB_SECONDS


async def ask_all(sockets: Any) -> None:
    """Ask every page of an engine.io server whether it is there; end what did not answer.

    Between two calls there is more time than a page has to answer.
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
    # whatever is put into an outbox wakes it, its end too: it need not give up after a second
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
    """Let NiceGUI remember of methods whether they expect arguments; safe to repeat.

    Asked anew, it is a fifth of what a page of cards costs: `inspect.signature` three times an
    element. Methods are the program's own, so there are only so many.
    """
    helpers.expects_arguments = expects_arguments


def expects_arguments(func: Callable[..., Any]) -> bool:
    """True where a call needs arguments, as NiceGUI's own function of this name says it."""
    return _of_method(func.__func__) if isinstance(func, MethodType) else _ask(func)


@lru_cache(1024)
def _of_method(func: Callable[..., Any]) -> bool:
    # bound to whatever it is, a method takes the same
    return _ask(MethodType(func, func))
