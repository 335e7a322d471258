"""Facts of runs for tests, and the verdicts on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.domain.end_causes import ExitReason, ExitRecord
from app.domain.lifecycle import Signal
from app.domain.rules import RunFacts, classify
from app.domain.words import Cause

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
ALIVE = RunFacts(delivered=False, exit=None, alive=True, now=NOW, deadline=LATER)


def ended(
    code: int | None = 0,
    *,
    signal: int | None = None,
    reason: ExitReason = ExitReason.EXITED,
    **facts: Any,
) -> RunFacts:
    """Return facts of an agent that left an exit record."""
    record = ExitRecord(code, signal, reason, NOW)
    return replace(ALIVE, exit=record, alive=False, **facts)


def outcome(facts: RunFacts) -> tuple[Signal | None, Cause | None]:
    """Return the signal and the cause of the verdict."""
    verdict = classify(facts)
    return verdict.signal, verdict.cause
