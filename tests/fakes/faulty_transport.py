"""Faults between a server's pages and its API, for tests in a browser (docs/testing.md)."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

LOOK_SECONDS = 0.02


class Faults:
    """The fault rules of a file, reread when it changes; a change resets their counters."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._version: tuple[int, int] | None = None
        self._rules: dict[str, dict[str, Any]] = {}
        self._met: Counter[str] = Counter()

    def meet(self, method: str, path: str) -> dict[str, Any]:
        """Return the first matching rule that is not used up, {} if none; counts the use."""
        self._read()
        for rule, fault in self._rules.items():
            wanted, _, pattern = rule.partition(" ")
            if wanted not in (method, "*") or not re.fullmatch(pattern, path):
                continue
            if self._met[rule] < fault.get("times", float("inf")):
                self._met[rule] += 1
                return fault
        return {}

    def _read(self) -> None:
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            self._version, self._rules = None, {}
            return
        version = (stat.st_ino, stat.st_mtime_ns)
        if version != self._version:
            self._version, self._met = version, Counter()
            self._rules = json.loads(self._file.read_text() or "{}")


class FaultyTransport(httpx.AsyncBaseTransport):
    """Transport that delays requests, fakes responses, or drops requests or responses."""

    def __init__(self, inner: httpx.AsyncBaseTransport, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises ConnectError or ReadError for an injected lost connection."""
        fault = self._faults.meet(request.method, request.url.path)
        await _wait(fault.get("delay_seconds", 0), fault.get("gate"))
        if fault.get("drop") == "request":
            raise httpx.ConnectError("lost before it was sent", request=request)
        if "status" in fault:
            return _answer(fault)
        answer = await self._inner.handle_async_request(request)
        if fault.get("drop") == "answer":
            await answer.aread()
            raise httpx.ReadError("lost on its way back", request=request)
        await _wait(fault.get("delay_answer_seconds", 0), fault.get("answer_gate"))
        return answer

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


async def _wait(seconds: float, gate: str | None) -> None:
    await asyncio.sleep(seconds)
    while gate is not None and not Path(gate).exists():
        await asyncio.sleep(LOOK_SECONDS)


def _answer(fault: Mapping[str, Any]) -> httpx.Response:
    status = fault["status"]
    told = {"status": status, "error": "fault", "detail": "A test wants it so."}
    return httpx.Response(
        status, json={**told, **fault.get("body", {})}, headers=fault.get("headers")
    )
