"""A thread that reports changes of runs: started, log, refused host, exit, supervisor gone.

It polls nothing: folders are watched with inotify, processes with pidfds.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import structlog

from app.adapters.engine.records import RecordUnreadable, read_exit
from app.adapters.engine.run_log import RunLog
from app.adapters.supervisor.output import HEAD, TAIL_PREFIX
from app.adapters.supervisor.record_files import EXIT, REFUSED, STARTED

MODIFIED = 0x00000002
MOVED_HERE = 0x00000080
CREATED = 0x00000100
OVERFLOWN = 0x00004000
_FOLDERS_ONLY_NO_LINKS = 0x01000000 | 0x02000000
_EVENT = struct.Struct("@iIII")
_READ_BYTES = 65536
log = structlog.get_logger()
# the shortest time in seconds between two reports of a growing log
_LOG_PAUSE = 0.05
Listener = Callable[[str, str], None]


class Inotify:
    """An inotify descriptor, readable when a watched folder changes."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, folder: Path) -> int:
        """Watch a folder for files created, moved in or written; return its id. Raises OSError."""
        mask = MODIFIED | MOVED_HERE | CREATED | _FOLDERS_ONLY_NO_LINKS
        return self._checked(self._libc.inotify_add_watch(self.fd, os.fsencode(folder), mask))

    def remove(self, watch: int) -> None:
        """Stop a watch; one of a deleted folder has ended by itself."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> Iterator[tuple[int, int, str]]:
        """Yield the pending events as (watch, mask, file name)."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return
        place = 0
        while place < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, place)
            place += _EVENT.size
            yield watch, mask, os.fsdecode(data[place : place + length].rstrip(b"\0"))
            place += length

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)

    def _checked(self, result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result


class Watched:
    """A watched run: its inotify watch, its supervisor's pidfd, and if its exit was reported.

    `ending` ends the names of the records of the step that it is in.
    """

    def __init__(self, folder: Path, ending: str) -> None:
        self.folder = folder
        self.ending = ending
        self.watch: int | None = None
        self.pidfd: int | None = None
        self.is_exit_told = False


class Watcher:
    """Reports `(run_id, what)` from its own thread; earlier output, refusals and exits too."""

    def __init__(self, folder_of: Callable[[str], Path]) -> None:
        self._folder_of = folder_of
        self._listener: Listener | None = None
        self._orders: deque[Callable[[], None]] = deque()
        self._closing = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        # below: used only by the thread once it runs
        self._watched: dict[str, Watched] = {}
        self._run_of_watch: dict[int, str] = {}

    def listen(self, listener: Listener) -> None:
        """Set the callback, which is called in the watcher's thread."""
        self._listener = listener

    def watch(
        self, run_id: str, open_supervisor: Callable[[], int | None], ending: str = ""
    ) -> None:
        """Start reporting on a run, in the step whose records have this ending.

        `open_supervisor` returns a pidfd of its supervisor, or None if that is gone.
        """
        self._ask(partial(self._arm, run_id, open_supervisor, ending))

    def unwatch(self, run_id: str) -> None:
        """Stop reporting on a run."""
        if self._thread is not None:
            self._ask(partial(self._disarm, run_id))

    def close(self) -> None:
        """Stop the thread and wait for its end."""
        with self._starting:
            self._closing.set()
            thread, self._thread = self._thread, None
            if thread is not None:
                os.eventfd_write(self._wake, 1)
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _ask(self, order: Callable[[], None]) -> None:
        with self._starting:
            if self._closing.is_set():
                return
            self._orders.append(order)
            if self._thread is None:
                self._start()
            os.eventfd_write(self._wake, 1)

    def _start(self) -> None:
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake, selectors.EVENT_READ, self._obey)
        self._inotify = _open_inotify()
        if self._inotify is not None:
            self._selector.register(
                self._inotify.fd, selectors.EVENT_READ, partial(self._on_folders, self._inotify)
            )
        self._thread = threading.Thread(target=self._work, name="run-watcher", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._closing.is_set():
            for key, _ in self._selector.select():
                key.data()
        for run_id in list(self._watched):
            self._disarm(run_id)
        self._selector.close()
        if self._inotify is not None:
            self._inotify.close()
        with self._starting:  # `close` writes to this descriptor under the lock
            os.close(self._wake)

    def _obey(self) -> None:
        os.eventfd_read(self._wake)
        while self._orders and not self._closing.is_set():
            order = self._orders.popleft()
            try:
                order()
            except Exception:
                # a run that cannot be watched must not stop the watching of others
                log.exception("run_watching_failed")

    def _arm(self, run_id: str, open_supervisor: Callable[[], int | None], ending: str) -> None:
        self._disarm(run_id)
        watched = self._watched[run_id] = Watched(self._folder_of(run_id), ending)
        if self._inotify is not None:
            try:
                watched.watch = self._inotify.add(watched.folder)
                self._run_of_watch[watched.watch] = run_id
            except OSError as problem:
                log.warning("run_folder_not_watched", run_id=run_id, because=problem)
        watched.pidfd = open_supervisor()
        self._notify_existing(run_id, watched)
        if watched.pidfd is None:
            self._on_end(run_id)
        else:
            end = partial(self._on_end, run_id)
            self._selector.register(watched.pidfd, selectors.EVENT_READ, end)

    def _disarm(self, run_id: str) -> None:
        watched = self._watched.pop(run_id, None)
        if watched is None:
            return
        if watched.watch is not None and self._inotify is not None:
            self._run_of_watch.pop(watched.watch, None)
            self._inotify.remove(watched.watch)
        if watched.pidfd is not None:
            self._selector.unregister(watched.pidfd)
            os.close(watched.pidfd)

    def _notify_existing(self, run_id: str, watched: Watched) -> None:
        if RunLog(watched.folder).size:
            self._notify(run_id, "log")
        if os.path.lexists(watched.folder / REFUSED):
            self._notify(run_id, REFUSED)
        if _has_exit(watched):
            watched.is_exit_told = True
            self._notify(run_id, "exit")

    def _on_folders(self, inotify: Inotify) -> None:
        told: set[tuple[str, str]] = set()
        for watch, mask, name in inotify.read():
            if mask & OVERFLOWN:
                for run_id, watched in list(self._watched.items()):
                    self._notify_existing(run_id, watched)
            run_id = self._run_of_watch.get(watch)
            ending = self._watched[run_id].ending if run_id is not None else ""
            what = _meaning(mask, name, ending)
            if run_id is not None and what is not None:
                told.add((run_id, what))
        for run_id, what in sorted(told, reverse=True):
            self._on_change(run_id, what)
        if told and all(what == "log" for _, what in told):
            self._closing.wait(_LOG_PAUSE)

    def _on_change(self, run_id: str, what: str) -> None:
        watched = self._watched.get(run_id)
        if watched is None:
            return
        if what == "exit":
            if not _has_exit(watched):
                return
            watched.is_exit_told = True
        self._notify(run_id, what)

    def _on_end(self, run_id: str) -> None:
        """Report what the supervisor left behind, then that it is gone."""
        watched = self._watched.get(run_id)
        if watched is None:
            return
        if not watched.is_exit_told:
            self._notify_existing(run_id, watched)
        else:
            self._notify(run_id, "log")
        self._disarm(run_id)
        self._notify(run_id, "gone")

    def _notify(self, run_id: str, what: str) -> None:
        if self._listener is None:
            return
        try:
            self._listener(run_id, what)
        except Exception:
            log.exception("run_listener_failed", what=what, run_id=run_id)


def _has_exit(watched: Watched) -> bool:
    try:
        return read_exit(watched.folder, ending=watched.ending) is not None
    except RecordUnreadable:
        return False


def _meaning(mask: int, name: str, ending: str) -> str | None:
    record = name.removesuffix(ending)
    if record in (EXIT, STARTED) and name == record + ending:
        return None if mask & MODIFIED else record
    if name == REFUSED:
        return name
    return "log" if name == HEAD or name.startswith(TAIL_PREFIX) else None


def _open_inotify() -> Inotify | None:
    try:
        return Inotify()
    except OSError as problem:
        log.warning("folders_not_watched", because=problem)
        return None
