"""A run's timeline folded into at most four steps: queued, agent, checks, delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.api.schemas import RunOut, TimelineEvent
from app.domain.text.durations import step_words
from app.domain.words import CheckStatus, Delivers, Phase, Status

State = Literal["waiting", "running", "done", "fail", "warn", "stopped"]
BAD_ENDS: dict[Status, State] = {Status.STOPPED: "stopped", Status.LIMITED: "warn"}


@dataclass(frozen=True)
class FoldedStep:
    """One step: its state, its words, how long it took, or since when it lasts or happened."""

    state: State
    words: str
    took: str = ""
    since: datetime | None = None
    at: datetime | None = None


def folded(events: Sequence[TimelineEvent], run: RunOut) -> list[FoldedStep]:
    """Return the steps of a run; those to come only while it is not done."""
    steps = [_queued(run)]
    if run.started_at is not None or run.phase is not Phase.DONE:
        steps.append(_worked(events, run))
    steps += _checked(events, run)
    if run.delivers is not Delivers.REPORT:
        steps += _delivered(events, run)
    return steps


def _queued(run: RunOut) -> FoldedStep:
    until = run.started_at or run.ended_at
    if until is None:
        return FoldedStep("waiting", "Queued", since=run.created_at)
    took = step_words(max(0.0, (until - run.created_at).total_seconds()))
    return FoldedStep("done" if run.started_at else _end_of(run), "Queued", took)


def _worked(events: Sequence[TimelineEvent], run: RunOut) -> FoldedStep:
    if run.started_at is None:
        return FoldedStep("waiting", "Agent")
    exited = _first(events, "exited")
    end = exited.at if exited is not None else run.ended_at
    if end is None:
        return FoldedStep("running", "Agent working", since=run.started_at)
    took = step_words(max(0.0, (end - run.started_at).total_seconds()))
    has_failed = run.phase is Phase.DONE and run.status is not Status.SUCCEEDED
    has_checks = any(event.kind == "check_started" for event in events)
    state = _end_of(run) if has_failed and not has_checks else "done"
    return FoldedStep(state, "Agent worked", took)


def _checked(events: Sequence[TimelineEvent], run: RunOut) -> list[FoldedStep]:
    begun = [event for event in events if event.kind == "check_started"]
    ended = [event for event in events if event.kind == "check_ended"]
    if not begun and not ended:
        return []
    last = max(int(event.data.get("round") or 1) for event in begun + ended)
    of_last = [event for event in ended if int(event.data.get("round") or 1) == last]
    first = next((event for event in begun if int(event.data.get("round") or 1) == last), None)
    if run.status is Status.CHECKING:
        return [FoldedStep("running", "Checks", since=first.at if first else None)]
    red = [event for event in of_last if event.data.get("status") != CheckStatus.PASSED]
    count = len(red or of_last)
    words = f"{count} check{'' if count == 1 else 's'} {'red' if red else 'passed'}"
    span = (of_last[-1].at - first.at).total_seconds() if first and of_last else 0.0
    return [FoldedStep("fail" if red else "done", words, step_words(max(0.0, span)))]


def _delivered(events: Sequence[TimelineEvent], run: RunOut) -> list[FoldedStep]:
    done = _first(events, "delivered")
    if done is not None:
        return [FoldedStep("done", "Delivered", at=done.at)]
    if run.phase is Phase.DONE:
        return []
    is_now = run.status is Status.DELIVERING
    return [FoldedStep("running" if is_now else "waiting", "Delivery")]


def _end_of(run: RunOut) -> State:
    return BAD_ENDS.get(run.status, "fail")


def _first(events: Sequence[TimelineEvent], kind: str) -> TimelineEvent | None:
    return next((event for event in events if event.kind == kind), None)
