"""Drafts of ended changes: found without a look at what was sent, and removed only when ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.records.projects.project_ledger import ProjectLedger
from app.records.review.comment_ledger import CommentLedger
from app.records.stores.routing import Stores
from app.records.tables import ChangeComment, ChangeRequest
from tests.builders.rows import NOW, draft_project
from tests.drivers.query_plans import explained, steps_of

DAY = timedelta(days=1)


def add_change(stores: Stores, number: int, state: str, *, ended: timedelta | None = None) -> None:
    """Insert a change that was opened at NOW and ended some time later."""
    change = ChangeRequest(
        project_id="proj_1",
        number=number,
        title="Add a file",
        body="",
        base="main",
        branch=f"afk/{number}",
        base_sha="a" * 40,
        head_sha="b" * 40,
        commits=1,
        files_changed=1,
        additions=1,
        deletions=0,
        state=state,
        created_at=NOW,
        ended_at=None if ended is None else NOW + ended,
    )
    with stores.control.transaction() as tx:
        tx.add(change)


def add_comments(stores: Stores, number: int, count: int = 1, *, sent: bool = False) -> None:
    """Insert comments of one person."""
    rows = [
        ChangeComment(
            project_id="proj_1",
            number=number,
            person_id="person_1",
            author="Ann",
            side="new",
            sha="b" * 40,
            text="why?",
            round=2 if sent else None,
            run_id="run_1" if sent else None,
            created_at=NOW,
        )
        for _ in range(count)
    ]
    with stores.control.transaction() as tx:
        tx.add_all(rows)


@pytest.fixture
def comments(stores: Stores) -> CommentLedger:
    """A ledger of a project without changes."""
    ProjectLedger(stores).insert(draft_project())
    return CommentLedger(stores)


@pytest.mark.both_databases
def test_drafts_are_left_over_once_their_change_ended_long_enough_ago(
    stores: Stores, comments: CommentLedger
) -> None:
    add_change(stores, 1, "open")
    add_change(stores, 2, "merged", ended=DAY)
    add_change(stores, 3, "closed", ended=2 * DAY)
    add_change(stores, 4, "merged", ended=DAY)
    for number in (1, 2, 2, 3):
        add_comments(stores, number)
    add_comments(stores, 4, sent=True)
    assert comments.places_left(NOW, limit=9) == []
    assert comments.places_left(NOW + DAY, limit=9) == [("proj_1", 2)]
    assert comments.places_left(NOW + 2 * DAY, limit=9) == [("proj_1", 2), ("proj_1", 3)]
    assert comments.places_left(NOW + 2 * DAY, limit=1) == [("proj_1", 2)]


@pytest.mark.both_databases
def test_what_is_left_of_an_ended_change_goes_and_what_was_sent_stays(
    stores: Stores, comments: CommentLedger
) -> None:
    add_change(stores, 1, "open")
    add_change(stores, 2, "merged", ended=DAY)
    for number in (1, 2):
        add_comments(stores, number, 2)
        add_comments(stores, number, sent=True)
    assert comments.remove_left("proj_1", 1) == 0
    assert comments.remove_left("proj_1", 2) == 2
    assert comments.remove_left("proj_1", 2) == 0
    kept = [len(comments.of_change("proj_1", number, "person_1")) for number in (1, 2)]
    assert kept == [3, 1]


def test_what_was_sent_costs_nothing_when_drafts_are_looked_for(
    stores: Stores, comments: CommentLedger
) -> None:
    def look() -> object:
        return comments.places_left(NOW + DAY, limit=9)

    for number in range(1, 6):
        add_change(stores, number, "merged", ended=DAY)
    add_comments(stores, 1)
    for number in range(1, 6):
        add_comments(stores, number, 200, sent=True)
    assert look() == [("proj_1", 1)]
    if stores.control.is_sqlite:
        # a look at each comment would take thousands
        assert steps_of(stores.control, look) <= 300
        assert any("unsent_comments" in line for line in explained(stores.control, look))
