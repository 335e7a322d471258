"""Delayed runs: they take no slot, and can be rescheduled or started now."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.words import Depth
from app.errors import AlreadyStarted, ConcurrencyLimit, Invalid
from app.services.runs.requests import RunRequest
from tests.fakes.planes import TwinPlane

FULL = "waits for this project's other runs: 2 of 2 are active"


def test_runs_planned_for_the_night_leave_the_repository_free(twin: TwinPlane) -> None:
    project = twin.add_project("sleep 600", max_concurrency=2)
    for number in range(3):
        twin.accept(twin.order(project, task=f"night {number}", delay_seconds=86400))
    assert twin.services.listing.count_open(project.id) == 0
    live = [twin.start_running(project, task=f"day {number}") for number in range(2)]
    with pytest.raises(ConcurrencyLimit) as refused:
        twin.accept(twin.order(project, task="one too many"))
    assert refused.value.members == {"active": 2, "max": 2}
    # a full repository still accepts a delayed run
    assert twin.accept(twin.order(project, task="night 3", delay_seconds=60)).status == "delayed"
    for run in live:
        twin.stop_run(run)


def test_what_falls_due_in_a_full_repository_waits_with_its_hold(twin: TwinPlane) -> None:
    project = twin.add_project("sleep 600", max_concurrency=2)
    late = twin.accept(twin.order(project, task="late", delay_seconds=60))
    live = [twin.start_running(project, task=f"now {number}") for number in range(2)]
    twin.clock.advance(60)
    twin.tick()
    assert (twin.run(late.id).status, twin.run(late.id).hold) == ("queued", FULL)
    assert twin.services.listing.count_open(project.id) == 2
    twin.stop_run(live[0])
    twin.tick()
    assert twin.run(late.id).status == "running"
    assert twin.services.listing.count_open(project.id) == 2
    for run in (live[1], late):
        twin.stop_run(twin.run(run.id))


def test_a_planned_run_is_moved_and_then_starts_at_its_new_moment(twin: TwinPlane) -> None:
    project = twin.add_project("sleep 600")
    run = twin.accept(twin.order(project, delay_seconds=3600, ttl_seconds=60))
    moved = twin.services.planned.move(run.id, 1800, "ann", twin.clock())
    at = twin.clock() + timedelta(seconds=1800)
    assert (moved.due_at, moved.expires_at) == (at, at + timedelta(seconds=60))
    assert twin.lines(run)[-1] == f"moved by ann: starts at {at:%d %b %H:%M} UTC"
    twin.clock.advance(1800)
    twin.tick()
    assert twin.run(run.id).status == "running"
    with pytest.raises(AlreadyStarted):
        twin.services.planned.move(run.id, 60, "ann", twin.clock())
    twin.stop_run(twin.run(run.id))


def test_a_run_moved_in_the_moment_it_fell_due_waits_for_its_new_one(twin: TwinPlane) -> None:
    run = twin.accept(twin.order(twin.add_project("sleep 600"), delay_seconds=60))
    now = twin.clock.advance(60)
    # the fill has already read the row
    read = twin.run(run.id)
    twin.services.planned.move(run.id, 3600, "ann", now)
    with twin.stores.owner_of(run.id).transaction() as tx:
        assert twin.ledgers.runs.fall_due(tx, read, now) is None
    twin.tick()
    assert twin.run(run.id).status == "delayed"


def test_a_planned_run_starts_now_at_a_word(twin: TwinPlane) -> None:
    project = twin.add_project("sleep 600")
    run = twin.accept(twin.order(project, delay_seconds=86400, ttl_seconds=60))
    twin.services.planned.start_now(run.id, "ann", twin.clock())
    twin.rest()
    started = twin.run(run.id)
    assert (started.status, started.due_at) == ("running", twin.clock())
    assert started.expires_at == twin.clock() + timedelta(seconds=60)
    assert "started now by ann" in twin.lines(run)
    with pytest.raises(AlreadyStarted):
        twin.services.planned.start_now(run.id, "ann", twin.clock())
    twin.stop_run(started)


def test_a_stopped_run_can_neither_be_moved_nor_started(twin: TwinPlane) -> None:
    run = twin.stop_run(twin.launch(twin.add_project(), delay_seconds=60))
    with pytest.raises(AlreadyStarted):
        twin.services.planned.move(run.id, 60, "ann", twin.clock())
    with pytest.raises(AlreadyStarted):
        twin.services.planned.start_now(run.id, "ann", twin.clock())


def test_a_moment_that_has_passed_is_refused(twin: TwinPlane) -> None:
    project = twin.add_project()
    with pytest.raises(Invalid, match="has passed"):
        twin.accept(twin.order(project, starts_on="2020-01-01T00:00Z"))
    run = twin.accept(twin.order(project, delay_seconds=60))
    with pytest.raises(Invalid, match="has passed"):
        twin.services.planned.move(run.id, "2020-01-01T00:00Z", "ann", twin.clock())


def test_the_same_words_under_a_key_are_the_same_order_the_next_day(twin: TwinPlane) -> None:
    order = twin.order(twin.add_project(), starts_on="tomorrow 02:00")
    run = twin.accept(order, "key")
    twin.clock.advance(86400)
    assert twin.accept(order, "key").id == run.id


def test_a_key_that_was_sent_before_there_were_dates_is_known_still() -> None:
    order = RunRequest("proj_1", Depth.QUICK, "auto", delay_seconds=60)
    assert order.body_hash() == "c7726db50cde0c813114cff217a41d4eae36e5b63f52e6fac9d3f81bc97864db"
