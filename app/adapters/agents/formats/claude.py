"""Claude Code's stream-json, which Amp, Copilot, Cursor, Droid and Qwen write too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.adapters.agents.formats.events import (
    Activity,
    AnswerUsage,
    Ended,
    Event,
    Failed,
    Final,
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
    MAX_EVIDENCE_CHARS,
    MAX_NAME_CHARS,
    cost_of,
    count_of,
    last_line,
    moment_of,
    part_of,
    parts_of,
    sum_of,
    text_of,
)
from app.domain.agents.final_output import Failure, LimitReached, Retrying, Troubled

_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
# prefixes of the event types that show work; they differ between agents
_WORK = ("assistant", "thinking", "tool", "user", "stream_event")
# those of them that are fragments of events that also come whole
_FRAGMENTS = ("stream_event", "thinking", "tool_progress")


def parse_claude(event: dict[str, Any]) -> Iterator[Event]:
    """Yield the events of one line."""
    kind = event.get("type")
    match kind:
        case "system":
            yield from _system(event)
        case "assistant" if _is_made_up(event):
            yield from _substitute(event)
        case "assistant":
            yield from _answer(part_of(event, "message"))
        case "result":
            yield SessionName(event.get("session_id"))
            yield _end(event)
        case "rate_limit_event":
            yield from _limit(event)
        case str() if kind.startswith(_WORK):
            yield from _work(event, kind)
        case _:
            yield Unknown(event)


def _system(event: dict[str, Any]) -> Iterator[Event]:
    match event.get("subtype"):
        case "init":
            yield SessionName(event.get("session_id"))
            yield Remark(("started", event.get("model")))
        case "api_retry":
            attempt, most = count_of(event.get("attempt")), count_of(event.get("max_retries"))
            yield Retrying()
            yield from _category(event.get("error"), "")
            yield Remark((f"retry {attempt or '?'} of {most or '?'}", event.get("error")))
        case "compact_boundary":
            yield Remark(("summarized the conversation so far",))
        case _:
            yield Unknown(event)


def _is_made_up(event: dict[str, Any]) -> bool:
    """Return True if the program substituted a message for a model's answer."""
    return bool(event.get("error")) or part_of(event, "message").get("model") == "<synthetic>"


def _substitute(event: dict[str, Any]) -> Iterator[Event]:
    content = part_of(event, "message").get("content")
    for block in parts_of(content):
        words = text_of(block.get("text"), MAX_EVIDENCE_CHARS)
        yield Problem(words, None)
        yield from _category(event.get("error"), words)
    yield Failed((_content_text(content),))


def _answer(message: dict[str, Any]) -> Iterator[Event]:
    content = message.get("content")
    if isinstance(content, str):
        yield Message(content, Final.REPEATED)
    for block in parts_of(content):
        match block.get("type"):
            case "text":
                yield Message(block.get("text"), Final.REPEATED)
            case "thinking":
                yield Thought(block.get("thinking"))
            case "tool_use":
                yield ToolCall(block.get("name"), block.get("input"))
                yield ToolBegun(block.get("id"), block.get("name"))
            case "server_tool_use":
                # run by the model's provider
                yield ToolCall("", block.get("input"), block.get("name"))
            case _:
                pass
    yield AnswerUsage(message.get("id"), _usage(part_of(message, "usage")))
    yield Activity()


def _work(event: dict[str, Any], kind: str) -> Iterator[Event]:
    for block in parts_of(part_of(event, "message").get("content")):
        yield ToolEnded(block.get("tool_use_id"))
    if event.get("subtype") == "started":
        name = next(iter(part_of(event, "tool_call")), "")
        yield ToolBegun(event.get("call_id"), name.removesuffix("ToolCall"))
    elif event.get("subtype") == "completed":
        yield ToolEnded(event.get("call_id"))
    yield Activity()
    if kind == "user":
        yield from _results(event)
    elif kind == "tool_call":
        yield from _call(part_of(event, "tool_call"), event.get("subtype"))
    elif kind not in _FRAGMENTS:
        yield Unknown(event)


def _results(event: dict[str, Any]) -> Iterator[Event]:
    for block in parts_of(part_of(event, "message").get("content")):
        if block.get("type") == "tool_result" and block.get("is_error") is True:
            words = _content_text(block.get("content"))
            yield Failed((words, last_line(words)))
            return
    # only commands report a stdout; the contents of files are not shown
    yield Output(part_of(event, "tool_use_result").get("stdout"))


def _call(call: dict[str, Any], subtype: Any) -> Iterator[Event]:
    """Yield a tool call in Cursor's form: an object whose only key names the tool."""
    name = next(iter(call), "")
    given = part_of(call, name)
    if subtype == "started":
        yield ToolCall("", given.get("args"), name.removesuffix("ToolCall").capitalize())
    elif error := part_of(given, "result").get("error"):
        yield Failed((error if isinstance(error, str) else part_of(error).get("message"),))


def _end(event: dict[str, Any]) -> Ended:
    is_ok = not (event.get("is_error") or count_of(event.get("exitCode")))
    words = event.get("result") or part_of(event, "error").get("message")
    used = _usage(part_of(event, "usage"))
    # an aborted run may not report its usage, or report none
    tokens = (used.input_tokens or 0, used.output_tokens or 0)
    known = tokens if any(tokens) else (None, None)
    usage = Usage(*known, cost_of(event.get("total_cost_usd")))
    if is_ok:
        return Ended(True, answer=words, usage=usage)
    # an aborted run has no message, only the name of its cause
    subtype = event.get("subtype")
    return Ended(False, problem=words, cause=None if subtype == "success" else subtype, usage=usage)


def _usage(used: dict[str, Any]) -> Usage:
    return Usage(sum_of(used, *_INPUT), sum_of(used, "output_tokens"))


def _category(category: object, words: str) -> Iterator[Event]:
    """Yield the limit or failure behind Claude Code's category of an error."""
    evidence = words or text_of(category, MAX_NAME_CHARS)
    if category == "billing_error":
        yield LimitReached(evidence, needs_person=True)
    elif category == "authentication_failed":
        yield Troubled(Failure.AUTH, evidence)


def _limit(event: dict[str, Any]) -> Iterator[Event]:
    info = part_of(event, "rate_limit_info")
    # these come with every turn, also with usage left, or overage rejected but not in use
    is_over = info.get("isUsingOverage") is True and info.get("overageStatus") == "rejected"
    if info.get("status") == "rejected" or is_over:
        evidence = text_of(json.dumps(event, ensure_ascii=False), MAX_EVIDENCE_CHARS)
        family = text_of(info.get("rateLimitType"), MAX_NAME_CHARS)
        yield LimitReached(evidence, _latest_reset(info), family)
        yield Failed(("usage limit reached", info.get("rateLimitType")))


def _latest_reset(info: dict[str, Any]) -> datetime | None:
    """Return when the last of the exhausted windows resets, None if unknown."""
    windows = part_of(info, "unifiedWindows").values()
    used_up = [one for one in map(part_of, windows) if (count_of(one.get("utilization")) or 0) >= 1]
    moments = [moment_of(one.get("resetsAt")) for one in (info, *used_up)]
    return max((moment for moment in moments if moment), default=None)


def _content_text(content: Any) -> str:
    """Return the text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    texts = [one["text"] for one in parts_of(content) if isinstance(one.get("text"), str)]
    return "\n".join(texts)
