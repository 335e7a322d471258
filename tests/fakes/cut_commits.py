"""A proxy to PostgreSQL that drops the answer to a commit, so that its outcome is unknown."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# the end of a simple query, which may say more before it
COMMIT = b"COMMIT\x00"


class CommitCutter:
    """A proxy that forwards everything; once armed, it drops a connection at a commit.

    `messages` counts what clients sent, each time before they waited for an answer.
    """

    def __init__(self, server: Path) -> None:
        self._server = server
        self._is_armed = threading.Event()
        self._passes_on = True
        self._first = 0
        self.cuts = self.messages = 0

    def arm(self, *, passes_on: bool, after: int = 0) -> None:
        """Cut the next commit, or the one `after` more, once it is made (`passes_on`) or before."""
        self._passes_on, self._first = passes_on, after
        self._is_armed.set()

    def disarm(self) -> None:
        """Cut no commit."""
        self._is_armed.clear()

    def _is_due(self) -> bool:
        if not self._is_armed.is_set():
            return False
        self._first -= 1
        return self._first < 0

    def carry(self, near: socket.socket) -> None:
        """Carry one connection until it closes."""
        with near, socket.socket(socket.AF_UNIX) as far:
            far.connect(str(self._server))
            is_cut = threading.Event()
            back = threading.Thread(target=_carry_back, args=(far, near, is_cut))
            back.start()
            while data := near.recv(65536):
                self.messages += 1
                if COMMIT in data and self._is_due():
                    self._is_armed.clear()
                    self.cuts += 1
                    is_cut.set()
                    if not self._passes_on:
                        break
                far.sendall(data)
            if not (is_cut.is_set() and self._passes_on):
                _end(far)
            back.join()


def _carry_back(far: socket.socket, near: socket.socket, is_cut: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while (data := far.recv(65536)) and not is_cut.is_set():
            near.sendall(data)
    _end(near)


def _end(way: socket.socket) -> None:
    with contextlib.suppress(OSError):
        way.shutdown(socket.SHUT_RDWR)


@contextmanager
def commit_cutter(server: Path, folder: Path) -> Iterator[CommitCutter]:
    """Run a cutter on a PostgreSQL socket in its own folder."""
    cutter, carriers = CommitCutter(server), []
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / ".s.PGSQL.5432"))
        door.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    carriers.append(threading.Thread(target=cutter.carry, args=door.accept()[:1]))
                    carriers[-1].start()

        serving = threading.Thread(target=serve)
        serving.start()
        yield cutter
        _end(door)
        serving.join(10)
    for carrier in carriers:
        carrier.join(10)
