"""Manual AFK runs: the claimed issue, refusals, and the person charged."""

from __future__ import annotations

import threading
from pathlib import Path

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
from tests.fakes.planes import TwinPlane, twin_plane


def test_the_lowest_claimable_issue_is_taken(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    add_issues(twin, project, 3)
    twin.services.issues.change(project.id, 1, {"state": "closed"}, twin.clock())
    run = start(twin, project).run
    assert (run.issue, run.work_branch, run.trigger) == (2, "afk/2", "api")
    assert twin.run(run.id).status == "running"


def test_a_chosen_issue_is_taken_though_it_is_not_labelled(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    twin.services.issues.add(project.id, "Not yet ready", "", [], twin.clock())
    assert start(twin, project, 1).run.issue == 1


def test_nothing_ready_is_said_and_leaves_nothing(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    twin.services.issues.add(project.id, "Not ready", "", [], twin.clock())
    with pytest.raises(NothingReady) as refused:
        start(twin, project)
    assert refused.value.detail == "No ready-for-agent issues to start."
    assert twin.rows() == []


def test_a_chosen_issue_that_is_closed_or_blocked_is_refused(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    twin.add_issue(project)
    twin.add_issue(project, body="# Blocked by\n- #1")
    with pytest.raises(IssueBlocked):
        start(twin, project, 2)
    twin.services.issues.change(project.id, 2, {"state": "closed"}, twin.clock())
    with pytest.raises(IssueClosed):
        start(twin, project, 2)


def test_ten_starts_at_once_with_ten_ready_issues_take_ten_issues(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP, max_concurrency=10)
    numbers = add_issues(twin, project, 10)
    taken: list[int | None] = []
    barrier = threading.Barrier(10)

    def go() -> None:
        barrier.wait()
        taken.append(
            twin.services.afk.start(project.id, None, twin.requester(), twin.clock()).run.issue
        )

    threads = [threading.Thread(target=go) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(one for one in taken if one) == numbers
    with pytest.raises(NothingReady):
        start(twin, project)


def test_the_same_key_answers_the_same_run_though_nothing_is_claimable_any_more(
    twin: TwinPlane,
) -> None:
    project = twin.add_project(SLEEP)
    twin.add_issue(project)
    first = start(twin, project, key="k1")
    again = start(twin, project, key="k1")
    assert (first.replayed, again.replayed) == (False, True)
    assert first.run.id == again.run.id
    assert twin.rows() == [first.run.id]


def test_a_start_by_hand_charges_the_one_who_starts(tmp_path: Path) -> None:
    with twin_plane(tmp_path, run_quota=3) as twin:
        project = twin.add_project(SLEEP, max_concurrency=4)
        add_issues(twin, project, 4)
        for _ in range(3):
            twin.services.afk.start(project.id, None, twin.requester(), twin.clock())
        with pytest.raises(RateLimited):
            start(twin, project)


def test_a_branch_that_a_run_writes_is_locked_for_a_second_start(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    twin.add_issue(project)
    first = start(twin, project, 1).run
    with pytest.raises(PrLock) as refused:
        start(twin, project, 1)
    assert refused.value.members["holder"] == first.id


def test_an_archived_project_starts_nothing(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    twin.add_issue(project)
    twin.services.projects.archive(project.id, twin.clock())
    with pytest.raises(ProjectArchived):
        start(twin, project)


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


def test_a_project_that_is_being_cloned_takes_a_start_and_lets_it_wait(twin: TwinPlane) -> None:
    project = twin.add_project(SLEEP)
    twin.add_issue(project)
    twin.ledgers.projects.change(project.id, state="cloning")
    assert start(twin, project).run.issue == 1
    assert runs(twin, project)[0].status == "queued"
