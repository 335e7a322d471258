"""A bounded window on a run's log as a person reads it: entries become lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from app.api.client.runs import EntriesPiece
from app.domain.agents.reports import EntryKind, split_lines
from app.state.runs.run_log import EARLIER_LINES, FLOOD_BYTES, MAX_LINES

# little of what an agent writes is told, so much of it is read for a screenful
READ_BYTES = 512 * 1024
FIRST_LINES = 100
MAX_READS = 8
MAX_ENTRY_LINES = 200

Read = Callable[[int, int], Awaitable[EntriesPiece]]


@dataclass(frozen=True)
class EntryLine:
    """A line of an entry, which begins in the log at `at`; `name` stands on its first line."""

    text: str
    at: int
    kind: EntryKind
    name: str = ""


@dataclass(frozen=True)
class EntryBurst:
    """What a look brought; with `is_fresh` everything shown before is void."""

    lines: tuple[EntryLine, ...] = ()
    is_fresh: bool = False


class EntryLog:
    """The last lines of a log's entries, about `MAX_LINES` of them; an entry comes and goes whole.

    `read(offset, limit)` answers the entries that begin there; a negative offset counts from the
    log's end. All lines that begin from `first_offset` to `next_offset` are shown.
    """

    open_line = None  # an entry is told when it is whole

    def __init__(self, read: Read) -> None:
        self._read = read
        self.lines: deque[EntryLine] = deque()
        self.first_offset = self.next_offset = self.size = 0
        self.written_at: datetime | None = None
        self.is_detached = self.is_left_behind = False

    @property
    def has_earlier(self) -> bool:
        """True where entries before the first one can be had; what was dropped cannot."""
        is_at_gap = bool(self.lines) and self.lines[0].kind is EntryKind.CUT
        return self.first_offset > 0 and not is_at_gap

    async def look_at_end(self) -> EntryBurst:
        """Begin anew with the log's last entries."""
        return await self._look_at_end(READ_BYTES, FIRST_LINES)

    async def _look_at_end(self, at_most: int, wanted: int) -> EntryBurst:
        piece = await self._read(-at_most, at_most)
        self.lines.clear()
        self.is_detached = self.is_left_behind = False
        self.first_offset = piece.begin
        self._take(piece)
        for _ in range(MAX_READS):
            if len(self.lines) >= wanted or not self.has_earlier:
                break
            self._put_in_front(await self._read_before())
        return EntryBurst(tuple(self.lines), is_fresh=True)

    async def catch_up(self, *, is_flooded: bool = False, is_held: bool = False) -> EntryBurst:
        """Read what was written since; far behind, and sooner in a flood, jump to the end.

        With `is_held` stay, detached, with the lines that somebody reads.
        """
        if self.is_detached:
            return EntryBurst()
        at_most = FLOOD_BYTES if is_flooded else READ_BYTES
        piece = await self._read(self.next_offset, at_most)
        has_moved = piece.next_offset > self.next_offset
        is_behind = has_moved and piece.size - piece.next_offset > at_most
        if is_behind and is_held:
            self.is_detached = self.is_left_behind = True
            return EntryBurst()
        if is_behind or piece.size < self.next_offset:
            # nobody reads a screenful of a flood: what is there of its end will do
            return await self._look_at_end(at_most, 1 if is_flooded else FIRST_LINES)
        added = self._take(piece)
        if has_moved and piece.next_offset < piece.size:
            more = await self._read(self.next_offset, at_most)
            added = (*added, *self._take(more))
        return EntryBurst(added)

    async def look_at(self, offset: int) -> EntryBurst:
        """Begin anew with the entries around a position; the log is detached from its end."""
        piece = await self._read(max(0, offset - READ_BYTES // 2), READ_BYTES)
        if all(entry.at != offset for entry in piece.entries):
            # its line is longer than what lies before it
            piece = await self._read(offset, READ_BYTES)
        lines = lines_of(piece)
        hit = next((index for index, line in enumerate(lines) if line.at == offset), 0)
        begin, end = _edges_around(lines, hit)
        self.lines = deque(lines[begin:end])
        self.first_offset = lines[begin].at if begin else piece.begin
        self.next_offset = lines[end].at if end < len(lines) else piece.next_offset
        self.size, self.written_at = piece.size, piece.written_at
        self.is_detached, self.is_left_behind = True, False
        return EntryBurst(tuple(self.lines), is_fresh=True)

    def index_of(self, offset: int) -> int | None:
        """The first line of the entry that holds a position; None where none does."""
        if not self.first_offset <= offset < self.next_offset:
            return None
        found = [index for index, line in enumerate(self.lines) if line.at <= offset]
        if not found:
            return None
        at = self.lines[found[-1]].at
        return next(index for index, line in enumerate(self.lines) if line.at == at)

    async def look_earlier(self) -> EntryBurst:
        """Put entries before the first one in front; beyond the bound the last ones go.

        The burst holds the lines in front; the log is detached from its end until it is looked at.
        """
        self.is_detached, self.is_left_behind = True, False
        found: list[EntryLine] = []
        for _ in range(MAX_READS):
            earlier = await self._read_before()
            self._put_in_front(earlier)
            found = [*earlier, *found]
            if found or not self.has_earlier:
                break
        return EntryBurst(tuple(found))

    async def _read_before(self) -> list[EntryLine]:
        """The lines right before the first one, at most `EARLIER_LINES` with their entries."""
        end = self.first_offset
        position = begin = max(0, end - READ_BYTES)
        found: list[EntryLine] = []
        while position < end:
            piece = await self._read(position, end - position)
            found += [line for line in lines_of(piece) if line.at < end]
            if piece.next_offset <= position:
                break
            position = piece.next_offset
        nearest = _whole_entries(found)
        self.first_offset = nearest[0].at if len(nearest) < len(found) else begin
        return nearest

    def _take(self, piece: EntriesPiece) -> tuple[EntryLine, ...]:
        added = lines_of(piece)
        self.lines.extend(added)
        self.next_offset, self.size = piece.next_offset, piece.size
        self.written_at = piece.written_at
        while len(self.lines) > MAX_LINES and self.lines[0].at != self.lines[-1].at:
            gone = self.lines.popleft()
            while self.lines[0].at == gone.at:
                self.lines.popleft()
            self.first_offset = self.lines[0].at
        return tuple(added[-MAX_LINES:])

    def _put_in_front(self, lines: Iterable[EntryLine]) -> None:
        self.lines.extendleft(reversed(list(lines)))
        while len(self.lines) > MAX_LINES and self.lines[0].at != self.lines[-1].at:
            gone = self.lines.pop()
            while self.lines[-1].at == gone.at:
                self.lines.pop()
            self.next_offset = gone.at


def lines_of(piece: EntriesPiece) -> list[EntryLine]:
    """The lines of some entries."""
    return [
        EntryLine(line, entry.at, entry.kind, "" if number else entry.name)
        for entry in piece.entries
        for number, line in enumerate(_bounded(split_lines(entry.text)))
    ]


def _bounded(lines: list[str]) -> list[str]:
    more = len(lines) - MAX_ENTRY_LINES
    return [*lines[:MAX_ENTRY_LINES], f"… {more:,} more lines"] if more > 0 else lines


def _whole_entries(lines: list[EntryLine]) -> list[EntryLine]:
    """The last lines, no entry of them without its beginning."""
    begin = max(0, len(lines) - EARLIER_LINES)
    while 0 < begin < len(lines) and lines[begin].at == lines[begin - 1].at:
        begin += 1
    return lines[begin:] or lines


def _edges_around(lines: list[EntryLine], index: int) -> tuple[int, int]:
    """Which lines to hold around one of them, whole entries of them."""
    begin = max(0, index - EARLIER_LINES)
    while begin > 0 and lines[begin].at == lines[begin - 1].at:
        begin -= 1
    end = min(len(lines), begin + MAX_LINES)
    while begin < end < len(lines) and lines[end].at == lines[end - 1].at:
        end -= 1
    return begin, end
