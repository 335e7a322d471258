"""Progress of live agents: detection of stalls, and the warnings about silence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.domain.agents.final_output import (
    SILENCE,
    Finished,
    LastWord,
    LimitReached,
    Progressed,
    Retrying,
    Troubled,
)
from app.domain.agents.reports import (
    FileEdited,
    ReportEvent,
    Said,
    SessionNamed,
    ToolUsed,
    Used,
)
from app.domain.text.durations import rough_words

# time that an agent may take to exit after its final event
LINGER = timedelta(seconds=45)
# silence to warn about if the project has no stall limit
WARN = timedelta(minutes=10)


@dataclass(frozen=True)
class Vitals:
    """When an agent last wrote output, and when it last made progress (UTC).

    `word_at` is the time of its final event. `tool` is the tool that is running.
    """

    output_at: datetime
    progress_at: datetime
    word: LastWord = SILENCE
    word_at: datetime | None = None
    is_retrying: bool = False
    tool: str = ""


class Pulse:
    """Tracks an agent's vitals from its events; the clock starts at its launch."""

    def __init__(self, began: datetime) -> None:
        self._now = Vitals(began, began)

    def note_output(self, at: datetime) -> None:
        """Record output."""
        self._now = replace(self._now, output_at=at)

    def take(self, event: ReportEvent, word: LastWord, at: datetime) -> None:
        """Record an event; `word` is the last word after it."""
        now = replace(self._now, word=word)
        match event:
            case Progressed(tool):
                now = replace(now, progress_at=at, is_retrying=False, tool=tool)
            case Retrying():
                now = replace(now, is_retrying=True)
            case Finished():
                now = replace(now, word_at=at)
            case LimitReached() | Troubled():
                pass
            case ToolUsed() | FileEdited() | Used() | Said() | SessionNamed():
                pass
        self._now = now

    @property
    def vitals(self) -> Vitals:
        """The current vitals."""
        return self._now


def is_lingering(vitals: Vitals, now: datetime) -> bool:
    """Return True if an agent has finished and not exited within LINGER."""
    is_final = vitals.word.is_final and vitals.word_at is not None
    return is_final and now >= (vitals.word_at or now) + LINGER


def is_silent_for(vitals: Vitals, seconds: int, now: datetime) -> bool:
    """Return True if an agent has written nothing for so long."""
    return now >= vitals.output_at + timedelta(seconds=seconds)


def is_stalled(vitals: Vitals, stall_seconds: int | None, now: datetime) -> bool:
    """Return True without progress for `stall_seconds`; None means no limit."""
    if stall_seconds is None:
        return False
    return now >= vitals.progress_at + timedelta(seconds=stall_seconds)


def stall_words(vitals: Vitals, now: datetime) -> str:
    """Describe a stall: what the agent did instead of progress, how long, and since when."""
    what = "only retried reaching its model" if vitals.is_retrying else "made no progress"
    tool = f"; its tool {vitals.tool} was still at work" if vitals.tool else ""
    quiet = rough_words((now - vitals.progress_at).total_seconds())
    since = f"{vitals.progress_at:%H:%M} UTC"
    return f"the agent {what} for {quiet}, since {since}{tool}"


def quiet_words(vitals: Vitals, stall_seconds: int | None, now: datetime) -> str | None:
    """Return a warning such as `No output for 12 min` or `Reconnecting for 4 min`, or None."""
    warn = warn_after(stall_seconds)
    without_progress, without_output = now - vitals.progress_at, now - vitals.output_at
    if without_progress < warn:
        return None
    if without_output >= warn:
        return f"No output for {rough_words(without_output.total_seconds())}"
    word = "Reconnecting" if vitals.is_retrying else "No progress"
    return f"{word} for {rough_words(without_progress.total_seconds())}"


def next_look(vitals: Vitals, stall_seconds: int | None, now: datetime) -> datetime:
    """Return when the result of these checks changes next if the agent stays as it is."""
    moments = [_next_words(vitals, stall_seconds, now)]
    if stall_seconds is not None:
        moments.append(vitals.progress_at + timedelta(seconds=stall_seconds))
    if vitals.word.is_final and vitals.word_at is not None:
        moments.append(vitals.word_at + LINGER)
    return min((moment for moment in moments if moment > now), default=now + WARN)


def _next_words(vitals: Vitals, stall_seconds: int | None, now: datetime) -> datetime:
    first = vitals.progress_at + warn_after(stall_seconds)
    if first > now:
        return first
    # the warning changes every minute, later every hour
    quiet = now - vitals.progress_at
    step = timedelta(minutes=1) if quiet < timedelta(hours=1) else timedelta(hours=1)
    return vitals.progress_at + (quiet // step + 1) * step


def warn_after(stall_seconds: int | None) -> timedelta:
    """Return the length of silence after which people are warned."""
    return WARN if stall_seconds is None else timedelta(seconds=stall_seconds) / 2
