"""Reader of Claude Code's stream-json, which Amp, Copilot, Cursor, Droid and Qwen write too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.adapters.agents.streams.failures import MAX_EVIDENCE_CHARS, Failures, moment_of
from app.adapters.agents.streams.fields import (
    MAX_NAME_CHARS,
    OpenTools,
    called,
    cost_of,
    count_of,
    named,
    part_of,
    parts_of,
    said,
    sum_of,
    text_of,
)
from app.domain.agents.final_output import Failure, Finished, LimitReached, Retrying, Troubled
from app.domain.agents.reports import ReportEvent, Used

_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
# how many answers may still grow: those of subagents come in between
_OPEN_ANSWERS = 64
# prefixes of the event types that show work; they differ between agents
_WORK = ("assistant", "thinking", "tool", "user", "stream_event")


class ClaudeStream:
    """Adds up the answers' tokens until the result reports the totals and the cost."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._tools = OpenTools()
        self._answers: dict[str, tuple[int, int]] = {}
        self._before = (0, 0)

    def read(self, event: dict[str, Any]) -> Iterator[ReportEvent]:
        """Yield what one event reports."""
        kind = event.get("type")
        match kind:
            case "system" if event.get("subtype") == "init":
                yield from named(event.get("session_id"))
            case "system" if event.get("subtype") == "api_retry":
                yield Retrying()
                yield from _read_category(event.get("error"), "")
            case "assistant" if _is_made_up(event):
                yield from self._read_refusal(event)
            case "assistant":
                yield from self._read_answer(part_of(event, "message"))
            case "result":
                yield from self._read_result(event)
            case "rate_limit_event":
                yield from _read_limit(event)
            case str() if kind.startswith(_WORK):
                self._follow_tool(event)
                yield self._tools.progress()

    def _follow_tool(self, event: dict[str, Any]) -> None:
        for block in parts_of(part_of(event, "message").get("content")):
            self._tools.end(block.get("tool_use_id"))
        call = event.get("call_id")
        if event.get("subtype") == "started":
            name = next(iter(part_of(event, "tool_call")), "")
            self._tools.begin(call, name.removesuffix("ToolCall"))
        elif event.get("subtype") == "completed":
            self._tools.end(call)

    def _read_answer(self, message: dict[str, Any]) -> Iterator[ReportEvent]:
        for block in parts_of(message.get("content")):
            if block.get("type") == "tool_use":
                yield from called(block.get("name"), block.get("input"))
                self._tools.begin(block.get("id"), block.get("name"))
        used = part_of(message, "usage")
        tokens = (sum_of(used, *_INPUT), sum_of(used, "output_tokens"))
        if tokens != (None, None):
            self._count(text_of(message.get("id"), 100), (tokens[0] or 0, tokens[1] or 0))
            yield Used(*self._sums())
        yield self._tools.progress()

    def _read_refusal(self, event: dict[str, Any]) -> Iterator[ReportEvent]:
        """Read a message that the program substituted for a model's answer."""
        for block in parts_of(part_of(event, "message").get("content")):
            words = text_of(block.get("text"), MAX_EVIDENCE_CHARS)
            yield from self._failures.told_in(words)
            yield from _read_category(event.get("error"), words)

    def _count(self, answer: str, tokens: tuple[int, int]) -> None:
        # an answer arrives in several events, each with its tokens so far
        self._answers.pop(answer, None)
        self._answers[answer] = tokens
        if not answer or len(self._answers) > _OPEN_ANSWERS:
            settled = self._answers.pop(answer and next(iter(self._answers)))
            self._before = (self._before[0] + settled[0], self._before[1] + settled[1])

    def _sums(self) -> tuple[int, int]:
        counted = [self._before, *self._answers.values()]
        return sum(one[0] for one in counted), sum(one[1] for one in counted)

    def _read_result(self, event: dict[str, Any]) -> Iterator[ReportEvent]:
        yield from named(event.get("session_id"))
        used = part_of(event, "usage")
        told = (sum_of(used, *_INPUT) or 0, sum_of(used, "output_tokens") or 0)
        # an aborted run may not report its usage
        if any(told):
            self._before, self._answers = told, {}
        cost = cost_of(event.get("total_cost_usd"))
        if any(self._sums()) or cost is not None:
            yield Used(*self._sums(), cost)
        words = event.get("result") or part_of(event, "error").get("message")
        yield from said(words)
        code = count_of(event.get("exitCode"))
        is_ok = not (event.get("is_error") or code)
        if not is_ok:
            yield from self._failures.told_in(words)
        # an aborted run has no message, only the name of its cause
        yield Finished(is_ok, "" if is_ok else _words_of_end(event, words))


def _is_made_up(event: dict[str, Any]) -> bool:
    return bool(event.get("error")) or part_of(event, "message").get("model") == "<synthetic>"


def _words_of_end(event: dict[str, Any], words: object) -> str:
    name = text_of(event.get("subtype"), MAX_NAME_CHARS)
    return text_of(words, MAX_EVIDENCE_CHARS) or ("" if name == "success" else name)


def _read_category(category: object, words: str) -> Iterator[ReportEvent]:
    """Yield the limit or failure behind Claude Code's category of an error."""
    evidence = words or text_of(category, MAX_NAME_CHARS)
    if category == "billing_error":
        yield LimitReached(evidence, needs_person=True)
    elif category == "authentication_failed":
        yield Troubled(Failure.AUTH, evidence)


def _read_limit(event: dict[str, Any]) -> Iterator[ReportEvent]:
    info = part_of(event, "rate_limit_info")
    # these come with every turn, also with usage left, or overage rejected but not in use
    is_over = info.get("isUsingOverage") is True and info.get("overageStatus") == "rejected"
    if info.get("status") == "rejected" or is_over:
        evidence = text_of(json.dumps(event, ensure_ascii=False), MAX_EVIDENCE_CHARS)
        family = text_of(info.get("rateLimitType"), MAX_NAME_CHARS)
        yield LimitReached(evidence, _latest_reset(info), family)


def _latest_reset(info: dict[str, Any]) -> datetime | None:
    """Return when the last of the exhausted windows resets, None if unknown."""
    windows = part_of(info, "unifiedWindows").values()
    used_up = [one for one in map(part_of, windows) if (count_of(one.get("utilization")) or 0) >= 1]
    moments = [moment_of(one.get("resetsAt")) for one in (info, *used_up)]
    return max((moment for moment in moments if moment), default=None)
