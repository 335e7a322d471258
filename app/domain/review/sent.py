"""Review comments as a run holds them, from its acceptance on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.domain.agents.prompt_parts import AROUND, MAX_LINE, ReviewComment, as_text
from app.domain.words import Side

# of all comments of one request, with the lines around them
MAX_REVIEW_BYTES = 256 * 1024


@dataclass(frozen=True)
class SentComment:
    """A comment for a run's agent; without an `id`, the words of the request itself."""

    words: ReviewComment
    id: int | None = None


def as_rows(comments: Iterable[SentComment]) -> list[dict[str, Any]]:
    """Return comments as a run's row holds them."""
    return [{"id": one.id, **asdict(one.words)} for one in comments]


def read_rows(rows: Sequence[Mapping[str, Any]] | None) -> tuple[SentComment, ...]:
    """Return the comments that a run's row holds."""
    return tuple(map(_read, rows or ()))


def _read(row: Mapping[str, Any]) -> SentComment:
    given = {name: value for name, value in row.items() if name != "id"}
    given |= {"side": Side(row["side"]), "lines": tuple(row["lines"])}
    return SentComment(ReviewComment(**given), row["id"])


def ids_in(rows: Sequence[Mapping[str, Any]] | None) -> set[int]:
    """Return the ids of the comments that a run's row holds."""
    return {one.id for one in read_rows(rows) if one.id is not None}


def lines_around(text: str, line: int) -> tuple[int, tuple[str, ...]]:
    """Return the lines of a file that a comment on one of them quotes, after the first's number.

    Empty if the file is shorter.
    """
    lines = text.removesuffix("\n").split("\n") if text else []
    first = max(1, line - AROUND)
    if line > len(lines):
        return first, ()
    # one character more than the prompt shows, so that it still says that a line was cut
    found = lines[first - 1 : line + AROUND]
    return first, tuple(as_text(one)[: MAX_LINE + 1] for one in found)
