"""Reader of the events of `opencode run --format json`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.adapters.agents.streams.failures import MAX_EVIDENCE_CHARS, Failures
from app.adapters.agents.streams.fields import (
    called,
    cost_of,
    named,
    part_of,
    said,
    sum_of,
    text_of,
)
from app.domain.agents.final_output import Failure, Finished, Progressed, Troubled
from app.domain.agents.reports import ReportEvent, Used

_WORK = frozenset({"step_start", "tool_use", "text", "reasoning", "step_finish"})


class OpencodeStream:
    """Adds up the steps: each reports its own tokens and cost; no event reports the totals."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._input = self._output = 0
        self._cost: float | None = None
        self._session: object = None

    def read(self, event: dict[str, Any]) -> Iterator[ReportEvent]:
        """Yield what one event reports."""
        if event.get("sessionID") != self._session:
            self._session = event.get("sessionID")
            yield from named(self._session)
        part = part_of(event, "part")
        if str(event.get("type")) in _WORK:
            # it reports a tool only when that is done
            yield Progressed()
        match event.get("type"):
            case "tool_use":
                yield from called(part.get("tool"), part_of(part, "state", "input"))
            case "text":
                yield from said(part.get("text"))
            case "step_finish":
                yield from self._add_step(part)
            case "error":
                yield from self._read_error(part_of(event, "error"))

    def _read_error(self, error: dict[str, Any]) -> Iterator[ReportEvent]:
        words = part_of(error, "data").get("message")
        evidence = text_of(words, MAX_EVIDENCE_CHARS) or text_of(error.get("name"))
        yield from said(words)
        if error.get("name") == "ProviderAuthError":
            yield Troubled(Failure.AUTH, evidence)
        yield from self._failures.told_in(words)
        # it may continue; if not, this was its end, regardless of its exit code
        yield Finished(False, evidence)

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
