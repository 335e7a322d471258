"""Many changes at once become few: the newest of each thing, in the order they came."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import count
from typing import Any

# each of these says something of its own, so none replaces an earlier one
NEVER_MERGED = frozenset({"run.event"})


class Burst:
    """What has been heard and not yet been shown."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, tuple[str, Any]] = {}
        self._numbers = count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, kind: str, data: Any) -> None:
        """Take in a change; it replaces what was waiting about the same thing."""
        key = self._key(kind, data)
        self._waiting.pop(key, None)
        self._waiting[key] = (kind, data)

    def take(self) -> list[tuple[str, Any]]:
        """Everything that waits, oldest first; nothing waits afterwards."""
        taken = list(self._waiting.values())
        self._waiting.clear()
        return taken

    def _key(self, kind: str, data: Any) -> Hashable:
        if kind in NEVER_MERGED:
            return kind, next(self._numbers)
        if isinstance(data, dict):
            return kind, data.get("id") or data.get("run_id")
        return kind, getattr(data, "id", None)
