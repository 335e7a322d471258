"""Sizes and times as text, and the free space that work needs."""

from __future__ import annotations

from datetime import UTC, datetime

UNITS = ("B", "KB", "MB", "GB", "TB")
# bytes: with less free space, file operations may fail
FULL_BELOW = 64 * 1024**2


def size_words(size: int | None) -> str:
    """Format a size in bytes for people: `214 MB`, `1.6 GB`, or `unknown`."""
    if size is None:
        return "unknown"
    figure, unit = float(size), 0
    while figure >= 999.5 and unit < len(UNITS) - 1:
        figure, unit = figure / 1000, unit + 1
    shown = f"{figure:.1f}" if unit and figure < 9.95 else f"{figure:.0f}"
    return f"{shown} {UNITS[unit]}"


def room_missing(free: int, size: int) -> int:
    """Return how many bytes of free space a file system lacks, 0 if it has enough.

    A small file system needs half of its size at most.
    """
    return max(0, min(FULL_BELOW, size // 2) - free)


def iso(moment: datetime) -> str:
    """Format a time in ISO 8601, in UTC with milliseconds: `2026-03-01T12:00:00.000Z`."""
    # a page of runs holds hundreds of times, most of them in UTC
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
