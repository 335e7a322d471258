"""Duties that take turns: only so many of them are in the workers' hands at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from app.services.workers import Workers


class Turns:
    """What may take very long (a clone), so that it never takes every worker."""

    def __init__(self, workers: Workers, at_once: int) -> None:
        self._workers = workers
        self._free = at_once
        self._guard = threading.Lock()
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(self, duty: Callable[..., Any], *args: Any) -> None:
        """Do something in its turn, in another thread."""
        with self._guard:
            self._waiting.append((duty, args))
        self._begin_next()

    def _begin_next(self) -> None:
        with self._guard:
            if not self._free or not self._waiting:
                return
            self._free -= 1
            duty, args = self._waiting.popleft()
        self._workers.submit(self._do, duty, *args)

    def _do(self, duty: Callable[..., Any], *args: Any) -> None:
        try:
            duty(*args)
        finally:
            with self._guard:
                self._free += 1
            self._begin_next()
