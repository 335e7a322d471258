"""Closing a change request without merging it, and what becomes of the issue that it closes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.domain.words import READY_LABEL, AfterClose
from app.errors import Invalid, NotDiscarded, PrLock
from app.failpoints import FailpointHit
from app.records.tables import ChangeRequest, Project, Run
from tests.builders.parked import claimable, listed
from tests.builders.repositories import tip_of
from tests.drivers.afk import SLEEP
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane
from tests.fakes.planes import TwinPlane

QUEUE, PARK, CLOSE = AfterClose


def delivered(plane: DrivenPlane, agent: str = COMMIT, **wishes: Any) -> tuple[Project, Run]:
    """Return a project, and the run of its issue #1 that opened change request #2."""
    project = plane.add_project(agent)
    number = plane.add_issue(project).number
    return project, plane.finish(project, **({"issue": number} | wishes))


def close(plane: DrivenPlane, project: Project, after: AfterClose) -> ChangeRequest:
    """Close the project's change request for a reason."""
    (change,) = plane.services.changes.all(project.id)
    now = plane.clock()
    closed = plane.services.changes.close(project.id, change.number, now, "Not so.", after)
    plane.rest()
    return closed


@pytest.mark.parametrize(
    ("after", "state", "free", "kept"),
    [
        (QUEUE, "open", [1], []),
        (PARK, "open", [], ["afk/1"]),
        (CLOSE, "closed", [], ["afk/1"]),
    ],
)
def test_the_issue_of_a_closed_change_is_queued_kept_parked_or_closed(
    twin: TwinPlane, after: AfterClose, state: str, free: list[int], kept: list[str]
) -> None:
    project, run = delivered(twin)
    closed = close(twin, project, after)
    assert (closed.state, closed.closed_because) == ("closed", "Not so.")
    assert twin.services.issues.one(project.id, 1).state == state
    assert claimable(twin, project) == free
    assert [view.branch for view in listed(twin)] == kept
    assert (twin.tip(run) is None) is (after is QUEUE)
    assert twin.run(run.id).parked is bool(kept)


def test_what_was_pushed_goes_so_that_the_queued_issue_is_delivered_again(
    plane: RealPlane,
) -> None:
    project, first = delivered(plane)
    close(plane, project, QUEUE)
    assert tip_of(Path(project.origin), f"refs/heads/{first.work_branch}") == ""
    plane.clock.advance(5)
    again = plane.finish(project, issue=1)
    assert (again.status, again.work_branch) == ("succeeded", first.work_branch)
    changes = plane.services.changes.all(project.id)
    assert [one.state for one in changes] == ["open", "closed"]


def test_an_issue_goes_back_to_the_queue_whatever_became_of_it_before(twin: TwinPlane) -> None:
    project, _ = delivered(twin)
    edits = {"labels": ["bug"], "state": "closed"}
    twin.services.issues.change(project.id, 1, edits, twin.clock())
    close(twin, project, QUEUE)
    issue = twin.services.issues.one(project.id, 1)
    assert (issue.labels, issue.state, issue.closed_at) == (["bug", READY_LABEL], "open", None)
    assert claimable(twin, project) == [1]


def test_files_that_the_change_does_not_show_keep_the_issue_from_the_queue(
    plane: RealPlane,
) -> None:
    project, run = delivered(plane, f"{COMMIT} && echo x > draft.txt")
    with pytest.raises(NotDiscarded, match="afk/1 holds more than change request #2"):
        close(plane, project, QUEUE)
    assert plane.services.changes.find(project.id, 2).state == "open"
    assert (plane.copy(run) / "draft.txt").exists()
    close(plane, project, PARK)


def test_a_change_that_a_run_works_on_is_not_taken_from_it(twin: TwinPlane) -> None:
    project, _ = delivered(twin)
    twin.ledgers.projects.change(project.id, agent_command=["sh", "-c", SLEEP])
    follow_up = twin.start_running(project, pr_number=2)
    with pytest.raises(PrLock):
        close(twin, project, QUEUE)
    assert twin.services.changes.find(project.id, 2).state == "open"
    twin.stop_run(follow_up)


@pytest.mark.parametrize("after", [QUEUE, CLOSE])
def test_a_change_without_an_issue_takes_no_word_about_one(
    twin: TwinPlane, after: AfterClose
) -> None:
    project, _ = delivered(twin, issue=None)
    with pytest.raises(Invalid, match="closes no issue"):
        close(twin, project, after)
    assert close(twin, project, PARK).state == "closed"


@pytest.mark.parametrize("point", ["after_change_ended", "during_clearing"])
def test_a_start_frees_the_branch_of_an_issue_whose_way_back_a_crash_cut_short(
    twin: TwinPlane, point: str
) -> None:
    project, run = delivered(twin)
    fail_at(point)
    with pytest.raises(FailpointHit):
        close(twin, project, QUEUE)
    clear_failpoints()
    assert twin.tip(run) == run.head_sha
    assert twin.services.changes.finish_once(twin.clock()) == 1
    assert (twin.tip(run), claimable(twin, project)) == (None, [1])
    assert twin.services.changes.finish_once(twin.clock()) == 0
