"""The display of run quotas: levels, names of limits, and the banner on new runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.text.durations import minutes_words


class QuotaLevel(StrEnum):
    """The level of a quota banner: few runs left, or none."""

    CLOSE = "close"
    EXHAUSTED = "exhausted"


class Counted(StrEnum):
    """The units that a quota counts: accepted runs, or batch items."""

    RUNS = "runs"
    BATCHES = "batches"


SET_BY = {Counted.RUNS: "RUNYARD_RUN_QUOTA", Counted.BATCHES: "RUNYARD_BATCH_QUOTA"}
_NOUNS = {Counted.RUNS: "run", Counted.BATCHES: "batch item"}
_SPANS = {60: "a minute", 3600: "an hour", 86400: "a day"}


def own_limit(counted: Counted, limit: int, seconds: int) -> str:
    """Describe a limit as Runyard's: `Runyard's own limit: 100 runs an hour`."""
    things = _NOUNS[counted] if limit == 1 else f"{_NOUNS[counted]}s"
    within = _SPANS.get(seconds, f"in {minutes_words(seconds)}")
    return f"Runyard's own limit: {limit} {things} {within}"


@dataclass(frozen=True)
class WindowRule:
    """A sliding window: at most `limit` units in any `seconds`."""

    limit: int
    seconds: int


class LimitsMode(StrEnum):
    """Where runs and batches are counted first; the tables decide in every mode."""

    TABLE = "table"
    REDIS = "redis"
    DEGRADED = "degraded"


@dataclass(frozen=True)
class QuotaBanner:
    """A banner with its level, the remaining runs, and the time (UTC) the oldest run expires."""

    level: QuotaLevel
    remaining: int
    reset_at: datetime | None


def quota_banner(
    *, limit: int, remaining: int, reset_at: datetime | None = None
) -> QuotaBanner | None:
    """Return the banner for a quota: red at 0, amber up to a tenth of `limit`, else None."""
    if remaining <= 0:
        return QuotaBanner(QuotaLevel.EXHAUSTED, 0, reset_at)
    if remaining * 10 <= limit:
        return QuotaBanner(QuotaLevel.CLOSE, remaining, reset_at)
    return None
