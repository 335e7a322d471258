"""A run's events as timeline steps: what happened, how long it took, what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from app.api.schemas import RunOut, TimelineEvent
from app.domain.words import CheckStatus, Delivers, Phase, Status

HEADINGS = {
    "accepted": "Accepted",
    "taken": "Taken up",
    "claimed": "Claimed",
    "prepared": "Working copy ready",
    "spawned": "Agent started",
    "progress": "Working",
    "exited": "Agent ended",
    "check_started": "Check",
    "check_ended": "Check",
    "followed_up": "Back to the agent",
    "delivered": "Delivered",
    "kill_sent": "Stopping",
    "kill_verified": "All processes gone",
    "reaped": "Ended",
    "parked": "Parked",
    "salvage": "Work saved",
    "note": "Note",
}
_ENDED_BADLY = {Status.DIED, Status.NOT_STARTED}
_ENDED_SHORT = {Status.TIMED_OUT, Status.LIMITED}


class Tone(StrEnum):
    """The look of a step: done, current, upcoming, or the severity of its outcome."""

    DONE = "done"
    NOW = "now"
    NEXT = "nx"
    STOP = "stop"
    WAIT = "wait"
    IDLE = "idle"


@dataclass(frozen=True)
class Step:
    """One step of the timeline; `seconds` since the previous one, None for the first."""

    kind: str
    heading: str
    sentence: str
    tone: Tone
    at: datetime | None = None
    seconds: float | None = None


def steps_of(events: Sequence[TimelineEvent], run: RunOut, reported: str = "") -> list[Step]:
    """Return the steps so far, with consecutive progress merged, and the upcoming ones.

    A check that has ended is one step. `reported` is a short summary of the agent's report on a
    running run.
    """
    ended = {_check_of(event) for event in events if event.kind == "check_ended"}
    kept = [
        event
        for event, after in zip(events, [*events, None][1:], strict=True)
        if not (event.kind == "progress" and after is not None and after.kind == "progress")
        and not (event.kind == "check_started" and _check_of(event) in ended)
    ]
    steps: list[Step] = []
    before: datetime | None = None
    for event in kept:
        seconds = None if before is None else max(0.0, (event.at - before).total_seconds())
        turns = [step.kind for step in steps if step.kind in ("spawned", "exited")]
        has_exited = turns[-1:] == ["exited"]
        steps.append(_step(event, run, seconds, is_last=event is kept[-1], has_exited=has_exited))
        before = event.at
    if reported and steps and run.status is Status.RUNNING:
        steps[-1] = replace(steps[-1], tone=Tone.DONE)
        steps.append(Step("progress", "Working", reported, Tone.NOW, before))
    return [*steps, *_still_to_come(run, {event.kind for event in kept})]


def in_order(events: Iterable[TimelineEvent]) -> list[TimelineEvent]:
    """Return events without duplicates, oldest first."""
    return sorted({event.id: event for event in events}.values(), key=lambda event: event.id)


def is_report(event: TimelineEvent) -> bool:
    """Return True for the event that holds the totals of an agent's report."""
    return event.kind == "progress" and "tools_used" in event.data


def is_refusal(event: TimelineEvent) -> bool:
    """Return True for the event of a host that was refused to the agent."""
    return event.kind == "note" and "refused" in event.data


def _check_of(event: TimelineEvent) -> tuple[object, object]:
    return event.data.get("check"), event.data.get("round")


def _step(
    event: TimelineEvent, run: RunOut, seconds: float | None, *, is_last: bool, has_exited: bool
) -> Step:
    heading = HEADINGS.get(event.kind, event.kind.replace("_", " ").capitalize())
    if is_report(event):
        heading = "Worked"
    elif is_refusal(event):
        heading = "Network"
    elif event.kind == "progress" and has_exited:
        heading = "Checking" if event.data.get("status") == Status.CHECKING else "Delivering"
    return Step(event.kind, heading, event.sentence, _tone(event, run, is_last), event.at, seconds)


def _tone(event: TimelineEvent, run: RunOut, is_last: bool) -> Tone:
    if is_last and run.phase is not Phase.DONE:
        return Tone.NOW
    if is_refusal(event) or event.kind == "followed_up":
        return Tone.WAIT
    if event.kind == "check_ended" and event.data.get("status") != CheckStatus.PASSED:
        return Tone.STOP
    if event.kind != "reaped":
        return Tone.DONE
    if run.status in _ENDED_BADLY:
        return Tone.STOP
    if run.status in _ENDED_SHORT:
        return Tone.WAIT
    return Tone.DONE if run.status is Status.SUCCEEDED else Tone.IDLE


def _still_to_come(run: RunOut, seen: set[str]) -> list[Step]:
    if run.phase is Phase.DONE:
        return []
    ahead = [("spawned", "Agent"), ("delivered", "Pull request"), ("reaped", "End")]
    if run.delivers is Delivers.REPORT:
        del ahead[1]
    return [Step(kind, name, "", Tone.NEXT) for kind, name in ahead if kind not in seen]
