"""Ends classified by an agent's last message, and live agents without progress."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.agents.final_output import Failure, LastWord, LimitReached
from app.domain.agents.liveness import LINGER, Vitals
from app.domain.end_causes import FAILURES, REASONS, ExitReason
from app.domain.lifecycle import Signal, next_status
from app.domain.rules import RunFacts, Strike, classify, strike_effect
from app.domain.words import Cause, Status
from tests.domain.facts import ALIVE, LATER, NOW, ended, outcome

LIMIT = LimitReached("You've hit your limit · resets 1pm (Europe/Paris)", LATER)
LIMITED = LastWord(is_ok=False, limit=LIMIT)
TOLD = LastWord(limit=LIMIT)
EVENT = LastWord(is_ok=False, limit=LimitReached('{"type": "rate_limit_event"}', LATER))
SIGNED_OUT = LastWord(is_ok=False, failure=Failure.AUTH, evidence="Not logged in")
OFFLINE = LastWord(failure=Failure.NETWORK, evidence="ECONNREFUSED")
FAILED = LastWord(is_ok=False, failure=Failure.OTHER, evidence="Model not found")
DONE_WELL = LastWord(is_ok=True)
STOPPED = ExitReason.STOPPED
REACHED = "the agent's usage limit was reached: You've hit your limit · resets 1pm (Europe/Paris)"


@pytest.mark.parametrize(
    ("facts", "signal", "cause", "because"),
    [
        (ended(1, word=LIMITED), Signal.USAGE_LIMIT, Cause.USAGE_LIMIT, REACHED),
        (ended(0, word=LIMITED), Signal.USAGE_LIMIT, Cause.USAGE_LIMIT, REACHED),
        (ended(1, word=LIMITED, has_work=True), Signal.USAGE_LIMIT, Cause.USAGE_LIMIT, REACHED),
        (ended(None, signal=9, word=LIMITED), Signal.USAGE_LIMIT, Cause.USAGE_LIMIT, REACHED),
        # a stream event is evidence, but no sentence to show
        (ended(1, word=EVENT), Signal.USAGE_LIMIT, Cause.USAGE_LIMIT, REACHED.partition(":")[0]),
        (ended(None, signal=15, reason=STOPPED, word=LIMITED), Signal.USAGE_LIMIT, None, REACHED),
        # the agent only mentioned the limit, so its exit decides
        (ended(1, word=TOLD), Signal.USAGE_LIMIT, Cause.USAGE_LIMIT, REACHED),
        (ended(None, signal=9, word=TOLD), Signal.GONE, Cause.SIGNAL, None),
        (
            ended(None, signal=9, word=TOLD, reason=ExitReason.OUT_OF_MEMORY),
            Signal.GONE,
            Cause.OUT_OF_MEMORY,
            None,
        ),
        (ended(None, signal=15, reason=STOPPED, word=TOLD), Signal.GONE, Cause.SESSION_GONE, None),
        # a good exit, and no report of a failure
        (ended(0, word=TOLD), Signal.GONE, Cause.NO_DELIVERY, None),
        (ended(0, word=TOLD, has_work=True), Signal.WORK_TO_DELIVER, None, None),
        # the deadline takes precedence
        (ended(1, word=LIMITED, reason=ExitReason.DEADLINE), Signal.DEADLINE, Cause.BUDGET, None),
        (
            ended(1, word=SIGNED_OUT),
            Signal.GONE,
            Cause.AUTH,
            "the agent is not signed in: Not logged in",
        ),
        (ended(41, word=SIGNED_OUT), Signal.GONE, Cause.AUTH, None),
        (
            ended(1, word=OFFLINE),
            Signal.GONE,
            Cause.NETWORK,
            "the agent could not reach its model: ECONNREFUSED",
        ),
        (ended(0, word=OFFLINE, has_work=True), Signal.WORK_TO_DELIVER, None, None),
        # exit code 0 although the agent reports a failure (opencode, aider)
        (ended(0, word=SIGNED_OUT), Signal.GONE, Cause.AUTH, None),
        (
            ended(0, word=FAILED, has_work=True),
            Signal.GONE,
            Cause.EXIT_CODE,
            "the agent reported a failure: Model not found",
        ),
        (ended(1, word=FAILED), Signal.GONE, Cause.EXIT_CODE, "agent exited 1: Model not found"),
        (ended(None, signal=9, word=FAILED), Signal.GONE, Cause.SIGNAL, "killed by signal 9"),
        (ended(1, word=DONE_WELL), Signal.GONE, Cause.EXIT_CODE, "agent exited 1"),
        (ended(127), Signal.GONE, Cause.AGENT_MISSING, None),
        (ended(127, word=SIGNED_OUT), Signal.GONE, Cause.AUTH, None),
        # the cause of the end takes precedence over the trouble the agent reported
        (ended(1, word=OFFLINE, reason=ExitReason.DISK_FULL), Signal.GONE, Cause.DISK_FULL, None),
        # stopped by Runyard after its last message: the message counts
        (
            ended(None, signal=15, reason=STOPPED, word=DONE_WELL, has_work=True),
            Signal.WORK_TO_DELIVER,
            None,
            "agent finished and was ended with commits to deliver",
        ),
        (
            ended(None, signal=15, reason=STOPPED, word=DONE_WELL),
            Signal.GONE,
            Cause.NO_DELIVERY,
            "agent finished and was ended, nothing delivered",
        ),
        (ended(None, signal=15, reason=STOPPED, word=FAILED), Signal.GONE, Cause.EXIT_CODE, None),
        (
            ended(None, signal=15, reason=STOPPED, word=OFFLINE),
            Signal.GONE,
            Cause.SESSION_GONE,
            None,
        ),
    ],
)
def test_the_last_word_of_an_agent_decides_its_end(
    facts: RunFacts, signal: Signal, cause: Cause | None, because: str | None
) -> None:
    verdict = classify(facts)
    assert verdict.signal is signal
    assert cause is None or verdict.cause is cause
    assert because is None or verdict.because == because


def test_a_limit_comes_with_what_the_agent_wrote() -> None:
    verdict = classify(ended(1, word=LIMITED))
    assert (verdict.limit, verdict.evidence) == (LIMIT, LIMIT.evidence)
    assert classify(ended(1, word=SIGNED_OUT)).evidence == "Not logged in"
    assert len(classify(ended(1, word=replace(FAILED, evidence="x\n" * 500))).because) < 250


@pytest.mark.parametrize(
    "ending", [*REASONS.values(), *FAILURES.values()], ids=lambda ending: ending.cause
)
def test_every_known_ending_leads_from_running_to_an_end_with_a_sentence(ending: Any) -> None:
    status = next_status(Status.RUNNING, ending.signal)
    assert status in (Status.DIED, Status.TIMED_OUT, Status.LIMITED)
    assert ending.because


@pytest.mark.parametrize("cause", [Cause.AUTH, Cause.NETWORK, Cause.AGENT_MISSING, Cause.DISK_FULL])
def test_what_the_agent_cannot_help_is_no_strike(cause: Cause) -> None:
    assert strike_effect(Status.DIED, cause, resolves_issue=True) is Strike.NONE


@pytest.mark.parametrize(
    ("reason", "limit", "cause", "because"),
    [
        (
            ExitReason.OUT_OF_MEMORY,
            2048,
            Cause.OUT_OF_MEMORY,
            "the run's limit of 2,048 MB of memory was reached",
        ),
        (
            ExitReason.OUT_OF_MEMORY,
            None,
            Cause.OUT_OF_MEMORY,
            "the machine ran out of memory and ended the agent",
        ),
        (
            ExitReason.TOO_MANY_PROCESSES,
            4096,
            Cause.TOO_MANY_PROCESSES,
            "the run's limit of 4,096 processes was reached",
        ),
        (
            ExitReason.DISK_QUOTA,
            500,
            Cause.DISK_QUOTA,
            "the run's limit of 500 MB for its working copy was reached",
        ),
        (
            ExitReason.FILE_LIMIT,
            16,
            Cause.DISK_QUOTA,
            "the run's limit of 16 MB for one file was reached",
        ),
    ],
)
def test_a_limit_of_the_run_is_told_with_its_figure_and_strikes(
    reason: ExitReason, limit: int | None, cause: Cause, because: str
) -> None:
    facts = ended(None, signal=9, reason=reason, has_work=True)
    record = facts.exit
    assert record is not None
    verdict = classify(replace(facts, exit=replace(record, limit=limit)))
    assert (verdict.cause, verdict.because) == (cause, because)
    assert strike_effect(Status.DIED, cause, resolves_issue=True) is Strike.ADD


def living(
    since: float = 0, word: LastWord | None = None, tool: str = "", **facts: Any
) -> RunFacts:
    """Return facts of a live agent whose last progress was `since` seconds ago."""
    at = NOW - timedelta(seconds=since)
    vitals = Vitals(at, at, word or LastWord(), at if word else None, tool=tool)
    return replace(ALIVE, vitals=vitals, **facts)


GRACE = LINGER.total_seconds()


@pytest.mark.parametrize(
    ("facts", "signal", "cause"),
    [
        (living(1e6), None, None),
        (living(59, stall_seconds=60), None, None),
        (living(60, stall_seconds=60), Signal.GONE, Cause.STALLED),
        # an unreachable agent, or one with unread output, is not judged
        (living(1e6, stall_seconds=60, alive=None), None, None),
        (living(1e6, stall_seconds=60, delivered=None), None, None),
        (replace(ALIVE, stall_seconds=1), None, None),
        (living(GRACE - 1, LIMITED), None, None),
        (living(GRACE, LIMITED), Signal.USAGE_LIMIT, Cause.USAGE_LIMIT),
        # other programs may print such a line while the agent thinks or waits for a tool
        (living(GRACE, TOLD), None, None),
        (living(60, TOLD, stall_seconds=60), Signal.USAGE_LIMIT, Cause.USAGE_LIMIT),
        (living(60, TOLD, tool="Bash", stall_seconds=60), Signal.GONE, Cause.STALLED),
        (living(GRACE, SIGNED_OUT), Signal.GONE, Cause.AUTH),
        (living(GRACE, FAILED), Signal.GONE, Cause.EXIT_CODE),
        # the network may come back
        (living(GRACE, OFFLINE), None, None),
        (living(GRACE, DONE_WELL, stall_seconds=1), None, None),
    ],
)
def test_an_agent_that_lives_is_ended_where_it_is_sure_to_bring_nothing_more(
    facts: RunFacts, signal: Signal | None, cause: Cause | None
) -> None:
    assert outcome(facts) == (signal, cause)


def test_who_is_done_and_does_not_exit_is_ended_before_it_is_judged() -> None:
    assert classify(living(GRACE, DONE_WELL)).ends_tree
    assert not classify(living(GRACE - 1, DONE_WELL)).ends_tree
