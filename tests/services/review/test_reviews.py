"""Reviews of changes: files, marks, and comments that keep their place through new commits."""

from __future__ import annotations

import pytest

from app.domain.words import Side
from app.errors import ChangeClosed, NotFound
from app.records.review.comment_ledger import CommentLedger
from app.records.tables import Project
from app.services.review.places import CommentView
from app.services.review.reviews import NewComment
from tests.drivers.planes import RealPlane

WRITES = "seq 1 30 > a.txt; seq 1 5 > package-lock.json; git add .; git commit -qm 'Add two files'"
# a later run on the same change: two lines above line 20 go, one comes, and line 5 is edited
CORRECTS = "sed -i -e 10,11d -e '15a more' -e 's/^5$/five/' a.txt; git commit -qam 'Correct it'"


@pytest.fixture
def project(plane: RealPlane) -> Project:
    """A project whose change #2 adds two files."""
    project = plane.add_project(WRITES)
    plane.finish(project, issue=plane.add_issue(project).number)
    return project


def comment(plane: RealPlane, project: Project, text: str, **where: object) -> CommentView:
    """Write a draft on change #2."""
    new = NewComment(text, **where)  # type: ignore[arg-type]
    author = plane.person, "Ann"
    return plane.services.reviews.comment(project.id, 2, author, new, plane.clock())


def correct(plane: RealPlane, project: Project) -> None:
    """Have a second run add a commit to the change."""
    plane.services.projects.change(project.id, agent_command=["sh", "-c", CORRECTS])
    plane.finish(plane.project(project.id), pr_number=2, task="Correct it")


def test_files_are_listed_with_the_marks_of_one_person(plane: RealPlane, project: Project) -> None:
    reviews = plane.services.reviews
    reviews.set_viewed(project.id, 2, plane.person, "a.txt", is_viewed=True)
    code, lock = reviews.files(project.id, 2, plane.person)
    assert (code.file.path, code.file.additions, code.is_viewed) == ("a.txt", 30, True)
    assert (lock.file.path, lock.is_folded, lock.is_viewed) == ("package-lock.json", True, False)
    assert not any(one.is_viewed for one in reviews.files(project.id, 2, "another"))
    assert "package-lock.json" not in reviews.diff(project.id, 2, "a.txt").text
    with pytest.raises(NotFound):
        reviews.diff(project.id, 2, "other.txt")


def test_a_mark_goes_with_the_content_that_was_viewed(plane: RealPlane, project: Project) -> None:
    reviews = plane.services.reviews
    for path in ("a.txt", "package-lock.json"):
        reviews.set_viewed(project.id, 2, plane.person, path, is_viewed=True)
    correct(plane, project)
    viewed = {one.file.path: one.is_viewed for one in reviews.files(project.id, 2, plane.person)}
    assert viewed == {"a.txt": False, "package-lock.json": True}
    reviews.set_viewed(project.id, 2, plane.person, "package-lock.json", is_viewed=False)
    assert not any(one.is_viewed for one in reviews.files(project.id, 2, plane.person))


def test_comments_keep_their_place_or_say_that_they_are_outdated(
    plane: RealPlane, project: Project
) -> None:
    for line in (3, 5, 10, 20):
        comment(plane, project, f"line {line}", file="a.txt", line=line)
    comment(plane, project, "the file", file="a.txt")
    comment(plane, project, "all of it")
    correct(plane, project)
    found = plane.services.reviews.comments(project.id, 2, plane.person)
    assert [(one.row.text, one.line, one.is_outdated) for one in found] == [
        ("line 3", 3, False),
        ("line 5", 5, True),
        ("line 10", 10, True),
        ("line 20", 19, False),
        ("the file", None, False),
        ("all of it", None, False),
    ]


def test_a_draft_is_its_authors_until_it_is_sent(plane: RealPlane, project: Project) -> None:
    reviews = plane.services.reviews
    draft = comment(plane, project, "why?", file="a.txt", line=1)
    assert draft.is_draft
    assert draft.row.id is not None
    assert reviews.comments(project.id, 2, "another") == []
    with pytest.raises(NotFound):
        reviews.edit(project.id, 2, "another", draft.row.id, "mine")
    edited = reviews.edit(project.id, 2, plane.person, draft.row.id, "why not?")
    assert (edited.row.text, edited.line) == ("why not?", 1)
    assert CommentLedger(plane.stores).mark_sent([draft.row.id], "run_1", 2) == 1
    [sent] = reviews.comments(project.id, 2, "another")
    assert (sent.row.text, sent.is_draft, sent.row.round) == ("why not?", False, 2)
    with pytest.raises(NotFound):
        reviews.remove(project.id, 2, plane.person, draft.row.id)


def test_a_deleted_draft_is_gone(plane: RealPlane, project: Project) -> None:
    draft = comment(plane, project, "why?", side=Side.OLD)
    assert draft.row.id is not None
    plane.services.reviews.remove(project.id, 2, plane.person, draft.row.id)
    assert plane.services.reviews.comments(project.id, 2, plane.person) == []


def test_a_change_that_has_ended_takes_no_comments(plane: RealPlane, project: Project) -> None:
    plane.services.changes.merge(project.id, 2, plane.clock())
    with pytest.raises(ChangeClosed):
        comment(plane, project, "too late")
