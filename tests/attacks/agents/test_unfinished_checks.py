"""Commits whose check never finishes: the delivery gives up, and nothing is pushed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

from app.adapters.git import secret_scan
from app.errors import NotChecked
from app.records.people.audit_ledger import Deed
from app.records.tables import Project, Run
from app.services.lifecycle.deliver import PAUSES
from tests.builders.pushes import DIES, hooked, pushed
from tests.builders.repositories import run_git
from tests.drivers.planes import RealPlane, real_plane

UNCHECKED = "its commits could not be checked for secrets and large files"
# real git, except that the list of objects to measure never ends
HANGS = """#!/bin/sh
for word in "$@"; do [ "$word" = --filter-print-omitted ] && exec sleep 600; done
exec {git} "$@"
"""


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with the default settings."""
    with real_plane(tmp_path) as plane:
        yield plane


@pytest.fixture
def waiting(plane: RealPlane) -> tuple[Project, Run]:
    """A run whose commits were imported but not yet pushed, because its origin fails."""
    project, hook = hooked(plane, DIES)
    run = plane.see_end(plane.start_running_issue(project))
    assert run.status == "delivering"
    hook.unlink()
    return project, run


def look_again(plane: RealPlane, run: Run) -> Run:
    """Sweep again after the longest pause between delivery attempts; return the run."""
    plane.clock.advance(PAUSES.longest.total_seconds())
    plane.tick()
    return plane.run(run.id)


def looks_until_it_ends(plane: RealPlane, run: Run) -> int:
    """Return how many sweeps it takes until the run is no longer being delivered."""
    for look in range(1, 50):
        latest = look_again(plane, run)
        if latest.status != "delivering":
            return look
        assert (latest.hold or "").startswith(f"delivery waits: {UNCHECKED}")
    raise AssertionError("it is still being delivered")


def deliver(plane: RealPlane, run: Run, *, push_anyway: bool = False) -> Run:
    deed = Deed(plane.person, "deliver", "pushed anyway by a test", "corr")
    salvage = plane.services.salvage
    return salvage.deliver(run.id, deed, None, plane.clock(), push_anyway=push_anyway)[0]


def let_git_hang(folder: Path, monkeypatch: pytest.MonkeyPatch, *, seconds: float = 0.5) -> None:
    """Put a git whose object lists never end first on PATH, and shorten the check's time limit."""
    (folder / "bin").mkdir()
    (folder / "bin" / "git").write_text(HANGS.format(git=which("git")))
    (folder / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(secret_scan, "SIZE_SECONDS", seconds)


def test_work_that_git_never_lists_is_kept_and_a_person_decides(
    plane: RealPlane, waiting: tuple[Project, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, run = waiting
    with monkeypatch.context() as hanging:
        let_git_hang(plane.folder, hanging)
        assert looks_until_it_ends(plane, run) == 3
    ended = plane.run(run.id)
    assert (ended.status, ended.cause, ended.parked) == ("died", "push_refused", True)
    assert (ended.because or "").startswith(f"not pushed: {UNCHECKED}: ")
    assert (ended.because or "").endswith("git did not answer in time.")
    assert pushed(project, run) == ""
    # the failure is not the project's fault
    assert plane.project(project.id).strikes == 0
    plane.services.parked.all(plane.clock())
    plane.rest()
    [row] = plane.services.parked.all(plane.clock())
    assert (row.can_deliver, row.needs_push_anyway) == (True, True)
    assert row.because == ended.because


def test_a_person_who_delivers_unreadable_work_is_asked_whether_to_push_it_anyway(
    plane: RealPlane, waiting: tuple[Project, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, run = waiting
    monkeypatch.setattr(secret_scan, "SIZE_SECONDS", 0.0)
    looks_until_it_ends(plane, run)
    with pytest.raises(NotChecked, match=f"Not pushed: {UNCHECKED}: git did not answer in time"):
        deliver(plane, run)
    assert pushed(project, run) == ""
    done = deliver(plane, run, push_anyway=True)
    assert done.delivery is not None
    assert pushed(project, run) == done.delivery["head_sha"]
    # the answer is remembered: the merge does not ask again
    merged = plane.services.changes.merge(project.id, done.delivery["number"], plane.clock())
    assert merged.state == "merged"


def test_a_change_that_can_no_longer_be_read_is_merged_at_a_persons_word_only(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project()
    run = plane.finish(project)
    assert run.delivery is not None
    monkeypatch.setattr(secret_scan, "SIZE_SECONDS", 0.0)
    changes, number = plane.services.changes, run.delivery["number"]
    with pytest.raises(NotChecked, match=f"Not merged: {UNCHECKED}"):
        changes.merge(project.id, number, plane.clock())
    assert changes.merge(project.id, number, plane.clock(), push_anyway=True).state == "merged"


def test_a_history_that_lost_a_file_is_looked_at_for_an_hour_and_then_kept(
    plane: RealPlane, waiting: tuple[Project, Run]
) -> None:
    """An unsandboxed agent deletes an object from the mirror that the check has to read."""
    project, run = waiting
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    blob = run_git(mirror, "--git-dir=.", "rev-parse", f"{plane.tip(run)}:new.txt")
    for pack in (mirror / "objects" / "pack").glob("*.pack"):
        moved = pack.rename(mirror / "moved")
        pack.with_suffix(".idx").unlink()
        with moved.open("rb") as objects:
            unpack = ["git", "--git-dir", str(mirror), "unpack-objects", "-q"]
            subprocess.run(unpack, stdin=objects, check=True)
    (mirror / "objects" / blob[:2] / blob[2:]).unlink()
    assert looks_until_it_ends(plane, run) == 12
    ended = plane.run(run.id)
    assert (ended.status, ended.cause, ended.parked) == ("died", "push_refused", True)
    assert (ended.because or "").startswith(f"not pushed: {UNCHECKED}: ")
    assert pushed(project, run) == ""


def test_a_delivery_that_was_read_at_last_continues(
    plane: RealPlane, waiting: tuple[Project, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, run = waiting
    with monkeypatch.context() as slow:
        slow.setattr(secret_scan, "SIZE_SECONDS", 0.0)
        look_again(plane, run)
        assert look_again(plane, run).status == "delivering"
    done = look_again(plane, run)
    assert (done.status, done.cause) == ("succeeded", "delivered")
    assert pushed(project, run) == (done.delivery or {})["head_sha"]
