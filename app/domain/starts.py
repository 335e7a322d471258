"""Parsing of start times as people write them: a delay, a time of day, or a date."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo

from app.domain.quiet_hours import moment_at, parse_time
from app.domain.text.durations import seconds_of

LONGEST = timedelta(days=30)
HOW = "Write 90 (seconds), 90m, 1h, 02:00, tomorrow 02:00 or 2026-11-23T02:00."
TOO_LATE = "A run can wait for 30 days at most."
PASSED = "This time has passed."
NO_SUCH = "There is no such day or time."

_PARTS = re.compile(r"(\d{1,8})\s*(d|h|m|s|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?)?", re.A)
_SPAN = re.compile(rf"(?:{_PARTS.pattern}\s*){{1,4}}", re.A | re.I)
_DAY = re.compile(r"(?:(today|tomorrow)\s+(?:at\s+)?)?(\d{1,2}:\d{2})", re.A | re.I)
_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?",
    re.A,
)


def read_start(words: str | int) -> int | str:
    """Parse a start time: return a delay in seconds, or a normalized time. Raises ValueError."""
    text = " ".join(str(words).split())
    if _SPAN.fullmatch(text):
        return _seconds(text.lower())
    if found := _DAY.fullmatch(text):
        day, at = (found[1] or "").lower(), found[2].rjust(5, "0")
        with _named():
            parse_time(at)
        return f"{day} {at}".strip()
    if _DATE.fullmatch(text):
        with _named():
            datetime.fromisoformat(text)
        return text.replace(" ", "T")
    raise ValueError(HOW)


def moment_of(start: int | str, now: datetime, zone: tzinfo | None) -> datetime:
    """Convert a result of `read_start` to a time in UTC.

    `zone` applies to times without an offset (None: the system's). Raises ValueError for a time
    that has passed or is more than LONGEST ahead.
    """
    with _named():
        at = now + timedelta(seconds=start) if isinstance(start, int) else _moment(start, now, zone)
    if at < now:
        raise ValueError(PASSED)
    if at > now + LONGEST:
        raise ValueError(TOO_LATE)
    return at


@contextmanager
def _named() -> Generator[None]:
    # a month 13, or a time outside the calendar once converted to UTC
    try:
        yield
    except (ValueError, OverflowError) as problem:
        raise ValueError(NO_SUCH) from problem


def _seconds(text: str) -> int:
    parts = _PARTS.findall(text)
    if len(parts) > 1 and not all(unit for _, unit in parts):
        raise ValueError(HOW)
    seconds = seconds_of((count, unit or "s") for count, unit in parts)
    if seconds > LONGEST.total_seconds():
        raise ValueError(TOO_LATE)
    return seconds


def _moment(words: str, now: datetime, zone: tzinfo | None) -> datetime:
    if "-" in words:
        moment = datetime.fromisoformat(words)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        return moment_at(moment.date(), moment.time(), zone)
    day, _, at = words.rpartition(" ")
    today = now.astimezone(zone).date()
    if day:
        return _at(today + timedelta(days=day == "tomorrow"), at, zone)
    return next(moment for days in (0, 1, 2) if (moment := _at(today, at, zone, days)) > now)


def _at(day: date, at: str, zone: tzinfo | None, days: int = 0) -> datetime:
    return moment_at(day + timedelta(days=days), parse_time(at), zone)
