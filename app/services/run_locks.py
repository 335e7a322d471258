"""One lock per run or project, so that two duties never act on the same one at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class SharedLocks(Protocol):
    """Locks of the same names between servers that share their runs."""

    def holding(self, name: str, *, wait: bool) -> AbstractContextManager[bool]:
        """Hold a lock; without `wait` the answer is False where another server has it."""
        ...


class Locks:
    """Named locks that exist only while somebody holds or awaits them.

    With `shared`, nobody on another server holds the same one meanwhile.
    """

    def __init__(self, shared: SharedLocks | None = None) -> None:
        self._shared = shared
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        self._waiting: dict[str, list[Callable[[], object]]] = {}

    @contextmanager
    def holding(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Hold a lock; without `wait` the answer is False where somebody else has it."""
        lock = self._join(name)
        try:
            held = lock.acquire(blocking=wait)
            try:
                if held and self._shared is not None:
                    with self._shared.holding(name, wait=wait) as is_ours:
                        yield is_ours
                else:
                    yield held
            finally:
                if held:
                    lock.release()
                    self._call_waiting(name)
        finally:
            self._leave(name)

    def when_free(self, name: str, duty: Callable[[], object]) -> bool:
        """Have a duty called once the lock is let go; False where nobody of this server has it.

        It is called by whoever lets go, and must neither raise nor take long.
        """
        with self._guard:
            lock, _ = self._locks.get(name, (None, 0))
            if lock is None or not lock.locked():
                return False
            self._waiting.setdefault(name, []).append(duty)
            return True

    def _call_waiting(self, name: str) -> None:
        with self._guard:
            waiting = self._waiting.pop(name, [])
        for duty in waiting:
            duty()

    def _join(self, name: str) -> threading.Lock:
        with self._guard:
            lock, users = self._locks.get(name, (threading.Lock(), 0))
            self._locks[name] = (lock, users + 1)
            return lock

    def _leave(self, name: str) -> None:
        with self._guard:
            lock, users = self._locks[name]
            if users == 1:
                del self._locks[name]
            else:
                self._locks[name] = (lock, users - 1)
