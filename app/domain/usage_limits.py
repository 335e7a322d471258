"""Usage limits of accounts: when to try again, judged by the agent's output, and in which order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.domain.agents.final_output import LimitReached
from app.domain.backoff import Backoff
from app.domain.text.durations import SECONDS_IN, seconds_of

SOONEST, LATEST = timedelta(seconds=60), timedelta(days=8)
MARGIN, MOST_JITTER = timedelta(seconds=60), timedelta(seconds=240)
GUESSES = Backoff(timedelta(minutes=15), timedelta(hours=16))
# a time this recently passed means that one, not tomorrow's
JUST_PASSED = timedelta(minutes=5)

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FLAGS = re.IGNORECASE | re.ASCII
_EPOCH = re.compile(
    r"(?:limit reached\||\"?resets_?at\"?\s*[:=]\s*\"?)(\d{10}(?:\d{3})?)\b", _FLAGS
)
_SECONDS = re.compile(r"\"?resets_in_seconds\"?\s*[:=]\s*\"?(\d{1,9})\b", _FLAGS)
_SPAN = re.compile(
    r"(?:resets?|try again|retry)\s+(?:in|after)\s+((?:\d{1,5}\s*[a-z]{1,7}[\s,]*){1,4})", _FLAGS
)
_PART = re.compile(r"(\d{1,5})\s*([a-z]{1,7})", _FLAGS)
_TIME = re.compile(
    r"(?:resets?|try again)\s+(?:at\s+|on\s+)?"
    rf"(?:(?P<month>{'|'.join(_MONTHS)})[a-z]{{0,6}}\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
    r"(?:,?\s+(?P<year>20\d\d))?(?:,|\s+at)?\s+)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\s*(?P<half>[ap]\.?m\b\.?)?"
    r"(?:\s*\((?P<zone>[a-z0-9_+/-]{1,64})\))?",
    _FLAGS,
)
_DAILY = re.compile(r"\bdaily quota\b", _FLAGS)
# the time zone in which daily quotas reset
_DAILY_ZONE = "America/Los_Angeles"


def next_try(
    limit: LimitReached, now: datetime, zone: tzinfo | None, hits: int, jitter: timedelta
) -> datetime | None:
    """Return when to try again (UTC), or None if only a person can end the limit.

    `zone` applies to times without one (None: the system's); `hits` counts consecutive limits, from
    1; `jitter` spreads accounts that read the same time.
    """
    if limit.needs_person:
        return None
    told = limit.resets_at or reset_time(limit.evidence, now, zone)
    # a reset time that has passed without effect is not used again
    if told is None or (told <= now and hits > 1):
        return now + GUESSES.after(hits)
    # capped first: adding to an extreme time would overflow
    moment = min(told, now + LATEST) + MARGIN + min(jitter, MOST_JITTER)
    return min(max(moment, now + SOONEST), now + LATEST)


def reset_time(text: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    """Return the reset time that a message names (UTC), or None."""
    readers = (_epoch, _seconds, _span)
    found = next((moment for read in readers if (moment := read(text, now))), None)
    return found or _clock_time(text, now, zone) or _next_day(text, now)


def _epoch(text: str, _: datetime) -> datetime | None:
    if (found := _EPOCH.search(text)) is None:
        return None
    number = int(found[1])
    return datetime.fromtimestamp(number / 1000 if len(found[1]) == 13 else number, UTC)


def _seconds(text: str, now: datetime) -> datetime | None:
    found = _SECONDS.search(text)
    return now + timedelta(seconds=int(found[1])) if found else None


def _span(text: str, now: datetime) -> datetime | None:
    if (found := _SPAN.search(text)) is None:
        return None
    parts = _PART.findall(found[1])
    if any(unit[0].lower() not in SECONDS_IN for _, unit in parts):
        return None
    return now + timedelta(seconds=seconds_of(parts))


def _clock_time(text: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    found = _TIME.search(text)
    if found is None or (found["half"] is None and found["minute"] is None):
        return None  # a bare number is not a time
    at = _time_of(int(found["hour"]), int(found["minute"] or 0), found["half"])
    if at is None:
        return None
    zone = _zone_named(found["zone"]) or zone
    if found["month"] is None:
        return _next_at(at, now, zone)
    month, year = _MONTHS.index(found["month"].lower()) + 1, found["year"]
    return _dated(month, int(found["day"]), int(year) if year else None, at, now, zone)


def _time_of(hour: int, minute: int, half: str | None) -> time | None:
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half.lower().startswith("p") else 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _zone_named(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _next_at(at: time, now: datetime, zone: tzinfo | None) -> datetime:
    """Return the next time (UTC) at which a clock in the zone shows `at`."""
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=days) for days in (-1, 0, 1, 2))
    moments = (moment for day in days for moment in _moments(day, at, zone))
    return next(moment for moment in moments if moment > now - JUST_PASSED)


def _dated(
    month: int, day: int, year: int | None, at: time, now: datetime, zone: tzinfo | None
) -> datetime | None:
    """Return the time of a date; without a year, the nearest one to now."""
    here = now.astimezone(zone).year
    moments: list[datetime] = []
    for one in [year] if year else [here - 1, here, here + 1]:
        try:
            moments += _moments(date(one, month, day), at, zone)
        except ValueError:
            continue  # no such day in that year
    return min(moments, key=lambda moment: abs(moment - now), default=None)


def _moments(day: date, at: time, zone: tzinfo | None) -> Iterator[datetime]:
    # an ambiguous wall-clock time gives two results; a skipped one gives the time after the gap
    for fold in (0, 1):
        shown = datetime.combine(day, at, zone).replace(fold=fold)
        moment = shown.astimezone(UTC)
        if fold == 0 or moment.astimezone(zone).replace(tzinfo=None) == shown.replace(tzinfo=None):
            yield moment


def _next_day(text: str, now: datetime) -> datetime | None:
    zone = _zone_named(_DAILY_ZONE) if _DAILY.search(text) else None
    if zone is None:
        return None
    return _next_at(time(0), now + JUST_PASSED, zone)


MAX_RESUMES = 5
# delay between resumed runs once the account works again
STAGGER = timedelta(seconds=20)
# delay before another probe if the first showed nothing
NEXT_PROBE = timedelta(seconds=60)
# how long other runs yield the probe to a run that waits to be resumed
HEAD_START = timedelta(seconds=90)
# a run that worked this long without reaching the limit proves that the account works
LONG_ENOUGH = timedelta(minutes=10)

_WINDOWS = ("five_hour", "seven_day", "session", "weekly", "monthly", "usage", "overage", "limit")


class Stand(StrEnum):
    """The stages of a hold."""

    HELD = "held"
    DUE = "due"
    PROBING = "probing"
    EASING = "easing"


# what people read once the time of a hold is over
STAND_LABELS: Mapping[str, str] = {
    Stand.DUE: "Next to try",
    Stand.PROBING: "Trying",
    Stand.EASING: "Available again",
}


@dataclass(frozen=True)
class HoldFacts:
    """The facts of a hold.

    `until` None: only a person ends it. `next_at` is set once the account works again.
    """

    until: datetime | None
    probe_run_id: str | None
    next_at: datetime | None


def stand_of(hold: HoldFacts, now: datetime) -> Stand:
    """Return the stage: held, due, probing by one run, then easing as the others follow."""
    if hold.next_at is not None:
        return Stand.EASING
    if hold.probe_run_id is not None:
        return Stand.PROBING
    return Stand.HELD if hold.until is None or now < hold.until else Stand.DUE


def is_turn(next_at: datetime | None, now: datetime) -> bool:
    """Return True if the next run may follow now.

    A time further ahead than STAGGER means that the clock was changed, and does not count.
    """
    return next_at is not None and not now < next_at <= now + STAGGER


def family_of(told: str) -> str:
    """Return the model family that a limit's window name contains; empty for all models."""
    words = told.strip().lower()
    for window in _WINDOWS:
        words = words.removeprefix(window).removesuffix(window).strip(" _-")
    return words[:80]


def covers(family: str, model: str | None) -> bool:
    """Return True if a family's limit applies to this model, or may do so for an unset one."""
    return not family or model is None or family in model.lower()


def sentence_of(agent: str, family: str, stand: Stand, until: datetime | None) -> str:
    """Return why a run waits for a hold, as a sentence for people."""
    what = f"{agent} ({family})" if family else agent
    if stand is Stand.HELD:
        if until is None:
            return f"the usage limit of {what} is reached; lift the limit when it may continue"
        return f"the usage limit of {what} is reached, until {until:%d %b %H:%M} UTC"
    if stand is Stand.EASING:
        return f"waits its turn: {what} has just come back from its usage limit"
    return f"the usage limit of {what} is over; one run tries it first, then this one follows"
