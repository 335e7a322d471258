"""Open pages without a browser: they speak NiceGUI's socket.io and draw nothing.

A hundred tabs of Chromium would need more of the machine than the measured server.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter, time
from urllib.parse import urlencode

import aiohttp

from tests.drivers.servers.processes import RunyardServer

ACK_SECONDS = 3
_QUERY = re.compile(r"['\"]client_id['\"]: ['\"]([\w-]+)['\"], ['\"]next_message_id['\"]: (\d+)")
_MESSAGE_ID = re.compile(r'"_id":(\d+)\}\]$')
# packets of engine.io and socket.io, by their first characters
_PING, _PONG, _ENTER, _ENTERED, _TOLD = "2", "3", "40", "40{", "42["


class Visitor:
    """One open page: it receives updates, answers pings and acknowledges, as a tab does."""

    def __init__(self, session: aiohttp.ClientSession, url: str, path: str) -> None:
        self._session, self._url, self._path = session, url, path
        self._next_id = self._acked = 0
        self._client_id = ""
        self._tasks: list[asyncio.Task[None]] = []
        self.is_entered = asyncio.Event()
        self.heard_bytes = 0
        self.on_told: Callable[[str, float, float], None] = lambda *_: None

    async def open(self) -> None:
        """Load the page and connect; updates go to `on_told(text, perf_counter, time)`."""
        async with self._session.get(self._url + self._path) as page:
            page.raise_for_status()
            found = _QUERY.search(await page.text())
        if found is None:
            raise RuntimeError(f"{self._path} is no page of ours")
        self._client_id, self._next_id = found[1], int(found[2])
        query = {"client_id": found[1], "next_message_id": found[2], "implicit_handshake": "true"}
        query |= {"tab_id": str(uuid.uuid4()), "document_id": str(uuid.uuid4())}
        query |= {"EIO": "4", "transport": "websocket"}
        address = f"{self._url}/_nicegui_ws/socket.io/?{urlencode(query)}"
        link = await self._session.ws_connect(address, max_msg_size=0)
        self._tasks = [asyncio.create_task(self._hear(link)), asyncio.create_task(self._ack(link))]
        await asyncio.wait_for(self.is_entered.wait(), 30)

    async def close(self) -> None:
        """Disconnect. Raises an error that occurred while the page was open."""
        for task in self._tasks:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hear(self, link: aiohttp.ClientWebSocketResponse) -> None:
        async for message in link:
            said: str = message.data
            self.heard_bytes += len(said)
            if said.startswith(_TOLD):
                found = _MESSAGE_ID.search(said[-40:])
                self._next_id = int(found[1]) + 1 if found else self._next_id
                self.on_told(said, perf_counter(), time())
            elif said == _PING:
                await link.send_str(_PONG)
            elif said.startswith("0{"):
                await link.send_str(_ENTER)
            elif said.startswith(_ENTERED):
                self.is_entered.set()
            else:
                raise RuntimeError(f"the page {self._path} was told {said[:200]}")
        raise RuntimeError(f"the page {self._path} lost its link: {link.close_code}")

    async def _ack(self, link: aiohttp.ClientWebSocketResponse) -> None:
        await self.is_entered.wait()
        while True:
            await asyncio.sleep(ACK_SECONDS)
            if self._acked < self._next_id:
                self._acked = self._next_id
                told = {"client_id": self._client_id, "next_message_id": self._next_id}
                await link.send_str(f"42{json.dumps(['ack', told])}")


@asynccontextmanager
async def open_pages(
    server: RunyardServer, cookie: str, paths: list[str]
) -> AsyncIterator[list[Visitor]]:
    """Open the pages of one person, one after the other; close them at the end."""
    headers = {"Cookie": cookie, "Host": server.page_host, "Origin": server.page_url}
    # each page has its own connection, as a tab does, and never one that answered a request:
    # uvicorn closes such a one after five seconds if the upgrade met the end of that answer
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        visitors = [Visitor(session, server.url, path) for path in paths]
        try:
            for visitor in visitors:
                await visitor.open()
            yield visitors
        finally:
            for visitor in visitors:
                await visitor.close()
