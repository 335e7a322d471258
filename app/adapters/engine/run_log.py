"""A run's log as the supervisor kept it: first and last parts, with what was cut marked."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from app.adapters.engine.records import open_folder, open_plain_file
from app.adapters.supervisor.output import HEAD, TAIL_FILES, TAIL_PREFIX

_CHUNK = 1 << 20


class Part:
    """One file of a log: the bytes `begin` to `end` of the agent's output.

    Held open, so that it can be read even when the supervisor has dropped it meanwhile.
    """

    def __init__(self, file: int, begin: int) -> None:
        self._file = file
        self.begin = begin
        self.end = begin + os.fstat(file).st_size

    def read(self, position: int, limit: int) -> bytes:
        """At most `limit` bytes from `position` of the output on."""
        return os.pread(self._file, min(limit, self.end - position), position - self.begin)

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        self.close()


class _Cut:
    """The marker in the place of dropped bytes."""

    def __init__(self, dropped: int) -> None:
        self._text = describe_cut(dropped)
        self.begin = 0
        self.end = len(self._text)

    def read(self, position: int, limit: int) -> bytes:
        return self._text[position : position + limit]


def describe_cut(dropped: int) -> bytes:
    """The line shown in the place of `dropped` bytes."""
    return f"\n[… {dropped:,} bytes cut …]\n".encode()


def open_parts(path: Path) -> list[Part]:
    """The parts there are now, in order, none overlapping the one before."""
    folder = open_folder(path)
    if folder is None:
        return []
    try:
        files = [
            (begin, file)
            for begin, name in _names(folder)
            if (file := open_plain_file(folder, name)) is not None
        ]
    finally:
        os.close(folder)
    parts: list[Part] = []
    for begin, file in files:
        part = Part(file, begin)
        if not parts or parts[-1].end <= part.begin:
            parts.append(part)
    return parts


def _names(folder: int) -> list[tuple[int, str]]:
    tails = []
    for name in os.listdir(folder):
        begin = name.removeprefix(TAIL_PREFIX)
        if begin != name and begin.isascii() and begin.isdecimal() and len(begin) < 19:
            tails.append((int(begin), name))
    # one more than are kept: the oldest is dropped after the newest was made
    return [(0, HEAD), *sorted(tails)[-TAIL_FILES - 1 :]]


class RunLog:
    """The log as it was when it was asked for: one string of bytes, the cuts marked."""

    def __init__(self, path: Path) -> None:
        parts = open_parts(path)
        self._pieces: list[Part | _Cut] = list(parts[:1])
        for before, part in pairwise(parts):
            if before.end < part.begin:
                self._pieces.append(_Cut(part.begin - before.end))
            self._pieces.append(part)

    @property
    def size(self) -> int:
        """Bytes that can be read, the markers included."""
        return sum(piece.end - piece.begin for piece in self._pieces)

    @property
    def is_cut(self) -> bool:
        """True where something was dropped."""
        return any(isinstance(piece, _Cut) for piece in self._pieces)

    def read(self, offset: int = 0, limit: int | None = None) -> bytes:
        """Bytes from `offset`; a negative offset counts from the end."""
        size = self.size
        begin = max(0, size + offset) if offset < 0 else offset
        left = size - begin if limit is None else min(limit, size - begin)
        found = bytearray()
        piece_begin = 0
        for piece in self._pieces:
            length = piece.end - piece.begin
            skipped = max(0, begin - piece_begin)
            if left > 0 and skipped < length:
                data = piece.read(piece.begin + skipped, min(left, length - skipped))
                found += data
                left -= len(data)
            piece_begin += length
        return bytes(found)


class LogFollower:
    """Reads a log while it grows; `position` is that of the agent's output, to go on from later."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self._path = path
        self.position = position

    def read_new(self, limit: int = _CHUNK) -> bytes:
        """At most about `limit` bytes that came since, with a marker where some were dropped."""
        found = bytearray()
        for part in open_parts(self._path):
            if part.end > self.position and len(found) < limit:
                if part.begin > self.position:
                    found += describe_cut(part.begin - self.position)
                    self.position = part.begin
                data = part.read(self.position, limit - len(found))
                found += data
                self.position += len(data)
            part.close()
        return bytes(found)
