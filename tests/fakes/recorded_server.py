"""An HTTP server that answers from a script and records its requests."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.drivers.cli.shells import DEADLINE_SECONDS


@dataclass
class Reply:
    """One scripted response; `chunks` are sent one by one, callables among them are called."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes | Callable[[], Any]] | None = None
    dropped: bool = False


@dataclass
class Asked:
    """A request as it was received."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


class RecordedServer:
    """A server with scripted replies per call: each is used once, the last one repeats."""

    def __init__(self) -> None:
        self.script: dict[tuple[str, str], list[Reply]] = {}
        self.asked: list[Asked] = []
        self._news = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    def __enter__(self) -> RecordedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def on(self, method: str, path: str, *replies: Reply | Any) -> None:
        """Set the replies to a call; a value that is no `Reply` becomes a 200 with it as JSON."""
        made = [one if isinstance(one, Reply) else Reply(body=one) for one in replies]
        self.script[method, "/api/v1" + path] = made

    def calls(self, method: str, path: str) -> list[Asked]:
        """Return the requests for this call, oldest first."""
        return [one for one in self.asked if (one.method, one.path) == (method, "/api/v1" + path)]

    def await_calls(self, method: str, path: str, count: int) -> bool:
        """Wait until this call was requested `count` times; return False after the deadline."""
        with self._news:
            return self._news.wait_for(
                lambda: len(self.calls(method, path)) >= count, DEADLINE_SECONDS
            )

    def reply_to(self, asked: Asked) -> Reply:
        """Record a request and return its reply; 404 if none is scripted."""
        with self._news:
            self.asked.append(asked)
            self._news.notify_all()
            replies = self.script.get((asked.method, asked.path))
            if not replies:
                problem = {"detail": "There is nothing with that id.", "error": "not_found"}
                return Reply(404, problem, {"X-Correlation-Id": "corr-of-the-server"})
            return replies.pop(0) if len(replies) > 1 else replies[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        recorded = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing."""

            def _answer(self) -> None:
                parts = urlsplit(self.path)
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                if headers.get("content-type") == "application/x-ndjson":
                    body = [json.loads(line) for line in raw.splitlines()]
                else:
                    body = json.loads(raw) if raw else None
                asked = Asked(self.command, parts.path, parse_qs(parts.query), headers, body)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self._write(recorded.reply_to(asked))

            def _write(self, reply: Reply) -> None:
                if reply.dropped:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.chunks is not None:
                    self.close_connection = True
                    self.send_header("Connection", "close")
                    self.end_headers()
                    for chunk in reply.chunks:
                        self.wfile.write(chunk) if isinstance(chunk, bytes) else chunk()
                    return
                content = reply.body if isinstance(reply.body, bytes) else _json(reply.body)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        return Handler


def _json(body: Any) -> bytes:
    # Like the real server: non-ASCII characters are not escaped.
    return (
        b""
        if body is None
        else json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    )
