"""Entries that show a line of an agent's output to a person, by the format of its events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from app.adapters.agents.readable.claude import tell_claude
from app.adapters.agents.readable.codex import tell_codex
from app.adapters.agents.readable.gemini import tell_gemini
from app.adapters.agents.readable.opencode import tell_opencode
from app.adapters.agents.readable.words import unknown
from app.adapters.agents.streams.fields import read_object
from app.domain.agents.reports import MAX_LINE_CHARS, Entry, EntryKind

TellEvent = Callable[[dict[str, Any]], Iterable[Entry] | None]
# each returns None for an event that it does not know
TELLERS: dict[str, TellEvent] = {
    "claude": tell_claude,
    "codex": tell_codex,
    "gemini": tell_gemini,
    "opencode": tell_opencode,
}


def tell_line(tell_event: TellEvent, line: bytes) -> list[Entry]:
    """Return the entries of one line; a line that is no event becomes text. Never raises."""
    may_be_event = line.lstrip().startswith(b"{")
    event = read_object(line.decode("utf-8", "replace").strip()) if may_be_event else None
    if event is None or not isinstance(event.get("type"), str):
        return [_text(line)]
    told = tell_event(event)
    return list(unknown(event) if told is None else told)


def _text(line: bytes) -> Entry:
    # a character takes up to four bytes; each invalid byte counts as one character
    units = line[: MAX_LINE_CHARS * 4].decode("utf-8", "surrogateescape")[:MAX_LINE_CHARS]
    kept = units.encode("utf-8", "surrogateescape")
    hidden = len(line) - len(kept)
    more = f" … {hidden:,} more bytes: see the download" if hidden else ""
    return Entry(EntryKind.TEXT, kept.decode("utf-8", "replace") + more)
