"""Aider's text output, written for people: its report is read from single lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.adapters.agents.formats.failures import Failures
from app.adapters.agents.formats.fields import MAX_COST_USD, MAX_EVIDENCE_CHARS, MAX_PATH_CHARS
from app.domain.agents.final_output import Finished, Progressed
from app.domain.agents.reports import MAX_COUNT, FileEdited, ReportEvent, Used

_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)"
_TOKENS = re.compile(
    rf"Tokens: {_NUMBER}([kM]?) sent,(?: [^$]{{0,80}},)? {_NUMBER}([kM]?) received\."
)
_COST = re.compile(rf"Cost: \${_NUMBER} message,")
_ERROR = re.compile(r"litellm\.[A-Za-z.]*(?:Error|Timeout)\b")
_EDITED = re.compile(r"Applied edit to (.+)")
_TIMES = {"": 1, "k": 1_000, "M": 1_000_000}


class AiderText:
    """Adds up the messages: each reports its own usage."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._input = self._output = 0
        self._cost: float | None = None
        self._is_in_trouble = False

    def read(self, line: str) -> Iterator[ReportEvent]:
        """Yield the events of one line."""
        if edited := _EDITED.fullmatch(line):
            yield from self._continue()
            yield FileEdited(edited[1][:MAX_PATH_CHARS])
        elif tokens := _TOKENS.match(line):
            yield from self._continue()
            self._input = min(self._input + _count(tokens[1], tokens[2]), MAX_COUNT)
            self._output = min(self._output + _count(tokens[3], tokens[4]), MAX_COUNT)
            if cost := _COST.search(line):
                self._cost = min(round((self._cost or 0.0) + float(cost[1]), 6), MAX_COST_USD)
            yield Used(self._input, self._output, self._cost)
        elif line:
            yield from self._read_words(line)

    def _continue(self) -> Iterator[ReportEvent]:
        self._is_in_trouble = False
        yield Progressed()

    def _read_words(self, line: str) -> Iterator[ReportEvent]:
        reports = list(self._failures.reported_in(line))
        yield from reports
        if _ERROR.search(line):
            # its exit code does not show errors; if it retries, the next line says so
            self._is_in_trouble = True
            yield Finished(False, line[:MAX_EVIDENCE_CHARS])
        elif not reports and not self._is_in_trouble:
            # its answers, and the output of its tests
            yield Progressed()


def _count(number: str, times: str) -> int:
    return round(float(number) * _TIMES[times])
