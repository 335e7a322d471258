"""The history of a change: its commits, its requests, and the commit that did what was asked."""

from __future__ import annotations

import sys

import pytest

from app.records.tables import Project
from app.services.review.feedback import Wanted
from app.services.review.reviews import NewComment
from tests.drivers.planes import RealPlane
from tests.fakes.agents import obeys

WRITES = "seq 1 20 > a.txt; git add .; git commit -qm 'Add a file'"
OBEYS = [sys.executable, obeys.__file__]


@pytest.fixture
def project(plane: RealPlane) -> Project:
    """A project whose change #2 adds a file; from now on its agent does what comments say."""
    project = plane.add_project(WRITES)
    plane.finish(project, issue=plane.add_issue(project).number)
    plane.ledgers.projects.change(project.id, agent_command=OBEYS)
    return plane.project(project.id)


def comment(plane: RealPlane, project: Project, line: int, words: str) -> int:
    """Write ada's draft on a line; return its id."""
    new = NewComment(f"Write here: {words}", "a.txt", line)
    author, now = (plane.person, "ada"), plane.clock()
    found = plane.services.reviews.comment(project.id, 2, author, new, now)
    assert found.row.id is not None
    return found.row.id


def test_a_comment_is_done_by_the_commit_that_changed_its_line_and_only_then(
    plane: RealPlane, project: Project
) -> None:
    histories = plane.services.histories
    [first] = histories.of(project.id, 2, plane.person).commits
    done, same = comment(plane, project, 7, "seven"), comment(plane, project, 9, "9")
    kept = comment(plane, project, 11, "eleven")
    wanted = Wanted("ada", "Once more, please.", [done, same])
    asked = plane.services.feedback.request_changes(
        project.id, 2, wanted, plane.requester(), plane.clock()
    )
    plane.rest()
    run = plane.see_end(plane.run(asked.run.id))
    assert run.status == "succeeded", run.because
    history = histories.of(project.id, 2, plane.person)
    assert [one.subject for one in history.commits] == ["Follow the review", "Add a file"]
    assert history.commits[1] == first
    assert history.done == {done: run.head_sha}
    assert kept not in history.done
    [request] = history.requests
    told = (request.round, request.run_id, request.author, request.text)
    assert told == (2, run.id, "ada", "Once more, please.")
