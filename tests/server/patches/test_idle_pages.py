"""Patches of NiceGUI's connections: outboxes sleep when idle, one timer pings all pages."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from engineio import AsyncServer, async_socket
from engineio.async_socket import AsyncSocket
from engineio.packet import PING, PONG
from engineio.packet import Packet as LinkPacket
from nicegui import core, outbox
from nicegui.outbox import Outbox
from socketio.packet import EVENT, Packet

from app.server.patches.page_outboxes import let_outboxes_sleep
from app.server.patches.page_pings import SocketWithoutTimer, ping_all, share_ping_timer
from app.server.patches.text_packets import TextPacket, send_text_packets


class Page:
    """The part of NiceGUI's client that an outbox uses."""

    id = "page"
    has_socket_connection = True
    page = SimpleNamespace(resolve_reconnect_timeout=lambda: 1.0)

    def check_existence(self) -> None: ...


@pytest.fixture
def spared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "asyncio", asyncio)
    monkeypatch.setattr(core.sio, "packet_class", Packet)
    monkeypatch.setattr(async_socket, "AsyncSocket", AsyncSocket)
    sockets: Any = core.sio.eio
    monkeypatch.setattr(sockets, "_service_task", sockets._service_task)
    let_outboxes_sleep()
    share_ping_timer()
    send_text_packets()


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
    assert await asyncio.wait_for(sent.get(), 20) == ("say", "hello", "page")
    box.stop()
    tasks = [t for t in asyncio.all_tasks() if t.get_name().startswith("outbox loop")]
    await asyncio.wait_for(asyncio.gather(*tasks), 20)


@pytest.mark.usefixtures("spared")
def test_a_message_is_written_as_socket_io_writes_it() -> None:
    assert core.sio.packet_class is TextPacket
    data = ["update", {"52": {"tag": "div", "props": {"facts": "<b>ü</b>", "none": None}}}]
    of_theirs = Packet(EVENT, data=data).encode()
    assert TextPacket(EVENT, data=data).encode() == of_theirs


async def test_every_page_is_asked_at_once_whether_it_is_there_and_a_silent_one_ends() -> None:
    server = AsyncServer(async_mode="asgi", ping_interval=24, ping_timeout=12)
    ended: list[str] = []
    server.on("disconnect", lambda sid, *_: ended.append(sid))
    for sid in ("answers", "silent", "gone"):
        server.sockets[sid] = socket = SocketWithoutTimer(server, sid)
        socket.connected = True
        socket.schedule_ping()
    server.sockets["gone"].closed = True
    await ping_all(server)
    assert set(server.sockets) == {"answers", "silent"}
    for socket in server.sockets.values():
        assert [packet.packet_type for packet in await socket.poll()] == [PING]
    await server.sockets["answers"].receive(LinkPacket(PONG))
    # pretend that the last ping was an interval ago: longer than the ping timeout
    server.sockets["silent"].last_ping -= server.ping_interval
    await ping_all(server)
    assert ended == ["silent"]
    assert [packet.packet_type for packet in await server.sockets["answers"].poll()] == [PING]
    await ping_all(server)
    assert "silent" not in server.sockets


async def test_pages_are_asked_by_one_timer_however_many_they_are(
    spared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = core.sio.eio
    monkeypatch.setattr(server, "sockets", {})
    before = len(timers())
    for number in range(50):
        server.sockets[str(number)] = socket = SocketWithoutTimer(server, str(number))
        socket.schedule_ping()
    task = asyncio.ensure_future(server._service_task())
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(timers()) == before + 1
    server.service_task_event.set()
    await asyncio.wait_for(task, 20)
