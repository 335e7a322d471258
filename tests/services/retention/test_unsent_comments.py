"""Comments that nobody sent outlive their change for a while, and are then removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.failpoints import FailpointHit
from app.records.tables import Project
from app.services.review.feedback import Wanted
from app.services.review.reviews import NewComment
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import RealPlane, real_plane

DAY = 86400
WRITES = "seq 1 9 > a.txt; git add .; git commit -qm 'Add a file'"

CORRECTS = "seq 1 8 > a.txt; git commit -qam 'Correct it'"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    with real_plane(tmp_path) as plane:
        yield plane


@pytest.fixture
def project(plane: RealPlane) -> Project:
    """A project whose change #2 adds a file."""
    project = plane.add_project(WRITES)
    plane.finish(project, issue=plane.add_issue(project).number)
    return project


def comment(plane: RealPlane, project: Project, words: str, person: str | None = None) -> None:
    """Write a draft on change #2."""
    author = person or plane.person, "Ann"
    new = NewComment(words, file="a.txt", line=3)
    plane.services.reviews.comment(project.id, 2, author, new, plane.clock())


def drafts(plane: RealPlane, project: Project, person: str | None = None) -> list[str]:
    """Return a person's drafts on change #2."""
    found = plane.services.reviews.comments(project.id, 2, person or plane.person)
    return [one.row.text for one in found if one.is_draft]


def clear(plane: RealPlane) -> int:
    """Run one retention round and return the number of removed comments."""
    return plane.services.retention.comments.clear_once(plane.clock())


def merge(plane: RealPlane, project: Project) -> object:
    return plane.services.changes.merge(project.id, 2, plane.clock())


def close(plane: RealPlane, project: Project) -> object:
    return plane.services.changes.close(project.id, 2, plane.clock())


@pytest.mark.parametrize("end", [merge, close])
def test_drafts_of_an_ended_change_are_readable_for_as_long_as_its_logs_are_kept(
    plane: RealPlane, project: Project, end: Callable[[RealPlane, Project], object]
) -> None:
    comment(plane, project, "why?")
    end(plane, project)
    plane.clock.advance(29 * DAY)
    assert clear(plane) == 0
    assert drafts(plane, project) == ["why?"], "its author may still want to copy it"
    plane.clock.advance(DAY)
    assert clear(plane) == 1
    assert drafts(plane, project) == []
    assert clear(plane) == 0


def test_drafts_of_a_change_that_goes_on_stay_through_new_rounds(
    plane: RealPlane, project: Project
) -> None:
    comment(plane, project, "mine")
    plane.ledgers.projects.change(
        project.id, agent_command=["sh", "-c", "seq 1 8 > a.txt; git commit -qam 'Correct it'"]
    )
    wanted = Wanted("ann", text="Once more, please.", comments=[])
    plane.services.feedback.request_changes(project.id, 2, wanted, plane.requester(), plane.clock())
    plane.rest()
    plane.clock.advance(400 * DAY)
    assert clear(plane) == 0
    assert drafts(plane, project) == ["mine"]


def test_what_a_run_holds_was_sent_although_the_server_ended_before_it_was_marked(
    plane: RealPlane, project: Project
) -> None:
    comment(plane, project, "Write here: three")
    fail_at("after_accept")
    with pytest.raises(FailpointHit):
        plane.services.feedback.request_changes(
            project.id, 2, Wanted("ann"), plane.requester(), plane.clock()
        )
    clear_failpoints()
    plane.rest()
    plane.services.changes.close(project.id, 2, plane.clock())
    plane.clock.advance(31 * DAY)
    assert clear(plane) == 0
    found = plane.services.reviews.comments(project.id, 2, "another")
    assert [(one.row.text, one.is_draft) for one in found] == [("Write here: three", False)]


def test_with_no_limit_of_days_drafts_are_kept(tmp_path: Path) -> None:
    with real_plane(tmp_path, keep_days=0) as plane:
        project = plane.add_project(WRITES)
        plane.finish(project, issue=plane.add_issue(project).number)
        comment(plane, project, "why?")
        merge(plane, project)
        plane.clock.advance(4000 * DAY)
        assert clear(plane) == 0
        assert drafts(plane, project) == ["why?"]
