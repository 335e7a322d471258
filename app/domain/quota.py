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


SET_BY = {Counted.RUNS: "RUNYARD_RUN_QUOTA", Counted.BATCHES: "RUNYARD_BATCH_QUOTA"}
_NOUNS = {Counted.RUNS: "run", Counted.BATCHES: "item of batches"}
_SPANS = {60: "a minute", 3600: "an hour", 86400: "a day"}


def own_limit(counted: Counted, limit: int, seconds: int) -> str:
    """The owner and size of a limit: `Runyard's own limit: 100 runs an hour`."""
    noun, *rest = _NOUNS[counted].split(" ", 1)
    things = " ".join([noun if limit == 1 else f"{noun}s", *rest])
    length = f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
    return f"Runyard's own limit: {limit} {things} {_SPANS.get(seconds, f'in {length}')}"


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
