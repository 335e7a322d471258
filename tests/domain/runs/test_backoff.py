"""Back-off: the delays of everything that is tried again after failures."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain import notifications, usage_limits
from app.domain.backoff import Backoff
from app.services.auto import loop
from app.services.lifecycle import deliver
from app.services.system import origin_watch

# the delays in seconds after 1, 2, 3 and more failures; the last one stays
DELAYS = {
    "deliveries": (deliver.PAUSES, [5, 10, 20, 40, 80, 160, 320, 600]),
    "auto launches": (loop.PAUSES, [30, 60, 120, 240, 480, 960, 1920, 3600]),
    "auto runs that worked": (loop.PAUSES_AFTER_WORK, [600, 1200, 2400, 3600]),
    "notifications": (notifications.WAITS, [30, 60, 120, 240, 480, 960, 1920, 3600]),
    "usage limits": (usage_limits.GUESSES, [900, 1800, 3600, 7200, 14400, 28800, 57600]),
    "origins": (origin_watch.PAUSES, [30, 60, 120, 240, 480, 900]),
}


@pytest.mark.parametrize(("delays", "seconds"), DELAYS.values(), ids=DELAYS)
def test_delays_grow_up_to_the_longest(delays: Backoff, seconds: list[int]) -> None:
    known = [delays.after(failures).total_seconds() for failures in range(1, len(seconds) + 1)]
    assert known == seconds
    assert delays.after(len(seconds) + 1) == delays.longest == timedelta(seconds=seconds[-1])


def test_any_number_of_failures_has_a_delay() -> None:
    delays = Backoff(timedelta(seconds=1), timedelta(hours=1), factor=3)
    known = [delays.after(failures).total_seconds() for failures in (-1, 0, 1, 2, 3)]
    assert known == [1, 1, 1, 3, 9]
    assert delays.after(10**9) == timedelta(hours=1)
