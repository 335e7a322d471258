"""Verdicts on running runs in engine.md's order, and the ends that are strikes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from app.domain.end_causes import ExitReason, ExitRecord
from app.domain.lifecycle import Signal
from app.domain.rules import RunFacts, Strike, Verdict, classify, is_paused, strike_effect
from app.domain.words import Cause, Delivers, Status
from tests.domain.facts import ALIVE, NOW, ended, outcome

EARLIER = NOW - timedelta(seconds=1)
REPORT = replace(ALIVE, delivers=Delivers.REPORT)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (ALIVE, (None, None)),
        (replace(ALIVE, deadline=None), (None, None)),
        (replace(ALIVE, deadline=NOW), (Signal.DEADLINE, Cause.BUDGET)),
        (replace(ALIVE, deadline=EARLIER), (Signal.DEADLINE, Cause.BUDGET)),
        (replace(ALIVE, delivered=True), (Signal.DELIVERED, Cause.DELIVERED)),
        (ended(0), (Signal.GONE, Cause.NO_DELIVERY)),
        (ended(0, has_work=True), (Signal.WORK_TO_DELIVER, None)),
        (ended(3), (Signal.GONE, Cause.EXIT_CODE)),
        (ended(3, has_work=True), (Signal.GONE, Cause.EXIT_CODE)),
        (ended(None, signal=9), (Signal.GONE, Cause.SIGNAL)),
        (ended(None, signal=9, has_work=True), (Signal.GONE, Cause.SIGNAL)),
        (ended(1, reason=ExitReason.STALLED), (Signal.GONE, Cause.STALLED)),
        (ended(None, signal=15, reason=ExitReason.STALLED), (Signal.GONE, Cause.STALLED)),
        (
            ended(None, signal=9, reason=ExitReason.OUT_OF_MEMORY, has_work=True),
            (Signal.GONE, Cause.OUT_OF_MEMORY),
        ),
        (ended(137, reason=ExitReason.OUT_OF_MEMORY), (Signal.GONE, Cause.OUT_OF_MEMORY)),
        (ended(1, reason=ExitReason.DISK_FULL, has_work=True), (Signal.GONE, Cause.DISK_FULL)),
        (ended(None, reason=ExitReason.NOT_SPAWNED), (Signal.GONE, Cause.AGENT_MISSING)),
        (ended(None, signal=15, reason=ExitReason.DEADLINE), (Signal.DEADLINE, Cause.BUDGET)),
        (ended(0, reason=ExitReason.DEADLINE, has_work=True), (Signal.DEADLINE, Cause.BUDGET)),
        (ended(1, reason=ExitReason.USAGE_LIMIT), (Signal.USAGE_LIMIT, Cause.USAGE_LIMIT)),
        (
            ended(0, reason=ExitReason.USAGE_LIMIT, has_work=True),
            (Signal.USAGE_LIMIT, Cause.USAGE_LIMIT),
        ),
        (replace(ALIVE, alive=False), (Signal.GONE, Cause.SESSION_GONE)),
        (replace(ALIVE, alive=False, has_work=True), (Signal.GONE, Cause.SESSION_GONE)),
        (
            replace(ALIVE, alive=False, host_restarted=True),
            (Signal.GONE, Cause.HOST_RESTARTED),
        ),
    ],
)
def test_facts_lead_to_one_verdict(
    facts: RunFacts, expected: tuple[Signal | None, Cause | None]
) -> None:
    assert outcome(facts) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(REPORT, alive=True), (None, None)),
        (replace(ended(0), delivers=Delivers.REPORT), (Signal.DELIVERED, Cause.REPORTED)),
        (
            replace(ended(0, has_work=True), delivers=Delivers.REPORT),
            (Signal.DELIVERED, Cause.REPORTED),
        ),
        (replace(ended(2), delivers=Delivers.REPORT), (Signal.GONE, Cause.EXIT_CODE)),
        # a pull request proves no report, and a silent tracker delays none
        (replace(REPORT, delivered=True), (None, None)),
        (
            replace(ended(0, delivered=None), delivers=Delivers.REPORT),
            (Signal.DELIVERED, Cause.REPORTED),
        ),
    ],
)
def test_a_report_succeeds_by_exit_code_zero_alone(
    facts: RunFacts, expected: tuple[Signal | None, Cause | None]
) -> None:
    assert outcome(facts) == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # precedence: delivery, deadline record, usage limit, other record or exit, then the clock
        ({"delivered": True}, {"exit": ExitRecord(None, 15, ExitReason.DEADLINE, NOW)}),
        ({"delivered": True}, {"exit": ExitRecord(1, None, ExitReason.EXITED, NOW)}),
        ({"delivered": True}, {"alive": False}),
        ({"delivered": True}, {"deadline": EARLIER}),
        ({"exit": ExitRecord(1, None, ExitReason.USAGE_LIMIT, NOW)}, {"deadline": EARLIER}),
        ({"exit": ExitRecord(1, None, ExitReason.EXITED, NOW)}, {"deadline": EARLIER}),
        ({"exit": ExitRecord(1, None, ExitReason.EXITED, NOW)}, {"alive": None}),
        ({"alive": False}, {"deadline": EARLIER}),
    ],
)
def test_the_earlier_reason_decides(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert outcome(replace(ALIVE, **second, **first)) == outcome(replace(ALIVE, **first))


@pytest.mark.parametrize(
    "facts",
    [
        replace(ALIVE, delivered=None),
        replace(ALIVE, delivered=None, deadline=EARLIER),
        ended(0, delivered=None),
        ended(1, delivered=None),
        ended(0, has_work=None),
        replace(ALIVE, alive=None),
        replace(ALIVE, alive=None, deadline=EARLIER),
        replace(ALIVE, delivered=None, alive=False),
    ],
)
def test_missing_data_is_not_evidence(facts: RunFacts) -> None:
    verdict = classify(facts)
    assert (verdict.signal, verdict.cause) == (None, None)
    assert verdict.because.startswith("cannot tell: ")


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("code", "signal"), [(0, None), (1, None), (None, 15)])
def test_an_end_that_somebody_outside_asked_for_is_no_evidence_against_the_agent(
    code: int | None, signal: int | None, restarted: bool
) -> None:
    # a shutdown sends TERM to every supervisor; no row says `stopped` then
    facts = ended(code, signal=signal, reason=ExitReason.STOPPED, host_restarted=restarted)
    expected = Cause.HOST_RESTARTED if restarted else Cause.SESSION_GONE
    assert outcome(facts) == (Signal.GONE, expected)


@pytest.mark.parametrize(
    ("verdict", "is_final"),
    [
        (Verdict(None), False),
        (Verdict(Signal.WORK_TO_DELIVER), False),
        (Verdict(Signal.CHECKS_TO_RUN), False),
        (Verdict(Signal.FOLLOW_UP), False),
        (Verdict(Signal.CHECKS_PASSED), False),
        (Verdict(Signal.RED_DRAFT), False),
        (Verdict(Signal.CHECKS_RED, Cause.CHECKS_FAILED), True),
        (Verdict(Signal.CHECKS_BROKEN, Cause.CHECKS_ERROR), True),
        (Verdict(Signal.DELIVERED, Cause.DELIVERED), True),
        (Verdict(Signal.GONE, Cause.SIGNAL), True),
    ],
)
def test_a_verdict_is_final_where_the_run_ends(verdict: Verdict, is_final: bool) -> None:
    assert verdict.is_final is is_final


STRIKES = {
    (Status.DIED, Cause.NO_DELIVERY),
    (Status.DIED, Cause.EXIT_CODE),
    (Status.DIED, Cause.SIGNAL),
    (Status.DIED, Cause.STALLED),
    (Status.DIED, Cause.OUT_OF_MEMORY),
    (Status.DIED, Cause.TOO_MANY_PROCESSES),
    (Status.DIED, Cause.DISK_QUOTA),
    (Status.DIED, Cause.CHECKS_FAILED),
    (Status.TIMED_OUT, Cause.BUDGET),
}


@pytest.mark.parametrize(("status", "cause"), list(product(Status, Cause)))
def test_an_end_strikes_exactly_where_the_table_has_it(status: Status, cause: Cause) -> None:
    expected = Strike.ADD if (status, cause) in STRIKES else Strike.NONE
    if status is Status.SUCCEEDED and cause is not Cause.DELIVERED_RED:
        expected = Strike.CLEAR
    assert strike_effect(status, cause, resolves_issue=True) is expected
    assert strike_effect(status, cause, resolves_issue=False) is Strike.NONE


@pytest.mark.parametrize("strikes", range(8))
def test_the_third_strike_pauses_and_so_does_every_further_one(strikes: int) -> None:
    assert is_paused(strikes) is (strikes >= 3)
