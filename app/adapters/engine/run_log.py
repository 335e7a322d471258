"""A run's log as the supervisor kept it: first and last parts, with what was cut marked."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from app.adapters.engine.records import open_folder, open_plain_file
from app.adapters.supervisor.output import HEAD, TAIL_FILES, TAIL_PREFIX
from app.adapters.supervisor.record_files import STARTED
from app.domain.secret_masks import SecretMask
from app.services.ports import LogPiece


@dataclass(frozen=True)
class Part:
    """One file of a log, open: the bytes `begin` to `end` of the agent's output."""

    file: int
    begin: int
    end: int


@contextmanager
def open_parts(path: Path) -> Iterator[list[Part]]:
    """The parts there are now, in order, none overlapping the one before.

    All are open before one is read: what the supervisor drops meanwhile can still be read.
    """
    with ExitStack() as opened:
        parts: list[Part] = []
        folder = open_folder(path)
        if folder is not None:
            opened.callback(os.close, folder)
            for begin, name in _names(folder):
                file = open_plain_file(folder, name)
                if file is not None:
                    opened.callback(os.close, file)
                    parts.append(Part(file, begin, begin + os.fstat(file).st_size))
        # one that begins inside another was not made by a supervisor
        yield [
            part for before, part in pairwise([Part(-1, 0, 0), *parts]) if before.end <= part.begin
        ]


def _names(folder: int) -> list[tuple[int, str]]:
    tails = []
    for name in os.listdir(folder):
        begin = name.removeprefix(TAIL_PREFIX)
        if begin != name and begin.isascii() and begin.isdecimal() and len(begin) < 19:
            tails.append((int(begin), name))
    # one more than are kept: the oldest is dropped after the newest was made
    return [(0, HEAD), *sorted(tails)[-TAIL_FILES - 1 :]]


class RunLog:
    """The log as it is whenever it is asked; positions count the bytes the agent wrote.

    The mask stars what became a secret later, or was written before logs were masked.
    """

    def __init__(self, path: Path, mask: SecretMask | None = None) -> None:
        self._path = path
        self._mask = mask or SecretMask()

    @property
    def size(self) -> int:
        """Bytes the agent has written."""
        with open_parts(self._path) as parts:
            return parts[-1].end if parts else 0

    @property
    def is_cut(self) -> bool:
        """True where something was dropped."""
        with open_parts(self._path) as parts:
            kept = sum(part.end - part.begin for part in parts)
            return bool(parts) and kept < parts[-1].end

    @property
    def is_replaced(self) -> bool:
        """True where its beginning, which a supervisor has open, is no file of this folder's."""
        try:
            mode = os.stat(self._path / HEAD, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return os.path.lexists(self._path / STARTED)
        except OSError:
            return False
        return not stat.S_ISREG(mode)

    @property
    def written_at(self) -> datetime | None:
        """When the agent last wrote (UTC), None where it has written nothing."""
        with open_parts(self._path) as parts:
            if not parts or not parts[-1].end:
                return None
            seconds = os.fstat(parts[-1].file).st_mtime
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (OverflowError, ValueError):
            return None  # the agent may set its log's time to anything

    def read(self, offset: int = 0, limit: int | None = None) -> LogPiece:
        """At most `limit` bytes from `offset` on, a marker line in the place of dropped ones.

        A negative offset counts from the end. The marker does not count for the limit.
        """
        with open_parts(self._path) as parts:
            size = parts[-1].end if parts else 0
            position = max(0, size + offset) if offset < 0 else offset
            left = size if limit is None else limit
            content = bytearray()
            for part in parts:
                if left > 0 and position < part.end:
                    if position < part.begin:
                        content += _mark_cut(part.begin - position)
                        position = part.begin
                    data = self._read_masked(parts, part, position, left)
                    content += data
                    position += len(data)
                    left -= len(data)
            return LogPiece(bytes(content), position)

    def _read_masked(self, parts: list[Part], part: Part, position: int, limit: int) -> bytes:
        """Bytes of one part, without what they share of a secret that lies over their edges."""
        data = os.pread(part.file, min(limit, part.end - position), position - part.begin)
        around = self._mask.longest - 1
        if around < 0 or not data:
            return data
        before = _read_span(parts, position - around, position)
        after = _read_span(parts, position + len(data), position + len(data) + around)
        masked = self._mask.mask(before + data + after)
        return masked[len(before) : len(before) + len(data)]


def _read_span(parts: list[Part], begin: int, end: int) -> bytes:
    """Read what is kept between two positions, in whichever parts it lies."""
    content = b""
    for part in parts:
        first, last = max(begin, part.begin), min(end, part.end)
        if first < last:
            content += os.pread(part.file, last - first, first - part.begin)
    return content


def _mark_cut(dropped: int) -> bytes:
    return f"\n[… {dropped:,} bytes cut …]\n".encode()
