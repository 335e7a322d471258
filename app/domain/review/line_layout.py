"""How the lines of a file's diff are laid out: in chunks and pairs, with changed words marked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from app.domain.review.diffs import DiffLine
from app.domain.words import Side

# a chunk ends after the next unchanged line once it has this many, and at twice as many anyhow
CHUNK_LINES = 100
# longer lines and blocks are compared as wholes: comparing words takes quadratic time
MOST_CHARS, MOST_WORDS, MOST_PAIRS = 400, 120, 200
# lines that have less in common were replaced rather than edited
LEAST_COMMON = 0.5
_WORD = re.compile(r"\w+|\s+|[^\w\s]")

Span = tuple[int, int]


@dataclass(frozen=True)
class Place:
    """A line of a file, by its number on one side of the diff."""

    side: Side
    line: int


def place_of(line: DiffLine) -> Place | None:
    """Return the place where a comment on this line stands: on the old side if it was deleted."""
    if line.after is not None:
        return Place(Side.NEW, line.after)
    return None if line.before is None else Place(Side.OLD, line.before)


def find_place(lines: Sequence[DiffLine], place: Place) -> int | None:
    """Return the index of the line at a place, None if the diff does not show it."""
    for index, one in enumerate(lines):
        if place.line == (one.before if place.side is Side.OLD else one.after):
            return index
    return None


def find_again(before: Sequence[DiffLine], after: Sequence[DiffLine], place: Place) -> Place | None:
    """Return where a line of one diff is in a later diff of the same file, by its words.

    Of several such lines the nearest counts. None if it is gone.
    """
    index = find_place(before, place)
    if index is None:
        return place if find_place(after, place) is not None else None
    words = before[index].words
    numbers = [
        number
        for one in after
        if (number := one.before if place.side is Side.OLD else one.after) is not None
        and one.words == words
    ]
    if not numbers:
        return None
    return Place(place.side, min(numbers, key=lambda number: abs(number - place.line)))


def chunks(lines: Sequence[DiffLine]) -> list[range]:
    """Return the parts that are drawn one by one; none ends between lines that are a pair."""
    found: list[range] = []
    start = 0
    for index, line in enumerate(lines):
        size = index - start
        is_between = line.kind in ("same", "hunk") or size >= 2 * CHUNK_LINES
        if size >= CHUNK_LINES and is_between:
            found.append(range(start, index))
            start = index
    if start < len(lines):
        found.append(range(start, len(lines)))
    return found


def pairs(lines: Sequence[DiffLine]) -> Iterator[tuple[int | None, int | None]]:
    """Yield the rows of a split view as indexes: a line twice, or a deleted and an added one."""
    index = 0
    while index < len(lines):
        removed = _while_kind(lines, index, "del")
        added = _while_kind(lines, removed.stop, "add")
        if not removed and not added:
            yield index, index
            index += 1
            continue
        for row in range(max(len(removed), len(added))):
            yield (
                removed[row] if row < len(removed) else None,
                added[row] if row < len(added) else None,
            )
        index = added.stop


def marked_words(lines: Sequence[DiffLine]) -> dict[int, list[Span]]:
    """Return, by the line's index, the parts of edited lines that differ from the other side."""
    marks: dict[int, list[Span]] = {}
    count = 0
    for old, new in pairs(lines):
        if old is None or new is None or old == new:
            continue
        count += 1
        if count > MOST_PAIRS:
            break
        marks[old], marks[new] = changed_spans(lines[old].words, lines[new].words)
    return marks


def changed_spans(old: str, new: str) -> tuple[list[Span], list[Span]]:
    """Return the parts of two lines that differ; none if they have too little in common."""
    if max(len(old), len(new)) > MOST_CHARS:
        return [], []
    before, after = _WORD.findall(old), _WORD.findall(new)
    if max(len(before), len(after)) > MOST_WORDS:
        return [], []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if _common(matcher, before, after) < LEAST_COMMON:
        return [], []
    removed: list[Span] = []
    added: list[Span] = []
    for what, first, last, start, end in matcher.get_opcodes():
        if what != "equal":
            _extend(removed, before, first, last)
            _extend(added, after, start, end)
    return removed, added


def _common(matcher: SequenceMatcher[str], before: Sequence[str], after: Sequence[str]) -> float:
    """Return the share of words that both lines have; spaces do not count."""
    same = [
        word
        for block in matcher.get_matching_blocks()
        for word in before[block.a : block.a + block.size]
    ]
    count = sum(not one.isspace() for one in (*before, *after))
    return 2 * sum(not one.isspace() for one in same) / count if count else 1.0


def _extend(spans: list[Span], words: Sequence[str], first: int, last: int) -> None:
    if first == last:
        return
    start = sum(map(len, words[:first]))
    spans.append((start, start + sum(map(len, words[first:last]))))


def _while_kind(lines: Sequence[DiffLine], start: int, kind: str) -> range:
    end = start
    while end < len(lines) and lines[end].kind == kind:
        end += 1
    return range(start, end)
