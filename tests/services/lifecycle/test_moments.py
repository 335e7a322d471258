"""Due work happens on time, and a failing run delays no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders.poison import unreadable
from tests.drivers.gates import Gate
from tests.drivers.planes import RealPlane
from tests.fakes.planes import TwinPlane


def test_a_delayed_run_starts_at_its_moment_and_not_at_the_next_tick(twin: TwinPlane) -> None:
    run = twin.launch(twin.add_project(), delay_seconds=1)
    assert run.status == "delayed"
    twin.scheduler.start()
    twin.clock.advance(1)
    twin.wait(lambda: twin.run(run.id).status == "running", "it runs")


@pytest.mark.parametrize("delays", [(1, 3600), (3600, 1)], ids=["first", "second"])
def test_of_delayed_runs_the_one_due_first_starts_first_whenever_it_was_accepted(
    twin: TwinPlane, delays: tuple[int, int]
) -> None:
    project = twin.add_project()
    runs = {
        delay: twin.accept(twin.order(project, task=f"in {delay} s", delay_seconds=delay))
        for delay in delays
    }
    twin.rest()
    twin.scheduler.start()
    twin.clock.advance(1)
    twin.wait(lambda: twin.run(runs[1].id).status == "running", "the one that is due runs")
    assert twin.run(runs[3600].id).status == "delayed"


def test_what_is_accepted_for_later_asks_for_no_sweep_of_its_own(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.ledgers.projects.change(project.id, state="cloning")
    waiting = twin.launch(project)
    twin.ledgers.projects.change(project.id, state="ready")
    twin.accept(twin.order(project, task="Later", delay_seconds=3600))
    twin.rest()
    assert twin.run(waiting.id).status == "queued"


def test_a_run_expires_at_its_moment_and_not_at_the_next_tick(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.ledgers.projects.change(project.id, state="cloning")
    run = twin.launch(project, ttl_seconds=1)
    assert run.status == "queued"
    twin.scheduler.start()
    twin.clock.advance(1)
    twin.wait(lambda: twin.run(run.id).status == "expired", "it is over")


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


def test_a_launch_that_was_held_up_is_given_up_before_its_agent(twin: TwinPlane) -> None:
    project = twin.add_project("touch ran")
    twin.ledgers.projects.change(project.id, state="cloning")
    run = twin.launch(project)
    twin.ledgers.projects.change(project.id, state="ready")
    with twin.locks.holding(run.id):
        twin.services.sweep.fill_once(twin.clock())
        twin.clock.advance(twin.settings.launch_seconds)
    twin.rest()
    assert twin.run(run.id).because == "its launch took longer than 15 minutes"
    assert twin.is_gone(twin.run(run.id))


def test_an_agent_that_nobody_wrote_down_is_adopted_however_late_it_is_found(
    twin: TwinPlane,
) -> None:
    run = twin.start_running(twin.add_project("exec sleep 60"))
    # the state after a crash between spawn and commit
    unwritten = {"status": "starting", "started_at": None, "pid": None, "deadline": None}
    twin.ledgers.runs.update_fields(run.id, run.project_id, **unwritten)
    twin.clock.advance(twin.settings.launch_seconds + 60)
    twin.services.sweep.fill_once(twin.clock())
    twin.rest()
    assert twin.run(run.id).status == "running"
    assert twin.look(run).alive


@pytest.mark.expects_error_log
def test_one_run_that_cannot_be_started_stops_no_other(twin: TwinPlane) -> None:
    broken, sound = twin.add_project(), twin.add_project()
    for project in (broken, sound):
        twin.ledgers.projects.change(project.id, state="cloning")
    runs = [twin.launch(project) for project in (broken, sound)]
    for project in (broken, sound):
        twin.ledgers.projects.change(project.id, state="ready")
    with unreadable(twin, broken):
        twin.tick()
    assert [twin.run(run.id).status for run in runs] == ["queued", "running"]
    twin.tick()
    assert twin.run(runs[0].id).status == "running"
