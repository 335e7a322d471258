"""What an agent reports of its own work: the events of its output, and their sums."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.agents.final_output import (
    Failure,
    Finished,
    LastWord,
    LimitReached,
    Progressed,
    Retrying,
    Troubled,
    after,
)

# as large as the runs' columns hold; files beyond this many are not told apart
MAX_COUNT = 2**31 - 1
MAX_FILES = 10_000
# the columns of a run for it
USAGE = ("input_tokens", "output_tokens", "cost_usd")


@dataclass(frozen=True)
class ToolUsed:
    """The agent called one of its tools."""

    name: str


@dataclass(frozen=True)
class FileEdited:
    """The agent changed a file."""

    path: str


@dataclass(frozen=True)
class Used:
    """What the agent has used since it began, not since the event before; None: not told.

    Tokens read from a cache count as input.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True)
class Said:
    """A message that is the final one unless another follows."""

    text: str


@dataclass(frozen=True)
class SessionNamed:
    """The agent's own name for its session, by which it can be gone on with."""

    session_id: str


Work = ToolUsed | FileEdited | Used | Said | SessionNamed
ReportEvent = Work | Progressed | Retrying | LimitReached | Troubled | Finished


@dataclass(frozen=True)
class Report:
    """The sums of a run so far; costs in US dollars, a moment as ISO 8601; None: not told."""

    tools_used: int = 0
    files_edited: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    session_id: str | None = None
    final_message: str | None = None
    limit: str | None = None
    limit_resets_at: str | None = None
    limit_family: str = ""
    limit_needs_person: bool = False
    failure: str | None = None
    failure_words: str = ""
    is_ok: bool | None = None

    @property
    def last_word(self) -> LastWord:
        """How the agent's output stands."""
        limit = None
        if self.limit is not None:
            moment = datetime.fromisoformat(self.limit_resets_at) if self.limit_resets_at else None
            limit = LimitReached(self.limit, moment, self.limit_family, self.limit_needs_person)
        failure = Failure(self.failure) if self.failure else None
        return LastWord(self.is_ok, failure, self.failure_words, limit)

    @property
    def usage(self) -> dict[str, Any]:
        """What is known of the run's columns for it."""
        return {name: value for name in USAGE if (value := getattr(self, name)) is not None}

    @property
    def sentence(self) -> str:
        """`12 tool calls · edited 4 files · 61 k tokens · $0.38`, empty while nothing is known."""
        tokens = (self.input_tokens or 0) + (self.output_tokens or 0)
        parts = [
            _counted(self.tools_used, "tool call"),
            f"edited {_counted(self.files_edited, 'file')}" if self.files_edited else "",
            usage_words(tokens, self.cost_usd),
            "its usage limit is reached" if self.limit else "",
        ]
        return " · ".join(part for part in parts if part)

    def as_data(self) -> dict[str, Any]:
        """For a line of the timeline."""
        return asdict(self)


def usage_words(tokens: int, cost_usd: float | None) -> str:
    """`61 k tokens · $0.38`, empty where nothing is known."""
    counted = f"{amount_words(tokens)} tokens" if tokens >= 1000 else _counted(tokens, "token")
    cost = "" if cost_usd is None else cost_words(cost_usd)
    return " · ".join(part for part in (counted, cost) if part)


def amount_words(amount: int) -> str:
    """A large number in short: `950`, `61 k`, `1.2 M`."""
    if amount < 1000:
        return str(amount)
    # what would be rounded to a thousand thousands is a million
    return f"{amount / 1000:.0f} k" if amount < 999_500 else f"{amount / 1_000_000:,.1f} M"


def cost_words(cost_usd: float) -> str:
    """Dollars and cents, `$0.38`; what is less than half a cent is still not nothing."""
    return "<$0.01" if 0 < cost_usd < 0.005 else f"${cost_usd:,.2f}"


class Tally:
    """Adds events up; small, however many there are."""

    def __init__(self) -> None:
        self._tools = 0
        self._files: set[int] = set()
        self._used = Used()
        self._session: str | None = None
        self._said: str | None = None
        self._word = LastWord()

    def add(self, event: ReportEvent) -> None:
        """Take one event in."""
        match event:
            case ToolUsed():
                self._tools = min(self._tools + 1, MAX_COUNT)
            case FileEdited(path) if len(self._files) < MAX_FILES:
                self._files.add(hash(path))
            case Used():
                self._used = _newest(event, self._used)
            case Said(text):
                self._said = text
            case SessionNamed(session_id):
                self._session = session_id
            case Progressed() | Retrying() | LimitReached() | Troubled() | Finished():
                self._word = after(self._word, event)

    @property
    def last_word(self) -> LastWord:
        """How the agent's output stands."""
        return self._word

    @property
    def report(self) -> Report:
        """The sums as they are now."""
        word, limit = self._word, self._word.limit
        return Report(
            tools_used=self._tools,
            files_edited=len(self._files),
            input_tokens=self._used.input_tokens,
            output_tokens=self._used.output_tokens,
            cost_usd=self._used.cost_usd,
            session_id=self._session,
            final_message=self._said,
            limit=limit.evidence if limit else None,
            limit_resets_at=limit.resets_at.isoformat() if limit and limit.resets_at else None,
            limit_family=limit.family if limit else "",
            limit_needs_person=limit is not None and limit.needs_person,
            failure=word.failure,
            failure_words=word.evidence,
            is_ok=word.is_ok,
        )


def _newest(told: Used, before: Used) -> Used:
    return Used(
        _capped(told.input_tokens, before.input_tokens),
        _capped(told.output_tokens, before.output_tokens),
        before.cost_usd if told.cost_usd is None else told.cost_usd,
    )


def _capped(told: int | None, before: int | None) -> int | None:
    return before if told is None else min(told, MAX_COUNT)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""


MAX_TEXT_CHARS = 8_000
MAX_LINE_CHARS = 4_000

_BREAK = re.compile(r"\r\n|\n|\r")


class EntryKind(StrEnum):
    """What an entry tells of.

    `text` is what was no event, `note` what matters little, `cut` stands where bytes were dropped.
    """

    SAID = "said"
    THOUGHT = "thought"
    TOOL = "tool"
    RESULT = "result"
    FAILED = "failed"
    END = "end"
    NOTE = "note"
    TEXT = "text"
    CUT = "cut"


# what stands before a line of a kind, so that no colour is needed to tell it
SIGNS: dict[str, str] = {EntryKind.TOOL: "▸ ", EntryKind.FAILED: "✗ ", EntryKind.RESULT: "  "}


@dataclass(frozen=True)
class Entry:
    """One thing that was written; `name` is a tool's.

    With `is_piece` the text goes on in the next entry of its kind, without a break.
    """

    kind: EntryKind
    text: str
    name: str = ""
    is_piece: bool = False


@dataclass(frozen=True)
class PlacedEntry:
    """An entry, and where in the log the line begins that it was made of, in bytes."""

    at: int
    entry: Entry


def split_lines(text: str) -> list[str]:
    """An entry's text as lines; a progress bar that overwrites itself becomes lines, too."""
    return _BREAK.split(text)
