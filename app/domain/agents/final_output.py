"""How an agent's output stands: whether it is at its end, and what keeps it from going on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


class Failure(StrEnum):
    """What an agent says it failed by."""

    AUTH = "auth"
    NETWORK = "network"
    OTHER = "other"


@dataclass(frozen=True)
class Progressed:
    """The agent has gone on with its work; `tool` is a tool of its own that is at work now."""

    tool: str = ""


@dataclass(frozen=True)
class Retrying:
    """The agent tries again to reach its model: that is output, and no progress."""


@dataclass(frozen=True)
class LimitReached:
    """The agent's account has no usage left; `evidence` is the line that it wrote, raw.

    A time that stands in a text alone is in `evidence`. `family` is the window or the models it
    holds for (`seven_day_opus`), empty for the whole account. `needs_person`: no time ends it.
    """

    evidence: str
    resets_at: datetime | None = None
    family: str = ""
    needs_person: bool = False

    def as_data(self) -> dict[str, Any]:
        """The same as a document can hold it."""
        at = self.resets_at.isoformat() if self.resets_at else None
        return asdict(self) | {"resets_at": at}


def limit_of(told: Mapping[str, Any]) -> LimitReached:
    """A limit from what `as_data` made of it."""
    at = told["resets_at"]
    moment = datetime.fromisoformat(at) if at else None
    return LimitReached(told["evidence"], moment, told["family"], told["needs_person"])


@dataclass(frozen=True)
class Troubled:
    """What keeps the agent from its work, unless it goes on after it."""

    failure: Failure
    evidence: str


@dataclass(frozen=True)
class Finished:
    """The agent's final event; `evidence` holds its words where it has failed."""

    is_ok: bool
    evidence: str = ""


@dataclass(frozen=True)
class LastWord:
    """What was said since the agent last went on with its work.

    `is_ok` is what its final event says, None without one; `evidence` is the failure, raw.
    """

    is_ok: bool | None = None
    failure: Failure | None = None
    evidence: str = ""
    limit: LimitReached | None = None

    @property
    def is_final(self) -> bool:
        """True where nothing is to be expected of the agent any more."""
        return self.is_ok is not None


SILENCE = LastWord()


def after(
    word: LastWord, event: Progressed | Retrying | LimitReached | Troubled | Finished
) -> LastWord:
    """The last word once the agent has said something more."""
    match event:
        case Progressed():
            return SILENCE
        case Retrying():
            # who tries again has not ended
            return replace(word, is_ok=None)
        case Finished(is_ok, evidence):
            if is_ok:
                return LastWord(is_ok=True)
            failure = word.failure or (None if word.limit else Failure.OTHER)
            return replace(word, is_ok=False, failure=failure, evidence=word.evidence or evidence)
        case _ if word.is_ok:
            return word  # what is told after a good end keeps nobody from anything
        case LimitReached():
            return replace(word, limit=_merged(word.limit, event))
        case Troubled(failure, evidence):
            return replace(word, failure=failure, evidence=evidence)


def _merged(before: LimitReached | None, told: LimitReached) -> LimitReached:
    if before is None:
        return told
    # the latest of the windows that are used up; its moment is not told again by every word
    moments = [one for one in (before, told) if one.resets_at is not None]
    latest = max(moments, key=lambda one: (one.resets_at, one is told), default=told)
    return LimitReached(
        told.evidence,
        latest.resets_at,
        latest.family or told.family or before.family,
        before.needs_person or told.needs_person,
    )
