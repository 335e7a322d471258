"""Entries from the stream-json of Claude Code and of the agents that write the same format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from app.adapters.agents.readable.words import (
    content_text,
    end,
    failed,
    last_line,
    note,
    result,
    said,
    short,
    thought,
    tool,
)
from app.adapters.agents.streams.fields import cost_of, count_of, part_of, parts_of
from app.domain.agents.reports import Entry

_USED = (
    *("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
    "output_tokens",
)


def tell_claude(event: dict[str, Any]) -> Iterable[Entry] | None:
    """Return the entries of one event, None if it is unknown."""
    match event["type"], event.get("subtype"):
        case "system", subtype:
            return _tell_system(event, subtype)
        case "assistant", _:
            return _tell_answer(event)
        case "user", _:
            return _tell_results(event)
        case "tool_call", subtype:
            return _tell_call(part_of(event, "tool_call"), subtype)
        case "result", _:
            return _tell_end(event)
        case "rate_limit_event", _:
            return _tell_limit(part_of(event, "rate_limit_info"))
        # fragments of events that also come whole
        case "stream_event" | "thinking" | "tool_progress", _:
            return ()
    return None


def _tell_system(event: dict[str, Any], subtype: Any) -> Iterable[Entry] | None:
    match subtype:
        case "init":
            return note("begins", event.get("model"))
        case "api_retry":
            attempt, most = count_of(event.get("attempt")), count_of(event.get("max_retries"))
            return note(f"tries again, {attempt or '?'} of {most or '?'}", event.get("error"))
        case "compact_boundary":
            return note("what was said so far is summed up")
    return None


def _tell_answer(event: dict[str, Any]) -> Iterator[Entry]:
    message = part_of(event, "message")
    content = message.get("content")
    if event.get("error") or message.get("model") == "<synthetic>":
        # not a model's answer: the program substitutes a message of its own
        yield from failed(content_text(content))
        return
    if isinstance(content, str):
        yield from said(content)
    for block in parts_of(content):
        match block.get("type"):
            case "text":
                yield from said(block.get("text"))
            case "thinking":
                yield from thought(block.get("thinking"))
            case "tool_use" | "server_tool_use":
                yield from tool(block.get("name"), block.get("input"))


def _tell_results(event: dict[str, Any]) -> Iterator[Entry]:
    blocks = parts_of(part_of(event, "message").get("content"))
    for block in blocks:
        if block.get("type") == "tool_result" and block.get("is_error") is True:
            words = content_text(block.get("content"))
            yield from failed(words, last_line(words))
            return
    # only commands report a stdout; the contents of files are not shown
    yield from result(part_of(event, "tool_use_result").get("stdout"))


def _tell_call(call: dict[str, Any], subtype: Any) -> Iterator[Entry]:
    """Yield a tool call in Cursor's form: an object whose only key names the tool."""
    name = next(iter(call), "")
    given = part_of(call, name)
    if subtype == "started":
        yield from tool(name.removesuffix("ToolCall").capitalize(), given.get("args"))
    elif error := part_of(given, "result").get("error"):
        yield from failed(error if isinstance(error, str) else part_of(error).get("message"))


def _tell_end(event: dict[str, Any]) -> Iterator[Entry]:
    is_bad = bool(event.get("is_error") or count_of(event.get("exitCode")))
    words = event.get("result") or part_of(event, "error").get("message")
    if is_bad:
        subtype = event.get("subtype")
        yield from failed(words or ("" if subtype == "success" else subtype))
    # on success the text was shown before
    cost = cost_of(event.get("total_cost_usd"))
    yield from end("Failed" if is_bad else "Done", part_of(event, "usage"), cost, *_USED)


def _tell_limit(info: dict[str, Any]) -> Iterator[Entry]:
    is_over = info.get("isUsingOverage") is True and info.get("overageStatus") == "rejected"
    if info.get("status") == "rejected" or is_over:
        yield from failed("usage limit reached", short(info.get("rateLimitType")))
