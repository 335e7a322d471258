"""A bounded window on a run's log in readable form, with entries split into lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from app.api.client.client import EntriesPiece
from app.domain.agents.reports import EntryKind, split_lines
from app.state.runs.run_log import EARLIER_LINES, FLOOD_BYTES, MAX_LINES

# entries are a small part of the raw log, so a screenful needs many bytes
READ_BYTES = 512 * 1024
FIRST_LINES = 100
MAX_READS = 8
MAX_ENTRY_LINES = 200

Read = Callable[[int, int], Awaitable[EntriesPiece]]


@dataclass(frozen=True)
class EntryLine:
    """A line of an entry that begins at log offset `at`; `name` is set on its first line only.

    `time` is when the entry arrived (UTC), if known.
    """

    text: str
    at: int
    kind: EntryKind
    name: str = ""
    time: datetime | None = None
    is_first: bool = True


@dataclass(frozen=True)
class EntryBurst:
    """The result of a read; with `is_fresh` it replaces everything shown before."""

    lines: tuple[EntryLine, ...] = ()
    is_fresh: bool = False


class EntryLog:
    """The last lines of a log's entries, about `MAX_LINES`; entries are added and dropped whole.

    `read(offset, limit)` returns the entries that begin there; a negative offset counts from the
    log's end. Shows all lines that begin between `first_offset` and `next_offset`.
    """

    open_line = None  # entries arrive only when complete

    def __init__(self, read: Read) -> None:
        self._read = read
        self.lines: deque[EntryLine] = deque()
        self.first_offset = self.next_offset = self.size = 0
        self.written_at: datetime | None = None
        self.is_detached = self.is_left_behind = False

    @property
    def has_earlier(self) -> bool:
        """True if entries before the first one can be loaded; dropped bytes cannot."""
        is_at_gap = bool(self.lines) and self.lines[0].kind is EntryKind.CUT
        return self.first_offset > 0 and not is_at_gap

    async def load_end(self) -> EntryBurst:
        """Replace the window with the log's last entries."""
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
        """Read new entries; jump to the end if far behind, in a flood sooner.

        With `is_held`, a window that falls behind is detached instead and keeps its lines.
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
            # nobody reads a screenful of a flood: its last bytes are enough
            return await self._look_at_end(at_most, 1 if is_flooded else FIRST_LINES)
        added = self._take(piece)
        if has_moved and piece.next_offset < piece.size:
            more = await self._read(self.next_offset, at_most)
            added = (*added, *self._take(more))
        return EntryBurst(added)

    async def load_around(self, offset: int) -> EntryBurst:
        """Replace the window with the entries around an offset, detached from the log's end."""
        piece = await self._read(max(0, offset - READ_BYTES // 2), READ_BYTES)
        if all(entry.at != offset for entry in piece.entries):
            # the line is longer than the bytes read before it
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
        """Return the index of the first line of the entry at an offset, None if it is not shown."""
        if not self.first_offset <= offset < self.next_offset:
            return None
        found = [index for index, line in enumerate(self.lines) if line.at <= offset]
        if not found:
            return None
        at = self.lines[found[-1]].at
        return next(index for index, line in enumerate(self.lines) if line.at == at)

    async def load_earlier(self) -> EntryBurst:
        """Prepend entries before the first one; beyond the bound, the last ones are dropped.

        The burst holds the prepended lines; the window is detached until it jumps to the end.
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
        """Return the lines just before the window: whole entries, about `EARLIER_LINES` lines."""
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
    """Split entries into lines."""
    return [
        EntryLine(line, entry.at, entry.kind, "" if number else entry.name, entry.time, number == 0)
        for entry in piece.entries
        for number, line in enumerate(_bounded(split_lines(entry.text)))
    ]


def _bounded(lines: list[str]) -> list[str]:
    more = len(lines) - MAX_ENTRY_LINES
    return [*lines[:MAX_ENTRY_LINES], f"… {more:,} more lines"] if more > 0 else lines


def _whole_entries(lines: list[EntryLine]) -> list[EntryLine]:
    """Return the last lines, without a partial entry at the start."""
    begin = max(0, len(lines) - EARLIER_LINES)
    while 0 < begin < len(lines) and lines[begin].at == lines[begin - 1].at:
        begin += 1
    return lines[begin:] or lines


def _edges_around(lines: list[EntryLine], index: int) -> tuple[int, int]:
    """Return the range of lines to keep around an index, in whole entries."""
    begin = max(0, index - EARLIER_LINES)
    while begin > 0 and lines[begin].at == lines[begin - 1].at:
        begin -= 1
    end = min(len(lines), begin + MAX_LINES)
    while begin < end < len(lines) and lines[end].at == lines[end - 1].at:
        end -= 1
    return begin, end
