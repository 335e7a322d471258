"""Sizes in words."""

from __future__ import annotations

from datetime import UTC, datetime

UNITS = ("B", "KB", "MB", "GB", "TB")
# with less room than this nothing that works in a file system can be relied on
FULL_BELOW = 64 * 1024**2


def size_words(size: int | None) -> str:
    """A size as people read it: `214 MB`, `1.6 GB`; `unknown` where it is not known."""
    if size is None:
        return "unknown"
    figure, unit = float(size), 0
    while figure >= 999.5 and unit < len(UNITS) - 1:
        figure, unit = figure / 1000, unit + 1
    shown = f"{figure:.1f}" if unit and figure < 9.95 else f"{figure:.0f}"
    return f"{shown} {UNITS[unit]}"


def room_missing(free: int, size: int) -> int:
    """How many bytes a file system has too few of to be worked in, 0 where it has enough.

    One that is small altogether is full below a half of it.
    """
    return max(0, min(FULL_BELOW, size // 2) - free)


def iso(moment: datetime) -> str:
    """A moment in ISO 8601, in UTC with milliseconds: `2026-03-01T12:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
