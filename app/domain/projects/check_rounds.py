"""Rounds of checks: what one was begun with, how a check ended, and what a round decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.end_causes import ExitReason, ExitRecord, ending_of_reason
from app.domain.lifecycle import Signal
from app.domain.projects.checks import Check, OnRed, not_started_words, read_checks
from app.domain.rules import Verdict
from app.domain.safe_text import reveal
from app.domain.words import Cause, CheckStatus

# names of changed files that are stored with the result of a check
MOST_FILES = 2000
# the name of what a run remembers of the cause of a check that could not be run
BROKEN_BY = "broken_by"
# characters of one of these names
MOST_NAME = 300
NO_TIME = "no time was left for a follow-up"


@dataclass(frozen=True)
class CheckPlan:
    """The project's checks and their terms, as they were when a run's first round began.

    `broken_by` is why a check of the run could not be run, once there is one.
    """

    checks: tuple[Check, ...]
    rounds: int
    on_red: OnRed
    broken_by: Cause = Cause.CHECKS_ERROR

    def as_data(self) -> dict[str, Any]:
        """Return the plan as it is stored with the run."""
        checks = [check.as_data() for check in self.checks]
        return {"checks": checks, "rounds": self.rounds, "on_red": str(self.on_red)}


def read_plan(stored: Mapping[str, Any]) -> CheckPlan:
    """Return the plan that is stored with a run."""
    return CheckPlan(
        read_checks(stored["checks"]),
        stored["rounds"],
        OnRed(stored["on_red"]),
        Cause(stored.get(BROKEN_BY, Cause.CHECKS_ERROR)),
    )


def command_at(stored: Mapping[str, Any] | None, position: int) -> tuple[str, ...]:
    """Return the command of a run's check, by its position from 1; empty if it is not known."""
    checks = read_checks((stored or {}).get("checks"))
    return checks[position - 1].command if position <= len(checks) else ()


@dataclass(frozen=True)
class CheckEnd:
    """The end of a check; `exit_code` is None if it did not exit by itself.

    `cause` is that of an `error`, if it is the machine's and not the check's.
    """

    status: CheckStatus
    because: str
    exit_code: int | None = None
    cause: Cause | None = None


@dataclass(frozen=True)
class CheckOutcome:
    """A check of a round with its end."""

    name: str
    required: bool
    end: CheckEnd

    @property
    def is_red(self) -> bool:
        """True if it holds back the delivery."""
        return self.required and self.end.status in (CheckStatus.FAILED, CheckStatus.TIMED_OUT)

    @property
    def sentence(self) -> str:
        """`Check “tests” failed: exit code 1`."""
        words = self.end.status.replace("_", " ")
        because = f": {self.end.because}" if self.end.because else ""
        return f"check “{self.name}” {words}{because}"


def end_of(record: ExitRecord, timeout_seconds: int | None) -> CheckEnd:
    """Judge a check by the record of its exit; without a timeout it had what the run had left."""
    match record.reason:
        case ExitReason.DEADLINE if timeout_seconds is None:
            return CheckEnd(CheckStatus.TIMED_OUT, "the run's time was used up")
        case ExitReason.DEADLINE:
            return CheckEnd(CheckStatus.TIMED_OUT, f"it ran for more than {timeout_seconds:,} s")
        case ExitReason.EXITED if record.code == 0:
            return CheckEnd(CheckStatus.PASSED, "", 0)
        case ExitReason.EXITED if record.code is not None:
            return CheckEnd(CheckStatus.FAILED, f"exit code {record.code}", record.code)
        case ExitReason.EXITED:
            return CheckEnd(CheckStatus.FAILED, f"killed by signal {record.signal}")
        case ExitReason.STOPPED:
            return CheckEnd(CheckStatus.FAILED, "it was ended from outside Runyard")
        case ExitReason.DISK_FULL:
            full = "the disk is full"
            return CheckEnd(CheckStatus.ERROR, full, record.code, Cause.DISK_FULL)
        case _:
            return CheckEnd(CheckStatus.FAILED, ending_of_reason(record).because, record.code)


def decide(
    plan: CheckPlan, outcomes: Sequence[CheckOutcome], number: int, *, has_time: bool = True
) -> Verdict | None:
    """Decide what round `number` means; None while checks are still to be run.

    Without time for a follow-up, red checks are red to the end.
    """
    broken = next((one for one in outcomes if one.end.status is CheckStatus.ERROR), None)
    if broken is not None and plan.broken_by is Cause.DISK_FULL:
        because = f"the disk is full: check “{broken.name}” could not be run to its end"
        return Verdict(Signal.CHECKS_BROKEN, Cause.DISK_FULL, because)
    if broken is not None:
        because = not_started_words(broken.name, broken.end.because)
        named = (broken.name, broken.end.because)
        return Verdict(Signal.CHECKS_BROKEN, Cause.CHECKS_ERROR, because, broken=named)
    if len(outcomes) < len(plan.checks):
        return None
    red = [one for one in outcomes if one.is_red]
    if not red:
        passed = sum(one.end.status is CheckStatus.PASSED for one in outcomes)
        return Verdict(Signal.CHECKS_PASSED, None, f"{passed} of {len(outcomes)} checks passed")
    if number <= plan.rounds and has_time:
        told = f"{_words(red)}; follow-up {number} of {plan.rounds} begins"
        return Verdict(Signal.FOLLOW_UP, None, told)
    return red_to_the_end(plan, outcomes, is_cut_short=number <= plan.rounds)


def red_to_the_end(
    plan: CheckPlan, outcomes: Sequence[CheckOutcome], *, is_cut_short: bool
) -> Verdict:
    """Return the end of red work, as `on_red` says; `is_cut_short`: the time allows no turn."""
    because = _words([one for one in outcomes if one.is_red])
    if is_cut_short:
        because = f"{because}; {NO_TIME}"
    if plan.on_red is OnRed.DELIVER:
        return Verdict(Signal.RED_DRAFT, None, f"{because}; delivered as a draft")
    return Verdict(Signal.CHECKS_RED, Cause.CHECKS_FAILED, because)


def names_for_people(files: Sequence[str]) -> list[str]:
    """Return the names of changed files as text; a name can be any bytes, and long."""
    shown = [reveal(name) for name in files[:MOST_FILES]]
    return [name if len(name) <= MOST_NAME else f"{name[:MOST_NAME]}…" for name in shown]


def _words(red: Sequence[CheckOutcome]) -> str:
    return "; ".join(one.sentence for one in red)


@dataclass(frozen=True)
class Marks:
    """The results of a round as a change request shows them, one line per check.

    `is_red` if a required check did not pass, or did not run: the change request is a draft.
    """

    lines: tuple[str, ...] = ()
    is_red: bool = False


def marks_of(plan: CheckPlan, outcomes: Sequence[CheckOutcome]) -> Marks:
    """Return the marks of a round, which may have ended before all of its checks were run."""
    passed = [one.end.status is CheckStatus.PASSED for one in outcomes]
    left = plan.checks[len(outcomes) :]
    lines = [
        f"{'✓' if is_good else '✗'} {one.sentence}"
        for one, is_good in zip(outcomes, passed, strict=True)
    ]
    lines += [f"✗ check “{one.name}” was not run" for one in left]
    is_red = any(
        one.required and not is_good for one, is_good in zip(outcomes, passed, strict=True)
    )
    return Marks(tuple(lines), is_red or any(one.required for one in left))
