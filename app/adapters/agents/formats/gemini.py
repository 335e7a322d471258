"""Gemini CLI's stream-json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.adapters.agents.formats.events import (
    Activity,
    Ended,
    Event,
    Failed,
    Final,
    Message,
    Output,
    Problem,
    Remark,
    SessionName,
    ToolBegun,
    ToolCall,
    ToolEnded,
    Unknown,
    Usage,
)
from app.adapters.agents.formats.fields import part_of, sum_of, text_of
from app.domain.agents.reports import EntryKind

_COMMAND = "run_shell_command"


def parse_gemini(event: dict[str, Any]) -> Iterator[Event]:
    """Yield the events of one line."""
    match event.get("type"):
        case "init":
            yield SessionName(event.get("session_id"))
            yield Remark(("started", event.get("model")))
        case "message":
            if event.get("role") == "assistant":
                is_piece = event.get("delta") is True
                yield Message(event.get("content"), Final.AT_END, is_piece)
                yield Activity()
        case "tool_use":
            yield ToolCall(event.get("tool_name"), event.get("parameters"))
            yield ToolBegun(event.get("tool_id"), event.get("tool_name"))
            yield Activity()
        case "tool_result":
            yield ToolEnded(event.get("tool_id"))
            yield Activity()
            yield from _result(event)
        case "error":
            is_warning = event.get("severity") == "warning"
            yield Problem(event.get("message"), EntryKind.NOTE if is_warning else EntryKind.FAILED)
        case "result":
            # the only event with tokens; none has a cost
            stats = part_of(event, "stats")
            usage = Usage(sum_of(stats, "input_tokens"), sum_of(stats, "output_tokens"))
            problem = part_of(event, "error").get("message")
            yield Ended(event.get("status") == "success", problem=problem, usage=usage)
        case _:
            yield Unknown(event)


def _result(event: dict[str, Any]) -> Iterator[Event]:
    if event.get("status") == "error":
        yield Failed((part_of(event, "error").get("message"), event.get("output")))
    elif text_of(event.get("tool_id")).startswith(_COMMAND):
        # a call's id begins with its tool's name
        yield Output(event.get("output"))
