"""Decisions about runs as pure functions: verdicts, strikes, and the auto loop's choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.agents.final_output import SILENCE, LastWord, LimitReached
from app.domain.agents.liveness import Vitals, is_lingering, is_stalled, stall_words
from app.domain.end_causes import (
    REASONS,
    TIME_USED_UP,
    Ending,
    ExitReason,
    ExitRecord,
    ending_at_limit,
    ending_of_failure,
    ending_of_reason,
    ending_without_room,
)
from app.domain.issues import Queued, queue_order, queue_words
from app.domain.lifecycle import Signal
from app.domain.projects.setting import OpenPr
from app.domain.tracker.agent_requests import GRACE_SECONDS, OPENS
from app.domain.words import PAUSE_THRESHOLD, Cause, Delivers, Status


@dataclass(frozen=True)
class Opening:
    """Whether a run's agent has opened its pull request, None if the forge was silent.

    `because` says why it counts as having opened none.
    """

    is_open: bool | None = False
    because: str = ""


def is_opened_by_agent(provenance: Mapping[str, str]) -> bool:
    """Return True for a run that was launched with a sign-in to open its pull request."""
    return provenance.get(OPENS) == OpenPr.AGENT


@dataclass(frozen=True)
class RunFacts:
    """The facts that one inspection of a run found; None means "could not be read".

    `word` is an ended agent's last word, `vitals` are those of a live one. `is_overdue`: it is
    alive past its deadline because the supervisor did not end it.
    """

    delivered: bool | None
    exit: ExitRecord | None
    alive: bool | None
    now: datetime
    deadline: datetime | None
    delivers: Delivers = Delivers.CHANGE
    has_work: bool | None = False
    host_restarted: bool = False
    word: LastWord = SILENCE
    vitals: Vitals | None = None
    stall_seconds: int | None = None
    is_overdue: bool = False
    # set if its agent opens the pull request; while it works, only once it is silent
    opening: Opening | None = None


# after these the run is still live
CONTINUING = frozenset(
    {
        *(Signal.WORK_TO_DELIVER, Signal.CHECKS_TO_RUN, Signal.FOLLOW_UP),
        *(Signal.CHECKS_PASSED, Signal.RED_DRAFT),
    }
)


@dataclass(frozen=True)
class Verdict:
    """The decision from the facts: a signal for MOVES with its cause, or no signal yet.

    `evidence` is the agent's raw output about it, `limit` its usage limit. `ends_tree`: the agent
    is done but does not exit; it is judged once its processes have been ended.
    """

    signal: Signal | None
    cause: Cause | None = None
    because: str = ""
    evidence: str = ""
    limit: LimitReached | None = None
    ends_tree: bool = False
    # name of the check that could not be started, and why
    broken: tuple[str, str] | None = None

    @property
    def is_final(self) -> bool:
        """True if the run ends with this verdict."""
        return self.signal is not None and self.signal not in CONTINUING


OUT_OF_TIME = Verdict(TIME_USED_UP.signal, TIME_USED_UP.cause, TIME_USED_UP.because)
STILL_GOING = Verdict(None, because="still going")
OPENED = Verdict(None, because="the agent has opened its pull request", ends_tree=True)
GRACE = timedelta(seconds=GRACE_SECONDS)
LINGERS = Verdict(None, because="the agent finished but did not exit", ends_tree=True)


def undecided(what: str) -> Verdict:
    """Return a verdict that changes nothing: missing data is not evidence."""
    return Verdict(None, because=f"cannot tell: {what}")


def classify(facts: RunFacts) -> Verdict:
    """Decide what a running run's facts mean; the order of the checks matters."""
    if facts.opening is not None:
        return _classify_opening(facts, facts.opening)
    if facts.delivered and facts.delivers is Delivers.CHANGE:
        return Verdict(Signal.DELIVERED, Cause.DELIVERED, "delivered")
    if facts.delivered is None and facts.delivers is Delivers.CHANGE:
        return undecided("the tracker did not answer")
    if facts.exit is not None:
        return _classify_exit(facts, facts.exit)
    if facts.alive is None:
        return undecided("the process table could not be read")
    if not facts.alive:
        return _classify_gone(facts, "its process is gone and left no exit record")
    if facts.is_overdue or (facts.deadline is not None and facts.now >= facts.deadline):
        return OUT_OF_TIME
    return STILL_GOING if facts.vitals is None else _classify_alive(facts, facts.vitals)


def _classify_opening(facts: RunFacts, opening: Opening) -> Verdict:
    """Judge a run whose agent opens its pull request: that is its delivery, however it ended."""
    is_over = facts.exit is not None or facts.alive is False
    if is_over and opening.is_open is None:
        return undecided("the tracker did not answer")
    if is_over and opening.is_open:
        if facts.has_work is None:
            return undecided("the working copy could not be read")
        return Verdict(Signal.WORK_TO_DELIVER, None, "its agent opened a pull request to deliver")
    if opening.is_open:
        return OPENED
    # abs: with a clock set back, it must not wait for longer
    if facts.exit is not None and abs(facts.now - facts.exit.at) < GRACE:
        return undecided("its pull request may not show yet")
    verdict = classify(replace(facts, opening=None, delivered=False))
    if verdict.signal is Signal.WORK_TO_DELIVER:
        return Verdict(Signal.GONE, Cause.NO_DELIVERY, opening.because)
    return verdict


def _classify_exit(facts: RunFacts, record: ExitRecord) -> Verdict:
    word, reason = facts.word, record.reason
    if reason is ExitReason.DEADLINE:
        return OUT_OF_TIME
    if reason is ExitReason.STOPPED and not word.is_final:
        # not a stop by Runyard, which the row would show: a shutdown, or an external kill
        return _classify_gone(facts, "it was ended from outside Runyard")
    is_clean = record.code == 0 or (reason is ExitReason.STOPPED and word.is_ok is True)
    # any output may mention a limit: it counts only if the agent itself failed
    has_failed = word.is_ok is False or (bool(record.code) and reason not in REASONS)
    if word.limit is not None and has_failed:
        return _at_limit(word)
    if reason is ExitReason.DISK_FULL:
        return _verdict(ending_without_room(record, f"agent {_exit_words(record)}"))
    if reason in REASONS:
        return _verdict(ending_of_reason(record))
    if not is_clean or word.is_ok is False:
        return _verdict(ending_of_failure(record, word), word.evidence)
    return _classify_done(facts)


def _classify_done(facts: RunFacts) -> Verdict:
    """Judge an agent that completed its work by what it left."""
    how = "agent exited 0"
    if facts.exit is None or facts.exit.code != 0:
        how = "agent finished and was ended"
    if facts.delivers is Delivers.REPORT:
        return Verdict(Signal.DELIVERED, Cause.REPORTED, how)
    if facts.has_work is None:
        return undecided("the working copy could not be read")
    if facts.has_work:
        return Verdict(Signal.WORK_TO_DELIVER, None, f"{how} with commits to deliver")
    if facts.exit is not None and facts.exit.full:
        return _verdict(ending_without_room(facts.exit, f"{how}, nothing delivered"))
    return Verdict(Signal.GONE, Cause.NO_DELIVERY, f"{how}, nothing delivered")


def _exit_words(record: ExitRecord) -> str:
    if record.signal is not None:
        return f"killed by signal {record.signal}"
    return f"exited {record.code}"


def _classify_alive(facts: RunFacts, vitals: Vitals) -> Verdict:
    if is_lingering(vitals, facts.now):
        word = vitals.word
        if word.limit is not None:
            return _at_limit(word)
        if word.is_ok is False:
            return _verdict(ending_of_failure(None, word), word.evidence)
        # its work is checked once nothing writes there anymore
        return LINGERS
    if is_stalled(vitals, facts.stall_seconds, facts.now):
        if vitals.word.limit is not None and not vitals.tool:
            return _at_limit(vitals.word)
        return Verdict(Signal.GONE, Cause.STALLED, stall_words(vitals, facts.now))
    return STILL_GOING


def _at_limit(word: LastWord) -> Verdict:
    evidence = word.limit.evidence if word.limit else ""
    return _verdict(ending_at_limit(word), evidence, word.limit)


def _verdict(ending: Ending, evidence: str = "", limit: LimitReached | None = None) -> Verdict:
    return Verdict(ending.signal, ending.cause, ending.because, evidence, limit)


def _classify_gone(facts: RunFacts, because: str) -> Verdict:
    if facts.host_restarted:
        return Verdict(Signal.GONE, Cause.HOST_RESTARTED, "the machine was restarted")
    return Verdict(Signal.GONE, Cause.SESSION_GONE, because)


class Strike(StrEnum):
    """The effect of a run's end on its project's strikes."""

    ADD = "add"
    CLEAR = "clear"
    NONE = "none"


STRIKING = frozenset(
    {
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
)


def strike_effect(status: Status, cause: Cause, *, resolves_issue: bool) -> Strike:
    """Return the effect of an end on the strikes; only runs for an issue have one."""
    if not resolves_issue:
        return Strike.NONE
    if status is Status.SUCCEEDED:
        # a draft that its checks failed proves nothing either way
        return Strike.NONE if cause is Cause.DELIVERED_RED else Strike.CLEAR
    return Strike.ADD if (status, cause) in STRIKING else Strike.NONE


def is_paused(strikes: int) -> bool:
    """Return True from the third strike in a row on."""
    return strikes >= PAUSE_THRESHOLD


@dataclass(frozen=True)
class AutoFacts:
    """The loop's facts about a project; `claimable` is None if it could not be read.

    `repository_room` and `global_room` are how many more runs may start now, here and in total.
    """

    state: str
    is_archived: bool
    auto_enabled: bool
    strikes: int
    has_open_auto_run: bool
    repository_room: int
    global_room: int
    agent_problem: str | None
    usage_hold: str | None
    launch_pause: str | None
    claimable: Iterable[Queued] | None
    unreachable: str | None = None
    no_room: str | None = None
    checks_error: str | None = None
    trust_hold: str | None = None
    forge_hold: str | None = None


@dataclass(frozen=True)
class Launch:
    """The decision to start this issue; `because` says what else than its number decided it."""

    issue: int
    because: str = ""


@dataclass(frozen=True)
class Hold:
    """The decision to start nothing, with the reason for people."""

    reason: str


def pick_issue(claimable: Iterable[Queued]) -> Queued | None:
    """Return the issue first in the queue, or None; a tracker's own order does not matter."""
    return min(claimable, key=queue_order, default=None)


def may_launch_auto(facts: AutoFacts) -> Launch | Hold:
    """Decide if the loop starts a run in this project, and for which issue."""
    reason = _what_holds(facts)
    if reason is not None:
        return Hold(reason)
    if facts.claimable is None:
        return Hold("its issues could not be read")
    issue = pick_issue(facts.claimable)
    if issue is None:
        return Hold("no issue is claimable")
    return Launch(issue.number, queue_words(issue))


def _what_holds(facts: AutoFacts) -> str | None:
    terms = (
        (facts.is_archived, "the project is archived"),
        (facts.state == "cloning", "the repository is being cloned"),
        (facts.state == "broken", "the repository could not be cloned"),
        (not facts.auto_enabled, "auto runs are off"),
        (facts.unreachable is not None, facts.unreachable),
        (is_paused(facts.strikes), f"auto runs are paused after {facts.strikes} fails"),
        (facts.checks_error is not None, facts.checks_error),
        (facts.forge_hold is not None, facts.forge_hold),
        (facts.trust_hold is not None, facts.trust_hold),
        (facts.has_open_auto_run, "an auto run is under way"),
        (facts.repository_room <= 0, "the repository is at its limit of runs"),
        (facts.global_room <= 0, "all slots for live runs are taken"),
        (facts.no_room is not None, facts.no_room),
        (facts.agent_problem is not None, facts.agent_problem),
        (facts.usage_hold is not None, facts.usage_hold),
        (facts.launch_pause is not None, facts.launch_pause),
    )
    return next((sentence for holds, sentence in terms if holds), None)
