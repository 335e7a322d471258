"""Crashes in a merge or close: the next start finishes it and touches no other claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import AlreadyEnded
from app.failpoints import FailpointHit
from app.records.tables import Run
from tests.builders.repositories import tip_of
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane
from tests.fakes.planes import TwinPlane

POINTS = ("merge.after_push", "after_change_ended", "during_clearing")


def crash(plane: DrivenPlane, point: str, verb: str) -> Run:
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


def state_of(plane: DrivenPlane, run: Run) -> str:
    delivery = plane.run(run.id).delivery
    assert delivery is not None
    return delivery["state"]


def expect_a_finished_merge(plane: DrivenPlane, run: Run) -> None:
    """Check that a round finishes the merge of a run, and that nothing is left to do."""
    assert plane.tip(run) == run.head_sha
    assert plane.services.changes.finish_once(plane.clock()) == 1
    assert (state_of(plane, run), plane.tip(run)) == ("merged", None)
    assert not plane.run(run.id).parked
    assert plane.lines(run).count("change request #2 merged") == 1
    assert plane.services.changes.finish_once(plane.clock()) == 0


@pytest.mark.parametrize("point", POINTS)
def test_a_merge_that_a_crash_cut_short_is_finished(twin: TwinPlane, point: str) -> None:
    run = crash(twin, point, "merge")
    expect_a_finished_merge(twin, run)
    assert "afk/1" not in twin.world.origins[twin.project(run.project_id).origin]


def test_a_merge_that_origin_has_already_leaves_no_branch_there(plane: RealPlane) -> None:
    run = crash(plane, "merge.after_push", "merge")
    expect_a_finished_merge(plane, run)
    assert tip_of(Path(plane.project(run.project_id).origin), "refs/heads/afk/1") == ""


def test_a_close_that_a_crash_cut_short_is_finished(twin: TwinPlane) -> None:
    run = crash(twin, "after_change_ended", "close")
    assert twin.services.changes.finish_once(twin.clock()) == 1
    assert (state_of(twin, run), twin.run(run.id).parked) == ("closed", True)
    assert twin.tip(run) == run.head_sha
    assert twin.services.changes.finish_once(twin.clock()) == 0


def test_what_is_merged_at_origin_is_not_closed_but_told_as_merged(twin: TwinPlane) -> None:
    run = crash(twin, "merge.after_push", "merge")
    assert state_of(twin, run) == "open"
    with pytest.raises(AlreadyEnded, match="Origin already shows"):
        twin.services.changes.close(run.project_id, 2, twin.clock())
    assert (state_of(twin, run), twin.tip(run)) == ("merged", None)
    assert twin.services.issues.all(run.project_id)[0].state == "closed"


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
    twin: TwinPlane,
) -> None:
    project = twin.add_project()
    run = twin.finish(project, issue=twin.add_issue(project).number)
    assert run.delivery is not None
    assert run.head_sha is not None
    twin.services.changes.merge(project.id, run.delivery["number"], twin.clock())
    twin.services.issues.change(project.id, 1, {"state": "open"}, twin.clock())
    twin.ledgers.projects.change(project.id, agent_command=["/bin/sleep", "600"])
    later = twin.start_running(project, issue=1)
    assert later.work_branch == run.work_branch
    # at exactly the commit of the older merge
    repo, mirrors = twin.repository(project), twin.adapters.mirrors
    mirrors.release(repo, later.work_branch, expected_sha=None)
    mirrors.claim(repo, later.work_branch, run.head_sha)
    assert twin.services.changes.finish_once(twin.clock()) == 0
    assert twin.tip(later) == run.head_sha
    twin.stop_run(later)


def test_a_start_finishes_what_is_left(twin: TwinPlane) -> None:
    run = crash(twin, "during_clearing", "merge")
    twin._begin()
    twin.wait(lambda: twin.tip(run) is None, "its claim is released")
    twin.rest()
