"""Whether the databases can be written to: looked at again and again, told when it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from app.records.database import DatabaseSilent
from app.records.feed import Change, FeedBroke, StoresChanged
from app.records.migration import stop_where_newer
from app.records.routing import Stores

log = logging.getLogger(__name__)
WATCH_SECONDS = 5.0


class StoreWatch:
    """Tells the feed of each change; once all is well again, everybody looks anew."""

    def __init__(self, stores: Stores, tell: Callable[[list[Change]], None]) -> None:
        self._stores = stores
        self._tell = tell
        self._told = ""
        self._lock = threading.Lock()

    def look_once(self) -> str:
        """The trouble, in a sentence; empty where there is none."""
        with self._lock:
            trouble = self._look()
            if trouble != self._told:
                self._told = trouble
                log.warning("%s", trouble or "The databases can be written to again.")
                self._tell([StoresChanged(trouble), *([] if trouble else [FeedBroke()])])
            return trouble

    def _look(self) -> str:
        if trouble := self._stores.trouble():
            return trouble
        for database in self._stores.all():
            # between two looks it may go away
            with suppress(DatabaseSilent):
                stop_where_newer(database)
        return self._stores.stopped()
