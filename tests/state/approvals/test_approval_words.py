"""The sentences about an approval."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.api.schemas import ApprovalOut
from app.state.approvals.approval_words import (
    asked_words,
    comments_of,
    ended_words,
    needs_words,
    what_words,
    why_not_merged,
)
from tests.builders.rows import NOW

ANN = {"person": "p1", "name": "Ann", "approves": True, "comment": "", "at": NOW}


def approval(**members: Any) -> ApprovalOut:
    """Return a pending approval of a start."""
    usual: dict[str, Any] = {
        "id": "approval_1",
        "kind": "start",
        "state": "pending",
        "project_id": "proj_1",
        "project_name": "shop",
        "title": "Round per line",
        "run_id": "run_c000000000000000000abcdef",
        "needed": 1,
        "approvals": 0,
        "answers": [],
        "url": "/runs/run_1",
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=7),
    }
    return ApprovalOut.model_validate(usual | members)


def merge(**members: Any) -> ApprovalOut:
    """Return a pending approval of a merge."""
    return approval(**{"kind": "merge", "change": 3, "head_sha": "a" * 40} | members)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (approval(), "Start of run …abcdef"),
        (approval(issue=12), "Start of a run for issue #12"),
        (merge(issue=12), "Merge of change 3"),
    ],
)
def test_it_says_what_is_to_be_approved(given: ApprovalOut, words: str) -> None:
    assert what_words(given) == words


@pytest.mark.parametrize(
    ("given", "needs", "why"),
    [
        (approval(), "This run starts once it is approved.", "It needs 1 more approval."),
        (
            merge(),
            "This change needs 1 approval before it is merged.",
            "It needs 1 more approval.",
        ),
        (
            merge(needed=3, approvals=1),
            "This change needs 3 approvals before it is merged. It has 1 of 3.",
            "It needs 2 more approvals.",
        ),
    ],
)
def test_it_says_what_is_lacking(given: ApprovalOut, needs: str, why: str) -> None:
    assert (needs_words(given), why_not_merged(given)) == (needs, why)


@pytest.mark.parametrize(
    ("state", "words", "why"),
    [
        ("pending", "", "It needs 1 more approval."),
        ("approved", "Approved.", ""),
        ("rejected", "Rejected: Ann refused it: no", "Its merge was rejected."),
        ("expired", "Nobody answered in time.", ""),
        ("withdrawn", "Not needed any more.", ""),
    ],
)
def test_it_says_how_it_ended(state: str, words: str, why: str) -> None:
    given = merge(state=state, because="Ann refused it: no")
    assert (ended_words(given), why_not_merged(given)) == (words, why)


def test_it_names_who_asked_and_who_approved() -> None:
    assert asked_words(approval()) == "started by the auto loop"
    assert asked_words(approval(asked_by="p1", asked_by_name="Ann")) == "started by Ann"
    answers = [ANN, ANN | {"name": "Ben", "comment": "fine"}, ANN | {"approves": False}]
    assert comments_of(merge(answers=answers)) == ["Ann approved it", "Ben approved it: fine"]
    assert why_not_merged(None) == ""
