"""Ends without a delivery: leftovers, strikes, and work that can still be recovered."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from app.domain.words import Status
from app.records.tables import Run
from tests.builders.repositories import tip_of
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane
from tests.fakes.agents.runs import is_living, script
from tests.fakes.planes import TwinPlane


def begin(plane: DrivenPlane | TwinPlane, agent: str | list[str], **settings: Any) -> Run:
    """Start a run of issue 1."""
    return plane.start_running_issue(plane.add_project(agent, **settings))


def strikes(plane: DrivenPlane, run: Run) -> int:
    return plane.project(run.project_id).strikes


def hold_of(plane: DrivenPlane, run: Run) -> str | None:
    return plane.services.issues.all(run.project_id)[0].hold


@pytest.mark.parametrize(
    ("agent", "cause", "because", "code", "signal_number"),
    [
        ("exit 0", "no_delivery", "agent exited 0, nothing delivered", 0, None),
        ("exit 3", "exit_code", "agent exited 3", 3, None),
        ("kill -9 $$", "signal", "killed by signal 9", None, 9),
        ("git checkout -q -b elsewhere && " + COMMIT, "no_delivery", None, 0, None),
        ("rm -rf .git", "no_delivery", None, 0, None),
    ],
)
def test_an_agent_that_delivers_nothing_dies_and_strikes(
    plane: RealPlane,
    agent: str,
    cause: str,
    because: str | None,
    code: int | None,
    signal_number: int | None,
) -> None:
    run = plane.see_end(begin(plane, agent))
    assert (run.status, run.cause) == ("died", cause)
    assert (run.exit_code, run.exit_signal) == (code, signal_number)
    assert because is None or run.because == because
    assert run.released_at is not None
    assert strikes(plane, run) == 1
    # the branch is the claim: the loop moves on and never picks this issue again
    assert plane.tip(run) == run.base_sha
    assert run.parked
    assert hold_of(plane, run) == "parked: afk/1"


def test_commits_of_an_agent_that_failed_are_salvage(plane: RealPlane) -> None:
    run = plane.see_end(begin(plane, f"{COMMIT} && exit 5"))
    assert (run.status, run.cause, run.parked) == ("died", "exit_code", True)
    assert plane.tip(run) == run.head_sha != run.base_sha
    assert plane.lines(run)[-1] == "afk/1 holds 1 commit"
    assert not plane.copy(run).exists()
    # nothing was pushed
    assert tip_of(Path(plane.project(run.project_id).origin), "refs/heads/afk/1") == ""


def test_work_that_is_not_committed_keeps_the_copy(plane: RealPlane) -> None:
    run = plane.see_end(begin(plane, "echo x > draft.txt; echo y > two.txt"))
    assert (run.status, run.cause, run.parked) == ("died", "no_delivery", True)
    assert (plane.copy(run) / "draft.txt").read_text() == "x\n"
    assert plane.lines(run)[-1] == "afk/1 holds 2 files not committed"


def test_a_delivered_run_with_work_left_over_keeps_its_copy(plane: RealPlane) -> None:
    run = plane.see_end(begin(plane, f"{COMMIT} && echo x > draft.txt"))
    assert (run.status, run.parked) == ("succeeded", True)
    assert (plane.copy(run) / "draft.txt").exists()
    assert run.delivery is not None
    # merging keeps the copy, too
    plane.services.changes.merge(run.project_id, run.delivery["number"], plane.clock())
    assert (plane.copy(run) / "draft.txt").exists()
    assert plane.tip(run) == run.head_sha


def test_the_supervisor_ends_a_run_at_its_deadline(plane: RealPlane) -> None:
    run = begin(plane, f"{COMMIT}; sleep 600", budget_seconds=1)
    assert run.deadline is not None
    assert (run.deadline - plane.clock()).total_seconds() == 1
    run = plane.see_end(run)
    assert (run.status, run.cause) == ("timed_out", "budget")
    assert strikes(plane, run) == 1
    assert plane.tip(run) == run.head_sha != run.base_sha
    assert run.parked


def test_f31_a_clock_that_jumps_times_nobody_out(twin: TwinPlane) -> None:
    run = begin(twin, "sleep 600")
    for seconds in (86400 * 2, -86400 * 4):
        twin.clock.advance(seconds)
        twin.tick()
        assert twin.run(run.id).status == "running"
    twin.stop_run(run)


def test_a_report_in_time_is_not_held_up_by_a_stopped_clock(twin: TwinPlane) -> None:
    run = begin(twin, COMMIT)
    twin.clock.advance(-3600)
    assert twin.see_end(run).status == "succeeded"


def end_supervisor(plane: RealPlane, run: Run) -> None:
    """Kill only the supervisor, as the out-of-memory killer might."""
    assert run.pid is not None
    os.kill(run.pid, signal.SIGKILL)
    plane.wait(lambda: not is_living(run.pid or 0), "the supervisor's end")


def test_a_run_whose_supervisor_is_gone_strikes_nothing_and_keeps_its_slot_unproved(
    plane: RealPlane,
) -> None:
    fifo = plane.folder / "gate"
    os.mkfifo(fifo)
    run = begin(plane, f"{COMMIT}; read line < '{fifo}'")
    end_supervisor(plane, run)
    run = plane.reap(run)
    assert (run.status, run.cause) == ("died", "session_gone")
    plane.reap(run)
    run = plane.run(run.id)
    assert run.released_at is None
    assert run.hold == "Couldn't confirm that its processes have exited"
    assert strikes(plane, run) == 0


def test_an_end_from_outside_is_no_strike(plane: RealPlane) -> None:
    run = begin(plane, "sleep 600")
    assert run.pid is not None
    os.kill(run.pid, signal.SIGTERM)
    run = plane.see_end(run)
    assert (run.status, run.cause) == ("died", "session_gone")
    assert run.because == "it was ended from outside Runyard"
    assert strikes(plane, run) == 0


def test_f17_what_an_agent_leaves_behind_is_ended_before_the_release(plane: RealPlane) -> None:
    pid_file = plane.folder / "daemon"
    run = begin(plane, script("leaves_daemon", pid_file))
    run = plane.see_end(run)
    assert run.released_at is not None
    assert not is_living(int(pid_file.read_text()))


def test_strikes_add_up_and_a_success_clears_them(twin: TwinPlane) -> None:
    project = twin.add_project("exit 1")
    for number in range(4):
        twin.add_issue(project)
        twin.finish(project, issue=number + 1)
        assert twin.project(project.id).strikes == number + 1
    # a plain run never changes the count
    twin.finish(project, task="plain")
    assert twin.project(project.id).strikes == 4
    twin.ledgers.projects.change(project.id, agent_command=["/bin/sh", "-c", COMMIT])
    twin.finish(project, task="plain")
    assert twin.project(project.id).strikes == 4
    last = twin.add_issue(project)
    assert twin.finish(project, issue=last.number).status == "succeeded"
    assert twin.project(project.id).strikes == 0


def test_f11_many_reapers_write_one_end(twin: TwinPlane) -> None:
    run = begin(twin, "exit 1")
    twin.world.end(run.id, 1)
    start = threading.Barrier(6)

    def reap() -> None:
        start.wait()
        twin.reaper.reap_once(run.id)

    reapers = [threading.Thread(target=reap) for _ in range(6)]
    for reaper in reapers:
        reaper.start()
    for reaper in reapers:
        reaper.join(30)
    twin.tick()
    assert strikes(twin, run) == 1
    kinds = twin.kinds(run)
    assert [kinds.count(kind) for kind in ("exited", "reaped", "kill_verified")] == [1, 1, 1]


def test_f34_one_run_that_cannot_be_looked_at_stops_no_other(plane: RealPlane) -> None:
    one, other = plane.add_project(), plane.add_project()
    broken, fine = plane.start_running_issue(one), plane.start_running(other)
    for run in (broken, fine):
        plane.ears.wait_for(run.id, "gone")
    mirror = plane.settings.runs_root / "mirrors" / f"{broken.project_id}.git"
    mirror.rename(mirror.with_suffix(".away"))
    plane.tick()
    assert plane.run(fine.id).status == "succeeded"
    # unchanged, and without a strike
    assert plane.run(broken.id).status == "running"
    assert strikes(plane, broken) == 0
    assert (plane.run(broken.id).hold or "").startswith("its work could not be read")
    mirror.with_suffix(".away").rename(mirror)
    plane.tick()
    assert plane.run(broken.id).status == "succeeded"
    assert plane.run(broken.id).hold is None


def test_f30_a_project_whose_origin_is_gone_holds_up_no_other(plane: RealPlane) -> None:
    gone, fine = plane.add_project(), plane.add_project()
    Path(gone.origin).rename(plane.folder / "moved")
    for project in (gone, fine):
        plane.ledgers.projects.change(project.id, state="cloning")
    runs = [plane.launch(project) for project in (gone, fine)]
    for project in (gone, fine):
        plane.ledgers.projects.change(project.id, state="ready")
    plane.tick()
    assert plane.run(runs[0].id).status == "not_started"
    assert plane.see_end(runs[1]).status == "succeeded"


@pytest.mark.parametrize("status", [Status.DIED, Status.SUCCEEDED])
def test_a_look_at_a_run_that_is_released_changes_nothing(twin: TwinPlane, status: Status) -> None:
    run = twin.see_end(begin(twin, COMMIT if status is Status.SUCCEEDED else "exit 1"))
    assert run.status == status
    before = twin.lines(run)
    for _ in range(2):
        twin.tick()
    assert twin.lines(run) == before
    assert twin.run(run.id) == run
