"""Pushes: refused for good, or deferred while origin is silent; never done twice."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from app.logs import correlation
from tests.builders.pushes import DIES, hooked, pushed, write_trusted_hook
from tests.builders.repositories import commit_file, run_git
from tests.drivers.gates import Gate
from tests.drivers.planes import RealPlane

# git processes of a run from its start to its release
MOST_GIT = 30
REFUSES = "echo 'main is protected here' >&2; exit 1"


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate that blocks a script until it is opened."""
    return Gate(tmp_path)


def test_a_push_that_is_refused_ends_the_run_without_a_strike(plane: RealPlane) -> None:
    project, _ = hooked(plane, REFUSES)
    run = plane.see_end(plane.start_running_issue(project))
    assert (run.status, run.cause) == ("died", "push_refused")
    assert "main is protected here" in (run.because or "")
    assert (run.delivery, run.exit_code) == (None, 0)
    assert pushed(project, run) == ""
    # the work is kept
    assert run.parked
    assert plane.tip(run) == run.head_sha
    assert run.released_at is not None
    assert plane.project(project.id).strikes == 0
    assert plane.ledgers.tracker.changes(project.id) == []


def test_a_delivery_waits_while_nobody_answers_and_comes_about_later(plane: RealPlane) -> None:
    project, hook = hooked(plane, DIES)
    run = plane.see_end(plane.start_running_issue(project))
    assert (run.status, run.ended_at, run.cause) == ("delivering", None, None)
    assert (run.hold or "").startswith("delivery waits: ")
    # the next check does not contact origin at once; the run keeps its branch, slot and lock
    hook.unlink()
    plane.tick()
    assert plane.run(run.id).status == "delivering"
    assert pushed(project, run) == ""
    assert plane.services.listing.count_open(project.id) == 1
    plane.clock.advance(5)
    plane.tick()
    run = plane.run(run.id)
    assert (run.status, run.cause, run.hold) == ("succeeded", "delivered", None)
    assert pushed(project, run) == run.head_sha
    assert run.released_at is not None


def test_the_pause_between_deliveries_grows_and_ends(plane: RealPlane) -> None:
    project, _ = hooked(plane, f"echo asked >> '{plane.folder}/asked'; {DIES}")
    run = plane.see_end(plane.start_running_issue(project))

    def asked() -> int:
        return len((plane.folder / "asked").read_text().splitlines())

    counts = [asked()]
    for pause in (5, 10, 20):
        plane.clock.advance(pause - 1)
        plane.tick()
        assert asked() == counts[-1]
        plane.clock.advance(1)
        plane.tick()
        counts.append(asked())
    assert counts == [1, 2, 3, 4]
    for _ in range(8):
        plane.clock.advance(600)
        plane.tick()
    assert asked() == 12
    plane.stop_run(run)


def test_a_sweep_waits_for_no_push_and_a_look_that_meets_one_is_put_off(
    plane: RealPlane, gate: Gate
) -> None:
    project, hook = hooked(plane, gate.wait)
    another = plane.add_project()
    silent, other = plane.start_running_issue(project), plane.start_running(another)
    for run in (silent, other):
        plane.ears.wait_for(run.id, "gone")
    plane.services.sweep.tick_once(plane.clock())
    # the push stays under way
    gate.await_arrival()
    for _ in range(2):
        plane.services.sweep.tick_once(plane.clock())
    assert plane.run(silent.id).status == "delivering"
    assert not plane.reaper.reap_once(silent.id)
    plane.wait(lambda: plane.run(other.id).released_at, "the other run's end")
    hook.unlink()
    gate.open()
    # the deferred check runs without another sweep
    plane.wait(lambda: plane.run(silent.id).released_at, "its end")
    run = plane.run(silent.id)
    assert (run.status, run.released_at) == ("succeeded", plane.clock())
    assert len(plane.ledgers.tracker.changes(project.id)) == 1


def test_a_run_that_is_stopped_before_its_push_is_not_pushed(plane: RealPlane) -> None:
    project, hook = hooked(plane, f"touch '{plane.folder}/asked'; {DIES}")
    run = plane.see_end(plane.start_running_issue(project))
    hook.write_text(f"#!/bin/sh\ntouch '{plane.folder}/asked again'\n")
    plane.clock.advance(5)
    with plane.locks.holding(run.id):
        plane.reaper._deliveries.begin(plane.run(run.id))
        plane.services.stopper._write(plane.run(run.id), "by a test", plane.clock())
    plane.rest()
    assert (plane.run(run.id).status, pushed(project, run)) == ("stopped", "")
    assert not (plane.folder / "asked again").exists()


def test_what_is_logged_of_a_run_carries_its_correlation_id(plane: RealPlane) -> None:
    log = _Marked()
    project, _ = hooked(plane, DIES)
    run = plane.start_running_issue(project)
    plane.ears.wait_for(run.id, "gone")
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    logging.getLogger("app.services").addHandler(log)
    try:
        plane.reap(run)
        mirror.rename(mirror.with_suffix(".away"))
        plane.clock.advance(5)
        plane.tick()
        mirror.with_suffix(".away").rename(mirror)
    finally:
        logging.getLogger("app.services").removeHandler(log)
    assert log.heard
    assert {mark for mark, words in log.heard if run.id in words} == {run.correlation_id}


class _Marked(logging.Handler):
    """Records log events and their fields with their correlation ids."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append((correlation.get(), str(vars(record))))


def test_a_push_whose_answer_was_lost_is_not_made_twice(plane: RealPlane) -> None:
    # origin takes the branch, then dies before it can confirm
    project = plane.add_project()
    hook = write_trusted_hook(plane, project, "post-receive", "kill -9 $PPID")
    run = plane.see_end(plane.start_running_issue(project))
    assert pushed(project, run) != ""
    hook.unlink()
    plane.clock.advance(5)
    plane.tick()
    run = plane.run(run.id)
    assert run.status == "succeeded"
    assert pushed(project, run) == run.head_sha
    assert len(plane.ledgers.tracker.changes(project.id)) == 1


def test_a_branch_that_others_moved_at_origin_is_not_overwritten(plane: RealPlane) -> None:
    project = plane.add_project()
    run = plane.start_running_issue(project)
    plane.ears.wait_for(run.id, "gone")
    origin = Path(project.origin)
    run_git(origin, "checkout", "-q", "-b", "afk/1")
    theirs = commit_file(origin, "theirs.txt")
    run = plane.reap(run)
    assert (run.status, run.cause) == ("died", "push_refused")
    assert pushed(project, run) == theirs
    assert plane.tip(run) == run.head_sha


def test_a_base_that_went_on_meanwhile_does_not_matter(plane: RealPlane) -> None:
    project = plane.add_project()
    run = plane.start_running_issue(project)
    plane.ears.wait_for(run.id, "gone")
    commit_file(Path(project.origin), "later.txt")
    run = plane.reap(run)
    assert run.status == "succeeded"
    assert run.delivery is not None
    assert run.delivery["commits"] == 1
    plane.services.changes.merge(project.id, run.delivery["number"], plane.clock())
    assert (Path(project.origin) / "new.txt").exists()
    assert (Path(project.origin) / "later.txt").exists()


@pytest.mark.parametrize("merged", [True, False])
def test_an_earlier_change_request_of_the_same_issue_is_no_delivery(
    plane: RealPlane, merged: bool
) -> None:
    project = plane.add_project()
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert run.delivery is not None
    changes, number = plane.services.changes, run.delivery["number"]
    if merged:
        changes.merge(project.id, number, plane.clock())
    else:
        changes.close(project.id, number, plane.clock())
        plane.adapters.mirrors.release(
            plane.repository(project), run.work_branch, expected_sha=None
        )
        run_git(Path(project.origin), "branch", "-q", "-D", run.work_branch)
    plane.services.issues.change(project.id, 1, {"state": "open"}, plane.clock())
    plane.ledgers.projects.change(project.id, agent_command=["/bin/true"])
    again = plane.finish(project, issue=1)
    assert (again.status, again.cause) == ("died", "no_delivery")


def test_a_delivered_run_takes_few_git_processes(
    plane: RealPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, program = tmp_path / "asked", tmp_path / "programs" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >>"{asked}"\nexec "{shutil.which("git")}" "$@"\n')
    program.chmod(0o755)
    project = plane.add_project()
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    assert plane.finish(project).status == "succeeded"
    # an agent's own calls come without settings
    ours = [line for line in asked.read_text().splitlines() if line.startswith("-c ")]
    assert 0 < len(ours) <= MOST_GIT, "\n".join(ours)
