"""Reader of the events of `codex exec --json`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.adapters.agents.streams.failures import MAX_EVIDENCE_CHARS, Failures
from app.adapters.agents.streams.fields import (
    MAX_PATH_CHARS,
    OpenTools,
    called,
    named,
    part_of,
    parts_of,
    said,
    sum_of,
    text_of,
)
from app.domain.agents.final_output import Finished
from app.domain.agents.reports import FileEdited, ReportEvent, Used

_TOOLS = frozenset({"command_execution", "file_change", "mcp_tool_call", "web_search"})


class CodexStream:
    """Counts completed items; a turn reports all tokens since the thread began, never a cost."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._tools = OpenTools()

    def read(self, event: dict[str, Any]) -> Iterator[ReportEvent]:
        """Yield what one event reports."""
        match event.get("type"):
            case "thread.started":
                yield from named(event.get("thread_id"))
            case "item.started" | "item.updated" | "item.completed":
                yield from self._read_item(event["type"], part_of(event, "item"))
            case "turn.completed":
                used = part_of(event, "usage")
                # input_tokens includes cached ones
                told = (sum_of(used, "input_tokens"), sum_of(used, "output_tokens"))
                if told != (None, None):
                    yield Used(*told)
                yield Finished(True)
            case "turn.failed":
                words = part_of(event, "error").get("message")
                yield from said(words)
                yield from self._failures.told_in(words)
                yield Finished(False, text_of(words, MAX_EVIDENCE_CHARS))
            case "error":
                # not an end: it reports each attempt to reconnect like this
                yield from self._failures.told_in(event.get("message"))

    def _read_item(self, what: str, item: dict[str, Any]) -> Iterator[ReportEvent]:
        kind = item.get("type")
        if kind == "error":
            return
        if what == "item.completed":
            self._tools.end(item.get("id"))
            yield from _read_completed(item)
        elif kind in _TOOLS:
            self._tools.begin(item.get("id"), kind)
        yield self._tools.progress()


def _read_completed(item: dict[str, Any]) -> Iterator[ReportEvent]:
    kind = item.get("type")
    if kind == "agent_message":
        yield from said(item.get("text"))
    elif kind in _TOOLS:
        yield from called(kind, None)
        for change in parts_of(item.get("changes")):
            if path := text_of(change.get("path"), MAX_PATH_CHARS):
                yield FileEdited(path)
