"""Work that real git leaves in a copy keeps the copy, even after delivery and with age."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.failpoints import FailpointHit
from app.records.tables import Run
from tests.builders.repositories import make_origin, run_git
from tests.builders.working_copies import DAY, HOUR, clear, copies, left_run, pass_by
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import RealPlane, real_plane
from tests.drivers.servers.processes import ROOT

Mess = Callable[[Path], object]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    with real_plane(tmp_path_factory.mktemp("copies")) as plane:
        yield plane


def commit(copy: Path, *how: str) -> None:
    run_git(copy, "commit", "-q", "--allow-empty", "-m", "More", *how)


def change(copy: Path) -> None:
    (copy / "new.txt").write_text("changed\n")


def delete(copy: Path) -> None:
    (copy / "new.txt").unlink()


def add(copy: Path) -> None:
    (copy / "folder").mkdir()
    (copy / "folder" / "more.txt").write_text("mine\n")


def stage(copy: Path) -> None:
    add(copy)
    run_git(copy, "add", "-A")


def stash(copy: Path) -> None:
    change(copy)
    run_git(copy, "stash", "-q")
    assert run_git(copy, "status", "--porcelain") == ""


def stash_twice(copy: Path) -> None:
    stash(copy)
    delete(copy)
    run_git(copy, "stash", "-q")
    run_git(copy, "pack-refs", "--all")


def commit_on_the_branch(copy: Path) -> None:
    commit(copy)


def commit_on_another_branch(copy: Path) -> None:
    before = run_git(copy, "symbolic-ref", "--short", "HEAD")
    run_git(copy, "switch", "-q", "-c", "aside")
    commit(copy)
    run_git(copy, "switch", "-q", before)


def commit_without_a_branch(copy: Path) -> None:
    run_git(copy, "switch", "-q", "--detach")
    commit(copy)


def tag_a_commit(copy: Path) -> None:
    tip = run_git(copy, "rev-parse", "HEAD")
    commit(copy)
    run_git(copy, "tag", "-a", "-m", "Kept", "kept")
    run_git(copy, "reset", "-q", "--hard", tip)


def commit_in_a_locked_worktree(copy: Path) -> None:
    other = copy.with_name(f"{copy.name}-linked")
    run_git(copy, "worktree", "add", "-q", "--detach", str(other))
    run_git(copy, "worktree", "lock", str(other))
    commit(other)


def fill_a_submodule(copy: Path) -> None:
    origin = make_origin(copy.parents[2] / f"part-{copy.name}")
    allowed = ("-c", "protocol.file.allow=always")
    run_git(copy, *allowed, "submodule", "add", "-q", str(origin), "part")
    commit(copy, "-a")


def lose_its_git_folder(copy: Path) -> None:
    shutil.rmtree(copy / ".git")


def replace_its_head(copy: Path) -> None:
    (copy / ".git" / "HEAD").unlink()
    (copy / ".git" / "HEAD").mkdir()


def nest_a_repository(copy: Path) -> None:
    make_origin(copy / "nested")


STAYS: list[Mess] = [
    change,
    delete,
    add,
    stage,
    stash,
    stash_twice,
    commit_on_the_branch,
    commit_on_another_branch,
    commit_without_a_branch,
    tag_a_commit,
    commit_in_a_locked_worktree,
    fill_a_submodule,
    nest_a_repository,
    lose_its_git_folder,
    replace_its_head,
]


@pytest.fixture(scope="module")
def left(plane: RealPlane, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A delivered run, and how its copy looked before any work was left in it."""
    run = left_run(plane)
    clean = tmp_path_factory.mktemp("clean") / "copy"
    shutil.copytree(plane.copy(run), clean, symlinks=True)
    return run, clean


@pytest.mark.parametrize("mess", STAYS, ids=lambda mess: mess.__name__)
def test_a_copy_with_work_of_its_own_stays(
    plane: RealPlane, left: tuple[Run, Path], mess: Mess
) -> None:
    run, clean = left
    shutil.rmtree(plane.copy(run))
    shutil.copytree(clean, plane.copy(run), symlinks=True)
    mess(plane.copy(run))
    assert pass_by(plane, 4000) == 0
    assert plane.copy(run).is_dir()
    assert plane.run(run.id).parked


def ignore(copy: Path) -> None:
    (copy / "built").mkdir()
    (copy / "built" / ".gitignore").write_text("*\n")
    (copy / "built" / "noise.o").write_text("noise\n")


def stay_detached(copy: Path) -> None:
    run_git(copy, "switch", "-q", "--detach")


def branch_off(copy: Path) -> None:
    run_git(copy, "branch", "also")


def lock_its_index(copy: Path) -> None:
    (copy / ".git" / "index.lock").touch()


@pytest.mark.parametrize(
    "mess", [ignore, stay_detached, branch_off, lock_its_index], ids=lambda mess: mess.__name__
)
def test_a_copy_with_nothing_of_its_own_goes(plane: RealPlane, mess: Mess) -> None:
    run = left_run(plane)
    mess(plane.copy(run))
    tip = plane.tip(run)
    assert pass_by(plane, 31) == 1
    assert not plane.copy(run).exists()
    assert plane.tip(run) == tip is not None


# as a server killed in the middle of a delete: half of the copy is gone
HALF = """
import os, signal, sys
from pathlib import Path
from app.adapters.git import layout
from app.adapters.git.command import Git, Identity
from app.adapters.git.working_copies import GitWorkingCopies

root, run_id = Path(sys.argv[1]), sys.argv[2]
copies = GitWorkingCopies(root / "copies", root / "mirrors", git=Git(Identity()))
rmtree = layout.shutil.rmtree

def half(name, dir_fd):
    rmtree(os.path.join(name, run_id, ".git"), dir_fd=dir_fd)
    os.kill(os.getpid(), signal.SIGKILL)

layout.shutil.rmtree = half
copies.remove(run_id)
"""


def test_a_removal_that_was_killed_half_way_is_finished_and_the_branch_stays(
    tmp_path: Path,
) -> None:
    with real_plane(tmp_path) as plane:
        run = left_run(plane)
        tip, root = plane.tip(run), plane.settings.runs_root
    done = subprocess.run(
        [sys.executable, "-c", HALF, str(root), run.id],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr.decode()
    assert [path.name for path in (root / "copies").iterdir()] != []
    with real_plane(tmp_path) as heir:
        heir.recover_once()
        assert pass_by(heir, 31) == 0
        assert (copies(heir).usage().kept, heir.tip(run)) == (0, tip)
        assert list((root / "copies").iterdir()) == []
        assert list((root / "looks").iterdir()) == []


def test_a_round_that_was_killed_after_it_said_so_removes_the_copy_at_the_next(
    tmp_path: Path,
) -> None:
    with real_plane(tmp_path) as plane:
        run = left_run(plane)
        fail_at("retention.before_removal")
        plane.clock.advance(31 * DAY)
        clear(plane)
        plane.clock.advance(HOUR)
        with pytest.raises(FailpointHit):
            clear(plane)
        now, copy = plane.clock.now, plane.copy(run)
        assert copy.is_dir()
    clear_failpoints()
    with real_plane(tmp_path) as heir:
        heir.clock.now = now
        assert pass_by(heir, 0) == 1
        assert not copy.exists()
        told = [line for line in heir.lines(run) if "working copy was removed" in line]
        assert told == ["The working copy was removed after 30 days."]
        assert not heir.run(run.id).parked
