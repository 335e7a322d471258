"""Display texts of durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.text.durations import (
    ago_words,
    clock_words,
    minutes_words,
    read_clock,
    rough_words,
    seconds_of,
    span_words,
    step_words,
    two_units,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "00:00"),
        (0, "00:00"),
        (59.9, "00:59"),
        (401, "06:41"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (7200, "2:00:00"),
        (90061, "25:01:01"),
    ],
)
def test_a_length_of_time_gets_hours_only_when_it_has_some(seconds: float, words: str) -> None:
    assert clock_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "now"),
        (9.9, "now"),
        (10, "10 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (86400, "1 d ago"),
        (10 * 86400, "10 d ago"),
    ],
)
def test_how_long_ago_is_said_in_one_unit(seconds: float, words: str) -> None:
    assert ago_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3600, "1 hour"),
        (7200, "2 hours"),
        (5400, "90 min"),
        (60, "1 min"),
        (90, "90 s"),
        (0, "0 s"),
    ],
)
def test_a_length_that_was_chosen_is_told_in_its_largest_whole_unit(
    seconds: float, words: str
) -> None:
    assert span_words(seconds) == words


@given(st.integers(min_value=0, max_value=30 * 86400))
def test_a_length_is_read_as_it_is_written(seconds: int) -> None:
    assert read_clock(clock_words(seconds)) == seconds


@pytest.mark.parametrize(("words", "seconds"), [("90", 5400), (" 2:00:00 ", 7200), ("0:59", 59)])
def test_a_length_is_a_clock_or_whole_minutes(words: str, seconds: int) -> None:
    assert read_clock(words) == seconds


@pytest.mark.parametrize("words", ["", "soon", "-1", "1:60", "1:2:3:4", "1.5", "١", "9" * 7])
def test_what_is_no_length_says_how_one_is_written(words: str) -> None:
    with pytest.raises(ValueError, match="2:00:00, or in whole minutes"):
        read_clock(words)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (59.4, "59 s"),
        (59.5, "1 min"),
        (185, "3 min 5 s"),
        (7200, "2 h"),
        (3600 * 27 + 59, "1 d 3 h"),
    ],
)
def test_two_units_say_enough(seconds: float, words: str) -> None:
    assert two_units(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (30 * 3600, "30 h")]
)
def test_a_rough_length_is_in_hours_at_most(seconds: float, words: str) -> None:
    assert rough_words(seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [(30, "30 s"), (5400, "90 min"), (7200, "120 min")])
def test_a_limit_s_window_is_in_minutes(seconds: int, words: str) -> None:
    assert minutes_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.24, "0.2 s"), (11.9, "11 s"), (401, "06:41"), (7200, "2:00:00")]
)
def test_a_short_step_has_a_fraction(seconds: float, words: str) -> None:
    assert step_words(seconds) == words


def test_units_count_by_their_first_letter() -> None:
    assert seconds_of([("1", "day"), ("2", "Hours"), ("3", "min"), ("4", "s")]) == 93_784
    with pytest.raises(KeyError):
        seconds_of([("1", "week")])
