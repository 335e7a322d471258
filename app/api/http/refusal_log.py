"""Rate-limited logging of refused requests."""

from __future__ import annotations

import asyncio

import structlog

log = structlog.get_logger()
LINES, SECONDS = 30, 10.0
_LONGEST_PATH = 200


class RefusalLog:
    """Writes at most LINES lines per `seconds`, then the number of lines left out."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._until = 0.0
        self._lines = self._left_out = 0

    def record(self, method: str, path: str, code: str) -> None:
        """Log one refusal under the correlation id of its request; call on the event loop."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._until or self._until > loop.time() + self._seconds:
            self._sum_up()
            self._until, self._lines = loop.time() + self._seconds, 0
            loop.call_at(self._until, self._sum_up)
        if self._lines >= LINES:
            self._left_out += 1
            return
        self._lines += 1
        log.info("request_refused", method=method, path=path[:_LONGEST_PATH], code=code)

    def _sum_up(self) -> None:
        if self._left_out:
            log.info("more_requests_refused", count=self._left_out)
        self._left_out = 0


# shared by the gate and the handlers of unknown paths behind it
refusals = RefusalLog()
