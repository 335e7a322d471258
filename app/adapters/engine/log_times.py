"""Reader of the file `times` of a run, which is untrusted: the agent may have written it."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.adapters.engine.records import open_folder, open_plain_file
from app.adapters.supervisor.times import MARK_BYTES, MOST_MARKS, POSITION_DIGITS, TIMES


def read_times(path: Path, positions: Sequence[int]) -> list[datetime | None]:
    """Return when the output at each position arrived, None before the first mark or if unknown."""
    content = _read(path)
    marks = range(len(content) // MARK_BYTES)
    times: list[datetime | None] = []
    for position in positions:
        after = bisect_right(marks, position, key=lambda mark: _position(content, mark))
        times.append(_time(content, after - 1) if after else None)
    return times


def _read(path: Path) -> bytes:
    folder = open_folder(path)
    if folder is None:
        return b""
    try:
        file = open_plain_file(folder, TIMES)
    finally:
        os.close(folder)
    if file is None:
        return b""
    try:
        return os.pread(file, MOST_MARKS * MARK_BYTES, 0)
    except OSError:
        return b""
    finally:
        os.close(file)


def _position(content: bytes, mark: int) -> int:
    begin = mark * MARK_BYTES
    return _number(content[begin : begin + POSITION_DIGITS])


def _time(content: bytes, mark: int) -> datetime | None:
    begin = mark * MARK_BYTES
    line = content[begin : begin + MARK_BYTES]
    seconds = _number(line[POSITION_DIGITS + 1 : -1])
    is_whole = line[POSITION_DIGITS : POSITION_DIGITS + 1] == b" " and line.endswith(b"\n")
    if not is_whole or seconds < 0 or _number(line[:POSITION_DIGITS]) < 0:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _number(digits: bytes) -> int:
    """Return a number of decimal digits, -1 for anything else."""
    return int(digits) if digits.isdigit() else -1
