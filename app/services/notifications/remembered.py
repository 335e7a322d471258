"""Rows of a table that are read once and remembered until one of them changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from app.records.feed import Feed, FeedBroke, Numbered
from app.records.people.reach import within

Row = TypeVar("Row")


class RememberedRows(Generic[Row]):
    """All rows that `read` returns, for everybody; a change of the kind `changed` forgets them.

    Without `is_kept` they are read each time: other servers must tell of their changes.
    """

    def __init__(
        self, read: Callable[[], Sequence[Row]], feed: Feed, changed: type, *, is_kept: bool
    ) -> None:
        self._read = read
        self._is_kept = is_kept
        self._lock = threading.Lock()
        self._rows: Sequence[Row] | None = None
        # counts the changes, so that a read that one of them overtook is not kept
        self._changes = 0
        feed.subscribe(self._forget, (changed, FeedBroke))

    def all(self) -> Sequence[Row]:
        """Return the rows. Raises DatabaseSilent."""
        with self._lock:
            rows, changes = self._rows, self._changes
        if rows is None:
            with within(None):  # everybody uses what is read here
                rows = self._read()
            with self._lock:
                if self._is_kept and self._changes == changes:
                    self._rows = rows
        return rows

    def _forget(self, _: Numbered) -> None:
        with self._lock:
            self._rows = None
            self._changes += 1
