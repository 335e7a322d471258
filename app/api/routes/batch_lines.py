"""Parsing of batch items (NDJSON) from a stream that is never held in memory as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import Any

from pydantic import ValidationError

from app.api.http.dependencies import TWICE, order_of, read_json
from app.api.schemas import BatchLine
from app.api.schemas.sentences import sentence_of
from app.domain.formatting import size_words
from app.domain.json.objects import is_object
from app.domain.words import Cause
from app.errors import BadLine, Invalid
from app.services.batches.filling import Item

MAX_LINE = 3 * 1024 * 1024
TAIL = 200
# an empty line costs a little time and carries nothing, so their number is limited
MOST_EMPTY = 100_000
TOO_LONG = "its line has {size}, more than 3 MB"
_LAST_INDEX = re.compile(rb'"index"\s*:\s*(\d{1,9})\s*\}\s*\Z')
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True)
class Line:
    """One line, numbered from 1; an oversized line keeps only its first and last bytes.

    `content` holds up to MAX_LINE bytes, `tail` the last TAIL bytes; `length` is the size in bytes.
    """

    number: int
    content: bytes
    tail: bytes
    is_cut: bool
    length: int = 0


class LineSplitter:
    """Splits a byte stream into lines, buffering at most one.

    Skips empty lines, but counts them. Raises BadLine after more than MOST_EMPTY.
    """

    def __init__(self) -> None:
        self._number = 0
        self._kept = bytearray()
        self._tail = b""
        self._length = 0
        self._empty = 0

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Yield the lines that end in this chunk."""
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            self._add(piece)
            yield from self._end()
        self._add(rest)

    def finish(self) -> Iterator[Line]:
        """Yield the last line if the stream ended without a newline."""
        yield from self._end()

    def _add(self, piece: bytes) -> None:
        self._kept += piece[: MAX_LINE - len(self._kept)]
        self._tail = (self._tail + piece[-TAIL:])[-TAIL:]
        self._length += len(piece)

    def _end(self) -> Iterator[Line]:
        self._number += 1
        if not self._kept.strip():
            self._kept, self._tail, self._length = bytearray(), b"", 0
            self._empty += 1
            if self._empty > MOST_EMPTY:
                sentence = f"More than {MOST_EMPTY:,} lines are empty. The lines before are kept."
                raise BadLine(sentence, line=self._number)
            return
        line = Line(
            self._number, bytes(self._kept), self._tail, self._length > MAX_LINE, self._length
        )
        self._kept, self._tail, self._length = bytearray(), b"", 0
        yield line


def item_of(line: Line, project_id: str) -> Item:
    """Parse a line into a batch item: its order, or the reason why it cannot start.

    Raises BadLine if it is not JSON, Invalid without a usable index.
    """
    if line.is_cut:
        because = TOO_LONG.format(size=size_words(line.length))
        return Item(_index_of_cut(line), None, because, Cause.ITEM_TOO_LARGE)
    told, doubled = _json_of(line)
    index = told.get("index") if is_object(told) else None
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise _without_index(line)
    if "index" in doubled:
        sentence = f"Line {line.number} gives its index twice."
        raise Invalid(sentence, line=line.number, errors=[{"field": "index", "message": sentence}])
    if doubled:
        return Item(index, None, " ".join(f"{name}: {TWICE}" for name in doubled)[:500])
    try:
        return Item(index, order_of(BatchLine.model_validate(told), project_id))
    except ValidationError as problem:
        return Item(index, None, _because(problem))


def _json_of(line: Line) -> tuple[Any, list[str]]:
    try:
        return read_json(line.content)
    except (ValueError, RecursionError) as problem:
        raise BadLine(
            f"Line {line.number} is not JSON. The lines before it are kept.", line=line.number
        ) from problem


def _without_index(line: Line) -> Invalid:
    sentence = f"Line {line.number} has no index: a whole number from 0 on."
    return Invalid(sentence, line=line.number, errors=[{"field": "index", "message": sentence}])


def _because(problem: ValidationError) -> str:
    errors = problem.errors(include_url=False, include_input=False)
    told = (f"{'.'.join(str(part) for part in one['loc'])}: {sentence_of(one)}" for one in errors)
    return " ".join(told)[:500]


def _index_of_cut(line: Line) -> int:
    """Return the index of an oversized line, from its first or last bytes."""
    index = _index_before_cut(line.content.decode(errors="replace"))
    if index is None and (at_end := _LAST_INDEX.search(line.tail)):
        index = int(at_end[1])
    if index is None:
        raise _without_index(line)
    return index


def _index_before_cut(text: str) -> int | None:
    """Return the index from the complete members before the cut, None if it is not among them."""
    decoder = JSONDecoder()
    try:
        at = _after(text, 0, "{")
        while True:
            name, at = decoder.raw_decode(text, _after(text, at, '"') - 1)
            value, at = decoder.raw_decode(text, _skip(text, _after(text, at, ":")))
            if name == "index" and type(value) is int and value >= 0:
                return value
            at = _after(text, at, ",")
    except (JSONDecodeError, RecursionError, ValueError):
        return None


def _after(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise ValueError(sign)
    return at + 1


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
