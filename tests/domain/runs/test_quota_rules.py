"""Thresholds of the quota banner from ui.md."""

from __future__ import annotations

import pytest

from app.domain.quota import Counted, QuotaLevel, own_limit, quota_banner

CLOSE, EXHAUSTED = QuotaLevel.CLOSE, QuotaLevel.EXHAUSTED


@pytest.mark.parametrize(
    ("limit", "remaining", "level"),
    [
        (20, 20, None),
        (20, 3, None),
        (20, 2, CLOSE),
        (20, 1, CLOSE),
        (20, 0, EXHAUSTED),
        (25, 3, None),
        (25, 2, CLOSE),
        (9, 1, None),
        (10, 1, CLOSE),
        (1, 1, None),
        (1, 0, EXHAUSTED),
        (20, -1, EXHAUSTED),
    ],
)
def test_amber_begins_at_a_tenth_and_red_at_nothing(
    limit: int, remaining: int, level: QuotaLevel | None
) -> None:
    banner = quota_banner(limit=limit, remaining=remaining)
    assert (banner.level if banner else None) is level


@pytest.mark.parametrize(
    ("counted", "limit", "seconds", "told"),
    [
        (Counted.RUNS, 100, 3600, "100 runs an hour"),
        (Counted.RUNS, 1, 86400, "1 run a day"),
        (Counted.BATCHES, 1000, 900, "1000 batch items in 15 min"),
        (Counted.BATCHES, 1, 45, "1 batch item in 45 s"),
    ],
)
def test_a_limit_says_that_it_is_runyards_own(
    counted: Counted, limit: int, seconds: int, told: str
) -> None:
    assert own_limit(counted, limit, seconds) == f"Runyard's own limit: {told}"
