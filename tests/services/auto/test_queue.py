"""The queue: holds, order, and the fate of runs that are never launched."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import event

from app.domain.lifecycle import Signal
from app.records.tables import Run
from tests.builders.poison import unreadable
from tests.builders.waiting_runs import accept_held
from tests.drivers.planes import real_plane
from tests.fakes.agents.runs import shell
from tests.fakes.planes import TwinPlane, twin_plane


def test_more_runs_than_may_live_wait_with_a_sentence(tmp_path: Path) -> None:
    with twin_plane(tmp_path, max_live_runs=2) as plane:
        project = plane.add_project("sleep 60")
        runs = [plane.launch(project, task=str(number)) for number in range(3)]
        assert [run.status for run in runs] == ["running", "running", "queued"]
        assert runs[2].hold == "waits for other runs to end: 2 of 2 are live"
        plane.tick()
        assert plane.run(runs[2].id) == runs[2]
        plane.stop_run(runs[0])
        plane.tick()
        assert plane.run(runs[2].id).status == "running"
        assert plane.run(runs[2].id).hold is None


def test_a_run_that_is_due_later_waits_and_then_starts(twin: TwinPlane) -> None:
    project = twin.add_project()
    run = twin.launch(project, delay_seconds=60)
    assert (run.status, run.due_at) == ("delayed", twin.clock.advance(60))
    twin.clock.advance(-1)
    twin.tick()
    assert twin.run(run.id).status == "delayed"
    twin.clock.advance(1)
    twin.tick()
    assert twin.run(run.id).status == "running"


@pytest.mark.parametrize("delay", [None, 100])
def test_a_run_that_was_not_started_in_time_expires(twin: TwinPlane, delay: int | None) -> None:
    project = twin.add_project()
    twin.ledgers.projects.change(project.id, state="cloning")
    run = twin.launch(project, ttl_seconds=60, delay_seconds=delay)
    # the time to live starts when the run could have started
    twin.clock.advance(59 + (delay or 0))
    twin.tick()
    assert twin.run(run.id).status == "queued"
    twin.clock.advance(1)
    twin.tick()
    run = twin.run(run.id)
    assert (run.status, run.cause) == ("expired", "ttl")
    assert run.released_at == run.ended_at == twin.clock()


def test_a_run_expires_though_its_project_cannot_be_read(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.ledgers.projects.change(project.id, state="cloning")
    run = twin.launch(project, ttl_seconds=60)
    twin.clock.advance(60)
    with unreadable(twin, project):
        twin.tick()
    assert (twin.run(run.id).status, twin.run(run.id).cause) == ("expired", "ttl")


def test_runs_start_in_the_order_of_their_acceptance(tmp_path: Path) -> None:
    with twin_plane(tmp_path, max_live_runs=1) as plane:
        project = plane.add_project("exit 1")
        plane.ledgers.projects.change(project.id, state="cloning")
        runs = []
        for number in range(3):
            runs.append(plane.launch(project, task=str(number)))
            plane.clock.advance(1)
        plane.ledgers.projects.change(project.id, state="ready")
        plane.tick()
        started = [plane.run(run.id).status for run in runs]
        assert started == ["running", "queued", "queued"]
        plane.see_end(runs[0])
        plane.tick()
        assert plane.run(runs[1].id).status == "running"
        plane.see_end(runs[1])


def test_runs_of_a_repository_that_could_not_be_cloned_are_not_started(twin: TwinPlane) -> None:
    project = twin.add_project()
    run = accept_held(twin, project)
    twin.ledgers.projects.change(project.id, state="broken", state_because="No such host.")
    twin.tick()
    run = twin.run(run.id)
    assert (run.status, run.released_at) == ("not_started", twin.clock())
    assert "No such host." in (run.because or "")


def test_a_sweep_leaves_a_run_alone_that_waits_for_its_launch(tmp_path: Path) -> None:
    # taken from the queue while every thread is busy
    with real_plane(tmp_path, max_live_runs=40) as plane:
        project = plane.add_project(shell("exit 1"))
        go_on, busy = threading.Event(), threading.Semaphore(0)
        for _ in range(16):
            plane.workers.submit(lambda: (busy.release(), go_on.wait(10)))
        for _ in range(16):
            assert busy.acquire(timeout=20)
        run = plane.accept(plane.order(project))
        for _ in range(2):
            plane.services.sweep.tick_once(plane.clock())
        assert plane.run(run.id).status == "starting"
        go_on.set()
        plane.rest()
        assert plane.run(run.id).status == "running"
        plane.see_end(run)


def test_a_run_that_nobody_is_launching_is_undone(twin: TwinPlane) -> None:
    # the state after a crash between queue and launch
    project = twin.add_project()
    run = accept_held(twin, project)
    with twin.stores.owner_of(run.id).transaction() as tx:
        moved = twin.ledgers.runs.move(
            tx, run, Signal.TAKEN, now=twin.clock(), kind="taken", sentence="taken"
        )
    assert moved is not None
    run = twin.reap(moved)
    assert (run.status, run.cause) == ("queued", None)
    # the second time it ends
    with twin.stores.owner_of(run.id).transaction() as tx:
        moved = twin.ledgers.runs.move(
            tx, run, Signal.TAKEN, now=twin.clock(), kind="taken", sentence="taken"
        )
    assert moved is not None
    run = twin.reap(moved)
    assert (run.status, run.cause) == ("not_started", "launch_failed")
    assert run.released_at is not None


def test_a_launch_of_a_run_that_is_over_does_nothing(twin: TwinPlane) -> None:
    run = twin.finish(twin.add_project())
    assert twin.services.sweep._starter._launcher.launch_once(run.id) is False
    assert twin.run(run.id) == run


def test_a_start_reads_no_run_that_waits(tmp_path: Path) -> None:
    read: list[str] = []

    def note(run: Run, *_: object) -> None:
        read.append(run.id)

    with twin_plane(tmp_path, max_live_runs=1, run_quota=99, repo_concurrency=99) as plane:
        project = plane.add_project("sleep 60")
        live = plane.start_running(project)
        for number in range(20):
            plane.launch(project, task=str(number))
        event.listen(Run, "load", note)
        try:
            plane.recover_once()
            plane.tick()
        finally:
            event.remove(Run, "load", note)
    assert set(read) == {live.id}
