"""Entries from the events of `opencode run --format json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from app.adapters.agents.readable.words import end, failed, result, said, thought, tool
from app.adapters.agents.streams.fields import cost_of, part_of
from app.domain.agents.reports import Entry


def tell_opencode(event: dict[str, Any]) -> Iterable[Entry] | None:
    """Return the entries of one event, None if it is unknown."""
    part = part_of(event, "part")
    match event["type"]:
        case "step_start":
            return ()
        case "tool_use":
            return _tell_tool(part)
        case "text":
            return said(part.get("text"))
        case "reasoning":
            return thought(part.get("text"))
        case "step_finish":
            return _tell_step(part)
        case "error":
            error = part_of(event, "error")
            return failed(part_of(error, "data").get("message") or error.get("name"))
    return None


def _tell_tool(part: dict[str, Any]) -> Iterator[Entry]:
    """Yield a tool call with its outcome: OpenCode reports both at once."""
    state = part_of(part, "state")
    yield from tool(part.get("tool"), state.get("input") or state.get("title"))
    if state.get("status") == "error":
        yield from failed(state.get("error"))
    elif part.get("tool") == "bash":
        yield from result(state.get("output"))


def _tell_step(part: dict[str, Any]) -> Iterator[Entry]:
    # each step reports its own usage; no event reports the total
    if part.get("reason") != "tool-calls":
        tokens, cache = part_of(part, "tokens"), part_of(part, "tokens", "cache")
        used = tokens | {"cache_read": cache.get("read"), "cache_write": cache.get("write")}
        names = ("input", "output", "reasoning", "cache_read", "cache_write")
        yield from end("Done · last step", used, cost_of(part.get("cost")), *names)
