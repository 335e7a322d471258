"""Agents' reports about their work: events in their output, and the totals of a run."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict, TypeVar

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

# the largest value of the runs' columns; files beyond MAX_FILES are not counted
MAX_COUNT = 2**31 - 1
MAX_FILES = 10_000
_N = TypeVar("_N", int, float)


class Usage(TypedDict, total=False):
    """A run's columns for usage; cost in US dollars."""

    input_tokens: int
    output_tokens: int
    cost_usd: float


@dataclass(frozen=True)
class ToolUsed:
    """The agent called a tool."""

    name: str


@dataclass(frozen=True)
class FileEdited:
    """The agent changed a file."""

    path: str


@dataclass(frozen=True)
class Used:
    """The agent's cumulative usage since it started; None: not reported.

    Tokens read from a cache count as input.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True)
class Said:
    """A message; the last one is the final message."""

    text: str


@dataclass(frozen=True)
class SessionNamed:
    """The agent's id of its session, by which it can be resumed."""

    session_id: str


Work = ToolUsed | FileEdited | Used | Said | SessionNamed
ReportEvent = Work | Progressed | Retrying | LimitReached | Troubled | Finished


@dataclass(frozen=True)
class Report:
    """The totals of a run so far; cost in US dollars, time as ISO 8601; None: not reported."""

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
        """The state of the agent's output."""
        limit = None
        if self.limit is not None:
            moment = datetime.fromisoformat(self.limit_resets_at) if self.limit_resets_at else None
            limit = LimitReached(self.limit, moment, self.limit_family, self.limit_needs_person)
        failure = Failure(self.failure) if self.failure else None
        return LastWord(self.is_ok, failure, self.failure_words, limit)

    @property
    def usage(self) -> Usage:
        """The known values of a run's usage columns."""
        usage: Usage = {}
        if self.input_tokens is not None:
            usage["input_tokens"] = self.input_tokens
        if self.output_tokens is not None:
            usage["output_tokens"] = self.output_tokens
        if self.cost_usd is not None:
            usage["cost_usd"] = self.cost_usd
        return usage

    @property
    def sentence(self) -> str:
        """`12 tool calls · edited 4 files · 61 k tokens · $0.38`; empty if nothing is known."""
        tokens = (self.input_tokens or 0) + (self.output_tokens or 0)
        parts = [
            _counted(self.tools_used, "tool call"),
            f"edited {_counted(self.files_edited, 'file')}" if self.files_edited else "",
            usage_words(tokens, self.cost_usd),
            "its usage limit is reached" if self.limit else "",
        ]
        return " · ".join(part for part in parts if part)

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data for a timeline event."""
        return asdict(self)


def added(before: Report, turn: Report) -> Report:
    """Return the totals after a further turn: figures add up, the newest words count."""
    return replace(
        turn,
        tools_used=before.tools_used + turn.tools_used,
        files_edited=before.files_edited + turn.files_edited,
        input_tokens=_sum(before.input_tokens, turn.input_tokens),
        output_tokens=_sum(before.output_tokens, turn.output_tokens),
        cost_usd=_sum(before.cost_usd, turn.cost_usd),
        session_id=turn.session_id or before.session_id,
        final_message=turn.final_message or before.final_message,
    )


def _sum(before: _N | None, turn: _N | None) -> _N | None:
    if before is None or turn is None:
        return turn if before is None else before
    return before + turn


def usage_words(tokens: int, cost_usd: float | None) -> str:
    """Format usage: `61 k tokens · $0.38`; empty if nothing is known."""
    counted = f"{amount_words(tokens)} tokens" if tokens >= 1000 else _counted(tokens, "token")
    cost = "" if cost_usd is None else cost_words(cost_usd)
    return " · ".join(part for part in (counted, cost) if part)


def amount_words(amount: int) -> str:
    """Shorten a large number: `950`, `61 k`, `1.2 M`."""
    if amount < 1000:
        return str(amount)
    # a number that would round to 1000 k is shown in millions
    return f"{amount / 1000:.0f} k" if amount < 999_500 else f"{amount / 1_000_000:,.1f} M"


def cost_words(cost_usd: float) -> str:
    """Format dollars and cents: `$0.38`; less than half a cent is `<$0.01`."""
    return "<$0.01" if 0 < cost_usd < 0.005 else f"${cost_usd:,.2f}"


class Tally:
    """Adds up events; uses little memory, however many there are."""

    def __init__(self) -> None:
        self._tools = 0
        self._files: set[int] = set()
        self._used = Used()
        self._session: str | None = None
        self._said: str | None = None
        self._word = LastWord()

    def add(self, event: ReportEvent) -> None:
        """Add one event."""
        match event:
            case ToolUsed():
                self._tools = min(self._tools + 1, MAX_COUNT)
            case FileEdited(path):
                if len(self._files) < MAX_FILES:
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
        """The state of the agent's output."""
        return self._word

    @property
    def report(self) -> Report:
        """The current totals."""
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
    """The kind of a log entry.

    `text` is output that is not an event, `note` is of little importance, `cut` marks dropped
    bytes.
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


# prefixes by kind, so that no color is needed to recognize it
SIGNS: dict[str, str] = {EntryKind.TOOL: "▸ ", EntryKind.FAILED: "✗ ", EntryKind.RESULT: "  "}


@dataclass(frozen=True)
class Entry:
    """One entry of a readable log; `name` is the tool's.

    With `is_piece` the text continues in the next entry of the same kind, without a line break.
    """

    kind: EntryKind
    text: str
    name: str = ""
    is_piece: bool = False


@dataclass(frozen=True)
class PlacedEntry:
    """An entry, with its line's byte offset in the log and when that arrived (UTC), if known."""

    at: int
    entry: Entry
    time: datetime | None = None


def split_lines(text: str) -> list[str]:
    """Split an entry's text into lines; a carriage return, as in progress bars, also ends one."""
    return _BREAK.split(text)
