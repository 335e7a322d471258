"""Text search in a log of any length, reading it in chunks and holding one at a time.

A hit is a line that contains the text, ignoring case. Offsets count the bytes the agent wrote;
lines are numbered as in the downloaded log, where a marker stands for dropped bytes.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby, islice

from app.services.ports import LogView
from app.services.runs.readable_log import MAX_PART_BYTES, ParseLine, pieces, read_entries

# bytes of a line shown on each side of the match
AROUND_BYTES = 160
ELLIPSIS = "…"
# an escaped backslash in JSON, and a plain one
_BACKSLASH = [b"\\\\", b"\\"]
# most bytes parsed into entries per search
MAX_READ_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class LogHit:
    """A matching line: offset of the match or of its entry, line number and text."""

    offset: int
    line: int
    text: str


@dataclass(frozen=True)
class LogHits:
    """A page of hits in order, the total in the whole log and where the next page begins.

    `total` is None if counting every hit would take too long, as with entries in a long log.
    """

    total: int | None
    items: list[LogHit]
    next_offset: int | None = None


@dataclass(frozen=True)
class _Found:
    """A match: its offset, its line's offset and the line's number."""

    at: int
    line_at: int
    number: int


class Words:
    """A search text as log bytes; in JSON output one character may have several spellings."""

    def __init__(self, words: str, *, in_json: bool = False) -> None:
        self.text = words.lower()
        ways = [_ways_to_write(character, in_json=in_json) for character in words]
        self.longest = sum(max(map(len, some)) for some in ways)
        self._plain = b"".join(some[0] for some in ways) if all(len(w) == 1 for w in ways) else None
        self._pattern = re.compile(_pattern_of(ways))

    def find(self, content: bytes, begin: int) -> tuple[int, int] | None:
        """Return (start, end) of the first match from `begin` on; `content` is lowercase."""
        if self._plain is not None:
            at = content.find(self._plain, begin)
            return None if at < 0 else (at, at + len(self._plain))
        match = self._pattern.search(content, begin)
        return match.span() if match else None

    def count(self, lines: list[bytes]) -> int:
        """Return how many of these lines match."""
        if self._plain is not None:
            plain = self._plain
            return sum(plain in line for line in lines)
        return sum(self._pattern.search(line) is not None for line in lines)


def _ways_to_write(character: str, *, in_json: bool) -> list[bytes]:
    """Return every byte spelling of a character, in lowercase."""
    if character.isascii():
        plain = character.lower().encode()
        return [b"\\" + plain, plain] if in_json and character in '"\\/' else [plain]
    forms = dict.fromkeys([character, character.lower(), character.upper()])
    ways = [form.encode("utf-8", "replace").lower() for form in forms]
    return [*ways, *map(_escaped, forms)] if in_json else ways


def _pattern_of(ways: list[list[bytes]]) -> bytes:
    """Return the pattern of all spellings, built so that any text matches in only one way.

    Runs of JSON backslashes are counted: trying each as one or as half of a pair would take
    exponential time.
    """
    pattern, least, most = b"", 0, 0
    for some in ways:
        if some == _BACKSLASH:
            least, most = least + 1, most + 2
            continue
        is_marked = len(some) > 1 and some[0][:1] == b"\\"
        pattern += _backslashes(least, most + is_marked, is_first=not pattern)
        pattern += b"(?:%s)" % b"|".join(map(re.escape, some[is_marked:]))
        least = most = 0
    return pattern + _backslashes(least, most, is_first=not pattern)


def _backslashes(least: int, most: int, *, is_first: bool) -> bytes:
    if is_first:
        # more backslashes may precede: match the whole run once, from where it begins
        return rb"(?<!\\)\\{%d,}" % least if least else b""
    return rb"\\{%d,%d}" % (least, most) if most else b""


def _escaped(text: str) -> bytes:
    units = text.encode("utf-16-be", "replace")
    return b"".join(b"\\u" + units[at : at + 2].hex().encode() for at in range(0, len(units), 2))


def search_log(view: LogView, words: Words, *, after: int, limit: int) -> LogHits:
    """Return at most `limit` hits after an offset, with the total count."""
    scan, size = _Scan(words), view.size
    items: list[LogHit] = []
    for at, content, is_mark in pieces(view, 0, size):
        if is_mark:
            scan.skip(content)
        elif len(items) > limit or at + len(content) <= after:
            scan.count(at, content)
        else:
            some = (found for found in scan.take(at, content) if found.at > after)
            items += [_hit(view, words, found) for found in islice(some, limit + 1 - len(items))]
            # exhaust the rest so that it is counted
            deque(some, maxlen=0)
    next_offset = items[limit - 1].offset if len(items) > limit else None
    return LogHits(scan.total, items[:limit], next_offset)


def search_entries(
    view: LogView, words: Words, parse: ParseLine, *, after: int, limit: int, is_over: bool
) -> LogHits:
    """Return the same among readable entries: each entry that contains the text is a hit.

    At most MAX_READ_BYTES are parsed per call; `next_offset` continues from there.
    """
    items: list[LogHit] = []
    read, last = 0, after
    behind = (found for found in _all(view, words) if found.line_at > after)
    for _, some in groupby(behind, key=lambda found: found.line_at // MAX_PART_BYTES):
        if read > MAX_READ_BYTES:
            return LogHits(None, items, last)
        found = list(some)
        read += found[-1].line_at - found[0].line_at + 1
        items += _entries_of(view, words, parse, found, is_over=is_over)
        if len(items) > limit:
            return LogHits(None, items[:limit], items[limit - 1].offset)
        last = found[-1].line_at
    return LogHits(len(items) if after < 0 else None, items)


def _entries_of(
    view: LogView, words: Words, parse: ParseLine, found: list[_Found], *, is_over: bool
) -> Iterator[LogHit]:
    begin = found[0].line_at
    length = found[-1].line_at + 1 - begin
    part = read_entries(view, parse, begin, length, is_over=is_over)
    lines = [one.line_at for one in found]
    for at, placed in groupby(part.entries, key=lambda one: one.at):
        texts = [one.entry.text for one in placed if words.text in one.entry.text.lower()]
        if texts:
            first = found[min(bisect_left(lines, at), len(found) - 1)]
            yield LogHit(at, first.number, _shortened(texts[0], words.text))


def _shortened(text: str, words: str) -> str:
    """Return the matching line, cut to AROUND_BYTES characters on each side of the match."""
    line = next((one for one in text.splitlines() if words in one.lower()), text)
    at, behind = _place_of(words, line)
    begin, end = max(0, at - AROUND_BYTES), behind + AROUND_BYTES
    return ELLIPSIS * (begin > 0) + line[begin:end] + ELLIPSIS * (end < len(line))


def _place_of(words: str, line: str) -> tuple[int, int]:
    """Return where the lowercase words begin and end in a line."""
    lower = line.lower()
    at = max(0, lower.find(words))
    if len(lower) == len(line):
        return at, at + len(words)
    # some characters, such as "İ", are longer in lowercase
    starts = list(accumulate((len(character.lower()) for character in line), initial=0))
    return bisect_right(starts, at) - 1, bisect_left(starts, at + len(words))


def _all(view: LogView, words: Words) -> Iterator[_Found]:
    scan = _Scan(words)
    for at, content, is_mark in pieces(view, 0, view.size):
        if is_mark:
            scan.skip(content)
        else:
            yield from scan.take(at, content)


class _Scan:
    """A single pass over a log that keeps track of the current line."""

    def __init__(self, words: Words) -> None:
        self.total = 0
        self._words = words
        self._number = 1
        self._line_at: int | None = 0
        # the open line is already a hit; otherwise keep its end: a match can span two pieces
        self._is_told = False
        self._kept = b""

    def skip(self, mark: bytes) -> None:
        """Note dropped bytes: the open line ends, and what follows is the rest of another line."""
        self._number += mark.count(b"\n")
        self._line_at, self._kept, self._is_told = None, b"", False

    def take(self, at: int, content: bytes) -> Iterator[_Found]:
        """Scan the next bytes and yield one match per matching line."""
        text, base = self._open(at, content)
        begin = 0
        while True:
            if self._is_told:
                end = text.find(b"\n", begin)
                if end < 0:
                    return
                begin = self._pass_lines(text, base, begin, end + 1)
            place = self._words.find(text, begin)
            if place is None:
                break
            self._pass_lines(text, base, begin, place[0])
            self.total += 1
            self._is_told, begin = True, place[1]
            yield _Found(base + place[0], self._line_at or 0, self._number)
        self._keep(text, self._pass_lines(text, base, begin, len(text)))

    def count(self, at: int, content: bytes) -> None:
        """Scan the next bytes and only count matching lines."""
        text, base = self._open(at, content)
        begin = 0
        if self._is_told:
            begin = self._pass_lines(text, base, 0, text.find(b"\n") + 1)
            if self._is_told:
                return
        lines = text[begin:].split(b"\n")
        last = lines.pop()
        self.total += self._words.count(lines)
        self._pass_lines(text, base, begin, len(text))
        if self._words.find(last, 0) is None:
            self._keep(last, 0)
        else:
            self.total += 1
            self._is_told = True

    def _open(self, at: int, content: bytes) -> tuple[bytes, int]:
        if self._line_at is None:
            self._line_at = at
        text, base = self._kept + content.lower(), at - len(self._kept)
        self._kept = b""
        return text, base

    def _pass_lines(self, text: bytes, base: int, begin: int, end: int) -> int:
        """Return where the line that is open at `end` begins."""
        if ended := text.count(b"\n", begin, end):
            self._number += ended
            begin = text.rfind(b"\n", begin, end) + 1
            self._line_at = base + begin
            self._is_told = False
        return begin

    def _keep(self, text: bytes, begin: int) -> None:
        self._kept = text[max(begin, len(text) - self._words.longest + 1) :]


def _hit(view: LogView, words: Words, found: _Found) -> LogHit:
    return LogHit(found.at, found.number, _text(view, words, found))


def _text(view: LogView, words: Words, found: _Found) -> str:
    """Return the text of a hit: its line, cut around the match if the line is long."""
    begin = max(found.line_at, found.at - AROUND_BYTES)
    before = view.read(begin, found.at - begin).content.rpartition(b"\n")[2]
    behind = view.read(found.at, words.longest + AROUND_BYTES)
    line, end, _ = behind.content.partition(b"\n")
    is_cut = not end and found.at + len(line) < view.size
    text = (before + line).decode("utf-8", "replace").rstrip("\r")
    # the cut may fall inside a multi-byte character
    head = ELLIPSIS + text.lstrip("\ufffd") if begin > found.line_at else text
    return head.rstrip("\ufffd") + ELLIPSIS if is_cut else head
