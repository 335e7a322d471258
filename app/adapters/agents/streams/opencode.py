"""The events of `opencode run --format json`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.adapters.agents.streams.fields import (
    called,
    cost_of,
    named,
    part_of,
    said,
    sum_of,
)
from app.adapters.agents.streams.limits import LimitMessages
from app.domain.reports import ReportEvent, Used


class OpencodeStream:
    """Sums the steps: each tells its own tokens and cost, and nothing tells them all."""

    def __init__(self, limits: LimitMessages) -> None:
        self._limits = limits
        self._input = self._output = 0
        self._cost: float | None = None
        self._session: object = None

    def read(self, event: dict[str, Any]) -> Iterator[ReportEvent]:
        """What one event tells."""
        if event.get("sessionID") != self._session:
            self._session = event.get("sessionID")
            yield from named(self._session)
        part = part_of(event, "part")
        match event.get("type"):
            case "tool_use":
                yield from called(part.get("tool"), part_of(part, "state", "input"))
            case "text":
                yield from said(part.get("text"))
            case "step_finish":
                yield from self._add_step(part)
            case "error":
                words = part_of(event, "error", "data").get("message")
                yield from said(words)
                yield from self._limits.found_in(words)

    def _add_step(self, part: dict[str, Any]) -> Iterator[ReportEvent]:
        tokens, cache = part_of(part, "tokens"), part_of(part, "tokens", "cache")
        read = (sum_of(tokens, "input"), sum_of(cache, "read", "write"))
        written = sum_of(tokens, "output", "reasoning")
        cost = cost_of(part.get("cost"))
        self._input += sum(count or 0 for count in read)
        self._output += written or 0
        if cost is not None:
            self._cost = cost_of(round((self._cost or 0.0) + cost, 6))
        yield Used(self._input, self._output, self._cost)
