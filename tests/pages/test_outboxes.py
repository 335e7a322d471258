"""What changed reaches a page as NiceGUI sends it, and a page at rest wakes nobody."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from nicegui import core, outbox
from nicegui.outbox import Outbox
from socketio.packet import EVENT, Packet

from app.pages import outboxes


class Page:
    """As much of NiceGUI's client as an outbox asks for."""

    id = "page"
    has_socket_connection = True
    page = SimpleNamespace(resolve_reconnect_timeout=lambda: 1.0)

    def check_existence(self) -> None: ...


@pytest.fixture
def spared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "asyncio", asyncio)
    monkeypatch.setattr(core.sio, "packet_class", Packet)
    outboxes.spare_outboxes()


def timers() -> list[Any]:
    loop: Any = asyncio.get_running_loop()
    return [handle for handle in loop._scheduled if not handle.cancelled()]


@pytest.mark.usefixtures("spared")
async def test_an_outbox_sleeps_until_there_is_something_to_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()

    async def emit(kind: str, data: dict[str, Any], room: str) -> None:
        await sent.put((kind, data["words"], room))

    monkeypatch.setattr(core.sio, "emit", emit)
    monkeypatch.setattr(core, "air", None)
    monkeypatch.setattr(core.app.config, "message_history_length", 10, raising=False)
    monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
    page: Any = Page()
    before = timers()
    box = Outbox(page)
    for _ in range(10):
        await asyncio.sleep(0)
    assert timers() == before
    box.enqueue_message("say", {"words": "hello"}, "page")
    assert await asyncio.wait_for(sent.get(), 5) == ("say", "hello", "page")
    box.stop()
    tasks = [t for t in asyncio.all_tasks() if t.get_name().startswith("outbox loop")]
    await asyncio.wait_for(asyncio.gather(*tasks), 5)


@pytest.mark.usefixtures("spared")
def test_a_message_is_written_as_socket_io_writes_it() -> None:
    assert core.sio.packet_class is outboxes.TextPacket
    data = ["update", {"52": {"tag": "div", "props": {"facts": "<b>ü</b>", "none": None}}}]
    of_theirs = Packet(EVENT, data=data).encode()
    assert outboxes.TextPacket(EVENT, data=data).encode() == of_theirs
