"""Crashes in a merge or close: the next start finishes it and touches no other claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import AlreadyEnded
from app.failpoints import FailpointHit
from app.records.tables import Run
from tests.builders.repositories import tip_of
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, RealPlane

POINTS = ("merge.after_push", "after_change_ended", "during_clearing")


def crash(plane: RealPlane, point: str, verb: str) -> Run:
    """Return a delivered run whose merge or close crashed at `point`."""
    project = plane.add_project()
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert run.delivery is not None
    fail_at(point)
    act = getattr(plane.services.changes, verb)
    with pytest.raises(FailpointHit):
        act(project.id, run.delivery["number"], plane.clock())
    clear_failpoints()
    return run


def state_of(plane: RealPlane, run: Run) -> str:
    delivery = plane.run(run.id).delivery
    assert delivery is not None
    return delivery["state"]


@pytest.mark.parametrize("point", POINTS)
def test_a_merge_that_a_crash_cut_short_is_finished(plane: RealPlane, point: str) -> None:
    run = crash(plane, point, "merge")
    assert plane.tip(run) == run.head_sha
    assert plane.services.changes.finish_once(plane.clock()) == 1
    assert (state_of(plane, run), plane.tip(run), plane.run(run.id).parked) == (
        "merged",
        None,
        False,
    )
    origin = Path(plane.project(run.project_id).origin)
    assert tip_of(origin, "refs/heads/afk/1") == ""
    assert plane.lines(run).count("change request #2 merged") == 1
    # nothing is left to do
    assert plane.services.changes.finish_once(plane.clock()) == 0


def test_a_close_that_a_crash_cut_short_is_finished(plane: RealPlane) -> None:
    run = crash(plane, "after_change_ended", "close")
    assert plane.services.changes.finish_once(plane.clock()) == 1
    assert (state_of(plane, run), plane.run(run.id).parked) == ("closed", True)
    assert plane.tip(run) == run.head_sha
    assert plane.services.changes.finish_once(plane.clock()) == 0


def test_what_is_merged_at_origin_is_not_closed_but_told_as_merged(plane: RealPlane) -> None:
    run = crash(plane, "merge.after_push", "merge")
    assert state_of(plane, run) == "open"
    with pytest.raises(AlreadyEnded, match="Origin already shows"):
        plane.services.changes.close(run.project_id, 2, plane.clock())
    assert (state_of(plane, run), plane.tip(run)) == ("merged", None)
    assert plane.services.issues.all(run.project_id)[0].state == "closed"


def test_a_change_is_closed_while_origin_does_not_answer(plane: RealPlane) -> None:
    project = plane.add_project()
    run = plane.finish(project, issue=plane.add_issue(project).number)
    Path(project.origin).rename(plane.folder / "away")
    assert plane.services.changes.finish_once(plane.clock()) == 0
    assert plane.services.changes.close(project.id, 2, plane.clock()).state == "closed"
    assert plane.run(run.id).parked


def test_a_copy_with_other_work_in_it_stays_after_a_merge_that_is_finished(
    plane: RealPlane,
) -> None:
    project = plane.add_project(f"{COMMIT} && echo x > draft.txt")
    run = plane.finish(project)
    assert run.delivery is not None
    plane.services.changes.merge(project.id, run.delivery["number"], plane.clock())
    plane.services.changes.finish_once(plane.clock())
    assert (plane.copy(run) / "draft.txt").exists()
    assert plane.tip(run) == run.head_sha
    assert plane.run(run.id).parked


def test_a_claim_that_a_later_run_holds_is_not_released_for_an_older_merge(
    plane: RealPlane,
) -> None:
    project = plane.add_project()
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert run.delivery is not None
    assert run.head_sha is not None
    plane.services.changes.merge(project.id, run.delivery["number"], plane.clock())
    plane.services.issues.change(project.id, 1, {"state": "open"}, plane.clock())
    plane.ledgers.projects.change(project.id, agent_command=["/bin/sleep", "600"])
    later = plane.start_running(project, issue=1)
    assert later.work_branch == run.work_branch
    # at exactly the commit of the older merge
    repo, mirrors = plane.repository(project), plane.adapters.mirrors
    mirrors.release(repo, later.work_branch, expected_sha=None)
    mirrors.claim(repo, later.work_branch, run.head_sha)
    assert plane.services.changes.finish_once(plane.clock()) == 0
    assert plane.tip(later) == run.head_sha
    plane.stop_run(later)


def test_a_start_finishes_what_is_left(plane: RealPlane) -> None:
    run = crash(plane, "during_clearing", "merge")
    plane._begin()
    plane.wait(lambda: plane.tip(run) is None, "its claim is released")
    plane.rest()
