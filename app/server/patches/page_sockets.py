"""Tie each page's socket to the session that opened the page, and drop malformed messages.

Replaces: NiceGUI's handlers in `core.sio.handlers["/"]`, by ones that pass on valid messages.
Why: NiceGUI trusts anyone who knows a page's id, so one session could act on another's page.
Gain: none in speed; this is about safety.
Tested: nicegui>=3.18,<3.19 python-socketio>=5.18,<5.19 python-engineio>=4.15,<4.16
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qs

from nicegui import Client, core
from socketio.exceptions import ConnectionRefusedError as SocketRefused

# a socket with more malformed messages than this in a second is closed
MOST_MALFORMED, SECONDS = 20, 1.0
_LOG_LEVELS = frozenset({"debug", "info", "warning", "error"})
Handler = Callable[..., Any]


class PageSockets:
    """A filter between socket.io and NiceGUI, which trusts anyone who knows a page's id."""

    def __init__(self, sio: Any) -> None:
        self._sio = sio
        self._plain: Mapping[str, Handler] = dict(sio.handlers["/"])
        self._counted: dict[str, tuple[float, int]] = {}

    def bind(self) -> None:
        """Replace NiceGUI's handlers with ones that pass on valid messages only."""
        self._sio.on("connect", self._connect)
        self._sio.on("handshake", self._handshake)
        self._sio.on("disconnect", self._disconnect)
        for name, makes_sense in _SENSE.items():
            self._sio.on(name, partial(self._pass_on, name, makes_sense))

    async def _connect(self, sid: str, environ: dict[str, Any], _: object = None) -> Any:
        query = {k: v[0] for k, v in parse_qs(environ.get("QUERY_STRING", "")).items()}
        shakes_hands = query.get("implicit_handshake") == "true"
        if shakes_hands and not (_is_handshake(query) and _is_of_session(query, environ)):
            raise SocketRefused("Implicit handshake failed")  # makes the page reload
        return await self._plain["connect"](sid, environ)

    async def _handshake(self, sid: str, *said: Any) -> bool:
        data: Any = said[0] if len(said) == 1 else None
        if not _is_handshake(data):
            return await self._drop(sid)
        if not _is_of_session(data, self._sio.get_environ(sid)):
            return False
        return bool(await self._plain["handshake"](sid, data))

    def _disconnect(self, sid: str, *_: object) -> None:
        self._counted.pop(sid, None)
        self._plain["disconnect"](sid)

    async def _pass_on(
        self, name: str, makes_sense: Callable[[Any], bool], sid: str, *said: Any
    ) -> None:
        data: Any = said[0] if len(said) == 1 else None
        if not self._is_its_page(sid, data) or not makes_sense(data):
            await self._drop(sid)
            return
        answer = self._plain[name](sid, data)
        if isinstance(answer, Awaitable):
            await answer

    def _is_its_page(self, sid: str, data: Any) -> bool:
        page = cast("dict[str, Any]", data).get("client_id") if isinstance(data, dict) else None
        # not `rooms(sid)`: it looks through the rooms of all open pages
        return isinstance(page, str) and sid in self._sio.manager.rooms["/"].get(page, ())

    async def _drop(self, sid: str) -> bool:
        now = asyncio.get_running_loop().time()
        since, count = self._counted.get(sid, (now, 0))
        since, count = (now, 1) if now - since >= SECONDS else (since, count + 1)
        self._counted[sid] = (since, count)
        if count > MOST_MALFORMED:
            line = self._sio.manager.eio_sid_from_sid(sid, "/")
            socket = self._sio.eio.sockets.get(line)
            await self._sio.disconnect(sid)
            await self._sio.eio.disconnect(line)
            if socket is not None:
                # ends its writer: it would keep the connection open until a ping is overdue
                await socket.queue.put(None)
        return False


def bind_sockets() -> None:
    """Bind every page's socket to the session that opened the page."""
    handler = core.sio.handlers["/"]["handshake"]
    if not isinstance(getattr(handler, "__self__", None), PageSockets):
        PageSockets(core.sio).bind()


def _is_handshake(data: Any) -> bool:
    if not isinstance(data, dict):
        return False
    next_id = data.get("next_message_id")
    return all(isinstance(data.get(n), str) for n in ("client_id", "tab_id", "document_id")) and (
        next_id is None or str(next_id).isdecimal()
    )


def _is_of_session(data: Mapping[str, Any], environ: Any) -> bool:
    """Return True if the page and the socket were opened with the same session."""
    client = Client.instances.get(data["client_id"])
    if client is None or environ is None:
        return False
    secret = _secret_of(environ.get("asgi.scope"))
    return secret is not None and secret == _secret_of(client.request.scope)


def _secret_of(scope: Any) -> str | None:
    visitor = (scope or {}).get("state", {}).get("visitor")
    return visitor.csrf if visitor is not None else None


def _is_event(data: dict[str, Any]) -> bool:
    element_id, args = data.get("id"), data.get("args", [])
    client = Client.instances.get(data["client_id"])
    element = client.elements.get(element_id) if client and isinstance(element_id, int) else None
    listeners = element._event_listeners if element is not None else {}
    listener_id = data.get("listener_id")
    return isinstance(listener_id, str) and listener_id in listeners and _are_json(args)


def _are_json(args: Any) -> bool:
    if not isinstance(args, list):
        return False
    try:
        for arg in args:
            if arg is not None:
                json.loads(arg)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


_SENSE: Mapping[str, Callable[[dict[str, Any]], bool]] = {
    "event": _is_event,
    "javascript_response": lambda data: isinstance(data.get("request_id"), str),
    "ack": lambda data: isinstance(data.get("next_message_id"), int),
    "log": lambda data: data.get("level") in _LOG_LEVELS and isinstance(data.get("message"), str),
}
