"""Stop: at every point of a run's life, without a strike, with nothing lost or left."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.errors import AlreadyEnded, NotFound
from app.records.tables import Run
from tests.builders.pushes import write_trusted_hook
from tests.builders.repositories import tip_of
from tests.drivers.gates import Gate
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane
from tests.fakes.agents.runs import script
from tests.fakes.planes import TwinPlane


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate that blocks a script until it is opened."""
    return Gate(tmp_path)


def strikes(plane: DrivenPlane, run: Run) -> int:
    return plane.project(run.project_id).strikes


def test_a_queued_run_is_stopped_at_once(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.ledgers.projects.change(project.id, state="cloning")
    run = twin.stop_run(twin.launch(project))
    assert (run.status, run.cause, run.because) == ("stopped", "stopped", "by a test")
    assert run.released_at == run.ended_at == twin.clock()
    twin.ledgers.projects.change(project.id, state="ready")
    twin.tick()
    assert twin.run(run.id) == run


def test_a_delayed_run_is_stopped_at_once(twin: TwinPlane) -> None:
    run = twin.stop_run(twin.launch(twin.add_project(), delay_seconds=60))
    twin.clock.advance(60)
    twin.tick()
    assert twin.run(run.id).status == "stopped"


def test_f12_a_run_that_is_stopped_while_it_is_launched_is_undone(
    plane: RealPlane, gate: Gate
) -> None:
    project = plane.add_project(setup_command=["/bin/sh", "-c", gate.wait])
    issue = plane.add_issue(project)
    run = plane.accept(plane.order(project, issue=issue.number))
    gate.await_arrival()
    assert plane.run(run.id).status == "starting"
    stopped = plane.services.stopper.stop(run.id, "by a test", plane.clock())
    # the end is written before the kill; the slot is kept until the exit is proved
    assert (stopped.status, stopped.released_at) == ("stopped", None)
    plane.rest()
    plane.tick()
    run = plane.run(run.id)
    assert run.status == "stopped"
    assert run.released_at is not None
    assert plane.is_gone(run)
    assert strikes(plane, run) == 0
    assert "spawned" not in plane.kinds(run)


def test_f16_a_running_run_is_stopped_and_its_work_is_kept(plane: RealPlane, gate: Gate) -> None:
    agent = f"{COMMIT}; echo x > draft.txt; {gate.wait}"
    project = plane.add_project(agent)
    run = plane.start_running_issue(project)
    gate.await_arrival()
    run = plane.stop_run(run)
    assert (run.status, run.cause) == ("stopped", "stopped")
    assert run.released_at is not None
    assert strikes(plane, run) == 0
    assert run.parked
    assert (plane.copy(run) / "draft.txt").exists()
    assert plane.tip(run) not in (None, run.base_sha)
    assert plane.look(run).tree_gone
    kinds = plane.kinds(run)
    assert kinds.index("reaped") < kinds.index("kill_sent") < kinds.index("kill_verified")


def test_f16_an_agent_that_ignores_the_request_is_killed(plane: RealPlane) -> None:
    project = plane.add_project(script("stubborn"))
    run = plane.start_running(project)
    plane.ears.wait_for_text(run.id, b"ready")
    run = plane.stop_run(run)
    assert run.released_at is not None
    assert plane.look(run).tree_gone


def test_a_run_that_waits_for_its_delivery_is_stopped(plane: RealPlane) -> None:
    project = plane.add_project()
    # the receiving hook dies, so it is unknown if the push was taken
    write_trusted_hook(plane, project, "pre-receive", "kill -9 $PPID")
    run = plane.see_end(plane.start_running_issue(project))
    assert run.status == "delivering"
    run = plane.stop_run(run)
    assert (run.status, run.delivery) == ("stopped", None)
    assert run.released_at is not None
    assert run.parked
    assert plane.tip(run) == run.head_sha
    assert run.hold is None


def test_a_stop_in_the_middle_of_a_push_waits_for_it(plane: RealPlane, gate: Gate) -> None:
    project = plane.add_project()
    write_trusted_hook(plane, project, "pre-receive", gate.wait)
    run = plane.start_running_issue(project)
    plane.ears.wait_for(run.id, "gone")
    refused: list[AlreadyEnded] = []

    def stop() -> None:
        try:
            plane.services.stopper.stop(run.id, "by a test", plane.clock())
        except AlreadyEnded as refusal:
            refused.append(refusal)

    reaping = threading.Thread(target=plane.reaper.reap_once, args=(run.id,))
    reaping.start()
    gate.await_arrival()
    stopping = threading.Thread(target=stop)
    stopping.start()
    gate.open()
    for thread in (reaping, stopping):
        thread.join(30)
    plane.rest()
    run = plane.run(run.id)
    assert (run.status, len(refused)) == ("succeeded", 1)
    assert tip_of(Path(project.origin), "refs/heads/afk/1") == run.head_sha


@pytest.mark.parametrize("agent", [COMMIT, "exit 1"])
def test_a_run_that_is_over_cannot_be_stopped(twin: TwinPlane, agent: str) -> None:
    run = twin.finish(twin.add_project(agent))
    with pytest.raises(AlreadyEnded):
        twin.services.stopper.stop(run.id, "late", twin.clock())
    assert twin.run(run.id) == run


def test_a_run_is_stopped_once(twin: TwinPlane) -> None:
    run = twin.stop_run(twin.start_running(twin.add_project("sleep 600")))
    with pytest.raises(AlreadyEnded):
        twin.services.stopper.stop(run.id, "again", twin.clock())


def test_nothing_can_be_stopped_that_is_not_there(twin: TwinPlane) -> None:
    with pytest.raises(NotFound):
        twin.services.stopper.stop("run_none", "x", twin.clock())


def test_of_many_stops_at_once_one_wins(twin: TwinPlane) -> None:
    run = twin.start_running(twin.add_project("sleep 600"))
    start, refused = threading.Barrier(5), []

    def stop() -> None:
        start.wait()
        try:
            twin.services.stopper.stop(run.id, "by a test", twin.clock())
        except AlreadyEnded as refusal:
            refused.append(refusal)

    threads = [threading.Thread(target=stop) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    twin.rest()
    assert len(refused) == 4
    assert twin.run(run.id).released_at is not None
    assert twin.kinds(run).count("reaped") == 1


def test_f12_a_stop_that_meets_the_end_leaves_one_end(plane: RealPlane) -> None:
    project = plane.add_project("exit 1")
    for number in range(3):
        plane.add_issue(project)
        run = plane.start_running(project, issue=number + 1)
        before = strikes(plane, run)
        plane.ears.wait_for(run.id, "exit")
        start, refused = threading.Barrier(2), []

        def stop(run_id: str = run.id, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                plane.services.stopper.stop(run_id, "by a test", plane.clock())
            except AlreadyEnded as refusal:
                refused.append(refusal)  # noqa: B023

        stopping = threading.Thread(target=stop)
        stopping.start()
        start.wait()
        plane.reaper.reap_once(run.id)
        stopping.join(30)
        plane.ears.wait_for(run.id, "gone")
        plane.tick()
        run = plane.run(run.id)
        assert run.status == ("died" if refused else "stopped")
        assert strikes(plane, run) == before + len(refused)
        assert plane.kinds(run).count("reaped") == 1
        assert run.released_at is not None


def test_a_stop_ends_a_setup_command_that_goes_on_and_the_agent_never_starts(
    plane: RealPlane, gate: Gate, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    setup = ["/bin/sh", "-c", gate.wait]
    project = plane.add_project(f"touch {begun}", setup_command=setup)
    run = plane.accept(plane.order(project))
    gate.await_arrival()
    stopped = plane.stop_run(plane.run(run.id))
    assert stopped.status == "stopped"
    plane.tick()
    assert plane.run(run.id).released_at is not None
    assert not begun.exists()
    assert not plane.copy(run).exists()
