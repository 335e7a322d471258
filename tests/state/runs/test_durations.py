"""Display texts of durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.state.page.text_input import ago, seconds_from, span, took


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
    assert took(seconds) == words


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
    assert ago(seconds) == words


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
    assert span(seconds) == words


@given(st.integers(min_value=0, max_value=30 * 86400))
def test_a_length_is_read_as_it_is_written(seconds: int) -> None:
    assert seconds_from(took(seconds)) == seconds


@pytest.mark.parametrize(("words", "seconds"), [("90", 5400), (" 2:00:00 ", 7200), ("0:59", 59)])
def test_a_length_is_a_clock_or_whole_minutes(words: str, seconds: int) -> None:
    assert seconds_from(words) == seconds


@pytest.mark.parametrize("words", ["", "soon", "-1", "1:60", "1:2:3:4", "1.5", "١", "9" * 7])
def test_what_is_no_length_says_how_one_is_written(words: str) -> None:
    with pytest.raises(ValueError, match="2:00:00, or in whole minutes"):
        seconds_from(words)
