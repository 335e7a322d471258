"""Start times of runs as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.domain.starts import HOW, NO_SUCH, PASSED, TOO_LATE, moment_of, read_start

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (90, 90),
        ("90", 90),
        ("0", 0),
        ("90m", 5400),
        ("1h", 3600),
        ("1H 30 min", 5400),
        ("1h30m", 5400),
        ("2 days", 172800),
        (" 45  seconds ", 45),
        ("30d", 30 * 86400),
    ],
)
def test_a_span_is_read_in_seconds(words: str | int, seconds: int) -> None:
    assert read_start(words) == seconds
    assert moment_of(seconds, NOW, None) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("words", "moment"),
    [
        ("2026-11-23T02:00", "2026-11-23T01:00+00:00"),
        ("2026-11-23 02:00:30", "2026-11-23T01:00:30+00:00"),
        ("2026-11-23T02:00Z", "2026-11-23T02:00+00:00"),
        ("2026-11-23T02:00-05:00", "2026-11-23T07:00+00:00"),
        ("tomorrow 02:00", "2026-11-23T01:00+00:00"),
        ("Tomorrow  at 2:00", "2026-11-23T01:00+00:00"),
        ("today 23:15", "2026-11-22T22:15+00:00"),
        ("17:45", "2026-11-22T16:45+00:00"),
        ("17:15", "2026-11-23T16:15+00:00"),
    ],
)
def test_a_date_is_read_by_the_readers_clock(words: str, moment: str) -> None:
    start = read_start(words)
    assert isinstance(start, str)
    assert moment_of(start, NOW, BERLIN) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    ("day", "words", "moment"),
    [
        # clocks go forward from 02:00 to 03:00, and back from 03:00 to 02:00
        (datetime(2026, 3, 28, 12, tzinfo=UTC), "tomorrow 02:30", "2026-03-29T01:30+00:00"),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), "tomorrow 02:30", "2026-10-25T00:30+00:00"),
    ],
)
def test_a_time_that_a_clock_skips_or_shows_twice_is_one_moment(
    day: datetime, words: str, moment: str
) -> None:
    assert moment_of(read_start(words), day, BERLIN) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "soon",
        "-5",
        "1.5h",
        "1h 30",
        "tomorrow",
        "25:00",
        "2026-11-23",
        "2026-13-01T00:00",
        "٣h",
    ],
)
def test_what_is_no_moment_says_how_to_write_one(words: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_start(words)


@pytest.mark.parametrize("words", ["25:00", "2026-11-23T25:00", "2026-02-30T02:00"])
def test_a_day_or_time_that_there_is_not_is_said_in_our_words(words: str) -> None:
    with pytest.raises(ValueError, match=NO_SUCH):
        read_start(words)


@pytest.mark.parametrize("zone", [None, BERLIN, ZoneInfo("America/New_York")])
@pytest.mark.parametrize(
    "words",
    [
        "9999-12-31T23:59-12:00",
        "9999-12-31T23:59",
        "0001-01-01T00:00",
        "0001-01-01T00:00+12:00",
    ],
)
def test_a_moment_at_the_edge_of_the_calendar_is_refused(words: str, zone: ZoneInfo | None) -> None:
    with pytest.raises(ValueError, match=f"{NO_SUCH}|{PASSED}|{TOO_LATE}"):
        moment_of(read_start(words), NOW, zone)


def test_how_to_write_a_moment_is_said() -> None:
    with pytest.raises(ValueError, match="tomorrow 02:00") as refused:
        read_start("next week")
    assert str(refused.value) == HOW


@pytest.mark.parametrize("words", ["31d", "2592001", "99999999 d"])
def test_no_run_waits_longer_than_a_month(words: str) -> None:
    with pytest.raises(ValueError, match=TOO_LATE):
        read_start(words)
    with pytest.raises(ValueError, match=TOO_LATE):
        moment_of("2027-01-01T00:00", NOW, BERLIN)


@pytest.mark.parametrize("words", ["2026-11-22T02:00", "today 02:00"])
def test_a_moment_that_has_passed_is_said_to_have(words: str) -> None:
    with pytest.raises(ValueError, match=PASSED):
        moment_of(words, NOW, BERLIN)
