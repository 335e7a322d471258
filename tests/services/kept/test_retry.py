"""Retry: copied settings, continued work, refusals, and no work ever lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.domain.ids import shorten
from app.domain.words import Delivers
from app.errors import (
    AlreadyRunning,
    BeingReleased,
    ConcurrencyLimit,
    InReview,
    Invalid,
    IssueClosed,
    KeyReused,
    NotFound,
    Parked,
    ProjectArchived,
    ProjectBroken,
    RateLimited,
    Refusal,
    StillLive,
)
from app.records.tables import Run
from tests.builders.repositories import run_git
from tests.builders.retries import TWO_TRIES, accept, died, retry
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane
from tests.fakes.planes import TwinPlane, twin_plane


def refused(plane: DrivenPlane, run: Run, kind: type[Refusal], **wishes: Any) -> Refusal:
    """Return the refusal of a retry, and assert that it changed and charged nothing."""
    before = plane.rows()
    with pytest.raises(kind) as answer:
        accept(plane, run, **wishes)
    assert plane.rows() == before
    assert plane.run(run.id).retried_by is None
    window = plane.services.listing.window(plane.person, plane.clock())
    assert window.used == len([one for one in before if plane.run(one).charged_to])
    return answer.value


# --- the new run -------------------------------------------------------------------------------


def test_a_retry_copies_what_was_asked_and_is_linked_both_ways(twin: TwinPlane) -> None:
    project = twin.add_project("exit 3")
    wishes = {"task": "Look at it", "model": "small", "tags": ("a",), "delivers": Delivers.REPORT}
    first = twin.finish(project, **wishes)
    second = retry(twin, first, source="fresh")
    copied = ("project_id", "agent", "issue", "branch_name", "depth_level", "target_framework")
    copied += ("task", "model", "delivers", "tags", "title")
    assert [getattr(second, name) for name in copied] == [getattr(first, name) for name in copied]
    assert (second.trigger, second.retry_of, second.charged_to) == ("retry", first.id, twin.person)
    assert twin.run(first.id).retried_by == second.id
    assert twin.run(first.id).status == "died"
    assert second.work_branch == f"run/{second.id}"
    assert twin.lines(second)[0] == f"retry of …{first.id[-6:]} · branch main"


def test_an_override_wins(twin: TwinPlane) -> None:
    project = twin.add_project("exit 3")
    first = twin.finish(project, model="small")
    second = retry(twin, first, source="fresh", model="large")
    assert (second.agent, second.model) == (first.agent, "large")
    with pytest.raises(Invalid, match="No agent is called 'nobody'"):
        accept(twin, first, agent="nobody")


@pytest.mark.parametrize("end", ["died", "stopped", "succeeded", "not_started", "expired"])
def test_any_run_that_is_done_can_be_retried(twin: TwinPlane, end: str) -> None:
    agent = {"died": "exit 3", "stopped": "sleep 60"}.get(end, COMMIT)
    project = twin.add_project(agent)
    if end == "expired":
        twin.ledgers.projects.change(project.id, state="cloning")
        first = twin.launch(project, ttl_seconds=5)
        twin.clock.advance(10)
        twin.tick()
        twin.ledgers.projects.change(project.id, state="ready")
    elif end == "not_started":
        twin.world.launch_problem = "The agent could not be started."
        first = twin.launch(project)
        twin.world.launch_problem = ""
    elif end == "stopped":
        first = twin.see_end(twin.stop_run(twin.start_running(project)))
    else:
        first = twin.finish(project)
    assert twin.run(first.id).status == end
    second = retry(twin, first)
    assert (second.status, second.retry_of) == ("running", first.id)


def test_a_run_that_is_not_done_or_not_gone_is_not_retried(twin: TwinPlane) -> None:
    project = twin.add_project("sleep 60")
    run = twin.start_running(project)
    assert refused(twin, run, StillLive).detail.endswith("Stop it first.")
    waiting = twin.accept(twin.order(project, delay_seconds=60, task="later"))
    assert refused(twin, waiting, StillLive).detail.endswith("Stop it first.")
    with twin.ledgers.runs.stores.owner_of(run.id).transaction() as tx:
        row = tx.get_one(Run, run.id)
        row.status, row.ended_at = "stopped", twin.clock()
    assert "being ended" in refused(twin, twin.run(run.id), BeingReleased).detail
    with pytest.raises(NotFound):
        accept(twin, "run_c0")


# --- keys and limits ---------------------------------------------------------------------------


def test_a_retry_is_replayed_under_its_key_whatever_stands_in_the_way(tmp_path: Path) -> None:
    with twin_plane(tmp_path, run_quota=2) as plane:
        project = plane.add_project("exit 3")
        first = plane.finish(project)
        second = accept(plane, first, "key", source="fresh")
        assert not second.replayed
        plane.rest()
        again = accept(plane, first, "key", source="fresh")
        assert (again.run.id, again.replayed) == (second.run.id, True)
        with pytest.raises(KeyReused) as reused:
            accept(plane, first, "key", source="fresh", model="large")
        assert reused.value.members["run_id"] == second.run.id
        with pytest.raises(RateLimited):
            accept(plane, plane.see_end(plane.run(second.run.id)), source="fresh")
        plane.ledgers.projects.change(project.id, archived_at=plane.clock())
        assert accept(plane, first, "key", source="fresh").replayed
        assert len(plane.rows()) == 2


def test_a_retry_takes_a_place_like_every_run(tmp_path: Path) -> None:
    with twin_plane(tmp_path, repo_concurrency=1) as plane:
        project = plane.add_project("exit 3")
        first = plane.finish(project)
        plane.start_running(project, task="other")
        refused(plane, first, ConcurrencyLimit, source="fresh")


def test_without_a_key_an_equal_run_that_is_open_is_enough(twin: TwinPlane) -> None:
    project = twin.add_project("exit 3")
    first = twin.finish(project)
    open_run = twin.accept(twin.order(project, delay_seconds=60))
    answer = refused(twin, first, AlreadyRunning, source="fresh")
    assert answer.members["run_id"] == open_run.id


def test_f4_while_another_run_has_the_issue_its_id_is_told(twin: TwinPlane) -> None:
    project = twin.add_project("sleep 60")
    issue = twin.add_issue(project).number
    first = twin.see_end(twin.stop_run(twin.start_running(project, issue=issue)))
    second = retry(twin, first)
    assert second.work_branch == "afk/1"
    before = twin.rows()
    for wishes in ({}, {"source": "fresh"}, {"source": "parked"}):
        with pytest.raises(AlreadyRunning) as answer:
            accept(twin, first, **wishes)
        assert answer.value.members["run_id"] == second.id
    assert twin.rows() == before


# --- twice -------------------------------------------------------------------------------------


def test_a_second_retry_while_one_is_open_names_the_first_and_starts_nothing(
    twin: TwinPlane,
) -> None:
    project = twin.add_project("sleep 60")
    first = twin.see_end(twin.stop_run(twin.start_running(project, task="Look")))
    second = retry(twin, first)
    before = twin.rows()
    with pytest.raises(AlreadyRunning) as answer:
        accept(twin, first, "a key of its own")
    told = answer.value.detail
    assert answer.value.members["run_id"] == second.id
    for fact in (f"project {project.name}", "agent script", "no issue", "no request"):
        assert fact in told, told
    assert shorten(first.id) in told
    assert shorten(second.id) in told
    assert twin.rows() == before


def test_a_second_retry_starts_where_somebody_says_again_and_both_are_listed(
    twin: TwinPlane,
) -> None:
    project = twin.add_project("sleep 60")
    first = twin.see_end(twin.stop_run(twin.start_running(project, task="Look")))
    second = retry(twin, first)
    third = retry(twin, first, beside=True)
    assert third.status == "running"
    assert twin.run(first.id).retries == [second.id, third.id]
    twin.see_end(twin.stop_run(third))
    twin.see_end(twin.stop_run(second))
    # without an open retry, no confirmation is needed
    fourth = retry(twin, first)
    assert twin.run(first.id).retries == [second.id, third.id, fourth.id]


def test_what_another_retry_goes_on_with_is_not_called_lost(twin: TwinPlane) -> None:
    project = twin.add_project(f"{COMMIT}; exit 3")
    first = twin.finish(project, task="Look")
    second = retry(twin, first)
    assert second.work_branch == first.work_branch
    with pytest.raises(Invalid) as answer:
        accept(twin, first, source="parked", beside=True)
    assert f"Run {shorten(second.id)} continues its work" in answer.value.detail


def test_a_retry_may_have_another_task_and_another_branch(plane: RealPlane) -> None:
    project = plane.add_project(f"{COMMIT}; exit 3")
    run_git(Path(project.origin), "branch", "next")
    first = plane.finish(project, task="Look")
    with pytest.raises(Invalid, match="began on main"):
        accept(plane, first, source="parked", branch="next")
    second = retry(plane, first, branch="next", task="Look again")
    assert (second.branch_name, second.task) == ("next", "Look again")
    # the parked work stays where it is
    assert second.work_branch != first.work_branch
    assert plane.run(first.id).parked
    with pytest.raises(Invalid, match="no longer has a branch nowhere"):
        accept(plane, first, branch="nowhere", beside=True)


# --- refusals ----------------------------------------------------------------------------------


def test_what_cannot_be_done_again_is_refused_before_a_place_is_used(plane: RealPlane) -> None:
    project = plane.add_project("exit 3")
    run_git(Path(project.origin), "branch", "next")
    issue = plane.add_issue(project).number
    first = plane.finish(project, issue=issue, branch="next")
    run_git(Path(project.origin), "branch", "-D", "next")
    assert "no longer has a branch next" in refused(plane, first, Invalid).detail
    run_git(Path(project.origin), "branch", "next")
    plane.services.issues.change(project.id, issue, {"state": "closed"}, plane.clock())
    refused(plane, first, IssueClosed)
    plane.services.issues.change(project.id, issue, {"state": "open"}, plane.clock())
    plane.ledgers.projects.change(project.id, state="broken", state_because="gone")
    refused(plane, first, ProjectBroken)
    plane.ledgers.projects.change(project.id, state="ready", archived_at=plane.clock())
    refused(plane, first, ProjectArchived)


def test_what_is_delivered_and_not_decided_is_not_done_again(twin: TwinPlane) -> None:
    project = twin.add_project()
    first = twin.finish(project, issue=twin.add_issue(project).number)
    for wishes in ({}, {"source": "fresh"}):
        answer = refused(twin, first, InReview, **wishes)
        assert answer.detail == "Change request #2 is open: merge or close it first."
        assert answer.members["change"] == 2
    twin.services.changes.merge(project.id, 2, twin.clock())
    refused(twin, first, IssueClosed)


def test_going_on_needs_something_to_go_on_with(twin: TwinPlane) -> None:
    project = twin.add_project()
    first = twin.finish(project)
    assert "No work of this run is kept" in refused(twin, first, Invalid, source="parked").detail
    second = retry(twin, first)
    assert (second.status, second.base_sha != first.head_sha) == ("running", True)


def test_a_branch_that_is_gone_says_so(plane: RealPlane) -> None:
    project = plane.add_project(TWO_TRIES)
    first = died(plane, project)
    plane.adapters.mirrors.release(plane.repository(project), "afk/1", expected_sha=None)
    assert "afk/1 is gone" in refused(plane, first, Parked).detail
    second = plane.see_end(retry(plane, first, source="fresh"))
    # leftovers of the old run are still listed, under an unused name
    assert plane.run(first.id).work_branch == f"parked/afk/1/{first.id}"
    assert plane.copy(first).exists()
    assert second.work_branch == "afk/1"


def test_work_that_others_pushed_to_the_branch_is_left_alone(plane: RealPlane) -> None:
    project = plane.add_project("exit 3")
    issue = plane.add_issue(project).number
    run_git(Path(project.origin), "branch", "afk/1")
    first = plane.launch(project, issue=issue)
    assert (first.status, first.parked) == ("not_started", True)
    for wishes in ({}, {"source": "fresh"}):
        assert "Origin has a branch afk/1" in refused(plane, first, Parked, **wishes).detail


def test_a_branch_that_shuts_the_issues_out_is_named(twin: TwinPlane) -> None:
    project = twin.add_project("exit 3")
    waiting = twin.order(project, issue=twin.add_issue(project).number, delay_seconds=60)
    first = twin.stop_run(twin.accept(waiting))
    repo, mirrors = twin.repository(project), twin.adapters.mirrors
    mirrors.claim(repo, "afk/1/below", mirrors.origin_tip(repo, "main") or "")
    assert refused(twin, first, Parked).members["branch"] == "afk/1/below"
