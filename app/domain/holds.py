"""Holds of accounts that are at their usage limit: what they cover, and who may go when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MAX_RESUMES = 5
# how long after one run of an account that works again the next one follows
STAGGER = timedelta(seconds=20)
# how soon another goes first where the one that did has shown nothing
NEXT_PROBE = timedelta(seconds=60)
# how long others leave the first place to a run that is to be resumed
HEAD_START = timedelta(seconds=90)
# who has worked so long without meeting the limit has shown that the account works
LONG_ENOUGH = timedelta(minutes=10)

_WINDOWS = ("five_hour", "seven_day", "session", "weekly", "monthly", "usage", "overage", "limit")


class Stand(StrEnum):
    """Where a hold stands."""

    HELD = "held"
    DUE = "due"
    PROBING = "probing"
    EASING = "easing"


@dataclass(frozen=True)
class HoldFacts:
    """What decides; `until` None: a person ends it; `next_at`: the account works again."""

    until: datetime | None
    probe_run_id: str | None
    next_at: datetime | None


def stand_of(hold: HoldFacts, now: datetime) -> Stand:
    """Held, then due; then one run goes first, and the others follow one by one."""
    if hold.next_at is not None:
        return Stand.EASING
    if hold.probe_run_id is not None:
        return Stand.PROBING
    return Stand.HELD if hold.until is None or now < hold.until else Stand.DUE


def is_turn(next_at: datetime | None, now: datetime) -> bool:
    """True where the next run may follow; what is further off tells of a clock that was set."""
    return next_at is not None and not now < next_at <= now + STAGGER


def family_of(told: str) -> str:
    """The models that a limit holds for, from the window it names; empty for all of them."""
    words = told.strip().lower()
    for window in _WINDOWS:
        words = words.removeprefix(window).removesuffix(window).strip(" _-")
    return words[:80]


def covers(family: str, model: str | None) -> bool:
    """True where a run of this model needs the family; of the agent's own choice nobody knows."""
    return not family or model is None or family in model.lower()


def sentence_of(agent: str, family: str, stand: Stand, until: datetime | None) -> str:
    """Why a run waits, as a person reads it."""
    what = f"{agent} ({family})" if family else agent
    if stand is Stand.HELD:
        if until is None:
            return f"the usage limit of {what} is reached; lift its hold when it may go on"
        return f"the usage limit of {what} is reached, until {until:%d %b %H:%M} UTC"
    if stand is Stand.EASING:
        return f"waits its turn: {what} has just come back from its usage limit"
    return f"the usage limit of {what} is over; one run tries it first, then this one follows"
