"""Manual AFK runs: the claimed issue, refusals, and the person charged."""

from __future__ import annotations

import threading

import pytest

from app.errors import (
    ForgeUnavailable,
    IssueBlocked,
    IssueClosed,
    NothingReady,
    PrLock,
    ProjectArchived,
    ProjectBroken,
    RateLimited,
)
from tests.drivers.afk import SLEEP, add_issues, runs, start
from tests.drivers.planes import RealPlane


def test_the_lowest_claimable_issue_is_taken(plane: RealPlane) -> None:
    project = plane.add_project(SLEEP)
    add_issues(plane, project, 3)
    plane.services.issues.change(project.id, 1, {"state": "closed"}, plane.clock())
    run = start(plane, project).run
    assert (run.issue, run.work_branch, run.trigger) == (2, "afk/2", "api")
    assert plane.run(run.id).status == "running"


def test_a_chosen_issue_is_taken_though_it_is_not_labelled(plane: RealPlane) -> None:
    project = plane.add_project(SLEEP)
    plane.services.issues.add(project.id, "Not yet ready", "", [], plane.clock())
    assert start(plane, project, 1).run.issue == 1


def test_nothing_ready_is_said_and_leaves_nothing(plane: RealPlane) -> None:
    project = plane.add_project(SLEEP)
    plane.services.issues.add(project.id, "Not ready", "", [], plane.clock())
    with pytest.raises(NothingReady) as refused:
        start(plane, project)
    assert refused.value.detail == "No ready-for-agent issues to start."
    assert plane.rows() == []


def test_a_chosen_issue_that_is_closed_or_blocked_is_refused(plane: RealPlane) -> None:
    project = plane.add_project(SLEEP)
    plane.add_issue(project)
    plane.add_issue(project, body="# Blocked by\n- #1")
    with pytest.raises(IssueBlocked):
        start(plane, project, 2)
    plane.services.issues.change(project.id, 2, {"state": "closed"}, plane.clock())
    with pytest.raises(IssueClosed):
        start(plane, project, 2)


def test_ten_starts_at_once_with_ten_ready_issues_take_ten_issues(plane: RealPlane) -> None:
    project = plane.add_project(SLEEP, max_concurrency=10)
    numbers = add_issues(plane, project, 10)
    taken: list[int | None] = []
    barrier = threading.Barrier(10)

    def go() -> None:
        barrier.wait()
        taken.append(
            plane.services.afk.start(project.id, None, plane.requester(), plane.clock()).run.issue
        )

    threads = [threading.Thread(target=go) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(one for one in taken if one) == numbers
    with pytest.raises(NothingReady):
        start(plane, project)


def test_the_same_key_answers_the_same_run_though_nothing_is_claimable_any_more(
    plane: RealPlane,
) -> None:
    project = plane.add_project(SLEEP)
    plane.add_issue(project)
    first = start(plane, project, key="k1")
    again = start(plane, project, key="k1")
    assert (first.replayed, again.replayed) == (False, True)
    assert first.run.id == again.run.id
    assert plane.rows() == [first.run.id]


def test_a_start_by_hand_charges_the_one_who_starts(plane: RealPlane) -> None:
    quota = plane.settings.run_quota
    project = plane.add_project(SLEEP, max_concurrency=quota + 1)
    add_issues(plane, project, quota + 1)
    for _ in range(quota):
        plane.services.afk.start(project.id, None, plane.requester(), plane.clock())
    with pytest.raises(RateLimited):
        start(plane, project)


def test_a_branch_that_a_run_writes_is_locked_for_a_second_start(plane: RealPlane) -> None:
    project = plane.add_project(SLEEP)
    plane.add_issue(project)
    first = start(plane, project, 1).run
    with pytest.raises(PrLock) as refused:
        start(plane, project, 1)
    assert refused.value.members["holder"] == first.id


def test_an_archived_project_starts_nothing(plane: RealPlane) -> None:
    project = plane.add_project(SLEEP)
    plane.add_issue(project)
    plane.services.projects.archive(project.id, plane.clock())
    with pytest.raises(ProjectArchived):
        start(plane, project)


def test_what_could_not_be_read_is_not_called_nothing(plane: RealPlane) -> None:
    project = plane.add_project(SLEEP)
    plane.add_issue(project)
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    mirror.rename(mirror.with_suffix(".away"))
    with pytest.raises(ForgeUnavailable):
        start(plane, project)
    plane.ledgers.projects.change(project.id, state="broken", state_because="no such host")
    with pytest.raises(ProjectBroken, match="no such host"):
        start(plane, project)


def test_a_project_that_is_being_cloned_takes_a_start_and_lets_it_wait(plane: RealPlane) -> None:
    project = plane.add_project(SLEEP)
    plane.add_issue(project)
    plane.ledgers.projects.change(project.id, state="cloning")
    assert start(plane, project).run.issue == 1
    assert runs(plane, project)[0].status == "queued"
