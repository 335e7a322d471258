"""Usage limit messages of agents and their reset times, with time zones and clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.agents.final_output import LimitReached
from app.domain.usage_limits import (
    GUESSES,
    LATEST,
    MARGIN,
    MOST_JITTER,
    SOONEST,
    next_try,
    reset_time,
)

NONE = timedelta()
PARIS, NEW_YORK = ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "now", "machine", "told"),
    [
        # in the zone named, regardless of the machine's
        (
            "You've hit your session limit · resets 2:30pm (Europe/Paris)",
            "2026-11-21T09:00",
            NEW_YORK,
            "2026-11-21T13:30",
        ),
        ("You've hit your limit · resets 1pm (Asia/Kolkata)", "2026-11-21T09:00", UTC, None),
        ("You're out of extra usage · resets 11:30am (UTC)", "2026-11-21T09:00", PARIS, "11:30"),
        # a time that has passed today means tomorrow, by the date in that zone
        ("resets 8am (Europe/Paris)", "2026-11-21T09:00", UTC, "2026-11-22T07:00"),
        ("resets 1am (Asia/Tokyo)", "2026-11-21T15:30", UTC, "2026-11-21T16:00"),
        ("resets 11pm (Pacific/Honolulu)", "2026-11-21T09:30", UTC, "2026-11-22T09:00"),
        ("resets 12am (UTC)", "2026-11-21T09:00", UTC, "2026-11-22T00:00"),
        ("resets 12pm (UTC)", "2026-11-21T09:00", UTC, "2026-11-21T12:00"),
        ("resets 17:45 (UTC)", "2026-11-21T09:00", UTC, "2026-11-21T17:45"),
        # a time that passed moments ago still counts
        ("resets 9am (UTC)", "2026-11-21T09:02", UTC, "2026-11-21T09:00"),
        ("resets 9am (UTC)", "2026-11-21T09:06", UTC, "2026-11-22T09:00"),
        # with a date
        (
            "weekly limit · resets Nov 24, 3pm (America/New_York)",
            "2026-11-21T09:00",
            UTC,
            "2026-11-24T20:00",
        ),
        ("resets Nov 24 at 3:05pm (UTC)", "2026-11-21T09:00", UTC, "2026-11-24T15:05"),
        ("resets Jan 2, 9am (UTC)", "2026-12-30T09:00", UTC, "2027-01-02T09:00"),
        ("resets Feb 29, 9am (UTC)", "2028-02-27T09:00", UTC, "2028-02-29T09:00"),
        ("try again at Nov 24th, 2026 12:16 PM.", "2026-11-21T09:00", UTC, "2026-11-24T12:16"),
        # without a zone: the machine's own
        (
            "You've hit your usage limit. Upgrade to Pro or try again at 12:16 PM.",
            "2026-11-21T09:00",
            NEW_YORK,
            "2026-11-21T17:16",
        ),
        ("or try again at 12:16 PM.", "2026-11-21T09:00", PARIS, "2026-11-21T11:16"),
        # an unknown zone is treated as the machine's
        ("resets 2pm (Mars/Olympus)", "2026-11-21T09:00", UTC, "2026-11-21T14:00"),
        ("resets 2pm (../../etc/passwd)", "2026-11-21T09:00", UTC, "2026-11-21T14:00"),
        # as a timestamp or a duration
        ("Claude AI usage limit reached|1795257000", "2026-11-21T09:00", UTC, "2026-11-21T10:30"),
        ('{"resets_at":1795257000}', "2026-11-21T09:00", UTC, "2026-11-21T10:30"),
        ('{"resetsAt": 1795257000000}', "2026-11-21T09:00", UTC, "2026-11-21T10:30"),
        ('"resets_in_seconds":5400', "2026-11-21T09:00", UTC, "2026-11-21T10:30"),
        ("Your quota will reset after 21h5m44s.", "2026-11-21T09:00", UTC, "2026-11-22T06:05:44"),
        ("Try again in 3 days 4 hours 5 minutes", "2026-11-21T09:00", UTC, "2026-11-24T13:05"),
        # a daily quota resets at the start of the next day
        (
            "You have exhausted your daily quota on this model.",
            "2026-11-21T09:00",
            UTC,
            "2026-11-22T08:00",
        ),
        # skipped by the clock change: one hour later
        ("resets 2:30am (Europe/Paris)", "2026-03-28T23:00", UTC, "2026-03-29T01:30"),
        ("resets 4am (Europe/Paris)", "2026-03-28T23:00", UTC, "2026-03-29T02:00"),
        # shown twice at the clock change: the next of the two
        ("resets 2:30am (Europe/Paris)", "2026-10-24T23:00", UTC, "2026-10-25T00:30"),
        ("resets 2:30am (Europe/Paris)", "2026-10-25T01:00", UTC, "2026-10-25T01:30"),
        ("resets 2:30am (Europe/Paris)", "2026-10-25T02:00", UTC, "2026-10-26T01:30"),
        ("resets 1pm (Europe/Paris)", "2026-10-24T23:00", UTC, "2026-10-25T12:00"),
    ],
)
def test_a_message_names_its_moment(
    words: str, now: str, machine: tzinfo, told: str | None
) -> None:
    if told is None:
        told = "2026-11-22T07:30"  # 1pm in Kolkata has passed: it is 14:30 there
    expected = at(told) if "T" in told else at(f"{now[:11]}{told}")
    assert reset_time(words, at(now), machine) == expected


@pytest.mark.parametrize(
    "words",
    [
        "You've hit your monthly spend limit",
        "Quota exceeded. Check your plan and billing details.",
        "resets 5",
        "resets 25:00 (UTC)",
        "resets 13pm (UTC)",
        "resets 9:75am",
        "try again in a while",
        "try again in 5 fortnights",
        "resets Foo 24, 3pm",
        "",
    ],
)
def test_what_names_no_moment_has_none(words: str) -> None:
    assert reset_time(words, at("2026-11-21T09:00"), UTC) is None


NOW = at("2026-11-21T09:00")


def test_the_structured_moment_counts_before_the_text() -> None:
    limit = LimitReached("resets 5pm (UTC)", at("2026-11-21T10:00"))
    assert next_try(limit, NOW, UTC, 1, NONE) == at("2026-11-21T10:00") + MARGIN


@pytest.mark.parametrize(
    ("hits", "minutes"), [(1, 15), (2, 30), (3, 60), (6, 480), (7, 960), (8, 960), (5000, 960)]
)
def test_where_no_time_is_told_the_waiting_doubles_up_to_16_hours(hits: int, minutes: int) -> None:
    limit = LimitReached("RateLimitError")
    assert next_try(limit, NOW, UTC, hits, NONE) == NOW + timedelta(minutes=minutes)


def test_a_told_time_that_was_no_help_is_not_believed_again() -> None:
    limit = LimitReached("limit", NOW - timedelta(hours=1))
    assert next_try(limit, NOW, UTC, 1, NONE) == NOW + SOONEST
    assert next_try(limit, NOW, UTC, 2, NONE) == NOW + timedelta(minutes=30)


def test_a_limit_that_needs_a_person_has_no_next_try() -> None:
    limit = LimitReached("Credit balance is too low", NOW, needs_person=True)
    assert next_try(limit, NOW, UTC, 1, NONE) is None


def test_a_time_without_a_zone_is_this_machines_where_none_is_given() -> None:
    shown = NOW.astimezone() + timedelta(hours=2)
    told = reset_time(f"try again at {shown:%I:%M %p}", NOW, None)
    assert told == NOW + timedelta(hours=2)


@given(
    st.text(max_size=80) | st.from_regex(r"resets \w{3} \d\d, \d{1,2}:\d\d ?[ap]m \(\w+\)"),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.integers(1, 100),
    st.timedeltas(NONE, timedelta(hours=1)),
)
def test_whatever_is_told_it_is_tried_again_within_bounds(
    words: str, moment: datetime | None, hits: int, jitter: timedelta
) -> None:
    try_at = next_try(LimitReached(words, moment), NOW, UTC, hits, jitter)
    assert try_at is not None
    assert SOONEST <= try_at - NOW <= LATEST
    if moment is None and reset_time(words, NOW, UTC) is None:
        assert try_at - NOW <= GUESSES.longest


@pytest.mark.parametrize("moment", [datetime.max, datetime.min])
def test_a_moment_at_the_end_of_all_time_is_bounded_like_every_other(moment: datetime) -> None:
    limit = LimitReached("", moment.replace(tzinfo=UTC))
    try_at = next_try(limit, NOW, UTC, 1, MOST_JITTER)
    assert try_at is not None
    assert SOONEST <= try_at - NOW <= LATEST


@given(st.timedeltas(NONE, timedelta(hours=1)))
def test_the_jitter_has_its_own_bound(jitter: timedelta) -> None:
    told = NOW + timedelta(hours=1)
    try_at = next_try(LimitReached("", told), NOW, UTC, 1, jitter)
    assert try_at is not None
    assert MARGIN <= try_at - told <= MARGIN + MOST_JITTER
