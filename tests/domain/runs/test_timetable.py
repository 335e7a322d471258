"""Quiet hours and digests in local time: across midnight and clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.quiet_hours import Hours, Timetable, Window, parse_hours, parse_time

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Timetable(BERLIN, parse_hours("22:00-07:00"))


def at(day: str, clock: str, *, fold: int = 0) -> datetime:
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=BERLIN, fold=fold)
    return moment.astimezone(UTC)


@pytest.mark.parametrize(
    ("day", "clock", "free_day", "free_clock"),
    [
        ("2026-06-10", "21:59:59", "2026-06-10", "21:59:59"),
        ("2026-06-10", "22:00", "2026-06-11", "07:00"),
        ("2026-06-10", "23:59:59", "2026-06-11", "07:00"),
        ("2026-06-11", "00:00", "2026-06-11", "07:00"),
        ("2026-06-11", "06:59:59", "2026-06-11", "07:00"),
        ("2026-06-11", "07:00", "2026-06-11", "07:00"),
        # the nights on which the clock skips an hour and repeats one
        ("2026-03-28", "22:30", "2026-03-29", "07:00"),
        ("2026-03-29", "03:00", "2026-03-29", "07:00"),
        ("2026-10-24", "22:30", "2026-10-25", "07:00"),
    ],
)
def test_in_quiet_hours_the_next_free_moment_is_their_end(
    day: str, clock: str, free_day: str, free_clock: str
) -> None:
    assert NIGHT.free_at(at(day, clock)) == at(free_day, free_clock)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 8), ("2026-10-25", 10), ("2026-06-11", 9)]
)
def test_a_night_is_as_long_as_it_is(day: str, hours: int) -> None:
    window = NIGHT.last_window(at(day, "07:00"))
    assert window is not None
    assert window.end == at(day, "07:00")
    assert window.end - window.begin == timedelta(hours=hours)


def test_hours_of_one_day_do_not_reach_into_the_next() -> None:
    noon = Timetable(BERLIN, parse_hours("12:00-13:30"))
    assert noon.free_at(at("2026-06-10", "12:30")) == at("2026-06-10", "13:30")
    assert noon.free_at(at("2026-06-10", "13:30")) == at("2026-06-10", "13:30")
    window = noon.last_window(at("2026-06-11", "09:00"))
    assert window == Window(at("2026-06-10", "12:00"), at("2026-06-10", "13:30"))


def test_hours_that_a_clock_skips_keep_nobody_waiting() -> None:
    skipped = Timetable(BERLIN, Hours(time(2, 30), time(3, 15)))
    moment = at("2026-03-29", "03:20")
    assert skipped.free_at(moment) == moment
    window = skipped.last_window(at("2026-03-29", "04:00"))
    assert window is not None
    assert window.begin <= window.end


def test_hours_that_a_clock_shows_twice_begin_with_the_first() -> None:
    twice = Timetable(BERLIN, Hours(time(2, 30), time(6, 0)))
    assert twice.free_at(at("2026-10-25", "02:30")) == at("2026-10-25", "06:00")
    assert twice.free_at(at("2026-10-25", "02:10", fold=1)) == at("2026-10-25", "06:00")


def test_a_daily_digest_covers_a_day_of_the_wall_clock() -> None:
    daily = Timetable(BERLIN, digest_at=parse_time("07:30"))
    before, after = at("2026-03-29", "07:29"), at("2026-03-29", "07:30")
    assert daily.last_window(before) == Window(at("2026-03-27", "07:30"), at("2026-03-28", "07:30"))
    assert daily.last_window(after) == Window(at("2026-03-28", "07:30"), after)
    assert daily.next_end(after) == at("2026-03-30", "07:30")
    assert daily.free_at(before) == before


def test_without_hours_and_digest_everybody_is_free_at_once() -> None:
    never = Timetable(BERLIN)
    now = at("2026-06-10", "23:00")
    assert (never.free_at(now), never.last_window(now), never.next_end(now)) == (now, None, None)


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
    st.times(),
    st.times(),
)
def test_whoever_waits_is_free_within_a_day(now: datetime, begin: time, end: time) -> None:
    table = Timetable(BERLIN, Hours(begin.replace(fold=0), end.replace(fold=0)))
    free = table.free_at(now)
    assert now <= free <= now + timedelta(hours=26)
    window = table.last_window(now)
    assert window is not None
    assert window.begin <= window.end <= now
    next_end = table.next_end(now)
    assert next_end is not None
    assert next_end > now


@pytest.mark.parametrize(
    "text", ["", "22:00", "22-7", "24:00-07:00", "22:00-07:60", "22:00-22:00", "a-b", "٢٢:00-07:00"]
)
def test_hours_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"22:00-07:00|07:30|begin"):
        parse_hours(text)
