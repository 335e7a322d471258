"""The end of an agent's output: its final event, and the failure or limit that stopped it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


class Failure(StrEnum):
    """The kind of failure that an agent reports."""

    AUTH = "auth"
    NETWORK = "network"
    OTHER = "other"


@dataclass(frozen=True)
class Progressed:
    """The agent made progress; `tool` is a tool of it that is running now."""

    tool: str = ""


@dataclass(frozen=True)
class Retrying:
    """The agent retries to reach its model: this is output, but no progress."""


@dataclass(frozen=True)
class LimitReached:
    """The agent's account has no usage left; `evidence` is the raw line of output.

    A reset time that is only in prose stays in `evidence`. `family` is the window or the models
    that the limit applies to (`seven_day_opus`), empty for the whole account. `needs_person`: no
    time ends it.
    """

    evidence: str
    resets_at: datetime | None = None
    family: str = ""
    needs_person: bool = False

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        at = self.resets_at.isoformat() if self.resets_at else None
        return asdict(self) | {"resets_at": at}


def limit_of(told: Mapping[str, Any]) -> LimitReached:
    """Restore a limit from the result of `as_data`."""
    at = told["resets_at"]
    moment = datetime.fromisoformat(at) if at else None
    return LimitReached(told["evidence"], moment, told["family"], told["needs_person"])


@dataclass(frozen=True)
class Troubled:
    """A failure that stops the agent, unless it makes progress afterwards."""

    failure: Failure
    evidence: str


@dataclass(frozen=True)
class Finished:
    """The agent's final event; `evidence` is its message if it failed."""

    is_ok: bool
    evidence: str = ""


@dataclass(frozen=True)
class LastWord:
    """The state of the agent's output since its last progress.

    `is_ok` is the result in its final event, None without one; `evidence` is the raw failure.
    """

    is_ok: bool | None = None
    failure: Failure | None = None
    evidence: str = ""
    limit: LimitReached | None = None

    @property
    def is_final(self) -> bool:
        """True if the agent has finished."""
        return self.is_ok is not None


SILENCE = LastWord()


def after(
    word: LastWord, event: Progressed | Retrying | LimitReached | Troubled | Finished
) -> LastWord:
    """Return the last word after one more event."""
    match event:
        case Progressed():
            return SILENCE
        case Retrying():
            # an agent that retries has not ended
            return replace(word, is_ok=None)
        case Finished(is_ok, evidence):
            if is_ok:
                return LastWord(is_ok=True)
            failure = word.failure or (None if word.limit else Failure.OTHER)
            return replace(word, is_ok=False, failure=failure, evidence=word.evidence or evidence)
        case _ if word.is_ok:
            return word  # events after a successful end do not matter
        case LimitReached():
            return replace(word, limit=_merged(word.limit, event))
        case Troubled(failure, evidence):
            return replace(word, failure=failure, evidence=evidence)


def _merged(before: LimitReached | None, told: LimitReached) -> LimitReached:
    if before is None:
        return told
    # the exhausted window that resets last; not every event repeats its reset time
    moments = [one for one in (before, told) if one.resets_at is not None]
    latest = max(moments, key=lambda one: (one.resets_at, one is told), default=told)
    return LimitReached(
        told.evidence,
        latest.resets_at,
        latest.family or told.family or before.family,
        before.needs_person or told.needs_person,
    )
