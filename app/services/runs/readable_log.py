"""Parts of a run's log as readable entries, with bounded memory for logs of any length.

Offsets are those of the log. A part begins with the first line that starts in it; its last line is
read to its end, even beyond the part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from app.domain.agents.reports import MAX_TEXT_CHARS, Entry, EntryKind, PlacedEntry
from app.services.ports import LogView

ParseLine = Callable[[bytes], list[Entry]]
CHUNK_BYTES = 256 * 1024
# longer lines hold a tool's whole output; also how far past a part its last line may extend
MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_PART_BYTES = 1024 * 1024
# most lines of plain text in one entry
TEXT_LINES = 100


@dataclass(frozen=True)
class LogPart:
    """Entries of all lines that begin between `begin` and `next_offset`, in order.

    Text that is still being written comes after `next_offset`.
    """

    entries: tuple[PlacedEntry, ...]
    begin: int
    next_offset: int


def read_entries(
    view: LogView, parse: ParseLine, offset: int, limit: int, *, is_over: bool
) -> LogPart:
    """Return the entries of all lines that begin in the `limit` bytes from `offset`.

    A negative offset counts from the end. With `is_over`, a last line without a newline is
    complete.
    """
    size = view.size
    start = max(0, size + offset) if offset < 0 else min(offset, size)
    stop = start + min(limit, MAX_PART_BYTES)
    lines = _Lines(start, stop, parse, is_inside=start > 0 and not _ends_line(view, start))
    for at, content, is_mark in pieces(view, start, stop + MAX_LINE_BYTES):
        if is_mark:
            lines.skip_to(at, content)
        else:
            lines.take(at, content)
        if lines.is_done:
            break
    is_at_end = not lines.is_done
    if is_at_end and is_over:
        lines.end()
    next_offset = lines.next_offset
    if is_at_end and not is_over and lines.blocks.is_message_open:
        # more of the message may follow: return it once it is complete
        next_offset = lines.blocks.drop_open()
    return LogPart(lines.blocks.end(), start, next_offset)


def without_folder(part: LogPart, folder: str) -> LogPart:
    """Return the part with tool calls naming files relative to a folder."""
    return replace(part, entries=tuple(_relative(one, f"{folder}/") for one in part.entries))


def with_times(part: LogPart, view: LogView) -> LogPart:
    """Return the part with the time of each entry; when dropped bytes arrived is not known."""
    times = view.times([one.at for one in part.entries])
    pairs = zip(part.entries, times, strict=True)
    return replace(
        part,
        entries=tuple(
            one if one.entry.kind is EntryKind.CUT else replace(one, time=time)
            for one, time in pairs
        ),
    )


def _relative(placed: PlacedEntry, folder: str) -> PlacedEntry:
    entry = placed.entry
    if entry.kind is not EntryKind.TOOL or folder not in entry.text:
        return placed
    return replace(placed, entry=replace(entry, text=entry.text.replace(folder, "")))


class _Blocks:
    """Joins the pieces of a message, and consecutive lines of plain text, into entries."""

    def __init__(self) -> None:
        self._made: list[PlacedEntry] = []
        self._at = self._size = 0
        self._begun: Entry | None = None
        self._texts: list[str] = []

    @property
    def is_message_open(self) -> bool:
        """True if more pieces of a message may follow."""
        return self._begun is not None and self._begun.is_piece and self._size < MAX_TEXT_CHARS

    def add(self, at: int, entry: Entry) -> None:
        """Add an entry, joining it to the open one if they belong together."""
        if self._begun is None or not self._continues(self._begun, entry):
            self.end()
            self._at, self._begun = at, entry
        self._texts.append(entry.text)
        self._size += len(entry.text)

    def drop_open(self) -> int:
        """Drop the open entry and return its offset."""
        self._begun = None
        self._texts.clear()
        return self._at

    def end(self) -> tuple[PlacedEntry, ...]:
        """Close the open entry and return all entries so far."""
        begun = self._begun
        if begun is not None:
            text = "".join(self._texts).strip() if begun.is_piece else "\n".join(self._texts)
            self._made.append(PlacedEntry(self._at, replace(begun, text=text, is_piece=False)))
        self._begun, self._texts, self._size = None, [], 0
        return tuple(self._made)

    def _continues(self, begun: Entry, entry: Entry) -> bool:
        if begun.kind is not entry.kind or begun.is_piece != entry.is_piece:
            return False
        if entry.is_piece:
            return self._size < MAX_TEXT_CHARS
        return entry.kind is EntryKind.TEXT and len(self._texts) < TEXT_LINES


class _Lines:
    """Splits what is read into lines and turns each into entries."""

    def __init__(self, start: int, stop: int, parse: ParseLine, *, is_inside: bool) -> None:
        self.blocks = _Blocks()
        self.is_done = False
        self._stop, self._parse = stop, parse
        self._line_at = self._position = start
        # skip the rest of a line whose beginning was not read
        self._is_inside = is_inside
        self._held = bytearray()

    @property
    def next_offset(self) -> int:
        """The offset to continue from: an unfinished line is read again."""
        return self._position if self._is_inside else self._line_at

    def take(self, at: int, content: bytes) -> None:
        """Process the next bytes."""
        begin = 0
        while not self.is_done and (end := content.find(b"\n", begin)) >= 0:
            self._hold(content[begin:end])
            begin = end + 1
            self._position = at + begin
            self.end()
            self.is_done = self._line_at >= self._stop
        if not self.is_done:
            self._hold(content[begin:])
            self._position = at + len(content)

    def skip_to(self, at: int, mark: bytes) -> None:
        """Note dropped bytes: the open line lost its end, and what follows lost its beginning."""
        self._add(at, Entry(EntryKind.CUT, mark.decode("utf-8", "replace").strip()))
        self._held.clear()
        self._is_inside = True

    def end(self) -> None:
        """End the open line, if any, at the current position."""
        if not self._is_inside and self._line_at < self._position:
            self._add(self._line_at, *self._parse(bytes(self._held)))
        self._held.clear()
        self._is_inside, self._line_at = False, self._position

    def _hold(self, part: bytes) -> None:
        if self._is_inside:
            return
        self._held += part
        if len(self._held) > MAX_LINE_BYTES:
            words = f"a line of more than {MAX_LINE_BYTES >> 20} MB: see the download"
            self._add(self._line_at, Entry(EntryKind.NOTE, words))
            self._held.clear()
            self._is_inside = True

    def _add(self, at: int, *entries: Entry) -> None:
        for entry in entries:
            self.blocks.add(at, entry)


def _ends_line(view: LogView, position: int) -> bool:
    before = view.read(position - 1, 1)
    return before.next_offset == position and before.content == b"\n"


def pieces(view: LogView, position: int, stop: int) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (offset, bytes, is_marker) of a log; a marker stands for bytes that were dropped."""
    while position < stop:
        piece = view.read(position, min(CHUNK_BYTES, stop - position))
        if not piece.content:
            return
        if piece.next_offset - position == len(piece.content):
            yield position, piece.content, False
            position = piece.next_offset
            continue
        kept = _kept_before_gap(view, position, min(CHUNK_BYTES, stop - position))
        yield position, piece.content[:kept], False
        gap = view.read(position + kept, 1)
        yield position + kept, gap.content[:-1], True
        position = max(gap.next_offset - 1, position + kept)


def _kept_before_gap(view: LogView, position: int, limit: int) -> int:
    """Return how many bytes from `position` on precede the dropped ones."""
    kept, too_many = 0, limit
    while too_many - kept > 1:
        tried = (kept + too_many) // 2
        piece = view.read(position, tried)
        if len(piece.content) == piece.next_offset - position == tried:
            kept = tried
        else:
            too_many = tried
    return kept
