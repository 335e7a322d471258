"""Lifetime of a run's idempotency key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.idempotency import GIVES_KEY_BACK, KeyTerms
from app.domain.words import Status

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TERMS = KeyTerms(hold_seconds=600, ttl_seconds=86400)


def is_given_back(status: Status, age: float, *, is_released: bool = True) -> bool:
    now = NOON + timedelta(seconds=age)
    return TERMS.is_given_back(status, created_at=NOON, is_released=is_released, now=now)


@pytest.mark.parametrize("status", Status)
def test_only_a_run_that_came_to_nothing_gives_its_key_back_and_not_before_the_hold_is_over(
    status: Status,
) -> None:
    assert not is_given_back(status, 599)
    assert is_given_back(status, 600) is (status in GIVES_KEY_BACK)


@pytest.mark.parametrize("status", Status)
def test_after_its_lifetime_a_key_is_nobodys_unless_its_run_is_still_there(status: Status) -> None:
    assert is_given_back(status, 86400)
    assert not is_given_back(status, 86400, is_released=False)
