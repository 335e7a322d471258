"""Entries from Gemini CLI's stream-json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from app.adapters.agents.readable.words import end, failed, note, result, said, tool
from app.adapters.agents.streams.fields import part_of, text_of
from app.domain.agents.reports import Entry

_COMMAND = "run_shell_command"


def tell_gemini(event: dict[str, Any]) -> Iterable[Entry] | None:
    """Return the entries of one event, None if it is unknown."""
    match event["type"]:
        case "init":
            return note("begins", event.get("model"))
        case "message":
            if event.get("role") != "assistant":
                return ()
            return said(event.get("content"), is_piece=event.get("delta") is True)
        case "tool_use":
            return tool(event.get("tool_name"), event.get("parameters"))
        case "tool_result":
            return _tell_result(event)
        case "error":
            is_warning = event.get("severity") == "warning"
            return (note if is_warning else failed)(event.get("message"))
        case "result":
            return _tell_end(event)
    return None


def _tell_result(event: dict[str, Any]) -> Iterator[Entry]:
    if event.get("status") == "error":
        yield from failed(part_of(event, "error").get("message"), event.get("output"))
    elif text_of(event.get("tool_id")).startswith(_COMMAND):
        # a call's id begins with its tool's name
        yield from result(event.get("output"))


def _tell_end(event: dict[str, Any]) -> Iterator[Entry]:
    yield from failed(part_of(event, "error").get("message"))
    word = "Done" if event.get("status") == "success" else "Failed"
    yield from end(word, part_of(event, "stats"), None, "input_tokens", "output_tokens")
