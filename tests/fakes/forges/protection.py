"""The rules of a repository's bases, and the merges that a forge makes by itself under them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LaterMerge:
    """A merge that is to be made later: its first line, who wanted it, and its style."""

    words: str
    by: str
    style: str


@dataclass
class Protection:
    """The checks that every base demands, and what waits for them."""

    required: tuple[str, ...] = ()
    # by number of the pull request
    later: dict[int, LaterMerge] = field(default_factory=dict)
    # only GitHub has queues, and lets its repositories refuse merges by themselves
    has_queue: bool = False
    allows_later: bool = True
    queue: dict[int, LaterMerge] = field(default_factory=dict)
    # why the last one of a pull request was dropped
    dropped: dict[int, str] = field(default_factory=dict)

    def states(self, reports: list[dict[str, Any]]) -> dict[str, str]:
        """Return the newest state of each demanded check, pending if nothing was reported."""
        newest = {one["context"]: one["status"] for one in reports}
        return {one: newest.get(one, "pending") for one in self.required}

    def lacking(self, reports: list[dict[str, Any]]) -> list[str]:
        """Return the demanded checks that have not succeeded."""
        return [one for one, state in self.states(reports).items() if state != "success"]
