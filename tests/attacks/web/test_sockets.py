"""A16: a socket may address only pages of its own session, and only with valid messages."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.drivers.servers.processes import RunyardServer, running_server

PATIENCE_SECONDS = 60  # for a busy machine
_CLIENT = re.compile(r"['\"]client_id['\"]: ['\"]([\w-]+)['\"]")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running
    lines = [json.loads(line) for line in running.log.splitlines()]
    assert not [line for line in lines if line["level"] in ("error", "critical")]


def sign_in(server: RunyardServer) -> str:
    with server.visitor() as browser:
        return browser.get(server.new_link()).headers["set-cookie"].partition(";")[0]


def page_of(server: RunyardServer, cookie: str) -> str:
    """Open a page in a session; return its client id."""
    with server.visitor(Cookie=cookie) as browser:
        found = _CLIENT.search(browser.get("/").text)
    assert found is not None
    return found[1]


@asynccontextmanager
async def line_of(
    server: RunyardServer, cookie: str, **query: str
) -> AsyncIterator[ClientConnection]:
    """Open a session's socket.io connection, past the opening packets."""
    words = urlencode({"EIO": "4", "transport": "websocket", **query})
    headers = {"Cookie": cookie, "Origin": server.page_url}
    where: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "proxy": None}
    where |= {"open_timeout": PATIENCE_SECONDS, "ping_interval": None}
    address = f"ws://{server.page_host}/_nicegui_ws/socket.io/?{words}"
    async with connect(address, additional_headers=headers, **where) as line:
        assert str(await line.recv()).startswith("0{")
        await line.send("40")
        yield line


async def heard(line: ClientConnection, start: str) -> str:
    """Return the first packet with this prefix."""
    while not (packet := str(await line.recv())).startswith(start):
        pass
    return packet


def hands(client_id: str) -> dict[str, Any]:
    return {"client_id": client_id, "tab_id": str(uuid.uuid4()), "document_id": str(uuid.uuid4())}


async def shake(line: ClientConnection, said: Any) -> str:
    await line.send(f"421{json.dumps(['handshake', said])}")
    return await heard(line, "431")


async def test_a_socket_of_another_session_cannot_join_a_page(server: RunyardServer) -> None:
    mine, theirs = sign_in(server), sign_in(server)
    page = page_of(server, mine)
    async with line_of(server, theirs) as line:
        await heard(line, "40")
        assert await shake(line, hands(page)) == "431[false]"
    query = {**hands(page), "implicit_handshake": "true", "next_message_id": "0"}
    async with line_of(server, theirs, **query) as line:
        assert (await heard(line, "44")).startswith("44")  # refused
    async with line_of(server, mine) as line:
        await heard(line, "40")
        assert await shake(line, hands(page)) == "431[true]"


NONSENSE = [
    ["event"],
    ["event", None],
    ["event", {}],
    ["event", {"client_id": "{page}"}],
    ["event", {"client_id": "{page}", "id": 10**9, "listener_id": "x", "args": []}],
    ["event", {"client_id": "{page}", "id": 1, "listener_id": "x", "args": []}],
    ["event", {"client_id": "{page}", "id": [], "listener_id": {}, "args": 5}],
    ["event", {"client_id": ["{page}"], "id": 1}],
    ["handshake"],
    ["handshake", {"client_id": 5}],
    ["javascript_response", {"client_id": "{page}", "request_id": []}],
    ["ack", {"client_id": "{page}", "next_message_id": "x"}],
    ["log", {"client_id": "{page}", "level": "fatal", "message": "forged"}],
    ["event", 1, 2, 3],
]


async def test_what_makes_no_sense_is_dropped_without_a_word(server: RunyardServer) -> None:
    cookie = sign_in(server)
    page = page_of(server, cookie)
    async with line_of(server, cookie) as line:
        await heard(line, "40")
        assert await shake(line, hands(page)) == "431[true]"
        for said in NONSENSE:
            await line.send("42" + json.dumps(said).replace("{page}", page))
        # the socket still works: a page can be joined only once
        assert await shake(line, hands(page)) == "431[false]"


async def test_a_socket_that_floods_a_page_with_nonsense_is_cut_off(server: RunyardServer) -> None:
    cookie = sign_in(server)
    async with line_of(server, cookie) as line:
        await heard(line, "40")
        with suppress(ConnectionClosed):
            for _ in range(5000):
                await line.send('42["event",{}]')
        # by itself the connection would stay open for 36 seconds, until a ping is overdue
        async with asyncio.timeout(30):
            await line.wait_closed()


async def test_a_foreign_page_gets_no_event_from_a_socket_that_has_not_joined_it(
    server: RunyardServer,
) -> None:
    mine, theirs = sign_in(server), sign_in(server)
    page = page_of(server, mine)
    async with line_of(server, theirs) as line:
        await heard(line, "40")
        for name in ("event", "ack", "log", "javascript_response"):
            told = {"client_id": page, "id": 4, "level": "error", "message": "forged", "args": []}
            told |= {"next_message_id": 10**6, "request_id": "x", "listener_id": "x"}
            await line.send(f"42{json.dumps([name, told])}")
        assert await shake(line, hands(page)) == "431[false]"
    assert "forged" not in server.log
