"""The state of an issue over all projects, and the sentence of what happens next with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from app.domain.lifecycle import DONE, WAITING
from app.domain.text.durations import clock_words, rough_words
from app.domain.words import Status


class IssueState(StrEnum):
    """The states of an issue, in the order of the list."""

    ATTENTION = "attention"
    RUNNING = "running"
    READY = "ready"
    WAITING = "waiting"
    REVIEW = "review"
    DONE = "done"


class Tone(StrEnum):
    """The urgency of a sentence: usual, waits for a limit, needs a person."""

    USUAL = "usual"
    LIMIT = "limit"
    ALARM = "alarm"


# as the end of `Blocked by #131, …`
STATE_WORDS = {
    IssueState.ATTENTION: "needs attention",
    IssueState.RUNNING: "running",
    IssueState.READY: "ready",
    IssueState.WAITING: "waiting",
    IssueState.REVIEW: "in review",
    IssueState.DONE: "done",
}
NOT_READY = "Not marked ready for an agent"
UNREAD = "Its branch could not be read"
GIVEN_UP = "Its start failed again and again"


@dataclass(frozen=True)
class Limit:
    """A usage limit that work waits for; `until` is None if a person must lift it."""

    agent: str
    until: datetime | None


@dataclass(frozen=True)
class Loop:
    """The facts of a project that decide if its next issue is started.

    `obstacle` is a sentence about what a person must repair first.
    """

    project: str
    is_archived: bool = False
    is_auto: bool = True
    is_paused: bool = False
    obstacle: str | None = None
    limit: Limit | None = None


@dataclass(frozen=True)
class OpenRun:
    """An issue's open run."""

    id: str
    status: Status
    agent: str
    created_at: datetime
    started_at: datetime | None
    budget_seconds: int
    hold: str | None


@dataclass(frozen=True)
class KeptWork:
    """Work that an ended run left on the issue's branch; `waits` if the run will be resumed."""

    run_id: str
    because: str
    at: datetime
    agent: str
    waits: bool = False


@dataclass(frozen=True)
class BoardFacts:
    """One issue with its branch, its run and its change request.

    `taken` is the existing branch that its own cannot be made beside, None if there is none;
    `is_read` is False if the branches could not be read. `place` counts from 1 in the queue.
    """

    is_open: bool
    is_labelled: bool
    loop: Loop
    run: OpenRun | None = None
    change: int | None = None
    kept: KeptWork | None = None
    is_read: bool = True
    taken: str | None = None
    is_given_up: bool = False
    blocker: int | None = None
    # why its forge does not let it start, beside what it names itself
    waits_for: str | None = None
    place: int | None = None
    merged_by: int | None = None


@dataclass(frozen=True)
class Standing:
    """The state of an issue and what happens next; `limit` is the one that it waits for."""

    state: IssueState
    next: str
    tone: Tone = Tone.USUAL
    limit: Limit | None = None

    @property
    def may_run(self) -> bool:
        """True if a person's press may start it: the label is not asked for then."""
        return self.state is IssueState.READY or self.next == NOT_READY


def standing_of(facts: BoardFacts, now: datetime) -> Standing:
    """Return the state of an issue; what a person sees first decides, as in a run's own checks."""
    if not facts.is_open:
        words = f"Merged with #{facts.merged_by}" if facts.merged_by else "Closed"
        return Standing(IssueState.DONE, words)
    if facts.run is not None:
        return _of_run(facts.run, facts.loop, now)
    if facts.change is not None:
        return Standing(IssueState.REVIEW, f"Change #{facts.change} waits for a review")
    if facts.kept is not None:
        return _of_kept(facts.kept, facts.loop)
    if facts.loop.is_archived:
        return Standing(IssueState.WAITING, "Project is archived")
    return _obstacle(facts) or _of_queue(facts.loop, facts.place)


def _obstacle(facts: BoardFacts) -> Standing | None:
    """Return why the issue itself cannot be started, None if only its turn must come."""
    if facts.is_given_up:
        return Standing(IssueState.ATTENTION, GIVEN_UP, Tone.ALARM)
    if not facts.is_labelled:
        return Standing(IssueState.WAITING, NOT_READY)
    if not facts.is_read:
        return Standing(IssueState.WAITING, UNREAD, Tone.ALARM)
    if facts.taken is not None:
        words = f"The branch {facts.taken} is in the way"
        return Standing(IssueState.ATTENTION, words, Tone.ALARM)
    if facts.blocker is not None:
        return Standing(IssueState.WAITING, f"Blocked by #{facts.blocker}")
    if facts.waits_for is not None:
        return Standing(IssueState.WAITING, _sentence(facts.waits_for))
    return None


def with_blocker(standing: Standing, blocker: int | None, state: IssueState | None) -> Standing:
    """Return a standing that also tells the state of the issue that blocks it."""
    words = f"Blocked by #{blocker}"
    if blocker is None or state is None or standing.next != words:
        return standing
    return replace(standing, next=f"{words}, {STATE_WORDS[state]}")


def limit_words(limit: Limit) -> str:
    """Return `claude limit until 08:16 UTC`."""
    if limit.until is None:
        return f"{limit.agent} limit, until a person lifts it"
    return f"{limit.agent} limit until {limit.until:%H:%M} UTC"


def ordinal(number: int) -> str:
    """Return `1st`, `2nd`, `11th`, `23rd`."""
    is_teen = 10 < number % 100 < 20
    ending = "th" if is_teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _of_run(run: OpenRun, loop: Loop, now: datetime) -> Standing:
    if run.status in WAITING:
        # a limit of its project's account explains the hold in fewer words
        if loop.limit is not None and loop.limit.agent == run.agent:
            return _of_limit(loop.limit)
        words = run.hold or ("Queued" if run.status is Status.QUEUED else "Starts later")
        return Standing(IssueState.WAITING, _sentence(words))
    if run.status in DONE:
        return Standing(IssueState.RUNNING, "Ending")
    since = clock_words((now - (run.started_at or run.created_at)).total_seconds())
    words = {
        Status.STARTING: f"Setting up, {since}",
        Status.RUNNING: f"Working, {since} of {rough_words(run.budget_seconds)}",
        Status.CHECKING: "Checks are running",
        Status.DELIVERING: "Delivering",
    }
    return Standing(IssueState.RUNNING, words[run.status])


def _of_kept(kept: KeptWork, loop: Loop) -> Standing:
    if kept.waits:
        limit = loop.limit if loop.limit and loop.limit.agent == kept.agent else None
        return _of_limit(limit) if limit else _resumes(kept)
    return Standing(IssueState.ATTENTION, _sentence(kept.because), Tone.ALARM)


def _resumes(kept: KeptWork) -> Standing:
    return Standing(IssueState.WAITING, f"Resumes after the {kept.agent} limit", Tone.LIMIT)


def _of_limit(limit: Limit) -> Standing:
    return Standing(IssueState.WAITING, limit_words(limit), Tone.LIMIT, limit)


def _of_queue(loop: Loop, place: int | None) -> Standing:
    if loop.limit is not None:
        return _of_limit(loop.limit)
    if loop.is_paused:
        return Standing(IssueState.READY, "Project is paused", Tone.ALARM)
    if not loop.is_auto:
        return Standing(IssueState.READY, "Auto is off")
    if loop.obstacle is not None:
        return Standing(IssueState.READY, _sentence(loop.obstacle), Tone.ALARM)
    first = place is None or place == 1
    words = f"Next in {loop.project}" if first else f"{ordinal(place or 1)} in {loop.project}"
    return Standing(IssueState.READY, words)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"
