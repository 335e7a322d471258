"""The state of an issue over all projects, and the sentence of what happens next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.tracker.issue_states import (
    BoardFacts,
    IssueState,
    KeptWork,
    Limit,
    Loop,
    OpenRun,
    Standing,
    Tone,
    ordinal,
    standing_of,
    with_blocker,
)
from app.domain.words import Status

NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
LIMIT = Limit("claude", datetime(2026, 3, 2, 8, 16, tzinfo=UTC))
SHOP = Loop("checkout-api")
READY = BoardFacts(is_open=True, is_labelled=True, loop=SHOP)
RUN = OpenRun(
    *("r1", Status.RUNNING, "claude", NOW - timedelta(minutes=9)),
    *(NOW - timedelta(minutes=6, seconds=41), 7200, None),
)
KEPT = KeptWork("r1", "agent exited with code 1", NOW, "claude")


def loop(**facts: Any) -> dict[str, Any]:
    return {"loop": replace(SHOP, **facts)}


def run(status: Status = Status.RUNNING, hold: str | None = None) -> dict[str, Any]:
    return {"run": replace(RUN, status=status, hold=hold)}


TABLE: tuple[tuple[dict[str, Any], IssueState, str, Tone], ...] = (
    ({"place": 1}, IssueState.READY, "Next in checkout-api", Tone.USUAL),
    ({"place": 2}, IssueState.READY, "2nd in checkout-api", Tone.USUAL),
    (loop(is_auto=False), IssueState.READY, "Auto is off", Tone.USUAL),
    (loop(is_paused=True), IssueState.READY, "Project is paused", Tone.ALARM),
    (loop(obstacle="codex is not found"), IssueState.READY, "Codex is not found", Tone.ALARM),
    (loop(limit=LIMIT), IssueState.WAITING, "claude limit until 08:16 UTC", Tone.LIMIT),
    (loop(is_archived=True), IssueState.WAITING, "Project is archived", Tone.USUAL),
    ({"blocker": 131}, IssueState.WAITING, "Blocked by #131", Tone.USUAL),
    ({"is_labelled": False}, IssueState.WAITING, "Not marked ready for an agent", Tone.USUAL),
    ({"is_read": False}, IssueState.WAITING, "Its branch could not be read", Tone.ALARM),
    (
        {"taken": "afk"},
        *(IssueState.ATTENTION, "The branch afk is in the way", Tone.ALARM),
    ),
    ({"is_given_up": True}, IssueState.ATTENTION, "Its start failed again and again", Tone.ALARM),
    ({"kept": KEPT}, IssueState.ATTENTION, "Agent exited with code 1", Tone.ALARM),
    (
        {"kept": replace(KEPT, waits=True), **loop(limit=LIMIT)},
        *(IssueState.WAITING, "claude limit until 08:16 UTC", Tone.LIMIT),
    ),
    (
        {"kept": replace(KEPT, waits=True)},
        *(IssueState.WAITING, "Resumes after the claude limit", Tone.LIMIT),
    ),
    ({"change": 7}, IssueState.REVIEW, "Change #7 waits for a review", Tone.USUAL),
    (run(), IssueState.RUNNING, "Working, 06:41 of 2 h", Tone.USUAL),
    (run(Status.STARTING), IssueState.RUNNING, "Setting up, 06:41", Tone.USUAL),
    (run(Status.CHECKING), IssueState.RUNNING, "Checks are running", Tone.USUAL),
    (run(Status.DELIVERING), IssueState.RUNNING, "Delivering", Tone.USUAL),
    (run(Status.DIED), IssueState.RUNNING, "Ending", Tone.USUAL),
    (run(Status.QUEUED), IssueState.WAITING, "Queued", Tone.USUAL),
    (run(Status.QUEUED, "no slot"), IssueState.WAITING, "No slot", Tone.USUAL),
    (
        run(Status.QUEUED) | loop(limit=LIMIT),
        *(IssueState.WAITING, "claude limit until 08:16 UTC", Tone.LIMIT),
    ),
    (run(Status.DELAYED), IssueState.WAITING, "Starts later", Tone.USUAL),
    # what needs a person, or is at work, says more than the queue
    (
        {"change": 7, "blocker": 3},
        *(IssueState.REVIEW, "Change #7 waits for a review", Tone.USUAL),
    ),
    (run() | {"change": 7}, IssueState.RUNNING, "Working, 06:41 of 2 h", Tone.USUAL),
    (run() | {"is_labelled": False}, *(IssueState.RUNNING, "Working, 06:41 of 2 h", Tone.USUAL)),
    (
        {"kept": KEPT, "taken": "afk/1"},
        *(IssueState.ATTENTION, "Agent exited with code 1", Tone.ALARM),
    ),
    ({"is_open": False}, IssueState.DONE, "Closed", Tone.USUAL),
    ({"is_open": False, "merged_by": 7}, IssueState.DONE, "Merged with #7", Tone.USUAL),
)


@pytest.mark.parametrize(("facts", "state", "words", "tone"), TABLE)
def test_an_issue_says_its_state_and_what_happens_next(
    facts: dict[str, Any], state: IssueState, words: str, tone: Tone
) -> None:
    standing = standing_of(replace(READY, **facts), NOW)
    assert (standing.state, standing.next, standing.tone) == (state, words, tone)


def test_a_blocked_issue_tells_the_state_of_what_blocks_it() -> None:
    blocked = standing_of(replace(READY, blocker=131), NOW)
    assert with_blocker(blocked, 131, IssueState.REVIEW).next == "Blocked by #131, in review"
    assert with_blocker(blocked, 131, None) == blocked
    reviewed = Standing(IssueState.REVIEW, "Change #7 waits for a review")
    assert with_blocker(reviewed, 131, IssueState.DONE) == reviewed


def test_a_limit_that_a_person_must_lift_names_no_time() -> None:
    standing = standing_of(replace(READY, loop=replace(SHOP, limit=Limit("codex", None))), NOW)
    assert standing.next == "codex limit, until a person lifts it"


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd"), (113, "113th")],
)
def test_a_place_in_the_queue_is_an_ordinal(number: int, words: str) -> None:
    assert ordinal(number) == words
