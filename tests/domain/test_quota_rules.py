"""The quota banner's thresholds, as ui.md has them."""

from __future__ import annotations

import pytest

from app.domain.quota_rules import QuotaLevel, quota_banner

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
