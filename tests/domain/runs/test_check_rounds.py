"""How a check ended, what a round of checks decides, and what the agent hears of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.agents.follow_ups import LAST_LINES, RedCheck, follow_up, last_lines
from app.domain.end_causes import ExitReason, ExitRecord
from app.domain.lifecycle import Signal
from app.domain.projects.check_rounds import (
    BROKEN_BY,
    CheckEnd,
    CheckOutcome,
    CheckPlan,
    Marks,
    decide,
    end_of,
    marks_of,
    read_plan,
)
from app.domain.projects.checks import Check, OnRed
from app.domain.words import Cause, CheckStatus

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TESTS, LINT = Check("tests", ("make", "test")), Check("lint", ("make", "lint"), required=False)
PASSED, FAILED = CheckEnd(CheckStatus.PASSED, "", 0), CheckEnd(CheckStatus.FAILED, "exit code 1", 1)
LATE = CheckEnd(CheckStatus.TIMED_OUT, "it ran for more than 600 s")
ERROR = CheckEnd(CheckStatus.ERROR, "The command was not found: make.")


def plan(rounds: int = 2, on_red: OnRed = OnRed.PARK) -> CheckPlan:
    return CheckPlan((TESTS, LINT), rounds, on_red)


def outcomes(*ends: CheckEnd) -> list[CheckOutcome]:
    """Return the ends of the plan's checks, in order."""
    checks = (TESTS, LINT)[: len(ends)]
    pairs = zip(checks, ends, strict=True)
    return [CheckOutcome(check.name, check.required, end) for check, end in pairs]


@pytest.mark.parametrize(
    ("ends", "number", "on_red", "signal", "cause"),
    [
        ((), 1, OnRed.PARK, None, None),
        ((FAILED,), 1, OnRed.PARK, None, None),
        ((PASSED, PASSED), 1, OnRed.PARK, Signal.CHECKS_PASSED, None),
        ((PASSED, FAILED), 1, OnRed.PARK, Signal.CHECKS_PASSED, None),
        ((PASSED, LATE), 3, OnRed.PARK, Signal.CHECKS_PASSED, None),
        ((FAILED, PASSED), 1, OnRed.PARK, Signal.FOLLOW_UP, None),
        ((LATE, PASSED), 2, OnRed.DELIVER, Signal.FOLLOW_UP, None),
        ((FAILED, PASSED), 3, OnRed.PARK, Signal.CHECKS_RED, Cause.CHECKS_FAILED),
        ((LATE, FAILED), 3, OnRed.PARK, Signal.CHECKS_RED, Cause.CHECKS_FAILED),
        ((FAILED, PASSED), 3, OnRed.DELIVER, Signal.RED_DRAFT, None),
        ((ERROR,), 1, OnRed.PARK, Signal.CHECKS_BROKEN, Cause.CHECKS_ERROR),
        ((FAILED, ERROR), 1, OnRed.DELIVER, Signal.CHECKS_BROKEN, Cause.CHECKS_ERROR),
    ],
)
def test_a_round_decides_as_the_table_says(
    ends: tuple[CheckEnd, ...],
    number: int,
    on_red: OnRed,
    signal: Signal | None,
    cause: Cause | None,
) -> None:
    verdict = decide(plan(on_red=on_red), outcomes(*ends), number)
    found = (verdict.signal, verdict.cause) if verdict else (None, None)
    assert found == (signal, cause)


@pytest.mark.parametrize(
    ("on_red", "number", "because"),
    [
        (OnRed.PARK, 1, "check “tests” failed: exit code 1; no time was left for a follow-up"),
        (OnRed.PARK, 3, "check “tests” failed: exit code 1"),
        (
            OnRed.DELIVER,
            2,
            "check “tests” failed: exit code 1; no time was left for a follow-up; delivered as a"
            " draft",
        ),
    ],
)
def test_without_time_for_a_follow_up_red_is_red_to_the_end(
    on_red: OnRed, number: int, because: str
) -> None:
    verdict = decide(plan(on_red=on_red), outcomes(FAILED, PASSED), number, has_time=False)
    assert verdict is not None
    assert verdict.signal is (Signal.CHECKS_RED if on_red is OnRed.PARK else Signal.RED_DRAFT)
    assert verdict.because == because


def test_a_round_that_needs_no_follow_up_needs_no_time() -> None:
    passed = decide(plan(), outcomes(PASSED, PASSED), 1, has_time=False)
    assert passed is not None
    assert passed.signal is Signal.CHECKS_PASSED
    assert decide(plan(), outcomes(FAILED), 1, has_time=False) is None


@pytest.mark.parametrize(
    ("ends", "is_red", "lines"),
    [
        ((PASSED, PASSED), False, ("✓ check “tests” passed", "✓ check “lint” passed")),
        (
            (PASSED, FAILED),
            False,
            ("✓ check “tests” passed", "✗ check “lint” failed: exit code 1"),
        ),
        ((PASSED,), False, ("✓ check “tests” passed", "✗ check “lint” was not run")),
        (
            (ERROR,),
            True,
            (
                "✗ check “tests” error: The command was not found: make.",
                "✗ check “lint” was not run",
            ),
        ),
        ((), True, ("✗ check “tests” was not run", "✗ check “lint” was not run")),
    ],
)
def test_a_change_shows_every_check_and_is_red_until_required_ones_have_passed(
    ends: tuple[CheckEnd, ...], is_red: bool, lines: tuple[str, ...]
) -> None:
    assert marks_of(plan(), outcomes(*ends)) == Marks(lines, is_red)


@pytest.mark.parametrize("rounds", range(6))
def test_there_are_as_many_follow_ups_as_the_project_allows(rounds: int) -> None:
    for number in range(1, rounds + 2):
        verdict = decide(plan(rounds), outcomes(FAILED, PASSED), number)
        assert verdict is not None
        assert (verdict.signal is Signal.FOLLOW_UP) == (number <= rounds)


def record(reason: ExitReason, code: int | None = None, signum: int | None = None) -> ExitRecord:
    return ExitRecord(code, signum, reason, NOW, limit=512 if "memory" in reason else None)


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (record(ExitReason.EXITED, 0), PASSED),
        (record(ExitReason.EXITED, 1), FAILED),
        (record(ExitReason.EXITED, None, 9), CheckEnd(CheckStatus.FAILED, "killed by signal 9")),
        (record(ExitReason.DEADLINE, None, 15), LATE),
        (
            record(ExitReason.OUT_OF_MEMORY, None, 9),
            CheckEnd(CheckStatus.FAILED, "the run's limit of 512 MB of memory was reached"),
        ),
        (
            record(ExitReason.STOPPED, None, 15),
            CheckEnd(CheckStatus.FAILED, "it was ended from outside Runyard"),
        ),
        (
            record(ExitReason.DISK_FULL, 1),
            CheckEnd(CheckStatus.ERROR, "the disk is full", 1, Cause.DISK_FULL),
        ),
    ],
)
def test_a_check_is_judged_by_the_record_of_its_exit(ended: ExitRecord, expected: CheckEnd) -> None:
    assert end_of(ended, 600) == expected


def test_a_check_that_had_only_the_rest_of_the_runs_time_does_not_name_its_own_timeout() -> None:
    ended = end_of(record(ExitReason.DEADLINE, None, 15), None)
    assert ended == CheckEnd(CheckStatus.TIMED_OUT, "the run's time was used up")


def test_a_full_disk_is_the_machines_cause_and_not_the_checks() -> None:
    stored = {**plan().as_data(), BROKEN_BY: str(Cause.DISK_FULL)}
    verdict = decide(read_plan(stored), outcomes(PASSED, ERROR), 1)
    assert verdict is not None
    assert (verdict.signal, verdict.cause) == (Signal.CHECKS_BROKEN, Cause.DISK_FULL)
    # without a check to blame, the loop is not held
    assert verdict.broken is None


@pytest.mark.parametrize("reason", [it for it in ExitReason if it != ExitReason.NOT_SPAWNED])
def test_no_reason_but_a_good_exit_passes(reason: ExitReason) -> None:
    assert end_of(record(reason, None, 9), 600).status is not CheckStatus.PASSED


def test_a_plan_is_read_as_it_was_stored() -> None:
    assert read_plan(plan(5, OnRed.DELIVER).as_data()) == plan(5, OnRed.DELIVER)


def test_a_follow_up_names_the_check_its_command_its_end_and_its_last_lines() -> None:
    output = "\n".join(f"line {number}" for number in range(1, 301))
    text = follow_up([RedCheck("tests", ("make", "a test"), "exit code 2", output)])
    assert "Check “tests” failed: exit code 2" in text
    assert "make 'a test'" in text
    assert "line 101\n" in text
    assert "line 100\n" not in text
    assert text.endswith("line 300\n")


def test_a_follow_up_fits_into_an_argument_however_much_was_written() -> None:
    output = "\n".join("é" * 5000 for _ in range(50))
    checks = [RedCheck(f"check {n}", ("make",), "exit code 1", output) for n in range(10)]
    assert len(follow_up(checks).encode()) < 60_000


def test_control_sequences_of_an_output_do_not_reach_the_agent() -> None:
    assert last_lines("\x1b[31mred\x1b[0m\x07\nend", 1000) == "red\nend"
    assert len(last_lines("\n" * 1000, 1000).splitlines()) <= LAST_LINES
