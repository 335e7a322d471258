"""Receivers of notifications for tests: a real one on loopback, and a notifier in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from app.domain.notifications import Message
from app.services.ports import NotTaken

SECRET = "s3cret"


class FakeNotifier:
    """A notifier in memory: every `mem://` address is a receiver; those in `refuses` refuse."""

    def __init__(self) -> None:
        self.taken: dict[str, list[Message]] = {}
        self.refuses: dict[str, str] = {}
        self.on_send: Callable[[str], None] = lambda _: None

    def problem(self, address: str) -> str | None:
        """Return why an address cannot be used, or None."""
        return None if address.startswith("mem://") else "This address cannot be used."

    def send(self, address: str, message: Message) -> None:
        """Record a message, or raise NotTaken."""
        if problem := self.problem(address) or self.refuses.get(address):
            raise NotTaken(problem)
        self.on_send(address)
        self.taken.setdefault(address, []).append(message)


@dataclass
class LocalReceiver:
    """An HTTP server for apprise's `json://` posts; gives `answers` in order, then 200."""

    port: int = 0
    answers: list[int | str] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    release: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """Its address; the path is a secret."""
        return f"json://127.0.0.1:{self.port}/{SECRET}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one post: with a status, or by closing, at once or (`hangs`) once released."""
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else 200
        if answer == "hangs":
            self.release.wait(20)
        if not isinstance(answer, int):
            request.close_connection = True
            return
        if answer == 200:
            self.taken.append(json.loads(body))
        request.send_response(answer)
        request.send_header("Content-Length", "0")
        request.end_headers()


@contextmanager
def local_receiver(*answers: int | str) -> Iterator[LocalReceiver]:
    """Run a receiver for the length of a test."""
    receiver = LocalReceiver(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.answer(self)

        def log_message(self, format: str, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.release.set()
            server.shutdown()
            thread.join(10)
