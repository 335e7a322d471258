"""Blocking optional imports of libraries that a server never uses, to start faster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# socket.io's clients and message queues, httpx's command line and NiceGUI's own windows: libraries
# that work without them try to import them, and together they took a fifth of a start
UNUSED = ("aiohttp", "requests", "redis", "rich", "httpx._main", "webview")


@contextmanager
def sparing() -> Iterator[None]:
    """Hide the UNUSED modules from imports inside the block; later imports find them again."""
    absent = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
