"""Conflicts of open changes: known before anybody asks, and never guessed."""

from __future__ import annotations

import pytest

from app.errors import MergeConflict
from app.records.feed import Numbered, ProjectChanged
from app.records.tables import ChangeRequest, Project
from tests.fakes.planes import TwinPlane


@pytest.fixture
def project(twin: TwinPlane) -> Project:
    """A project with the open changes #2 and #4, which clash once one of them is merged."""
    project = twin.add_project()
    for _ in range(2):
        run = twin.finish(project, issue=twin.add_issue(project).number)
        twin.world.clashes[run.head_sha or ""] = ("a.txt",)
    return project


def change(twin: TwinPlane, project: Project, number: int) -> ChangeRequest:
    """Return a change as it is kept."""
    return twin.services.changes.find(project.id, number)


def merge(twin: TwinPlane, project: Project, number: int) -> None:
    """Merge a change as a person does, and wait for all that follows."""
    try:
        twin.services.changes.merge(project.id, number, twin.clock())
    finally:
        twin.rest()


def test_a_delivered_change_is_known_to_merge_cleanly(twin: TwinPlane, project: Project) -> None:
    assert [change(twin, project, number).conflicts for number in (2, 4)] == [[], []]


def test_the_merge_of_one_change_shows_the_conflicts_of_the_other_to_open_pages(
    twin: TwinPlane, project: Project
) -> None:
    told: list[object] = []
    twin.feed.subscribe(lambda one: told.append(one.change))
    merge(twin, project, 2)
    assert change(twin, project, 4).conflicts == ["a.txt"]
    assert change(twin, project, 2).conflicts is None
    assert told[-1] == ProjectChanged(project.id)
    with pytest.raises(MergeConflict) as refused:
        merge(twin, project, 4)
    assert refused.value.members["files"] == ["a.txt"]
    assert change(twin, project, 4).state == "open"


def test_more_commits_are_looked_at_anew_and_unknown_until_then(
    twin: TwinPlane, project: Project
) -> None:
    merge(twin, project, 2)
    seen: list[object] = []

    def look(one: Numbered) -> None:
        if one.change == ProjectChanged(project.id):
            seen.append(change(twin, project, 4).conflicts)

    twin.feed.subscribe(look)
    twin.finish(project, pr_number=4, task="Resolve it")
    assert None in seen
    assert change(twin, project, 4).conflicts == []


def test_nothing_is_looked_at_twice_for_the_same_commits(twin: TwinPlane, project: Project) -> None:
    assert twin.services.conflicts.look_once(project.id) == 0
    merge(twin, project, 2)
    assert twin.services.conflicts.look_once(project.id) == 0
    twin.world.origins[project.origin]["main"] = twin.world.new_commit(None)
    twin.adapters.mirrors.fetch(twin.repository(project))
    assert twin.services.conflicts.look_once(project.id) == 1


def test_a_mirror_that_cannot_be_read_leaves_conflicts_unknown_not_none(
    twin: TwinPlane, project: Project
) -> None:
    merge(twin, project, 2)
    base = twin.world.new_commit(None)
    twin.world.origins[project.origin]["main"] = base
    twin.adapters.mirrors.fetch(twin.repository(project))
    twin.world.is_silent = True
    twin.services.conflicts.look_once(project.id)
    assert change(twin, project, 4).conflicts is None
    twin.world.is_silent = False
    assert twin.services.conflicts.look_once(project.id) == 1
    assert change(twin, project, 4).conflicts == ["a.txt"]


def test_a_server_that_ended_before_it_looked_looks_at_its_start(
    twin: TwinPlane, project: Project
) -> None:
    base = twin.world.new_commit(None)
    twin.world.origins[project.origin]["main"] = base
    twin.adapters.mirrors.fetch(twin.repository(project))
    twin.services.conflicts.request_all()
    twin.rest()
    assert [change(twin, project, number).conflicts for number in (2, 4)] == [["a.txt"]] * 2
