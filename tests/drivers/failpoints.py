"""Failpoints of the test's own process; tests/conftest.py clears them after each test."""

from __future__ import annotations

from pathlib import Path

from app.failpoints import set_failpoints


def fail_at(point: str) -> None:
    """Let every thread that reaches this point fail with FailpointHit, and no other point."""
    set_failpoints({"RUNYARD_TEST": "1", "RUNYARD_FAILPOINT": f"{point}:raise"})


def hold_at(point: str, file: Path) -> None:
    """Hold every thread that reaches this point until `file` exists, and at no other point."""
    set_failpoints({"RUNYARD_TEST": "1", "RUNYARD_RACEPOINT": f"{point}:{file}"})


def clear_failpoints() -> None:
    """Let all threads pass again."""
    set_failpoints({})
