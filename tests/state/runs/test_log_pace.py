"""Pace of drawing a log: a tool's output at once, a flood no faster than people can read."""

from __future__ import annotations

import pytest

from app.state.runs.run_log import A_SECOND, AT_ONCE, LINE_CHARS, LogPace


class Watch:
    """A clock set by the test."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


# seconds that pass and lines drawn then; True if it is a flood at the end
STORIES = {
    "nothing": ([], False),
    "a tool that prints two thousand lines at once": ([(0, 2_000)], False),
    "a line now and then": ([(10, 1)] * 50, False),
    "as many as somebody reads, for long": ([(1, A_SECOND)] * 60, False),
    "ten thousand a second": ([(0.1, 1_000)] * 4, True),
    "a whole log at once": ([(0, 5_000)], True),
    "a flood that goes on, of which little is drawn": ([(0, 5_000), *[(1, 300)] * 60], True),
    "a flood that pauses for a moment": ([(0, 5_000), (2, 10)], True),
    "a flood that is over": ([(0, 5_000), *[(1, 10)] * 10], False),
}


@pytest.mark.parametrize(("drawn", "is_flooded"), STORIES.values(), ids=STORIES)
def test_a_flood_is_told_from_a_burst(drawn: list[tuple[float, int]], *, is_flooded: bool) -> None:
    watch = Watch()
    pace = LogPace(watch)
    for seconds, lines in drawn:
        watch.now += seconds
        pace.draw(lines, lines * 10)
    assert pace.is_flooded == is_flooded


def test_long_lines_are_a_flood_as_short_ones_are() -> None:
    watch = Watch()
    pace = LogPace(watch)
    for _ in range(20):
        watch.now += 0.1
        pace.draw(25, 25 * 40 * LINE_CHARS)
    assert pace.is_flooded


def test_a_burst_is_forgiven_in_the_time_that_it_takes_to_read_it() -> None:
    watch = Watch()
    pace = LogPace(watch)
    for _ in range(5):
        pace.draw(AT_ONCE - A_SECOND, 0)
        assert not pace.is_flooded
        watch.now += AT_ONCE / A_SECOND
