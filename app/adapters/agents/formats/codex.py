"""The events of `codex exec --json`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.adapters.agents.formats.events import (
    Activity,
    Ended,
    Event,
    Failed,
    FileChanged,
    Message,
    Output,
    Problem,
    Remark,
    SessionName,
    Thought,
    ToolBegun,
    ToolCall,
    ToolEnded,
    Unknown,
    Usage,
)
from app.adapters.agents.formats.fields import (
    count_of,
    last_line,
    part_of,
    parts_of,
    sum_of,
    text_of,
)
from app.domain.agents.reports import EntryKind

_TOOLS = ("command_execution", "file_change", "mcp_tool_call", "web_search")
_ACTS = {"add": "Write", "delete": "Delete"}


def parse_codex(event: dict[str, Any]) -> Iterator[Event]:
    """Yield the events of one line."""
    kind = event.get("type")
    match kind:
        case "thread.started":
            yield SessionName(event.get("thread_id"))
        case "turn.started":
            return
        case "item.started" | "item.updated" | "item.completed":
            yield from _item(kind.removeprefix("item."), part_of(event, "item"))
        case "turn.completed":
            # all tokens since the thread began, input_tokens with the cached ones; never a cost
            used = part_of(event, "usage")
            usage = Usage(sum_of(used, "input_tokens"), sum_of(used, "output_tokens"))
            yield Ended(True, usage=usage)
        case "turn.failed":
            yield Ended(False, problem=part_of(event, "error").get("message"))
        case "error":
            # not an end: it reports each attempt to reconnect like this
            yield Problem(event.get("message"), EntryKind.NOTE)
        case _:
            yield Unknown(event)


def _item(stage: str, item: dict[str, Any]) -> Iterator[Event]:
    kind = item.get("type")
    if kind == "error":
        if stage == "completed":
            yield Remark((item.get("message"),))
        return
    if stage == "completed":
        yield ToolEnded(item.get("id"))
        yield from _completed(item)
    elif kind in _TOOLS:
        yield ToolBegun(item.get("id"), kind)
        if stage == "started":
            yield from _started(item)
    yield Activity()


def _started(item: dict[str, Any]) -> Iterator[Event]:
    """Yield a call as it is shown: it is counted once it is completed."""
    match item.get("type"):
        case "command_execution":
            yield ToolCall("", item.get("command"), "Run")
        case "mcp_tool_call":
            name = ".".join(filter(None, (text_of(item.get("server")), text_of(item.get("tool")))))
            yield ToolCall("", item.get("arguments"), name)
        case _:
            pass


def _completed(item: dict[str, Any]) -> Iterator[Event]:
    kind = item.get("type")
    match kind:
        case "agent_message":
            yield Message(item.get("text"))
        case "reasoning":
            yield Thought(item.get("text"))
        case "web_search":
            yield ToolCall(kind, item.get("query"), "Search")
        case "file_change":
            yield ToolCall(kind, None, "")
            for change in parts_of(item.get("changes")):
                act = _ACTS.get(text_of(change.get("kind")), "Edit")
                yield FileChanged(change.get("path"), act)
        case "mcp_tool_call":
            yield ToolCall(kind, None, "")
            if item.get("status") == "failed":
                yield Failed((item.get("tool"), part_of(item, "error").get("message")))
        case "command_execution":
            yield ToolCall(kind, None, "")
            yield _exit(item)
        case _:
            pass


def _exit(item: dict[str, Any]) -> Event:
    output, code = item.get("aggregated_output"), count_of(item.get("exit_code"))
    if code or item.get("status") == "failed":
        return Failed((f"exit {code}" if code else "failed", last_line(output)))
    return Output(output)
