"""A run's steps in one line, from being queued to its delivery."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.api.schemas import TimelineEvent
from app.domain.words import Delivers, Status
from app.state.runs.run_steps import folded
from tests.builders.run_samples import NOON, run_of


def event(kind: str, seconds: float, **data: Any) -> TimelineEvent:
    at = NOON + timedelta(seconds=seconds)
    return TimelineEvent(id=int(seconds * 10), at=at, kind=kind, sentence="", data=data)


STARTED = {"started_at": NOON + timedelta(seconds=1)}
ENDED = STARTED | {"ended_at": NOON + timedelta(seconds=100)}
CHECKED = [
    event("exited", 61),
    event("check_started", 61, round=1),
    event("check_ended", 70, round=1, status="passed"),
    event("check_ended", 74, round=1, status="failed"),
]


@pytest.mark.parametrize(
    ("status", "facts", "events", "steps"),
    [
        (Status.QUEUED, {}, [], ["waiting Queued", "waiting Agent", "waiting Delivery"]),
        (
            Status.RUNNING,
            STARTED,
            [],
            ["done Queued 1.0 s", "running Agent working", "waiting Delivery"],
        ),
        (
            Status.RUNNING,
            STARTED | {"delivers": Delivers.REPORT},
            [],
            ["done Queued 1.0 s", "running Agent working"],
        ),
        (
            Status.DIED,
            ENDED,
            CHECKED,
            ["done Queued 1.0 s", "done Agent worked 01:00", "fail 1 check red 13 s"],
        ),
        (
            Status.SUCCEEDED,
            ENDED,
            [event("exited", 61), event("delivered", 90)],
            ["done Queued 1.0 s", "done Agent worked 01:00", "done Delivered"],
        ),
        (
            Status.STOPPED,
            ENDED,
            [],
            ["done Queued 1.0 s", "stopped Agent worked 01:39"],
        ),
        (Status.NOT_STARTED, {"ended_at": NOON}, [], ["fail Queued 0.0 s"]),
    ],
)
def test_the_steps_of_a_run(
    status: Status, facts: dict[str, Any], events: list[TimelineEvent], steps: list[str]
) -> None:
    run = run_of(0, status, created_at=NOON, **facts)
    assert [f"{one.state} {one.words} {one.took}".strip() for one in folded(events, run)] == steps
