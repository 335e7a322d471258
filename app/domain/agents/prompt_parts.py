"""The parts of a prompt that come from people: comments, reviews, closed changes, instructions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.domain.safe_text import blank

INSTRUCTIONS_FILE = "RUNYARD.md"
MAX_INSTRUCTIONS_BYTES = 32 * 1024
# of all comments together; the newest are kept
MAX_COMMENTS_BYTES = 256 * 1024
AROUND = 3
_LINES = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Comment:
    """A comment on an issue; `is_new` if it came after the last run of the issue."""

    author: str
    at: datetime
    body: str
    is_new: bool = False


@dataclass(frozen=True)
class ClosedChange:
    """A change for the issue that was closed without a merge, and the reason for that."""

    number: int
    at: datetime
    because: str


@dataclass(frozen=True)
class ReviewComment:
    """A comment on line `line` of a file of which `lines` is the whole text; 0: on all of it."""

    path: str
    line: int
    body: str
    lines: tuple[str, ...] = ()


def as_text(words: str) -> str:
    """Return words as a file, an argument and a database can hold them: without NUL, in UTF-8."""
    return words.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def comments_text(comments: Sequence[Comment]) -> str:
    """Return an issue's comments, oldest first, each quoted below a line that names its author.

    Of more than `MAX_COMMENTS_BYTES` the newest are kept, and a line says how many are left out.
    """
    kept: list[str] = []
    size = 0
    for one in reversed(comments):
        text = _comment_text(one)
        size += len(text.encode(errors="replace"))
        if size > MAX_COMMENTS_BYTES:
            break
        kept.append(text)
    left_out = len(comments) - len(kept)
    if left_out:
        noun = "comment is" if left_out == 1 else "comments are"
        kept.append(f"({left_out} older {noun} left out: together they are too long.)")
    return "\n\n".join(reversed(kept))


def _comment_text(one: Comment) -> str:
    new = " (new)" if one.is_new else ""
    return f"Comment by {_one_line(one.author)}, {_when(one.at)}{new}\n{_quoted(one.body)}"


def closed_text(changes: Sequence[ClosedChange]) -> str:
    """Return the reasons of closed changes, in their order."""
    return "\n\n".join(
        f"Change #{one.number} was closed without a merge, {_when(one.at)}:\n{_quoted(one.because)}"
        for one in changes
    )


def review_text(comments: Sequence[ReviewComment]) -> str:
    """Return review comments: `path:line`, the lines around it quoted, and the words."""
    return "\n\n".join(map(_review_text, comments))


def _review_text(one: ReviewComment) -> str:
    place = f"{_one_line(one.path)}:{one.line}" if one.line else _one_line(one.path)
    around = one.lines[max(0, one.line - 1 - AROUND) : one.line + AROUND] if one.line else ()
    quoted = [f"> {_one_line(line)}" if line.strip() else ">" for line in around]
    return "\n".join((place, *quoted, one.body.strip()))


def instructions_text(from_repository: str, from_settings: str) -> str:
    """Return the project's instructions: its file's before those of its settings."""
    parts = (from_repository.strip(), from_settings.strip())
    return "\n\n".join(part for part in parts if part)


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _one_line(words: str) -> str:
    # a name must not look like the head line of another comment
    return blank(words).rstrip()


def _quoted(words: str) -> str:
    # so that no line of a comment looks like the head line of another one
    lines = _LINES.split(words.strip())
    return "\n".join(f"> {line}".rstrip() for line in lines)
