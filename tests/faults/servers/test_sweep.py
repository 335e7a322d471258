"""F33, F34: a sweep that is late, fails, or is requested while another one is running."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.control_plane.scheduler import Scheduler
from app.services.auto.sweep import Starts, Sweep
from tests.builders.databases import only_on_sqlite
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.agents.runs import until

# not a valid JSON list of labels
NO_LIST = '["ready-for-agent"'


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with the default settings."""
    with real_plane(tmp_path) as plane:
        yield plane


def real_sweep(
    plane: RealPlane, fill_auto: Callable[[datetime], int], *, is_open: bool = True
) -> Sweep:
    """Return another sweep over the same runs, with the test's own auto loop."""
    services = plane.services
    sweep = Sweep(
        services.context,
        services,
        services.reaper,
        services.launcher,
        services.limits,
        fill_auto,
        Starts(services.resume, services.batch_line),
    )
    if is_open:
        sweep.open()
    return sweep


def test_f33_a_sweep_that_is_a_minute_late_comes_once_and_not_never(plane: RealPlane) -> None:
    due = plane.launch(plane.add_project(), delay_seconds=60)
    plane.clock.advance(60)
    asked: list[str] = []

    def sweep() -> None:
        asked.append("sweep")
        plane.services.sweep.request()

    scheduler = Scheduler()
    scheduler.repeat(sweep, 30)
    scheduler.start()
    # as after a minute in which this process could not run
    [job] = scheduler._scheduler.get_jobs()
    job.modify(next_run_time=datetime.now(UTC) - timedelta(seconds=60))
    until(lambda: plane.run(due.id).status == "running", "the late sweep")
    scheduler.stop()
    # one sweep, not one for each that was missed
    assert len(asked) == 1


def test_f33_a_moment_that_has_passed_is_not_skipped() -> None:
    came = threading.Event()
    scheduler = Scheduler()
    scheduler.call_at(datetime.now(UTC) - timedelta(seconds=60), came.set)
    scheduler.start()
    assert came.wait(20)
    scheduler.stop()


@only_on_sqlite("PostgreSQL takes no labels that are no JSON")
@pytest.mark.expects_error_log
def test_f34_one_projects_trouble_ends_in_that_project(plane: RealPlane) -> None:
    broken, sound = plane.add_project("exit 1"), plane.add_project("exit 1")
    for project in (broken, sound):
        plane.add_issue(project)
    spoil(plane, broken.id, NO_LIST)
    for project in (broken, sound):
        plane.ledgers.projects.change(project.id, auto_enabled=True)
    plane.scheduler.repeat(plane.services.sweep.request, 0.2)
    plane.scheduler.start()
    until(lambda: plane.ledgers.runs.newest_of(sound.id, limit=1), "the sound one is swept")
    assert plane.ledgers.runs.newest_of(broken.id, limit=1) == []
    # the job survives, and the project is swept again once it is readable
    spoil(plane, broken.id, '["ready-for-agent"]')
    until(lambda: plane.ledgers.runs.newest_of(broken.id, limit=1), "the other, later")
    for project in (broken, sound):
        plane.ledgers.projects.change(project.id, auto_enabled=False)
    plane.scheduler.stop()


def spoil(plane: RealPlane, project_id: str, labels: str) -> None:
    """Write a value into every issue's labels, as another program could."""
    with plane.ledgers.tracker.stores.control.transaction() as tx:
        order = text("UPDATE issue SET labels = :labels WHERE project_id = :id")
        tx.execute(order, {"labels": labels, "id": project_id})


def test_whatever_is_asked_for_during_a_sweep_is_one_more_round(plane: RealPlane) -> None:
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def hold(now: datetime) -> int:
        begun.release()
        assert go_on.acquire(timeout=10)
        return 0

    sweep = real_sweep(plane, hold)
    run = plane.start_running(plane.add_project("exit 1", auto_enabled=True))
    plane.ears.wait_for(run.id, "gone")
    sweep.request_fill()
    assert begun.acquire(timeout=10)
    for _ in range(5):
        sweep.request_fill()
        sweep.request()
    assert plane.run(run.id).status == "running"
    go_on.release(2)
    plane.rest()
    # two sweeps in total, and the second was a complete one
    assert begun.acquire(blocking=False)
    assert not begun.acquire(blocking=False)
    assert plane.run(run.id).status == "died"


@pytest.mark.expects_error_log
def test_a_sweep_that_fails_is_not_the_last_one(plane: RealPlane) -> None:
    rounds: list[datetime] = []

    def fail_at_first(now: datetime) -> int:
        rounds.append(now)
        if len(rounds) == 1:
            raise OSError("the loop could not be filled")
        return 0

    sweep = real_sweep(plane, fail_at_first)
    plane.add_project(auto_enabled=True)
    for _ in range(2):
        sweep.request()
        plane.rest()
    assert len(rounds) == 2


def test_an_issue_whose_launch_fails_is_tried_once_a_tick_and_not_without_end(
    plane: RealPlane,
) -> None:
    project = plane.add_project(setup_command=["/bin/false"])
    plane.add_issue(project)
    plane.ledgers.projects.change(project.id, auto_enabled=True)
    for ticks in (1, 2):
        plane.services.sweep.request()
        plane.rest()
        plane.clock.advance(30)
        tried = plane.ledgers.runs.newest_of(project.id, limit=9)
        assert [run.status for run in tried] == ["not_started"] * ticks


def test_what_is_asked_for_before_a_start_has_taken_over_is_kept_until_then(
    plane: RealPlane,
) -> None:
    run = plane.launch(plane.add_project(), delay_seconds=60)
    plane.clock.advance(60)
    sweep = real_sweep(plane, lambda _: 0, is_open=False)
    sweep.request()
    plane.rest()
    assert plane.run(run.id).status == "delayed"
    sweep.open()
    plane.rest()
    assert plane.run(run.id).status == "running"


def test_a_run_that_takes_long_to_look_at_keeps_no_other_waiting(plane: RealPlane) -> None:
    slow, quick = plane.add_project("exit 1"), plane.add_project("exit 1")
    held, other = plane.start_running(slow), plane.start_running(quick)
    for run in (held, other):
        plane.ears.wait_for(run.id, "gone")
    with plane.locks.holding(f"merge {slow.id}"), plane.locks.holding(held.id):
        plane.services.sweep.tick_once(plane.clock())
        until(lambda: plane.run(other.id).released_at, "the other run's release")
    assert plane.run(held.id).status == "running"
    plane.tick()
    assert plane.run(held.id).status == "died"
