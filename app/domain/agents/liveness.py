"""Whether an agent that lives goes on with its work: what is said of its silence, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.domain.agents.final_output import SILENCE, Finished, LastWord, Progressed, Retrying

# how long after its last word an agent may take to exit
LINGER = timedelta(seconds=45)
# silence that is told where a project ends nobody for it
WARN = timedelta(minutes=10)


@dataclass(frozen=True)
class Vitals:
    """When an agent last wrote, and when it last went on with its work (UTC).

    `word_at` is when it said its last word. `tool` is a tool of its that is at work.
    """

    output_at: datetime
    progress_at: datetime
    word: LastWord = SILENCE
    word_at: datetime | None = None
    is_retrying: bool = False
    tool: str = ""


class Pulse:
    """Takes in what an agent writes, as it is read; an agent begins with its launch."""

    def __init__(self, began: datetime) -> None:
        self._now = Vitals(began, began)

    def hear(self, at: datetime) -> None:
        """Something was written."""
        self._now = replace(self._now, output_at=at)

    def take(self, event: object, word: LastWord, at: datetime) -> None:
        """Take one event in, `word` being the last one after it."""
        now = replace(self._now, word=word)
        match event:
            case Progressed(tool):
                now = replace(now, progress_at=at, is_retrying=False, tool=tool)
            case Retrying():
                now = replace(now, is_retrying=True)
            case Finished():
                now = replace(now, word_at=at)
        self._now = now

    @property
    def vitals(self) -> Vitals:
        """As they are now."""
        return self._now


def is_lingering(vitals: Vitals, now: datetime) -> bool:
    """True for an agent that has said its last word and neither exits nor goes on."""
    is_final = vitals.word.is_final and vitals.word_at is not None
    return is_final and now >= (vitals.word_at or now) + LINGER


def is_stalled(vitals: Vitals, stall_seconds: int | None, now: datetime) -> bool:
    """True without progress for as long as its project allows; None allows it for ever."""
    if stall_seconds is None:
        return False
    return now >= vitals.progress_at + timedelta(seconds=stall_seconds)


def stall_words(vitals: Vitals, now: datetime) -> str:
    """Since when, and what was under way."""
    what = "only tried to reach its model again" if vitals.is_retrying else "made no progress"
    tool = f"; its tool {vitals.tool} was still at work" if vitals.tool else ""
    since = f"{vitals.progress_at:%H:%M} UTC"
    return f"the agent {what} for {_spell(now - vitals.progress_at)}, since {since}{tool}"


def quiet_words(vitals: Vitals, stall_seconds: int | None, now: datetime) -> str | None:
    """What a person is warned of: `No output for 12 min`, `Reconnecting for 4 min`; or None."""
    warn = warn_after(stall_seconds)
    without_progress, without_output = now - vitals.progress_at, now - vitals.output_at
    if without_progress < warn:
        return None
    if without_output >= warn:
        return f"No output for {_spell(without_output)}"
    word = "Reconnecting" if vitals.is_retrying else "No progress"
    return f"{word} for {_spell(without_progress)}"


def next_look(vitals: Vitals, stall_seconds: int | None, now: datetime) -> datetime:
    """The moment at which something of all this is different, if the agent stays as it is."""
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
    # the words change with each minute, later with each hour
    quiet = now - vitals.progress_at
    step = timedelta(minutes=1) if quiet < timedelta(hours=1) else timedelta(hours=1)
    return vitals.progress_at + (quiet // step + 1) * step


def warn_after(stall_seconds: int | None) -> timedelta:
    """How long a silence is before it is told."""
    return WARN if stall_seconds is None else timedelta(seconds=stall_seconds) / 2


def _spell(span: timedelta) -> str:
    """`40 s`, `12 min`, `3 h`."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"
