"""Entries from the events of `codex exec --json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from app.adapters.agents.readable.words import (
    end,
    exit_words,
    failed,
    last_line,
    note,
    result,
    said,
    thought,
    tool,
)
from app.adapters.agents.streams.fields import part_of, parts_of, text_of
from app.domain.agents.reports import Entry

_CHANGES = {"add": "Write", "delete": "Delete"}


def tell_codex(event: dict[str, Any]) -> Iterable[Entry] | None:
    """Return the entries of one event, None if it is unknown."""
    match event["type"]:
        case "thread.started" | "turn.started":
            return ()
        case "item.started" | "item.updated" | "item.completed" as what:
            return _tell_item(what.removeprefix("item."), part_of(event, "item"))
        case "turn.completed":
            # input_tokens includes cached ones; no cost is reported
            return end("Done", part_of(event, "usage"), None, "input_tokens", "output_tokens")
        case "turn.failed":
            return failed(part_of(event, "error").get("message"))
        case "error":
            # not an end: it reports each attempt to reconnect like this
            return note(event.get("message"))
    return None


def _tell_item(what: str, item: dict[str, Any]) -> Iterator[Entry]:
    match item.get("type"), what:
        case "command_execution", "started":
            yield from tool("Run", item.get("command"))
        case "command_execution", "completed":
            yield from _tell_exit(item)
        case "file_change", "completed":
            for change in parts_of(item.get("changes")):
                kind = text_of(change.get("kind"))
                yield from tool(_CHANGES.get(kind, "Edit"), change.get("path"))
        case "mcp_tool_call", "started":
            name = ".".join(filter(None, (text_of(item.get("server")), text_of(item.get("tool")))))
            yield from tool(name, item.get("arguments"))
        case "mcp_tool_call", "completed" if item.get("status") == "failed":
            yield from failed(item.get("tool"), part_of(item, "error").get("message"))
        case "web_search", "completed":
            yield from tool("Search", item.get("query"))
        case "agent_message", "completed":
            yield from said(item.get("text"))
        case "reasoning", "completed":
            yield from thought(item.get("text"))
        case "error", "completed":
            yield from note(item.get("message"))


def _tell_exit(item: dict[str, Any]) -> Iterator[Entry]:
    output, code = item.get("aggregated_output"), exit_words(item.get("exit_code"))
    if code or item.get("status") == "failed":
        yield from failed(code or "failed", last_line(output))
    else:
        yield from result(output)
