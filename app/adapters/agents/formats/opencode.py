"""The events of `opencode run --format json`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.adapters.agents.formats.events import (
    Activity,
    Ended,
    Event,
    Failed,
    Message,
    Output,
    SessionName,
    StepUsage,
    Thought,
    ToolCall,
    Unknown,
    Usage,
)
from app.adapters.agents.formats.fields import cost_of, part_of, sum_of
from app.domain.agents.final_output import Failure


def parse_opencode(event: dict[str, Any]) -> Iterator[Event]:
    """Yield the events of one line."""
    yield SessionName(event.get("sessionID"))
    part = part_of(event, "part")
    match event.get("type"):
        case "step_start":
            yield Activity()
        case "tool_use":
            yield Activity()
            yield from _tool(part)
        case "text":
            yield Activity()
            yield Message(part.get("text"))
        case "reasoning":
            yield Activity()
            yield Thought(part.get("text"))
        case "step_finish":
            yield Activity()
            yield _step(part)
        case "error":
            # it may continue; if not, this was its end, regardless of its exit code
            error = part_of(event, "error")
            name = error.get("name")
            failure = Failure.AUTH if name == "ProviderAuthError" else None
            problem = part_of(error, "data").get("message")
            yield Ended(False, problem=problem, cause=name, failure=failure)
        case _:
            yield Unknown(event)


def _tool(part: dict[str, Any]) -> Iterator[Event]:
    """Yield a tool call with its outcome: OpenCode reports both at once, when it is done."""
    state = part_of(part, "state")
    yield ToolCall(part.get("tool"), state.get("input"), about=state.get("title"))
    if state.get("status") == "error":
        yield Failed((state.get("error"),))
    elif part.get("tool") == "bash":
        yield Output(state.get("output"))


def _step(part: dict[str, Any]) -> StepUsage:
    tokens, cache = part_of(part, "tokens"), part_of(part, "tokens", "cache")
    given = [sum_of(tokens, "input"), sum_of(cache, "read", "write")]
    usage = Usage(
        sum(count or 0 for count in given),
        sum_of(tokens, "output", "reasoning"),
        cost_of(part.get("cost")),
    )
    return StepUsage(usage, part.get("reason") != "tool-calls")
