"""Work in unexpected places, and races at single lines of code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest

from app.errors import Invalid
from tests.builders.repositories import commit_file, run_git, tip_of
from tests.drivers.planes import RealPlane

IDENTITY = "git config user.name a; git config user.email a@b.c; "


@pytest.mark.parametrize(
    "script",
    [
        "git checkout -qb aside; echo x >x; git add x; git commit -qm x; git checkout -q -",
        "echo x >>README.md; git add -A; git stash -q",
        "git checkout -q --detach; echo x >x; git add x; git commit -qm x; git tag kept",
    ],
)
def test_commits_beside_the_runs_branch_keep_the_copy(plane: RealPlane, script: str) -> None:
    project = plane.add_project(IDENTITY + script)
    run = plane.finish(project)
    assert run.parked
    assert plane.copy(run).is_dir()
    assert any("commit" in line for line in plane.lines(run))


def test_a_merge_takes_what_was_shown_and_nothing_that_came_later(plane: RealPlane) -> None:
    work = "echo x >x; git add x; git commit -qm x"
    project = plane.add_project(IDENTITY + work)
    run = plane.finish(project)
    change = plane.services.changes.all(project.id)[0]
    mirror = plane.adapters.mirrors
    repo = plane.repository(project)
    late = run_git(
        plane.settings.runs_root / "mirrors" / f"{project.id}.git",
        *("-c", "user.name=a", "-c", "user.email=a@b.c"),
        *("commit-tree", "-p", change.head_sha, "-m", "late", f"{change.head_sha}^{{tree}}"),
    ).strip()
    run_git(
        plane.settings.runs_root / "mirrors" / f"{project.id}.git",
        *("update-ref", f"refs/heads/{run.work_branch}", late),
    )
    merged = plane.services.changes.merge(project.id, change.number, plane.clock())
    log = run_git(Path(project.origin), "log", "--format=%s", project.base_branch)
    assert merged.state == "merged"
    assert "late" not in log
    assert mirror.tip(repo, run.work_branch) == late


def test_a_mirror_that_is_gone_is_unknown_and_harms_no_other_project(plane: RealPlane) -> None:
    project = plane.add_project()
    issue = plane.add_issue(project)
    rmtree(plane.settings.runs_root / "mirrors" / f"{project.id}.git")
    views = {view.project.id: view for view in plane.services.overview.all()}
    assert views[project.id].ready_count is None
    hold = plane.services.issues.all(project.id)[0].hold
    assert hold == "its branch could not be read"
    assert issue.number == 1
    assert [one.name for one in plane.services.projects.branches(project.id)] == ["main"]


def test_what_one_failed_read_did_not_tell_is_asked_again(plane: RealPlane) -> None:
    project = plane.add_project()
    plane.add_issue(project)
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    away = mirror.rename(mirror.with_suffix(".away"))
    assert plane.services.overview.of(project.id).ready_count is None
    away.rename(mirror)
    assert plane.services.overview.of(project.id).ready_count == 1


def test_frameworks_of_ones_own_are_added_to_what_everybody_has(plane: RealPlane) -> None:
    project = plane.add_project()
    changed = plane.services.projects.change(project.id, frameworks=["mine"])
    assert {"auto", "pytest", "mine"} <= set(changed.frameworks)
    with pytest.raises(Invalid):
        plane.accept(replace(plane.order(project), framework="theirs"))


def test_a_change_request_at_origin_moves_on_while_its_base_does(plane: RealPlane) -> None:
    work = "echo x >x; git add x; git commit -qm x"
    project = plane.add_project(IDENTITY + work)
    plane.finish(project)
    commit_file(Path(project.origin), "other.txt", "other")
    before = tip_of(Path(project.origin), project.base_branch)
    change = plane.services.changes.all(project.id)[0]
    plane.services.changes.merge(project.id, change.number, plane.clock())
    after = tip_of(Path(project.origin), project.base_branch)
    parents = run_git(Path(project.origin), "rev-list", "--parents", "-n1", after).split()[1:]
    assert parents == [before, change.head_sha]
