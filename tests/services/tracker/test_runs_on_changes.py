"""Runs on the branch of an open change request: new commits of theirs update that change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import ChangeClosed, Invalid, NotDeliverable, Parked, PrLock
from app.failpoints import FailpointHit
from app.records.tables import Project, Run
from app.services.kept.retry import RetryOptions
from tests.builders.parked import deed
from tests.builders.repositories import run_git
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, RealPlane

MORE = "echo more >> more.txt; git add -A; git commit -qm more"


@pytest.fixture
def delivered(plane: RealPlane) -> tuple[Project, Run]:
    """A project, and the run of an issue that opened change request #2."""
    project = plane.add_project(COMMIT)
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert run.delivery is not None
    return project, run


def follow_up(plane: RealPlane, project: Project, script: str = MORE, **wishes: Any) -> Run:
    """Run an agent on change request #2 to its end."""
    plane.ledgers.projects.change(project.id, agent_command=["sh", "-c", script])
    return plane.finish(project, pr_number=2, **wishes)


def at_origin(project: Project, branch: str) -> str:
    """Return the commit of origin's branch."""
    return run_git(Path(project.origin), "rev-parse", f"refs/heads/{branch}")


def test_new_commits_of_a_run_update_the_change_it_works_on(
    plane: RealPlane, delivered: tuple[Project, Run]
) -> None:
    project, first = delivered
    before = plane.services.changes.find(project.id, 2)
    run = follow_up(plane, project)
    assert (run.status, run.trigger, run.work_branch) == ("succeeded", "review", first.work_branch)
    assert (run.base_sha, run.issue) == (before.head_sha, None)
    assert run.delivery is not None
    assert (run.delivery["number"], run.delivery["commits"]) == (2, 1)
    [change] = plane.services.changes.all(project.id)
    assert (change.head_sha, change.commits) == (run.head_sha, before.commits + 1)
    assert at_origin(project, first.work_branch) == run.head_sha
    assert not plane.run(run.id).parked
    merged = plane.services.changes.merge(project.id, 2, plane.clock())
    plane.rest()
    assert merged.state == "merged"
    assert [plane.run(one.id).delivery["state"] for one in (first, run)] == ["merged"] * 2  # type: ignore[index]
    assert plane.adapters.mirrors.tip(plane.repository(project), first.work_branch) is None


def test_a_run_that_adds_nothing_fails_without_a_strike_and_leaves_the_branch(
    plane: RealPlane, delivered: tuple[Project, Run]
) -> None:
    project, first = delivered
    ended = [follow_up(plane, project, script) for script in ("true", "git reset -q --hard HEAD^")]
    assert [(one.status, one.is_strike, one.parked) for one in ended] == [
        ("died", False, False)
    ] * 2
    head = plane.services.changes.find(project.id, 2).head_sha
    assert plane.adapters.mirrors.tip(plane.repository(project), first.work_branch) == head
    assert at_origin(project, first.work_branch) == head


def test_work_left_on_a_change_is_delivered_continued_or_discarded_by_a_person(
    plane: RealPlane, delivered: tuple[Project, Run]
) -> None:
    project, first = delivered
    head = plane.services.changes.find(project.id, 2).head_sha
    failed = follow_up(plane, project, f"{MORE}; exit 1")
    assert failed.parked
    with pytest.raises(Parked) as refused:
        plane.accept(plane.order(project, pr_number=2))
    assert refused.value.members == {"branch": first.work_branch}
    assert plane.services.changes.find(project.id, 2).head_sha == head
    branch = first.work_branch
    plane.services.parked.discard(project.id, branch, branch, deed(plane), plane.clock())
    assert plane.adapters.mirrors.tip(plane.repository(project), branch) == head
    assert at_origin(project, branch) == head
    failed = follow_up(plane, project, f"{MORE}; exit 1")
    saved, _ = plane.services.salvage.deliver(
        failed.id, deed(plane, "deliver"), None, plane.clock()
    )
    assert saved.delivery is not None
    assert saved.delivery["number"] == 2
    assert plane.services.changes.find(project.id, 2).head_sha == at_origin(project, branch) != head


def test_a_retry_continues_the_work_left_on_a_change(
    plane: RealPlane, delivered: tuple[Project, Run]
) -> None:
    project, _ = delivered
    failed = follow_up(plane, project, f"{MORE}; exit 1")
    plane.ledgers.projects.change(project.id, agent_command=["sh", "-c", "true"])
    accepted = plane.services.retry.retry(
        failed.id, RetryOptions(), plane.requester(), plane.clock()
    )
    plane.rest()
    again = plane.see_end(plane.run(accepted.run.id))
    assert (again.status, again.pr_number, again.base_sha) == ("succeeded", 2, failed.base_sha)
    assert plane.services.changes.find(project.id, 2).head_sha == again.head_sha


def retry_afresh(plane: RealPlane, project: Project, failed: Run, script: str) -> Run:
    """Retry a follow-up from the head of its change; return the retry as it ended."""
    plane.ledgers.projects.change(project.id, agent_command=["sh", "-c", script])
    options = RetryOptions(source="fresh")
    accepted = plane.services.retry.retry(failed.id, options, plane.requester(), plane.clock())
    plane.rest()
    run = plane.run(accepted.run.id)
    return run if run.status == "not_started" else plane.see_end(run)


def test_a_retry_that_starts_afresh_sets_the_work_left_on_a_change_aside(
    plane: RealPlane, delivered: tuple[Project, Run]
) -> None:
    project, first = delivered
    head = plane.services.changes.find(project.id, 2).head_sha
    failed = follow_up(plane, project, f"{MORE}; exit 1")
    again = retry_afresh(plane, project, failed, "echo other > o.txt; git add -A; git commit -qm o")
    assert (again.status, again.base_sha) == ("succeeded", head)
    assert plane.services.changes.find(project.id, 2).head_sha == again.head_sha
    assert at_origin(project, first.work_branch) == again.head_sha
    aside = plane.run(failed.id)
    assert aside.work_branch == f"parked/{first.work_branch}/{failed.id}"
    assert (aside.parked, plane.tip(aside)) == (True, failed.head_sha)
    [view] = plane.services.parked.all(plane.clock())
    assert (view.branch, view.can_deliver) == (aside.work_branch, False)
    with pytest.raises(NotDeliverable, match="set aside"):
        plane.services.salvage.deliver(aside.id, deed(plane, "deliver"), None, plane.clock())
    branch = aside.work_branch
    plane.services.parked.discard(project.id, branch, branch, deed(plane), plane.clock())
    assert plane.tip(aside) is None
    assert plane.adapters.mirrors.tip(plane.repository(project), first.work_branch) == (
        again.head_sha
    )


def test_work_left_on_a_change_comes_back_where_a_fresh_retry_does_not_start(
    plane: RealPlane, delivered: tuple[Project, Run]
) -> None:
    project, first = delivered
    failed = follow_up(plane, project, f"{MORE}; exit 1")
    plane.ledgers.projects.change(project.id, setup_command=["false"])
    again = retry_afresh(plane, project, failed, "true")
    assert again.status == "not_started"
    kept = plane.run(failed.id)
    assert (kept.work_branch, plane.tip(kept)) == (first.work_branch, failed.head_sha)
    branches = plane.adapters.mirrors.claims(plane.repository(project))
    assert branches == {first.work_branch}
    assert at_origin(project, first.work_branch) == failed.base_sha


@pytest.mark.parametrize("end", ["merge", "close"])
def test_a_change_that_ends_meanwhile_takes_no_more_and_the_work_is_kept(
    plane: RealPlane, delivered: tuple[Project, Run], end: str
) -> None:
    project, first = delivered
    script = f"{MORE}; touch ready; while [ ! -e go ]; do sleep 0.02; done; rm ready go"
    plane.ledgers.projects.change(project.id, agent_command=["sh", "-c", script])
    run = plane.start_running(project, pr_number=2)
    ending: Callable[..., Any] = getattr(plane.services.changes, end)
    ending(project.id, 2, plane.clock())
    plane.rest()  # the sweep that a merge asks for looks at this run, too
    (plane.adapters.copies.path(run.id) / "go").touch()
    run = plane.see_end(run)
    state = {"merge": "merged", "close": "closed"}[end]
    assert (run.status, run.cause, run.is_strike) == ("died", "push_refused", False)
    assert run.because == f"not pushed: change request #2 was {state} in the meantime"
    assert run.parked
    assert plane.adapters.mirrors.tip(plane.repository(project), first.work_branch) == run.head_sha
    with pytest.raises(ChangeClosed) as refused:
        plane.accept(plane.order(project, pr_number=2))
    assert (refused.value.code, refused.value.members["change"]) == ("change_closed", 2)


def test_one_run_at_a_time_works_on_a_change(
    plane: RealPlane, delivered: tuple[Project, Run]
) -> None:
    project, first = delivered
    plane.ledgers.projects.change(project.id, agent_command=["sh", "-c", "sleep 60"])
    holder = plane.start_running(project, pr_number=2)
    with pytest.raises(PrLock) as refused:
        plane.accept(plane.order(project, pr_number=2, task="another"))
    assert refused.value.members["holder"] == holder.id
    stopped = plane.stop_run(holder)
    assert not plane.see_end(stopped).parked
    assert plane.adapters.mirrors.tip(plane.repository(project), first.work_branch)


def test_a_change_that_is_not_there_is_refused_by_its_field(
    plane: RealPlane, delivered: tuple[Project, Run]
) -> None:
    project, _ = delivered
    for wishes in ({"pr_number": 1}, {"pr_number": 2, "issue": 1}):
        with pytest.raises(Invalid) as refused:
            plane.accept(plane.order(project, **wishes))
        assert [one["field"] for one in refused.value.members["errors"]] == ["pr_number"]
    with pytest.raises(Invalid) as refused:
        plane.accept(plane.order(project, pr_number=2, branch="elsewhere"))
    assert [one["field"] for one in refused.value.members["errors"]] == ["branch"]


@pytest.mark.expects_error_log
@pytest.mark.parametrize("point", ["delivery.after_push", "before_reap_commit"])
def test_a_delivery_cut_short_beside_its_push_is_completed_once(
    plane: RealPlane, delivered: tuple[Project, Run], point: str
) -> None:
    project, first = delivered
    script = f"{MORE}; touch ready; while [ ! -e go ]; do sleep 0.02; done; rm ready go"
    plane.ledgers.projects.change(project.id, agent_command=["sh", "-c", script])
    run = plane.start_running(project, pr_number=2)
    if point == "delivery.after_push":
        fail_at(point)
    (plane.adapters.copies.path(run.id) / "go").touch()
    if point == "before_reap_commit":
        plane.ears.wait_for(run.id, "gone")
        fail_at(point)
        with pytest.raises(FailpointHit):
            plane.reaper.reap_once(run.id)
        clear_failpoints()
    run = plane.see_end(run)
    clear_failpoints()
    plane.clock.advance(60)
    plane.tick()
    run = plane.run(run.id)
    assert run.status == "succeeded", run.because
    [change] = plane.services.changes.all(project.id)
    assert change.head_sha == run.head_sha == at_origin(project, first.work_branch)
    assert (change.commits, run.delivery and run.delivery["commits"]) == (2, 1)
    assert run_git(Path(project.origin), "rev-list", "--count", f"main..{change.branch}") == "2"
