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
