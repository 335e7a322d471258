"""Quiet hours and digest times, by the wall clock of a time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_DAYS = (-2, -1, 0, 1)


@dataclass(frozen=True)
class Hours:
    """A daily time span; it crosses midnight if `end` is before `begin`."""

    begin: time
    end: time


@dataclass(frozen=True)
class Window:
    """The time from `begin` until before `end`, both UTC."""

    begin: datetime
    end: datetime


def parse_time(text: str) -> time:
    """Parse a time of day such as `07:30`. Raises ValueError."""
    found = _TIME.fullmatch(text.strip())
    if not found:
        raise ValueError("write a time of day as 07:30")
    return time(int(found[1]), int(found[2]))


def parse_hours(text: str) -> Hours:
    """Parse a time span such as `22:00-07:00`. Raises ValueError."""
    begin, dash, end = text.partition("-")
    if not dash:
        raise ValueError("write two times of day as 22:00-07:00")
    hours = Hours(parse_time(begin), parse_time(end))
    if hours.begin == hours.end:
        raise ValueError("quiet hours need an end that is not their begin")
    return hours


def hours_setting(text: str | None) -> str | None:
    """Check the setting of quiet hours, None if it is empty. Raises ValueError."""
    if text:
        parse_hours(text)
    return text or None


def zone_setting(name: str | None) -> str | None:
    """Return the name of a time zone, None if it is empty. Raises ValueError with a sentence."""
    try:
        return str(ZoneInfo(name)) if name else None
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("write a time zone as Europe/Berlin") from error


def moment_at(day: date, at: time, zone: tzinfo | None) -> datetime:
    """Convert a day's wall-clock time in a zone (None: the system's) to UTC.

    A time that occurs twice is the first one; a skipped one is shifted by the length of the gap.
    """
    return datetime.combine(day, at, zone).astimezone(UTC)


@dataclass(frozen=True)
class Timetable:
    """Quiet hours, which end with a digest; or a fixed time for the digest; or neither."""

    zone: tzinfo
    quiet: Hours | None = None
    digest_at: time | None = None

    def free_at(self, now: datetime) -> datetime:
        """Return `now`, or the end of the quiet hours that contain it."""
        if self.quiet is None:
            return now
        return next((one.end for one in self._windows(now) if one.begin <= now < one.end), now)

    def last_window(self, now: datetime) -> Window | None:
        """Return the window of the latest digest that is due by now, or None without digests."""
        over = [one for one in self._windows(now) if one.end <= now]
        return over[-1] if over else None

    def next_end(self, now: datetime) -> datetime | None:
        """Return when the next digest is due, or None."""
        return next((one.end for one in self._windows(now) if one.end > now), None)

    def _windows(self, now: datetime) -> list[Window]:
        """Return the windows of the days around a time, sorted by their ends."""
        today = now.astimezone(self.zone).date()
        days = [today + timedelta(days=number) for number in _DAYS]
        if self.quiet is not None:
            begin, end = self.quiet.begin, self.quiet.end
            over_midnight = timedelta(days=int(end < begin))
            pairs = [(day, begin, day + over_midnight, end) for day in days]
        elif self.digest_at is not None:
            at = self.digest_at
            pairs = [(day - timedelta(days=1), at, day, at) for day in days]
        else:
            return []
        ends = [(self._utc(a, b), self._utc(c, d)) for a, b, c, d in pairs]
        # a window inside a skipped hour would end before it begins
        return [Window(min(begin, end), end) for begin, end in ends]

    def _utc(self, day: date, at: time) -> datetime:
        return moment_at(day, at, self.zone)
