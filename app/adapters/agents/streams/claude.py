"""Claude Code's stream-json, which Amp, Cursor and Qwen speak too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from app.adapters.agents.streams.fields import (
    called,
    cost_of,
    named,
    part_of,
    parts_of,
    said,
    sum_of,
    text_of,
)
from app.adapters.agents.streams.limits import MAX_EVIDENCE_CHARS, LimitMessages, moment_of
from app.domain.reports import LimitReached, ReportEvent, Used

_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
# answers of which more may come; subagents answer in between
_OPEN_ANSWERS = 64


class ClaudeStream:
    """Sums the answers' tokens until the result tells them all, and their cost."""

    def __init__(self, limits: LimitMessages) -> None:
        self._limits = limits
        self._answers: dict[str, tuple[int, int]] = {}
        self._before = (0, 0)

    def read(self, event: dict[str, Any]) -> Iterator[ReportEvent]:
        """What one event tells."""
        match event.get("type"):
            case "system" if event.get("subtype") == "init":
                yield from named(event.get("session_id"))
            case "assistant":
                yield from self._read_answer(part_of(event, "message"))
            case "result":
                yield from self._read_result(event)
            case "rate_limit_event":
                yield from _read_limit(event)

    def _read_answer(self, message: dict[str, Any]) -> Iterator[ReportEvent]:
        for block in parts_of(message.get("content")):
            if block.get("type") == "tool_use":
                yield from called(block.get("name"), block.get("input"))
        used = part_of(message, "usage")
        tokens = (sum_of(used, *_INPUT), sum_of(used, "output_tokens"))
        if tokens != (None, None):
            self._count(text_of(message.get("id"), 100), (tokens[0] or 0, tokens[1] or 0))
            yield Used(*self._sums())

    def _count(self, answer: str, tokens: tuple[int, int]) -> None:
        # an answer comes in several events, each with its tokens so far
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
        # a run that broke off may tell nothing of what it has used
        if any(told):
            self._before, self._answers = told, {}
        cost = cost_of(event.get("total_cost_usd"))
        if any(self._sums()) or cost is not None:
            yield Used(*self._sums(), cost)
        words = event.get("result") or part_of(event, "error").get("message")
        yield from said(words)
        if event.get("is_error"):
            yield from self._limits.found_in(words)


def _read_limit(event: dict[str, Any]) -> Iterator[ReportEvent]:
    info = part_of(event, "rate_limit_info")
    # these come with every turn: with usage left, and with overage that nobody needs
    is_over = info.get("isUsingOverage") is True and info.get("overageStatus") == "rejected"
    if info.get("status") == "rejected" or is_over:
        evidence = text_of(json.dumps(event, ensure_ascii=False), MAX_EVIDENCE_CHARS)
        yield LimitReached(evidence, moment_of(info.get("resetsAt")))
