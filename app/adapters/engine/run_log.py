"""A run's log as kept by the supervisor: its beginning and end, with a marker for the cut."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from app.adapters.engine.log_times import read_times
from app.adapters.engine.records import open_folder, open_plain_file
from app.adapters.supervisor.output import HEAD, TAIL_FILES, TAIL_PREFIX
from app.adapters.supervisor.record_files import STARTED
from app.domain.secret_masks import SecretMask
from app.services.ports import LogPiece


@dataclass(frozen=True)
class Part:
    """An open file of a log, with bytes `begin` to `end` of the agent's output."""

    file: int
    begin: int
    end: int


@contextmanager
def open_parts(path: Path) -> Generator[list[Part]]:
    """Open the current parts, in order and without overlaps.

    All are opened before any is read, so that parts the supervisor drops remain readable.
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
        # a part that overlaps another is not the supervisor's
        yield [
            part for before, part in pairwise([Part(-1, 0, 0), *parts]) if before.end <= part.begin
        ]


def _names(folder: int) -> list[tuple[int, str]]:
    tails = []
    for name in os.listdir(folder):
        begin = name.removeprefix(TAIL_PREFIX)
        if begin != name and begin.isascii() and begin.isdecimal() and len(begin) < 19:
            tails.append((int(begin), name))
    # one more than are kept: the oldest is dropped only after the newest is created
    return [(0, HEAD), *sorted(tails)[-TAIL_FILES - 1 :]]


class RunLog:
    """A run's log, read anew at each call; positions count the bytes the agent wrote.

    The mask, asked for at the first read, hides secrets that became known after they were logged.
    """

    def __init__(self, path: Path, mask: Callable[[], SecretMask] = SecretMask) -> None:
        self._path = path
        self._make_mask = mask

    @cached_property
    def _mask(self) -> SecretMask:
        return self._make_mask()

    @property
    def size(self) -> int:
        """Bytes the agent has written."""
        with open_parts(self._path) as parts:
            return parts[-1].end if parts else 0

    @property
    def is_cut(self) -> bool:
        """True if part of the output was dropped."""
        with open_parts(self._path) as parts:
            kept = sum(part.end - part.begin for part in parts)
            return bool(parts) and kept < parts[-1].end

    @property
    def is_replaced(self) -> bool:
        """True if the log's first file was replaced, or deleted after the run started."""
        try:
            mode = os.stat(self._path / HEAD, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return os.path.lexists(self._path / STARTED)
        except OSError:
            return False
        return not stat.S_ISREG(mode)

    @property
    def written_at(self) -> datetime | None:
        """The time of the agent's last output (UTC); None without output."""
        with open_parts(self._path) as parts:
            if not parts or not parts[-1].end:
                return None
            seconds = os.fstat(parts[-1].file).st_mtime
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (OverflowError, ValueError):
            return None  # the agent may set its log's time to anything

    def times(self, positions: Sequence[int]) -> list[datetime | None]:
        """Return when the output at each position arrived (UTC), None if unknown."""
        return read_times(self._path, positions)

    def read(self, offset: int = 0, limit: int | None = None) -> LogPiece:
        """Read up to `limit` bytes from `offset`, with a marker line for dropped bytes.

        A negative offset counts from the end. Markers do not count toward the limit.
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
        """Read bytes of one part, masking also secrets that cross their edges."""
        data = os.pread(part.file, min(limit, part.end - position), position - part.begin)
        around = self._mask.longest - 1
        if around < 0 or not data:
            return data
        before = _read_span(parts, position - around, position)
        after = _read_span(parts, position + len(data), position + len(data) + around)
        masked = self._mask.mask(before + data + after)
        return masked[len(before) : len(before) + len(data)]


def _read_span(parts: list[Part], begin: int, end: int) -> bytes:
    """Read the kept bytes between two positions, across parts."""
    content = b""
    for part in parts:
        first, last = max(begin, part.begin), min(end, part.end)
        if first < last:
            content += os.pread(part.file, last - first, first - part.begin)
    return content


def _mark_cut(dropped: int) -> bytes:
    return f"\n[… {dropped:,} bytes cut …]\n".encode()
