"""Due work happens on time, and a failing run delays no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.poison import unreadable
from tests.drivers.gates import Gate
from tests.drivers.planes import RealPlane


def test_a_delayed_run_starts_at_its_moment_and_not_at_the_next_tick(plane: RealPlane) -> None:
    run = plane.launch(plane.add_project(), delay_seconds=1)
    assert run.status == "delayed"
    plane.scheduler.start()
    plane.clock.advance(1)
    plane.wait(lambda: plane.run(run.id).status == "running", "it runs")


@pytest.mark.parametrize("delays", [(1, 3600), (3600, 1)], ids=["first", "second"])
def test_of_delayed_runs_the_one_due_first_starts_first_whenever_it_was_accepted(
    plane: RealPlane, delays: tuple[int, int]
) -> None:
    project = plane.add_project()
    runs = {
        delay: plane.accept(plane.order(project, task=f"in {delay} s", delay_seconds=delay))
        for delay in delays
    }
    plane.rest()
    plane.scheduler.start()
    plane.clock.advance(1)
    plane.wait(lambda: plane.run(runs[1].id).status == "running", "the one that is due runs")
    assert plane.run(runs[3600].id).status == "delayed"


def test_what_is_accepted_for_later_asks_for_no_sweep_of_its_own(plane: RealPlane) -> None:
    project = plane.add_project()
    plane.ledgers.projects.change(project.id, state="cloning")
    waiting = plane.launch(project)
    plane.ledgers.projects.change(project.id, state="ready")
    plane.accept(plane.order(project, task="Later", delay_seconds=3600))
    plane.rest()
    assert plane.run(waiting.id).status == "queued"


def test_a_run_expires_at_its_moment_and_not_at_the_next_tick(plane: RealPlane) -> None:
    project = plane.add_project()
    plane.ledgers.projects.change(project.id, state="cloning")
    run = plane.launch(project, ttl_seconds=1)
    assert run.status == "queued"
    plane.scheduler.start()
    plane.clock.advance(1)
    plane.wait(lambda: plane.run(run.id).status == "expired", "it is over")


def test_the_launch_deadline_ends_a_launch_wherever_it_is(plane: RealPlane, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    project = plane.add_project("exit 1", setup_command=["/bin/sh", "-c", gate.wait])
    run = plane.accept(plane.order(project))
    gate.await_arrival()
    plane.clock.advance(plane.settings.launch_seconds - 1)
    plane.services.sweep.fill_once(plane.clock())
    assert plane.run(run.id).status == "starting"
    plane.clock.advance(1)
    plane.services.sweep.fill_once(plane.clock())
    assert plane.run(run.id).status == "not_started"
    plane.rest()
    ended = plane.run(run.id)
    assert ended.because == "its launch took longer than 15 minutes"
    assert ended.released_at is not None
    assert plane.is_gone(ended)


def test_a_launch_that_was_held_up_is_given_up_before_its_agent(plane: RealPlane) -> None:
    project = plane.add_project("touch ran")
    plane.ledgers.projects.change(project.id, state="cloning")
    run = plane.launch(project)
    plane.ledgers.projects.change(project.id, state="ready")
    with plane.locks.holding(run.id):
        plane.services.sweep.fill_once(plane.clock())
        plane.clock.advance(plane.settings.launch_seconds)
    plane.rest()
    assert plane.run(run.id).because == "its launch took longer than 15 minutes"
    assert plane.is_gone(plane.run(run.id))


def test_an_agent_that_nobody_wrote_down_is_adopted_however_late_it_is_found(
    plane: RealPlane,
) -> None:
    run = plane.start_running(plane.add_project("exec sleep 60"))
    # the state after a crash between spawn and commit
    unwritten = {"status": "starting", "started_at": None, "pid": None, "deadline": None}
    plane.ledgers.runs.update_fields(run.id, run.project_id, **unwritten)
    plane.clock.advance(plane.settings.launch_seconds + 60)
    plane.services.sweep.fill_once(plane.clock())
    plane.rest()
    assert plane.run(run.id).status == "running"
    assert plane.look(run).alive


@pytest.mark.expects_error_log
def test_one_run_that_cannot_be_started_stops_no_other(plane: RealPlane) -> None:
    broken, sound = plane.add_project(), plane.add_project()
    for project in (broken, sound):
        plane.ledgers.projects.change(project.id, state="cloning")
    runs = [plane.launch(project) for project in (broken, sound)]
    for project in (broken, sound):
        plane.ledgers.projects.change(project.id, state="ready")
    with unreadable(plane, broken):
        plane.tick()
    assert [plane.run(run.id).status for run in runs] == ["queued", "running"]
    plane.tick()
    assert plane.run(runs[0].id).status == "running"
