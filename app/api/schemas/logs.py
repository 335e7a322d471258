"""A log's entries over the wire."""

from __future__ import annotations

from app.api.schemas.parts import Answer
from app.domain.entries import EntryKind


class LogEntry(Answer):
    """One thing that an agent wrote, and the position where its line begins; `name` is a tool's."""

    at: int
    kind: EntryKind
    name: str = ""
    text: str


class LogHitOut(Answer):
    """A line of a log that holds the words: where they begin, its number, what it says.

    In the readable form `offset` is where the entry begins that holds them.
    """

    offset: int
    line: int
    text: str


class LogHitsOut(Answer):
    """Hits in their order; `total` is how many the whole log has.

    In the readable form it is null where there are more than one look has read.
    """

    total: int | None
    items: list[LogHitOut]
    next_cursor: str | None = None
