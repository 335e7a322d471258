"""Aider's text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.adapters.agents.streams.fields import MAX_COST_USD, MAX_PATH_CHARS
from app.adapters.agents.streams.limits import LimitMessages
from app.domain.reports import MAX_COUNT, FileEdited, ReportEvent, Used

_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)"
_TOKENS = re.compile(
    rf"Tokens: {_NUMBER}([kM]?) sent,(?: [^$]{{0,80}},)? {_NUMBER}([kM]?) received\."
)
_COST = re.compile(rf"Cost: \${_NUMBER} message,")
_EDITED = re.compile(r"Applied edit to (.+)")
_TIMES = {"": 1, "k": 1_000, "M": 1_000_000}


class AiderStream:
    """Sums the messages: each tells what it used itself."""

    def __init__(self, limits: LimitMessages) -> None:
        self._limits = limits
        self._input = self._output = 0
        self._cost: float | None = None

    def read(self, line: str) -> Iterator[ReportEvent]:
        """What one line tells."""
        if edited := _EDITED.fullmatch(line):
            yield FileEdited(edited[1][:MAX_PATH_CHARS])
        elif tokens := _TOKENS.match(line):
            self._input = min(self._input + _count(tokens[1], tokens[2]), MAX_COUNT)
            self._output = min(self._output + _count(tokens[3], tokens[4]), MAX_COUNT)
            if cost := _COST.search(line):
                self._cost = min(round((self._cost or 0.0) + float(cost[1]), 6), MAX_COST_USD)
            yield Used(self._input, self._output, self._cost)


def _count(number: str, times: str) -> int:
    return round(float(number) * _TIMES[times])
