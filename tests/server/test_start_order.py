"""The order of a server's start, and of its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState
from wsproto.events import CloseConnection

from app.api.live import LiveStream
from app.domain.words import Status
from app.server.patches.socket_shutdown import PageSocket
from app.server.uvicorn_server import UvicornServer
from tests.builders.databases import only_on_sqlite
from tests.builders.rows import NOW, draft_project, draft_run
from tests.drivers.query_plans import steps_of
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

MANY = 1_000


async def test_sweeps_begin_once_the_pages_start_is_through_and_before_anybody_is_let_in(
    tmp_path: Path,
) -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        happened.append("the pages' start")
        yield

    plane = FakePlane(tmp_path, World())
    plane.migrate()
    config = uvicorn.Config(FastAPI(lifespan=lifespan), port=0, log_config=None)

    def welcome() -> None:
        happened.append("link")
        server.should_exit = True

    server = UvicornServer(
        config,
        LiveStream(plane.services),
        begin=lambda: happened.append("sweeps"),
        welcome=welcome,
    )
    await server.serve()
    plane.stop()
    assert happened == ["the pages' start", "sweeps", "link"]


async def test_a_page_that_closes_its_socket_as_the_server_ends_lets_it_end_in_order() -> None:
    ended = asyncio.Event()

    class Ending(PageSocket):
        def handle_close(self, event: CloseConnection) -> None:
            super().handle_close(event)
            # the server shuts down before it sees that the connection is gone
            self.shutdown()
            ended.set()

    async def app(_: object, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    config = uvicorn.Config(app, log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Ending(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x88\x80\0\0\0\0")  # a close frame
    await asyncio.wait_for(ended.wait(), 20)
    await asyncio.wait_for(reader.read(), 20)
    writer.close()
    server.close()


@only_on_sqlite("SQLite counts the steps of a statement")
@pytest.mark.parametrize("status", [Status.QUEUED, Status.SUCCEEDED])
def test_before_anybody_is_let_in_a_start_reads_no_run_however_many_wait_or_are_over(
    tmp_path: Path, status: Status
) -> None:
    steps = [steps_of_a_start(tmp_path / str(count), status, count) for count in (0, MANY)]
    assert steps[0] > 0
    assert steps[1] <= steps[0] + 100


def steps_of_a_start(folder: Path, status: Status, count: int) -> int:
    """Return the SQLite steps of a start with so many runs of a status."""
    folder.mkdir()
    plane = FakePlane(folder, World())
    plane.migrate()
    ended = {} if status == Status.QUEUED else {"ended_at": NOW, "released_at": NOW}
    with plane.database.transaction() as tx:
        tx.add(draft_project())
        tx.add_all(draft_run(status=status, **ended) for _ in range(count))
    try:
        return steps_of(plane.database, plane.start)
    finally:
        plane.stop()
