"""Access to the window's page through the web engine's DevTools protocol."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any

from websockets.sync.client import connect

from tests.native.patience import PATIENCE_SECONDS, until


class PageLeft(Exception):
    """The page was left before it had answered."""


class Devtools:
    """The page of a window started with QTWEBENGINE_REMOTE_DEBUGGING=`port`."""

    def __init__(self, port: int) -> None:
        self._port = port
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
        # not by httpx, which loads certificates for each call: this is asked again and again
        line = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        line.request("GET", "/json/list")
        listed = json.loads(line.getresponse().read())
        line.close()
        return str(next(one for one in listed if one["type"] == "page")["webSocketDebuggerUrl"])
