"""Reader of Gemini CLI's stream-json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.adapters.agents.streams.failures import MAX_EVIDENCE_CHARS, Failures
from app.adapters.agents.streams.fields import (
    MAX_MESSAGE_CHARS,
    OpenTools,
    called,
    named,
    part_of,
    said,
    sum_of,
    text_of,
)
from app.domain.agents.final_output import Finished
from app.domain.agents.reports import ReportEvent, Used


class GeminiStream:
    """Joins the pieces of an answer; only the result reports tokens, and nothing a cost."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._tools = OpenTools()
        self._answer = ""

    def read(self, event: dict[str, Any]) -> Iterator[ReportEvent]:
        """Yield what one event reports."""
        match event.get("type"):
            case "init":
                yield from named(event.get("session_id"))
            case "message" if event.get("role") == "assistant":
                self._hear(event)
                yield self._tools.progress()
            case "tool_use":
                self._answer = ""
                yield from called(event.get("tool_name"), event.get("parameters"))
                self._tools.begin(event.get("tool_id"), event.get("tool_name"))
                yield self._tools.progress()
            case "tool_result":
                self._tools.end(event.get("tool_id"))
                yield self._tools.progress()
            case "error":
                yield from self._failures.told_in(event.get("message"))
            case "result":
                yield from self._read_result(event)

    def _hear(self, event: dict[str, Any]) -> None:
        piece = event.get("content")
        if isinstance(piece, str):
            before = self._answer if event.get("delta") is True else ""
            self._answer = (before + piece[:MAX_MESSAGE_CHARS])[:MAX_MESSAGE_CHARS]

    def _read_result(self, event: dict[str, Any]) -> Iterator[ReportEvent]:
        stats = part_of(event, "stats")
        told = (sum_of(stats, "input_tokens"), sum_of(stats, "output_tokens"))
        if told != (None, None):
            yield Used(*told)
        problem = part_of(event, "error").get("message")
        yield from said(text_of(problem) or self._answer)
        yield from self._failures.told_in(problem)
        yield Finished(event.get("status") == "success", text_of(problem, MAX_EVIDENCE_CHARS))
