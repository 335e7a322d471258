"""What a person is told about their window of runs before they submit (ui.md, New run)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class QuotaLevel(StrEnum):
    """How near the end of the window's runs a person is."""

    CLOSE = "close"
    EXHAUSTED = "exhausted"


class Counted(StrEnum):
    """What a window is of: accepted runs, or items of batches."""

    RUNS = "runs"
    BATCHES = "batches"


@dataclass(frozen=True)
class WindowRule:
    """At most `limit` of them in any `seconds`."""

    limit: int
    seconds: int


class LimitsMode(StrEnum):
    """Where accepted runs and batches are counted first; the tables have the last word in each."""

    TABLE = "table"
    REDIS = "redis"
    DEGRADED = "degraded"


@dataclass(frozen=True)
class QuotaBanner:
    """One banner: its level, the runs that remain, and when the oldest run leaves (UTC)."""

    level: QuotaLevel
    remaining: int
    reset_at: datetime | None


def quota_banner(
    *, limit: int, remaining: int, reset_at: datetime | None = None
) -> QuotaBanner | None:
    """The banner for a window of `limit` runs: red at 0, amber up to a tenth of the limit."""
    if remaining <= 0:
        return QuotaBanner(QuotaLevel.EXHAUSTED, 0, reset_at)
    if remaining * 10 <= limit:
        return QuotaBanner(QuotaLevel.CLOSE, remaining, reset_at)
    return None
