"""Successful runs: a merged change request or a report, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.words import Delivers
from app.errors import AlreadyEnded, MergeConflict
from tests.builders.repositories import commit_file, make_origin, run_git, tip_of
from tests.drivers.planes import COMMIT, RealPlane
from tests.fakes.planes import TwinPlane


def test_an_issue_goes_from_ready_to_merged(plane: RealPlane) -> None:
    project = plane.add_project()
    issue = plane.add_issue(project)
    run = plane.finish(project, issue=issue.number)
    assert (run.status, run.cause, run.work_branch) == ("succeeded", "delivered", "afk/1")
    assert run.delivery is not None
    assert (run.delivery["state"], run.delivery["commits"]) == ("open", 1)
    assert not plane.copy(run).exists()
    origin = Path(project.origin)
    assert plane.tip(run) == run.head_sha == tip_of(origin, "refs/heads/afk/1")
    assert plane.kinds(run)[-2:] == ["delivered", "kill_verified"]

    merged = plane.services.changes.merge(project.id, run.delivery["number"], plane.clock())
    assert merged.state == "merged"
    assert plane.ledgers.tracker.issue(project.id, issue.number).state == "closed"  # type: ignore[union-attr]
    # the claim is released, here and at origin, whose clean checkout now has the work
    assert plane.tip(run) is None
    assert tip_of(origin, "refs/heads/afk/1") == ""
    assert (origin / "new.txt").read_text() == "new\n"
    assert run_git(origin, "status", "--porcelain") == ""
    after = plane.run(run.id)
    assert after.delivery is not None
    assert after.delivery["state"] == "merged"


def test_a_merge_into_a_checkout_with_work_in_it_is_refused_and_changes_nothing(
    plane: RealPlane,
) -> None:
    project = plane.add_project()
    issue = plane.add_issue(project)
    run = plane.finish(project, issue=issue.number)
    assert run.delivery is not None
    origin = Path(project.origin)
    before = tip_of(origin)
    (origin / "README.md").write_text("mine\n")
    with pytest.raises(MergeConflict, match="not committed"):
        plane.services.changes.merge(project.id, run.delivery["number"], plane.clock())
    assert (origin / "README.md").read_text() == "mine\n"
    assert tip_of(origin) == before
    assert plane.tip(run) == run.head_sha
    assert plane.services.changes.find(project.id, run.delivery["number"]).state == "open"
    # the merge succeeds once the local changes are gone
    run_git(origin, "checkout", "-q", "--", "README.md")
    plane.services.changes.merge(project.id, run.delivery["number"], plane.clock())
    assert (origin / "new.txt").exists()


def test_a_merge_with_conflicts_names_the_files(plane: RealPlane) -> None:
    project = plane.add_project()
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert run.delivery is not None
    commit_file(Path(project.origin), "new.txt", "theirs\n")
    with pytest.raises(MergeConflict) as refusal:
        plane.services.changes.merge(project.id, run.delivery["number"], plane.clock())
    assert refusal.value.members["conflicts"] == ["new.txt"]
    assert plane.tip(run) == run.head_sha


@pytest.mark.parametrize("merge", [True, False])
def test_a_change_request_ends_once(twin: TwinPlane, merge: bool) -> None:
    project = twin.add_project()
    run = twin.finish(project, issue=twin.add_issue(project).number)
    assert run.delivery is not None
    changes, number = twin.services.changes, run.delivery["number"]
    (changes.merge if merge else changes.close)(project.id, number, twin.clock())
    for again in (changes.merge, changes.close):
        with pytest.raises(AlreadyEnded):
            again(project.id, number, twin.clock())


def test_a_change_request_that_is_closed_leaves_its_branch_parked(twin: TwinPlane) -> None:
    project = twin.add_project()
    issue = twin.add_issue(project)
    run = twin.finish(project, issue=issue.number)
    assert run.delivery is not None
    twin.services.changes.close(project.id, run.delivery["number"], twin.clock())
    assert twin.tip(run) == run.head_sha
    after = twin.run(run.id)
    assert after.parked
    assert after.delivery is not None
    assert after.delivery["state"] == "closed"
    assert twin.ledgers.tracker.issue(project.id, issue.number).state == "open"  # type: ignore[union-attr]


def test_a_plain_run_delivers_from_a_branch_of_its_own(twin: TwinPlane) -> None:
    project = twin.add_project()
    run = twin.finish(project, task="Add a file")
    assert (run.status, run.work_branch) == ("succeeded", f"run/{run.id}")
    assert run.title == "Add a file"


def test_a_report_succeeds_by_its_exit_code_and_leaves_nothing(plane: RealPlane) -> None:
    project = plane.add_project('cat "$RUNYARD_PROMPT_FILE"')
    run = plane.finish(project, task="Look", delivers=Delivers.REPORT)
    assert (run.status, run.cause, run.exit_code) == ("succeeded", "reported", 0)
    assert run.delivery is None
    assert plane.is_gone(run)
    assert b"Look" in plane.adapters.engine.log(run.id).read().content


def test_a_report_that_committed_all_the_same_loses_nothing(twin: TwinPlane) -> None:
    project = twin.add_project()
    run = twin.finish(project, delivers=Delivers.REPORT)
    assert (run.status, run.cause, run.parked) == ("succeeded", "reported", True)
    assert twin.tip(run) == run.head_sha != run.base_sha


def test_a_report_fails_by_its_exit_code(twin: TwinPlane) -> None:
    run = twin.finish(twin.add_project("exit 4"), delivers=Delivers.REPORT)
    assert (run.status, run.cause, run.exit_code) == ("died", "exit_code", 4)


def test_the_users_own_checkout_is_never_touched_by_a_run(plane: RealPlane) -> None:
    origin = make_origin(plane.folder / "mine")
    (origin / "dirty.txt").write_text("mine\n")
    (origin / "README.md").write_text("mine too\n")
    before = run_git(origin, "status", "--porcelain")
    project = plane.add_project(f"{COMMIT}; test ! -e dirty.txt", origin=origin)
    assert plane.finish(project).status == "succeeded"
    assert run_git(origin, "status", "--porcelain") == before
    assert run_git(origin, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_a_delivered_run_is_looked_at_again_without_effect(twin: TwinPlane) -> None:
    project = twin.add_project()
    run = twin.finish(project)
    before = twin.lines(run)
    assert twin.reap(run) == run
    twin.tick()
    assert twin.lines(run) == before
    assert len(twin.ledgers.tracker.changes(project.id)) == 1
