"""A bell: servers on one machine wake each other through a folder watched with inotify."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import structlog

from app.adapters.engine.watcher import Inotify

log = structlog.get_logger()


class Bell:
    """A bell on `folder`: each ring reaches every server that opened it, the sender included.

    A ring's name is a file name; `on_ring` gets the names of all rings since the last call. If
    the folder cannot be watched, no rings arrive, and a warning is logged once.
    """

    def __init__(self, folder: Path, on_ring: Callable[[set[str]], object]) -> None:
        self._folder = folder
        self._on_ring = on_ring
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Start listening in a thread; failures are logged."""
        with ExitStack() as opened:
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                self._inotify = Inotify()
                opened.callback(self._inotify.close)
                self._inotify.add(self._folder)
                self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                opened.callback(os.close, self._wake)
            except OSError as problem:
                log.warning("other_servers_not_heard", because=problem)
                return
            thread = threading.Thread(target=self._listen, name="bell", daemon=True)
            thread.start()
            self._thread, self._files = thread, opened.pop_all()

    def close(self) -> None:
        """Stop the thread; safe if the bell was never opened."""
        thread, self._thread = self._thread, None
        if thread is not None:
            os.eventfd_write(self._wake, 1)
            thread.join()
            self._files.close()

    def ring(self, name: str) -> None:
        """Wake every listening server; failures are logged."""
        try:
            (self._folder / name).write_bytes(b"1")
        except OSError as problem:
            log.warning("other_server_not_woken", because=problem)

    def _listen(self) -> None:
        waiting = select.poll()
        for file in (self._wake, self._inotify.fd):
            waiting.register(file, select.POLLIN)
        while self._wake not in {file for file, _ in waiting.poll()}:
            names = {name for _, _, name in self._inotify.read()}
            if names:
                try:
                    self._on_ring(names)
                except Exception:
                    log.exception("ring_failed")
