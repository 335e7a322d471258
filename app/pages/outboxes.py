"""How NiceGUI sends a page what changed, without what that costs for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import TypeVar

from nicegui import core, outbox
from socketio.packet import Packet

Result = TypeVar("Result")


class TextPacket(Packet):
    """A message without bytes in it: ours have none, and socket.io need not look for them."""

    uses_binary_events = False


def spare_outboxes() -> None:
    """Let NiceGUI's outboxes sleep until there is something to send; safe to repeat.

    Their loop gives up waiting after a second and begins anew, though whatever is put into an
    outbox wakes it, its end too: with a hundred open pages, two percent of a core for nothing.
    """
    setattr(outbox, "asyncio", _PATIENT)  # noqa: B010 (it is a module's, not ours)
    core.sio.packet_class = TextPacket


async def _wait(awaitable: Awaitable[Result], timeout: float) -> Result:
    return await awaitable


_PATIENT = SimpleNamespace(
    CancelledError=asyncio.CancelledError,
    Event=asyncio.Event,
    TimeoutError=asyncio.TimeoutError,
    sleep=asyncio.sleep,
    wait_for=_wait,
)
