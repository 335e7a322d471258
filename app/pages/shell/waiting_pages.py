"""Pages that were sent out and whose browser has not connected yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nicegui import Client

LINK_SECONDS = 10.0
MOST_WAITING = 200


class WaitingPages:
    """Deletes a page whose browser does not connect in time, and the oldest if too many wait.

    Monitoring probes and `curl` never connect: each would hold a fifth of a megabyte for a minute.
    A browser that connects late reloads the page by itself.
    """

    def __init__(self) -> None:
        self._pages: dict[str, Client] = {}

    def __len__(self) -> int:
        return len(self._pages)

    def add(self, client: Client) -> None:
        """Wait for the browser of a drawn page; needs the running event loop."""
        key = client.id
        self._pages[key] = client
        for happens in (client.on_connect, client.on_delete):
            happens(lambda: self._forget(key))
        if len(self._pages) > MOST_WAITING:
            self._drop(next(iter(self._pages)))
        asyncio.get_running_loop().call_later(LINK_SECONDS, self._drop, key)

    def _forget(self, key: str) -> None:
        self._pages.pop(key, None)

    def _drop(self, key: str) -> None:
        client = self._pages.pop(key, None)
        if client is not None and not client.has_socket_connection and not client.is_deleted:
            client.delete()
