"""A repository that has moved: it is recognized by its first commit, and nothing else is taken."""

from __future__ import annotations

import pytest

from app.errors import Invalid, ProjectArchived
from app.records.tables import Project
from tests.builders.repositories import make_origin, run_git
from tests.drivers.planes import RealPlane


def move_away(plane: RealPlane, project: Project) -> str:
    """Rename a project's repository, have that noticed, and return the new place."""
    place = plane.folder / "moved" / "shop"
    place.parent.mkdir()
    (plane.folder / project.origin).rename(place)
    held = plane.services.relocation.check_again(project.id)
    assert held.unreachable
    assert f"There is no folder {project.origin}." in (held.origin_because or "")
    return str(place)


def test_a_repository_that_moved_is_found_at_its_new_place_with_what_was_added_there(
    plane: RealPlane,
) -> None:
    project = plane.add_project()
    place = move_away(plane, project)
    run_git(plane.folder / place, "commit", "-q", "--allow-empty", "-m", "After the move")
    tip = run_git(plane.folder / place, "rev-parse", "main")
    moved = plane.services.relocation.locate(project.id, f"{place}/")
    assert (moved.origin, moved.unreachable, moved.origin_because) == (place, False, None)
    assert plane.adapters.mirrors.origin_tip(plane.repository(moved), "main") == tip
    plane.rest()
    assert plane.finish(moved).status == "succeeded", "a run works there from its start to its end"


def test_another_repository_is_not_taken_for_the_one_that_moved(plane: RealPlane) -> None:
    project = plane.add_project()
    move_away(plane, project)
    held = plane.project(project.id)
    other = make_origin(plane.folder / "other", files={"other.txt": "another beginning"})
    branchless = make_origin(plane.folder / "branchless", files={"a.txt": "a"})
    run_git(branchless, "branch", "-m", "main", "trunk")
    cases = {
        str(other): "This is another repository: its history begins with another commit.",
        str(branchless): "This repository has no branch main",
        str(plane.folder / "nowhere"): "There is no folder",
        "../shop": "absolute path",
        "https://me:secret@127.0.0.1/x": "",
    }
    for origin, sentence in cases.items():
        with pytest.raises(Invalid) as refusal:
            plane.services.relocation.locate(project.id, origin)
        [error] = refusal.value.members["errors"]
        assert error["field"] == "origin"
        assert sentence in error["message"]
        assert "secret" not in error["message"]
        assert plane.project(project.id) == held


def test_a_repository_that_is_back_is_noticed_at_once(plane: RealPlane) -> None:
    project = plane.add_project()
    place = plane.folder / move_away(plane, project)
    place.rename(project.origin)
    assert not plane.services.relocation.check_again(project.id).unreachable


def test_a_clone_that_failed_is_made_from_the_place_that_a_person_names(plane: RealPlane) -> None:
    project = plane.add_project()
    plane.ledgers.projects.change(project.id, state="broken", state_because="Gone.")
    plane.adapters.mirrors.remove(plane.repository(project))
    copy = plane.folder / "copy"
    run_git(plane.folder, "clone", "-q", project.origin, str(copy))
    assert plane.services.relocation.locate(project.id, str(copy)).state == "cloning"
    plane.rest()
    ready = plane.project(project.id)
    assert (ready.state, ready.state_because, ready.origin) == ("ready", None, str(copy))


def test_an_archived_project_stays_where_it_is(plane: RealPlane) -> None:
    project = plane.add_project()
    plane.services.projects.archive(project.id, plane.clock())
    with pytest.raises(ProjectArchived):
        plane.services.relocation.locate(project.id, project.origin)
