"""Editing a text that others may edit at the same time."""

from __future__ import annotations

import pytest

from app.api.client.client import ApiProblem
from app.api.schemas import IssueOut
from app.state.tracker.issue_editor import IssueEditor

ISSUE = IssueOut(
    number=1, title="Old", body="Text", labels=[], state="open", ready=False, claimable=False
)


def overtaken(**stands: object) -> ApiProblem:
    """Return the refusal that carries the current version."""
    return ApiProblem(409, {"error": "edited_meanwhile", "stands": stands}, "corr")


def test_only_what_was_changed_is_sent_with_what_was_seen_there() -> None:
    editor = IssueEditor(ISSUE)
    assert not editor.is_changed
    editor.title = "  New "
    assert editor.is_changed
    assert editor.change() == {"title": "New", "was": {"title": "Old"}}
    editor.body = ""
    assert editor.change()["was"] == {"title": "Old", "body": "Text"}


@pytest.mark.parametrize(
    ("title", "is_wrong"), [("", True), (" \n", True), ("x" * 301, True), (" " + "x" * 300, False)]
)
def test_a_title_is_needed_and_no_longer_than_it_may_be(title: str, is_wrong: bool) -> None:
    editor = IssueEditor(ISSUE)
    editor.title = title
    assert bool(editor.wrong) is is_wrong


def test_who_was_overtaken_sees_theirs_and_keeps_what_is_typed() -> None:
    editor = IssueEditor(ISSUE)
    editor.body = "Mine"
    assert editor.notice(overtaken(title="Old", body="Theirs"))
    assert (editor.theirs, editor.body) == ({"title": "Old", "body": "Theirs"}, "Mine")
    editor.keep_mine()
    assert editor.change() == {"body": "Mine", "was": {"body": "Theirs"}}
    assert editor.theirs is None


def test_what_was_left_alone_stays_as_the_other_has_made_it() -> None:
    editor = IssueEditor(ISSUE)
    editor.body = "Mine"
    editor.notice(overtaken(title="Their title", body="Theirs"))
    editor.keep_mine()
    assert (editor.title, editor.body) == ("Their title", "Mine")
    assert editor.change() == {"body": "Mine", "was": {"body": "Theirs"}}


def test_theirs_can_be_taken_instead() -> None:
    editor = IssueEditor(ISSUE)
    editor.body = "Mine"
    editor.notice(overtaken(title="Theirs", body="Theirs"))
    editor.take_theirs()
    assert (editor.title, editor.body, editor.is_changed) == ("Theirs", "Theirs", False)


@pytest.mark.parametrize(
    "problem",
    [
        ApiProblem(409, {"error": "project_archived", "stands": {}}, "corr"),
        ApiProblem(409, {"error": "edited_meanwhile"}, "corr"),
    ],
)
def test_another_refusal_is_none_of_its_business(problem: ApiProblem) -> None:
    editor = IssueEditor(ISSUE)
    assert not editor.notice(problem)
    editor.keep_mine()
    editor.take_theirs()
    assert editor.theirs is None
