"""Thresholds of the quota banner from ui.md."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.quota import (
    Counted,
    LimitOf,
    QuotaBanner,
    QuotaLevel,
    QuotaLimit,
    SetLimits,
    own_limit,
    quota_banner,
)

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


@pytest.mark.parametrize(
    ("limit", "of", "told"),
    [
        (20, LimitOf.PERSON, "Your limit: 20 runs an hour"),
        (1, LimitOf.ROLE, "The limit of your role: 1 run an hour"),
        (0, LimitOf.PERSON, "Your limit: no runs"),
    ],
)
def test_a_limit_says_whose_it_is(limit: int, of: LimitOf, told: str) -> None:
    assert own_limit(Counted.RUNS, limit, 3600, of) == told


def test_the_persons_limit_wins_over_the_roles_also_if_it_is_zero() -> None:
    assert SetLimits(own=0, of_role=5).over(100) == QuotaLimit(0, LimitOf.PERSON)
    assert SetLimits(of_role=0).over(100) == QuotaLimit(0, LimitOf.ROLE)
    assert SetLimits().over(100) == QuotaLimit(100, LimitOf.SERVER)


def test_only_a_limit_of_zero_closes_for_good() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    full = quota_banner(limit=1, remaining=0, reset_at=at)
    assert full == QuotaBanner(EXHAUSTED, 0, at)
    # runs from before that leave the window make no room
    closed = quota_banner(limit=0, remaining=0, reset_at=at)
    assert closed == QuotaBanner(EXHAUSTED, 0, None, is_closed=True)
