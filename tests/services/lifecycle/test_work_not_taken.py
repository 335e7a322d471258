"""Work that could not be imported: faults are retried, and evidence against the agent counts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.git import command
from app.domain.words import Cause
from app.records.tables import Run
from app.services.lifecycle import reap
from tests.drivers.planes import COMMIT, RealPlane

TAMPERING = {
    "the copy is gone": 'rm -rf "$PWD"',
    "the git folder is gone": "rm -rf .git",
    "the git folder is a link": 'mv .git "$PWD/../aside"; ln -s "$PWD/../aside" .git',
    "the branch is gone": "git checkout -q -b other && git branch -q -D afk/1",
    "objects of another place": "echo /elsewhere >> .git/objects/info/alternates",
    "a branch that names nothing": "echo nonsense > .git/refs/heads/afk/1",
    "an object is damaged": (
        f"{COMMIT}; for f in .git/objects/??/*; do chmod 600 $f; echo bad > $f; done"
    ),
}
Away = Callable[[RealPlane, Run], Path]


def copies(plane: RealPlane, run: Run) -> Path:
    return plane.copy(run).parent


def mirror(plane: RealPlane, run: Run) -> Path:
    return plane.settings.runs_root / "mirrors" / f"{run.project_id}.git"


def begin(plane: RealPlane, agent: str) -> Run:
    """Return a run of issue 1 whose agent has ended but that was not checked since."""
    run = plane.start_running_issue(plane.add_project(agent))
    plane.ears.wait_for(run.id, "gone")
    return run


def notes(plane: RealPlane, run: Run) -> list[str]:
    return [line for line in plane.lines(run) if line.startswith("not taken over: ")]


@pytest.mark.parametrize("tampering", TAMPERING.values(), ids=TAMPERING.keys())
def test_what_an_agent_made_unacceptable_is_told_once_and_counts(
    plane: RealPlane, tampering: str
) -> None:
    run = begin(plane, tampering)
    for _ in range(2):
        run = plane.reap(run)
    assert (run.status, run.cause) == ("died", Cause.NO_DELIVERY)
    assert len(notes(plane, run)) == 1
    assert plane.project(run.project_id).strikes == 1
    # all that is there is kept, including the claim
    assert run.parked
    assert plane.tip(run) == run.base_sha
    assert 'rm -rf "$PWD"' in tampering or plane.copy(run).is_dir()


@pytest.mark.parametrize("place", [copies, mirror])
def test_a_place_of_ours_that_is_away_proves_nothing(plane: RealPlane, place: Away) -> None:
    run = begin(plane, COMMIT)
    here = place(plane, run)
    away = here.rename(here.with_name("away"))
    for _ in range(3):
        plane.tick()
        run = plane.run(run.id)
        assert (run.status, run.ended_at, run.released_at) == ("running", None, None)
    assert (run.hold or "").startswith("its work could not be read; retrying: ")
    assert plane.kinds(run)[-1] == "spawned"
    away.rename(here)
    plane.tick()
    run = plane.run(run.id)
    assert (run.status, run.hold, notes(plane, run)) == ("succeeded", None, [])
    assert plane.project(run.project_id).strikes == 0
    assert plane.kinds(run).count("exited") == 1


def test_a_claim_that_cannot_be_written_is_never_a_strike(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(plane, COMMIT)
    # git waits for a lock 0.1 s instead of 5 s, and that is long here
    brief = [one.replace("Timeout=5000", "Timeout=100") for one in command.SETTINGS]
    monkeypatch.setattr(command, "SETTINGS", tuple(brief))
    monkeypatch.setattr(reap, "LONG_TAKE", timedelta(seconds=0.1))
    lock = mirror(plane, run) / "refs/heads/afk/1.lock"
    lock.touch()
    plane.tick()
    assert (plane.run(run.id).status, plane.project(run.project_id).strikes) == ("running", 0)
    lock.unlink()
    # git waited for the lock: a slow check is not repeated at once
    plane.tick()
    assert plane.run(run.id).status == "running"
    plane.clock.advance(60)
    plane.tick()
    assert plane.run(run.id).status == "succeeded"


@pytest.mark.soak
def test_f27_a_full_disk_is_never_a_strike(plane: RealPlane) -> None:
    mirrors = plane.settings.runs_root / "mirrors"
    mirrors.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(mirrors)]
    subprocess.run(mount, check=True)
    try:
        run = begin(plane, COMMIT)
        filler = mirrors / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 1024):
                pass
        plane.tick()
        assert plane.run(run.id).status == "running"
        assert "No space left" in (plane.run(run.id).hold or "") or "diskspace" in (
            plane.run(run.id).hold or ""
        )
        filler.unlink()
        plane.tick()
        run = plane.run(run.id)
        assert (run.status, plane.project(run.project_id).strikes) == ("succeeded", 0)
    finally:
        subprocess.run(["umount", str(mirrors)], check=True)


def test_a_failed_agent_ends_though_its_work_cannot_be_read_and_all_of_it_is_kept(
    plane: RealPlane,
) -> None:
    run = begin(plane, f"{COMMIT}; exit 5")
    here = mirror(plane, run)
    away = here.rename(here.with_name("away"))
    run = plane.reap(run)
    assert (run.status, run.cause, run.parked) == ("died", Cause.EXIT_CODE, True)
    assert plane.copy(run).is_dir()
    away.rename(here)
    assert plane.tip(run) == run.base_sha
    repo = plane.repository(plane.project(run.project_id))
    assert plane.adapters.copies.import_work(repo, run.id, run.work_branch) != run.base_sha
