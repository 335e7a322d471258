"""A sandbox's network proxy, local web servers, and clients that go through the proxy."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import (
    BaseHTTPRequestHandler,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
)
from pathlib import Path
from typing import cast

from app.adapters.supervisor.proxy import IDLE_SECONDS, MAX_CONNECTIONS, Place, Proxy, resolve
from app.domain.sandbox.network_rules import NetworkRules, Target

PATIENCE = 60.0


class WebServer(ThreadingHTTPServer):
    """A local web server that records requests, and echoes them or serves files."""

    def __init__(self, files: Path | None) -> None:
        handler = partial(_Files, directory=str(files)) if files else _Echo
        super().__init__(("127.0.0.1", 0), handler)
        self.asked: list[bytes] = []


class _Files(SimpleHTTPRequestHandler):
    """Serves the files of a folder."""

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class _Echo(BaseHTTPRequestHandler):
    """Answers with the request line, the Host header and the body."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = f"{self.requestline}|{self.headers['Host']}|".encode() + body
        cast(WebServer, self.server).asked.append(told)
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def web_server(
    files: Path | None = None, certificate: tuple[Path, Path] | None = None
) -> Iterator[WebServer]:
    """Serve on a free port, over TLS if given a certificate and its key."""
    with WebServer(files) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@dataclass
class WayOut:
    """A running proxy: its `port`, and the requests it refused with the reasons."""

    port: int
    refused: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, text: str | bytes) -> bytes:
        """Send a request, close the sending side, and return the whole answer."""
        with closing(self.connect()) as client:
            client.sendall(text.encode() if isinstance(text, str) else text)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)

    def connect(self) -> socket.socket:
        """Open a connection to the proxy."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def tunnel(self, target: str) -> socket.socket:
        """Open a tunnel through the proxy; fail unless it answers 200."""
        client = self.connect()
        client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += client.recv(1)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        return client


def read_all(client: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


@contextmanager
def way_out(
    *listed: str,
    known: tuple[str, ...] = (),
    resolve: Callable[[Target], list[Place]] = resolve,
    idle_seconds: float = IDLE_SECONDS,
    max_connections: int = MAX_CONNECTIONS,
) -> Iterator[WayOut]:
    """Run a proxy that admits the listed hosts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        way = WayOut(listening.getsockname()[1])
        proxy = Proxy(
            listening,
            NetworkRules.read(known, listed),
            lambda target, because: way.refused.append((str(target), because)),
            resolve=resolve,
            idle_seconds=idle_seconds,
            max_connections=max_connections,
        )
        thread = threading.Thread(target=proxy.serve, daemon=True)
        thread.start()
        yield way
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
