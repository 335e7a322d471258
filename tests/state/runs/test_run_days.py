"""A list of runs by day: the reader's midnight, the sums of a day, the words beside a status."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from app.api.schemas import DeliveryOut, RunItem, RunsPage, UsageOut
from app.domain.words import Cause, Status, Trigger
from app.state.runs.run_board import RunBoard, RunFilters
from app.state.runs.run_days import Sums, days_of, parts_beyond, sums_of, zone_of
from app.state.runs.run_words import reason_of, title_of
from tests.builders.run_samples import run_of, submitting

LATE = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
CHANGE = DeliveryOut(kind="change", number=142, url="/x", state="open")


def made(number: int, at: datetime, status: Status = Status.DIED, **more: Any) -> RunItem:
    return run_of(number, status, created_at=at, **more)


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("UTC", [21, 21]),
        ("Europe/Berlin", [22, 21]),
        ("../etc/passwd", [21, 21]),
        ("", [21, 21]),
    ],
)
def test_a_day_begins_at_the_readers_midnight(zone: str, days: list[int]) -> None:
    rows = [made(2, LATE), made(1, LATE - timedelta(hours=1))]
    grouped = days_of(rows, zone_of(zone))
    assert [day.on.day for day in grouped for _ in day.rows] == days


def test_a_submit_under_way_stands_in_the_day_of_the_runs_below_it() -> None:
    grouped = days_of([submitting("k"), made(1, LATE), made(0, LATE - timedelta(days=2))], UTC)
    assert [len(day.rows) for day in grouped] == [1, 1, 1]


@pytest.mark.parametrize(
    ("on", "words"),
    [
        (date(2026, 11, 22), "Today, 22 November"),
        (date(2026, 11, 21), "Yesterday, 21 November"),
        (date(2026, 11, 19), "Thursday, 19 November"),
        (date(2025, 12, 31), "Wednesday, 31 December 2025"),
    ],
)
def test_a_heading_names_the_day(on: date, words: str) -> None:
    at = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    [day] = days_of([made(1, at)], UTC)
    assert day.words(date(2026, 11, 22)) == words


def test_the_sums_of_a_day_count_each_run_once_and_leave_out_what_is_zero() -> None:
    sums = sum(
        (
            sums_of(Status.SUCCEEDED, Cause.DELIVERED, 1.5, 31),
            sums_of(Status.SUCCEEDED, Cause.NO_DELIVERY, None),
            sums_of(Status.TIMED_OUT, None, 0.25),
            sums_of(Status.CHECKING, None, None, 2),
            sums_of(Status.QUEUED, None, None),
        ),
        start=Sums(),
    )
    assert sums.words == (
        "31 delivered · 1 without changes · 1 failed · 2 running · 1 waiting · $1.75"
    )
    assert Sums().words == ""


def test_only_the_days_that_the_page_cuts_are_asked_for() -> None:
    board = RunBoard(RunFilters())
    items = [made(2, LATE), made(1, LATE - timedelta(hours=30))]
    board.load(RunsPage(items=items))
    assert parts_beyond(board, UTC) == []
    board.load(RunsPage(items=items, next_cursor="older"))
    [part] = parts_beyond(board, UTC)
    assert (part.on, part.before) == (date(2026, 11, 20), items[-1].created_at)
    assert part.after == datetime(2026, 11, 19, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "facts", "words"),
    [
        (Status.DIED, {"because": "agent exited 1: Traceback"}, "agent exited with code 1"),
        (Status.DIED, {"because": "killed by signal 9"}, "killed by signal 9"),
        (Status.STOPPED, {"because": "stopped by you"}, "by you"),
        (Status.SUCCEEDED, {"cause": Cause.DELIVERED, "delivery": CHANGE}, "change 142"),
        (Status.SUCCEEDED, {"cause": Cause.DELIVERED_RED, "delivery": CHANGE}, "checks are red"),
        (Status.SUCCEEDED, {"cause": Cause.REPORTED}, "report only"),
        (Status.QUEUED, {"hold": "The project is paused. Reset it."}, "the project is paused"),
        (Status.RUNNING, {"resumes": 1}, "2nd try"),
        (Status.RUNNING, {"trigger": Trigger.RETRY, "retry_of": "run_c9d1f2a"}, "retry of …9d1f2a"),
        (Status.RUNNING, {}, ""),
    ],
)
def test_the_reason_beside_a_status(status: Status, facts: dict[str, Any], words: str) -> None:
    assert reason_of(run_of(1, status, **facts)) == words


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        ({"title": "Round tax\nand more"}, "Round tax"),
        ({"issue": 5}, "Issue #5"),
        ({"title": "x" * 300}, "x" * 119 + "…"),
        ({}, "Run …000001"),
    ],
)
def test_the_title_is_one_short_line(facts: dict[str, Any], title: str) -> None:
    assert title_of(run_of(1, usage=UsageOut(), **facts)) == title
