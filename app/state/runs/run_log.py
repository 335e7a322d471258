"""A bounded window on a run's log, split into lines, however large the log is."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from app.api.client.client import LogPiece

# burst of lines allowed at once (a tool's output), then lines per second
AT_ONCE = 3_000
A_SECOND = 300
# longer lines count as several
LINE_CHARS = 100
# in a flood, read and show only the last lines, and pause between reads
FLOOD_BYTES = 32 * 1024
FLOOD_LINES = A_SECOND
PAUSE_SECONDS = 1.0


MAX_LINES = 5_000
MAX_LINE_CHARS = 4_000
READ_BYTES = 256 * 1024
EARLIER_LINES = MAX_LINES // 2
_KEPT_BYTES = MAX_LINE_CHARS * 4
# the log's mark in place of dropped bytes
_CUT = re.compile("\n\\[… ([0-9,]{1,25}) bytes cut …\\]\n".encode())
_BREAK = re.compile(rb"(\r\n|\n|\r)")
Read = Callable[[int, int], Awaitable[LogPiece]]


class LogPace:
    """Rate meter for the lines of a log that one page draws; `seconds` is a clock.

    `is_flooded` after too many lines, until the budget recovers to half of `AT_ONCE`.
    """

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._room = float(AT_ONCE)
        self._at = seconds()
        self.is_flooded = False

    def draw(self, lines: int, chars: int) -> None:
        """Record that this many lines with this many characters are drawn now."""
        lines = max(lines, chars // LINE_CHARS)
        now = self._seconds()
        room = min(AT_ONCE, self._room + (now - self._at) * A_SECOND)
        # the budget never goes below zero, so an excess does not slow down what follows
        self._room, self._at = max(0.0, room - lines), now
        self.is_flooded = self._room < (AT_ONCE / 2 if self.is_flooded else A_SECOND)


@dataclass(frozen=True)
class LogLine:
    """A line: its text, its size in the log in bytes, and the number of bytes not shown."""

    text: str
    size: int
    hidden: int = 0


@dataclass(frozen=True)
class Burst:
    """The result of a read; with `is_fresh` it replaces everything shown before."""

    lines: tuple[LogLine, ...] = ()
    is_fresh: bool = False


class RunLog:
    """The last lines of a log, at most `MAX_LINES`, with their offsets.

    `read(offset, limit)` returns bytes; a negative offset counts from the log's end.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self.lines: deque[LogLine] = deque()
        self.next_offset = 0
        self.size = 0
        self.written_at: datetime | None = None
        self.is_detached = self.is_left_behind = False
        self._is_at_gap = self._is_behind = False
        self._held = 0
        self._open = bytearray()
        self._open_size = 0
        self._ends_with_cr = False

    @property
    def first_offset(self) -> int:
        """The offset of the first shown line; above 0 there are earlier ones."""
        return self.next_offset - self._held - self._open_size

    @property
    def has_earlier(self) -> bool:
        """True if lines before the first one can be loaded; bytes that the log dropped cannot."""
        return self.first_offset > 0 and not self._is_at_gap

    @property
    def open_line(self) -> LogLine | None:
        """The last line, while it has no line break yet."""
        if not self._open_size:
            return None
        return _line(bytes(self._open), self._open_size, self._open_size, is_whole=False)

    async def load_end(self) -> Burst:
        """Replace the window with the log's last lines."""
        return self._begin_with(await self._read(-READ_BYTES, READ_BYTES))

    async def catch_up(self, *, is_flooded: bool = False, is_held: bool = False) -> Burst:
        """Read new bytes; jump to the end if far behind, in a flood sooner.

        With `is_held`, a window that falls behind is detached instead and keeps its lines.
        """
        if self.is_detached:
            return Burst()
        at_most = FLOOD_BYTES if is_flooded else READ_BYTES
        # once behind, it is most likely behind again: read from the end right away
        is_end = self._is_behind
        piece = await self._read(-at_most if is_end else self.next_offset, at_most)
        if piece.size > piece.next_offset or piece.size < self.next_offset:
            is_end, piece = True, await self._read(-at_most, at_most)
        added = piece.next_offset - self.next_offset
        self._is_behind = not 0 <= added <= len(piece.content)
        # a mark replaces the dropped bytes, so content and offsets no longer match
        is_cut = len(piece.content) != (min(at_most, piece.next_offset) if is_end else added)
        if (self._is_behind or is_cut) and is_held:
            self.is_detached = self.is_left_behind = True
            return Burst()
        if self._is_behind or is_cut:
            return self._begin_with(piece, FLOOD_LINES if is_flooded else MAX_LINES)
        self.size, self.written_at = piece.size, piece.written_at
        return Burst(self.take(piece.content[len(piece.content) - added :], piece.next_offset))

    def _begin_with(self, piece: LogPiece, at_most: int = MAX_LINES) -> Burst:
        self._clear()
        self.take(piece.content, piece.next_offset, at_most)
        if piece.next_offset > len(piece.content):
            self._drop_broken_first()
        self.is_detached = self.is_left_behind = False
        self.size = piece.size
        self.written_at = piece.written_at
        return Burst(tuple(self.lines), is_fresh=True)

    async def load_around(self, offset: int) -> Burst:
        """Replace the window with the lines around an offset, detached from the log's end."""
        begin = max(0, offset - READ_BYTES // 2)
        piece = await self._read(begin, READ_BYTES)
        content, begin = _side_of_cut(piece, begin, offset)
        self._clear()
        self.take(content, begin + len(content), READ_BYTES)
        index = self.index_of(offset) or 0
        if begin > 0 and index:
            self._drop_broken_first()
        self._keep_around(index)
        self.is_detached, self.is_left_behind = True, False
        self.size, self.written_at = piece.size, piece.written_at
        return Burst(tuple(self.lines), is_fresh=True)

    def _keep_around(self, index: int) -> None:
        for _ in range(index - EARLIER_LINES):
            self._held -= self.lines.popleft().size
        if len(self.lines) > MAX_LINES:
            self._open.clear()
            self.next_offset -= self._open_size
            self._open_size = 0
            self._put_in_front(())

    def index_of(self, offset: int) -> int | None:
        """Return the index of the line at an offset, None if it is not shown.

        The open line comes after the last one.
        """
        if not self.first_offset <= offset < self.next_offset:
            return None
        end = self.first_offset
        for index, line in enumerate(self.lines):
            end += line.size
            if offset < end:
                return index
        return len(self.lines)

    async def load_earlier(self) -> Burst:
        """Prepend lines before the first one; beyond the bound, the last ones are dropped.

        The burst holds the prepended lines; the window is detached until it jumps to the end.
        """
        end = self.first_offset
        start = max(0, end - READ_BYTES)
        piece = await self._read(start, end - start)
        # if bytes were dropped in between, those after the gap are already shown
        crosses_gap = piece.next_offset > end
        before = RunLog(self._read)
        before.take(piece.content[: end - piece.next_offset] if crosses_gap else piece.content, end)
        if before._open_size:
            before.lines.append(before._end_line(0))
        if start > 0 and not crosses_gap:
            before._drop_broken_first()
        nearest = list(before.lines)[-EARLIER_LINES:]
        self._is_at_gap = crosses_gap and len(nearest) == len(before.lines)
        self._open.clear()
        self.next_offset -= self._open_size
        self._open_size = 0
        self.is_detached, self.is_left_behind = True, False
        self._put_in_front(nearest)
        return Burst(tuple(nearest))

    def take(
        self, content: bytes, next_offset: int, at_most: int = MAX_LINES
    ) -> tuple[LogLine, ...]:
        """Append bytes that end at `next_offset`; return the new lines.

        Keeps at most `at_most` lines in all.
        """
        added = list(self._split(content))
        self.next_offset = next_offset
        self.lines.extend(added)
        while len(self.lines) > at_most:
            self._held -= self.lines.popleft().size
        return tuple(added[-at_most:])

    def _split(self, content: bytes) -> Iterable[LogLine]:
        if self._ends_with_cr and content.startswith(b"\n"):
            content = content[1:]
            self._ends_with_cr = False
            self._lengthen_last()
        if content:
            self._ends_with_cr = content.endswith(b"\r")
        parts = _BREAK.split(content)
        for text, end in zip(parts[::2], [*parts[1::2], None], strict=True):
            self._grow(text)
            if end is not None:
                yield self._end_line(len(end))

    def _grow(self, text: bytes) -> None:
        self._open_size += len(text)
        self._open += text[: max(0, _KEPT_BYTES - len(self._open))]

    def _end_line(self, end_size: int) -> LogLine:
        size = self._open_size + end_size
        line = _line(bytes(self._open), self._open_size, size, is_whole=True)
        self._open.clear()
        self._open_size = 0
        self._held += size
        return line

    def _drop_broken_first(self) -> None:
        # the read began inside a line; a lone partial line is better than nothing
        if len(self.lines) > 1:
            self._held -= self.lines.popleft().size

    def _lengthen_last(self) -> None:
        if self.lines:
            last = self.lines.pop()
            self.lines.append(LogLine(last.text, last.size + 1, last.hidden))
            self._held += 1

    def _put_in_front(self, lines: Iterable[LogLine]) -> None:
        for line in reversed(list(lines)):
            self.lines.appendleft(line)
            self._held += line.size
        while len(self.lines) > MAX_LINES:
            last = self.lines.pop()
            self._held -= last.size
            self.next_offset -= last.size

    def _clear(self) -> None:
        self.lines.clear()
        self._open.clear()
        self._open_size = self._held = 0
        self._ends_with_cr = self._is_at_gap = False


def _side_of_cut(piece: LogPiece, begin: int, offset: int) -> tuple[bytes, int]:
    """Return the bytes and start offset on the side of a cut mark where `offset` lies."""
    for mark in _CUT.finditer(piece.content):
        dropped = int(mark[1].replace(b",", b""))
        # an agent can fake a mark, but only the real one makes the sizes add up
        if piece.next_offset - begin == len(piece.content) - len(mark[0]) + dropped:
            edge = begin + mark.start()
            if offset < edge:
                return piece.content[: mark.start()], begin
            return piece.content[mark.end() :], edge + dropped
    return piece.content, begin


def _line(kept: bytes, length: int, size: int, *, is_whole: bool) -> LogLine:
    is_complete = is_whole and len(kept) == length
    # an unfinished line may end inside a character, whose remaining bytes follow
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(kept, final=is_complete)
    shown = text[:MAX_LINE_CHARS]
    is_cut = len(shown) < len(text) or len(kept) < length
    return LogLine(shown, size, max(1, length - len(shown.encode())) if is_cut else 0)
