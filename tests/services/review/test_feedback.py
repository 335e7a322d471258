"""Requests for changes: comments reach an agent, which works on the same change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from app.domain.words import Side
from app.errors import ChangeClosed, Invalid, KeyReused, NotFound, PrLock
from app.failpoints import FailpointHit
from app.records.tables import Project, Run
from app.services.kept.retry import RetryOptions
from app.services.review.feedback import Wanted
from app.services.review.places import CommentView
from app.services.review.reviews import NewComment
from app.services.runs.requests import Accepted
from tests.builders.repositories import run_git
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import RealPlane
from tests.fakes.agents import obeys

WRITES = "mkdir src; seq 1 20 > src/a.txt; git add .; git commit -qm 'Add a file'"
OBEYS = [sys.executable, obeys.__file__]
WAITS = ["sleep", "60"]


@pytest.fixture
def project(plane: RealPlane) -> Project:
    """A project whose change #2 adds a file; from now on its agent does what comments say."""
    project = plane.add_project(WRITES)
    plane.finish(project, issue=plane.add_issue(project).number)
    return given(plane, project, OBEYS)


def given(plane: RealPlane, project: Project, agent: list[str]) -> Project:
    """Give the project another agent."""
    plane.ledgers.projects.change(project.id, agent_command=agent)
    return plane.project(project.id)


def comment(plane: RealPlane, project: Project, text: str, **where: Any) -> int:
    """Write ada's draft on change #2; return its id."""
    author, new = (plane.person, "ada"), NewComment(text, **where)
    found = plane.services.reviews.comment(project.id, 2, author, new, plane.clock())
    assert found.row.id is not None
    return found.row.id


def on_line(plane: RealPlane, project: Project, line: int, words: str) -> int:
    """Write a draft that asks for other words on a line of the file."""
    return comment(plane, project, f"Write here: {words}", file="src/a.txt", line=line)


def request(
    plane: RealPlane, project: Project, *, key: str | None = None, **asked: Any
) -> Accepted:
    """Request changes of change #2 as ada does."""
    wanted, requester = Wanted("ada", **asked), plane.requester(key)
    return plane.services.feedback.request_changes(project.id, 2, wanted, requester, plane.clock())


def ended(plane: RealPlane, accepted: Accepted) -> Run:
    """Wait for the run's end."""
    plane.rest()
    return plane.see_end(plane.run(accepted.run.id))


def seen(plane: RealPlane, project: Project, person: str = "another") -> list[CommentView]:
    """Return the comments that a person sees."""
    return plane.services.reviews.comments(project.id, 2, person)


def prompt_of(plane: RealPlane, run: Run) -> str:
    [turn] = plane.services.prompts.of_run(run.id)
    return turn.text


def test_the_agent_changes_the_line_that_a_comment_names_and_the_change_gets_the_commit(
    plane: RealPlane, project: Project
) -> None:
    on_line(plane, project, 7, "seven")
    comment(plane, project, "Fine.", file="src/a.txt", line=12)
    before = plane.services.changes.find(project.id, 2)
    run = ended(plane, request(plane, project, text="Once more, please."))
    assert (run.status, run.trigger, run.pr_number) == ("succeeded", "review", 2), run.because
    assert run.work_branch == before.branch
    [change] = plane.services.changes.all(project.id)
    assert (change.number, change.commits) == (2, before.commits + 1)
    tip = run_git(Path(project.origin), "rev-parse", f"refs/heads/{before.branch}")
    assert change.head_sha == tip == run.head_sha
    lines = run_git(Path(project.origin), "show", f"{tip}:src/a.txt").split("\n")
    assert lines == [str(n) if n != 7 else "seven" for n in range(1, 21)]
    told = seen(plane, project)
    assert [(one.row.round, one.row.run_id, one.line, one.is_outdated) for one in told] == [
        (2, run.id, 7, True),
        (2, run.id, 12, False),
    ]
    quoted = "src/a.txt:7\n> 4\n> 5\n> 6\n> 7\n> 8\n> 9\n> 10\nada:\n> Write here: seven"
    assert quoted in prompt_of(plane, run)
    assert "The whole change\nada:\n> Once more, please." in prompt_of(plane, run)


def test_a_comment_that_is_not_sent_changes_nothing_and_stays_a_draft(
    plane: RealPlane, project: Project
) -> None:
    sent, kept = on_line(plane, project, 7, "seven"), on_line(plane, project, 9, "nine")
    run = ended(plane, request(plane, project, comments=[sent]))
    lines = run_git(Path(project.origin), "show", f"{run.head_sha}:src/a.txt").split("\n")
    assert (lines[6], lines[8]) == ("seven", "9")
    assert [one.row.id for one in seen(plane, project)] == [sent]
    assert [one.row.id for one in seen(plane, project, plane.person) if one.is_draft] == [kept]


def test_a_later_round_sends_comments_from_where_they_are_then(
    plane: RealPlane, project: Project
) -> None:
    first = comment(plane, project, "Drop both.", file="src/a.txt", line=2)
    gone = comment(plane, project, "Why?", file="src/a.txt", line=3)
    moved = on_line(plane, project, 15, "fifteen")
    given(plane, project, ["sh", "-c", "sed -i 2,3d src/a.txt; git commit -qam 'Drop two lines'"])
    assert ended(plane, request(plane, project, comments=[first])).status == "succeeded"
    given(plane, project, OBEYS)
    plane.clock.advance(60)
    run = ended(plane, request(plane, project))
    text = prompt_of(plane, run)
    assert "src/a.txt:13\n> 12\n> 13\n> 14\n> 15\n> 16\n> 17\n> 18\nada:\n" in text
    outdated = "ada, outdated: on this line as it was when the comment was written:\n> Why?"
    assert f"src/a.txt:3\n> 1\n> 2\n> 3\n> 4\n> 5\n> 6\n{outdated}" in text
    lines = run_git(Path(project.origin), "show", f"{run.head_sha}:src/a.txt").split("\n")
    assert (lines[12], lines[13]) == ("fifteen", "16")
    rounds = {one.row.id: one.row.round for one in seen(plane, project)}
    assert rounds == {first: 2, gone: 3, moved: 3}


def test_a_comment_on_the_old_side_is_sent_with_the_lines_before_the_change(
    plane: RealPlane, project: Project
) -> None:
    given(plane, project, ["sh", "-c", "echo new > README.md; git commit -qam 'Say more'"])
    assert plane.finish(project, pr_number=2, task="Say more").status == "succeeded"
    comment(plane, project, "Keep this.", file="README.md", line=1, side=Side.OLD)
    given(plane, project, WAITS)
    accepted = request(plane, project)
    plane.rest()
    [old] = run_git(Path(project.origin), "show", "main:README.md").split("\n")[:1]
    words = f"README.md:1\n> {old}\nada, on this line as it was before the change:\n> Keep this."
    assert words in prompt_of(plane, accepted.run)


def test_a_server_that_ends_between_the_run_and_the_marks_loses_and_doubles_nothing(
    plane: RealPlane, project: Project
) -> None:
    draft = on_line(plane, project, 7, "seven")
    fail_at("after_accept")
    with pytest.raises(FailpointHit):
        request(plane, project)
    clear_failpoints()
    [run] = plane.ask(select(Run).where(col(Run.pr_number) == 2))
    # a person who never saw the draft sees it sent, and its author can no longer change it
    [comment] = seen(plane, project)
    assert (comment.row.id, comment.row.round, comment.row.run_id) == (draft, 2, run.id)
    with pytest.raises(NotFound):
        plane.services.reviews.edit(project.id, 2, plane.person, draft, "Something else")
    with pytest.raises(Invalid):
        request(plane, project)
    plane.tick()
    assert "seven" in run_git(
        Path(project.origin), "show", f"{plane.see_end(plane.run(run.id)).head_sha}:src/a.txt"
    )


def test_an_interrupted_request_is_not_sent_twice_by_the_next_one(
    plane: RealPlane, project: Project
) -> None:
    on_line(plane, project, 7, "seven")
    fail_at("after_accept")
    with pytest.raises(FailpointHit):
        request(plane, project)
    clear_failpoints()
    plane.tick()
    [first] = plane.ask(select(Run).where(col(Run.pr_number) == 2))
    assert plane.see_end(plane.run(first.id)).status == "succeeded"
    second = request(plane, project, text="And now?")
    [only] = plane.run(second.run.id).review or []
    assert (only["id"], only["text"]) == (None, "And now?")


def test_one_key_makes_one_run_also_after_the_drafts_were_sent(
    plane: RealPlane, project: Project
) -> None:
    on_line(plane, project, 7, "seven")
    first = request(plane, project, key="once")
    again = request(plane, project, key="once")
    assert (again.run.id, again.replayed) == (first.run.id, True)
    with pytest.raises(KeyReused):
        request(plane, project, key="once", text="Something else")
    assert len(plane.ask(select(Run).where(col(Run.pr_number) == 2))) == 1


def test_a_retry_of_such_a_run_is_told_the_same_comments(
    plane: RealPlane, project: Project
) -> None:
    on_line(plane, project, 7, "seven")
    given(plane, project, ["false"])
    failed = ended(plane, request(plane, project))
    assert failed.status == "died"
    given(plane, project, OBEYS)
    retried = plane.services.retry.retry(
        failed.id, RetryOptions(), plane.requester(), plane.clock()
    )
    run = ended(plane, retried)
    assert "ada:\n> Write here: seven" in prompt_of(plane, run)
    assert run.status == "succeeded", run.because
    [sent] = seen(plane, project)
    assert (sent.row.round, sent.row.run_id) == (2, failed.id)


def test_what_cannot_be_sent_is_refused_and_leaves_drafts_as_they_were(
    plane: RealPlane, project: Project
) -> None:
    with pytest.raises(Invalid) as nothing:
        request(plane, project)
    assert nothing.value.members["errors"][0]["field"] == "text"
    draft = on_line(plane, project, 7, "seven")
    for ids in ([draft, draft + 1], [draft + 1]):
        with pytest.raises(Invalid) as unknown:
            request(plane, project, comments=ids)
        assert unknown.value.members["errors"][0]["field"] == "comments"
    with pytest.raises(Invalid):
        request(plane, project, comments=[])
    stranger = plane.requester(person="another")
    with pytest.raises(Invalid):
        plane.services.feedback.request_changes(
            project.id, 2, Wanted("eve", comments=[draft]), stranger, plane.clock()
        )
    given(plane, project, WAITS)
    other = plane.launch(project, pr_number=2, task="Wait")
    with pytest.raises(PrLock):
        request(plane, project)
    plane.stop_run(other)
    plane.services.changes.close(project.id, 2, plane.clock())
    with pytest.raises(ChangeClosed):
        request(plane, project)
    [kept] = seen(plane, project, plane.person)
    assert kept.is_draft
