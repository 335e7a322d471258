"""F29: obstacles in a run's copy, its mirror or the origin; nobody's work is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.adapters.git import command
from app.adapters.git.environment import SETTINGS
from app.records.tables import Project, Run
from tests.builders.repositories import commit_file, run_git, tip_of
from tests.drivers.planes import COMMIT, RealPlane, real_plane

LOCKED = "touch .git/index.lock"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with the default settings."""
    with real_plane(tmp_path) as plane:
        yield plane


def mirror_of(plane: RealPlane, project: Project) -> Path:
    """Return the path of a project's mirror."""
    return plane.settings.runs_root / "mirrors" / f"{project.id}.git"


def held(plane: RealPlane, project: Project) -> Run:
    """Accept a run of a new issue and keep it queued until `let_go`."""
    issue = plane.add_issue(project).number
    plane.ledgers.projects.change(project.id, state="cloning")
    run = plane.launch(project, issue=issue)
    assert run.status == "queued"
    return run


def let_go(plane: RealPlane, run: Run) -> Run:
    """Launch the held run; return it."""
    plane.ledgers.projects.change(run.project_id, state="ready")
    plane.tick()
    return plane.run(run.id)


# --- before an agent works ----------------------------------------------------------------------


def leave_a_copy(plane: RealPlane, project: Project, run: Run) -> Path:
    """Leave a clone with other work in the place of the run's working copy."""
    plane.copy(run).parent.mkdir(parents=True, exist_ok=True)
    run_git(Path(project.origin), "clone", "-q", ".", str(plane.copy(run)))
    return plane.copy(run)


def leave_a_branch(plane: RealPlane, project: Project, run: Run) -> Path:
    """Create the run's branch in the mirror."""
    mirror = mirror_of(plane, project)
    run_git(mirror, "update-ref", "refs/heads/afk/1", "refs/remotes/origin/main")
    return Path(project.origin)


def check_it_out(plane: RealPlane, project: Project, run: Run) -> Path:
    """Check out the run's branch in the person's own checkout."""
    run_git(Path(project.origin), "checkout", "-q", "-b", "afk/1")
    return Path(project.origin)


def check_it_out_elsewhere(plane: RealPlane, project: Project, run: Run) -> Path:
    """Check out the run's branch in a second worktree of the person's."""
    place = plane.folder / "second"
    run_git(Path(project.origin), "worktree", "add", "-q", "-b", "afk/1", str(place))
    return place


IN_THE_WAY: dict[str, tuple[Callable[[RealPlane, Project, Run], Path], str]] = {
    "stale copy": (leave_a_copy, "There is a working copy of"),
    "branch exists": (leave_a_branch, "the branch afk/1 exists already"),
    "checked out": (check_it_out, "origin already has a branch afk/1"),
    "checked out elsewhere": (check_it_out_elsewhere, "origin already has a branch afk/1"),
}


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_f29_what_stands_in_the_way_is_named_and_stays_as_it_is(
    plane: RealPlane, name: str
) -> None:
    put, because = IN_THE_WAY[name]
    project = plane.add_project(f"touch {plane.folder}/worked")
    run = held(plane, project)
    place = put(plane, project, run)
    (place / "mine.txt").write_text("not committed\n")
    before = run_git(place, "status", "--porcelain", "--branch"), tip_of(place)
    run = let_go(plane, run)
    assert (run.status, because in (run.because or "")) == ("not_started", True), run.because
    assert run.released_at == run.ended_at
    assert (run_git(place, "status", "--porcelain", "--branch"), tip_of(place)) == before
    assert (place / "mine.txt").read_text() == "not committed\n"
    assert not (plane.folder / "worked").exists()
    assert plane.project(project.id).strikes == 0


def test_f29_a_lock_in_the_persons_checkout_is_not_ours_to_mind(plane: RealPlane) -> None:
    project = plane.add_project()
    lock = Path(project.origin) / ".git" / "index.lock"
    lock.touch()
    (Path(project.origin) / "mine.txt").write_text("not committed\n")
    run = plane.see_end(plane.start_running_issue(project))
    assert run.status == "succeeded"
    assert lock.exists()
    assert (Path(project.origin) / "mine.txt").read_text() == "not committed\n"


def test_f29_a_lock_on_the_claim_fails_one_launch_and_no_later_one(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    # git would wait five seconds for the lock
    brief = (*SETTINGS, "core.filesRefLockTimeout=200")
    monkeypatch.setattr(command, "SETTINGS", brief)
    project = plane.add_project()
    run = held(plane, project)
    lock = mirror_of(plane, project) / "refs/heads/afk/1.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    run = let_go(plane, run)
    assert (run.status, plane.project(project.id).strikes) == ("not_started", 0), run.because
    assert f"{lock}, which another git holds or has left" in (run.because or "")
    lock.unlink()
    assert plane.see_end(plane.start_running(project, issue=run.issue)).status == "succeeded"


# --- after an agent has worked ------------------------------------------------------------------


def test_f29_a_lock_that_a_killed_git_left_holds_up_no_delivery(plane: RealPlane) -> None:
    run = plane.see_end(plane.start_running_issue(plane.add_project(f"{COMMIT} && {LOCKED}")))
    assert (run.status, run.parked) == ("succeeded", False), run.because
    assert not plane.copy(run).exists()


def test_f29_a_lock_that_a_killed_git_left_hides_no_uncommitted_work(plane: RealPlane) -> None:
    agent = f"echo half > half.txt; {LOCKED}; exit 3"
    run = plane.see_end(plane.start_running_issue(plane.add_project(agent)))
    assert (run.status, run.cause, run.parked) == ("died", "exit_code", True)
    assert (plane.copy(run) / "half.txt").read_text() == "half\n"
    # neither a restart nor the next sweep removes it
    plane.recover_once()
    plane.tick()
    assert (plane.copy(run) / "half.txt").read_text() == "half\n"


def test_f29_a_branch_that_is_checked_out_meanwhile_is_not_moved_under_its_person(
    plane: RealPlane,
) -> None:
    fifo = plane.folder / "gate"
    project = plane.add_project(f"{COMMIT}; while ! test -e {fifo}; do sleep 0.02; done")
    origin = Path(project.origin)
    run = plane.start_running_issue(project)
    run_git(origin, "checkout", "-q", "-b", "afk/1")
    theirs = commit_file(origin, "theirs.txt")
    (origin / "mine.txt").write_text("not committed\n")
    fifo.touch()
    run = plane.see_end(run)
    assert (run.status, run.cause) == ("died", "push_refused"), run.because
    assert plane.project(project.id).strikes == 0
    assert (tip_of(origin), (origin / "mine.txt").read_text()) == (theirs, "not committed\n")
    # the agent's commits are parked, to be delivered by hand
    assert run.parked
    assert plane.tip(run) == run.head_sha != run.base_sha
