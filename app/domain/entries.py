"""What an agent's output says to a person: entries of its log, made of its events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MAX_TEXT_CHARS = 8_000
MAX_LINE_CHARS = 4_000

_BREAK = re.compile(r"\r\n|\n|\r")


class EntryKind(StrEnum):
    """What an entry tells of.

    `text` is what was no event, `note` what matters little, `cut` stands where bytes were dropped.
    """

    SAID = "said"
    THOUGHT = "thought"
    TOOL = "tool"
    RESULT = "result"
    FAILED = "failed"
    END = "end"
    NOTE = "note"
    TEXT = "text"
    CUT = "cut"


# what stands before a line of a kind, so that no colour is needed to tell it
SIGNS: dict[str, str] = {EntryKind.TOOL: "▸ ", EntryKind.FAILED: "✗ ", EntryKind.RESULT: "  "}


@dataclass(frozen=True)
class Entry:
    """One thing that was written; `name` is a tool's.

    With `is_piece` the text goes on in the next entry of its kind, without a break.
    """

    kind: EntryKind
    text: str
    name: str = ""
    is_piece: bool = False


@dataclass(frozen=True)
class PlacedEntry:
    """An entry, and where in the log the line begins that it was made of, in bytes."""

    at: int
    entry: Entry


def split_lines(text: str) -> list[str]:
    """An entry's text as lines; a progress bar that overwrites itself becomes lines, too."""
    return _BREAK.split(text)
