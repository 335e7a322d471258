"""The one launch path: whatever fails is undone in full and ends as not started, with a reason."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.lifecycle import Signal
from app.records.tables import Project, Run
from tests.agents_for_tests.runs import shell
from tests.planes import COMMIT, RealPlane, real_plane
from tests.repositories import commit_file, make_origin, run_git, tip_of


def hide_origin(plane: RealPlane, project: Project, run: Run) -> None:
    Path(project.origin).rename(plane.folder / "moved")


def lock_origin(plane: RealPlane, project: Project, run: Run) -> None:
    # as root every folder can be read: a file in its place cannot
    hide_origin(plane, project, run)
    Path(project.origin).write_text("no repository")


def lose_branch(plane: RealPlane, project: Project, run: Run) -> None:
    run_git(Path(project.origin), "checkout", "-q", "-b", "trunk")
    run_git(Path(project.origin), "branch", "-D", "main")


def lose_agent(plane: RealPlane, project: Project, run: Run) -> None:
    (plane.folder / "agent").unlink()


def forbid_agent(plane: RealPlane, project: Project, run: Run) -> None:
    (plane.folder / "agent").chmod(0o644)


def break_agent(plane: RealPlane, project: Project, run: Run) -> None:
    (plane.folder / "agent").write_text("#!/no/such/interpreter\n")


def overload_agent(plane: RealPlane, project: Project, run: Run) -> None:
    argv = [str(plane.folder / "agent"), "x" * 3_000_000]
    plane.ledgers.projects.change(project.id, agent_command=argv)


def set_up(*script: str) -> Callable[[RealPlane, Project, Run], None]:
    def change(plane: RealPlane, project: Project, run: Run) -> None:
        plane.ledgers.projects.change(project.id, setup_command=list(script))

    return change


def take_copy_place(plane: RealPlane, project: Project, run: Run) -> None:
    plane.copy(run).mkdir(parents=True)


MISSING = {"agent missing", "agent not executable", "agent's interpreter missing"}
FAILURES: dict[str, tuple[Callable[[RealPlane, Project, Run], None], str]] = {
    "origin gone": (hide_origin, "There is no folder"),
    "origin a file": (lock_origin, "is a file"),
    "branch gone": (lose_branch, "origin has no branch main any more"),
    "agent missing": (lose_agent, "was not found"),
    "agent not executable": (forbid_agent, "cannot be executed"),
    "agent's interpreter missing": (break_agent, "was not found"),
    "argv too long": (overload_agent, "too long"),
    "setup fails": (set_up("/bin/false"), "setup command exited 1"),
    "setup killed": (set_up("/bin/sh", "-c", "kill -9 $$"), "killed by signal 9"),
    "setup missing": (set_up("/no/such/setup"), "was not found"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_f23_a_launch_that_fails_leaves_nothing(plane: RealPlane, name: str) -> None:
    agent = plane.folder / "agent"
    agent.write_text("#!/bin/sh\nexit 0\n")
    agent.chmod(0o755)
    project = plane.add_project([str(agent)])
    issue = plane.add_issue(project)
    change, because = FAILURES[name]
    run = accept_held(plane, project, issue=issue.number)
    change(plane, project, run)
    run = go(plane, run)
    cause = "agent_missing" if name in MISSING else "launch_failed"
    assert (run.status, run.cause) == ("not_started", cause)
    assert because in (run.because or "")
    assert run.released_at == run.ended_at == plane.clock()
    assert run.started_at is None
    assert plane.is_gone(run)
    assert plane.lines(run)[-1] == f"not started: {run.because}"
    assert plane.project(project.id).strikes == 0
    # the issue can be taken again
    assert plane.services.issues.all(project.id)[0].claimable


def accept_held(plane: RealPlane, project: Project, **wishes: Any) -> Run:
    """A run that is accepted and waits: its project is not ready for a moment."""
    plane.ledgers.projects.change(project.id, state="cloning")
    run = plane.launch(project, **wishes)
    assert (run.status, run.hold) == ("queued", "the repository is being cloned")
    return run


def go(plane: RealPlane, run: Run) -> Run:
    """Let it be launched."""
    plane.ledgers.projects.change(run.project_id, state="ready")
    plane.tick()
    return plane.run(run.id)


def test_a_branch_that_is_taken_meanwhile_stays_as_it_is(plane: RealPlane) -> None:
    project = plane.add_project()
    issue = plane.add_issue(project)
    run = accept_held(plane, project, issue=issue.number)
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    run_git(mirror, "update-ref", "refs/heads/afk/1", "refs/remotes/origin/main")
    run = go(plane, run)
    assert (run.status, run.because) == ("not_started", "the branch afk/1 exists already")
    assert plane.tip(run) == tip_of(Path(project.origin))
    assert not plane.copy(run).exists()


@pytest.mark.parametrize("name", ["afk/1", "afk", "afk/1/more"])
def test_a_branch_that_somebody_pushed_is_found_before_an_agent_works(
    plane: RealPlane, name: str
) -> None:
    project = plane.add_project(f"touch {plane.folder}/worked")
    issue = plane.add_issue(project)
    run = accept_held(plane, project, issue=issue.number)
    run_git(Path(project.origin), "branch", name)
    pushed = commit_file(Path(project.origin), "later.txt")
    run = go(plane, run)
    assert (run.status, run.released_at, run.parked) == ("not_started", plane.clock(), True)
    assert run.because == (
        f"origin already has a branch {name}, so afk/1 could not be pushed; "
        "merge or delete it there, then discard afk/1 here"
    )
    assert not (plane.folder / "worked").exists()
    assert not plane.copy(run).exists()
    # the loop goes on to the next issue instead of trying this one again
    [view] = plane.services.issues.all(project.id)
    assert (view.hold or "").startswith("parked: afk/1")
    assert tip_of(Path(project.origin)) == pushed


def test_a_plain_run_whose_branch_cannot_be_pushed_leaves_nothing(plane: RealPlane) -> None:
    project = plane.add_project()
    run = accept_held(plane, project)
    run_git(Path(project.origin), "branch", "run")
    run = go(plane, run)
    assert (run.status, run.parked) == ("not_started", False)
    assert (run.because or "").startswith("origin already has a branch run, so run/")
    assert plane.is_gone(run)


def test_what_stands_at_the_copys_place_is_not_deleted(plane: RealPlane) -> None:
    project = plane.add_project()
    run = accept_held(plane, project)
    plane.copy(run).mkdir(parents=True)
    (plane.copy(run) / "mine").write_text("x")
    run = go(plane, run)
    assert run.status == "not_started"
    assert (plane.copy(run) / "mine").read_text() == "x"
    assert plane.tip(run) is None


def test_a_launch_takes_what_origin_has_now(plane: RealPlane) -> None:
    project = plane.add_project()
    new = commit_file(Path(project.origin), "later.txt")
    run = plane.finish(project)
    assert run.base_sha == new
    assert plane.kinds(run)[:5] == ["accepted", "taken", "claimed", "prepared", "spawned"]
    assert plane.lines(run)[2] == f"branch {run.work_branch} from main@{new[:7]}"


def test_the_agent_is_told_what_it_works_on(plane: RealPlane) -> None:
    project = plane.add_project('env; cat "$RUNYARD_PROMPT_FILE"; exit 1')
    issue = plane.add_issue(project, "Say hello", "Loudly.")
    run = plane.finish(project, issue=issue.number, model="m")
    told = plane.adapters.engine.log(run.id).read().content.decode()
    for line in (
        *(f"RUNYARD_RUN_ID={run.id}", f"RUNYARD_PROJECT={project.name}", "RUNYARD_ISSUE=1"),
        *("RUNYARD_BRANCH=afk/1", f"RUNYARD_BASE={run.base_sha}", "RUNYARD_DEPTH=quick"),
        *("RUNYARD_FRAMEWORK=auto", "Resolve issue #1: Say hello", "Loudly."),
    ):
        assert line in told.splitlines()
    assert "RUNYARD_DATABASE_URL" not in told


def test_listed_files_and_the_setup_command_come_before_the_agent(plane: RealPlane) -> None:
    origin = make_origin(
        plane.folder / "with", files={".runyardinclude": ".env\n", ".gitignore": ".env\n"}
    )
    (origin / ".env").write_text("secret\n")
    project = plane.add_project(
        "test \"$(cat .env made)\" = 'secret\nmade' && " + COMMIT,
        origin=origin,
        setup_command=["/bin/sh", "-c", "echo made > made; echo made >> .git/info/exclude"],
    )
    run = plane.finish(project)
    assert run.status == "succeeded"
    assert "1 files of .runyardinclude" in plane.lines(run)[3]


def test_more_runs_than_may_live_wait_with_a_sentence(tmp_path: Path) -> None:
    with real_plane(tmp_path, max_live_runs=2) as plane:
        fifo = plane.folder / "gate"
        os.mkfifo(fifo)
        project = plane.add_project(f"{COMMIT}; read line < '{fifo}'")
        runs = [plane.launch(project, task=str(number)) for number in range(3)]
        assert [run.status for run in runs] == ["running", "running", "queued"]
        assert runs[2].hold == "waits for a free slot: 2 of 2 runs are live"
        plane.tick()
        assert plane.run(runs[2].id) == runs[2]
        plane.stop_run(runs[0])
        plane.tick()
        assert plane.run(runs[2].id).status == "running"
        assert plane.run(runs[2].id).hold is None


def test_a_run_that_is_due_later_waits_and_then_starts(plane: RealPlane) -> None:
    project = plane.add_project()
    run = plane.launch(project, delay_seconds=60)
    assert (run.status, run.due_at) == ("delayed", plane.clock.advance(60))
    plane.clock.advance(-1)
    plane.tick()
    assert plane.run(run.id).status == "delayed"
    plane.clock.advance(1)
    plane.tick()
    assert plane.run(run.id).status == "running"


@pytest.mark.parametrize("delay", [None, 100])
def test_a_run_that_was_not_started_in_time_expires(plane: RealPlane, delay: int | None) -> None:
    project = plane.add_project()
    plane.ledgers.projects.change(project.id, state="cloning")
    run = plane.launch(project, ttl_seconds=60, delay_seconds=delay)
    # the time begins when it could have started
    plane.clock.advance(59 + (delay or 0))
    plane.tick()
    assert plane.run(run.id).status == "queued"
    plane.clock.advance(1)
    plane.tick()
    run = plane.run(run.id)
    assert (run.status, run.cause) == ("expired", "ttl")
    assert run.released_at == run.ended_at == plane.clock()


def test_runs_start_in_the_order_of_their_acceptance(tmp_path: Path) -> None:
    with real_plane(tmp_path, max_live_runs=1) as plane:
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


def test_runs_of_a_repository_that_could_not_be_cloned_are_not_started(plane: RealPlane) -> None:
    project = plane.add_project()
    run = accept_held(plane, project)
    plane.ledgers.projects.change(project.id, state="broken", state_because="No such host.")
    plane.tick()
    run = plane.run(run.id)
    assert (run.status, run.released_at) == ("not_started", plane.clock())
    assert "No such host." in (run.because or "")


def test_a_sweep_leaves_a_run_alone_that_waits_for_its_launch(tmp_path: Path) -> None:
    # taken from the queue, but every thread is busy with something else
    with real_plane(tmp_path, max_live_runs=40) as plane:
        project = plane.add_project(shell("exit 1"))
        go_on, busy = threading.Event(), threading.Semaphore(0)
        for _ in range(16):
            plane.workers.submit(lambda: (busy.release(), go_on.wait(10)))
        for _ in range(16):
            assert busy.acquire(timeout=5)
        run = plane.accept(plane.order(project))
        for _ in range(2):
            plane.services.sweep.tick_once(plane.clock())
        assert plane.run(run.id).status == "starting"
        go_on.set()
        plane.rest()
        assert plane.run(run.id).status == "running"
        plane.see_end(run)


def test_a_run_that_nobody_is_launching_is_undone(plane: RealPlane) -> None:
    # what a crash between the queue and the launch leaves
    project = plane.add_project()
    run = accept_held(plane, project)
    with plane.ledgers.runs.stores.control.transaction() as tx:
        moved = plane.ledgers.runs.move(
            tx, run, Signal.TAKEN, now=plane.clock(), kind="taken", sentence="taken"
        )
    assert moved is not None
    run = plane.reap(moved)
    assert (run.status, run.cause) == ("not_started", "launch_failed")
    assert run.released_at is not None


def test_a_launch_of_a_run_that_is_over_does_nothing(plane: RealPlane) -> None:
    run = plane.finish(plane.add_project())
    assert plane.services.sweep._launcher.launch_once(run.id) is False
    assert plane.run(run.id) == run
