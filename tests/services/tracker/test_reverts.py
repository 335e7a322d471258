"""Undo of a merge: the change request that takes it back, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.words import AfterClose
from app.errors import (
    AlreadyUndone,
    ForgeUnavailable,
    Invalid,
    MergeConflict,
    NoRun,
    NotMerged,
    NotUndone,
    ProjectArchived,
)
from app.failpoints import FailpointHit
from app.records.tables import ChangeRequest, Project
from app.services.review.feedback import Wanted
from tests.builders.parked import listed
from tests.builders.repositories import commit_files, run_git
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane
from tests.fakes.planes import TwinPlane

ADDS = "echo of the agent > made.txt; git add .; git commit -qm 'Make it'"


def merged(plane: DrivenPlane) -> tuple[Project, ChangeRequest]:
    """Return a project, and the merged change #2 of its issue #1."""
    project = plane.add_project(ADDS if isinstance(plane, RealPlane) else COMMIT)
    plane.finish(project, issue=plane.add_issue(project).number)
    change = plane.services.changes.merge(project.id, 2, plane.clock())
    plane.rest()
    return project, change


def undo(plane: DrivenPlane, project: Project, number: int = 2) -> ChangeRequest:
    return plane.services.reverts.undo(project.id, number, plane.clock()).change


def merge(plane: DrivenPlane, change: ChangeRequest) -> ChangeRequest:
    return plane.services.changes.merge(change.project_id, change.number, plane.clock())


def files_at(project: Project) -> list[str]:
    return run_git(Path(project.origin), "ls-tree", "-r", "--name-only", "main").split()


def branches_of(plane: DrivenPlane, project: Project) -> set[str]:
    return plane.adapters.mirrors.claims(plane.repository(project))


def test_undo_opens_a_change_that_takes_the_merge_back(plane: RealPlane) -> None:
    project, change = merged(plane)
    before = files_at(project)
    assert "made.txt" in before
    revert = undo(plane, project)
    assert (revert.title, revert.reverts) == (f'Revert "{change.title}"', 2)
    assert (revert.state, revert.run_id, revert.branch) == ("open", None, "revert/2")
    assert (revert.commits, revert.files_changed, revert.deletions) == (1, 1, 1)
    assert revert.body == f"Reverts change #2, merged as {change.merged_sha}."
    assert files_at(project) == before
    assert "-of the agent" in plane.services.changes.diff(project.id, revert.number).text
    assert [one.file.path for one in plane.services.reviews.files(project.id, 3, "nobody")] == [
        "made.txt"
    ]
    history = plane.services.histories.of(project.id, revert.number, "nobody")
    assert [one.subject for one in history.commits] == [revert.title]
    assert merge(plane, revert).state == "merged"
    assert files_at(project) == [one for one in before if one != "made.txt"]
    assert plane.services.issues.one(project.id, 1).state == "closed"
    assert (branches_of(plane, project), listed(plane)) == (set(), [])


def test_undo_twice_is_one_change(twin: TwinPlane) -> None:
    project, _ = merged(twin)
    first = twin.services.reverts.undo(project.id, 2, twin.clock())
    again = twin.services.reverts.undo(project.id, 2, twin.clock())
    assert (first.is_new, again.is_new) == (True, False)
    assert again.change.number == first.change.number == 3
    assert twin.services.reverts.undone_by(project.id) == {2: 3}


def test_what_is_not_merged_is_not_undone(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.finish(project, issue=twin.add_issue(project).number)
    with pytest.raises(NotMerged, match="#2 is open, not merged"):
        undo(twin, project)
    twin.services.changes.close(project.id, 2, twin.clock())
    with pytest.raises(NotMerged, match="#2 is closed"):
        undo(twin, project)
    twin.services.projects.archive(project.id, twin.clock())
    with pytest.raises(ProjectArchived):
        undo(twin, project)


def test_a_revert_that_was_closed_leaves_nothing_and_undo_opens_another(
    twin: TwinPlane,
) -> None:
    project, _ = merged(twin)
    revert = undo(twin, project)
    assert branches_of(twin, project) == {"revert/2"}
    with pytest.raises(Invalid, match="closes no issue"):
        twin.services.changes.close(project.id, 3, twin.clock(), None, AfterClose.QUEUE)
    twin.services.changes.close(project.id, revert.number, twin.clock(), "It was right.")
    assert (branches_of(twin, project), listed(twin)) == (set(), [])
    assert twin.services.reverts.undone_by(project.id) == {}
    assert undo(twin, project).number == 4


def test_what_is_undone_can_be_brought_back_by_undoing_that(plane: RealPlane) -> None:
    project, _ = merged(plane)
    before = files_at(project)
    merge(plane, undo(plane, project))
    with pytest.raises(AlreadyUndone, match="#3 has undone change request #2 already"):
        undo(plane, project)
    back = undo(plane, project, 3)
    assert back.branch == "revert/3"
    assert merge(plane, back).state == "merged"
    assert files_at(project) == before
    assert plane.services.reverts.undone_by(project.id) == {3: 4}
    assert undo(plane, project).number == 5


def test_later_commits_on_the_same_lines_are_named_and_nothing_changes(
    plane: RealPlane,
) -> None:
    project, _ = merged(plane)
    commit_files(Path(project.origin), {"made.txt": "of somebody else\n"})
    with pytest.raises(MergeConflict, match=r"Later commits changed made\.txt too") as refused:
        undo(plane, project)
    assert refused.value.members["files"] == ["made.txt"]
    assert branches_of(plane, project) == set()
    assert len(plane.services.changes.all(project.id)) == 1


def test_what_somebody_took_back_by_hand_is_not_undone_again(plane: RealPlane) -> None:
    project, _ = merged(plane)
    run_git(Path(project.origin), "revert", "--no-edit", "-m", "1", "HEAD")
    with pytest.raises(AlreadyUndone, match="main has nothing of change request #2 any more"):
        undo(plane, project)


def test_a_base_that_was_rewritten_is_not_guessed_at(plane: RealPlane) -> None:
    project, change = merged(plane)
    run_git(Path(project.origin), "update-ref", "refs/heads/main", change.base_sha)
    with pytest.raises(NotUndone, match="does not have this merge as it was recorded"):
        undo(plane, project)


def test_a_silent_origin_is_told(plane: RealPlane) -> None:
    project, _ = merged(plane)
    Path(project.origin).rename(plane.folder / "away")
    with pytest.raises(ForgeUnavailable):
        undo(plane, project)
    assert branches_of(plane, project) == set()


def test_no_agent_is_sent_to_a_change_that_none_made(twin: TwinPlane) -> None:
    project, _ = merged(twin)
    number = undo(twin, project).number
    asker, now = twin.requester(), twin.clock()
    with pytest.raises(NoRun, match="No agent run made"):
        twin.services.feedback.request_changes(
            project.id, number, Wanted("ada", "Shorter."), asker, now
        )
    with pytest.raises(NoRun):
        twin.services.resolving.resolve(project.id, number, asker, now)
    with pytest.raises(NoRun):
        twin.start_running(project, pr_number=number)


def test_the_inbox_has_the_revert_and_loses_it(twin: TwinPlane) -> None:
    project, _ = merged(twin)
    revert = undo(twin, project)
    (item,) = [one for one in twin.services.inbox.all() if one.change]
    assert (item.change, item.run_id, item.title) == (revert.number, None, revert.title)
    merge(twin, revert)
    assert not [one for one in twin.services.inbox.all() if one.change]


@pytest.mark.parametrize("point", ["undo.after_claim", "undo.after_open"])
def test_an_undo_that_a_crash_cut_short_is_one_change_at_last(twin: TwinPlane, point: str) -> None:
    project, _ = merged(twin)
    fail_at(point)
    with pytest.raises(FailpointHit):
        undo(twin, project)
    clear_failpoints()
    is_open = point == "undo.after_open"
    assert twin.services.reverts.settle_once() == (not is_open)
    assert branches_of(twin, project) == ({"revert/2"} if is_open else set())
    assert (undo(twin, project).number, undo(twin, project).number) == (3, 3)
    assert twin.services.reverts.settle_once() == 0


def test_a_branch_that_a_start_took_too_early_is_given_back(twin: TwinPlane) -> None:
    project, _ = merged(twin)
    revert = undo(twin, project)
    twin.adapters.mirrors.release(twin.repository(project), "revert/2", expected_sha=None)
    assert twin.services.reverts.settle_once() == 1
    assert merge(twin, revert).state == "merged"


def test_the_branch_of_an_issue_is_none_of_a_revert(twin: TwinPlane) -> None:
    project = twin.add_project()
    repo = twin.repository(project)
    base = twin.adapters.mirrors.origin_tip(repo, "main")
    assert base
    twin.adapters.mirrors.claim(repo, "revert/7", base)
    assert twin.services.reverts.settle_once() == 0
    assert branches_of(twin, project) == {"revert/7"}


@pytest.mark.parametrize("point", ["merge.after_push", "after_change_ended"])
def test_a_merge_of_a_revert_that_a_crash_cut_short_is_finished(
    twin: TwinPlane, point: str
) -> None:
    project, _ = merged(twin)
    revert = undo(twin, project)
    fail_at(point)
    with pytest.raises(FailpointHit):
        merge(twin, revert)
    clear_failpoints()
    assert twin.services.changes.finish_once(twin.clock()) == 1
    assert twin.services.changes.find(project.id, revert.number).state == "merged"
    assert branches_of(twin, project) == set()
    assert twin.services.changes.finish_once(twin.clock()) == 0
