"""Readers of agents' output, one for each format: bytes in, events out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.adapters.agents.streams.aider import AiderStream
from app.adapters.agents.streams.claude import ClaudeStream
from app.adapters.agents.streams.codex import CodexStream
from app.adapters.agents.streams.credentials import hide_keys
from app.adapters.agents.streams.failures import Failures
from app.adapters.agents.streams.fields import read_object, text_of
from app.adapters.agents.streams.gemini import GeminiStream
from app.adapters.agents.streams.lines import Lines
from app.adapters.agents.streams.opencode import OpencodeStream
from app.domain.agents.final_output import Finished, LimitReached, Troubled
from app.domain.agents.reports import ReportEvent

JSON_STREAMS = {
    "claude": ClaudeStream,
    "codex": CodexStream,
    "gemini": GeminiStream,
    "opencode": OpencodeStream,
}
TEXT_STREAMS = {"aider": AiderStream}
STREAMS = frozenset({*JSON_STREAMS, *TEXT_STREAMS})
_MAX_TEXT_CHARS = 4_000


class StreamReader:
    """Reads one agent's output in pieces of any size; no content makes it raise."""

    def __init__(self, stream: str, limit_messages: Sequence[str]) -> None:
        self._lines = Lines()
        self._failures = Failures(limit_messages)
        is_json = stream in JSON_STREAMS
        self._events = JSON_STREAMS[stream](self._failures) if is_json else None
        self._text = None if is_json else TEXT_STREAMS[stream](self._failures)

    def feed(self, data: bytes) -> list[ReportEvent]:
        """Return the events of the lines that end within `data`."""
        lines = self._lines.split(data)
        return [_without_keys(event) for line in lines for event in self._read(line)]

    def finish(self) -> list[ReportEvent]:
        """Return the events of an unfinished last line."""
        lines = self._lines.rest()
        return [_without_keys(event) for line in lines for event in self._read(line)]

    def _read(self, line: bytes) -> Iterator[ReportEvent]:
        text = line.decode("utf-8", "replace").strip()
        event = read_object(text) if self._events is not None else None
        if self._events is not None and event is not None:
            yield from self._events.read(event)
        elif self._text is not None or not text.startswith("{"):
            # a line that is no event comes from the program itself; half an event does not
            words = text_of(text, _MAX_TEXT_CHARS)
            told_by = self._text.read if self._text is not None else self._failures.told_in
            yield from told_by(words)


def _without_keys(event: ReportEvent) -> ReportEvent:
    if isinstance(event, Finished | LimitReached | Troubled):
        return replace(event, evidence=hide_keys(event.evidence))
    return event
