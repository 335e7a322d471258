"""Launches: any failure is fully undone and ends as not started, with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.records.tables import Project, Run
from tests.builders.repositories import commit_file, make_origin, run_git, tip_of
from tests.builders.waiting_runs import accept_held, go
from tests.drivers.planes import COMMIT, RealPlane


def hide_origin(plane: RealPlane, project: Project, run: Run) -> None:
    Path(project.origin).rename(plane.folder / "moved")


def lock_origin(plane: RealPlane, project: Project, run: Run) -> None:
    # root can read any folder, but not a file in its place
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
    "branch gone": (lose_branch, "origin no longer has a branch main"),
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
    # the issue is claimable again
    assert plane.services.issues.all(project.id)[0].claimable


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
    # the loop moves on to the next issue instead of retrying this one
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
