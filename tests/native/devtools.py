"""Access to the window's page through the web engine's DevTools protocol."""

from __future__ import annotations

import json
from typing import Any

import httpx
from websockets.sync.client import connect

from tests.native.patience import PATIENCE_SECONDS, until


class PageLeft(Exception):
    """The page was left before it had answered."""


class Devtools:
    """The page of a window started with QTWEBENGINE_REMOTE_DEBUGGING=`port`."""

    def __init__(self, port: int) -> None:
        self._targets = f"http://127.0.0.1:{port}/json/list"
        self._asked = 0

    def run(self, script: str) -> Any:
        """Evaluate a script, await a promise, and return the value."""
        self._asked += 1
        question = {"expression": script, "awaitPromise": True, "returnByValue": True}
        question["userGesture"] = True
        call = {"id": self._asked, "method": "Runtime.evaluate", "params": question}
        with connect(self._page(), origin=None, proxy=None, open_timeout=PATIENCE_SECONDS) as line:
            line.send(json.dumps(call))
            answer = json.loads(line.recv(timeout=PATIENCE_SECONDS))
        if "error" in answer:  # the page was left while it was asked
            raise PageLeft(answer["error"])
        assert "exceptionDetails" not in answer["result"], answer
        return answer["result"]["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """Evaluate a script until its value is truthy, even while the page loads; return it."""

        def look() -> Any:
            try:
                return self.run(script)
            except PageLeft:
                return None

        return until(look)

    def _page(self) -> str:
        listed = httpx.get(self._targets, trust_env=False, timeout=PATIENCE_SECONDS).json()
        return str(next(one for one in listed if one["type"] == "page")["webSocketDebuggerUrl"])
