"""The HTTP proxy of a sandbox with a list of allowed hosts; checks names and addresses.

Imported by a child of the supervisor: no third-party modules. Each connection has its own thread,
so that a slow host, name server or reader delays no other. Traffic is neither kept nor logged.
"""

from __future__ import annotations

import errno
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from ipaddress import ip_address

from app.domain.sandbox.network_rules import NOT_ALLOWED, NetworkRules, Target
from app.domain.sandbox.proxy_requests import BadRequest, ProxyRequest, head_size, read_request

MAX_CONNECTIONS = 256
HEAD_SECONDS = 30.0
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 600.0
_CHUNK = 65536
_DRAIN_SECONDS = 1.0
# pause after a failed accept, as when no descriptor is left for another connection
_REST_SECONDS = 0.2
_STACK_BYTES = 512 * 1024
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_WORDS = {
    400: "Bad Request",
    403: "Forbidden",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

# address family, and the address in the socket module's form
Place = tuple[socket.AddressFamily, tuple]
Resolve = Callable[[Target], list[Place]]


class Refused(Exception):
    """The host is not allowed; the message is the target and the reason."""


class NotReached(Exception):
    """An allowed host could not be reached; `status` is the HTTP status to answer with."""

    def __init__(self, sentence: str, status: int = 502) -> None:
        super().__init__(sentence)
        self.status = status


def resolve(target: Target) -> list[Place]:
    """Return every address of a target, by one lookup. Raises OSError."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))


class Proxy:
    """Serves one listening socket by rules; calls `refused` per refusal, from many threads."""

    def __init__(
        self,
        listening: socket.socket,
        rules: NetworkRules,
        refused: Callable[[Target, str], None],
        *,
        resolve: Resolve = resolve,
        idle_seconds: float = IDLE_SECONDS,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._listening = listening
        self._rules = rules
        self._refused = refused
        self._resolve = resolve
        self._idle_seconds = idle_seconds
        self._slots = threading.BoundedSemaphore(max_connections)

    def serve(self) -> None:
        """Serve until the listening socket is shut down."""
        threading.stack_size(_STACK_BYTES)
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError as problem:
                if problem.errno in (errno.EBADF, errno.EINVAL):
                    return
                time.sleep(_REST_SECONDS)
                continue
            self._begin(client)

    def _begin(self, client: socket.socket) -> None:
        if not self._slots.acquire(blocking=False):
            with closing(client):
                client.setblocking(False)
                _reply(client, 503, "Too many connections are open.")
            return
        try:
            threading.Thread(target=self._serve_one, args=(client,), daemon=True).start()
        except (RuntimeError, MemoryError):
            # no room for another thread
            client.close()
            self._slots.release()

    def _serve_one(self, client: socket.socket) -> None:
        try:
            with closing(client), suppress(OSError):
                self._answer(client)
        finally:
            self._slots.release()

    def _answer(self, client: socket.socket) -> None:
        try:
            request, rest = _read_head(client)
            server = self._reach(request.target)
        except BadRequest as problem:
            _reply_last(client, problem.status, str(problem))
        except NotReached as problem:
            _reply_last(client, problem.status, str(problem))
        except Refused as problem:
            sentence = f"This run may not reach {problem}."
            _reply_last(client, 403, sentence)
        else:
            with closing(server):
                self._relay(request, client, server, rest)

    def _reach(self, target: Target) -> socket.socket:
        """Connect to an address that the rules allow. Raises Refused, NotReached."""
        if not self._rules.allows(target):
            self._refuse(target, NOT_ALLOWED)
        try:
            places = self._resolve(target)
        except (OSError, UnicodeError) as problem:
            raise NotReached(f"The name {target.host} has no address just now.") from problem
        because = {place: self._why_not(target, place) for place in places}
        allowed = [place for place in places if not because[place]]
        if places and not allowed:
            self._refuse(target, because[places[0]])
        return _connect(target, allowed)

    def _why_not(self, target: Target, place: Place) -> str:
        return self._rules.refusal_of(target, ip_address(place[1][0]))

    def _refuse(self, target: Target, because: str) -> None:
        self._refused(target, because)
        raise Refused(f"{target} ({because})")

    def _relay(
        self, request: ProxyRequest, client: socket.socket, server: socket.socket, rest: bytes
    ) -> None:
        for one in (client, server):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if request.is_tunnel:
            up = Flow(client, server, rest)
            down = Flow(server, client, _ESTABLISHED)
            relay(up, down, self._idle_seconds)
            return
        # one request per connection: bytes after the body would be another one, unchecked
        body = rest[: request.body_bytes]
        up = Flow(client, server, request.head + body, left=request.body_bytes - len(body))
        relay(up, Flow(server, client), self._idle_seconds, until_answered=True)


class Flow:
    """Bytes flowing from one socket to another, at most `left` more if that is set.

    Bytes read are written before more are read; the end of the stream is passed on.
    """

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        pending: bytes = b"",
        *,
        left: int | None = None,
    ) -> None:
        self.source = source
        self.sink = sink
        self._pending = memoryview(pending)
        self._left = left
        self._has_ended = False

    @property
    def wants_to_read(self) -> bool:
        """True if no bytes wait to be written and more may come."""
        return not self._pending and not self._has_ended and self._left != 0

    @property
    def wants_to_write(self) -> bool:
        """True if bytes wait to be written."""
        return bool(self._pending)

    @property
    def is_done(self) -> bool:
        """True if no bytes wait to be written and no more will come."""
        return not self._pending and (self._has_ended or self._left == 0)

    def read(self) -> None:
        """Read what is available and start to pass it on. Raises OSError."""
        try:
            data = self.source.recv(_CHUNK if self._left is None else min(_CHUNK, self._left))
        except BlockingIOError:
            return
        if self._left is not None:
            self._left -= len(data)
        self._pending = memoryview(data)
        if data:
            self.write()
            return
        self._has_ended = True
        with suppress(OSError):
            self.sink.shutdown(socket.SHUT_WR)

    def write(self) -> None:
        """Write as much as fits; on an error stop reading, as the sink may still answer."""
        try:
            self._pending = self._pending[self.sink.send(self._pending) :]
        except BlockingIOError:
            return
        except OSError:
            self._pending, self._has_ended = memoryview(b""), True


def relay(up: Flow, down: Flow, idle_seconds: float, *, until_answered: bool = False) -> None:
    """Carry bytes both ways until both flows end or nothing moves for `idle_seconds`.

    With `until_answered`, stop when `down` ends. Raises OSError.
    """
    while not down.is_done or not (until_answered or up.is_done):
        waiting = select.poll()
        for one, other in ((up, down), (down, up)):
            # each socket is the source of one flow and the sink of the other
            wanted = select.POLLIN * one.wants_to_read | select.POLLOUT * other.wants_to_write
            if wanted:
                waiting.register(one.source, wanted)
        ready = dict(waiting.poll(idle_seconds * 1000))
        if not ready:
            return
        for one, other in ((up, down), (down, up)):
            if one.source.fileno() not in ready:
                continue
            # errors and hang-ups surface in read or write
            if other.wants_to_write:
                other.write()
            if one.wants_to_read:
                one.read()


def _read_head(client: socket.socket) -> tuple[ProxyRequest, bytes]:
    """Return the request and the bytes after its head. Raises BadRequest, OSError."""
    received, until = b"", time.monotonic() + HEAD_SECONDS
    while (size := head_size(received)) is None:
        client.settimeout(max(0.001, until - time.monotonic()))
        try:
            data = client.recv(_CHUNK)
        except TimeoutError as slow:
            raise BadRequest("Timed out waiting for the request.", 408) from slow
        if not data:
            raise ConnectionResetError
        received += data
    return read_request(received[:size]), received[size:]


def _connect(target: Target, places: list[Place]) -> socket.socket:
    until = time.monotonic() + CONNECT_SECONDS
    problem: OSError | None = None
    for family, place in places:
        left = until - time.monotonic()
        if left <= 0:
            break
        server = socket.socket(family, socket.SOCK_STREAM)
        try:
            server.settimeout(left)
            server.connect(place)
        except OSError as refused:
            server.close()
            problem = refused
        else:
            return server
    if problem is None or isinstance(problem, TimeoutError):
        raise NotReached(f"{target} did not answer within {CONNECT_SECONDS:.0f} s.", 504)
    raise NotReached(f"{target} cannot be reached: {problem.strerror}.")


def _reply(client: socket.socket, status: int, sentence: str) -> None:
    body = f"Runyard: {sentence}\n".encode("ascii", "backslashreplace")
    head = (
        f"HTTP/1.1 {status} {_WORDS[status]}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with suppress(OSError):
        client.sendall(head.encode("ascii") + body)


def _reply_last(client: socket.socket, status: int, sentence: str) -> None:
    """Answer, then drain for a moment: closing with unread bytes would lose the answer."""
    client.settimeout(_DRAIN_SECONDS)
    _reply(client, status, sentence)
    until = time.monotonic() + _DRAIN_SECONDS
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)
        while time.monotonic() < until and client.recv(_CHUNK):
            pass
