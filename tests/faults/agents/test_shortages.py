"""F22, F27, F30: causes of ends and failed launches, and those that are not a project's fault."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.adapters.git.command import Git, GitFailed, GitHadNoRoom
from app.adapters.git.environment import Identity
from app.adapters.git.remotes import explain
from app.adapters.supervisor.output import CappedLog
from app.domain.end_causes import ExitReason
from app.domain.words import Cause
from app.records.people.audit_ledger import Deed
from app.services.launch_errors import cause_of, sentence_of
from app.services.ports import CannotRead, DiskFull, LaunchFailed, OriginProblem
from tests.builders.repositories import tip_of
from tests.builders.rows import runs_of
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.agents.runs import RUN, Ears, KeepingEngine, order, shell


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with the default settings."""
    with real_plane(tmp_path) as plane:
        yield plane


# --- F22: exits and deliveries ------------------------------------------------------------------


def test_f22_an_agent_that_exits_0_with_nothing_has_died(plane: RealPlane) -> None:
    run = plane.see_end(plane.start_running_issue(plane.add_project("exit 0")))
    assert (run.status, run.cause, run.exit_code) == ("died", "no_delivery", 0)
    assert plane.project(run.project_id).strikes == 1


def test_f22_an_agent_that_exits_1_with_work_has_died_and_its_work_is_delivered_by_hand(
    plane: RealPlane,
) -> None:
    run = plane.see_end(plane.start_running_issue(plane.add_project(f"{COMMIT}; exit 1")))
    assert (run.status, run.cause, run.parked) == ("died", "exit_code", True)
    assert plane.project(run.project_id).strikes == 1
    deed = Deed(plane.person, "deliver", "deliver by a test", "corr")
    run, _ = plane.services.salvage.deliver(run.id, deed, None, plane.clock())
    assert run.delivery is not None
    assert run.delivery["state"] == "open"
    origin = Path(plane.project(run.project_id).origin)
    assert tip_of(origin, "refs/heads/afk/1") == run.head_sha
    # delivering the work later does not turn the run into a success
    assert (run.status, plane.project(run.project_id).strikes) == ("died", 1)


# --- F27: no room -------------------------------------------------------------------------------


class FullDisk:
    """A small file system mounted at one folder, to be filled and emptied."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Fill all free space."""
        with suppress(OSError), self._filler.open("wb", buffering=0) as file:
            for size in (65536, 1024, 1):
                with suppress(OSError):
                    while file.write(b"x" * size):
                        pass

    def empty(self) -> None:
        """Free the space again."""
        self._filler.unlink()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[FullDisk]:
    """Mount a small tmpfs at a folder inside the block; needs root."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield FullDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.soak
def test_f27_a_launch_without_room_says_so_and_the_next_one_works(plane: RealPlane) -> None:
    project = plane.add_project()
    issue = plane.add_issue(project).number
    with small_disk(plane.settings.runs_root / "copies", "300k") as disk:
        disk.fill()
        run = plane.launch(project, issue=issue)
        assert (run.status, run.cause) == ("not_started", "disk_full")
        assert (run.because or "").startswith("the disk is full: ")
        assert plane.project(project.id).strikes == 0
        disk.empty()
        assert plane.launch(project, issue=issue).status == "running"
        plane.rest()


@pytest.mark.soak
def test_f27_an_agent_that_fails_on_a_full_disk_is_not_to_blame(
    engine: KeepingEngine, ears: Ears, root: Path, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    text = f"echo begun; until test -e {go_on}; do sleep 0.02; done; yes | head -c 99999; exit 2"
    with small_disk(root, "300k") as disk:
        engine.start(order(RUN, tmp_path, shell(text)))
        ears.wait_for_text(RUN, b"begun")
        disk.fill()
        go_on.touch()
        ears.wait_for(RUN, "gone")
        sight = engine.see(RUN)
        assert sight.exit is not None
        assert (sight.exit.reason, sight.exit.code) == (ExitReason.DISK_FULL, 2)


def write_all(log: CappedLog, text: bytes) -> bool:
    """Write to a log; return True if the disk was full for it."""
    log.write(text)
    return log.is_disk_full


@pytest.mark.parametrize(
    ("number", "is_full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EFBIG, False)]
)
def test_f27_a_log_knows_whether_it_was_room_that_was_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_full: bool
) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    log = CappedLog(folder, 1000)
    assert not write_all(log, b"begun\n")

    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        assert write_all(log, b"lost\n") is is_full
    # there is room again
    assert not write_all(log, b"kept\n")
    log.close()
    os.close(folder)


def test_f27_a_git_that_has_no_room_is_known_by_its_words(tmp_path: Path) -> None:
    git = Git(Identity())
    with open("/dev/full", "wb") as full, pytest.raises(GitHadNoRoom) as met:
        git.run(["version"], output=full)
    assert isinstance(met.value, DiskFull | CannotRead)
    assert explain(met.value).cause is Cause.DISK_FULL


# --- causes of failed launches ------------------------------------------------------------------


def failed(said: str) -> OriginProblem:
    """Return the problem that git's message about origin is explained as."""
    return explain(GitFailed("git fetch failed", said))


def followed_from(problem: Exception, cause: Exception) -> Exception:
    """Return a failure as raised from another."""
    problem.__cause__ = cause
    return problem


NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("failure", "cause", "sentence"),
    [
        (failed("fatal: Authentication failed for 'https://x'"), Cause.AUTH, "refused the sign-in"),
        (failed("Permission denied (publickey)."), Cause.AUTH, "refused the sign-in"),
        (failed("Host key verification failed."), Cause.AUTH, "ssh key"),
        (failed("fatal: Could not resolve host: x"), Cause.NETWORK, "could not be found"),
        (failed("ssh: connect to host x: Connection refused"), Cause.NETWORK, "did not answer"),
        (failed("fatal: something new"), Cause.LAUNCH_FAILED, "something new"),
        (
            failed("remote: No space left on device\nfatal: early EOF"),
            Cause.LAUNCH_FAILED,
            "early EOF",
        ),
        (LaunchFailed("Gone.", cause=Cause.AGENT_MISSING), Cause.AGENT_MISSING, "Gone."),
        (LaunchFailed("It failed."), Cause.LAUNCH_FAILED, "It failed."),
        (followed_from(LaunchFailed("No."), NO_ROOM), Cause.DISK_FULL, "the disk is full: No."),
        (NO_ROOM, Cause.DISK_FULL, "the disk is full"),
        (OSError(errno.EIO, "Input/output error"), Cause.LAUNCH_FAILED, "Input/output error"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_failed_launch_is_put_down_to_what_is_known_and_nothing_else(
    failure: Exception, cause: Cause, sentence: str
) -> None:
    assert cause_of(failure) is cause
    assert sentence in sentence_of(failure)


def test_a_host_that_nobody_answers_for_is_the_networks(plane: RealPlane) -> None:
    project = plane.add_project()
    plane.ledgers.projects.change(project.id, origin="https://127.0.0.1:9/yard.git")
    run = plane.launch(project, issue=plane.add_issue(project).number)
    assert (run.status, run.cause) == ("not_started", "network")
    assert plane.project(project.id).strikes == 0


# --- F30: an origin that is away ----------------------------------------------------------------


def move(origin: Path) -> None:
    """Rename the folder."""
    origin.rename(origin.with_name("moved"))


def unmount(origin: Path) -> None:
    """Leave an empty folder, as an unmounted disk does."""
    move(origin)
    origin.mkdir()


def dangle(origin: Path) -> None:
    """Replace the folder with a dangling link."""
    move(origin)
    origin.symlink_to(origin.with_name("nowhere"))


def lock_up(origin: Path) -> None:
    """Make the folder inaccessible; skip as root, who can read everything."""
    origin.chmod(0)
    if os.access(origin, os.R_OK):
        pytest.skip("everything can be read by root: a folder with mode 000 is not shown")


@pytest.mark.parametrize("lose", [move, shutil.rmtree, unmount, dangle, lock_up])
def test_f30_a_project_whose_origin_is_away_is_told_and_the_others_go_on(
    plane: RealPlane, lose: Callable[[Path], None]
) -> None:
    away, sound = plane.add_project("exit 1"), plane.add_project("exit 1")
    lose(Path(away.origin))
    for project in (away, sound):
        plane.add_issue(project)
        plane.ledgers.projects.change(project.id, auto_enabled=True)
    plane.tick()
    [tried], [run] = (runs_of(plane.stores, project.id) for project in (away, sound))
    assert plane.see_end(run).cause == "exit_code"
    assert tried.status == "not_started"
    assert away.origin in (tried.because or "")
    # its card names the folder, nothing counts against it, and its issue waits for the folder
    plan = plane.services.afk.plan(away.id, plane.clock())
    assert away.origin in plan.because
    assert plane.project(away.id).strikes == 0
    assert plane.services.issues.all(away.id)[0].claimable
