"""Durations as text, and text as durations; assets/clock.js writes the first two forms alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

# by the first letter of a unit, however it is written
SECONDS_IN = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_CLOCK = re.compile(r"[0-9]{1,6}(:[0-5][0-9]){0,2}")
# unit and the next smaller one, with their sizes
_PAIRS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def clock_words(seconds: float) -> str:
    """Format a duration: `06:41`, or `2:00:00` from one hour on."""
    whole = max(0, int(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes:02}:{whole % 60:02}"


def ago_words(seconds: float) -> str:
    """Format an age in one unit: `now`, `6 min ago`, `3 h ago`, `10 d ago`."""
    whole = max(0, int(seconds))
    if whole < 10:
        return "now"
    return f"{whole // 86400} d ago" if whole >= 86400 else f"{rough_words(whole)} ago"


def rough_words(seconds: float) -> str:
    """Format a duration in one unit, an hour at most: `40 s`, `12 min`, `30 h`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 3600 else f"{whole // 3600} h"


def step_words(seconds: float) -> str:
    """Format a step's duration: `0.2 s`, `11 s`, `06:41`, `2:00:00`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{int(seconds)} s" if seconds < 60 else clock_words(seconds)


def two_units(seconds: float) -> str:
    """Format a duration in its two largest units: `42 s`, `3 min 5 s`, `2 h`, `1 d 3 h`."""
    whole = max(0, round(seconds))
    for size, unit, below, small in _PAIRS:
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def span_words(seconds: float) -> str:
    """Format a configured duration in the largest unit that divides it: `1 hour`, `90 min`."""
    whole = max(0, int(seconds))
    if whole and whole % 3600 == 0:
        return f"{whole // 3600} hour{'' if whole == 3600 else 's'}"
    return minutes_words(whole)


def minutes_words(seconds: int) -> str:
    """Format a configured duration in minutes if they divide it, else in seconds."""
    return f"{seconds // 60} min" if seconds and seconds % 60 == 0 else f"{seconds} s"


def read_clock(words: str) -> int:
    """Parse `2:00:00`, `06:41`, or `90` (minutes) to seconds. Raises ValueError with a sentence."""
    if _CLOCK.fullmatch(words.strip()) is None:
        raise ValueError("Write it as 2:00:00, or in whole minutes.")
    parts = [int(part) for part in words.split(":")]
    if len(parts) == 1:
        return parts[0] * 60
    return sum(part * 60**place for place, part in enumerate(reversed(parts)))


def seconds_of(parts: Iterable[tuple[str, str]]) -> int:
    """Add up counts with their units, such as `("2", "hours")`. Raises KeyError."""
    return sum(int(count) * SECONDS_IN[unit[0].lower()] for count, unit in parts)
