"""A change in words: its state, its facts, and what speaks against a merge."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.api.schemas import ChangeCommentOut, ChangeFile, ChangeOut, RunCheck, RunOut, UsageOut
from app.domain.words import AfterClose, CheckStatus, FileStatus, Side, Status
from app.state.review.change_asks import close_choices, drops_words
from app.state.review.change_record import ChangeSnapshot, works_on
from app.state.review.change_words import (
    can_be_undone,
    checks_words,
    comments_state,
    cost_of,
    first_sentence,
    merge_note,
    run_name,
    runs_words,
    state_of,
    undo_words,
    viewed_words,
    why_not_merged,
)
from tests.builders.run_samples import NOON, run_of


def change_of(**changes: Any) -> ChangeOut:
    """Return an open change."""
    given = {"kind": "change", "number": 3, "url": "/projects/p/changes/3", "state": "open"}
    more = {"title": "Answer", "base": "main", "branch": "afk/1", "created_at": NOON}
    return ChangeOut(**given | more | changes)


def run_with(number: int, minutes: float, cost: float | None = None, **changes: Any) -> RunOut:
    """Return a run that succeeded after some minutes."""
    began = NOON + timedelta(hours=number)
    times = {"started_at": began, "ended_at": began + timedelta(minutes=minutes)}
    return run_of(number, Status.SUCCEEDED, **times, usage=UsageOut(cost_usd=cost), **changes)


def check_of(name: str, status: CheckStatus, *, required: bool = True) -> RunCheck:
    """Return a check of the first round."""
    return RunCheck(
        name=name, round=1, status=status, required=required, commit="c" * 40, started_at=NOON
    )


def comment_of(number: int, round_: int | None) -> ChangeCommentOut:
    """Return a comment; a draft without a round."""
    return ChangeCommentOut(
        id=number,
        side=Side.NEW,
        text="Why?",
        draft=round_ is None,
        outdated=False,
        author="ada",
        created_at=NOON,
        round=round_,
    )


@pytest.mark.parametrize(
    ("changes", "word", "why"),
    [
        ({}, "In review", ""),
        ({"draft": True}, "Draft", ""),
        ({"conflicts": []}, "In review", ""),
        ({"conflicts": None}, "In review", ""),
        ({"conflicts": ["a.py"], "draft": True}, "Conflicts", "Resolve the conflicts first."),
        (
            {"conflicts": ["a.py"], "reverts": 2},
            "Conflicts",
            "Close this, then undo change 2 again.",
        ),
        ({"state": "merged", "conflicts": ["a.py"]}, "Merged", None),
        ({"state": "closed", "draft": True}, "Closed", None),
    ],
)
def test_what_needs_a_person_is_the_state_of_a_change(
    changes: dict[str, Any], word: str, why: str | None
) -> None:
    change = change_of(**changes)
    assert state_of(change)[0] == word
    if why is not None:
        assert why_not_merged(ChangeSnapshot(change), is_archived=False) == why
        archived = why_not_merged(ChangeSnapshot(change), is_archived=True)
        assert archived == "The project is archived. Unarchive it first."


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"state": "merged"}, ""),
        ({"state": "merged", "merged_sha": "a" * 40, "undone_by": 4}, ""),
        (
            {"state": "merged", "merged_sha": "a" * 40, "closes": 1},
            "Undo opens a change that takes it back once you merge that. Issue #1 stays closed.",
        ),
    ],
)
def test_undo_is_offered_only_while_a_merge_can_be_undone(
    changes: dict[str, Any], words: str
) -> None:
    change = change_of(**changes)
    assert (undo_words(change), can_be_undone(change)) == (words, bool(words))


def test_a_draft_and_a_working_agent_do_not_stop_a_merge_but_are_told() -> None:
    assert merge_note(ChangeSnapshot(change_of())) == ""
    assert "did not pass" in merge_note(ChangeSnapshot(change_of(draft=True)))
    works = ChangeSnapshot(change_of(), runs=[run_of(1, Status.RUNNING)])
    assert "An agent works on this change" in merge_note(works)


@pytest.mark.parametrize(
    ("runs", "words", "cost"),
    [
        ([], "", ""),
        ([run_with(1, 12, 0.38)], "Run, 12 min", "$0.38"),
        ([run_with(1, 12, 0.38), run_with(2, 3, 0.07)], "2 runs, 15 min", "$0.45"),
        ([run_with(1, 12, 0.38), run_with(2, 3)], "2 runs, 15 min", "$0.38+"),
        ([run_with(1, 12), run_of(2, Status.RUNNING)], "2 runs, working", ""),
    ],
)
def test_runs_are_summed_up(runs: list[RunOut], words: str, cost: str) -> None:
    assert (runs_words(runs), cost_of(runs)) == (words, cost)


PASSED, FAILED = CheckStatus.PASSED, CheckStatus.FAILED


@pytest.mark.parametrize(
    ("checks", "words", "tone"),
    [
        ([], "", ""),
        ([check_of("a", PASSED)], "1 check passed", "go"),
        ([check_of("a", FAILED)], "1 check failed", "stop"),
        ([check_of("a", PASSED), check_of("b", FAILED)], "1 of 2 checks failed", "stop"),
        (
            [check_of("a", PASSED), check_of("b", CheckStatus.TIMED_OUT, required=False)],
            "1 of 2 checks failed",
            "wait",
        ),
        (
            [check_of("a", FAILED), check_of("b", CheckStatus.RUNNING)],
            "2 checks running",
            "acc",
        ),
    ],
)
def test_a_round_of_checks_is_summed_up(checks: list[RunCheck], words: str, tone: str) -> None:
    assert checks_words(checks) == (words, tone)


@pytest.mark.parametrize(
    ("rounds", "words", "is_done"),
    [
        ([], "", True),
        ([2, 2], "2 comments sent", True),
        ([2, None], "1 comment not sent yet", False),
    ],
)
def test_comments_wait_for_their_author_until_they_are_sent(
    rounds: list[int | None], words: str, is_done: bool
) -> None:
    comments = [comment_of(number, round_) for number, round_ in enumerate(rounds)]
    assert comments_state(ChangeSnapshot(change_of(), comments)) == (words, is_done)


def test_viewed_files_are_counted() -> None:
    files = [
        ChangeFile(
            path=name,
            status=FileStatus.MODIFIED,
            additions=1,
            deletions=0,
            folded=False,
            viewed=name == "a",
        )
        for name in ("a", "b")
    ]
    assert viewed_words(files) == ("1 of 2 files viewed", False)
    assert viewed_words(files[:1]) == ("1 of 1 file viewed", True)
    assert viewed_words(None) == ("", False)


def test_runs_have_names_on_their_change() -> None:
    first, second, third = (run_with(number, 1) for number in (1, 2, 3))
    change = change_of(run_id=first.id)
    assert run_name(ChangeSnapshot(change, runs=[first, second]), second) == "Follow-up"
    whole = ChangeSnapshot(change, runs=[first, second, third])
    names = [run_name(whole, run) for run in whole.runs]
    assert names == ["First run", "Follow-up 1", "Follow-up 2"]
    assert works_on(first, change)
    assert not works_on(second, change)
    assert works_on(second.model_copy(update={"pr_number": 3}), change)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("", ""),
        ("# Done\n\nIt is **refused** with `410`\nnow.\n\n- more", "It is refused with 410 now."),
        ("```\ncode\n```\n\nWords.", "code"),
        ("x" * 500, "x" * 400),
    ],
)
def test_the_first_sentence_of_a_summary_is_one_line(said: str, line: str) -> None:
    assert first_sentence(said) == line


def test_a_closed_change_asks_what_becomes_of_its_issue_only_if_it_has_one() -> None:
    assert close_choices(None) == {}
    assert list(close_choices(32)) == [AfterClose.QUEUE, AfterClose.PARK, AfterClose.CLOSE]
    assert drops_words(0) == ""
    assert drops_words(1) == "Your 1 line comment was not sent. A merge drops it."
    assert drops_words(2) == "Your 2 line comments were not sent. A merge drops them."
