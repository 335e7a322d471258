"""A load generator that costs little itself: HTTP/1.1 by hand, on one thread."""

from __future__ import annotations

import json
import selectors
import socket
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

PATIENCE_SECONDS = 60.0
BROKEN = 0
_READ_BYTES = 1 << 16
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Reply:
    """An answer: its status (0: the connection broke), its time in seconds, its body."""

    status: int
    seconds: float
    body: bytes


def build_request(
    method: str, path: str, *, headers: Mapping[str, str] | None = None, body: Any = None
) -> bytes:
    """Return a whole request as bytes; `body` is sent as JSON."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = {"Content-Length": str(len(content)), **(headers or {})}
    if body is not None:
        lines["Content-Type"] = "application/json"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\nHost: %HOST%\r\n{head}\r\n".encode() + content


class Line:
    """One kept-alive connection with at most one request in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = f"127.0.0.1:{port}".encode()
        self._heard = b""
        self._asked_at = 0.0

    def ask(self, request: bytes) -> None:
        """Send a request and start its time."""
        self._heard = b""
        whole = request.replace(b"%HOST%", self._host, 1)
        self._asked_at = perf_counter()
        self.socket.sendall(whole)

    def hear(self) -> Reply | None:
        """Read what has arrived; return the reply once it is complete, else None."""
        try:
            piece = self.socket.recv(_READ_BYTES)
        except OSError:
            piece = b""
        taken = perf_counter() - self._asked_at
        if not piece:
            return Reply(BROKEN, taken, b"")
        self._heard += piece
        head, end, body = self._heard.partition(_HEAD_END)
        if not end or len(body) < _length_of(head):
            return None
        return Reply(int(head[9:12]), taken, body)


def drive(port: int, requests: Iterable[bytes], *, clients: int = 1) -> list[Reply]:
    """Send the requests over `clients` connections, each as soon as the one before is answered."""
    waiting, replies = deque(requests), []
    with selectors.DefaultSelector() as selector:
        for _ in range(min(clients, len(waiting))):
            _begin(selector, Line(port), waiting.popleft())
        while selector.get_map():
            ready = selector.select(PATIENCE_SECONDS)
            if not ready:
                raise TimeoutError("the server does not answer")
            for key, _ in ready:
                line: Line = key.data
                reply = line.hear()
                if reply is None:
                    continue
                replies.append(reply)
                if waiting and reply.status != BROKEN:
                    line.ask(waiting.popleft())
                    continue
                selector.unregister(line.socket)
                line.socket.close()
                if waiting:
                    _begin(selector, Line(port), waiting.popleft())
    return replies


def p50(replies: list[Reply]) -> float:
    """Return the median time of an answer, in seconds."""
    return median(reply.seconds for reply in replies)


def p99(replies: list[Reply]) -> float:
    """Return the time in seconds below which 99 percent of the answers stay."""
    times = sorted(reply.seconds for reply in replies)
    return times[max(0, -(-len(times) * 99 // 100) - 1)]


def expect(replies: list[Reply], *statuses: int) -> list[Reply]:
    """Return the same replies. Raises RuntimeError for one with any other status."""
    for reply in replies:
        if reply.status not in statuses:
            raise RuntimeError(f"answered {reply.status}: {reply.body[:300]!r}")
    return replies


def _begin(selector: selectors.BaseSelector, line: Line, request: bytes) -> None:
    selector.register(line.socket, selectors.EVENT_READ, line)
    line.ask(request)


def _length_of(head: bytes) -> int:
    for field in head.split(b"\r\n")[1:]:
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError("an answer without Content-Length cannot be timed")
