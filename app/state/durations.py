"""Lengths of time as people read them; assets/clock.js says the same in the browser."""

from __future__ import annotations

import re

_CLOCK = re.compile(r"[0-9]{1,6}(:[0-5][0-9]){0,2}")


def took(seconds: float) -> str:
    """A length of time: `06:41`, or `2:00:00` from an hour on."""
    whole = max(0, int(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes:02}:{whole % 60:02}"


def seconds_from(words: str) -> int:
    """Whole seconds of `2:00:00`, `06:41`, or `90` minutes. Raises ValueError with a sentence."""
    if _CLOCK.fullmatch(words.strip()) is None:
        raise ValueError("Write it as 2:00:00, or in whole minutes.")
    parts = [int(part) for part in words.split(":")]
    if len(parts) == 1:
        return parts[0] * 60
    return sum(part * 60**place for place, part in enumerate(reversed(parts)))


def ago(seconds: float) -> str:
    """How long ago, in one unit: `now`, `6 min ago`, `3 h ago`."""
    whole = max(0, int(seconds))
    if whole < 10:
        return "now"
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {name} ago"
    return f"{whole} s ago"


def span(seconds: float) -> str:
    """A length that somebody chose, in the largest unit that it is whole in: `1 hour`, `90 min`."""
    whole = max(0, int(seconds))
    for size, one, many in ((3600, "hour", "hours"), (60, "min", "min")):
        if whole and whole % size == 0:
            return f"{whole // size} {one if whole == size else many}"
    return f"{whole} s"
